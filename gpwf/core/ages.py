"""Lengths of time as people write them on a command line: ``90m``, ``12h``, ``30d``."""

from __future__ import annotations

import re

__all__ = ["age_text", "parse_age"]

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_ZERO = re.compile(r"0+(?:\.0+)?")
_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]+)")


def parse_age(text: str) -> float:
    """Return a length of time in seconds.

    Parameters
    ----------
    text : str
        A number and one of ``s m min h d w y``; ``0`` needs no unit.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> parse_age("90m"), parse_age("1.5 h"), parse_age("0")
    (5400.0, 5400.0, 0.0)
    """
    words = text.strip().lower()
    if _ZERO.fullmatch(words):
        return 0.0
    found = _FORM.fullmatch(words)
    if found is None or found["unit"] not in _UNITS:
        raise ValueError(f"{text!r} is no length of time: write 30d, 12h, 90m or 45s")
    return float(found["number"]) * _UNITS[found["unit"]]


def age_text(seconds: float) -> str:
    """Return a length of time in the largest unit that divides it.

    >>> age_text(7200), age_text(90), age_text(86400 * 30)
    ('2h', '90s', '30d')
    """
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:.0f}{unit}"
    return f"{seconds:.0f}s"
