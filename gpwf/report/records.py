"""What a console shows of the log records and progress notes that come out of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpwf.report.text import one_line

__all__ = ["progress_note", "record_line"]

_WARNING_PLACE = re.compile(r"^\S+:\d+: (?:\w+\.)*\w+: ")
_SHOWN_LEVELS = ("warning", "error", "critical")


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
