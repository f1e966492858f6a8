"""The workflows of the repository are valid, formatted for editors, and bring what they name."""

from __future__ import annotations

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
