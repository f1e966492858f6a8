"""Live progress of a run on the console: a redrawn view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from gpwf.core.plan import Plan
from gpwf.core.runs import AttemptFinished, AttemptStarted, RunEvent, TaskState
from gpwf.report.plain import PlainConsole
from gpwf.report.progress import Progress
from gpwf.report.records import progress_note, record_line
from gpwf.report.screen import is_foreground
from gpwf.report.text import one_line

if TYPE_CHECKING:
    from gpwf.report.live import LiveView
    from gpwf.report.meter import History, Meter

__all__ = ["LiveConsole", "PlainConsole", "QuietConsole", "RunConsole", "open_console"]

_SHORT_S = 1.0  # a run that is over before shows no view
_KEPT = 50  # lines above the view at once, and per 10 s after that
_KEPT_AGAIN_S = 10.0


class RunConsole(Protocol):
    """What watches a run; every method is called from the driver's thread."""

    def event(self, event: RunEvent) -> None:
        """Show one event."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Show a log record or a progress note from inside a task."""

    def close(self) -> None:
        """Leave the terminal in order; may be called twice."""


def open_console(
    plan: Plan,
    *,
    mode: str = "auto",
    stream: TextIO | None = None,
    meter: Meter | None = None,
    history: History | None = None,
) -> RunConsole:
    """Return the console for a run.

    Parameters
    ----------
    plan : Plan
        What is to be run.
    mode : {"auto", "live", "plain", "off"}
        ``auto`` redraws on a terminal and prints lines elsewhere.
    stream : text file, optional
        Standard error by default.
    meter : Meter, optional
        Knows what running tasks use: the executor. Asked from a thread of the console.
    history : callable, optional
        Returns how long a task of each step took in earlier runs, for the time left. Called once
        from a thread of the console, by a live view only.

    Raises
    ------
    ValueError
        For any other mode.
    """
    stream = sys.stderr if stream is None else stream
    if mode == "auto":
        mode = "live" if _can_redraw(stream) else "plain"
    if mode == "live":
        return LiveConsole(Progress(plan), stream, meter, history)
    if mode == "plain":
        return PlainConsole(Progress(plan), stream, meter=meter)
    if mode == "off":
        return QuietConsole()
    raise ValueError(f"no console mode {mode!r}: use auto, live, plain or off")


def _can_redraw(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that redraws, and is ours: ``gpwf run … &`` leaves it."""
    if not stream.isatty() or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    return is_foreground(stream)


class QuietConsole:
    """A console that shows nothing."""

    def event(self, event: RunEvent) -> None:
        """Show nothing."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


class LiveConsole:
    """A view that is redrawn in place; gone at the end, when the table of steps takes over.

    It begins when the first task goes to a worker: a run that finds everything done is over
    before that, or shows a view after a second.

    Parameters
    ----------
    progress : Progress
        Of the plan that is to be run.
    stream : text file
        The terminal.
    meter : Meter, optional
        Knows what running tasks use.
    history : callable, optional
        See `open_console`.
    """

    def __init__(
        self,
        progress: Progress,
        stream: TextIO,
        meter: Meter | None = None,
        history: History | None = None,
    ) -> None:
        self._progress = progress
        self._history = history
        self._stream = stream
        self._meter = meter
        self._started_s = time.monotonic()
        self._view: LiveView | None = None
        self._is_closed = False
        self._kept = 0
        self._unseen = 0
        self._keep_again_s = 0.0

    def event(self, event: RunEvent) -> None:
        """Take in one event; failures stay on the screen above the view."""
        now_s = time.monotonic()
        self._progress.apply(event, now_s)
        if self._view is None:
            self._begin(event, now_s)
        if isinstance(event, AttemptFinished) and event.failure is not None:
            if event.state is TaskState.CANCELLED:
                return  # whoever interrupts a run knows
            end = "trying again" if event.retry else event.state
            message = event.failure.message.removeprefix(f"{self._progress.step_of(event.task)}: ")
            self._say(f"{event.task}: {end}: {message}", _colour(event))

    def record(self, record: Mapping[str, Any]) -> None:
        """Show a warning above the view, a progress note in it."""
        if record.get("event") == "task.progress":
            self._progress.note(str(record.get("task_id", "")), progress_note(record))
        elif (line := record_line(record)) is not None:
            self._say(line, "yellow")

    def close(self) -> None:
        """Take the view from the screen."""
        self._is_closed = True
        if self._view is not None:
            self._view.stop()
            self._view = None
        if self._unseen:
            self._write(f"and {self._unseen} more messages, see the log\n")
            self._unseen = 0

    def _begin(self, event: RunEvent, now_s: float) -> None:
        """Show the view when something is to be seen."""
        works = isinstance(event, AttemptStarted) or now_s - self._started_s > _SHORT_S
        if works and not self._is_closed:
            from gpwf.report.live import LiveView

            self._view = LiveView(
                self._progress,
                self._stream,
                started_s=self._started_s,
                meter=self._meter,
                history=self._history,
            )
            self._view.start()

    def _say(self, text: str, colour: str) -> None:
        """Print a line that stays; of thousands only the first ones: the rest are in the log."""
        now_s = time.monotonic()
        if now_s >= self._keep_again_s:
            self._kept, self._keep_again_s = 0, now_s + _KEPT_AGAIN_S
        self._kept += 1
        if self._kept > _KEPT:
            self._unseen += 1
            return
        line = _coloured(one_line(text), colour)
        if self._view is not None:
            self._view.say(line)
        else:
            self._write(line + "\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal is no reason to lose what runs
            self._stream.write(text)


def _coloured(text: str, colour: str) -> str:
    from click import style

    # as rich does, which draws the view
    return text if os.environ.get("NO_COLOR") else style(text, fg=colour)


def _colour(event: AttemptFinished) -> str:
    return "yellow" if event.retry or event.state is TaskState.SKIPPED else "red"
