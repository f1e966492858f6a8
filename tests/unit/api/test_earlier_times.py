"""How long tasks took in earlier runs."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "report"))

import report_fakes as fakes

from gpwf.api import earlier_times
from gpwf.api.earlier_times import earlier_step_times


def slower(events, factor: float):
    return [
        replace(event, resources=replace(event.resources, wall_s=factor))
        if hasattr(event, "resources")
        else event
        for event in events
    ]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with an old run of two steps and a newer one of one of them."""
    fakes.write_run(tmp_path / "old", slower(fakes.good_run(), 5.0))
    os.utime(tmp_path / "old" / "journal.jsonl", (1_000_000, 1_000_000))
    fakes.write_run(tmp_path / "new", slower(fakes.failed_run(), 7.0))
    (tmp_path / "latest").symlink_to("new")
    return tmp_path


def test_the_newest_run_that_ran_a_step_tells(runs: Path):
    assert earlier_step_times(runs / "this") == {"datasets": 7.0, "fit": 5.0}
    assert earlier_step_times(runs / "new") == {"datasets": 5.0, "fit": 5.0}
    assert earlier_step_times(runs / "nowhere" / "this") == {}


def test_what_cannot_be_read_or_is_large_counts_as_nothing(runs: Path, monkeypatch):
    (runs / "odd").mkdir()
    (runs / "odd" / "journal.jsonl").mkdir()
    assert earlier_step_times(runs / "this") == {"datasets": 7.0, "fit": 5.0}
    monkeypatch.setattr(earlier_times, "_LARGEST", 10)
    assert earlier_step_times(runs / "this") == {}
