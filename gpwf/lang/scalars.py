"""Scalars of the YAML 1.2 core schema, and characters that no text may contain.

References
----------
YAML Ain't Markup Language, version 1.2.2, section 10.3 (core schema). One thing is stricter: a
number with a leading zero is text, because observation ids are written that way (``023523``).
"""

from __future__ import annotations

import math
import re

__all__ = ["BAD_CHARACTER", "NotFiniteError", "resolve_scalar"]

BAD_CHARACTER = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""Characters outside the printable set of YAML, lone surrogates and byte order marks among them."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_DIGITS = 100  # beyond any seed; Python refuses to read more than 4300


class NotFiniteError(ValueError):
    """A number is infinite, not a number, or too large to be read."""


def resolve_scalar(text: str) -> bool | int | float | str | None:
    """Return the value of a plain (unquoted) scalar.

    Parameters
    ----------
    text : str
        The scalar as written.

    Returns
    -------
    None, bool, int, float or str
        The value; a text that is nothing else is itself.

    Raises
    ------
    NotFiniteError
        For ``.inf``, ``.nan``, and numbers that no float or reasonable integer holds.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if not (text[0].isdigit() or text[0] in "+-."):
        return text
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            if len(text) > _MAX_DIGITS:
                raise NotFiniteError(f"the number has more than {_MAX_DIGITS} digits")
            return int(text[2:] if base != 10 else text, base)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise NotFiniteError("the number is too large")
        return value
    if _NOT_FINITE.fullmatch(text):
        raise NotFiniteError(f"{text} is not a finite number")
    return text
