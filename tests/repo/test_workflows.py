"""The workflows of the repository are valid, formatted for editors, and bring what they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gpwf

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.gpwf.yaml"))


def test_there_are_workflows() -> None:
    """Both that the README and the tutorial speak of are here."""
    assert {"quickstart.gpwf.yaml", "crab-1d.gpwf.yaml"} <= {path.name for path in WORKFLOWS}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_is_valid(path: Path) -> None:
    """No error and no warning, whether or not the data are here."""
    assert [str(item) for item in gpwf.read(path).validate(data=False)] == []


def test_quickstart_needs_nothing() -> None:
    """The quickstart finds every file that it names in the repository."""
    workflow = gpwf.read(ROOT / "workflows" / "quickstart.gpwf.yaml")
    assert [str(item) for item in workflow.validate()] == []


@pytest.mark.science
def test_crab_finds_its_data() -> None:
    """The Crab workflow finds its data where GAMMAPY_DATA says."""
    workflow = gpwf.read(ROOT / "workflows" / "crab-1d.gpwf.yaml")
    assert [str(item) for item in workflow.validate()] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_names_its_schema(path: Path) -> None:
    """The first line leads an editor to the committed schema."""
    mark = "# yaml-language-server: $schema="
    first = path.read_text().partition("\n")[0]
    assert first.startswith(mark)
    assert (path.parent / first.removeprefix(mark)).resolve().is_file()


@pytest.mark.parametrize("page", ["README.md", "docs/reference/workflows.md"])
def test_every_workflow_is_listed(page: str) -> None:
    """And nothing that is no more."""
    rows = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    assert named == {path.name.removesuffix(".gpwf.yaml") for path in WORKFLOWS}


def test_every_step_type_is_in_the_readme() -> None:
    """By its group, and nothing that is no more."""
    from gpwf.steps.registry import load_catalog

    catalog = load_catalog()
    known: dict[str, set[str]] = {}
    for tag in catalog.tags():
        if type(catalog.step(tag)).__module__.startswith("gpwf."):
            known.setdefault(catalog.step(tag).group, set()).add(tag)
    text = (ROOT / "README.md").read_text().partition("| group | step types |")[2]
    rows = (line.split("|")[1:3] for line in text.partition("\n\n")[0].splitlines()[2:])
    assert {group.strip(): set(re.findall(r"`([\w-]+)`", tags)) for group, tags in rows} == known
