"""The wall clock is set while a run works, or differs from that of the file system."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import HERE, cli, lines, run, start_driver, states, wait_for
from invariant import Scene, check_whole, diamond

from gpwf.core.runs import AttemptFinished
from gpwf.run.journal import read_journal
from gpwf.store.store import Store


@pytest.fixture(params=["9,-9,0", "-20", "200000"], ids=["to and fro", "behind", "ahead"])
def _moved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock of drivers and workers be wrong by some hours."""
    monkeypatch.setenv("PYTHONPATH", str(HERE / "movedclock"), prepend=":")
    monkeypatch.setenv("FAULTS_HOURS", request.param)


@pytest.mark.usefixtures("_moved")
def test_a_run_whose_clock_is_set(tmp_path: Path) -> None:
    """Time-outs and durations do not see it; a killed driver is followed by others as ever."""
    scene = Scene(tmp_path, partial(diamond, times=0.05))
    driver = start_driver(scene.plan, tmp_path)
    wait_for(lambda: len(lines(scene.counter)) > 2, "the third task")
    driver.kill()
    driver.wait()
    with scene.watched():
        assert start_driver(scene.plan, tmp_path).wait(60) == 0
    events = read_journal(tmp_path / "run" / "journal.jsonl")
    ends = [event for event in events if isinstance(event, AttemptFinished)]
    assert ends
    assert all(0.0 <= event.resources.wall_s < 60.0 for event in ends)
    assert all(event.clock_s >= 0.0 for event in events)
    scene.go_on()
    check_whole(tmp_path / "store")


@pytest.mark.usefixtures("_moved")
def test_a_time_limit_is_no_matter_of_the_wall_clock(tmp_path: Path) -> None:
    note = tmp_path / "note"
    work = plan(
        task("a", do="sleep", file=str(note), times=1, timeout_s=30.0),
        task("b", do="sleep", file=str(note), times=60, timeout_s=1.0),
    )
    driver = start_driver(work, tmp_path)
    assert driver.wait(30) == 1
    events = read_journal(tmp_path / "run" / "journal.jsonl")
    ends = {event.task: event.state for event in events if isinstance(event, AttemptFinished)}
    assert ends == {"a": "ok", "b": "timeout"}


@pytest.mark.usefixtures("_moved")
def test_the_command_line_with_a_clock_that_is_set(tmp_path: Path) -> None:
    """All of it: log, progress, provenance, listings."""
    (tmp_path / "w.gpwf.yaml").write_text(
        "gpwf: 1\nname: timed\nsteps:\n  - name: a\n    tag: command\n"
        '    config: {argv: [cp, /dev/null, "${outputs.out}"], outputs: {out: a.txt}}\n'
    )
    for _ in range(2):
        done = cli("run", "w.gpwf.yaml", "--run-dir", "run", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for arguments in (["status", "run"], ["logs", "run"], ["runs"], ["prov", "show", "run"]):
        shown = cli(*arguments, cwd=tmp_path)
        assert shown.returncode == 0, (arguments, shown.stderr)
    assert "cached" in cli("status", "run", cwd=tmp_path).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="sets times of files")
def test_an_input_from_the_future_that_changes_is_seen(tmp_path: Path) -> None:
    """Its time stamp says nothing, as where a file server's clock is ahead."""
    import os

    data = tmp_path / "data.txt"
    store = Store(tmp_path / "store")
    digests = set()
    for n in range(3):
        data.write_text(f"text {n}")
        os.utime(data, ns=(4 * 10**18, 4 * 10**18))
        work = plan(task("a", reads=data, file=str(data)))
        assert states(run(work, tmp_path, name=f"run{n}")) == {"a": "ok"}
        digests.add(store.inputs.digest(data)[0])
        store.flush()
    assert len(digests) == 3
