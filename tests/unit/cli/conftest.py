"""Run directories that were written by the real journal, without any run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

# the fake plan and events of the report's tests serve here too
sys.path.append(str(Path(__file__).parents[1] / "report"))

import report_fakes as fakes

from gpwf.cli.main import cli
from gpwf.core.runs import RunEvent

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    """Return a function that writes a run below ``runs`` of a current folder of its own."""
    monkeypatch.chdir(tmp_path)

    def make(events: list[RunEvent] | None = None, name: str = "20260102T030400Z-abc123") -> Path:
        path = tmp_path / "runs" / "crab" / name
        return fakes.write_run(path, fakes.good_run() if events is None else events)

    return make


@pytest.fixture
def gpwf() -> Callable[..., Result]:
    """Return a function that runs the command line in this process."""

    def run(*args: object) -> Result:
        result = CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="gpwf")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
