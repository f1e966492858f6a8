"""Headers of maps in FITS: what gammapy would run as Python is refused before it sees it.

gammapy 2.1 evaluates the card ``WCSSHAPE`` of a map, so a FITS file could run anything as whoever
opens it. Maps are read in many ways: alone, in datasets, as templates of models, as exposures. All
of them come through one method of `gammapy.maps.WcsGeom`, and that is where it is refused.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["check_shape", "guard_geometry"]

_SHAPE = re.compile(r"\s*[\[(]?\s*\d{1,9}(\s*,\s*\d{1,9})*\s*,?\s*[\])]?\s*", re.ASCII)
_SHOWN = 60
_MARK = "_gpwf_checks_headers"


def check_shape(header: Mapping[str, Any]) -> None:
    """Refuse a header whose card ``WCSSHAPE`` is something else than whole numbers.

    Parameters
    ----------
    header : mapping of str to object
        Cards of an HDU.

    Raises
    ------
    ValueError
        With the value of the card.
    """
    shape = header.get("WCSSHAPE")
    if shape is not None and _SHAPE.fullmatch(str(shape)) is None:
        shown = str(shape)[:_SHOWN]
        raise ValueError(f"the FITS header is refused: its card WCSSHAPE is {shown!r}, no shape")


def guard_geometry(geometry: Any) -> None:
    """Have the class `gammapy.maps.WcsGeom` check every header before it reads it, from now on.

    Parameters
    ----------
    geometry : type
        The class; the second time nothing changes.
    """
    if vars(geometry).get(_MARK):
        return
    read = geometry.from_header.__func__

    @functools.wraps(read)
    def from_header(cls: Any, header: Any, *args: Any, **kwargs: Any) -> Any:
        check_shape(header)
        return read(cls, header, *args, **kwargs)

    geometry.from_header = classmethod(from_header)
    setattr(geometry, _MARK, True)
