"""`gpwf gc` while runs of the real engine go on, without any grace."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gpwf
from gpwf.api.gc import clean
from gpwf.store.store import Store

WORKFLOW = """gpwf: 1
name: w
params: {word: one}
steps:
  - name: make
    tag: command
    foreach: {n: [1, 2, 3, 4]}
    config:
      argv: [sh, -c, "sleep 0.0$1; echo $0 $1 > out.txt", "${params.word}", "${n}"]
      outputs: {out: out.txt}
  - name: copy
    tag: command
    required_products: {made: make.out}
    config:
      argv: [sh, -c, "cat $0 > b.txt", "${inputs.made}"]
      outputs: {b: b.txt}
"""


def _runs(seed: int, rounds: int) -> None:
    rng = random.Random(seed)
    for _ in range(rounds):
        word = rng.choice("abc")
        run = gpwf.read("w.gpwf.yaml", params={"word": word}).run(jobs=1)
        assert str(run.state) == "ok", run.view.reason
        _check(run)
        if rng.random() < 0.7:
            shutil.rmtree(run.path)


def _check(run: gpwf.api.Run) -> None:
    """Fail where a product of a run is not there."""
    for item in run.products():
        for file in item.product.files:
            assert (item.folder / file.name).is_file(), f"{item.task} lost {file.name}"


def _clean_until_stopped(stop: Path) -> None:
    store = Store(Path(".gpwf"))
    while not stop.exists():
        clean(store, grace_s=0.0, apply=True)
        time.sleep(0.05)


def _start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, *arguments], cwd=folder)


def test_runs_lose_nothing_to_a_cleaner(tmp_path: Path) -> None:
    (tmp_path / "w.gpwf.yaml").write_text(WORKFLOW)
    Store(tmp_path / ".gpwf")
    cleaner = _start(tmp_path, "clean", str(tmp_path / "stop"))
    runners = [_start(tmp_path, "run", str(seed)) for seed in (1, 2)]
    codes = [process.wait() for process in runners]
    (tmp_path / "stop").touch()
    assert [*codes, cleaner.wait()] == [0, 0, 0]
    left = [path for path in (tmp_path / "runs" / "w").iterdir() if not path.is_symlink()]
    entries = Store(tmp_path / ".gpwf").runs.entries()
    # every run is registered by itself
    assert {path.name for path in left} <= {Path(entry.path).name for entry, _ in entries}
    for path in left:
        _check(gpwf.open_run(path))


def test_a_run_is_known_to_its_store_while_it_works(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.gpwf.yaml").write_text(WORKFLOW)
    seen = []

    def look(event: object) -> None:
        seen.append([entry.workflow for entry, _ in Store(tmp_path / ".gpwf").runs.entries()])

    run = gpwf.read("w.gpwf.yaml").run(jobs=1, listeners=[look])
    assert str(run.state) == "ok"
    assert seen[0] == ["w"]


if __name__ == "__main__":
    if sys.argv[1] == "clean":
        _clean_until_stopped(Path(sys.argv[2]))
    else:
        _runs(int(sys.argv[2]), 4)
