"""Open files that somebody named, whatever they turn out to be."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["read_bytes"]

_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe, and a workflow is read more than once"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of a file, at most ``limit`` and one more.

    Parameters
    ----------
    path : Path
        The file.
    limit : int
        Bytes that are wanted; one more tells that there are more.

    Raises
    ------
    OSError
        Where there is no such file, or no ordinary one: a pipe may never be written to, a device
        may have no end, and opening some changes them.
    ValueError
        Where the path cannot be the name of a file.
    """
    _check_kind(os.stat(path))  # noqa: PTH116  before it is opened: a tape rewinds
    wait_for_nobody = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | wait_for_nobody)
    with os.fdopen(descriptor, "rb") as stream:
        _check_kind(os.fstat(descriptor))
        return stream.read(limit + 1)


def _check_kind(found: os.stat_result) -> None:
    """Refuse what is no ordinary file."""
    if stat.S_ISREG(found.st_mode):
        return
    reason = next((words for test, words in _KINDS if test(found.st_mode)), "it is no file")
    raise OSError(errno.EINVAL, reason)
