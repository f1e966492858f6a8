"""How long a task waits before it is tried again."""

from __future__ import annotations

import heapq
import math
import random
import time
from collections.abc import Callable, Iterator

__all__ = ["Pauses"]

_FIRST_S = 0.5
_LONGEST_S = 60.0


class Pauses:
    """Tasks that failed for a passing reason and wait: a server that is busy needs time.

    The pause doubles with every failure, up to a minute, and is made longer or shorter by chance,
    so that tasks which failed together do not come back together.

    Parameters
    ----------
    clock : callable, optional
        Monotonic seconds.
    chance : callable, optional
        ``chance(low, high)`` returns a number between the two.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._waiting: list[tuple[float, str]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def begin(self, task: str, failures: int) -> float:
        """Let a task wait that has failed so often; return for how many seconds."""
        pause_s = min(_LONGEST_S, _FIRST_S * 2.0 ** min(failures - 1, 16))
        pause_s *= self._chance(0.5, 1.5)
        heapq.heappush(self._waiting, (self._clock() + pause_s, task))
        return pause_s

    @property
    def due_s(self) -> float:
        """In how many seconds the first pause is over; infinite where nobody waits."""
        return max(0.0, self._waiting[0][0] - self._clock()) if self._waiting else math.inf

    def over(self) -> Iterator[str]:
        """Yield the tasks whose pause is over."""
        while self._waiting and self._waiting[0][0] <= self._clock():
            yield heapq.heappop(self._waiting)[1]
