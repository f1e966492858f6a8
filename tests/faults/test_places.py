"""Places that are full, cannot be written, lie elsewhere, or come from a newer gpwf."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from harness import cli, lines, run, start_driver, wait_for
from invariant import Scene, check_whole, diamond, small
from mounted import inside, why_not

from gpwf.errors import StoreError

SHM = Path("/dev/shm")

mounts = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


@mounts
@pytest.mark.parametrize("where", ["store", "run", "both"])
@pytest.mark.parametrize("room", [0, 3, 8, 16, 30])
def test_a_full_disk_and_space_that_is_given_back(tmp_path: Path, where: str, room: int) -> None:
    """``room`` is in blocks of 4 kB that are left; every one of them is used."""
    inside("full", tmp_path, room, where)


@mounts
@pytest.mark.parametrize("what", ["store", "store/objects", "store/results"])
def test_a_store_that_nobody_may_write_to(tmp_path: Path, what: str) -> None:
    inside("read_only", tmp_path, what)


@mounts
def test_a_run_directory_that_nobody_may_write_to(tmp_path: Path) -> None:
    inside("read_only_run", tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on another file system than the other folders of a test."""
    if not SHM.is_dir() or SHM.stat().st_dev == tmp_path.stat().st_dev or not os.access(SHM, 7):
        pytest.skip("there is no second file system here")
    folder = Path(mkdtemp(dir=SHM))
    yield folder
    shutil.rmtree(folder)


def test_a_store_on_another_file_system(tmp_path: Path, elsewhere: Path) -> None:
    """Products are copied there and then given their names: nothing is half there."""
    (tmp_path / "store").symlink_to(elsewhere)
    scene = Scene(tmp_path, diamond)
    for n in range(3):
        driver = start_driver(scene.plan, tmp_path)
        wait_for(lambda n=n: len(lines(scene.counter)) > n, "a task")
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    scene.go_on()
    check_whole(elsewhere)
    assert not list((elsewhere / "tmp").iterdir())


def test_a_run_directory_on_another_file_system(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "run").symlink_to(elsewhere)
    scene = Scene(tmp_path, diamond)
    scene.go_on()
    scene.go_on("again")
    assert set(scene.counts().values()) == {1}


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    scene = Scene(tmp_path, small)
    scene.go_on()
    marker = tmp_path / "store" / "gpwf-store.json"
    old = marker.read_text()
    marker.write_text(json.dumps({**json.loads(old), "version": 99}))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}
    with pytest.raises(StoreError, match="version 99; this gpwf knows"):
        run(scene.plan, tmp_path, name="second")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}
    marker.write_text(old)
    scene.go_on()
    assert set(scene.counts().values()) == {1}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "x"}', "\0" * 100])
def test_a_store_whose_marker_is_garbage_is_refused(tmp_path: Path, text: str) -> None:
    scene = Scene(tmp_path, small)
    scene.go_on()
    (tmp_path / "store" / "gpwf-store.json").write_text(text)
    with pytest.raises(StoreError, match="is not the marker of a store"):
        run(scene.plan, tmp_path)


def test_the_command_line_says_where_it_cannot_write(tmp_path: Path) -> None:
    """Before anything runs, with an exit code of its own and no traceback."""
    (tmp_path / "w.gpwf.yaml").write_text(
        "gpwf: 1\nname: w\nsteps:\n  - name: a\n    tag: command\n"
        "    config: {argv: [touch, ran], outputs: {out: ran}}\n"
    )
    (tmp_path / "file").write_text("in the way")
    for option in ("--store", "--run-dir"):
        done = cli("run", "w.gpwf.yaml", option, tmp_path / "file" / "x", cwd=tmp_path)
        assert done.returncode == 2
        assert option in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(tmp_path.rglob("ran"))
