"""Where a map is whose centre the settings leave open."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.reduction.settings import Wcs
from gpwf.steps.settings import SkyPosition

__all__ = ["map_center"]

log = logging.getLogger(__name__)

# a tenth of the smallest pixel in use: the last bits of a mean must not move a map
_DECIMALS = 3


def map_center(wcs: Wcs, observations: Sequence[Any], step: str) -> SkyPosition:
    """Return the centre of a map: as set, or the mean of the pointings.

    The mean is the direction of the sum of the unit vectors, in ICRS, rounded to 0.001 deg. Every
    observation counts once, however long it is.

    Parameters
    ----------
    wcs : Wcs
        Settings of the map.
    observations : sequence of `gammapy.data.Observation`
        At least one.
    step : str
        Name of the step, for messages.

    Raises
    ------
    StepError
        Where two pointings are further apart than the map is wide, and no centre is set.
    """
    if wcs.skydir is not None:
        return wcs.skydir
    import numpy as np

    pointings = [item.get_pointing_icrs(item.tmid) for item in observations]
    ra, dec = np.array([[item.ra.rad, item.dec.rad] for item in pointings]).T
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    _check_extent(wcs, observations, vectors, step)
    x, y, z = vectors.sum(axis=0)
    lon = round(float(np.degrees(np.arctan2(y, x))) % 360, _DECIMALS) % 360
    lat = round(float(np.degrees(np.arctan2(z, np.hypot(x, y)))), _DECIMALS)
    log.info("%s: the map is around the mean of the pointings, %g, %g deg (icrs)", step, lon, lat)
    return SkyPosition.model_validate({"lon": f"{lon} deg", "lat": f"{lat} deg"})


def _check_extent(wcs: Wcs, observations: Sequence[Any], vectors: Any, step: str) -> None:
    """Refuse pointings that no map of this extent holds; ``vectors`` has the shape (n, 3).

    Raises
    ------
    StepError
        Where two are further apart than the map is wide.
    """
    import numpy as np

    extent = max(wcs.width.width, wcs.width.height, key=lambda item: item.value)
    for number, vector in enumerate(vectors):  # not all pairs at once: memory
        cosines = np.clip(vectors @ vector, -1, 1)
        other = int(cosines.argmin())
        apart = float(np.degrees(np.arccos(cosines[other])))
        if apart > extent.value:
            one, two = observations[number].obs_id, observations[other].obs_id
            raise StepError(
                f"{step}: observations of several targets: {one} and {two} are pointed "
                f"{apart:.1f} deg apart, the map is {extent} wide",
                hint="give 'geom.wcs.skydir', or select observations of one target",
            )
