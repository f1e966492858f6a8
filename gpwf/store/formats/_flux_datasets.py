"""Datasets of flux points: a table that gammapy reads, and beside it all that the table loses.

``gammapy.datasets.FluxPointsDataset`` is written by gammapy as a table of dnde with two masks. That
is the file that the index of datasets names. What it loses, the reference model, profiles of the
likelihood, number types and good time intervals, is in files of its own, as of flux points.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpwf.errors import StoreError
from gpwf.store.formats._fits import plain, write_hdulist
from gpwf.store.formats._flux import flux_table, read_flux, write_flux

__all__ = ["TAG", "read_flux_dataset", "write_flux_dataset"]

TAG = "FluxPointsDataset"
_LAYOUT = "gadf-sed"


def write_flux_dataset(
    dataset: Any, directory: Path, stem: str, points: str, card: Mapping[str, str]
) -> dict[str, Any]:
    """Write a dataset of flux points.

    Parameters
    ----------
    dataset : `gammapy.datasets.FluxPointsDataset`
        Of flux points with an energy axis alone.
    directory : Path
        Where to.
    stem, points : str
        Names without ending of the table, and of the files that hold everything.
    card : mapping of str to str
        What the files say about themselves.

    Returns
    -------
    details : dict
        For the index of datasets, to be given to `read_flux_dataset`.

    Raises
    ------
    StoreError
        For flux points with other axes, and for one with a table of metadata.
    """
    import numpy as np
    from astropy.io import fits

    names = [axis.name for axis in dataset.data.geom.axes]
    if names != ["energy"]:
        raise StoreError(
            f"no format for the flux points of dataset '{dataset.name}', with axes "
            f"{', '.join(names)}: only those in energy alone can be fitted"
        )
    if dataset.meta_table is not None:
        raise StoreError(f"no format for the meta_table of the flux points '{dataset.name}'")
    table = flux_table(dataset.data, "dnde", _LAYOUT)
    for name in [name for name in table.colnames if table[name].ndim > 1]:
        table.remove_column(name)
    fit = dataset.mask_safe if dataset.mask_fit is None else dataset.mask_fit
    table["mask_fit"], table["mask_safe"] = np.ravel(fit), np.ravel(dataset.mask_safe)
    table.meta = {key: plain(value) for key, value in table.meta.items()}
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="TABLE")])
    write_hdulist(hdus, directory / f"{stem}.fits", card)
    write_flux(dataset.data, directory, points, _LAYOUT, "dnde", card, reference=f"{points}_")
    return {
        "points": points,
        "stat_type": dataset.stat_type,
        "stat_kwargs": plain(dataset.stat_kwargs),
        "mask_safe": _mask(dataset._mask_safe),
        "mask_fit": _mask(dataset.mask_fit),
    }


def read_flux_dataset(directory: Path, name: str, details: Mapping[str, Any]) -> Any:
    """Read the `gammapy.datasets.FluxPointsDataset` that `write_flux_dataset` wrote."""
    import numpy as np
    from gammapy.datasets import FluxPointsDataset

    points = details["points"]
    flux = read_flux(directory, points, _LAYOUT, reference=f"{points}_")
    shape = flux.dnde.data.shape
    masks = {
        key: None if details[key] is None else np.array(details[key], dtype=bool).reshape(shape)
        for key in ("mask_safe", "mask_fit")
    }
    return FluxPointsDataset(
        data=flux,
        name=name,
        stat_type=details["stat_type"],
        stat_kwargs=dict(details["stat_kwargs"]),
        **masks,
    )


def _mask(mask: Any) -> list[bool] | None:
    """Return a mask as plain data, in the order of the energies."""
    import numpy as np

    return None if mask is None else [bool(item) for item in np.ravel(mask)]
