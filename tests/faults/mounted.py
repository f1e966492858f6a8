"""Runs a scenario in a name space with file systems of its own: ``mounted.py SCENARIO FOLDER``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent


def why_not() -> str:
    """Return why nothing can be mounted here, nothing where it can."""
    if sys.platform != "linux":
        return "mounts are for Linux"
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unshare is not installed"
    return f"mounting is not permitted: {tried.stderr.strip()}" if tried.returncode else ""


def inside(scenario: str, folder: Path, *arguments: object) -> None:
    """Run a function of this file where mounts harm nobody; raise what it says when it fails."""
    command = ["unshare", "-rm", sys.executable, str(Path(__file__)), scenario, str(folder)]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def _attempt(action: Callable[[], object]) -> str:
    """Do something that may fail for lack of a place to write; return what was said then."""
    from gpwf.errors import GpwfError

    try:
        action()
    except GpwfError as error:
        return error.message
    return ""


def full(folder: Path, room: str, where: str) -> None:
    """Fill a small disk up to some room, run, give the space back, and go on."""
    from harness import run
    from invariant import Scene, check_whole, diamond

    from gpwf.core.runs import RunState

    small = folder / "small"
    small.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", small)
    for name in ("store", "run") if where == "both" else (where,):
        (small / name).mkdir()
        (folder / name).symlink_to(small / name)
    scene = Scene(folder, diamond)
    ballast = small / "ballast"
    block = 4096
    with ballast.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * block)
        except OSError:
            stream.truncate(max(0, stream.tell() // block * block - int(room) * block))
    with scene.watched():
        said = _attempt(lambda: ended.append(run(scene.plan, folder)))
    if ended and ended[0].state is not RunState.OK:
        said = " ".join(item.reason for item in ended[0].tasks.values())
    print(f"room for {room} blocks: {said or 'enough'}")
    assert "No space left" in said or (ended and ended[0].state is RunState.OK)
    assert int(room) > 0 or said
    ballast.unlink()
    scene.go_on()
    check_whole(folder / "store")


ended: list = []


def read_only(folder: Path, what: str) -> None:
    """Run on a folder that nobody may write to, root neither, and again when it may be written."""
    from harness import run
    from invariant import Scene, check_whole, diamond, small

    from gpwf.core.runs import RunState

    first = Scene(folder, small)
    first.go_on()
    scene = Scene(folder, diamond)
    scene.may_run_again = {"b"}  # another task of the same name
    locked = folder / what
    _mount("--bind", locked, locked)
    _mount("-o", "remount,bind,ro", locked)
    before = scene.counts()
    said = _attempt(lambda: ended.append(run(scene.plan, folder, name="second")))
    if what == "store":
        assert "cannot be written" in said, said
        assert scene.counts() == before, "a task was started"
    else:
        assert ended[0].state is RunState.FAILED
        reasons = " ".join(item.reason for item in ended[0].tasks.values())
        assert "Read-only file system" in reasons, reasons
    subprocess.run(["umount", locked], check=True)
    scene.go_on("second")
    check_whole(folder / "store")


def read_only_run(folder: Path) -> None:
    """Go on in a run directory that nobody may write to."""
    from harness import run
    from invariant import Scene, small

    scene = Scene(folder, small)
    scene.go_on()
    place = folder / "run"
    _mount("--bind", place, place)
    _mount("-o", "remount,bind,ro", place)
    said = _attempt(lambda: run(scene.plan, folder))
    assert "cannot be written: Read-only file system" in said, said
    subprocess.run(["umount", place], check=True)
    scene.go_on()
    assert set(scene.counts().values()) == {1}


def main() -> None:
    """Run one scenario."""
    os.environ.setdefault("FAULTS_MARK", "mounted")
    globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])


if __name__ == "__main__":
    main()
