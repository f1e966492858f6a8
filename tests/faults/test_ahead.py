"""Short tasks are sent ahead and published in groups; a neighbour that dies harms none of them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import run, start_driver, states, wait_for

from gpwf.core.plan import Task
from gpwf.core.runs import AttemptStarted, RunEvent
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.journal import read_journal


def _of_one_step(*tasks: Task) -> list[Task]:
    return [replace(item, step="many") for item in tasks]


def _quick(count: int) -> list[Task]:
    return [task(f"many[n={number}]") for number in range(count)]


@pytest.mark.parametrize("do", ["die", "crash"])
def test_a_short_task_that_dies_takes_no_neighbour_with_it(tmp_path: Path, do: str) -> None:
    quick = _quick(60)
    bad = task("many[n=bad]", do=do, times=1, file=str(tmp_path / "n"))
    view = run(plan(*_of_one_step(*quick[:30], bad, *quick[30:])), tmp_path)
    found = states(view)
    assert found.pop("many[n=bad]") == ("ok" if do == "die" else "lost")
    assert set(found.values()) == {"ok"}
    # what was given to the same worker was moved to another, not lost
    assert {len(view.tasks[name].attempts) for name in found} == {1}


def test_a_short_task_that_hangs_holds_up_few(tmp_path: Path) -> None:
    """It is ended at its timeout; who was sent after it runs elsewhere."""
    quick = _quick(60)
    hung = task("many[n=hung]", do="sleep", times=60, file=str(tmp_path / "n"), timeout_s=1.0)
    view = run(plan(*_of_one_step(*quick[:30], hung, *quick[30:])), tmp_path)
    found = states(view)
    assert found.pop("many[n=hung]") == "timeout"
    assert set(found.values()) == {"ok"}
    assert {len(view.tasks[name].attempts) for name in found} == {1}


def test_never_more_ahead_than_workers(tmp_path: Path) -> None:
    class Watched(LocalExecutor):
        most = 0

        def wait(self, timeout: float | None) -> object:
            self.most = max(self.most, self.ahead)
            given = [len(w.jobs) for w in self._server.workers.values()] if self._server else []
            assert max(given, default=0) <= 2
            return super().wait(timeout)

    executor = Watched(2, prepare="fakecatalog:prepare")
    view = run(plan(*_of_one_step(*_quick(80))), tmp_path, executor=executor)
    assert set(states(view).values()) == {"ok"}
    assert executor.most == 2


def test_long_tasks_are_not_sent_ahead(tmp_path: Path) -> None:
    """A worker that is busy for long gets nothing that another could do."""
    mark = tmp_path / "n"
    naps = [task(f"many[n={number}]", do="sleep", times=0.2, file=str(mark)) for number in range(6)]
    events: list[RunEvent] = []
    executor = LocalExecutor(2, prepare="fakecatalog:prepare")
    run(plan(*_of_one_step(*naps)), tmp_path, executor=executor, events=events)
    assert executor.ahead == 0
    running = most = 0
    for event in events:
        running += isinstance(event, AttemptStarted)
        running -= type(event).__name__ == "AttemptFinished"
        most = max(most, running)
    assert most <= 4  # two of them publish


def test_what_was_computed_before_an_interrupt_is_kept(tmp_path: Path) -> None:
    """SIGTERM amid thousands of short tasks: what is journalled does not run again."""
    counted = tmp_path / "n"
    many = [task(f"many[n={number}]", do="count", file=str(counted)) for number in range(400)]
    process = start_driver(plan(*_of_one_step(*many)), tmp_path)
    journal = tmp_path / "run" / "journal.jsonl"
    wait_for(lambda: journal.exists() and len(journal.read_bytes().splitlines()) > 200, "tasks")
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 143
    ended = [e for e in read_journal(journal) if type(e).__name__ == "AttemptFinished"]
    done = {e.task for e in ended if e.state == "ok"}
    assert done
    time.sleep(0.1)
    view = run(plan(*_of_one_step(*many)), tmp_path, name="again")
    found = states(view)
    assert {name for name, state in found.items() if state == "cached"} >= done
    assert set(found.values()) <= {"ok", "cached"}
