"""Quantities as types of settings.

Each type is a ``str`` whose text is the settled, canonical form, so that settings are plain data
that can be hashed and written as they are. In `Step.run` the same value gives the astropy object
(``settings.radius.quantity``).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gpwf.core import units
from gpwf.steps.texts import TextType, kind_of, problem

if TYPE_CHECKING:
    from astropy.units import Quantity as AstropyQuantity

__all__ = [
    "Angle",
    "AnyQuantity",
    "Area",
    "DiffFlux",
    "Duration",
    "Energy",
    "EnergyFlux",
    "Flux",
    "Frequency",
    "Length",
    "Quantity",
    "Radius",
    "astropy_unit",
]


def astropy_unit(text: str) -> units.Unit | None:
    """Return a unit that only astropy knows, as the fallback of `gpwf.core.units`; None for none.

    Imports astropy: it is asked for units outside the fast table alone.
    """
    import astropy.units as u

    try:
        unit = u.Unit(text)
    except (ValueError, TypeError):
        return None
    for name, canonical in units.CANONICAL_UNITS.items():
        if canonical and unit.is_equivalent(u.Unit(canonical)):
            factor = Fraction(float(unit.to(u.Unit(canonical))))
            return units.Unit(text=text, physical_type=name, factor=factor, canonical=canonical)
    base = unit.si
    return units.Unit(
        text=text,
        physical_type=str(unit.physical_type).split("/")[0],
        factor=Fraction(float(base.scale)),
        canonical=u.CompositeUnit(1, base.bases, base.powers).to_string(),
    )


@lru_cache(maxsize=8192)
def _settled(kind: type[Quantity], text: str) -> str:
    """Return the settled text; a scatter asks for the same ones many thousand times."""
    return kind._canonical(text)


class Quantity(TextType):
    """A number with a unit of one physical type, ``"1.0 TeV"`` when settled.

    The settled text is in the canonical unit of the physical type and rounded to 15 significant
    digits, so that ``300 GeV`` and ``0.3 TeV`` are the same setting.

    Attributes
    ----------
    physical_type : str
        As in `gpwf.core.units`.
    lowest : float or None
        Smallest value allowed, in canonical units.
    above_lowest : bool
        True where the value must be greater than ``lowest``.
    """

    __slots__ = ()

    physical_type: ClassVar[str] = "dimensionless"
    lowest: ClassVar[float | None] = None
    above_lowest: ClassVar[bool] = False

    def __new__(cls, text: str) -> Self:
        """Parse a text in any unit of the physical type."""
        return str.__new__(cls, _settled(cls, text))

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the settled quantity; a bare number has no unit and is refused."""
        if isinstance(value, cls):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise problem(
                "GP303",
                f"{value!r} has no unit; expected {cls._expected()}",
                f"write '{value!r} {units.CANONICAL_UNITS[cls.physical_type]}' if that is meant",
            )
        if not isinstance(value, str):
            raise problem("GP302", f"expected {cls._expected()}, not {kind_of(value)}")
        return cls(value)

    @classmethod
    def _expected(cls) -> str:
        article = "an" if cls.type_name[0] in "aei" else "a"
        return f"{article} {cls.type_name} such as '{cls.examples[0]}'"

    @classmethod
    def _canonical(cls, text: str) -> str:
        try:
            number, unit = units.parse_quantity(text, astropy_unit)
            known = units.resolve_unit(unit, astropy_unit)
        except units.UnitError as error:
            code = "GP303" if units.split_quantity(text) else "GP302"
            raise problem(code, f"{error}; expected {cls._expected()}") from None
        if known.physical_type != cls.physical_type:
            if not unit:
                raise problem("GP303", f"no unit; expected {cls._expected()}")
            what = f"unit {unit!r} is not a unit of {cls.physical_type}"
            raise problem("GP303", what, f"expected {cls._expected()}")
        try:
            value, canonical = units.canonical(number, unit, astropy_unit)
        except units.UnitError as error:
            raise problem("GP304", f"{error}; expected {cls._expected()}") from None
        cls._check_range(text, value)
        return units.format_quantity(value, canonical)

    @classmethod
    def _check_range(cls, text: str, value: float) -> None:
        if cls.lowest is None:
            return
        bound = f"{cls.lowest:g} {units.CANONICAL_UNITS[cls.physical_type]}".strip()
        if value < cls.lowest or (cls.above_lowest and value == cls.lowest):
            word = "greater than" if cls.above_lowest else "at least"
            raise problem("GP304", f"{text.strip()!r} is out of range; it must be {word} {bound}")

    @property
    def value(self) -> float:
        """Number in the canonical unit of the physical type."""
        return float(self.partition(" ")[0])

    @property
    def unit(self) -> str:
        """Canonical unit of the physical type."""
        return self.partition(" ")[2]

    @property
    def quantity(self) -> AstropyQuantity:
        """The same as an `astropy.units.Quantity`."""
        import astropy.units as u

        return u.Quantity(self.value, self.unit)


class Energy(Quantity):
    """An energy greater than zero; settled in TeV."""

    __slots__ = ()
    type_name = "energy"
    physical_type = "energy"
    examples = ("1 TeV", "300 GeV")
    lowest = 0.0
    above_lowest = True


_SEXAGESIMAL = re.compile(
    r"\s*([+-]?)(\d+)([hd])\s*(?:(\d+)m\s*)?(?:(\d+(?:\.\d*)?)s)?\s*", re.ASCII
)


class Angle(Quantity):
    """An angle of any sign; settled in deg. ``05h34m31.9s`` and ``22d00m52s`` are read too."""

    __slots__ = ()
    type_name = "angle"
    physical_type = "angle"
    examples = ("83.633 deg", "05h34m31.9s")

    @classmethod
    def _canonical(cls, text: str) -> str:
        match = _SEXAGESIMAL.fullmatch(text) if len(text) < 100 else None
        if match is None or (match[3] == "h" and match[4] is None and match[5] is None):
            return super()._canonical(text)  # "5 h" alone is a time
        minutes, seconds = Fraction(match[4] or 0), Fraction(match[5] or 0)
        if minutes >= 60 or seconds >= 60:
            raise problem("GP304", f"{text.strip()!r} has 60 or more minutes or seconds")
        degrees = (int(match[2]) + minutes / 60 + seconds / 3600) * (15 if match[3] == "h" else 1)
        value = units.round_value(-degrees if match[1] == "-" else degrees)
        cls._check_range(text, value)
        return units.format_quantity(value, "deg")


class Radius(Angle):
    """An angle greater than zero; settled in deg."""

    __slots__ = ()
    examples = ("0.11 deg", "6.6 arcmin")
    lowest = 0.0
    above_lowest = True


class Duration(Quantity):
    """A span of time greater than zero; settled in s."""

    __slots__ = ()
    type_name = "duration"
    physical_type = "time"
    examples = ("28 min", "1680 s")
    lowest = 0.0
    above_lowest = True


class Length(Quantity):
    """A length; settled in m."""

    __slots__ = ()
    type_name = "length"
    physical_type = "length"
    examples = ("1835 m", "2 kpc")


class Area(Quantity):
    """An area greater than zero; settled in m2."""

    __slots__ = ()
    type_name = "area"
    physical_type = "area"
    examples = ("1e5 m2", "1e9 cm2")
    lowest = 0.0
    above_lowest = True


class Frequency(Quantity):
    """A rate that is not negative; settled in s-1."""

    __slots__ = ()
    type_name = "rate"
    physical_type = "frequency"
    examples = ("1 s-1", "5 Hz")
    lowest = 0.0


class Flux(Quantity):
    """An integral photon flux that is not negative; settled in cm-2 s-1."""

    __slots__ = ()
    type_name = "photon flux"
    physical_type = "photon flux"
    examples = ("1e-12 cm-2 s-1",)
    lowest = 0.0


class DiffFlux(Quantity):
    """A differential photon flux that is not negative; settled in TeV-1 cm-2 s-1."""

    __slots__ = ()
    type_name = "differential flux"
    physical_type = "differential flux"
    examples = ("3.4e-11 TeV-1 cm-2 s-1",)
    lowest = 0.0


class EnergyFlux(Quantity):
    """An energy flux that is not negative; settled in TeV cm-2 s-1."""

    __slots__ = ()
    type_name = "energy flux"
    physical_type = "energy flux"
    examples = ("1e-11 erg cm-2 s-1",)
    lowest = 0.0


class AnyQuantity(TextType):
    """A number with a unit of any physical type; settled in the canonical unit of that.

    For values of parameters of models, whose units are known when the models are.
    """

    __slots__ = ()
    type_name = "quantity"
    examples = ("3e-11 cm-2 s-1 TeV-1", "0.2 deg")

    def __new__(cls, text: str) -> Self:
        """Parse a text in any unit."""
        try:
            value, unit = units.parse_quantity(text, astropy_unit)
            settled = units.format_quantity(*units.canonical(value, unit, astropy_unit))
        except units.UnitError as error:
            code = "GP303" if units.split_quantity(text) else "GP302"
            wanted = f"expected a number with a unit, such as '{cls.examples[0]}'"
            raise problem(code, f"{error}; {wanted}") from None
        return str.__new__(cls, settled)

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the settled quantity."""
        if not isinstance(value, str):
            raise problem("GP302", f"expected a number with a unit, not {kind_of(value)}")
        return cls(value)

    @property
    def quantity(self) -> AstropyQuantity:
        """The same as an `astropy.units.Quantity`."""
        import astropy.units as u

        number, _, unit = self.partition(" ")
        return u.Quantity(float(number), unit)
