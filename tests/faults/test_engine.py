"""The engine from end to end with plain Python steps."""

from __future__ import annotations

import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import HERE, lines, run, states

from gpwf.core.plan import TaskAlias
from gpwf.core.runs import AttemptFinished, RunState, TaskCached, TaskState
from gpwf.errors import UsageError
from gpwf.run.engine import exit_code
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.journal import read_journal


def test_a_run_computes_publishes_and_shows(tmp_path: Path) -> None:
    view = run(plan(task("a"), task("b", "a"), task("c", "a", "b")), tmp_path)
    assert view.state is RunState.OK
    assert exit_code(view) == 0
    assert states(view) == {"a": "ok", "b": "ok", "c": "ok"}
    shown = tmp_path / "run" / "products" / "c" / "text" / "value.txt"
    assert shown.read_text() == "text\nc+a+b+a"
    assert shown.is_symlink()
    assert stat.S_IMODE(shown.stat().st_mode) == 0o444
    assert (shown.parent / "more" / "length.txt").read_text() == "7"
    assert view.tasks["c"].products["text"].summary == {"length": 7}
    assert list((tmp_path / "run" / "work").iterdir()) == []
    assert (tmp_path / "run" / "workflow.yaml").read_text() == "gpwf: 1\n"
    assert (tmp_path / "latest").resolve() == tmp_path / "run"


def test_the_journal_tells_the_same(tmp_path: Path) -> None:
    events: list = []
    run(plan(task("a"), task("b", "a")), tmp_path, events=events)
    assert read_journal(tmp_path / "run" / "journal.jsonl") == events


def test_a_second_run_starts_nothing(tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    work = plan(task("a", do="count", file=str(counted)), task("b", "a"))
    first = run(work, tmp_path)
    executor = LocalExecutor(2, prepare="fakecatalog:prepare")
    events: list = []
    second = run(work, tmp_path, name="again", executor=executor, events=events)
    assert states(second) == {"a": "cached", "b": "cached"}
    assert not executor.is_started
    assert len(lines(counted)) == 1
    cached = [event for event in events if isinstance(event, TaskCached)]
    assert {event.made_by_run for event in cached} == {first.run_id}
    assert second.tasks["b"].products == first.tasks["b"].products
    assert (tmp_path / "again" / "products" / "b" / "text" / "value.txt").is_file()


def test_a_cached_run_imports_nothing_heavy(tmp_path: Path) -> None:
    work = "plan(task('a'), task('b', 'a'))"
    run(plan(task("a"), task("b", "a")), tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from pathlib import Path\n"
        "from harness import run, states\n"
        "from fakecatalog import plan, task\n"
        f"view = run({work}, Path({str(tmp_path)!r}), name='again')\n"
        "assert set(states(view).values()) == {'cached'}, states(view)\n"
        "heavy = {'gammapy', 'astropy', 'numpy', 'networkx', 'rich', 'pydantic'}\n"
        "heavy.add('multiprocessing')\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_what_depends_on_a_change_runs_again(tmp_path: Path) -> None:
    run(plan(task("a"), task("b", "a"), task("c")), tmp_path)
    view = run(plan(task("a", say="new"), task("b", "a"), task("c")), tmp_path, name="again")
    assert states(view) == {"a": "ok", "b": "ok", "c": "cached"}


def test_the_same_bytes_cut_the_work_off(tmp_path: Path) -> None:
    run(plan(task("a"), task("b", "a")), tmp_path)
    view = run(plan(task("a", do="", unused=1), task("b", "a")), tmp_path, name="again")
    assert states(view) == {"a": "ok", "b": "cached"}


def test_identical_tasks_run_once(tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    same = {"say": "same", "do": "count", "file": str(counted)}
    view = run(plan(task("a", **same), task("b", **same), task("c", "b")), tmp_path)
    assert sorted(states(view).values()) == ["cached", "ok", "ok"]
    assert len(lines(counted)) == 1


def test_forced_tasks_run_again(tmp_path: Path) -> None:
    work = plan(task("a"), task("b", "a"))
    run(work, tmp_path)
    assert states(run(work, tmp_path, name="again", force=["a"])) == {"a": "ok", "b": "cached"}


def test_targets_run_with_what_they_need(tmp_path: Path) -> None:
    work = plan(task("a"), task("b", "a"), task("c", "b"), task("d"))
    assert states(run(work, tmp_path, targets=["b"])) == {
        "a": "ok",
        "b": "ok",
        "c": "waiting",
        "d": "waiting",
    }
    with pytest.raises(UsageError, match="no step x"):
        run(work, tmp_path, name="again", targets=["x"])


def test_a_failure_blocks_what_is_below_and_nothing_else(tmp_path: Path) -> None:
    work = plan(task("a", do="step-error"), task("b", "a"), task("c", "b"), task("d"))
    view = run(work, tmp_path)
    assert states(view) == {"a": "failed", "b": "blocked", "c": "blocked", "d": "ok"}
    assert view.state is RunState.FAILED
    assert exit_code(view) == 1
    assert view.reason == "failed: a"
    assert view.tasks["b"].reason == "a failed"
    failure = view.tasks["a"].last.failure
    assert failure.message == "no such source"
    assert failure.hint == "name one of the model's sources"
    assert failure.traceback is None


def test_fail_fast_starts_nothing_more(tmp_path: Path) -> None:
    work = plan(task("a", do="step-error"), task("b"), task("c", "b"))
    view = run(work, tmp_path, jobs=1, fail_fast=True)
    assert states(view) == {"b": "ok", "a": "failed", "c": "cancelled"} or states(view) == {
        "a": "failed",
        "b": "cancelled",
        "c": "cancelled",
    }
    assert view.state is RunState.FAILED


def test_a_bug_in_a_step_comes_with_its_traceback(tmp_path: Path) -> None:
    failure = run(plan(task("a", do="bug")), tmp_path).tasks["a"].last.failure
    assert failure.kind == "ValueError"
    assert failure.message == "ValueError: division of nothing"
    assert "fakecatalog.py" in failure.traceback
    assert not failure.transient


def test_no_data_skips_what_is_below(tmp_path: Path) -> None:
    view = run(plan(task("a", do="no-data"), task("b", "a"), task("c")), tmp_path)
    assert states(view) == {"a": "skipped", "b": "skipped", "c": "ok"}
    assert view.state is RunState.OK
    assert view.tasks["b"].reason == "a had no data"


@pytest.mark.parametrize(("retries", "state"), [(1, "failed"), (2, "ok")])
def test_transient_failures_are_tried_again(tmp_path: Path, retries: int, state: str) -> None:
    work = task("a", do="transient", times=2, file=str(tmp_path / "n"), retries=retries)
    events: list = []
    view = run(plan(work), tmp_path, events=events)
    ends = [event for event in events if isinstance(event, AttemptFinished)]
    assert states(view) == {"a": state}
    assert [event.retry for event in ends] == [True] * retries + [False]


def test_what_a_task_says_arrives_with_its_context(tmp_path: Path) -> None:
    logs: list = []
    run(plan(task("a", do="talk")), tmp_path, logs=logs)
    said = {(item.get("logger"), item["message"]) for item in logs}
    assert ("gammapy.fake", "logged line") in said
    assert ("output", "printed line") in said
    assert ("output", "from a child") in said
    assert any(name == "py.warnings" and "warned line" in text for name, text in said)
    assert all(item["task_id"] == "a" and item["attempt"] == 1 for item in logs)
    progress = [item for item in logs if item.get("event") == "task.progress"]
    assert [(item["done"], item["total"]) for item in progress] == [(1, 2), (2, 2)]


def test_resources_and_times_are_recorded(tmp_path: Path) -> None:
    view = run(plan(task("a")), tmp_path)
    end = view.tasks["a"].last
    assert end.state is TaskState.OK
    assert end.started < end.ended
    assert end.resources.peak_rss_bytes > 1_000_000
    assert end.resources.pid > 0
    assert end.resources.host


@pytest.mark.skipif(sys.platform != "linux", reason="the peak cannot be reset elsewhere")
def test_the_peak_memory_is_of_the_task_not_of_its_worker(tmp_path: Path) -> None:
    view = run(plan(task("a", do="fill", times=200), task("b", "a")), tmp_path, jobs=1)
    large, small = (view.tasks[name].last.resources for name in "ab")
    assert large.pid == small.pid
    assert large.peak_rss_bytes > 200 * 2**20
    assert small.peak_rss_bytes < 200 * 2**20


def test_products_are_files_only(tmp_path: Path) -> None:
    failure = run(plan(task("a", say="a link")), tmp_path).tasks["a"].last.failure
    assert failure.kind == "StoreError"
    assert "value.txt" in failure.message


def test_a_step_must_give_its_products(tmp_path: Path) -> None:
    failure = run(plan(task("a", do="nothing")), tmp_path).tasks["a"].last.failure
    assert "output ports are text" in failure.message


def test_products_lie_under_every_name_of_a_task(tmp_path: Path) -> None:
    alias = TaskAlias(id="twin[x=1]", step="twin", coordinates={"x": 1}, task="a")
    run(replace(plan(task("a")), aliases=(alias,)), tmp_path)
    folder = tmp_path / "run" / "products"
    shown = folder / "twin" / "x=1" / "text" / "value.txt"
    assert shown.resolve() == (folder / "a" / "text" / "value.txt").resolve()
