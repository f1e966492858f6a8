"""Taking files out of a store, so that whoever uses one in the same instant keeps it.

A file is moved aside first and looked at again: one that was touched or replaced since it was
judged goes back. What a killed process left aside goes back as well, to be judged anew.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Identity", "Remover", "allocated", "identity", "youngest_ns"]

Identity = tuple[int, int, int, int]
"""What does not change as long as nobody touches a file: device, inode, size, mtime."""

_ASIDE = ".gc-"
_BLOCK = 512  # unit of st_blocks, whatever the file system's own (POSIX.1-2017, sys/stat.h)


def identity(status: os.stat_result) -> Identity:
    """Return what tells a file from the one that replaced or touched it."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def youngest_ns(status: os.stat_result) -> int:
    """Return when a file was last made, touched, renamed or changed, in nanoseconds.

    A time of modification can be set at will, the time of the last change cannot.
    """
    return max(status.st_mtime_ns, status.st_ctime_ns)


def allocated(status: os.stat_result) -> int:
    """Return the bytes that removing a file gives back, as `du` counts them."""
    is_last_name = stat.S_ISDIR(status.st_mode) or status.st_nlink == 1
    return status.st_blocks * _BLOCK if is_last_name else 0


class Remover:
    """Removes files and folders, and counts what that gives back.

    It works on a full disk: nothing is made, only renamed in its own folder.

    Parameters
    ----------
    apply : bool
        False to count only.
    """

    def __init__(self, *, apply: bool) -> None:
        self._apply = apply

    @property
    def applies(self) -> bool:
        """False where things are counted only."""
        return self._apply

    def put_back(self, folder: Path) -> None:
        """Return what a killed process had moved aside in a folder to its name."""
        for path in folder.glob(f"{_ASIDE}*") if self._apply else ():
            _return(path, path.with_name(path.name.removeprefix(_ASIDE)))

    def remove(self, path: Path, seen: os.stat_result) -> int | None:
        """Remove a file that is still the one that was judged.

        Parameters
        ----------
        path : Path
            The file.
        seen : os.stat_result
            What it was when it was found to be not needed.

        Returns
        -------
        int or None
            Bytes that this gives back; None where the file is in use after all, or gone.
        """
        if not self._apply:
            return allocated(seen)
        away = path.with_name(f"{_ASIDE}{path.name}")
        try:
            path.rename(away)
        except FileNotFoundError:
            return None
        if identity(_fresh(away)) != identity(seen):
            _return(away, path)
            return None
        away.unlink()
        return allocated(seen)

    def remove_tree(self, path: Path) -> int:
        """Remove a file or a folder that nobody else uses; return the bytes this gives back."""
        size = _size(path)
        if not self._apply:
            return size
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
        return size - _size(path)  # what could not be removed stays


def _fresh(path: Path) -> os.stat_result:
    """Return what a file is now: opening it makes a network file system ask its server."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # not a file that may be read
        return path.lstat()
    try:
        return os.fstat(handle)
    finally:
        os.close(handle)


def _return(away: Path, home: Path) -> None:
    """Move a file back; where there is a new one by now, that one is as good."""
    try:
        os.link(away, home)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        with contextlib.suppress(FileNotFoundError):
            away.rename(home)
        return
    away.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return sum(_allocated_below(path))


def _allocated_below(path: Path) -> Iterator[int]:
    try:
        yield allocated(path.lstat())
        if path.is_dir() and not path.is_symlink():
            for item in path.iterdir():
                yield from _allocated_below(item)
    except (FileNotFoundError, PermissionError):
        return
