"""Processes, cores and memory of this machine; a bell to wake who waits."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any

__all__ = ["Bell", "machine_bytes", "tree_bytes", "usable_cores"]


class Bell:
    """A pipe that ends a wait early; what waits takes it for a file."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for handle in (self._read, self._write):
            os.set_blocking(handle, False)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._read

    def ring(self) -> None:
        """End the wait; may be called from a signal handler, and more than once."""
        with contextlib.suppress(OSError):  # full, or closed already
            os.write(self._write, b"x")

    def hear(self) -> None:
        """Let it be silent again."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)

    def close(self) -> None:
        """Close the pipe; once is enough."""
        if self._read >= 0:
            os.close(self._read)
            os.close(self._write)
            self._read = self._write = -1


def tree_bytes(pid: int) -> int | None:
    """Return the memory of a process and its descendants in bytes; None where it has ended.

    Of pages that several processes share, gammapy itself above all, each has its part (Linux:
    the proportional set size); elsewhere they count for each of them.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
    except psutil.Error:
        return None
    total = 0
    for item in tree:
        with contextlib.suppress(psutil.Error):  # it has just ended
            total += _bytes_of(item)
    return total


def _bytes_of(process: Any) -> int:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        (found,) = re.findall(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
        return int(found) * 1024
    except (OSError, ValueError):
        return int(process.memory_info().rss)


def machine_bytes() -> int:
    """Return the memory of this machine in bytes."""
    import psutil

    return int(psutil.virtual_memory().total)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
