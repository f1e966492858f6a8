"""Lines that are held back for an instant and written together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TextIO

__all__ = ["HeldWriter"]

_HOLD_S = 0.2
_MOST_LINES = 2000


class HeldWriter:
    """Write lines to a file, those of 0.2 s at a time; a logger for structlog.

    A thread that lives only while something is held back writes it when no later line does.

    Parameters
    ----------
    stream : text file
        Closed by `close`.
    on_error : callable
        Told once of an error of the disk, after which nothing more is written.
    hold_s : float
        Seconds that a line waits at most.
    """

    def __init__(
        self, stream: TextIO, *, on_error: Callable[[OSError], None], hold_s: float = _HOLD_S
    ) -> None:
        self._stream = stream
        self._on_error = on_error
        self._hold_s = hold_s
        self._held: list[str] = []
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self.is_closed = False

    def msg(self, line: str) -> None:
        """Take a line, without its line feed."""
        with self._lock:
            if self.is_closed:
                return
            self._held.append(line)
            if len(self._held) >= _MOST_LINES:
                self._write()
            elif self._timer is None:
                self._timer = threading.Timer(self._hold_s, self._time_is_up)
                self._timer.daemon = True  # a driver that ends without closing is not held up
                self._timer.start()

    debug = info = warning = error = critical = msg

    def flush(self) -> None:
        """Write what is held back."""
        with self._lock:
            self._write()

    def close(self) -> None:
        """Write what is held back, and close the file; may be called twice."""
        with self._lock:
            timer, self._timer = self._timer, None
            self._write()
            if not self._stream.closed:
                self.is_closed = True
                # what a full disk did not take was told, and is tried again here
                with contextlib.suppress(OSError):
                    self._stream.close()
        if timer is not None:
            timer.cancel()
            timer.join()

    def _time_is_up(self) -> None:
        with self._lock:
            self._timer = None
            self._write()

    def _write(self) -> None:
        """Write and empty the list; the lock is held."""
        held, self._held = self._held, []
        if self.is_closed or not held:
            return
        held.append("")
        try:
            self._stream.write("\n".join(held))
            self._stream.flush()
        except OSError as error:
            self.is_closed = True
            self._on_error(error)
