"""Settings: what is accepted, how it is settled, and what is said of everything else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpwf.core.catalog import SettingProblem, Settled
from gpwf.core.digests import canonical_json
from gpwf.core.spec import Port
from gpwf.steps.base import Step
from gpwf.steps.settings import (
    Angle,
    DiffFlux,
    Duration,
    Energy,
    EnergyAxis,
    EnergyEdges,
    EnergyRange,
    Field,
    Fraction,
    InputPath,
    Instant,
    Radius,
    Section,
    SkyCircle,
    SkyPosition,
    StepSettings,
)
from gpwf.steps.settle import restore, settle

BASE = Path("/somewhere")


class Inner(Section):
    """A nested group."""

    number: float = Field(1, ge=0, description="A number")
    names: tuple[str, ...] = Field((), description="Names")


class Everything(StepSettings):
    """One field of every kind."""

    energy: Energy | None = Field(None, description="x")
    angle: Angle = Field(Angle("0 deg"), description="x")
    radius: Radius = Field(Radius("6 arcmin"), description="x")
    duration: Duration | None = Field(None, description="x")
    flux: DiffFlux | None = Field(None, description="x")
    when: Instant | None = Field(None, description="x")
    axis: EnergyAxis | None = Field(None, description="x")
    edges: EnergyEdges | None = Field(None, description="x")
    span: EnergyRange | None = Field(None, description="x")
    position: SkyPosition | None = Field(None, description="x")
    circle: SkyCircle | None = Field(None, description="x")
    file: InputPath | None = Field(None, description="x")
    count: int = Field(1, ge=1, le=9, description="x")
    part: Fraction = Field(0.5, description="x")
    flag: bool = Field(False, description="x")
    text: str = Field("", description="x")
    choice: Literal["one", "two"] = Field("one", description="x")
    either: Literal["all", "none"] | tuple[Literal["aeff", "edisp"], ...] = Field(
        "all", description="x"
    )
    many: tuple[Inner, ...] = Field((), description="x")
    pairs: tuple[tuple[Instant, Instant], ...] = Field((), description="x")
    mapping: dict[str, float] = Field({}, description="x")
    free: dict[str, Any] = Field({}, description="x")
    inner: Inner = Field(Inner.model_validate({}), description="x")


class Dummy(Step):
    """A step with one field of every kind."""

    tag = "dummy"
    version = "1"
    title = "Dummy"
    group = "data"
    Settings = Everything
    output_ports = (Port(name="models", kind="models"),)

    def run(self, settings: Any, inputs: Any, ctx: Any) -> dict[str, Any]:
        return {}


def result(**config: Any) -> Settled:
    return settle(Dummy(), config, base=BASE)


def value(**config: Any) -> Any:
    (name,) = config
    settled = result(**config)
    assert settled.problems == ()
    return settled.settings[name]


def problem(**config: Any) -> SettingProblem:
    settled = result(**config)
    (found,) = settled.problems
    assert settled.settings == {}
    return found


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"energy": "300 GeV"}, "0.3 TeV"),
        ({"energy": "0.3TeV"}, "0.3 TeV"),
        ({"energy": "1 erg"}, "0.624150907446076 TeV"),
        ({"angle": "-30 arcmin"}, "-0.5 deg"),
        ({"angle": "05h34m31.94s"}, "83.6330833333333 deg"),
        ({"angle": "-0d30m"}, "-0.5 deg"),
        ({"duration": "28 min"}, "1680.0 s"),
        ({"flux": "3.8e-11 cm-2 s-1 TeV-1"}, "3.8e-11 TeV-1 cm-2 s-1"),
        ({"flux": "3.8e-15 / (cm2 s GeV)"}, "3.8e-12 TeV-1 cm-2 s-1"),
        ({"when": "2004-12-04"}, "2004-12-04T00:00:00.000"),
        ({"when": "2004-12-04 22:08:10.1840Z"}, "2004-12-04T22:08:10.184"),
        ({"part": 1}, 1.0),
        ({"either": ["aeff"]}, ["aeff"]),
        ({"many": [{"names": ["a"]}]}, [{"number": 1.0, "names": ["a"]}]),
        ({"mapping": {"a": 1}}, {"a": 1.0}),
        ({"free": {"a": [1, {"b": None}]}}, {"a": [1, {"b": None}]}),
        (
            {"circle": {"lon": "1 deg", "lat": "2 deg", "radius": "1 rad"}},
            {
                "center": {"frame": "icrs", "lon": "1.0 deg", "lat": "2.0 deg"},
                "radius": "57.2957795130823 deg",
            },
        ),
    ],
)
def test_it_is_settled(config: dict[str, Any], expected: Any) -> None:
    assert value(**config) == expected


def test_both_ways_of_a_circle_are_the_same_setting() -> None:
    position = {"frame": "galactic", "lon": "184.5 deg", "lat": "-5.8 deg"}
    loose = value(circle={**position, "radius": "0.1 deg"})
    assert loose == value(circle={"center": position, "radius": "6 arcmin"})


@pytest.mark.parametrize(
    ("config", "path", "code", "message"),
    [
        ({"energy": "1 deg"}, ("energy",), "GP303", "unit 'deg' is not a unit of energy"),
        ({"energy": "1 kg"}, ("energy",), "GP303", "unit 'kg' is not a unit of energy"),
        ({"energy": "1 TeVV"}, ("energy",), "GP303", "unknown unit 'TeVV'; did you mean 'TeV'?"),
        ({"energy": "1"}, ("energy",), "GP303", "no unit; expected an energy such as '1 TeV'"),
        ({"energy": 1}, ("energy",), "GP303", "1 has no unit"),
        ({"energy": True}, ("energy",), "GP302", "not a boolean"),
        ({"energy": "much"}, ("energy",), "GP302", "is not a number with a unit"),
        ({"energy": "nan TeV"}, ("energy",), "GP302", "is not a number with a unit"),
        ({"energy": "1e999 TeV"}, ("energy",), "GP303", "too large"),
        ({"energy": "-1 TeV"}, ("energy",), "GP304", "must be greater than 0 TeV"),
        ({"radius": "0 deg"}, ("radius",), "GP304", "must be greater than 0 deg"),
        ({"flux": "-1 cm-2 s-1 TeV-1"}, ("flux",), "GP304", "must be at least 0"),
        ({"angle": "5h70m"}, ("angle",), "GP304", "60 or more minutes"),
        ({"angle": "5 h"}, ("angle",), "GP303", "unit 'h' is not a unit of angle"),
        ({"when": "yesterday"}, ("when",), "GP302", "is not an ISO 8601 time"),
        ({"when": "2004-13-04"}, ("when",), "GP304", "month must be in 1..12"),
        ({"count": 10}, ("count",), "GP304", "10 is out of range; it must be at most 9"),
        ({"count": 1.0}, ("count",), "GP302", "expected a whole number"),
        ({"count": "3"}, ("count",), "GP302", "expected a whole number, not a text"),
        ({"flag": 1}, ("flag",), "GP302", "expected true or false"),
        ({"part": math.inf}, ("part",), "GP304", "is not a finite number"),
        ({"part": 1.5}, ("part",), "GP304", "at most 1"),
        ({"text": 3}, ("text",), "GP302", "expected a text, not a whole number"),
        ({"choice": "tow"}, ("choice",), "GP304", "'tow' is not one of one, two"),
        ({"either": "al"}, ("either",), "GP304", "'al' is not one of all, none"),
        ({"either": ["aef"]}, ("either", 0), "GP304", "'aef' is not one of aeff, edisp"),
        ({"either": 3}, ("either",), "GP302", "or a list of"),
        ({"many": [{}, {"number": -1}]}, ("many", 1, "number"), "GP304", "at least 0"),
        ({"pairs": [["2004-12-04"]]}, ("pairs", 0), "GP304", "item 2 is missing"),
        ({"mapping": {"a": "x"}}, ("mapping", "a"), "GP302", "expected a number"),
        ({"inner": 3}, ("inner",), "GP302", "expected a mapping, not a whole number"),
        ({"inner": None}, ("inner",), "GP302", "expected a mapping, not null"),
        ({"coutn": 3}, ("coutn",), "GP301", "unknown setting 'coutn'"),
        ({"file": ""}, ("file",), "GP304", "the path is empty"),
        ({"file": 3}, ("file",), "GP302", "expected a path"),
        (
            {"axis": {"min": "2 TeV", "max": "2000 GeV", "nbins": 3}},
            ("axis",),
            "GP306",
            "min (2.0 TeV) must be less than max (2.0 TeV)",
        ),
        ({"axis": {"min": "2 TeV", "max": "3 TeV"}}, ("axis", "nbins"), "GP305", "nbins"),
        ({"span": {"min": "2 TeV", "max": "1 TeV"}}, ("span",), "GP306", "less than max"),
        ({"edges": {"edges": ["2 TeV", "1 TeV"]}}, ("edges",), "GP306", "rising order"),
        ({"edges": {"min": "1 TeV"}}, ("edges",), "GP306", "are needed"),
        (
            {"position": {"lon": "1 deg", "lat": "91 deg"}},
            ("position",),
            "GP304",
            "latitude '91.0 deg' is beyond ±90 deg",
        ),
        (
            {"circle": {"lon": "1 TeV", "lat": "2 deg", "radius": "1 deg"}},
            ("circle", "lon"),
            "GP303",
            "unit 'TeV' is not a unit of angle",
        ),
        (
            {"circle": {"center": {"lon": "1 deg"}, "radius": "1 deg"}},
            ("circle", "center", "lat"),
            "GP305",
            "missing required setting 'lat' (angle)",
        ),
        (
            {"circle": {"lon": "1 deg", "center": {"lon": "1 deg"}, "radius": "1 deg"}},
            ("circle",),
            "GP306",
            "not both",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_place(
    config: dict[str, Any], path: tuple[str | int, ...], code: str, message: str
) -> None:
    found = problem(**config)
    assert (found.path, found.code) == (path, code)
    assert message in found.message


def test_every_problem_is_told() -> None:
    found = result(energy="1 deg", count=0, nothing=1).problems
    assert [item.path for item in found] == [("energy",), ("count",), ("nothing",)]


def test_a_near_miss_is_suggested() -> None:
    assert problem(raduis="1 deg").hint == "did you mean 'radius'?"
    assert problem(choice="tow").hint == "did you mean 'two'?"
    hint = problem(energy=3).hint
    assert hint is not None
    assert "'3 TeV'" in hint


def test_a_problem_in_free_data_has_its_way() -> None:
    settled = result(free={"a": [1.0, math.nan]})
    (found,) = settled.problems
    assert found.path == ("free", "a", 1)


def test_paths_are_absolute_and_expand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/data")
    monkeypatch.delenv("NOWHERE", raising=False)
    assert value(file="a/../b.fits") == "/somewhere/b.fits"
    assert value(file="$PLACE/b.fits") == "/data/b.fits"
    assert value(file="~/b.fits") == str(Path.home() / "b.fits")
    assert value(file="$NOWHERE/b.fits") == "$NOWHERE/b.fits"
    monkeypatch.setenv("NOWHERE", "")  # /b.fits would be the wrong file, or a puzzling message
    assert value(file="$NOWHERE/b.fits") == "$NOWHERE/b.fits"


def test_every_leaf_has_its_type() -> None:
    config = {
        "energy": "1 TeV",
        "file": "x",
        "either": ["aeff"],
        "many": [{}],
        "free": {"a": [1.5]},
        "circle": {"lon": "1 deg", "lat": "2 deg", "radius": "1 deg"},
    }
    types = result(**config).types
    expected = {
        "energy": "energy",
        "file": "path",
        "duration": "duration",
        "either.0": "str",
        "many.0.number": "float",
        "free.a.0": "float",
        "circle.center.frame": "str",
        "circle.radius": "angle",
        "flag": "bool",
        "count": "int",
        "inner.number": "float",
    }
    assert {name: types[name] for name in expected} == expected


def test_settled_settings_are_plain_and_settle_to_themselves() -> None:
    settled = result(energy="300 GeV", either=["aeff"], pairs=[["2004-12-04", "2004-12-05"]])
    canonical_json(settled.settings)
    again = settle(Dummy(), settled.settings, base=Path("/elsewhere"))
    assert again == settled
    model = restore(Dummy(), settled.settings)
    assert model == Everything.model_validate(dict(settled.settings))


@given(st.floats(min_value=1e-6, max_value=1e6, allow_nan=False, allow_infinity=False))
def test_units_do_not_change_a_quantity(number: float) -> None:
    tera = Energy(f"{number:.12g} TeV")
    assert Energy(f"{number:.12g}e3 GeV" if "e" not in f"{number:.12g}" else tera) == tera
    assert Energy(tera) == tera
    assert tera.value == pytest.approx(number)


@pytest.mark.parametrize("text", ["0.11 deg", "6.6 arcmin", "396 arcsec"])
def test_quantities_of_astropy_agree(text: str) -> None:
    from astropy.units import Quantity

    radius = Radius(text)
    assert radius.quantity.to_value("deg") == pytest.approx(Quantity(text).to_value("deg"))
    assert radius.quantity.unit == "deg"


def test_units_that_only_astropy_knows() -> None:
    from astropy.units import Quantity

    energy = Energy("2 Ry")
    assert energy.value == pytest.approx(Quantity("2 Ry").to_value("TeV"), rel=1e-14)
    assert Energy(str(energy)) == energy


def test_energy_edges() -> None:
    axis = EnergyAxis(min=Energy("1 TeV"), max=Energy("100 TeV"), nbins=2)
    assert axis.edges.to_value("TeV").tolist() == pytest.approx([1, 10, 100])
    listed = EnergyEdges.model_validate({"edges": ["1 TeV", "2 TeV", "30 TeV"]})
    assert listed.quantity.to_value("TeV").tolist() == [1, 2, 30]


def test_positions_and_times_become_objects_of_astropy() -> None:
    position = SkyPosition.model_validate({"frame": "galactic", "lon": "0 deg", "lat": "0 deg"})
    assert position.skycoord.icrs.ra.deg == pytest.approx(266.405, abs=1e-3)
    assert Instant("2004-12-04T22:00:00").time.mjd == pytest.approx(53343.9166667)
