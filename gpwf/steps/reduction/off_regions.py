"""What may be wrong with the OFF regions of an observation, besides what gammapy looks at."""

from __future__ import annotations

import warnings
from typing import Any

from gpwf.steps.reduction.settings import DatasetsSettings

__all__ = ["off_problem"]


def off_problem(
    dataset: Any, observation: Any, settings: DatasetsSettings, mask: Any, step: str
) -> str | None:
    """Return why an observation cannot be used, or None; warn of what may be wrong.

    gammapy's `WobbleRegionsFinder` compares circles among the OFF regions alone, not with the ON
    region: a single one, or one that the exclusion mask leaves, may lie over it. And of OFF regions
    whose radius changes with energy it compares only the centre with the mask.

    Parameters
    ----------
    dataset : `gammapy.datasets.SpectrumDatasetOnOff`
        After the background.
    observation : `gammapy.data.Observation`
        Its observation.
    settings : DatasetsSettings
        Of the reduction.
    mask : `gammapy.maps.WcsNDMap` or None
        Exclusion mask.
    step : str
        Name of the step, for messages.
    """
    method = settings.background.method
    if method == "phase":
        return None
    if dataset.counts_off is None:
        if method == "reflected":
            return (
                "it has no OFF region outside the exclusion mask, or its pointing lies inside the "
                "ON region"
            )
        return (
            f"it has no OFF region: the {settings.background.parameters.n_off_regions} wobble "
            "regions overlap with each other or with the ON region, or lie in the exclusion mask"
        )
    if method == "wobble":
        region, radius = settings.on_region, _largest_radius(dataset, observation, settings)
        assert region is not None
        off = _centers(dataset)
        if off.separation(region.center.skycoord).min() < 2 * radius:
            return "it has no OFF region: a wobble region overlaps with the ON region"
        if region.is_rad_max and mask is not None and _reaches(mask, off, radius):
            warnings.warn(
                f"{step}: observation {observation.obs_id}: an OFF region whose centre is outside "
                f"the exclusion mask reaches into it, with a radius of up to {radius:.3g}",
                stacklevel=3,
            )
    return None


def _centers(dataset: Any) -> Any:
    """Return the centres of the OFF regions, `astropy.coordinates.SkyCoord` of shape (n,)."""
    from astropy.coordinates import SkyCoord
    from gammapy.utils.regions import compound_region_to_regions

    centers = [
        item.center.icrs for item in compound_region_to_regions(dataset.counts_off.geom.region)
    ]
    return SkyCoord(
        [item.ra.deg for item in centers], [item.dec.deg for item in centers], unit="deg"
    )


def _largest_radius(dataset: Any, observation: Any, settings: DatasetsSettings) -> Any:
    """Return the largest radius of the ON region at the energies of the dataset, a quantity."""
    region = settings.on_region
    assert region is not None
    if not region.is_rad_max:
        return dataset.counts.geom.region.radius
    rad_max = observation.rad_max
    pointing = observation.get_pointing_icrs(observation.tmid)
    return rad_max.evaluate(
        method="nearest",
        energy=dataset.counts.geom.axes["energy"].center,
        offset=region.center.skycoord.separation(pointing),
    ).max()


def _reaches(mask: Any, centers: Any, radius: Any) -> bool:
    """Tell whether an excluded pixel lies within a radius of one of the positions."""
    import numpy as np

    excluded = mask.geom.get_coord().skycoord[~mask.data]
    return any(np.any(excluded.separation(center) < radius) for center in centers)
