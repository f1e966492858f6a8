"""Exclusion masks from FITS maps or files of regions: true where data may be used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gpwf.errors import StepError

__all__ = ["check_fits_header", "read_exclusion"]

_SHAPE = re.compile(r"\s*[\[(]?\s*\d+(\s*,\s*\d+)*\s*,?\s*[\])]?\s*")
_MAX_PIXELS = 200_000_000
_WIDTH_DEG = 14.0
_BIN_DEG = 0.02


def read_exclusion(path: Path, center: Any, step: str) -> Any:
    """Return an exclusion mask.

    Parameters
    ----------
    path : Path
        A FITS map (zero: excluded) or a file of regions to exclude that the package regions reads
        (DS9, CRTF, FITS).
    center : `astropy.coordinates.SkyCoord`
        Centre of the map that is made from regions.
    step : str
        Name of the step, for the message.

    Returns
    -------
    mask : `gammapy.maps.WcsNDMap`
        Boolean, true where data may be used.

    Raises
    ------
    StepError
        Where the file is neither, or excludes everything.
    """
    name = path.name.lower()
    is_map = name.endswith((".fits", ".fits.gz", ".fit", ".fit.gz"))
    mask = _from_map(path, step) if is_map else _from_regions(path, center, step)
    if not mask.data.any():
        raise StepError(
            f"{step}: the exclusion mask {path.name} excludes everything",
            hint="in a mask, 0 is excluded and 1 may be used; perhaps it is inverted",
        )
    return mask


def _from_map(path: Path, step: str) -> Any:
    from gammapy.maps import Map

    check_fits_header(path, step)
    try:
        mask = Map.read(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StepError(
            f"{step}: {path.name} is not a map that gammapy reads: {error}",
            hint="'background.exclusion' is a FITS image or a file of regions",
        ) from error
    mask.data = mask.data.astype(bool)  # FITS has no boolean images
    return mask


def _from_regions(path: Path, center: Any, step: str) -> Any:
    from gammapy.maps import WcsGeom
    from regions import Regions, SkyRegion

    try:
        regions = [item for item in Regions.read(str(path)) if isinstance(item, SkyRegion)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise StepError(
            f"{step}: {path.name} is not a file of regions: {error}",
            hint="'background.exclusion' is a FITS image or a file of regions (DS9 '.reg')",
        ) from error
    if not regions:
        raise StepError(
            f"{step}: {path.name} has no region on the sky",
            hint="regions are to be in sky coordinates ('fk5', 'icrs', 'galactic'), not in pixels",
        )
    geom = WcsGeom.create(skydir=center, binsz=_BIN_DEG, width=_WIDTH_DEG, frame=center.frame.name)
    return geom.region_mask(regions, inside=False)


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
