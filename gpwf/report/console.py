"""Live progress of a run on the console: a redrawn view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from gpwf.core.plan import Plan
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    RunEvent,
    RunFinished,
    TaskCached,
    TaskNotRun,
    TaskState,
)
from gpwf.report.progress import Progress
from gpwf.report.text import duration, one_line

if TYPE_CHECKING:
    from gpwf.report.live import LiveView

__all__ = ["LiveConsole", "PlainConsole", "QuietConsole", "RunConsole", "open_console"]

_WARNING_PLACE = re.compile(r"^\S+:\d+: (?:\w+\.)*\w+: ")
_SHOWN_LEVELS = ("warning", "error", "critical")


class RunConsole(Protocol):
    """What watches a run; every method is called from the driver's thread."""

    def event(self, event: RunEvent) -> None:
        """Show one event."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Show a log record or a progress note from inside a task."""

    def close(self) -> None:
        """Leave the terminal in order; may be called twice."""


def open_console(plan: Plan, *, mode: str = "auto", stream: TextIO | None = None) -> RunConsole:
    """Return the console for a run.

    Parameters
    ----------
    plan : Plan
        What is to be run.
    mode : {"auto", "live", "plain", "off"}
        ``auto`` redraws on a terminal and prints lines elsewhere.
    stream : text file, optional
        Standard error by default.

    Raises
    ------
    ValueError
        For any other mode.
    """
    stream = sys.stderr if stream is None else stream
    if mode == "auto":
        mode = "live" if _can_redraw(stream) else "plain"
    if mode == "live":
        return LiveConsole(plan, stream)
    if mode == "plain":
        return PlainConsole(plan, stream)
    if mode == "off":
        return QuietConsole()
    raise ValueError(f"no console mode {mode!r}: use auto, live, plain or off")


def _can_redraw(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def record_line(record: Mapping[str, Any]) -> str | None:
    """Return the line for a log record, None for one that is for the log alone."""
    level = str(record.get("level", "info")).lower()
    if level not in _SHOWN_LEVELS:
        return None
    task = record.get("task_id") or "gpwf"
    message = str(record.get("message", ""))
    if record.get("logger") == "py.warnings":
        message = _WARNING_PLACE.sub("", message)  # the line of code is in the log
    message = message.removeprefix(f"{record.get('step')}: ")  # steps name themselves
    return one_line(f"{task}: {level}: {message}")


def progress_note(record: Mapping[str, Any]) -> str:
    """Return ``3/12 message`` for what a step says of itself."""
    done, total = record.get("done"), record.get("total")
    counter = f"{done}/{total} " if done is not None and total else ""
    return one_line(f"{counter}{record.get('message', '')}")


class QuietConsole:
    """A console that shows nothing."""

    def event(self, event: RunEvent) -> None:
        """Show nothing."""

    def record(self, record: Mapping[str, Any]) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


class PlainConsole:
    """One line per event, without control sequences: for pipes, batch logs and dumb terminals.

    The tasks of a step that are cached, or not run for one reason, share a line.

    Parameters
    ----------
    plan : Plan
        What is to be run.
    stream : text file
        Where the lines go.
    """

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self._progress = Progress(plan)
        self._stream = stream
        self._held_line = ("", "")
        self._held = 0

    def event(self, event: RunEvent) -> None:
        """Print the line of one event."""
        if isinstance(event, (TaskCached, TaskNotRun)):
            self._hold(event)
            self._progress.apply(event, time.monotonic())
            return
        self._flush()
        self._progress.apply(event, time.monotonic())
        if (text := self._text(event)) is not None:
            self._print(text, event.time)

    def record(self, record: Mapping[str, Any]) -> None:
        """Print a warning or an error of a library."""
        if record.get("event") != "task.progress" and (line := record_line(record)) is not None:
            self._flush()
            self._print(line)

    def close(self) -> None:
        """Print what was held back."""
        self._flush()
        self._stream.flush()

    def _text(self, event: RunEvent) -> str | None:
        match event:
            case AttemptStarted():
                again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
                return f"{event.task}: started{again}"
            case AttemptFinished():
                return self._finished_text(event)
            case RunFinished():
                reason = event.reason.removeprefix(f"{event.state}: ")
                return f"run {event.state}: {reason}" if reason else f"run {event.state}"
            case _:
                return None

    def _finished_text(self, event: AttemptFinished) -> str:
        took = duration(event.resources.wall_s)
        if event.failure is None:
            return f"{event.task}: {event.state} in {took}{self._counter()}"
        end = " (trying again)" if event.retry else self._counter()
        message = event.failure.message.removeprefix(f"{self._progress.step_of(event.task)}: ")
        return f"{event.task}: {event.state} after {took}: {message}{end}"

    def _counter(self) -> str:
        return f" ({self._progress.done}/{self._progress.total})"

    def _hold(self, event: TaskCached | TaskNotRun) -> None:
        """Count an end without an attempt; one line for all the tasks of a step that share it."""
        end = "cached" if isinstance(event, TaskCached) else f"{event.state}: {event.reason}"
        line = (self._progress.step_of(event.task), end)
        if line != self._held_line:
            self._flush()
            self._held_line = line
        self._held += 1

    def _flush(self) -> None:
        if self._held:
            step, end = self._held_line
            many = f" ({self._held} tasks)" if self._held > 1 else ""
            self._print(f"{step}{many}: {end}{self._counter()}")
        self._held_line, self._held = ("", ""), 0

    def _print(self, text: str, iso: str = "") -> None:
        moment = datetime.fromisoformat(iso).astimezone() if iso else datetime.now()
        self._stream.write(f"{moment:%H:%M:%S} {one_line(text)}\n")
        self._stream.flush()


class LiveConsole:
    """A view that is redrawn in place; gone at the end, when the table of steps takes over.

    rich is imported when the first task goes to a worker: a run that finds everything done is
    over before that.

    Parameters
    ----------
    plan : Plan
        What is to be run.
    stream : text file
        The terminal.
    """

    def __init__(self, plan: Plan, stream: TextIO) -> None:
        self._progress = Progress(plan)
        self._stream = stream
        self._view: LiveView | None = None

    def event(self, event: RunEvent) -> None:
        """Take in one event; failures stay on the screen above the view."""
        self._progress.apply(event, time.monotonic())
        if isinstance(event, AttemptStarted) and self._view is None:
            from gpwf.report.live import LiveView

            self._view = LiveView(self._progress, self._stream)
            self._view.start()
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
        if self._view is not None:
            self._view.stop()
            self._view = None

    def _say(self, text: str, colour: str) -> None:
        if self._view is not None:
            self._view.say(one_line(text), colour)
        else:
            self._stream.write(one_line(text) + "\n")


def _colour(event: AttemptFinished) -> str:
    return "yellow" if event.retry or event.state is TaskState.SKIPPED else "red"
