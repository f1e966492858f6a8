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

from gpwf.store.atomic import PRIVATE_FOLDER

__all__ = ["Identity", "Remover", "allocated", "identity", "youngest_ns"]

Identity = tuple[int, int, int, int]
"""What does not change as long as nobody touches a file: device, inode, size, mtime."""

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

    Parameters
    ----------
    aside : Path
        Folder of this process alone, on the same file system as what is removed.
    apply : bool
        False to count only.
    """

    def __init__(self, aside: Path, *, apply: bool) -> None:
        self._aside = aside
        self._apply = apply

    @property
    def applies(self) -> bool:
        """False where things are counted only."""
        return self._apply

    def close(self) -> None:
        """Remove the folder for what is aside; it is empty, or a killed process left something."""
        if self._apply:
            with contextlib.suppress(OSError):
                self._aside.rmdir()

    def put_back(self, home: Path) -> None:
        """Return what a killed process had moved aside to where it came from.

        Parameters
        ----------
        home : Path
            Folder ``<home>/<first two>/<name>`` that the files came from.
        """
        if not self._apply or not self._aside.is_dir():
            return
        for path in self._aside.iterdir():
            _return(path, home / path.name[:2] / path.name)

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
        self._aside.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        away = self._aside / path.name
        try:
            path.rename(away)
        except FileNotFoundError:
            return None
        if identity(away.lstat()) != identity(seen):
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
