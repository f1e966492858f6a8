"""The pixels of an exclusion mask: as set, or those of what it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.core.catalog import SettingProblem
from gpwf.errors import NoDataError, StepError
from gpwf.steps.reduction.center import map_center
from gpwf.steps.reduction.settings import Wcs, Width
from gpwf.steps.settings import Field, Radius, Section, SkyPosition
from gpwf.steps.stacking import union_geom

__all__ = ["MaskGeom", "MaskWcs", "mask_geom", "size_problems"]

_WIDEST_DEG = 20.0  # pointings further apart are of different targets
_REACH_DEG = 3.0  # how far from its pointing an observation sees
_BIN = Radius("0.02 deg")
_MOST_PIXELS = 50_000_000  # some 5 GB while circles are made


class MaskWcs(Section):
    """Pixels of a mask, spelt as those of a map."""

    skydir: SkyPosition | None = Field(
        None,
        description="Centre of the mask, its frame is that of the mask; left out: as for flux "
        "maps, datasets or observations",
        json_schema_extra={"usual": True},
    )
    binsize: Radius | None = Field(
        None, examples=["0.02 deg"], description="Pixel; left out: 0.02 deg"
    )
    width: Width | None = Field(
        None,
        description="Extent; left out: 5 deg around 'skydir', or the fields of view of the "
        "observations",
    )


class MaskGeom(Section):
    """Binning of a mask."""

    wcs: MaskWcs = Field(MaskWcs.model_validate({}), description="Pixels")


def size_problems(wcs: MaskWcs) -> list[SettingProblem]:
    """Return what is wrong with the size of a mask, as far as the settings alone say it."""
    number = _n_pixels(wcs, wcs.width or Width.model_validate({}))
    if number <= _MOST_PIXELS:
        return []
    message = f"a mask of {number:.2g} pixels does not fit into memory"
    hint = "use larger pixels ('binsize') or a smaller map ('width')"
    at = ("geom", "wcs", "binsize" if wcs.binsize is not None else "width")
    return [SettingProblem(path=at, message=message, code="GP304", hint=hint)]


def _n_pixels(wcs: MaskWcs, width: Width) -> float:
    return width.width.value * width.height.value / (wcs.binsize or _BIN).value ** 2


def mask_geom(wcs: MaskWcs, inputs: Mapping[str, Any], step: str) -> Any:
    """Return the pixels of a mask.

    Parameters
    ----------
    wcs : MaskWcs
        Settings; what they leave open is taken from the inputs.
    inputs : mapping
        ``flux_maps``, ``datasets`` and ``observations``, as far as they are connected, in this
        order of preference.
    step : str
        Name of the step, for messages.

    Returns
    -------
    geom : `gammapy.maps.WcsGeom`
        Image, without other axes.

    Raises
    ------
    StepError
        Where nothing says where the mask is.
    """
    if wcs.skydir is not None:
        return _around(wcs.skydir, wcs, Width.model_validate({}), step)
    flux_maps = inputs.get("flux_maps")
    datasets = [item for product in inputs.get("datasets") or () for item in product]
    if flux_maps is not None:
        _refuse_part(wcs, "flux maps", step)
        return flux_maps.geom.to_image()
    if datasets:
        _refuse_part(wcs, "datasets", step)
        return _of_datasets(datasets, step)
    observations = [item for product in inputs.get("observations") or () for item in product]
    if observations:
        return _of_observations(wcs, observations, step)
    if inputs.get("observations") is not None:
        raise NoDataError(f"{step}: there are no observations")
    raise StepError(
        f"{step}: nothing says where the mask is",
        hint="give 'geom.wcs.skydir', or connect 'datasets' or 'observations'",
    )


def _refuse_part(wcs: MaskWcs, whose: str, step: str) -> None:
    """Refuse pixels that are neither as set nor those of the input.

    Raises
    ------
    StepError
        Where pixel or extent is set without a centre.
    """
    if wcs.binsize is not None or wcs.width is not None:
        raise StepError(
            f"{step}: without 'geom.wcs.skydir' the mask has the pixels of the {whose}; 'binsize' "
            "and 'width' are not used",
            hint="leave them out, or give 'geom.wcs.skydir' too",
        )


def _around(center: SkyPosition, wcs: MaskWcs, width: Width, step: str) -> Any:
    """Return pixels around a centre; the width is for where none is set.

    Raises
    ------
    StepError
        Where they are too many.
    """
    from gammapy.maps import WcsGeom

    extent = wcs.width or width
    if _n_pixels(wcs, extent) > _MOST_PIXELS:
        raise StepError(
            f"{step}: a mask of {extent.width} in pixels of {wcs.binsize} does not fit into memory",
            hint="set a larger 'geom.wcs.binsize' or a smaller 'geom.wcs.width'",
        )
    return WcsGeom.create(
        skydir=center.skycoord,
        frame=center.frame,
        binsz=(wcs.binsize or _BIN).value,
        width=(extent.width.value, extent.height.value),
    )


def _of_datasets(datasets: Sequence[Any], step: str) -> Any:
    """Return the pixels of map datasets; of cutouts, those of the map that they are of.

    Raises
    ------
    StepError
        Where they are spectra, or on different pixels.
    """
    if any(dataset.counts.geom.is_region for dataset in datasets):
        raise StepError(
            f"{step}: the datasets are spectra, which have no pixels",
            hint="give 'geom.wcs.skydir', or connect 'observations' instead of 'datasets'",
        )
    return union_geom([dataset.counts.geom.to_image() for dataset in datasets], step)


def _of_observations(wcs: MaskWcs, observations: Sequence[Any], step: str) -> Any:
    """Return pixels around the fields of view of observations."""
    widest = {"width": f"{_WIDEST_DEG} deg", "height": f"{_WIDEST_DEG} deg"}
    center = map_center(Wcs.model_validate({"width": widest}), observations, step)
    position = center.skycoord
    furthest = max(
        float(item.get_pointing_icrs(item.tmid).separation(position).deg) for item in observations
    )
    extent = f"{round(2 * (furthest + _REACH_DEG), 1)} deg"
    return _around(center, wcs, Width.model_validate({"width": extent, "height": extent}), step)
