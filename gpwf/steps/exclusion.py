"""Exclusion masks: from FITS maps, regions, circles, models; true where data may be used."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from gpwf.errors import StepError

__all__ = [
    "check_fits_header",
    "exclude_circle",
    "exclude_file",
    "exclude_significant",
    "read_exclusion",
]

_SHAPE = re.compile(r"\s*[\[(]?\s*\d+(\s*,\s*\d+)*\s*,?\s*[\])]?\s*")
_MAX_PIXELS = 200_000_000
_WIDTH_DEG = 14.0
_BIN_DEG = 0.02
_MOST_BINS = 4000  # on a side
_SETTING = "background.exclusion"
_AT_ONCE = 100  # regions


def read_exclusion(path: Path, center: Any, step: str, *, width_deg: float = 0.0) -> Any:
    """Return an exclusion mask.

    Parameters
    ----------
    path : Path
        A FITS map (zero: excluded) or a file of regions to exclude (DS9, CRTF).
    center : `astropy.coordinates.SkyCoord`
        Centre of the map that is made from regions.
    step : str
        Name of the step, for the message.
    width_deg : float
        Least width of the map that is made from regions, in deg; it is 14 deg or more.

    Returns
    -------
    mask : `gammapy.maps.WcsNDMap`
        Boolean, true where data may be used.

    Raises
    ------
    StepError
        Where the file is neither, or excludes everything.
    """
    if _is_map(path):
        mask = _read_map(path, step, _SETTING)
    else:
        from gammapy.maps import Map, WcsGeom

        regions = _read_regions(path, step, _SETTING)
        width = min(max(_WIDTH_DEG, width_deg), 180.0)  # around a position
        binsz = max(_BIN_DEG, width / _MOST_BINS)
        geom = WcsGeom.create(skydir=center, binsz=binsz, width=width, frame=center.frame.name)
        mask = Map.from_geom(geom, data=~_inside(regions, geom))
    if not mask.data.any():
        raise StepError(
            f"{step}: the exclusion mask {path.name} excludes everything",
            hint="in a mask, 0 is excluded and 1 may be used; perhaps it is inverted",
        )
    if mask.data.all():
        warnings.warn(f"{step}: {path.name} excludes nothing; perhaps it lies beside", stacklevel=3)
    return mask


def exclude_file(path: Path, geom: Any, step: str, setting: str) -> Any:
    """Return which pixels a file excludes.

    Parameters
    ----------
    path : Path
        As for `read_exclusion`. Of a map with further axes, a position is excluded where any plane
        excludes it; beyond the map nothing is.
    geom : `gammapy.maps.WcsGeom`
        Image, without other axes.
    step, setting : str
        Names of the step and of the setting, for messages.

    Returns
    -------
    excluded : array of bool, shape of ``geom``
        True where a pixel's centre is excluded.

    Raises
    ------
    StepError
        Where the file is neither.
    """
    if not _is_map(path):
        return _inside(_read_regions(path, step, setting), geom)
    mask = _read_map(path, step, setting)
    # of a mask, interp_to_geom takes the pixel that holds the position
    return ~mask.interp_to_geom(geom, fill_value=1).data


def exclude_circle(center: Any, radius: Any, geom: Any) -> Any:
    """Return which pixels lie in a circle on the sky.

    Parameters
    ----------
    center : `astropy.coordinates.SkyCoord`
        Its centre.
    radius : `astropy.units.Quantity`
        Its radius.
    geom : `gammapy.maps.WcsGeom`
        Image, without other axes.

    Returns
    -------
    excluded : array of bool, shape of ``geom``
        True where a pixel's centre is nearer than the radius on the sphere.
    """
    return geom.separation(center) < radius


def exclude_significant(
    significance: Any,
    *,
    threshold: float,
    threshold_low: float | None = None,
    min_radius: Any = None,
    dilation: Any = None,
) -> Any:
    """Return where a map of significance shows a source.

    Pixels that touch, also at corners, make a region.

    Parameters
    ----------
    significance : `gammapy.maps.WcsNDMap`
        In standard deviations; with an energy axis, the highest of all bins counts. Pixels without
        a value are no source.
    threshold : float
        A region reaches it somewhere.
    threshold_low : float, optional
        A region is above it everywhere; None stands for ``threshold``.
    min_radius : `astropy.units.Quantity`, optional
        Regions smaller than a circle of this radius are left out.
    dilation : `astropy.units.Quantity`, optional
        The regions are enlarged by this distance on all sides.

    Returns
    -------
    excluded : `gammapy.maps.WcsNDMap`
        Boolean image, true in regions.

    References
    ----------
    Exclusion from significance, in several rounds: the Galactic plane survey of H.E.S.S., 2018,
    A&A 612, A1. Two thresholds: Canny 1986, IEEE TPAMI 8, 679.

    Notes
    -----
    `gammapy.maps.WcsNDMap.binary_dilate` is not used: it rounds the distance up to an odd number of
    pixels, and as it is by default, with Fourier transforms, it loses regions of one pixel.
    """
    import numpy as np
    from gammapy.maps import Map
    from scipy import ndimage

    geom = significance.geom.to_image()
    shape = geom.data_shape
    data = np.nan_to_num(significance.data, nan=-np.inf).reshape(-1, *shape).max(axis=0)
    low = threshold if threshold_low is None else threshold_low
    labels, number = ndimage.label(data > low, structure=np.ones((3, 3)))
    found = np.zeros(shape, dtype=bool)
    if number:
        indices = np.arange(1, number + 1)
        keep = ndimage.maximum(data, labels, indices) > threshold
        if min_radius is not None:
            areas = ndimage.sum_labels(geom.solid_angle().to_value("deg2"), labels, indices)
            keep &= areas >= np.pi * min_radius.to_value("deg") ** 2
        found = np.isin(labels, indices[keep])
    if dilation is not None and found.any():
        sampling = geom.pixel_scales.to_value("deg")[::-1]
        distance = ndimage.distance_transform_edt(~found, sampling=sampling)
        found = distance <= dilation.to_value("deg") * (1 + 1e-9)
    return Map.from_geom(geom, data=found)


def _is_map(path: Path) -> bool:
    return path.name.lower().endswith((".fits", ".fits.gz", ".fit", ".fit.gz"))


def _read_map(path: Path, step: str, setting: str) -> Any:
    """Return a mask from a FITS file as an image of booleans."""
    import numpy as np
    from gammapy.maps import Map

    check_fits_header(path, step)
    try:
        mask = Map.read(path)
    except (OSError, KeyError, ValueError, TypeError, ImportError) as error:
        raise StepError(
            f"{step}: {path.name} is not a map that gammapy reads: {error}",
            hint=f"'{setting}' is a FITS image or a file of regions",
        ) from error
    # FITS has no boolean images; what is unknown is not used
    mask.data = np.nan_to_num(mask.data) != 0
    if not mask.geom.is_image:
        mask = mask.reduce_over_axes(func=np.logical_and)
        mask.data = mask.data.astype(bool)
    return mask


def _read_regions(path: Path, step: str, setting: str) -> list[Any]:
    """Return the regions on the sky of a file.

    Raises
    ------
    StepError
        Where there is none, or one with a minus sign.
    """
    from regions import Regions, SkyRegion

    try:
        found = list(Regions.read(str(path)))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StepError(
            f"{step}: {path.name} is not a file of regions: {error}",
            hint=f"'{setting}' is a FITS image or a file of regions (DS9 '.reg')",
        ) from error
    regions = [item for item in found if isinstance(item, SkyRegion)]
    if not regions:
        raise StepError(
            f"{step}: {path.name} has no region on the sky",
            hint="regions are to be in sky coordinates ('fk5', 'icrs', 'galactic'), not in pixels",
        )
    if len(regions) < len(found):
        warnings.warn(
            f"{step}: {len(found) - len(regions)} of {len(found)} regions in {path.name} are in "
            "pixels, not on the sky, and exclude nothing",
            stacklevel=4,
        )
    for number, region in enumerate(found):
        if not region.meta.get("include", True):  # to the package, all that is outside of it
            raise StepError(
                f"{step}: region {number + 1} in {path.name} has a minus sign",
                hint="every region of the file is excluded: leave out the sign, or the region",
            )
    return regions


def _inside(regions: list[Any], geom: Any) -> Any:
    """Return the pixels inside any of the regions, an array of bool.

    gammapy makes one region of all, nested as deep as there are regions, which Python's stack does
    not hold for a thousand.
    """
    import numpy as np

    inside = np.zeros(geom.data_shape, dtype=bool)
    for first in range(0, len(regions), _AT_ONCE):
        inside |= geom.region_mask(regions[first : first + _AT_ONCE]).data
    return inside


def check_fits_header(path: Path, step: str) -> None:
    """Refuse a FITS file whose header gammapy must not see.

    gammapy evaluates the card WCSSHAPE as Python, so anything but whole numbers is refused; and so
    is an image of more pixels than fit in memory.

    Raises
    ------
    StepError
        Where the file is not FITS, or is refused.
    """
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False, lazy_load_hdus=False) as hdulist:
            headers = [hdu.header for hdu in hdulist]
    except OSError as error:
        raise StepError(f"{step}: {path.name} is not a FITS file: {error}") from error
    for header in headers:
        shape = header.get("WCSSHAPE")
        if shape is not None and not _SHAPE.fullmatch(str(shape)):
            raise StepError(f"{step}: {path.name} is refused: its card WCSSHAPE is {shape!r}")
        pixels = 1
        for axis in range(1, int(header.get("NAXIS", 0)) + 1):
            pixels *= int(header.get(f"NAXIS{axis}", 1))
        if pixels > _MAX_PIXELS:
            raise StepError(f"{step}: {path.name} is refused: an image of {pixels} values")
