"""Workers that die, are killed or will not end: nobody else is harmed, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import HERE, is_alive, lines, run, states, wait_for

from gpwf.core.runs import AttemptFinished, RunState, TaskState
from gpwf.errors import ExecutorError
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.journal import read_journal

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")


def test_a_task_whose_worker_is_killed_runs_again(tmp_path: Path) -> None:
    counted, others = tmp_path / "n", tmp_path / "others"
    view = run(
        plan(
            task("a", do="die", times=2, file=str(counted)),
            task("b", do="sleep", times=0.6, file=str(others)),  # long enough to be made safe
            task("c", "a", "b"),
        ),
        tmp_path,
    )
    assert states(view) == {"a": "ok", "b": "ok", "c": "ok"}
    assert len(lines(counted)) == 3
    assert len(lines(others)) == 1
    ends = [item.finished_event for item in view.tasks["a"].attempts]
    assert [(end.state, end.retry) for end in ends] == [
        (TaskState.LOST, True),
        (TaskState.LOST, True),
        (TaskState.OK, False),
    ]
    assert ends[0].failure.signal == signal.SIGKILL
    assert "SIGKILL" in ends[0].failure.message
    assert ends[0].resources.pid > 0
    assert ends[0].resources.wall_s > 0


def test_a_task_that_kills_every_worker_is_lost_and_blocks(tmp_path: Path) -> None:
    counted = tmp_path / "n"
    view = run(
        plan(task("a", do="die", times=9, file=str(counted)), task("b", "a"), task("c")), tmp_path
    )
    assert states(view) == {"a": "lost", "b": "blocked", "c": "ok"}
    assert len(lines(counted)) == 3
    assert view.state is RunState.FAILED
    assert view.tasks["b"].reason == "a lost its worker"


@pytest.mark.parametrize("do", ["sleep", "stubborn"])
def test_a_task_that_takes_too_long_is_ended_and_blocks(tmp_path: Path, do: str) -> None:
    """Also one that does not listen to SIGTERM; what needs less time goes on."""
    counted = tmp_path / "n"
    view = run(
        plan(
            task("a", do=do, times=600, file=str(counted), timeout_s=1.5, retries=1),
            task("b", "a"),
            task("c", timeout_s=600.0),
        ),
        tmp_path,
    )
    assert states(view) == {"a": "timeout", "b": "blocked", "c": "ok"}
    assert len(lines(counted)) == 1
    assert view.tasks["b"].reason == "a took too long"
    assert view.tasks["a"].reason == "took longer than its timeout"
    assert not is_alive(int(lines(counted)[0]))


def test_what_the_workers_need_to_start_does_not_count(tmp_path: Path) -> None:
    executor = LocalExecutor(1, prepare="fakecatalog:prepare_for_two_seconds")
    view = run(plan(task("a", timeout_s=1.0)), tmp_path, executor=executor)
    assert states(view) == {"a": "ok"}


@linux
def test_a_task_that_takes_too_much_memory_is_ended_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    view = run(
        plan(
            task("a", do="swell", times=400, file=str(pids), memory_bytes=300 * 2**20, retries=1),
            task("b", "a"),
            task("c", memory_bytes=300 * 2**20),
        ),
        tmp_path,
    )
    assert states(view) == {"a": "oom", "b": "blocked", "c": "ok"}
    assert len(view.tasks["a"].attempts) == 1
    assert "more memory" in view.tasks["a"].reason
    wait_for(lambda: not any(is_alive(int(item)) for item in lines(pids)), "the end of both", 10.0)


@pytest.mark.parametrize(("do", "text"), [("crash", "SIGSEGV"), ("exit", "exit code 7")])
def test_a_crash_says_how_the_worker_died(tmp_path: Path, do: str, text: str) -> None:
    failure = run(plan(task("a", do=do)), tmp_path).tasks["a"].last.failure
    assert text in failure.message
    if do == "crash":
        assert "Segmentation fault" in failure.traceback
        assert "fakecatalog.py" in failure.traceback


def test_a_step_that_leaves_python_fails_once(tmp_path: Path) -> None:
    view = run(plan(task("a", do="sys-exit", retries=2)), tmp_path)
    assert states(view) == {"a": "failed"}
    assert len(view.tasks["a"].attempts) == 1
    assert view.tasks["a"].reason == "SystemExit: enough"


def test_a_neighbour_of_a_killed_worker_goes_on(tmp_path: Path) -> None:
    slept = tmp_path / "slept"
    view = run(
        plan(
            task("slow", do="sleep", times=2, file=str(slept)),
            task("a", do="die", times=1, file=str(tmp_path / "n")),
        ),
        tmp_path,
    )
    assert states(view) == {"slow": "ok", "a": "ok"}
    assert len(lines(slept)) == 1


@linux
def test_nothing_is_left_of_a_task_that_leaves_children(tmp_path: Path) -> None:
    family = tmp_path / "family"
    view = run(plan(task("a", do="family", times=0, file=str(family))), tmp_path)
    assert states(view) == {"a": "ok"}
    pids = [int(item) for item in family.read_text().split()]
    assert len(pids) == 3
    wait_for(lambda: not any(map(is_alive, pids)), "the end of every process", 10.0)


def test_a_preparation_that_fails_is_an_executor_error(tmp_path: Path) -> None:
    executor = LocalExecutor(1, prepare="fakecatalog:no_such_function")
    with pytest.raises(ExecutorError, match="no_such_function"):
        run(plan(task("a")), tmp_path, executor=executor)
    last = read_journal(tmp_path / "run" / "journal.jsonl")[-1]
    assert last.state is RunState.FAILED


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path) -> None:
    script = tmp_path / "analysis.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from fakecatalog import plan, task; from harness import run, states\n"
        "print(states(run(plan(task('a'), task('b', 'a')), Path(__file__).parent)))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "{'a': 'ok', 'b': 'ok'}\n"
    assert done.stderr == ""


def test_workers_have_one_thread_each_unless_the_user_says_so(tmp_path: Path) -> None:
    from gpwf.run.executors.server import start_server

    server = start_server(None, {"OPENBLAS_NUM_THREADS": "3"})
    try:
        environment = wait_for(
            lambda: _environment(server.process.pid), "the environment of the fork server"
        )
    finally:
        server.control.close()
        server.errors.close()
        assert server.process.wait(10) == 0
    assert environment["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS", "1")
    assert environment["OPENBLAS_NUM_THREADS"] == "3"
    assert environment["MPLBACKEND"] == "Agg"


def test_a_fork_server_that_was_killed_is_told_by_its_signal() -> None:
    from gpwf.run.executors.server import server_died, start_server

    server = start_server(None, {})
    try:
        server.process.kill()
        assert "cannot be started: killed by SIGKILL" in str(server_died(server))
    finally:
        server.control.close()
        server.errors.close()


def _environment(pid: int) -> dict[str, str]:
    items = Path(f"/proc/{pid}/environ").read_text().split("\0")
    found = dict(item.split("=", 1) for item in items if "=" in item)
    return found if "MPLBACKEND" in found else {}


def test_a_lost_attempt_is_in_the_journal(tmp_path: Path) -> None:
    run(plan(task("a", do="die", times=1, file=str(tmp_path / "n"))), tmp_path)
    events = read_journal(tmp_path / "run" / "journal.jsonl")
    ends = [event for event in events if isinstance(event, AttemptFinished)]
    assert [end.attempt for end in ends] == [1, 2]
