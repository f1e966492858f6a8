"""Progress of a run line by line: for pipes, batch logs and dumb terminals."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TextIO

from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    RunEvent,
    RunFinished,
    TaskCached,
    TaskNotRun,
)
from gpwf.report.estimate import seconds_left
from gpwf.report.meter import Meter
from gpwf.report.progress import Progress, Running
from gpwf.report.pulse import Pulse
from gpwf.report.records import progress_note, record_line
from gpwf.report.text import duration, one_line

__all__ = ["PlainConsole"]

_SILENCE_S = 30.0  # a run that says nothing for longer looks dead
_BURST = 200  # lines that may follow each other at once
_PER_S = 2.0  # lines per second in the long run
_CALM = 10  # lines between two summaries that may be printed again
_SUMMARIES_S = (5.0, 5.0, 5.0, 15.0, 15.0, 30.0)  # between summaries, the last one for ever
_NAMED = 3  # running tasks in a summary


class PlainConsole:
    """One line per event, without control sequences.

    The tasks of a step that are cached, or not run for one reason, share a line. Where events
    come faster than anybody reads, a summary now and then stands for them; of a run that is silent
    a line every 30 s says that it goes on. Failures have lines of their own, up to a number.

    Parameters
    ----------
    progress : Progress
        Of the plan that is to be run.
    stream : text file
        Where the lines go.
    meter : Meter, optional
        Knows which tasks wait for a worker.
    clock : callable
        Returns seconds that only grow.
    """

    def __init__(
        self,
        progress: Progress,
        stream: TextIO,
        *,
        meter: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress = progress
        self._meter = meter
        self._stream = stream
        self._clock = clock
        self._lock = threading.RLock()
        self._pulse: Pulse | None = None
        self._held_line = ("", "")
        self._held = 0
        self._started_s = self._last_line_s = clock()
        self._talk = _Budget(self._started_s)
        self._alarms = _Budget(self._started_s)
        self._folds = False  # summaries stand for events
        self._dropped = 0  # events that the next summary stands for
        self._unseen_alarms = 0
        self._summaries = 0
        self._next_summary_s = 0.0
        self._is_gone = False

    def event(self, event: RunEvent) -> None:
        """Print the line of one event."""
        now_s = self._clock()
        with self._lock:
            if isinstance(event, (TaskCached, TaskNotRun)):
                self._hold(event)
                self._progress.apply(event, now_s)
                return
            if self._held:
                self._flush()
            self._progress.apply(event, now_s)
            self._tell(event, now_s)
            if self._pulse is None and isinstance(event, AttemptStarted):
                self._pulse = Pulse(self._beat, first_s=1.0)
                self._pulse.start()

    def record(self, record: Mapping[str, Any]) -> None:
        """Print a warning or an error of a library; remember a progress note."""
        if record.get("event") == "task.progress":
            self._progress.note(str(record.get("task_id", "")), progress_note(record))
            return
        if (line := record_line(record)) is None:
            return
        with self._lock:
            self._flush()
            self._alarm(line, self._clock())

    def beat(self, now_s: float) -> None:
        """Print a summary where lines were left out, or where there were none for long."""
        with self._lock:
            if (self._folds or self._unseen_alarms) and now_s >= self._next_summary_s:
                self._summary(now_s)
            elif now_s - self._last_line_s >= _SILENCE_S:
                self._print(f"still running: {self._standing(now_s)}")

    def close(self) -> None:
        """Print what was held back; may be called twice."""
        if self._pulse is not None:
            self._pulse.stop()
        with self._lock:
            self._flush()
            if self._unseen_alarms:
                self._summary(self._clock())

    def _beat(self) -> float:
        self.beat(self._clock())
        return 1.0

    def _tell(self, event: RunEvent, now_s: float) -> None:
        """Print the line of an event, or count it for the next summary."""
        if isinstance(event, AttemptFinished) and event.failure is not None:
            self._alarm(self._finished_text(event), now_s, event.time)
        elif isinstance(event, RunFinished):
            if self._dropped or self._unseen_alarms:
                self._summary(now_s)
            reason = event.reason.removeprefix(f"{event.state}: ")
            self._print(f"run {event.state}: {reason}" if reason else f"run {event.state}")
        elif not isinstance(event, (AttemptStarted, AttemptFinished)):
            return
        elif self._folds or not self._talk.take(now_s):
            self._fold(now_s)
            if now_s >= self._next_summary_s:
                self._summary(now_s)
        elif isinstance(event, AttemptStarted):
            again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
            self._print(f"{event.task}: started{again}", event.time)
        else:
            self._print(self._finished_text(event), event.time)

    def _finished_text(self, event: AttemptFinished) -> str:
        took = duration(event.resources.wall_s)
        if event.failure is None:
            return f"{event.task}: {event.state} in {took}{self._counter()}"
        end = " (trying again)" if event.retry else self._counter()
        message = event.failure.message.removeprefix(f"{self._progress.step_of(event.task)}: ")
        return f"{event.task}: {event.state} after {took}: {message}{end}"

    def _alarm(self, text: str, now_s: float, iso: str = "") -> None:
        if self._alarms.take(now_s):
            self._print(text, iso)
        else:
            self._unseen_alarms += 1

    def _summary(self, now_s: float) -> None:
        more = f"; {self._unseen_alarms} more problems, see the log" if self._unseen_alarms else ""
        if self._dropped or more:
            self._print(f"{self._standing(now_s)}{more}")
        if self._folds and self._dropped <= _CALM:  # single events can be followed again
            self._folds = False
            self._talk = _Budget(now_s, _BURST // 4)
        self._dropped = self._unseen_alarms = 0
        wait_s = _SUMMARIES_S[min(self._summaries, len(_SUMMARIES_S) - 1)]
        self._summaries += 1
        self._next_summary_s = now_s + wait_s

    def _fold(self, now_s: float) -> None:
        """Let the next summary stand for an event."""
        if not self._folds:
            self._folds = True
            self._next_summary_s = max(self._next_summary_s, now_s + _SUMMARIES_S[0])
        self._dropped += 1

    def _standing(self, now_s: float) -> str:
        """Return how the run stands, in a line."""
        progress = self._progress
        failed = sum(step.failed for step in progress.steps.values())
        parts = [f"{progress.done}/{progress.total} tasks{f', {failed} failed' if failed else ''}"]
        longest = sorted(self._taken(now_s), key=lambda pair: -pair[0])
        told = [
            f"{item.task} {duration(taken_s)}{f' {item.note}' if item.note else ''}"
            for taken_s, item in longest[:_NAMED]
        ]
        if len(longest) > _NAMED:
            told.append(f"{len(longest) - _NAMED} more")
        if told:
            parts.append("running: " + ", ".join(told))
        left_s = seconds_left(progress, now_s)
        if left_s:
            parts.append(f"about {duration(left_s)} left")
        return "; ".join(parts)

    def _taken(self, now_s: float) -> list[tuple[float, Running]]:
        """Return the tasks that workers have, each with its time; all there are where unknown."""
        running = list(self._progress.running.values())
        if self._meter is not None:
            # a table of workers that changes while it is read is no reason to say nothing
            with contextlib.suppress(RuntimeError):
                pairs = [(self._meter.running_s(item.handle), item) for item in running]
                return [(taken_s, item) for taken_s, item in pairs if taken_s > 0]
        return [(now_s - item.since_s, item) for item in running]

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
            text = f"{step}{many}: {end}{self._counter()}"
            self._held_line, self._held = ("", ""), 0
            if end != "cached":
                self._alarm(text, self._clock())
            elif not self._folds and self._talk.take(self._clock()):
                self._print(text)
            else:
                self._fold(self._clock())

    def _print(self, text: str, iso: str = "") -> None:
        moment = datetime.fromisoformat(iso).astimezone() if iso else datetime.now()
        self._last_line_s = self._clock()
        if self._is_gone:
            return
        try:
            self._stream.write(f"{moment:%H:%M:%S} {one_line(text)}\n")
            self._stream.flush()
        except OSError:  # nobody reads any more, or the disk is full: no reason to lose what runs
            self._is_gone = True


class _Budget:
    """How many lines may be printed: a number at once, so many per second in the long run."""

    def __init__(self, now_s: float, lines: float = _BURST) -> None:
        self._lines = lines
        self._last_s = now_s

    def take(self, now_s: float) -> bool:
        """Take a line where there is one."""
        self._lines = min(self._lines + (now_s - self._last_s) * _PER_S, _BURST)
        self._last_s = now_s
        if self._lines < 1:
            return False
        self._lines -= 1
        return True
