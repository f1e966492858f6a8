"""Signals to the command line and to workers; what tasks leave behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import cli, is_alive, lines, run, start_cli, start_driver, states, wait_for
from invariant import Scene, check_journal, check_whole, diamond, survivors

from gpwf.core.runs import RunState
from gpwf.errors import ExitCode
from gpwf.run.journal import read_journal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")

WORKFLOW = """\
gpwf: 1
name: signalled
params: {{nap: "{nap}"}}
steps:
  - name: quick
    tag: command
    config:
      argv: [sh, -c, 'echo quick >> "$1"; echo 1 > ${{outputs.out}}', sh, "{counter}"]
      outputs: {{out: quick.txt}}
  - name: slow
    tag: command
    required_products: {{items: quick.out}}
    config:
      argv: [sh, -c, 'echo slow >> "$1"; {trap} sleep "$2" & wait $!; wait; cp "$3" "$4"', sh,
        "{counter}", "${{params.nap}}", "${{inputs.items}}", "${{outputs.out}}"]
      outputs: {{out: slow.txt}}
"""


@pytest.mark.parametrize(
    ("number", "how"),
    [
        (signal.SIGINT, "once"),
        (signal.SIGINT, "twice"),
        (signal.SIGINT, "group"),
        (signal.SIGTERM, "once"),
        (signal.SIGHUP, "once"),  # the terminal was closed: as SIGTERM
    ],
)
def test_the_command_line_ends_in_order(tmp_path: Path, number: signal.Signals, how: str) -> None:
    """Also where the whole group gets the signal, as Ctrl-C in a terminal does."""
    counter = tmp_path / "count"
    document = tmp_path / "w.gpwf.yaml"
    trap = "trap true INT TERM;" if how == "twice" else ""
    document.write_text(WORKFLOW.format(counter=counter, nap="60", trap=trap))
    driver = start_cli(
        "run", document, "--run-dir", "run", cwd=tmp_path, start_new_session=True,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(lambda: "slow" in lines(counter), "the slow task")
    if how == "group":
        os.killpg(driver.pid, number)
    else:
        driver.send_signal(number)
    if how == "twice":
        driver.send_signal(number)
    _, said = driver.communicate(timeout=30)
    code = 130 if number == signal.SIGINT else 143
    assert driver.returncode == code, said.decode()
    assert "Traceback" not in said.decode()
    wait_for(lambda: not survivors(tmp_path), "the end of every process", 10.0)
    last = read_journal(tmp_path / "run" / "journal.jsonl")[-1]
    assert last.state is RunState.CANCELLED
    assert number.name in last.reason
    document.write_text(WORKFLOW.format(counter=counter, nap="0", trap=trap))
    done = cli("run", document, "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert lines(counter) == ["quick", "slow", "slow"]
    check_journal(tmp_path / "run" / "journal.jsonl")
    assert not list((tmp_path / "run" / "work").iterdir())


def test_a_run_that_was_told_to_ignore_the_end_of_its_terminal(tmp_path: Path) -> None:
    """As ``nohup`` does."""
    scene = Scene(tmp_path, partial(diamond, times=0.05))
    driver = start_driver(
        scene.plan, tmp_path, preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    )
    wait_for(lambda: lines(scene.counter), "the first task")
    driver.send_signal(signal.SIGHUP)
    assert driver.wait(30) == 0
    scene.go_on()
    assert set(scene.counts().values()) == {1}


@pytest.mark.parametrize("end", ["in order", "killed", "interrupted"])
def test_a_daemon_that_a_task_leaves_ends_with_the_run(tmp_path: Path, end: str) -> None:
    """It has a session of its own, was forked twice and ignores every polite signal."""
    pids = tmp_path / "pids"
    daemon = task("a", do="daemon", file=str(pids), times=0 if end == "in order" else 600)
    driver = start_driver(plan(daemon), tmp_path)
    (pid,) = wait_for(lambda: lines(pids), "the daemon")
    if end == "killed":
        driver.kill()
    elif end == "interrupted":
        driver.send_signal(signal.SIGINT)
    assert driver.wait(30) == {"in order": 0, "killed": -9, "interrupted": 130}[end]
    wait_for(lambda: not is_alive(int(pid)), "the end of the daemon", 10.0)


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_are_killed_at_random_times(tmp_path: Path, seed: int) -> None:
    """Any process below the driver, the fork server too."""
    scene, dice = Scene(tmp_path, partial(diamond, times=0.1)), random.Random(seed)
    for _ in range(2):
        with scene.watched():
            driver = start_driver(scene.plan, tmp_path)
            end = time.monotonic() + dice.uniform(0.3, 0.9)
            while driver.poll() is None and time.monotonic() < end:
                others = [pid for pid in survivors() if pid != driver.pid]
                if others:
                    os.kill(dice.choice(others), signal.SIGKILL)
                time.sleep(dice.uniform(0.05, 0.2))
            assert driver.wait(60) in (0, 1, ExitCode.INTERNAL)  # no workers any more
            wait_for(lambda: not survivors(), "the end of every process", 10.0)
    scene.go_on()
    check_whole(tmp_path / "store")


def test_a_stopped_driver_goes_on_where_it_was(tmp_path: Path) -> None:
    """Ctrl-Z and ``fg``."""
    scene = Scene(tmp_path, partial(diamond, times=0.05))
    driver = start_driver(scene.plan, tmp_path)
    wait_for(lambda: lines(scene.counter), "the first task")
    driver.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    driver.send_signal(signal.SIGCONT)
    assert driver.wait(30) == 0
    scene.go_on()
    assert set(scene.counts().values()) == {1}


def test_a_task_may_change_how_its_process_takes_signals(tmp_path: Path) -> None:
    """The next task of the same worker can be ended all the same."""
    first, second = tmp_path / "first", tmp_path / "second"
    view = run(
        plan(
            task("a", do="stubborn", file=str(first), times=0),
            task("b", "a", do="sleep", file=str(second), times=600, timeout_s=1.0),
        ),
        tmp_path,
        jobs=1,
    )
    assert states(view) == {"a": "ok", "b": "timeout"}
    wait_for(lambda: not survivors(), "the end of every process", 10.0)
