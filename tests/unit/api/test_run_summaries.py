"""The list of runs, read from both ends of each journal."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "report"))

import report_fakes as fakes

from gpwf.api import run_summaries
from gpwf.api.run_summaries import summaries, summarise
from gpwf.core.runs import RunState
from gpwf.errors import RunError


def refuse(path: Path) -> None:
    raise AssertionError(f"{path} was read as a whole")


def test_of_a_run_that_ended_only_the_ends_are_read(tmp_path, monkeypatch):
    path = fakes.write_run(tmp_path / "x", fakes.good_run())
    monkeypatch.setattr(run_summaries, "Run", refuse)
    monkeypatch.setattr(run_summaries, "_last_start", refuse)
    found = summarise(path)
    assert (found.run_id, found.workflow, found.state) == ("run-1", "crab", RunState.OK)
    assert found.counts == {"ok": 3, "cached": 1}
    assert (found.n_tasks, found.wall_s()) == (4, 2.5)


def test_a_folder_used_again_is_the_last_run(tmp_path, monkeypatch):
    fakes.write_run(tmp_path / "x", fakes.good_run())
    again = [
        replace(fakes.good_run()[0], run_id="run-2", time=fakes.stamp(10)),
        replace(fakes.good_run()[-1], time=fakes.stamp(11), counts={"cached": 4}),
    ]
    path = fakes.write_run(tmp_path / "x", again, "run-2")
    monkeypatch.setattr(run_summaries, "Run", refuse)
    for _ in (1, 2):
        found = summarise(path)
        assert (found.run_id, found.counts, found.wall_s()) == ("run-2", {"cached": 4}, 1.0)
        (path / "log.jsonl").unlink(missing_ok=True)


def test_words_of_a_message_are_no_start(tmp_path):
    events = fakes.failed_run()
    failed = events[7]
    events[7] = replace(failed, failure=replace(failed.failure, message='"run.started" it said'))
    events[-1] = replace(events[-1], counts={"ok": 1})
    path = fakes.write_run(tmp_path / "x", events)
    (path / "log.jsonl").unlink()
    assert summarise(path).started == fakes.stamp(0)


@pytest.mark.parametrize("events", [fakes.good_run()[:4], fakes.good_run()[:-1]])
def test_a_run_without_an_end_is_read_as_a_whole(tmp_path, events):
    found = summarise(fakes.write_run(tmp_path / "x", events))
    assert found.state is RunState.INTERRUPTED
    assert (found.n_tasks, found.wall_s()) == (4, None)


def test_a_torn_last_line_is_no_end(tmp_path):
    path = fakes.write_run(tmp_path / "x", fakes.good_run())
    journal = path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-1])
    assert summarise(path).state is RunState.INTERRUPTED


def test_a_run_without_tasks_has_an_empty_list(tmp_path):
    path = fakes.write_run(
        tmp_path / "x", [fakes.good_run()[0], replace(fakes.good_run()[-1], counts={})]
    )
    assert summarise(path).state is RunState.OK


def test_one_that_cannot_be_read_is_told_and_does_not_count(tmp_path):
    bad = fakes.write_run(tmp_path / "bad", fakes.good_run()[:3])
    (bad / "plan.json").unlink()
    good = fakes.write_run(tmp_path / "good", fakes.good_run())
    told: list[Path] = []
    found = summaries(
        [tmp_path / "gone", bad, good, good],
        number=1,
        on_error=lambda path, error: told.append(path),
    )
    assert [item.path for item in found] == [good]
    assert told == [tmp_path / "gone", bad]
    with pytest.raises(RunError, match="cannot read the journal"):
        summarise(tmp_path / "gone")
