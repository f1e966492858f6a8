"""Units and quantities as text, without astropy.

A small exact table covers the units that gamma-ray settings are written in: energies, angles,
times, lengths, areas, fluxes and their products. A unit that the table does not know goes to a
fallback that the caller injects; the room `gpwf.steps` injects one made with `astropy.units`.

Conversions are done with fractions, so that ``300 GeV`` and ``0.3 TeV`` give the same float.

References
----------
Energies follow the exact SI value of the electronvolt (BIPM, SI Brochure, 9th edition); the
astronomical unit and the parsec follow IAU 2012 Resolution B2 and IAU 2015 Resolution B2. Spelling
follows ``astropy.units``.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

__all__ = [
    "CANONICAL_UNITS",
    "Unit",
    "UnitError",
    "UnitFallback",
    "canonical",
    "convert",
    "format_quantity",
    "near_units",
    "parse_quantity",
    "physical_type",
    "resolve_unit",
    "round_value",
    "split_quantity",
]

_MAX_TEXT = 200  # a unit or a quantity longer than this is not one


class UnitError(ValueError):
    """A text is no quantity, a unit is unknown, or two units do not measure the same thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit that is understood.

    Parameters
    ----------
    text : str
        As written.
    physical_type : str
        What it measures: ``energy``, ``angle``, ``time``, ``length``, ``photon flux`` ...
    factor : Fraction
        One of this unit in canonical units.
    canonical : str
        Canonical unit of the physical type.
    """

    text: str
    physical_type: str
    factor: Fraction
    canonical: str


UnitFallback = Callable[[str], Unit | None]

# Exponents of (energy, angle, time, length), each counted in TeV, deg, s, m.
_Dimension = tuple[int, int, int, int]

_ENERGY: _Dimension = (1, 0, 0, 0)
_ANGLE: _Dimension = (0, 1, 0, 0)
_TIME: _Dimension = (0, 0, 1, 0)
_LENGTH: _Dimension = (0, 0, 0, 1)
_NONE: _Dimension = (0, 0, 0, 0)

_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494")
_AU = Fraction(149597870700)
_JOULE = Fraction(1) / Fraction("1.602176634e-19") / 10**12

# dimension -> (physical type, canonical unit, one canonical unit in TeV, deg, s, m)
_TYPES: dict[_Dimension, tuple[str, str, Fraction]] = {
    _NONE: ("dimensionless", "", Fraction(1)),
    _ENERGY: ("energy", "TeV", Fraction(1)),
    _ANGLE: ("angle", "deg", Fraction(1)),
    _TIME: ("time", "s", Fraction(1)),
    _LENGTH: ("length", "m", Fraction(1)),
    (0, 0, 0, 2): ("area", "m2", Fraction(1)),
    (0, 2, 0, 0): ("solid angle", "deg2", Fraction(1)),
    (0, 0, -1, 0): ("frequency", "s-1", Fraction(1)),
    (0, 0, -1, 1): ("speed", "m s-1", Fraction(1)),
    (0, 0, -1, -2): ("photon flux", "cm-2 s-1", Fraction(10**4)),
    (-1, 0, -1, -2): ("differential flux", "TeV-1 cm-2 s-1", Fraction(10**4)),
    (1, 0, -1, -2): ("energy flux", "TeV cm-2 s-1", Fraction(10**4)),
    (-1, -2, -1, -2): (
        "differential surface brightness",
        "TeV-1 cm-2 s-1 sr-1",
        Fraction(10**4) * (_PI / 180) ** 2,
    ),
    (-1, 0, 0, 0): ("inverse energy", "TeV-1", Fraction(1)),
    (2, 0, 0, -5): ("J factor", "GeV2 cm-5", Fraction(10**4)),
    (1, 0, 0, -2): ("D factor", "GeV cm-2", Fraction(10)),
}

CANONICAL_UNITS: dict[str, str] = {name: unit for name, unit, _ in _TYPES.values()}
"""Canonical unit of every physical type of the table."""


def _prefixed(
    symbol: str, dimension: _Dimension, factor: Fraction, prefixes: str
) -> Iterator[tuple[str, tuple[_Dimension, Fraction]]]:
    """Yield a unit and its prefixed forms."""
    powers = {"n": -9, "u": -6, "m": -3, "c": -2, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    yield symbol, (dimension, factor)
    for prefix in prefixes:
        yield prefix + symbol, (dimension, factor * Fraction(10) ** powers[prefix])


def _table() -> dict[str, tuple[_Dimension, Fraction]]:
    """Return every unit symbol with its dimension and its size in TeV, deg, s, m."""
    degree, day = Fraction(1), Fraction(86400)
    table: dict[str, tuple[_Dimension, Fraction]] = {}
    table.update(_prefixed("eV", _ENERGY, Fraction(1, 10**12), "umkMGTPE"))
    table.update(_prefixed("J", _ENERGY, _JOULE, "mkM"))
    table.update(_prefixed("erg", _ENERGY, _JOULE / 10**7, ""))
    table.update(_prefixed("s", _TIME, Fraction(1), "numkM"))
    table.update(_prefixed("m", _LENGTH, Fraction(1), "numckM"))
    table.update(_prefixed("pc", _LENGTH, _AU * 648000 / _PI, "kMG"))
    table.update(_prefixed("lyr", _LENGTH, Fraction(9460730472580800), "kM"))
    table.update(_prefixed("rad", _ANGLE, 180 / _PI, "um"))
    table.update(_prefixed("arcsec", _ANGLE, degree / 3600, "um"))
    table.update(_prefixed("yr", _TIME, day * Fraction("365.25"), "kMG"))
    table["AU"] = table["au"] = (_LENGTH, _AU)
    table["uas"], table["mas"] = table["uarcsec"], table["marcsec"]
    for names, seconds in (
        (("min", "minute"), 60),
        (("h", "hr", "hour"), 3600),
        (("d", "day"), 86400),
        (("wk", "week"), 604800),
    ):
        table.update(dict.fromkeys(names, (_TIME, Fraction(seconds))))
    table["second"], table["year"] = table["s"], table["yr"]
    table.update(dict.fromkeys(("deg", "degree"), (_ANGLE, degree)))
    table.update(dict.fromkeys(("arcmin", "arcminute"), (_ANGLE, degree / 60)))
    table["arcsecond"], table["radian"] = table["arcsec"], table["rad"]
    table["hourangle"] = (_ANGLE, degree * 15)
    table["sr"] = ((0, 2, 0, 0), (180 / _PI) ** 2)
    table["Hz"] = ((0, 0, -1, 0), Fraction(1))
    table["%"] = (_NONE, Fraction(1, 100))
    return table


_UNITS = _table()
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z]+|%)(?:\s*(?:\*\*|\^)\s*)?(?P<power>\(-?\d{1,2}\)|[+-]?\d{1,2})?"
    r"|(?P<op>[()/*.]))\s*"
)
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*(.*?)\s*", re.DOTALL)


def _product(unit: str) -> tuple[_Dimension, Fraction] | None:
    """Multiply the factors of a unit such as ``TeV-1 s-1 / cm2``; None where a part is unknown.

    Without brackets a ``/`` divides by the next factor alone, as in ``astropy.units``.
    """
    total, factor, position, sign = list(_NONE), Fraction(1), 0, 1
    signs: list[int] = []  # sign outside each open bracket
    divide = False
    while position < len(unit):
        match = _TOKEN.match(unit, position)
        if match is None:
            return None
        position = match.end()
        operator = match["op"]
        if operator == "(":
            signs.append(sign)
            sign, divide = (-sign if divide else sign), False
        elif operator == ")":
            if not signs or divide:
                return None
            sign = signs.pop()
        elif operator == "/":
            if divide:
                return None
            divide = True
        elif operator is None:
            known = _UNITS.get(match["name"])
            if known is None:
                return None
            power = int((match["power"] or "1").strip("()")) * (-sign if divide else sign)
            divide = False
            total = [have + power * add for have, add in zip(total, known[0], strict=True)]
            factor *= known[1] ** power
    if signs or divide:
        return None
    return (total[0], total[1], total[2], total[3]), factor


@lru_cache(maxsize=512)
def _lookup(unit: str) -> Unit | None:
    """Find a unit in the table."""
    if len(unit) > _MAX_TEXT:
        return None
    found = _product(unit)
    if found is None or found[0] not in _TYPES:
        return None
    name, target, size = _TYPES[found[0]]
    return Unit(text=unit, physical_type=name, factor=found[1] / size, canonical=target)


def resolve_unit(unit: str, fallback: UnitFallback | None = None) -> Unit:
    """Return what a unit means.

    Parameters
    ----------
    unit : str
        Unit as text, ``TeV`` or ``cm-2 s-1``; empty for a pure number.
    fallback : callable, optional
        Asked for units that the table does not know; returns None for no unit at all.

    Raises
    ------
    UnitError
        Where nobody knows the unit.
    """
    text = unit.strip()
    found = _lookup(text)
    if found is None and fallback is not None and len(text) <= _MAX_TEXT:
        found = fallback(text)
    if found is None:
        near = near_units(text)
        remark = f"; did you mean {near[0]!r}?" if near else ""
        raise UnitError(f"unknown unit {text[:60]!r}{remark}")
    return found


def physical_type(unit: str, fallback: UnitFallback | None = None) -> str | None:
    """Return what a unit measures, ``energy`` for ``GeV``; None for a unit nobody knows."""
    try:
        return resolve_unit(unit, fallback).physical_type
    except UnitError:
        return None


def split_quantity(text: str) -> tuple[str, str] | None:
    """Split ``"1 TeV"`` into ``("1", "TeV")``; None where no number begins the text."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_TEXT else None
    return (match[1], match[2]) if match else None


def parse_quantity(text: str, fallback: UnitFallback | None = None) -> tuple[float, str]:
    """Return value and unit of a quantity such as ``"1 TeV"``.

    Parameters
    ----------
    text : str
        A number and a unit, with or without a space between them.
    fallback : callable, optional
        See `resolve_unit`.

    Returns
    -------
    value : float
        Finite number.
    unit : str
        Unit as written; empty for a pure number.

    Raises
    ------
    UnitError
        Where the text is no number with a unit, or nobody knows the unit.
    """
    parts = split_quantity(text)
    if parts is None:
        raise UnitError(f"{text[:60]!r} is not a number with a unit, such as '1 TeV'")
    value = float(parts[0])
    if not math.isfinite(value):
        raise UnitError(f"{text[:60]!r} is too large a number")
    resolve_unit(parts[1], fallback)
    return value, parts[1]


def round_value(value: float | Fraction) -> float:
    """Return a number rounded to 15 significant digits, without a negative zero."""
    return float(f"{float(value):.15g}") + 0.0


def canonical(value: float, unit: str, fallback: UnitFallback | None = None) -> tuple[float, str]:
    """Return a quantity in the canonical unit of its physical type, to 15 significant digits.

    Raises
    ------
    UnitError
        Where nobody knows the unit or the value is not finite.
    """
    known = resolve_unit(unit, fallback)
    return _scaled(value, known.factor), known.canonical


def convert(value: float, unit: str, target: str, fallback: UnitFallback | None = None) -> float:
    """Return ``value`` in another unit of the same physical type, to 15 significant digits.

    Raises
    ------
    UnitError
        Where a unit is unknown or the two measure different things.
    """
    old, new = resolve_unit(unit, fallback), resolve_unit(target, fallback)
    if old.canonical != new.canonical:
        raise UnitError(
            f"{unit!r} ({old.physical_type}) cannot be given in {target!r} ({new.physical_type})"
        )
    return _scaled(value, old.factor / new.factor)


def _scaled(value: float, factor: Fraction) -> float:
    """Return ``value * factor``, exact before the rounding."""
    if not math.isfinite(value):
        raise UnitError("the value is not a finite number")
    try:
        return round_value(Fraction(repr(float(value))) * factor)
    except OverflowError:
        raise UnitError(f"{value!r} is too large a number in the canonical unit") from None


def format_quantity(value: float, unit: str) -> str:
    """Return the settled text of a quantity, ``"1.0 TeV"``."""
    return f"{float(value)!r} {unit}".strip()


def near_units(unit: str) -> list[str]:
    """Return known units that are spelt like an unknown one, the nearest first."""
    folded = {name.lower(): name for name in reversed(_UNITS)}
    folded |= {f"{name.lower()}s": name for name in ("hour", "day", "year", "minute", "second")}
    folded |= {"degrees": "deg", "electronvolt": "eV", "kpcs": "kpc"}
    near = difflib.get_close_matches(unit.lower()[:40], folded, n=3, cutoff=0.7)
    return list(dict.fromkeys(folded[name] for name in near))
