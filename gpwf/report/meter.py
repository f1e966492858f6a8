"""Whom consoles ask for what running tasks use, and what tasks took before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

__all__ = ["History", "Meter"]

#: Returns by step how long a task took in earlier runs, in seconds. Called from a thread.
History = Callable[[], Mapping[str, float]]


class Meter(Protocol):
    """Whoever knows what running tasks use: the executor.

    Asked from the thread that draws.
    """

    def running_s(self, handle: str) -> float:
        """Return for how many seconds a worker has had an attempt; 0 while it waits for one."""

    def resident_bytes(self, handle: str) -> int | None:
        """Return the memory that an attempt holds, its children's too; None where unknown."""
