"""The unit table: values, physical types, exactness, and what it refuses."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpwf.core import units
from gpwf.core.units import Unit, UnitError


@pytest.mark.parametrize(
    ("text", "value", "canonical"),
    [
        ("300 GeV", 0.3, "TeV"),
        ("0.3TeV", 0.3, "TeV"),
        ("1 erg", 0.624150907446076, "TeV"),
        ("6 arcmin", 0.1, "deg"),
        ("1 rad", 57.2957795130823, "deg"),
        ("28 min", 1680.0, "s"),
        ("1 d", 86400.0, "s"),
        ("2 km", 2000.0, "m"),
        ("1 pc", 3.08567758149137e16, "m"),
        ("1e4 cm2", 1.0, "m2"),
        ("1e-12 cm-2 s-1 TeV-1", 1e-12, "TeV-1 cm-2 s-1"),
        ("1e-12 / (cm2 s TeV)", 1e-12, "TeV-1 cm-2 s-1"),
        ("1e-9 MeV**-1 cm^-2 s-1", 1e-3, "TeV-1 cm-2 s-1"),
        ("1e-7 m-2 s-1", 1e-11, "cm-2 s-1"),
        ("10 %", 0.1, ""),
        ("-3", -3.0, ""),
    ],
)
def test_canonical(text: str, value: float, canonical: str) -> None:
    assert units.canonical(*units.parse_quantity(text)) == (value, canonical)


@pytest.mark.parametrize(
    ("unit", "physical"),
    [
        ("MeV", "energy"),
        ("mas", "angle"),
        ("yr", "time"),
        ("kpc", "length"),
        ("erg cm-2 s-1", "energy flux"),
        ("sr", "solid angle"),
        ("Crab", None),
        ("TeV2", None),
        ("", "dimensionless"),
    ],
)
def test_physical_type(unit: str, physical: str | None) -> None:
    assert units.physical_type(unit) == physical


@pytest.mark.parametrize(
    "text", ["TeV", "", "1 Tev", "1e400 TeV", "nan TeV", "1 (", "1 TeV)", "1 //"]
)
def test_no_quantity(text: str) -> None:
    with pytest.raises(UnitError):
        units.parse_quantity(text)


def test_a_near_unit_is_suggested() -> None:
    with pytest.raises(UnitError, match="did you mean 'TeV'"):
        units.parse_quantity("1 Tev")


def test_convert_refuses_another_physical_type() -> None:
    assert units.convert(1.0, "TeV", "GeV") == 1000.0
    with pytest.raises(UnitError, match="angle"):
        units.convert(1.0, "TeV", "deg")


def test_fallback_is_asked_for_unknown_units_only() -> None:
    asked: list[str] = []

    def fallback(text: str) -> Unit | None:
        asked.append(text)
        if text != "foot":
            return None
        return Unit(text=text, physical_type="length", factor=Fraction("0.3048"), canonical="m")

    assert units.canonical(10.0, "foot", fallback) == (3.048, "m")
    assert units.canonical(1.0, "km", fallback) == (1000.0, "m")
    with pytest.raises(UnitError):
        units.resolve_unit("furlong", fallback)
    assert asked == ["foot", "furlong"]


@given(st.floats(1e-20, 1e20), st.sampled_from(["MeV", "GeV", "TeV", "erg"]))
def test_settled_text_is_a_fixed_point(value: float, unit: str) -> None:
    once = units.format_quantity(*units.canonical(value, unit))
    assert units.format_quantity(*units.canonical(*units.parse_quantity(once))) == once


@given(st.integers(1, 10**6))
def test_one_energy_in_two_units_is_one_float(value: int) -> None:
    assert units.canonical(value, "GeV") == units.canonical(value / 1000, "TeV")


@pytest.mark.gammapy
def test_the_table_agrees_with_astropy() -> None:
    import astropy.units as u

    for name in ("TeV", "erg", "arcmin", "hourangle", "pc", "lyr", "AU", "yr", "wk", "sr", "Hz"):
        known = units.resolve_unit(name)
        expected = u.Unit(name).to(u.Unit(known.canonical))
        assert float(known.factor) == pytest.approx(expected, rel=1e-12)
