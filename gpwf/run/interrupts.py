"""SIGINT, SIGTERM and SIGHUP during a run."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Count SIGINT, SIGTERM and SIGHUP while the block runs; nothing is raised.

    A terminal that closes sends SIGHUP; under ``nohup`` it is ignored, as before.

    Signals reach the main thread only: elsewhere this counts nothing.

    Parameters
    ----------
    wake : callable
        Called on every signal, to end a wait early.

    Attributes
    ----------
    received : str
        Name of the first signal, empty before.
    count : int
        How many came.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.received = ""
        self.count = 0
        self._wake = wake
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.received = self.received or signal.Signals(number).name
        self._wake()
