"""What the log of a run has of each attempt, as provenance: digests and entities.

Most attempts say nothing: what the log has of them, their beginning and their good end, is in the
journal as well. An attempt that a library or the step itself said something in, or that came to
another end than a good one, has a log of its own: its lines in ``log.jsonl`` but for those two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gpwf.core.redact import REDACTED, redact_text
from gpwf.prov.context import RunContext
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = ["AttemptLog", "AttemptLogs", "AttemptName", "read_attempt_logs", "record_attempt_logs"]

#: Events that say no more than the journal; of a bad end the line has the traceback as well.
_QUIET = (
    b'"event": "attempt.started"',
    b'"event": "attempt.finished"',
    b'"event": "task.finished"',
)
_HEAD = 160  # bytes of a line in which level and event stand


class AttemptLog(NamedTuple):
    """What a log has of an attempt.

    Parameters
    ----------
    digest : str
        SHA-256 of its lines, each with its end.
    lines : int
        How many there are.
    """

    digest: str
    lines: int


#: By run id, task id and number of the attempt.
AttemptLogs = Mapping[tuple[str, str, int], AttemptLog]
#: The task; of an attempt that was not its first, also the number.
AttemptName = str | tuple[str, int]


def read_attempt_logs(path: Path) -> tuple[str, dict[tuple[str, str, int], AttemptLog]]:
    """Return the SHA-256 of a log, and what it has of each attempt that said something.

    Parameters
    ----------
    path : Path
        ``log.jsonl`` of a run. A line that is torn belongs to no attempt.

    Raises
    ------
    OSError
        Where it cannot be read.
    """
    whole = hashlib.sha256()
    parts: dict[tuple[str, str, int], tuple[Any, int]] = {}
    with path.open("rb") as stream:
        for line in stream:
            whole.update(line)
            head = line[:_HEAD]
            if b'"level": "info"' in head and any(event in head for event in _QUIET):
                continue
            key = _attempt(line)
            if key is not None:
                state, count = parts.get(key) or (hashlib.sha256(), 0)
                state.update(line)
                parts[key] = state, count + 1
    found = {key: AttemptLog(state.hexdigest(), n) for key, (state, n) in parts.items()}
    return whole.hexdigest(), found


def _attempt(line: bytes) -> tuple[str, str, int] | None:
    """Return the attempt that a line is about, None where it is about none."""
    try:
        data = json.loads(line)
        key = data["run_id"], data["task_id"], data["attempt"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    run_id, task, attempt = key
    is_one = isinstance(run_id, str) and isinstance(task, str) and type(attempt) is int
    return key if is_one else None


def record_attempt_logs(
    context: RunContext, run_id: str, attempts: Mapping[AttemptName, str], logs: AttemptLogs
) -> None:
    """Record the logs of attempts, whose activities are recorded.

    Parameters
    ----------
    context : RunContext
        The run.
    run_id : str
        Its UUID.
    attempts : mapping
        Ids of attempts by task; of those that were not the first by task and number.
    logs : mapping
        See `read_attempt_logs`.
    """
    recorder = context.recorder
    hidden: dict[AttemptName, str] = {}  # names of tasks as the log has them, where they differ
    if any(REDACTED in task for _, task, _ in logs):
        hidden = {_shown(name): local for name, local in attempts.items()}
    for (of_run, task, number), log in logs.items():
        name = task if number == 1 else (task, number)
        attempt_id = attempts.get(name) or hidden.get(name)
        if attempt_id is None or of_run != run_id:
            continue  # of an earlier run in the same folder
        local = recorder.entity(
            hashed_id("log", run_id, attempt_id),
            ("gpwf:Log",),
            [
                ("prov:label", f"log of {task}, attempt {number}"),
                ("name", "log.jsonl"),
                ("task", task),
                ("attempt", number),
                ("sha256", log.digest),
                ("lines", log.lines),
            ],
        )
        recorder.logged(local, local_id("act", attempt_id))


def _shown(name: AttemptName) -> AttemptName:
    return redact_text(name) if isinstance(name, str) else (redact_text(name[0]), name[1])
