"""What is in a store changes, or goes away, while a run uses it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from fakecatalog import plan, task
from harness import cli, lines, run, start_driver, states, wait_for
from invariant import Scene, check_journal, check_whole, digests, from_scratch, small

from gpwf.core.plan import Plan
from gpwf.core.runs import RunState
from gpwf.store.store import Store

HARM = {
    "truncated": lambda path: os.truncate(path, 1),
    "emptied": lambda path: os.truncate(path, 0),
    "flipped": lambda path: _flip(path),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link": lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
    "a broken link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(bytes(data))


def _harm(path: Path, how: str) -> None:
    path.chmod(0o600)
    HARM[how](path)


def _chain(counter: Path) -> Plan:
    """Return tasks of which the last reads what the first made, a while later."""
    note = {"do": "note", "file": str(counter), "times": 0.0}
    slow = {**note, "times": 0.6}
    return plan(task("a", **note), task("b", "a", **slow), task("c", "a", "b", **note))


def _objects(store: Path) -> list[Path]:
    return sorted(store.glob("objects/*/*"))


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")
@pytest.mark.parametrize("how", ["truncated", "flipped", "missing"])
def test_objects_that_are_damaged_while_a_run_goes_on(tmp_path: Path, how: str) -> None:
    """All of them: the run ends as if nothing was, or the next one makes them again."""
    scene = Scene(tmp_path, _chain, may_run_again={"a", "b", "c"})
    driver = start_driver(scene.plan, tmp_path)
    wait_for(lambda: "b" in lines(scene.counter), "the slow task")
    for path in _objects(tmp_path / "store"):
        _harm(path, how)
    assert driver.wait(60) in (0, 1)
    view = scene.go_on()
    assert digests(view) == from_scratch(_chain)
    check_whole(tmp_path / "store")


@pytest.mark.parametrize("how", sorted(HARM))
def test_objects_and_results_damaged_between_two_runs(tmp_path: Path, how: str) -> None:
    scene = Scene(tmp_path, small, may_run_again={"a", "b"})
    scene.go_on()
    paths = [_objects(tmp_path / "store")[0], min(tmp_path.glob("store/results/*/*"))]
    for number, path in enumerate(paths):
        _harm(path, how)
        scene.go_on(f"run{number}")
        assert path.is_file()
        assert not path.is_symlink()
    check_whole(tmp_path / "store")


def test_a_result_under_the_key_of_another_is_no_result(tmp_path: Path) -> None:
    scene = Scene(tmp_path, small, may_run_again={"a", "b"})
    scene.go_on()
    one, other = sorted(tmp_path.glob("store/results/*/*"))
    other.chmod(0o600)
    shutil.copyfile(one, other)
    scene.go_on("again")


GARBAGE = {
    "empty": b"",
    "binary": bytes(range(256)) * 64,
    "torn": b'["/a", [1, 2',
    "strange lines": b'{}\n[]\nnull\n1\n["a"]\n[1, 2, 3, 4]\n["/a", [1, 2], 3, 4]\n"x"\n',
    "strange values": b'["/a", [1, 2, 3, 4, 1e400], 3, "x"]\n["/a", [NaN, 1, 1, 1, 1], 1, "x"]\n',
    "deep": b"[" * 100_000 + b"\n",
    "large numbers": b"[" + b"9" * 10_000 + b"]\n",
}


@pytest.mark.parametrize("garbage", sorted(GARBAGE))
def test_caches_are_disposable(tmp_path: Path, garbage: str) -> None:
    """Whatever is in them, the run is the same; only slower."""
    (tmp_path / "w.gpwf.yaml").write_text(
        "gpwf: 1\nname: w\nsteps:\n  - name: a\n    tag: command\n    config:\n"
        '      argv: [cp, "${inputs.data}", "${outputs.out}"]\n'
        "      inputs: {data: data.txt}\n      outputs: {out: a.txt}\n"
    )
    (tmp_path / "data.txt").write_text("data")
    assert cli("run", "w.gpwf.yaml", "--run-dir", "run", cwd=tmp_path).returncode == 0
    caches = [path for path in (tmp_path / ".gpwf" / "cache").rglob("*") if path.is_file()]
    assert caches
    for path in caches:
        if garbage != "deep" or path.parent.name != "plans":
            path.write_bytes(GARBAGE[garbage])
    done = cli("run", "w.gpwf.yaml", "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 cached" in done.stdout + done.stderr


def test_a_cache_that_cannot_be_a_file(tmp_path: Path) -> None:
    scene = Scene(tmp_path, small)
    scene.go_on()
    for name in ("objects.jsonl", "inputs.jsonl", "objects.lock", "inputs.lock", "memo"):
        path = tmp_path / "store" / "cache" / name
        if path.exists():
            path.unlink()
        path.mkdir()
    scene.go_on()
    assert set(scene.counts().values()) == {1}


def test_a_store_that_is_removed_while_a_run_goes_on(tmp_path: Path) -> None:
    """The run says so; the next one makes everything again."""
    scene = Scene(tmp_path, _chain, may_run_again={"a", "b", "c"})
    driver = start_driver(scene.plan, tmp_path)
    wait_for(lambda: "b" in lines(scene.counter), "the slow task")
    shutil.rmtree(tmp_path / "store")
    assert driver.wait(60) in (0, 1, 2)
    check_journal(tmp_path / "run" / "journal.jsonl")
    scene.go_on()
    check_whole(tmp_path / "store")


def test_a_run_directory_that_is_removed_while_a_run_goes_on(tmp_path: Path) -> None:
    scene = Scene(tmp_path, _chain)
    driver = start_driver(scene.plan, tmp_path)
    wait_for(lambda: "b" in lines(scene.counter), "the slow task")
    shutil.rmtree(tmp_path / "run")
    assert driver.wait(60) in (0, 1, 2)
    scene.go_on()
    assert scene.counts()["a"] == 1


def test_an_input_that_changes_between_two_tasks_that_read_it(tmp_path: Path) -> None:
    """No result mixes the old content with the new one."""
    data, counter = tmp_path / "data.txt", tmp_path / "count"
    data.write_text("old")
    work = plan(
        task("a", do="overwrite", reads=data, file=str(data)),
        task("b", "a", do="note", reads=data, file=str(counter)),
        task("c", do="note", file=str(counter)),
    )
    view = run(work, tmp_path, jobs=1)
    assert states(view) == {"a": "failed", "b": "blocked", "c": "ok"}
    assert view.state is RunState.FAILED
    store = Store(tmp_path / "store")
    results = list((store.root / "results").glob("*/*"))
    assert len(results) == 1
