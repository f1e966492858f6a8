"""How long the jobs of a step take: whether the next one will be over at once."""

from __future__ import annotations

from collections import deque

__all__ = ["Durations"]

_SHORT_S = 0.05
_LAST = 8


class Durations:
    """The last durations of every step."""

    def __init__(self) -> None:
        self._last_s: dict[str, deque[float]] = {}

    def add(self, step: str, seconds: float) -> None:
        """Take in how long a job took."""
        self._last_s.setdefault(step, deque(maxlen=_LAST)).append(seconds)

    def is_short(self, step: str) -> bool:
        """Return True where the last jobs of a step took so little that waiting would show."""
        known = self._last_s.get(step)
        return known is not None and max(known) < _SHORT_S

    @property
    def has_short(self) -> bool:
        """True where there are steps with short jobs."""
        return any(self.is_short(step) for step in self._last_s)
