"""The last lines of the log of each task, for pages on a run."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from gpwf.core.redact import redact_text
from gpwf.report.log_lines import read_lines
from gpwf.report.text import clean

__all__ = ["log_excerpts"]

_MOST_TASKS = 2000
_LONGEST = 400  # characters of a line
_SKIPPED = ("attempt.started", "attempt.finished", "task.finished")  # the record itself tells


def log_excerpts(log: Path, *, n_lines: int = 20) -> dict[str, list[str]]:
    """Return the last lines of the log of every task.

    Parameters
    ----------
    log : Path
        ``log.jsonl`` of a run; nothing where there is none, or it cannot be read.
    n_lines : int
        Largest number of lines per task.

    Returns
    -------
    dict of str to list of str
        Lines by id of the task, at most those of 2000 tasks; a line has at most 400 characters,
        and no secrets that can be told.
    """
    found: dict[str, deque[str]] = {}
    try:
        for line in read_lines(log):
            task = line.get("task_id")
            if not isinstance(task, str) or line.get("event") in _SKIPPED:
                continue
            if line.get("level") == "debug":
                continue
            if task not in found:
                if len(found) >= _MOST_TASKS:
                    continue
                found[task] = deque(maxlen=n_lines)
            found[task].append(_text(line))
    except OSError:
        return {}
    return {task: list(lines) for task, lines in found.items()}


def _text(line: dict[str, object]) -> str:
    clock = str(line.get("time", ""))[11:19]
    words = [clock, str(line.get("level", ""))]
    attempt = line.get("attempt")
    if isinstance(attempt, int) and attempt > 1:
        words.append(f"attempt {attempt}")
    event = str(line.get("event", ""))
    words.append(str(line.get("logger", "")) if event == "log.record" else event)
    text = " ".join([*words, str(line.get("message", ""))])
    shown = clean(redact_text(text))
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
