"""Stores in places where they cannot be: a message before any task starts, and nothing lost."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gpwf.errors import ExitCode, StoreError
from gpwf.store import checks
from gpwf.store.checks import check_space, check_writing
from gpwf.store.store import Store

WORKFLOW = """gpwf: 1
name: w
steps:
  - name: make
    tag: command
    config:
      argv: [sh, -c, "echo made > out.txt; echo x >> %(count)s"]
      outputs: {out: out.txt}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = WORKFLOW % {"count": tmp_path / "count"}
    (tmp_path / "w.gpwf.yaml").write_text(text)
    return tmp_path


def gpwf(*arguments: str, before: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; ``before`` is done first, in name spaces of its own."""
    program = [sys.executable, "-m", "gpwf", *arguments]
    if before:
        script = f'set -e\n{before}\nexec "$@"'
        program = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", *program]
    return subprocess.run(
        program,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env=os.environ | variables,
    )


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    script = "mount -t tmpfs -o size=1m none /mnt"
    program = ["unshare", "--mount", "--map-root-user", "sh", "-c", script]
    return subprocess.run(program, capture_output=True).returncode == 0


needs_mount = pytest.mark.skipif(not _can_mount(), reason="may not mount file systems here")


def _refused(folder: Path, place: str, *words: str) -> None:
    """Check that a run is refused with these words, and nothing has run."""
    done = gpwf("run", "w.gpwf.yaml", "--store", place)
    assert done.returncode == ExitCode.USAGE, done.stderr
    for word in (*words, "--store", "GPWF_STORE"):
        assert word in done.stderr
    assert not (folder / "count").exists()
    assert "Traceback" not in done.stderr


def test_a_file_in_the_place_of_the_store_or_above_it(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    with pytest.raises(StoreError, match="is a file, not a folder"):
        Store(folder / "file")
    _refused(
        folder, "file/deep/store", f"the store {folder}/file/deep/store cannot be made", "a file"
    )


def test_a_link_that_leads_nowhere(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "disk that is not mounted")
    _refused(folder, "link", "disk that is not mounted", "which is not there")
    (folder / "disk that is not mounted").mkdir()
    assert gpwf("run", "w.gpwf.yaml", "--store", "link").returncode == 0


def test_a_name_that_is_no_text(folder: Path) -> None:
    place = os.fsdecode(b"st\xffore")
    _refused(folder, place, "is not UTF-8")


def test_a_store_of_a_newer_version(folder: Path) -> None:
    Store(folder / ".gpwf")
    (folder / ".gpwf" / "gpwf-store.json").write_text('{"format": "gpwf-store", "version": 2}')
    for name in ("runs", "pins"):
        (folder / ".gpwf" / name).rmdir()
    _refused(folder, ".gpwf", "has version 2; this gpwf knows 1")
    for command in (("plan", "w.gpwf.yaml"), ("gc", "--apply")):
        done = gpwf(*command)
        assert done.returncode == ExitCode.USAGE
        assert "has version 2" in done.stderr
    assert not (folder / ".gpwf" / "runs").exists()


def test_an_empty_variable_names_no_store(folder: Path) -> None:
    assert gpwf("run", "w.gpwf.yaml", GPWF_STORE="").returncode == 0
    assert (folder / ".gpwf" / "gpwf-store.json").is_file()


def test_a_relative_store_is_where_it_was_named(folder: Path) -> None:
    store = Store(Path("here"))
    (folder / "below").mkdir()
    os.chdir(folder / "below")
    assert store.root == folder / "here"
    assert store.prepare() == [] or "MB are free" in store.prepare()[0]


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("rename", errno.EXDEV, "lie on different file systems"),
        ("rename", errno.EROFS, "Read-only file system"),
        ("fsync", errno.EIO, "Input/output error"),
        ("fsync", errno.EINVAL, "cannot force data to the disk"),
        ("write", errno.ENOSPC, "No space left on device"),
        ("write", errno.EDQUOT, "quota exceeded"),
    ],
)
def test_every_way_in_which_publishing_fails_is_found_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, code: int, words: str
) -> None:
    store = Store(tmp_path / "store")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, what, fail)
        with pytest.raises(StoreError, match=words) as caught:
            store.prepare()
    assert str(store.root) in caught.value.message
    assert "--store" in (caught.value.hint or "")
    assert not [path for path in store.root.rglob("*") if path.name.startswith(".probe")]


def test_locks_and_clocks_that_do_not_work_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    assert check_writing(store.root) == []

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    real = checks.time.time
    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(checks.time, "time", lambda: real() + 60)
    locks, clock = check_writing(store.root)
    assert "has no locks" in locks
    assert "60 s behind" in clock or "59 s behind" in clock


def test_little_space_is_told_and_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.statvfs(tmp_path)

    def pretend(free: int, files: int = 100) -> None:
        fields = {name: getattr(found, name) for name in dir(found) if name.startswith("f_")}
        fields |= {"f_bavail": free // found.f_frsize, "f_favail": files, "f_files": 1000}
        monkeypatch.setattr(os, "statvfs", lambda _: type("Found", (), fields))

    pretend(10**9)
    assert check_space(tmp_path, "the store") == ""
    pretend(30_000_000)
    assert "30 MB are free on the disk of the store" in check_space(tmp_path, "the store")
    pretend(500_000)
    with pytest.raises(StoreError, match=r"the disk of the run directory .* is full") as caught:
        check_space(tmp_path, "the run directory")
    assert "gpwf gc" in (caught.value.hint or "")
    pretend(10**9, files=0)
    with pytest.raises(StoreError, match="no more files"):
        check_space(tmp_path, "the store")


@needs_mount
def test_a_store_on_another_file_system_than_the_run(folder: Path) -> None:
    (folder / "disk").mkdir()
    before = f"mount -t tmpfs -o size=64m none {folder}/disk"
    both = 'for n in 1 2; do "$@"; done; test ! -L runs/w/latest/products/make/out/out.txt || '
    check = 'test "$(cat runs/w/latest/products/make/out/out.txt)" = made'
    done = gpwf(
        "run", "w.gpwf.yaml", "--store", str(folder / "disk"), before=f"{before}\n{both}{check}"
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "count").read_text() == "x\n"
    runs = list(folder.glob("runs/w/2*"))
    assert runs
    assert not any(list((run / "work").iterdir()) for run in runs)


@needs_mount
def test_a_store_whose_folders_lie_on_several_disks_is_refused(folder: Path) -> None:
    Store(folder / ".gpwf")
    before = f"mount -t tmpfs -o size=64m none {folder}/.gpwf/objects"
    done = gpwf("run", "w.gpwf.yaml", before=before)
    assert done.returncode == ExitCode.USAGE
    assert f"{folder}/.gpwf/objects lie on different file systems" in done.stderr
    assert not (folder / "count").exists()


@needs_mount
def test_a_full_disk_is_refused_before_anything_runs(folder: Path) -> None:
    (folder / "disk").mkdir()
    before = (
        f"mount -t tmpfs -o size=4m none {folder}/disk\n"
        f"head -c 3700000 /dev/zero > {folder}/disk/full"
    )
    done = gpwf("run", "w.gpwf.yaml", "--store", str(folder / "disk" / "store"), before=before)
    assert done.returncode == ExitCode.USAGE
    assert "is full" in done.stderr
    assert "gpwf gc" in done.stderr
    assert not (folder / "count").exists()


@needs_mount
def test_a_full_disk_can_be_cleaned(folder: Path) -> None:
    (folder / "disk").mkdir()
    before = (
        f"mount -t tmpfs -o size=4m none {folder}/disk\n"
        f"export GPWF_STORE={folder}/disk/store\n"
        f"{sys.executable} -m gpwf run w.gpwf.yaml --run-dir gone\n"
        f"rm -r gone\n"
        f"head -c 9000000 /dev/zero > {folder}/disk/store/tmp/draft || true\n"
        f"touch -d '3 days ago' {folder}/disk/store/tmp/draft\n"
        f"! {sys.executable} -m gpwf run w.gpwf.yaml"
    )
    done = gpwf("gc", "--apply", "--grace", "0", "--format", "json", before=before)
    assert done.returncode == 0, done.stderr
    assert "is full" in done.stderr
    data = json.loads(done.stdout)
    assert (data["n_results"], data["n_objects"]) == (1, 1)


@needs_mount
def test_a_store_for_reading_only_can_be_looked_at(folder: Path) -> None:
    assert gpwf("run", "w.gpwf.yaml").returncode == 0
    store = folder / ".gpwf"
    before = f"mount --bind {store} {store}\nmount -o remount,bind,ro {store}"
    for command in (
        ("products", "--format", "json"),
        ("prov", "show"),
        ("status",),
        ("gc",),
        ("gc", "--verify"),
        ("pin",),
    ):
        done = gpwf(*command, before=before)
        assert done.returncode == 0, (command, done.stderr)
    for command in (("plan", "w.gpwf.yaml"), ("plan", "w.gpwf.yaml", "--why")):
        done = gpwf(*command, before=before)
        assert done.returncode == 0
        assert "1 cached, 0 to run" in done.stdout
        assert done.stderr.count("a run would be refused") == 1
        assert f"the store {store} cannot be written: Read-only file system" in done.stderr
    assert gpwf("validate", "w.gpwf.yaml", before=before).returncode == 0
    for command in (("run", "w.gpwf.yaml"), ("gc", "--apply"), ("pin", "w")):
        done = gpwf(*command, before=before)
        assert done.returncode == ExitCode.USAGE, command
        assert "cannot be written: Read-only file system" in done.stderr


@needs_mount
def test_a_plan_needs_no_store_that_can_be_made(folder: Path) -> None:
    (folder / "locked").mkdir()
    before = f"mount -t tmpfs none {folder}/locked\nmount -o remount,ro {folder}/locked"
    place = str(folder / "locked" / "store")
    done = gpwf("plan", "w.gpwf.yaml", "--store", place, "--format", "json", before=before)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_cached"] == 0
    assert "a run would be refused" in done.stderr
    done = gpwf("run", "w.gpwf.yaml", "--store", place, before=before)
    assert done.returncode == ExitCode.USAGE
