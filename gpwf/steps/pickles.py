"""Pickles between processes that lose nothing.

astropy pickles a `astropy.wcs.WCS` as the text of a FITS header, which keeps 13 digits: the centre
of a map of galactic coordinates comes back another number, and with it every value computed from
it, in the last bits.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["keep_exact"]


def keep_exact() -> None:
    """Have this process pickle exactly what astropy rounds; costs nothing before it is imported."""
    kind = getattr(sys.modules.get("astropy.wcs"), "WCS", None)
    if kind is not None and kind not in copyreg.dispatch_table:
        copyreg.pickle(kind, _reduce_wcs)


def _reduce_wcs(wcs: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    make, arguments = wcs.__reduce__()[:2]
    return _restore_wcs, (make, arguments, _numbers(wcs.wcs))


def _restore_wcs(make: Callable[..., Any], arguments: Any, numbers: dict[str, Any]) -> Any:
    wcs = make(*arguments)
    if "cd" in numbers and wcs.wcs.has_pc():
        del wcs.wcs.pc  # a header has it in place of CD
    for name, value in numbers.items():
        setattr(wcs.wcs, name, value)
    wcs.wcs.set()
    return wcs


def _numbers(parameters: Any) -> dict[str, Any]:
    """Return the numbers of a `astropy.wcs.Wcsprm` that a header rounds."""
    names = ["crpix", "crval", "lonpole", "latpole", "equinox", "restfrq", "restwav"]
    # a matrix comes as CD, or as PC and CDELT; the others cannot be read then
    names += ["cd"] if parameters.has_cd() else ["cdelt", "pc"]
    return {name: getattr(parameters, name) for name in names}
