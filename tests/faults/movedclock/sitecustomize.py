"""Let the wall clock jump hours to and fro, in every Python that finds this file on its path.

The monotonic clock and the times of files are those of the system: nobody can set these.
"""

from __future__ import annotations

import datetime
import itertools
import os
import time

_real_ns = time.time_ns
_calls = itertools.count()
_HOURS = [float(item) for item in os.environ.get("FAULTS_HOURS", "0").split(",")]


def _shift_s() -> float:
    """Return another shift every few calls."""
    return 3600.0 * _HOURS[next(_calls) // 3 % len(_HOURS)]


def _time_ns() -> int:
    return _real_ns() + int(_shift_s() * 1e9)


_Real = datetime.datetime


class _MovedDatetime(_Real):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        return _Real.fromtimestamp(_time_ns() / 1e9, tz)


time.time_ns = _time_ns
time.time = lambda: _time_ns() / 1e9
datetime.datetime = _MovedDatetime  # type: ignore[misc]
