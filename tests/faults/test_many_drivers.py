"""Several drivers on one run directory, and several runs on one store."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import start_driver
from invariant import Scene, check_journal, check_whole, diamond

from gpwf.core.plan import Plan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")

SLOW = partial(diamond, times=0.05)


def test_one_driver_of_several_gets_the_run_directory(tmp_path: Path) -> None:
    scene = Scene(tmp_path, SLOW)
    drivers = [start_driver(scene.plan, tmp_path, stderr=subprocess.PIPE) for _ in range(4)]
    ends = [(driver.communicate(timeout=60)[1].decode(), driver.returncode) for driver in drivers]
    said = [text for text, code in ends if code]
    assert len(said) < len(drivers)
    assert len(said) > 0
    assert all("is in use by process" in text for text in said)
    assert set(scene.counts().values()) == {1}
    check_journal(tmp_path / "run" / "journal.jsonl")
    scene.go_on()
    assert set(scene.counts().values()) == {1}


@pytest.mark.parametrize("n_runs", [2, 4])
def test_runs_of_one_plan_on_one_store(tmp_path: Path, n_runs: int) -> None:
    scene = Scene(tmp_path, SLOW)
    names = [f"run{n}" for n in range(n_runs)]
    drivers = [start_driver(scene.plan, tmp_path, name=name) for name in names]
    assert [driver.wait(60) for driver in drivers] == [0] * n_runs
    before = scene.counts()
    for name in names:
        scene.go_on(name)
    assert scene.counts() == before
    assert max(before.values()) <= n_runs
    check_whole(tmp_path / "store")


def _other(counter: Path) -> Plan:
    """Return a plan that shares some tasks with `diamond`, and has others of the same names."""
    note = {"do": "note", "file": str(counter), "times": 0.05}
    return plan(
        task("a", **note),
        task("b", "a", **note),
        task("e", **note),
        task("f", "e", "b", **note),
        task("g", "f", **note),
    )


def test_runs_of_different_plans_on_one_store(tmp_path: Path) -> None:
    scenes = {"one": Scene(tmp_path, SLOW), "other": Scene(tmp_path, _other)}
    drivers = []
    for name, scene in scenes.items():
        for n in range(2):
            drivers.append(start_driver(scene.plan, tmp_path, name=f"{name}{n}"))
    assert [driver.wait(60) for driver in drivers] == [0] * 4
    before = scenes["one"].counts()
    for name, scene in scenes.items():
        for n in range(2):
            scene.go_on(f"{name}{n}")
    assert scenes["one"].counts() == before
    check_whole(tmp_path / "store")
