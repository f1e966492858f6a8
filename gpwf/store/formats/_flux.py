"""Flux estimates over energy: what flux points, light curves and profiles of the flux share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpwf.store.formats._fits import (
    exact_gti,
    gti_to_plain,
    native,
    plain,
    read_json,
    time_from_plain,
    time_to_plain,
    write_hdulist,
    write_json,
)
from gpwf.store.formats.models import read_models, write_models

__all__ = ["flux_table", "read_flux", "write_flux"]

_REFERENCE = "reference_"
_DISTANCE = "projected-distance"


def write_flux(
    flux: Any,
    directory: Path,
    stem: str,
    layout: str,
    sed_type: str,
    card: Mapping[str, str],
    *,
    reference: str = _REFERENCE,
) -> None:
    """Write flux points as a FITS file that keeps everything, and as a table for people.

    Parameters
    ----------
    flux : `gammapy.estimators.FluxPoints`
        Flux points with an energy axis, a time axis where ``layout`` is ``lightcurve``, an axis of
        distance where it is ``profile``.
    directory : Path
        Where to.
    stem : str
        Name of the files without ending.
    layout : str
        gammapy's name: ``gadf-sed``, ``lightcurve`` or ``profile``.
    sed_type : str
        Of the table for people: ``dnde``, ``flux``, …
    card : mapping of str to str
        What the files say about themselves.
    reference : str
        First part of the names of the reference model's files.
    """
    from astropy.io import fits

    table = flux_table(flux, "likelihood", layout)
    for name, item in flux._data.items():
        # as the estimator left it: gammapy's table blanks points whose fit failed
        table[name] = native(item.data)[..., 0, 0]
    table.meta = {key: plain(value) for key, value in table.meta.items()}
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(table, name="FLUXPOINTS")]
    if flux.gti is not None:
        hdus.append(flux.gti.to_table_hdu())
    write_hdulist(fits.HDUList(hdus), directory / f"{stem}.fits", card)
    write_models(_as_models(flux.reference_model), directory, card, stem=reference)
    write_json(_details(flux), directory / f"{stem}.json", card)
    _write_ecsv(flux, directory / f"{stem}.ecsv", layout, sed_type, card)


def read_flux(directory: Path, stem: str, layout: str, *, reference: str = _REFERENCE) -> Any:
    """Read the `gammapy.estimators.FluxPoints` that `write_flux` wrote."""
    from astropy.table import Table
    from gammapy.estimators import FluxPoints

    details = read_json(directory / f"{stem}.json")
    # NaN stays NaN: masked, it would be left out of comparisons with it
    table = Table.read(directory / f"{stem}.fits", hdu="FLUXPOINTS", mask_invalid=False)
    flux = FluxPoints.from_table(
        table,
        sed_type="likelihood",
        format=layout,
        reference_model=read_models(directory, stem=reference)[0],
        gti=exact_gti(details["gti"]),
    )
    flux.meta = dict(details["meta"])
    flux._data = {
        name: _restored(flux._data[name], dtype, details)
        for name, dtype in details["quantities"].items()
    }
    return flux


def flux_table(flux: Any, sed_type: str, layout: str) -> Any:
    """Return gammapy's table of flux estimates."""
    import numpy as np

    if sed_type == "likelihood" and not flux.is_convertible_to_flux_sed_type:
        return _table_without_bins(flux)
    # the energy flux of an index of exactly 2 is computed twice, by a formula for others as well
    with np.errstate(divide="ignore", invalid="ignore"):
        return flux.to_table(sed_type=sed_type, format=layout)


def _table_without_bins(flux: Any) -> Any:
    """Return the table of flux points at energies that have no bins.

    gammapy reads it, but writes none: it would have the integral fluxes of the reference as well.
    """
    table = flux.to_table(sed_type="dnde", format="gadf-sed")
    table.keep_columns([name for name in ("e_ref", "norm_scan") if name in table.colnames])
    table.meta["SED_TYPE"] = "likelihood"
    table["ref_dnde"] = flux.dnde_ref[..., 0, 0].to("TeV-1 cm-2 s-1")
    return table


def _as_models(model: Any) -> Any:
    """Return the reference model as a list of models with one entry.

    Fluxes from FITS without a model have a template made of them, whose numbers gammapy can write
    in the byte order of the machine only.
    """
    from gammapy.modeling.models import Models

    spectrum = model.spectral_model
    for name in ("energy", "values"):
        numbers: Any = getattr(spectrum, name, None)
        dtype = getattr(numbers, "dtype", None)
        if dtype is not None and not dtype.isnative:
            setattr(spectrum, name, native(numbers))
    return Models([model])


def _details(flux: Any) -> dict[str, Any]:
    """Return what the table in FITS loses."""
    from gammapy.maps import LabelMapAxis

    details: dict[str, Any] = {
        "format": "gpwf-flux/1",
        "meta": plain(flux.meta),
        "quantities": {name: item.data.dtype.name for name, item in flux._data.items()},
        "gti": gti_to_plain(flux.gti),
    }
    for item in flux._data.values():
        for axis in item.geom.axes:
            # a table that does not name the datasets has an axis of numbers, made anew when read
            if axis.name == "dataset" and isinstance(axis, LabelMapAxis):
                details["datasets"] = plain(axis.center)
            elif axis.name == "time":
                details["time"] = {
                    "reference": time_to_plain(axis.reference_time),
                    "min": {"value": plain(axis.edges_min.value), "unit": str(axis.edges_min.unit)},
                    "max": {"value": plain(axis.edges_max.value), "unit": str(axis.edges_max.unit)},
                }
            elif axis.name == _DISTANCE:
                nodes = axis.center if axis.node_type == "center" else axis.edges
                details["distance"] = {
                    "nodes": plain(nodes.value),
                    "unit": str(nodes.unit),
                    "node_type": axis.node_type,
                    "interp": axis.interp,
                }
    return details


def _restored(item: Any, dtype: str, details: Mapping[str, Any]) -> Any:
    """Return a map with its own number type and with exact time, distance and dataset axes."""
    from astropy import units as u
    from gammapy.maps import LabelMapAxis, MapAxis, RegionNDMap, TimeMapAxis

    geom = item.geom
    if "dataset" in geom.axes.names and "datasets" in details:
        geom = geom.replace_axis(LabelMapAxis(labels=details["datasets"], name="dataset"))
    if "time" in geom.axes.names:
        time = details["time"]
        axis = TimeMapAxis(
            edges_min=u.Quantity(time["min"]["value"], time["min"]["unit"]),
            edges_max=u.Quantity(time["max"]["value"], time["max"]["unit"]),
            reference_time=time_from_plain(time["reference"]),
        )
        geom = geom.replace_axis(axis)
    if _DISTANCE in geom.axes.names:
        geom = geom.replace_axis(MapAxis(**details["distance"], name=_DISTANCE))
    data = native(item.data).astype(dtype, copy=False)
    return RegionNDMap(geom=geom, data=data, unit=item.unit, dtype=data.dtype)


def _write_ecsv(flux: Any, path: Path, layout: str, sed_type: str, card: Mapping[str, str]) -> None:
    """Write the table that people open: fluxes with units, counts added up over datasets."""
    import numpy as np

    table = flux_table(flux, sed_type, layout)
    for name in ("stat_scan", "norm_scan"):
        if name in table.colnames:
            table.remove_column(name)  # arrays of likelihood profiles stay in the FITS file
    for name in ("counts", "npred", "npred_excess"):
        if name in table.colnames:
            table[name] = np.nansum(table[name], axis=-1)
    table.meta = {key: plain(value) for key, value in table.meta.items()}
    table.meta.update(card)
    table.write(path, format="ascii.ecsv")
