"""What a task uses of the machine."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from gpwf.core.runs import Resources

__all__ = ["Usage"]

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there


class Usage:
    """What this process and its children have used since this was made.

    Parameters
    ----------
    elsewhere : callable, optional
        Gives the processor seconds that threads have used so far which do not belong to the task.
    """

    def __init__(self, elsewhere: Callable[[], float] = float) -> None:
        _forget_peak()
        self._elsewhere = elsewhere
        self._wall_s = time.monotonic()
        self._cpu_s = self._cpu()
        self._children_peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    def _cpu(self) -> float:
        total = -self._elsewhere()
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            total += usage.ru_utime + usage.ru_stime
        return total

    def until_now(self) -> Resources:
        """Return wall time, processor time and the largest resident set until now."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if children > self._children_peak:  # otherwise it was a child of an earlier task
            peak = max(peak, children)
        return Resources(
            wall_s=round(time.monotonic() - self._wall_s, 6),
            cpu_s=round(max(0.0, self._cpu() - self._cpu_s), 6),
            peak_rss_bytes=peak * _RSS_UNIT,
            pid=os.getpid(),
            host=_host(),
        )


@cache
def _host() -> str:
    return socket.gethostname()


def _forget_peak() -> None:
    """Start the peak of the resident memory anew, so that it is this task's (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
