"""The driver is killed at random times, again and again, until a run gets to its end."""

from __future__ import annotations

import random
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from harness import start_driver, wait_for_file
from invariant import Scene, check_whole, diamond

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")

SLOW = partial(diamond, times=0.05)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("where", ["one folder", "new folders"])
def test_killed_at_random_times(tmp_path: Path, seed: int, where: str) -> None:
    """Three kills each; the first instants of a driver, its imports, are not of interest."""
    scene, dice = Scene(tmp_path, SLOW), random.Random(seed)
    for n in range(3):
        name = "run" if where == "one folder" else f"run{n}"
        with scene.watched():
            driver = start_driver(scene.plan, tmp_path, name=name)
            wait_for_file(tmp_path / name / "run.lock", driver)
            time.sleep(dice.uniform(0.0, 0.5))
            driver.kill()
            driver.wait()
    scene.go_on()
    check_whole(tmp_path / "store")
