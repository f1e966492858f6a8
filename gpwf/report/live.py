"""The redrawn view of a run on a terminal: rich makes the lines, a thread of its own draws them."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from gpwf.report.meter import History, Meter
from gpwf.report.progress import Progress, Running
from gpwf.report.pulse import Pulse
from gpwf.report.screen import Screen

if TYPE_CHECKING:
    from rich.console import Console

    from gpwf.report.frame import Used

__all__ = ["LiveView"]

_EVERY_S = 0.2
_DRAWING_SHARE = 0.03  # of one core
_LOOK_EVERY_S = 2.0
_LOOKING_SHARE = 0.02


class LiveView:
    """Overall bar, a line per step, and the running tasks with the time and memory they take.

    rich is imported by the thread that draws: the driver does not wait for it.

    Parameters
    ----------
    progress : Progress
        Kept up to date by the caller.
    stream : text file
        The terminal.
    started_s : float
        When the run began, by `time.monotonic`.
    meter : Meter, optional
        Asked for what running tasks use.
    history : callable, optional
        Returns how long a task of each step took in earlier runs; called once, when the view
        is on the screen.
    """

    def __init__(
        self,
        progress: Progress,
        stream: TextIO,
        *,
        started_s: float,
        meter: Meter | None = None,
        history: History | None = None,
    ) -> None:
        self._progress = progress
        self._history = history
        self._stream = stream
        self._screen = Screen(stream)
        self._started_s = started_s
        self._gauge = _Gauge(meter)
        self._console: Console | None = None
        self._pulse = Pulse(self.draw)

    def start(self) -> None:
        """Begin to draw."""
        self._pulse.start()

    def stop(self) -> None:
        """Take the view from the screen and give the cursor back."""
        self._pulse.stop()
        self._screen.clear()

    def say(self, text: str) -> None:
        """Print a line above the view; it stays."""
        self._screen.above(text)

    def draw(self) -> float:
        """Draw the view as it is now; return the seconds until it should be drawn again."""
        from rich.console import Console

        from gpwf.report.frame import Glyphs, frame

        if not self._screen.is_ours:  # the run was put into the background
            self._screen.forget()
            return _LOOK_EVERY_S
        begin_s = time.thread_time()
        if self._console is None:
            self._console = Console(
                file=io.StringIO(),  # it ends the process when it finds its terminal closed
                force_terminal=True,
                highlight=False,
                markup=False,
                emoji=False,
                soft_wrap=True,
            )
            begin_s = time.thread_time()  # without the import
        width, height = self._screen.size()
        now_s = time.monotonic()
        lines = frame(
            self._progress,
            now_s,
            started_s=self._started_s,
            width=width,
            height=height,
            used=self._gauge.read(list(self._progress.running.values()), now_s),
            glyphs=Glyphs.of(getattr(self._stream, "encoding", None) or "utf-8"),
        )
        with self._console.capture() as drawn:
            for line in lines:
                self._console.print(line)
        self._screen.draw(drawn.get().splitlines(), [line.cell_len for line in lines])
        if self._history is not None:  # for the next drawing: this one need not wait for it
            self._progress.expected, self._history = self._history(), None
            return _EVERY_S
        return max(_EVERY_S, (time.thread_time() - begin_s) / _DRAWING_SHARE)


class _Gauge:
    """Ask a meter, memory not more often than it is worth: that looks at every process there is."""

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._memory: dict[str, int | None] = {}
        self._last: dict[str, Used] = {}
        self._next_s = 0.0

    def read(self, running: Iterable[Running], now_s: float) -> dict[str, Used]:
        """Return what tasks use, by attempt id."""
        from gpwf.report.frame import Used

        if self._meter is None:
            return {}
        running = list(running)
        try:
            taken = {item.handle: self._meter.running_s(item.handle) for item in running}
            if now_s >= self._next_s:
                self._look([handle for handle, taken_s in taken.items() if taken_s > 0], now_s)
        except RuntimeError:  # a table of workers changed while it was read; the next time will do
            return self._last
        self._last = {
            handle: Used(wall_s=taken_s, rss_bytes=self._memory.get(handle))
            for handle, taken_s in taken.items()
        }
        return self._last

    def _look(self, handles: Iterable[str], now_s: float) -> None:
        assert self._meter is not None
        begin_s = time.thread_time()
        self._memory = {handle: self._meter.resident_bytes(handle) for handle in handles}
        cost_s = time.thread_time() - begin_s
        self._next_s = now_s + max(_LOOK_EVERY_S, cost_s / _LOOKING_SHARE)
