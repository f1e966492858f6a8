"""Drivers that are killed, interrupted or come in twos."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import is_alive, lines, run, start_driver, states, wait_for

from gpwf.core.runs import AttemptFinished, RunFinished, RunState, TaskState
from gpwf.errors import RunError
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.journal import read_journal
from gpwf.run.rundir import RunDirectory, lock_holder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")


def _pids(path: Path) -> list[int]:
    return [int(item) for line in lines(path) for item in line.split()]


@pytest.mark.parametrize("name", ["run", "another"])
def test_a_killed_driver_leaves_no_process_and_loses_nothing(tmp_path: Path, name: str) -> None:
    done, slow = tmp_path / "done", tmp_path / "slow"
    work = [task("a", do="count", file=str(done)), task("c", "a")]
    driver = start_driver(
        plan(*work, task("b", "a", do="family", times=600, file=str(slow))), tmp_path
    )
    pids = wait_for(lambda: _pids(slow), "the slow task")
    assert all(map(is_alive, pids))
    driver.kill()
    driver.wait()
    wait_for(lambda: not any(map(is_alive, pids)), "the end of every process", 10.0)

    assert lock_holder(tmp_path / "run") is None
    events = read_journal(tmp_path / "run" / "journal.jsonl")
    assert not any(isinstance(event, RunFinished) for event in events)

    view = run(plan(*work, task("b", "a")), tmp_path, name=name)
    assert states(view) == {"a": "cached", "c": "cached", "b": "ok"} or states(view) == {
        "a": "cached",
        "c": "ok",
        "b": "ok",
    }
    assert len(lines(done)) == 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_one_signal_ends_the_run_in_order(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    slow = tmp_path / "slow"
    work = plan(task("a"), task("b", "a", do="family", times=600, file=str(slow)), task("c", "b"))
    driver = start_driver(work, tmp_path)
    pids = wait_for(lambda: _pids(slow), "the slow task")
    driver.send_signal(number)
    assert driver.wait(30) == code
    wait_for(lambda: not any(map(is_alive, pids)), "the end of every process", 10.0)
    events = read_journal(tmp_path / "run" / "journal.jsonl")
    assert events[-1].state is RunState.CANCELLED
    assert number.name in events[-1].reason
    ends = {event.task: event.state for event in events if isinstance(event, AttemptFinished)}
    assert ends == {"a": TaskState.OK, "b": TaskState.CANCELLED}
    assert events[-1].counts == {"ok": 1, "cancelled": 2}

    quick = plan(task("a"), task("b", "a"), task("c", "b"))
    assert states(run(quick, tmp_path)) == {"a": "cached", "b": "ok", "c": "ok"}


def test_a_task_that_ignores_sigterm_is_killed_at_the_second_signal(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    driver = start_driver(plan(task("a", do="stubborn", times=600, file=str(slow))), tmp_path)
    pids = wait_for(lambda: _pids(slow), "the slow task")
    driver.send_signal(signal.SIGINT)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(30) == 130
    assert not any(map(is_alive, pids))
    last = read_journal(tmp_path / "run" / "journal.jsonl")[-1]
    assert last.state is RunState.CANCELLED


def test_a_task_that_ignores_sigterm_is_killed_after_a_while(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    driver = start_driver(plan(task("a", do="stubborn", times=600, file=str(slow))), tmp_path)
    pids = wait_for(lambda: _pids(slow), "the slow task")
    driver.send_signal(signal.SIGINT)
    assert driver.wait(30) == 130
    assert not any(map(is_alive, pids))


def test_a_signal_while_the_workers_are_being_prepared(tmp_path: Path) -> None:
    """Nothing has begun then; the preparation, seconds of imports, is not waited for."""
    started = tmp_path / "started"
    executor = LocalExecutor(1, prepare="fakecatalog:prepare_slowly")
    os.environ["FAKE_PREPARE_MARK"] = str(started)
    try:
        timer = threading.Thread(
            target=lambda: (
                wait_for(lambda: lines(started), "the preparation"),
                os.kill(os.getpid(), signal.SIGINT),
            )
        )
        timer.start()
        view = run(plan(task("a"), task("b", "a")), tmp_path, executor=executor)
        timer.join()
    finally:
        del os.environ["FAKE_PREPARE_MARK"]
    assert states(view) == {"a": "cancelled", "b": "cancelled"}
    (server,) = _pids(started)
    assert not is_alive(server)


def test_a_second_driver_is_told_who_holds_the_run(tmp_path: Path) -> None:
    work = plan(task("a"))
    with RunDirectory(tmp_path / "run"):
        with pytest.raises(RunError, match=f"in use by process {os.getpid()} on "):
            run(work, tmp_path)
        assert str(os.getpid()) in lock_holder(tmp_path / "run")
    assert states(run(work, tmp_path)) == {"a": "ok"}


def test_two_runs_share_a_store(tmp_path: Path) -> None:
    counted = tmp_path / "n"
    slow = task("a", do="sleep", times=1, file=str(counted))
    driver = start_driver(plan(slow), tmp_path, name="first")
    wait_for(lambda: lines(counted), "the first run's task")
    view = run(plan(slow), tmp_path, name="second")
    assert driver.wait(30) == 0
    assert states(view) == {"a": "ok"}
    assert states(run(plan(slow), tmp_path, name="third")) == {"a": "cached"}


def test_going_on_in_the_same_folder_goes_on_with_its_journal(tmp_path: Path) -> None:
    work = plan(task("a"))
    run(work, tmp_path)
    journal = tmp_path / "run" / "journal.jsonl"
    before = read_journal(journal)
    with journal.open("ab") as stream:
        stream.write(b'{"sum": "torn')
    view = run(work, tmp_path)
    after = read_journal(journal)
    assert after[: len(before)] == before
    assert view.run_id != before[0].run_id
    assert [event.run_id for event in after if hasattr(event, "run_id")] == [
        before[0].run_id,
        view.run_id,
    ]
    assert (tmp_path / "run" / "journal.jsonl.torn-1").read_bytes() == b'{"sum": "torn'
