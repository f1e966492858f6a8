"""The private folder of a worker: it stays from task to task, and goes to a task that fails.

A folder of its own for every task would be made and removed thousands of times, which costs
milliseconds on some file systems: those that do not give away at once what was just freed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from gpwf.core.digests import Digest, digest_file
from gpwf.core.runs import ProductFile
from gpwf.store.atomic import PRIVATE_FOLDER
from gpwf.store.commit import Draft

__all__ = ["Desk", "clear_desks", "desk_folder", "drafts_folder", "keep", "leftovers"]

_DESK = ".worker-"
_DRAFTS = ".drafts-"

#: What an attempt was given, and what it printed, which the log has.
_GIVEN = ("in", "output.log", "scratch/inputs")
#: Of what failed attempts leave, so many files are told of, and so much is read for digests.
_MOST_LEFT = 100
_MOST_BYTES = 64 * 2**20


def desk_folder(work_dir: str, pid: int) -> Path:
    """Return where a worker works that was given an attempt with this folder."""
    return Path(work_dir).parents[1] / f"{_DESK}{pid}"


def drafts_folder(work_dir: str, pid: int) -> Path:
    """Return where the products of a worker wait for being published."""
    return Path(work_dir).parents[1] / f"{_DRAFTS}{pid}"


def clear_desks(work: Path) -> None:
    """Remove what workers that have ended left in the folder of attempts."""
    for path in [*work.glob(f"{_DESK}*"), *work.glob(f"{_DRAFTS}*")]:
        shutil.rmtree(path, ignore_errors=True)


class Desk:
    """The folder of one attempt after another, in this process.

    Attributes
    ----------
    folder : Path
        It has an empty folder ``scratch``, and nothing of an earlier task.
    """

    def __init__(self, work_dir: str) -> None:
        self._pid = os.getpid()
        self.folder = desk_folder(work_dir, self._pid)
        self._drafts = drafts_folder(work_dir, self._pid)
        self._number = 0
        for path in (self.folder, self._drafts):
            shutil.rmtree(path, ignore_errors=True)  # of an earlier process with this number
            path.mkdir(mode=PRIVATE_FOLDER)
        (self.folder / "scratch").mkdir()

    def is_for(self, work_dir: str) -> bool:
        """Return True where an attempt with this folder can be worked on here."""
        return self.folder == desk_folder(work_dir, self._pid) and self.folder.is_dir()

    def set_apart(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Move drafts from the folder to where they can wait while the next task works."""
        apart = []
        for draft in drafts:
            if draft.source.is_relative_to(self.folder):
                self._number += 1
                place = self._drafts / str(self._number)
                draft.source.rename(place)
                apart.append(replace(draft, source=place))
            else:
                apart.append(draft)
        return apart

    def tidy(self) -> None:
        """Remove what a task left; empty folders and the file of its output stay for the next."""
        with os.scandir(self.folder) as entries:
            for entry in list(entries):
                if not entry.is_dir(follow_symlinks=False):
                    if entry.name != "output.log":
                        Path(entry.path).unlink()
                elif os.listdir(entry.path):  # noqa: PTH208 - no paths are needed
                    shutil.rmtree(entry.path)
        with contextlib.suppress(FileExistsError):
            (self.folder / "scratch").mkdir()

    def leave(self, work_dir: str) -> None:
        """Give the folder to an attempt that failed: its owner may look at it."""
        keep(self.folder, work_dir)


def keep(folder: Path, work_dir: str) -> None:
    """Let a folder become that of an attempt; where that is impossible it is removed later."""
    target = Path(work_dir)
    if not folder.is_dir():
        return
    with contextlib.suppress(OSError):
        target.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        folder.rename(target)


def leftovers(work_dir: str) -> tuple[ProductFile, ...]:
    """Return the files that a failed attempt has made, by their names in its folder.

    The first hundred are named. Their digests are taken up to 64 MiB, so that nothing waits for
    long: those of files beyond are empty. Links are not followed.

    Parameters
    ----------
    work_dir : str
        Where `keep` has put the folder of the attempt.
    """
    found: list[ProductFile] = []
    n_bytes = 0
    for path in _files_below(Path(work_dir), ""):
        if len(found) == _MOST_LEFT:
            break
        with contextlib.suppress(OSError):  # what survived of its processes may remove it
            size = path.stat(follow_symlinks=False).st_size
            n_bytes += size
            digest = digest_file(path) if n_bytes <= _MOST_BYTES else Digest("")
            name = _printable(path.relative_to(work_dir).as_posix())
            found.append(ProductFile(name=name, digest=digest, size=size))
    return tuple(found)


def _files_below(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield regular files that are no inputs, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            items = sorted(entries, key=lambda item: item.name)
    except OSError:
        return
    for entry in items:
        name = prefix + entry.name
        if name in _GIVEN:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(Path(entry.path), f"{name}/")
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)


def _printable(name: str) -> str:
    """Return a name that may be written: a program may choose bytes that are no text."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
