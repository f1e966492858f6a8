"""The examples of the language, word by word as its design has them, are valid with what is here.

Where the design shows a part of a document, the example has a head with ``gpwf: 1`` and the
parameters that the part speaks of; the files that it names are beside it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import gpwf

EXAMPLES = Path(__file__).parents[1] / "editor" / "examples"
PARAMS: dict[str, dict[str, str]] = {
    "crab-1d.yaml": {},
    "two-reductions.gpwf.yaml": {},
    "many-targets.gpwf.yaml": {},
    "command-and-workflow.gpwf.yaml": {"events": "events.fits"},
}
# a parameter that the design's own text never uses, which gpwf rightly says
EXPECTED = {"many-targets.gpwf.yaml": ["GP411 nothing uses the parameter 'ndirections'"]}


@pytest.mark.parametrize("name", PARAMS)
def test_an_example_has_no_diagnostics(name: str) -> None:
    """No error and no warning, whether or not the data are here."""
    found = gpwf.read(EXAMPLES / name, params=PARAMS[name]).validate(data=False)
    assert [f"{item.code} {item.message}" for item in found] == EXPECTED.get(name, [])


def test_no_example_is_left_out() -> None:
    """A file that is put beside them is one of them."""
    assert {path.name for path in EXAMPLES.glob("*.gpwf.yaml")} <= set(PARAMS)


@pytest.mark.science
@pytest.mark.parametrize("name", ["crab-1d.yaml", "two-reductions.gpwf.yaml"])
def test_an_example_finds_its_data(name: str) -> None:
    """Files and observations are there."""
    assert [str(item) for item in gpwf.read(EXAMPLES / name).validate()] == []


@pytest.mark.science
def test_a_target_on_two_rosters_is_analysed_once() -> None:
    """Three members are two targets; each member has controls of its own, with other counts."""
    plan = gpwf.read(EXAMPLES / "many-targets.gpwf.yaml").plan()
    steps = [task.step for task in plan.tasks]
    assert {step: steps.count(step) for step in dict.fromkeys(steps)} == {
        "observations": 2,
        "reduce": 2,
        "models": 1,
        "roi": 2,
        "sed": 2,
        "sim": 120,
        "sim-roi": 120,
        "sim-sed": 120,
        "sim-bands": 6,
    }
