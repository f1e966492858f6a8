"""Regions on maps: what gammapy asks of a region whose spectrum is taken out of a map."""

from __future__ import annotations

from typing import Any

from gpwf.errors import StepError

__all__ = ["covered_sr", "require_region"]


def covered_sr(geom: Any, region: Any) -> float:
    """Return the solid angle in sr of the pixels in a region: those with their centre inside.

    What is summed in a region, counts and background, is that of these pixels.

    Parameters
    ----------
    geom : `gammapy.maps.WcsGeom`
        Of a map, without other axes.
    region : `regions.SkyRegion`
        The region.
    """
    inside = geom.region_mask([region]).data
    return float(geom.solid_angle().to_value("sr")[inside].sum())


def require_region(dataset: Any, region: Any, what: str, step: str) -> None:
    """Check that the spectrum of a region can be taken out of a map dataset.

    gammapy refuses the same, without saying which region of which dataset.

    Parameters
    ----------
    dataset : `gammapy.datasets.MapDataset`
        The map.
    region : `regions.SkyRegion`
        The region.
    what : str
        Name of the region in the message.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where the region reaches beyond the map, or the mask of an energy bin ends inside it.

    References
    ----------
    `gammapy.datasets.MapDataset.to_region_map_dataset`.
    """
    image = dataset.counts.geom.to_image()
    wider = image.pad(1, axis_name=None).region_mask([region]).data
    if wider[[0, -1]].any() or wider[:, [0, -1]].any():
        raise StepError(
            f"{step}: {what} reaches beyond the map of dataset '{dataset.name}'",
            hint="make the region smaller, move it, or make the map wider",
        )
    if dataset.mask is None:
        return
    values = dataset.mask.data[:, image.region_mask([region]).data].astype(bool)
    if (values.any(axis=1) & ~values.all(axis=1)).any():
        raise StepError(
            f"{step}: the safe range of dataset '{dataset.name}' ends inside {what}",
            hint="move the region, make it smaller, or change 'safe_mask' of the reduction "
            "('offset-max')",
        )
