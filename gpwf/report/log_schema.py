"""What a line of the log of a run may hold: every event, every key.

The one place where that is said: the JSON Schema of a line is made of it, the reference page lists
the same, and a test compares the lines of runs of every kind with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["EVENTS", "FIXED", "KEYS", "LEVELS", "Event", "Key", "log_schema"]

#: Levels from quiet to loud; a filter at one level keeps it and everything above.
LEVELS = ("debug", "info", "warning", "error", "critical")

#: On every line, in this order; null where one does not apply.
FIXED = ("time", "level", "event", "run_id", "step", "task_id", "attempt")


class Key(NamedTuple):
    """A key of a line: JSON type, unit, meaning."""

    type: str | tuple[str, ...]
    unit: str
    help: str


class Event(NamedTuple):
    """An event: meaning, the keys that its lines have besides those of every line, and may have."""

    help: str
    keys: tuple[str, ...]
    optional: tuple[str, ...] = ()


KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "time": Key("string", "", "ISO 8601, UTC; of `task.finished`, when the driver heard of it"),
        "level": Key("string", "", "`debug`, `info`, `warning`, `error` or `critical`"),
        "event": Key("string", "", "name of the event"),
        "run_id": Key("string", "", "UUID of the run: `gpwf:run-<run_id>` in the record"),
        "step": Key(("string", "null"), "", "name of the step"),
        "task_id": Key(("string", "null"), "", "step with coordinates: `sim[seed=3]`"),
        "attempt": Key(("integer", "null"), "", "number of the attempt, from 1"),
        "coordinates": Key("object", "", "label of the value on each axis, of a scattered task"),
        "attempt_id": Key("string", "", "UUID: `gpwf:act-<attempt_id>` in the record"),
        "key": Key("string", "", "SHA-256 of everything that decides the result"),
        "state": Key("string", "", "how the run, the task or the attempt ended"),
        "digest": Key("object", "", "digest of each product by port, as in the record"),
        "duration_s": Key("number", "s", "from the start to the end of the attempt"),
        "cpu_s": Key("number", "s", "processor time of the attempt, its children included"),
        "peak_rss_bytes": Key("integer", "B", "largest resident set of the attempt"),
        "retry": Key("boolean", "", "true: another attempt follows"),
        "error": Key("string", "", "class of the error, or `killed`, `timeout`, `oom`, `damaged`"),
        "message": Key("string", "", "what was said; of an error, its message"),
        "hint": Key("string", "", "what to do about an error"),
        "traceback": Key("string", "", "where in the code an error came from"),
        "reason": Key("string", "", "why a task was not run, or a run ended so"),
        "made_by_run": Key("string", "", "UUID of the run that made a cached result"),
        "made_by_attempt": Key("string", "", "UUID of the attempt that made a cached result"),
        "worker": Key("string", "", "executor that took the attempt"),
        "workflow": Key("string", "", "name of the workflow"),
        "plan": Key("string", "", "SHA-256 of `plan.json`"),
        "jobs": Key("integer", "", "tasks that can run at once"),
        "counts": Key("object", "", "number of tasks by state"),
        "logger": Key(
            "string",
            "",
            "who said it: a Python logger, `py.warnings`, `output` (printed), `command.stdout`, "
            "`command.stderr`",
        ),
        "done": Key("integer", "", "how much of its work a step has done"),
        "total": Key("integer", "", "how much there is"),
    }
)
"""Every key that a line can have."""

_ENDS = (
    "attempt",
    "attempt_id",
    "coordinates",
    "key",
    "digest",
    "duration_s",
    "cpu_s",
    "peak_rss_bytes",
    "error",
    "message",
    "hint",
    "traceback",
)

EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "run.started": Event("The run begins.", ("workflow", "plan", "jobs")),
        "attempt.started": Event(
            "A task is given to a worker.",
            ("step", "task_id", "attempt", "attempt_id", "key"),
            ("coordinates", "worker"),
        ),
        "attempt.finished": Event(
            "An attempt ended and another one follows.",
            ("step", "task_id", "attempt", "attempt_id", "key", "state", "retry"),
            _ENDS,
        ),
        "task.finished": Event(
            "A task came to its end, whatever the end: all that is to say of it on one line. It "
            "has no attempt where none was made: `cached`, `blocked`, `skipped`, `cancelled`.",
            ("step", "task_id", "state"),
            (*_ENDS, "reason", "made_by_run", "made_by_attempt"),
        ),
        "task.progress": Event(
            "A step says how far it is.",
            ("step", "task_id", "attempt", "attempt_id", "done", "total", "message"),
            ("coordinates",),
        ),
        "log.record": Event(
            "A library logged or warned, or something was printed, inside a task.",
            ("logger", "message"),
            ("step", "task_id", "attempt", "attempt_id", "coordinates", "traceback"),
        ),
        "run.finished": Event("The run ended.", ("state", "counts"), ("reason",)),
    }
)
"""Every event, with the keys of its lines."""


def log_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07) of a line.

    A line may have further keys: those of a later version, or of a plug-in.
    """
    return {
        "title": "A line of log.jsonl",
        "type": "object",
        "required": list(FIXED),
        "properties": {
            name: {
                "description": key.help + (f"; in {key.unit}" if key.unit else ""),
                "type": list(key.type) if isinstance(key.type, tuple) else key.type,
                **({"enum": list(LEVELS)} if name == "level" else {}),
                **({"enum": list(EVENTS)} if name == "event" else {}),
            }
            for name, key in KEYS.items()
        },
        "allOf": [
            {
                "if": {"type": "object", "properties": {"event": {"const": name}}},
                "then": {
                    "description": event.help,
                    "required": list(event.keys),
                    "properties": {key: _present(key) for key in event.keys},
                },
            }
            for name, event in EVENTS.items()
        ],
    }


def _present(name: str) -> dict[str, Any]:
    """Return the schema of a key that an event must have: not null."""
    kind = KEYS[name].type
    return {"type": kind if isinstance(kind, str) else kind[0]}
