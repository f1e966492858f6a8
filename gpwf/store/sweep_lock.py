"""One cleaner at a time: the lock of a store's garbage collection names its holder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gpwf.errors import StoreError

__all__ = ["LOCK_NAME", "sweep_lock"]

#: File in a store that is locked.
LOCK_NAME = "gc.lock"

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextmanager
def sweep_lock(root: Path) -> Iterator[None]:
    """Hold the right to remove things from a store.

    The system gives it back when the process ends, however it ends.

    Parameters
    ----------
    root : Path
        Folder of the store.

    Raises
    ------
    StoreError
        Where another process holds it, locks do not work, or the store cannot be written.
    """
    path = root / LOCK_NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"the store {root} cannot be written: {error.strerror or error}",
            hint="nothing was removed",
        ) from None
    try:
        _take(handle, root)
        yield
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, root: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            text = os.pread(handle, 4096, 0).decode(errors="replace")
            raise StoreError(
                f"the store {root} is being cleaned by {_describe(text)}",
                hint="wait until it has finished",
            ) from None
        raise StoreError(
            f"the store {root} lies on a file system without locks: {error.strerror or error}",
            hint="nothing was removed: without locks nobody can tell whether a run needs it",
        ) from None
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    with contextlib.suppress(OSError):  # a full disk: cleaning is what helps
        os.ftruncate(handle, 0)
        os.pwrite(handle, (json.dumps(holder) + "\n").encode(), 0)


def _describe(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
