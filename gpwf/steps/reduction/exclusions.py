"""Where the background is not measured: the mask of a reduction, and whether it fits the data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.exclusion import read_exclusion
from gpwf.steps.reduction.settings import DatasetsSettings

__all__ = ["check_map_cover", "check_off_cover", "exclusion_mask", "mask_on_map"]

log = logging.getLogger(__name__)

_POSITIONS = 72  # on the circle around a pointing


def exclusion_mask(
    settings: DatasetsSettings, given: Any, center: Any, step: str, *, width_deg: float
) -> Any:
    """Return the mask of a reduction, True where the background may be measured; or None.

    Parameters
    ----------
    settings : DatasetsSettings
        ``background.exclusion`` names a file.
    given : `gammapy.maps.Map` or None
        The product at the input ``exclusion_mask``; a file is not read then.
    center : `astropy.coordinates.SkyCoord`
        Centre of the map that is made from a file of regions.
    step : str
        Name of the step, for messages.
    width_deg : float
        How wide that map has to be to hold all that is analysed, in deg.

    Returns
    -------
    mask : `gammapy.maps.WcsNDMap` or None
        Boolean, without axes.

    Raises
    ------
    StepError
        Where it is no mask on the sky, or excludes everything.
    """
    if given is not None:
        return _image(given, "the input 'exclusion_mask'", step)
    path = settings.background.exclusion
    if path is None:
        return None
    mask = read_exclusion(path.path, center, step, width_deg=width_deg)
    return _image(mask, f"the mask {path.path.name}", step)


def _image(mask: Any, name: str, step: str) -> Any:
    """Return the mask as a boolean image.

    Raises
    ------
    StepError
        Where it is none.
    """
    import numpy as np
    from gammapy.maps import WcsNDMap

    if not isinstance(mask, WcsNDMap):
        raise StepError(
            f"{step}: {name} is a {type(mask).__name__}",
            hint="an exclusion mask is an image in pixels of a projection (WCS)",
        )
    if not mask.geom.is_flat:
        axes = ", ".join(f"{axis.name} ({axis.nbin} bins)" for axis in mask.geom.axes)
        raise StepError(
            f"{step}: {name} is no image, it has the axis {axes}",
            hint="one mask is for all energies: give an image",
        )
    if mask.data.dtype != bool and not np.isin(mask.data, (0, 1)).all():
        raise StepError(
            f"{step}: {name} has values other than 0 and 1",
            hint="in a mask, 0 is excluded and 1 may be used; where this map is not meant as one, "
            "write 'required_products: {exclusion_mask: null}'",
        )
    image = mask.geom.to_image()
    flat = WcsNDMap(image, data=mask.data.reshape(image.data_shape).astype(bool))
    if not flat.data.any():
        raise StepError(
            f"{step}: {name} excludes everything",
            hint="in a mask, 0 is excluded and 1 may be used; perhaps it is inverted",
        )
    return flat


def mask_on_map(mask: Any, geom: Any, step: str) -> Any:
    """Return a mask in the pixels of a map; beyond it nothing is excluded.

    Parameters
    ----------
    mask : `gammapy.maps.WcsNDMap`
        Image.
    geom : `gammapy.maps.WcsGeom`
        Image.
    step : str
        Name of the step, for messages.

    Raises
    ------
    StepError
        Where nothing of the map is left.
    """
    # gammapy's makers do not agree on what is beyond the mask
    found = mask.interp_to_geom(geom, fill_value=1)
    found.data = found.data.astype(bool)
    if not found.data.any():
        raise StepError(
            f"{step}: the exclusion mask excludes the whole map",
            hint="the background is measured outside of it: make 'geom.wcs.width' larger, or the "
            "mask smaller",
        )
    return found


def check_map_cover(mask: Any, geom: Any, step: str) -> None:
    """Tell where a mask does not reach the pixels of a map.

    A mask that is smaller than the map is as good as a large one where it holds the sources.

    Parameters
    ----------
    mask : `gammapy.maps.WcsNDMap`
        Image, as given.
    geom : `gammapy.maps.WcsGeom`
        Image.
    step : str
        Name of the step, for messages.

    Raises
    ------
    StepError
        Where they do not overlap.
    """
    _tell(mask.geom.contains(geom.get_coord()).mean(), "the map", step)


def check_off_cover(mask: Any, center: Any, observations: Sequence[Any], step: str) -> None:
    """Tell where a mask does not reach the places of the OFF regions.

    Parameters
    ----------
    mask : `gammapy.maps.WcsNDMap`
        Image.
    center : `astropy.coordinates.SkyCoord`
        Of the ON region, which the OFF regions are as far from the pointing as.
    observations : sequence of `gammapy.data.Observation`
        At least one.
    step : str
        Name of the step, for messages.

    Raises
    ------
    StepError
        Where it reaches none of any observation.
    """
    import numpy as np
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    angles = np.linspace(0, 360, _POSITIONS, endpoint=False) * u.deg
    circles = []
    for observation in observations:
        pointing = observation.get_pointing_icrs(observation.tmid)
        circle = pointing.directional_offset_by(angles, pointing.separation(center.icrs))
        circles.append((circle.ra.deg, circle.dec.deg))
    ra, dec = np.concatenate(circles, axis=1)
    places = SkyCoord(ra, dec, unit="deg", frame="icrs")
    _tell(np.mean(mask.geom.contains({"skycoord": places})), "the places of OFF regions", step)


def _tell(covered: float, what: str, step: str) -> None:
    if covered == 0:
        raise StepError(
            f"{step}: the exclusion mask does not overlap with {what}: it excludes nothing",
            hint="give a mask of this part of the sky, or none",
        )
    if covered < 1:
        log.info(
            "%s: the exclusion mask covers %.0f %% of %s; beyond it nothing is excluded",
            step,
            100 * covered,
            what,
        )
