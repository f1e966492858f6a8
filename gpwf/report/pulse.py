"""A thread that does something again and again until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Pulse"]


class Pulse:
    """Call a function now and then, in a thread of its own.

    Parameters
    ----------
    function : callable
        Returns for how many seconds to wait before the next call.
    first_s : float
        Seconds to the first call.
    """

    def __init__(self, function: Callable[[], float], *, first_s: float = 0.0) -> None:
        self._function = function
        self._wait_s = first_s
        self._stopped = threading.Event()
        # a driver that ends without stopping it is not held up
        self._thread = threading.Thread(target=self._go, name="gpwf-console", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for a call that is under way; may be called twice."""
        self._stopped.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _go(self) -> None:
        while not self._stopped.wait(self._wait_s):
            self._wait_s = self._function()
