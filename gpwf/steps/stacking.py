"""Map datasets of several reductions added up into one."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.stacked_spectra import check_kinds, with_common_tables

__all__ = ["stack_maps", "union_geom"]


def stack_maps(datasets: Sequence[Any], name: str, step: str) -> Any:
    """Return the sum of map datasets inside their safe masks.

    The sum covers all of them: datasets of single observations are cutouts of one larger map.

    Parameters
    ----------
    datasets : sequence of `gammapy.datasets.MapDataset`
        All of one class, on the pixels and energy bins of one map. Background models that are set
        on them enter the sum.
    name : str
        Name of the sum.
    step : str
        Name of the step, for the message.

    Returns
    -------
    dataset : `gammapy.datasets.MapDataset`
        Or `gammapy.datasets.MapDatasetOnOff`; a new one, without models.

    Raises
    ------
    StepError
        Where classes, pixels or energy bins differ.
    """
    check_kinds(datasets, step)
    common = set.intersection(*(set(dataset.geoms) for dataset in datasets))
    geoms = {
        key: union_geom([dataset.geoms[key] for dataset in datasets], step)
        for key in datasets[0].geoms
        if key in common
    }
    total = type(datasets[0]).from_geoms(**geoms, name=name)
    for dataset in with_common_tables(datasets):
        total.stack(dataset)
    return total


def union_geom(geoms: Sequence[Any], step: str) -> Any:
    """Return the smallest geometry with all pixels of aligned geometries.

    Parameters
    ----------
    geoms : sequence of `gammapy.maps.WcsGeom`
        Parts of one map, as cutouts are, with the same other axes.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where they are not aligned.
    """
    from gammapy.maps import WcsGeom

    first = geoms[0]
    if all(geom == first for geom in geoms[1:]):
        return first
    # offset of the first pixel against that of the first geometry, in whole pixels
    offsets = [[round(float(x)) for x in first.wcs.wcs.crpix - g.wcs.wcs.crpix] for g in geoms]
    if not all(_aligned(first, geom) for geom in geoms[1:]):
        raise StepError(
            f"{step}: the datasets are on different pixels or energy bins and cannot be added",
            hint="make them with the same 'geom': pixels, energy axes, and centre ('wcs.skydir'; "
            "left out, it is the mean of the pointings of each reduction)",
        )
    shapes = [geom.data_shape[:-3:-1] for geom in geoms]  # (lon, lat)
    low = [min(offset[k] for offset in offsets) for k in (0, 1)]
    high = [
        max(offset[k] + shape[k] for offset, shape in zip(offsets, shapes, strict=True))
        for k in (0, 1)
    ]
    wcs = deepcopy(first.wcs)
    wcs.wcs.crpix = [first.wcs.wcs.crpix[k] - low[k] for k in (0, 1)]
    npix = (high[0] - low[0], high[1] - low[1])
    wcs.array_shape = npix[::-1]
    return WcsGeom(wcs=wcs, npix=npix, axes=first.axes)


def _aligned(one: Any, two: Any) -> bool:
    """Tell whether the pixels of two geometries fall on each other, and the other axes agree."""
    shift = one.wcs.wcs.crpix - two.wcs.wcs.crpix
    whole = all(abs(x - round(float(x))) < 1e-3 for x in shift)
    return whole and one.axes.names == two.axes.names and bool(one.is_aligned(two))
