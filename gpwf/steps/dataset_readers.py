"""Read one dataset with gammapy, of each of the kinds of files that `dataset_files` tells apart."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.dataset_files import FLUX_POINTS, DatasetFile

__all__ = ["flux_dataset", "isotropic_model", "keep_energies", "read_dataset"]

_ERRORS = (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError)
_SHIFT = 1e-3  # energies in tables are rounded


class _UnusableFluxError(ValueError):
    """Flux points that were read well, and cannot be compared with models."""


def read_dataset(
    item: DatasetFile, name: str, step: str, *, edisp_bins: int = 0, stat_type: str = "chi2"
) -> Any:
    """Read one dataset, without models.

    Parameters
    ----------
    item : DatasetFile
        What to read.
    name : str
        Name of the dataset.
    step : str
        Name of the step, for messages.
    edisp_bins : int
        For fermipy, bins at both ends that only the energy dispersion needs.
    stat_type : str
        For flux points, how they are compared with models.

    Raises
    ------
    StepError
        Where gammapy cannot read it.
    """
    import gammapy.datasets

    try:
        if item.ogip:
            dataset = _ogip_reader(item, name).read()
            if "rmffile" not in item.ogip:
                warnings.warn(
                    f"{name}: {item.path.name} names no RESPFILE: reconstructed energies are taken "
                    "for true ones",
                    stacklevel=2,
                )
        elif item.fermipy:
            reader = gammapy.datasets.FermipyDatasetsReader
            dataset = reader.create_dataset(**item.fermipy, edisp_bins=edisp_bins, name=name)
        elif item.type == FLUX_POINTS:
            return _flux_points(item, name, stat_type)
        else:
            kind = getattr(gammapy.datasets, item.type)
            dataset = kind.read(item.path, name=name, format="gadf")
    except _UnusableFluxError as error:
        raise StepError(
            f"{step}: {item.path.name}: {error}",
            hint="add what is missing to the table, choose another 'stat_type', or leave it out",
        ) from error
    except _ERRORS as error:
        raise StepError(
            f"{step}: gammapy cannot read {item.path.name} as a {item.type}: {error!r}",
            hint="was it written completely, in the format of the type?",
        ) from error
    dataset.models = None
    _to_native(dataset)
    return dataset


def _ogip_reader(item: DatasetFile, name: str) -> Any:
    """Return gammapy's reader, made to read the files that the plan has seen.

    gammapy would take files of the same name in the current folder first.
    """
    from gammapy.datasets.io import OGIPDatasetReader

    class Reader(OGIPDatasetReader):  # type: ignore[misc]  # gammapy has no types
        def get_filenames(self, pha_meta: Any) -> dict[str, Path]:  # noqa: ARG002
            return dict(item.ogip)

    return Reader(item.path, name=name)


def _to_native(dataset: Any) -> None:
    """Give the maps of a dataset the byte order of the machine; FITS files are big-endian."""
    names = ["counts", "counts_off", "acceptance", "acceptance_off", "exposure"]
    names += ["mask_safe", "mask_fit"]
    if not dataset.tag.endswith("OnOff"):  # there it is computed from the OFF counts
        names.append("background")
    maps = [getattr(dataset, name, None) for name in names]
    for irf in (dataset.edisp, dataset.psf):
        maps += [getattr(irf, name, None) for name in ("edisp_map", "psf_map", "exposure_map")]
    for item in maps:
        if item is not None:
            item.data = item.data.astype(item.data.dtype.newbyteorder("="), copy=False)


def _flux_points(item: DatasetFile, name: str, stat_type: str) -> Any:
    """Read a table of flux points, with the masks that gammapy writes into it."""
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table
    from gammapy.data import GTI
    from gammapy.estimators import FluxPoints

    gti = None
    if item.path.name.lower().endswith(".ecsv"):
        table = Table.read(item.path, format="ascii.ecsv")
    else:
        with fits.open(item.path, memmap=False) as hdulist:
            table = Table.read(hdulist[item.hdu], mask_invalid=False)
            for column in table.itercols():  # in the byte order of the machine
                table.replace_column(column.name, column.astype(column.dtype.newbyteorder("=")))
            if "GTI" in hdulist:
                gti = GTI.from_table_hdu(hdulist["GTI"])
    if keys := [key for key in ("e_ref", "e_min") if key in table.colnames]:
        table.sort(keys[0])  # an axis rises
    masks = {
        key: np.asarray(table[key], dtype=bool)
        for key in ("mask_safe", "mask_fit")
        if key in table.colnames
    }
    table.remove_columns(list(masks))
    if "is_ul" in table.colnames:  # 0 and 1 in tables of others; a missing one is no limit
        table["is_ul"] = np.ma.filled(table["is_ul"], 0).astype(bool)
    keep_energies(table, name)
    if str(table.meta.get("SED_TYPE", "")) == "likelihood" or "norm" in table.colnames:
        flux = FluxPoints.from_table(table, gti=gti)  # its reference is a part of the table
        reference = flux.reference_spectral_model
    else:
        from gammapy.modeling.models import PowerLawSpectralModel

        reference = PowerLawSpectralModel(index=2)  # gammapy's own, without a random name
    flux = FluxPoints.from_table(table, reference_model=_named(reference), gti=gti)
    return flux_dataset(flux, name, stat_type, **masks)


def keep_energies(table: Any, name: str) -> None:
    """Drop the bins of a table where gammapy would move fluxes to other energies because of them.

    It takes the energy of a flux to be the geometric mean of its bin, whatever ``e_ref`` says, and
    the end of a bin to be the beginning of the next.

    Parameters
    ----------
    table : `astropy.table.Table`
        Of flux points; changed in place.
    name : str
        Of what, for messages.

    Raises
    ------
    ValueError
        Where bins leave gaps, and fluxes are integrals over them.
    """
    import numpy as np

    if not {"e_min", "e_max"} <= set(table.colnames):
        return
    low, high = table["e_min"].quantity, table["e_max"].quantity
    middle = np.sqrt(low * high)
    given = table["e_ref"].quantity if "e_ref" in table.colnames else middle
    gaps = np.any(np.abs((high[:-1] / low[1:]).to_value("") - 1) > _SHIFT)
    if not gaps and np.all(np.abs((given / middle).to_value("") - 1) <= _SHIFT):
        return
    kind = str(table.meta.get("SED_TYPE", ""))
    if not (kind.endswith("dnde") or (not kind and {"dnde", "e2dnde"} & set(table.colnames))):
        if gaps:
            raise _UnusableFluxError(
                "the energy bins leave gaps or overlap, and the fluxes are integrals over them; "
                "give differential fluxes ('dnde') at energies 'e_ref'"
            )
        return  # an integral is one over its bin, wherever 'e_ref' is
    table["e_ref"] = given
    table.remove_columns(["e_min", "e_max"])
    warnings.warn(
        f"{name}: the fluxes are those at 'e_ref'; their bins are not used, for they "
        + ("leave gaps" if gaps else "have other centres"),
        stacklevel=2,
    )


def _named(spectrum: Any) -> Any:
    from gammapy.modeling.models import SkyModel

    return SkyModel(spectral_model=spectrum, name="reference")


def flux_dataset(flux: Any, name: str, stat_type: str, **masks: Any) -> Any:
    """Return flux points as a dataset.

    Parameters
    ----------
    flux : `gammapy.estimators.FluxPoints`
        With an energy axis alone.
    name : str
        Name of the dataset.
    stat_type : str
        ``chi2``, ``distrib`` or ``profile``.
    **masks : array of bool, shape (n,)
        ``mask_safe``, ``mask_fit``.

    Returns
    -------
    dataset : `gammapy.datasets.FluxPointsDataset`

    Raises
    ------
    ValueError
        For flux points with other axes, and where the statistic needs what they do not have.
    """
    from gammapy.datasets import FluxPointsDataset

    axes = [axis.name for axis in flux.geom.axes]
    if axes != ["energy"]:
        raise ValueError(f"the flux points have the axes {', '.join(axes)}, not energy alone")
    if stat_type == "profile" and "stat_scan" not in flux.available_quantities:
        raise _UnusableFluxError(
            "'stat_type: profile' needs profiles of the likelihood (stat_scan)"
        )
    if stat_type == "distrib" and not flux.has_ul:
        raise _UnusableFluxError("'stat_type: distrib' needs upper limits, and there is no column")
    shape = flux.dnde.data.shape
    shaped = {key: mask.reshape(shape) for key, mask in masks.items()}
    dataset = FluxPointsDataset(data=flux, name=name, stat_type=stat_type, **shaped)
    if stat_type != "profile":
        _leave_out_without_errors(dataset)
    if stat_type == "chi2":
        _tell_of_limits(dataset)
    return dataset


def _leave_out_without_errors(dataset: Any) -> None:
    """Take points without an error out of the safe range, with a warning.

    Raises
    ------
    ValueError
        Where none has one.
    """
    import numpy as np

    flux, pair = dataset.data, ("norm_errn", "norm_errp")
    found = set(flux.available_quantities)
    error = flux.norm_err.data if "norm_err" in found else np.full(flux.norm.data.shape, np.nan)
    if set(pair) <= found and (dataset.stat_type == "distrib" or "norm_err" not in found):
        low, high = (getattr(flux, key).data for key in pair)
        both = np.minimum(low, high)
        error = np.where(np.isfinite(both), both, error)
    value = np.isfinite(flux.norm.data) & ~flux.is_ul.data.astype(bool)
    without = value & dataset.mask_safe & ~((error > 0) & np.isfinite(error))
    if not without.any():
        return
    if without.sum() == (value & dataset.mask_safe).sum():
        raise _UnusableFluxError("the fluxes have no errors, as in a column 'dnde_err'")
    dataset.mask_safe = dataset._mask_safe & ~without
    energies = ", ".join(f"{item:.3g}" for item in flux.energy_ref[without[:, 0, 0]])
    warnings.warn(
        f"{dataset.name}: left out, for they have no error: the fluxes at {energies}", stacklevel=2
    )


def _tell_of_limits(dataset: Any) -> None:
    """Warn where gammapy takes a flux for an upper limit only because a limit is there as well."""
    import numpy as np

    flux = dataset.data
    if "is_ul" in flux._data or flux.has_any_ts or not flux.has_ul:
        return
    taken = flux.is_ul.data.astype(bool) & np.isfinite(flux.norm.data)
    if taken.any():
        warnings.warn(
            f"{dataset.name}: {int(taken.sum())} of {taken.size} fluxes are left out as upper "
            "limits, for they have one and no column 'is_ul' tells which it is",
            stacklevel=2,
        )


def isotropic_model(path: Path, dataset: str, step: str) -> Any:
    """Return the model of the isotropic diffuse emission in a dataset of Fermi-LAT.

    Returns
    -------
    model : `gammapy.modeling.models.SkyModel`
        For the dataset alone, with a free norm.

    Raises
    ------
    StepError
        Where the file is no table of energies and intensities.
    """
    from gammapy.modeling.models import create_fermi_isotropic_diffuse_model

    try:
        return create_fermi_isotropic_diffuse_model(path, datasets_names=[dataset])
    except _ERRORS as error:
        raise StepError(
            f"{step}: {path.name} is no file of isotropic emission: {error}",
            hint="it has rows of energy in MeV and intensity in MeV-1 cm-2 s-1 sr-1",
        ) from error
