"""What the operating system says of processes and cores."""

from __future__ import annotations

import contextlib
import os

__all__ = ["machine_bytes", "tree_bytes", "usable_cores"]


def tree_bytes(pid: int) -> int | None:
    """Return the resident memory of a process and its descendants in bytes; None where unknown.

    Pages that they share count for each of them.
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
            total += item.memory_info().rss
    return total


def machine_bytes() -> int:
    """Return the memory of this machine in bytes."""
    import psutil

    return int(psutil.virtual_memory().total)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
