"""The log of a run: one JSON object per line, made by structlog.

What a line holds is said in `gpwf.report.log_schema`: the fixed keys first, in their order, null
where one does not apply; then whatever else there is to say. Every task ends with one line
``task.finished`` that has everything of it, whatever its end; attempts after which another one
follows have ``attempt.finished``. ``log.record`` is what libraries logged or warned about inside
a task, ``task.progress`` what a step says of itself.

The logger is wrapped with its own processors: structlog's global configuration, which belongs to
the user's notebook, is neither read nor changed. It is bound once, and has its own JSON encoder:
a task of a millisecond must not wait for its log.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

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
from gpwf.report.held import HeldWriter
from gpwf.report.log_schema import FIXED, LEVELS

__all__ = ["LEVELS", "RunLog", "event_fields"]

#: Of a run event; made by gpwf itself: nothing to look for secrets in.
_OWN = frozenset(
    {"state", "time", "key", "worker", "plan", "error", "attempt_id", "made_by_run"}
    | {"made_by_attempt"}
)
_TIME = frozenset({"time"})
_LOUD = frozenset({"warning", "error", "critical"})
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


def _digests(products: Mapping[str, Product]) -> dict[str, str] | None:
    return {port: product.digest for port, product in products.items()} or None


def _seconds(started: str, ended: str) -> float | None:
    """Return the length of an interval between ISO 8601 times, None where one is missing."""
    if not started or not ended:
        return None
    delta = datetime.fromisoformat(ended) - datetime.fromisoformat(started)
    return round(delta.total_seconds(), 6)


def _finished_fields(event: AttemptFinished) -> dict[str, Any]:
    used = event.resources
    fields = {
        "task_id": event.task,
        "attempt": event.attempt,
        "attempt_id": event.attempt_id,
        "key": event.key,
        "state": event.state.value,
        "digest": _digests(event.products),
        "duration_s": _seconds(event.started, event.ended),
        "cpu_s": used.cpu_s,
        "peak_rss_bytes": used.peak_rss_bytes,
        "retry": event.retry or None,
    }
    if (failure := event.failure) is not None:
        fields |= {
            "error": failure.kind,
            "message": failure.message,
            "hint": failure.hint,
            "traceback": failure.traceback,
        }
    return fields


def event_fields(event: RunEvent) -> tuple[str, str, dict[str, Any]]:
    """Return the name and the level of a run event, and the fields that its log line shows.

    Parameters
    ----------
    event : RunEvent
        Any of the events of `gpwf.core.runs`.

    Returns
    -------
    name : str
        One of `gpwf.report.log_schema.EVENTS`.
    level : str
        One of `gpwf.report.log_schema.LEVELS`.
    fields : dict
        Without the keys that do not apply.
    """
    name, level = "task.finished", "info"
    fields: dict[str, Any] = {}
    match event:
        case AttemptStarted():
            name = "attempt.started"
            fields = {
                "task_id": event.task,
                "attempt": event.attempt,
                "attempt_id": event.attempt_id,
                "key": event.key,
                "worker": event.worker or None,
            }
        case AttemptFinished():
            fields = _finished_fields(event)
            if event.retry:
                name = "attempt.finished"
            if event.failure is not None:
                level = "warning" if event.retry or event.failure.no_data else "error"
        case TaskCached():
            fields = {
                "task_id": event.task,
                "attempt_id": event.attempt_id,
                "key": event.key,
                "state": TaskState.CACHED.value,
                "digest": _digests(event.products),
                "made_by_run": event.made_by_run,
                "made_by_attempt": event.made_by_attempt,
            }
        case TaskNotRun():
            level = "warning"
            fields = {"task_id": event.task, "state": event.state.value, "reason": event.reason}
        case RunStarted():
            name = "run.started"
            fields = {"workflow": event.workflow, "plan": event.plan_digest, "jobs": event.jobs}
        case RunFinished():
            name, level = "run.finished", "info" if event.state is RunState.OK else "error"
            fields = {
                "state": event.state.value,
                "reason": event.reason or None,
                "counts": dict(event.counts),
            }
        case _:
            raise TypeError(f"{type(event).__name__} has no line in the log")
    return name, level, {name: value for name, value in fields.items() if value is not None}


def _iso(time: Any) -> str:
    """Return ISO 8601 in UTC from an ISO text, a Unix time in seconds, or nothing (now)."""
    if isinstance(time, str) and time:
        return time
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        moment = datetime.fromtimestamp(time, UTC)
    else:
        moment = datetime.now(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _render(_logger: Any, _method: str, fields: Any) -> str:
    return _encode(fields["line"])


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Names:
    """What a log line says about a task: its id, its step, its coordinates.

    Two lines follow each other that are about one task, and thousands of tasks have one step: the
    last few are kept, and not one for every task of the run.
    """

    def __init__(self, step_of: Callable[[str], str | None]) -> None:
        self._step_of = step_of
        self.of = lru_cache(maxsize=512)(self._find)

    def _find(self, task_id: str, step: str | None) -> tuple[str, str | None, dict[str, str]]:
        shown = redact_text(task_id)
        step = step if step is not None else self._step_of(shown)
        return shown, step, labels_of(shown, step or "")


class RunLog:
    """Writer of the ``log.jsonl`` of a run; usable as a context manager.

    Lines are on their way to the file after 0.2 s at most, warnings and errors at once.

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

        self._names = _Names(step_of or (lambda task_id: task_id.partition("[")[0]))
        self._path = path
        # a file name that is no text becomes the escape that JSON has for it
        stream: TextIO = open(  # noqa: SIM115 - Path.open has no opener
            path, "a", encoding="utf-8", errors="backslashreplace", opener=_open_private
        )
        self._out = HeldWriter(stream, on_error=self._give_up)
        # bound here, or structlog makes a logger anew for every line
        self._log: Any = structlog.wrap_logger(
            self._out,
            processors=[_render],
            wrapper_class=structlog.BoundLogger,
            context_class=dict,
        ).bind()
        self._run_id = run_id

    def event(self, event: RunEvent) -> None:
        """Write the line of a run event."""
        name, level, fields = event_fields(event)
        fields["time"] = event.time
        self._write(level, name, fields, safe=_OWN)

    def record(self, record: Mapping[str, Any]) -> None:
        """Write what a library logged, or what a step said, inside a task.

        Parameters
        ----------
        record : mapping
            Plain data from the worker: ``message``, ``logger``, ``level``, ``task_id``,
            ``attempt``, ``time`` and whatever else belongs to the record; ``event`` where it is
            not ``log.record``.
        """
        fields = dict(record)
        level = str(fields.pop("level", "info")).lower()
        name = str(fields.pop("event", "log.record"))
        fields.pop("run_id", None)
        fields["time"] = _iso(fields.get("time"))
        self._write(level if level in LEVELS else "info", name, fields)

    def _write(
        self, level: str, name: str, fields: dict[str, Any], *, safe: frozenset[str] = _TIME
    ) -> None:
        if self._out.is_closed:
            return
        line: dict[str, Any] = dict.fromkeys(FIXED)
        line["level"], line["event"], line["run_id"] = level, name, self._run_id
        task_id = fields.pop("task_id", None)
        for key, value in fields.items():
            line[key] = value if key in safe or type(value) is not str else redact_text(value)
        if task_id is not None:
            line["task_id"], line["step"], place = self._names.of(task_id, fields.get("step"))
            if place:
                line["coordinates"] = place
        getattr(self._log, level)(name, line=line)
        if level in _LOUD:
            self._out.flush()

    def _give_up(self, error: OSError) -> None:
        """Go on without a log: the run matters more, and the journal is what counts."""
        print(f"the log {self._path} ends here: {error.strerror}", file=sys.stderr)

    def close(self) -> None:
        """Write what is held back, and close the file."""
        self._out.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
