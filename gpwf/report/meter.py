"""Whom consoles ask for what running tasks use."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Meter"]


class Meter(Protocol):
    """Whoever knows what running tasks use: the executor.

    Asked from the thread that draws.
    """

    def running_s(self, handle: str) -> float:
        """Return for how many seconds a worker has had an attempt; 0 while it waits for one."""

    def resident_bytes(self, handle: str) -> int | None:
        """Return the memory that an attempt holds, its children's too; None where unknown."""
