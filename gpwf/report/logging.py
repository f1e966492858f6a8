"""The log of a run: one JSON object per line, made by structlog.

Every line has ``time level event run_id step task_id attempt`` (null where one does not apply);
``coordinates`` (axis → label, of scattered tasks), ``key``, ``digest``, ``duration_s`` and others
follow where there is something to say. Event names
are static: those of the journal for run events, ``log.record`` for what libraries logged or
warned about inside a task, ``task.progress`` for what a step says of itself.

The logger is wrapped with its own processors: structlog's global configuration, which belongs to
the user's notebook, is neither read nor changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from gpwf.core.codec import event_to_plain
from gpwf.core.coordinates import labels_of
from gpwf.core.redact import redact_text
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)

__all__ = ["LEVELS", "RunLog", "event_fields"]

#: Levels from quiet to loud; a filter at one level keeps it and everything above.
LEVELS = ("debug", "info", "warning", "error", "critical")

_CONTEXT = ("run_id", "step", "task_id", "attempt")
_FIRST = ("time", "level", "event", *_CONTEXT)


def _digests(products: Mapping[str, Product]) -> dict[str, str] | None:
    return {port: product.digest for port, product in products.items()} or None


def _seconds(started: str, ended: str) -> float | None:
    """Return the length of an interval between ISO 8601 times, None where one is missing."""
    if not started or not ended:
        return None
    delta = datetime.fromisoformat(ended) - datetime.fromisoformat(started)
    return round(delta.total_seconds(), 6)


def _finished_fields(event: AttemptFinished) -> Iterator[tuple[str, Any]]:
    yield "task_id", event.task
    yield "attempt", event.attempt
    yield "key", event.key
    yield "state", event.state
    yield "digest", _digests(event.products)
    yield "duration_s", _seconds(event.started, event.ended)
    yield "cpu_s", event.resources.cpu_s
    yield "peak_rss_bytes", event.resources.peak_rss_bytes
    yield "retry", event.retry or None
    if event.failure is not None:
        yield "error", event.failure.kind
        yield "message", event.failure.message
        yield "hint", event.failure.hint
        yield "traceback", event.failure.traceback


def event_fields(event: RunEvent) -> tuple[str, dict[str, Any]]:
    """Return the level of a run event and the fields that its log line shows.

    Parameters
    ----------
    event : RunEvent
        Any of the events of `gpwf.core.runs`.

    Returns
    -------
    level : str
        One of `LEVELS`.
    fields : dict
        Without the keys that do not apply.
    """
    level = "info"
    fields: dict[str, Any] = {}
    match event:
        case RunStarted():
            fields = {"workflow": event.workflow, "plan": event.plan_digest, "jobs": event.jobs}
        case TaskCached():
            fields = {
                "task_id": event.task,
                "key": event.key,
                "state": TaskState.CACHED,
                "digest": _digests(event.products),
                "made_by_run": event.made_by_run,
            }
        case AttemptStarted():
            fields = {
                "task_id": event.task,
                "attempt": event.attempt,
                "key": event.key,
                "worker": event.worker or None,
            }
        case AttemptFinished():
            fields = dict(_finished_fields(event))
            if event.failure is not None:
                level = "warning" if event.retry or event.failure.no_data else "error"
        case TaskNotRun():
            level = "warning"
            fields = {"task_id": event.task, "state": event.state, "reason": event.reason}
        case RunFinished():
            level = "info" if event.state is RunState.OK else "error"
            fields = {"state": event.state, "reason": event.reason or None, **event.counts}
        case _:
            pass
    return level, {name: value for name, value in fields.items() if value is not None}


def _iso(time: Any) -> str:
    """Return ISO 8601 in UTC from an ISO text, a Unix time in seconds, or nothing (now)."""
    if isinstance(time, str) and time:
        return time
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        moment = datetime.fromtimestamp(time, UTC)
    else:
        moment = datetime.now(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _arrange(_logger: Any, method: str, fields: Any) -> Any:
    """Put the fixed keys first, in their order, with null where one does not apply."""
    fields.setdefault("level", method)
    ordered = {name: fields.pop(name, None) for name in _FIRST}
    return {**ordered, **fields}


def _clean(value: Any) -> Any:
    """Return a value of a log line without what looks like a secret."""
    return redact_text(value) if type(value) is str else value


class RunLog:
    """Writer of the ``log.jsonl`` of a run; usable as a context manager.

    Parameters
    ----------
    path : Path
        File to append to.
    run_id : str
        UUID of the run, on every line.
    step_of : callable, optional
        Gives the step of a task id; the id up to its bracket by default.
    """

    def __init__(
        self, path: Path, run_id: str, *, step_of: Callable[[str], str | None] | None = None
    ) -> None:
        # structlog takes 0.2 s to import (it tries for rich): only a run pays
        import structlog

        self._step_of = step_of or (lambda task_id: task_id.partition("[")[0])
        self._path = path
        # a file name that is no text becomes the escape that JSON has for it
        self._stream = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._log: Any = structlog.wrap_logger(
            structlog.WriteLogger(self._stream),
            processors=[_arrange, structlog.processors.JSONRenderer(ensure_ascii=False)],
            wrapper_class=structlog.make_filtering_bound_logger("debug"),
            context_class=dict,
            run_id=run_id,
        )

    def event(self, event: RunEvent) -> None:
        """Write the line of a run event."""
        level, fields = event_fields(event)
        fields = {name: _clean(value) for name, value in fields.items()}
        self._write(level, event_to_plain(event)["event"], time=event.time, **fields)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write what a library logged, or what a step said, inside a task.

        Parameters
        ----------
        record : mapping
            Plain data from the worker: ``message``, ``logger``, ``level``, ``task_id``,
            ``attempt``, ``time`` and whatever else belongs to the record; ``event`` where it is
            not ``log.record``.
        """
        fields = {name: _clean(value) for name, value in record.items()}
        level = str(fields.pop("level", "info")).lower()
        name = str(fields.pop("event", "log.record"))
        self._write(level if level in LEVELS else "info", name, **fields)

    def _write(self, level: str, name: str, **fields: Any) -> None:
        fields["time"] = _iso(fields.get("time"))
        task_id = fields.get("task_id")
        if task_id is not None and "step" not in fields:
            fields["step"] = self._step_of(task_id)
        if task_id is not None and (place := labels_of(task_id, fields["step"] or "")):
            fields["coordinates"] = place
        if self._log is None:
            return
        try:
            getattr(self._log, level)(name, **fields)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Go on without a log: the run matters more, and the journal is what counts."""
        self._log = None
        print(f"the log {self._path} ends here: {error.strerror}", file=sys.stderr)

    def close(self) -> None:
        """Close the file."""
        try:
            self._stream.close()
        except OSError as error:  # what a full disk did not take is tried again here
            if self._log is not None:
                self._give_up(error)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
