"""The log of a run, read back: filtered, followed, shown as text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gpwf.report.logging import LEVELS
from gpwf.report.text import clean, duration

__all__ = ["LogFilter", "line_text", "read_lines", "read_log"]

_POLL_S = 0.2
_BLOCK = 1 << 20
_COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red", "critical": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """What to show.

    Parameters
    ----------
    level : str
        Lowest level of `gpwf.report.logging.LEVELS` that is shown.
    tasks : collection of str, optional
        Ids of tasks; everything by default.
    attempt : int, optional
        Number of an attempt, counted from 1; everything by default.
    """

    level: str = "info"
    tasks: Collection[str] | None = None
    attempt: int | None = None

    def accepts(self, line: Mapping[str, Any]) -> bool:
        """Tell whether a line is shown."""
        level = line.get("level")
        if level in LEVELS and LEVELS.index(level) < LEVELS.index(self.level):
            return False
        if self.attempt is not None and line.get("attempt") != self.attempt:
            return False
        return self.tasks is None or line.get("task_id") in self.tasks


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a log as it is now; a last line that is not complete is left out.

    Parameters
    ----------
    path : Path
        ``log.jsonl`` of a run; one that does not exist yet is empty.
    """
    for block in read_log(path):
        yield from block


def read_log(
    path: Path, *, ended: Callable[[], bool] | None = None, poll_s: float = _POLL_S
) -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of a log in blocks; an empty one where nothing more is there for now.

    Parameters
    ----------
    path : Path
        ``log.jsonl`` of a run; one that does not exist yet is empty.
    ended : callable, optional
        To follow the log: asked when there is nothing more to read, tells whether nothing more
        will come.
    poll_s : float
        Seconds between two looks.
    """
    offset = 0
    last_look = ended is None
    while True:
        data = _read(path, offset)
        whole = data.rfind(b"\n") + 1
        offset += whole
        lines = [line for raw in data[:whole].splitlines() if (line := _parse(raw)) is not None]
        if lines:
            yield lines
        if whole:
            continue
        yield []
        if last_look:
            return
        # what was written between the reading and the end is read once more
        last_look = ended is not None and ended()
        if not last_look:
            time.sleep(poll_s)


def _read(path: Path, offset: int) -> bytes:
    """Return what a file has from an offset on: at most a block, or as much as its line takes."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(_BLOCK)
            while len(data) >= _BLOCK and b"\n" not in data and (more := stream.read(_BLOCK)):
                data += more
            return data
    except FileNotFoundError:
        return b""


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
    except ValueError:  # torn by a crash; the journal is what counts
        return None
    return line if isinstance(line, dict) else None


def line_text(line: Mapping[str, Any]) -> str:
    """Return one line of a log for people."""
    from click import style

    level = str(line.get("level", "info"))
    stamp = _clock(line.get("time"))
    attempt = line.get("attempt")
    task = clean(f" {line['task_id']}") if line.get("task_id") else ""
    again = f" (attempt {attempt})" if attempt is not None and attempt > 1 else ""
    text = clean("\n    ".join(_message(line).splitlines()))
    word = style(f"{level:<7}", fg=_COLOURS.get(level))
    who = f"{task}{again}:" if task else ""  # nobody: the run itself
    return f"{stamp} {word}{who} {text}"


def _clock(iso: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(iso)).astimezone():%H:%M:%S}"
    except ValueError:
        return "--:--:--"


def _message(line: Mapping[str, Any]) -> str:
    """Return what a line says: the event, or the message of a library."""
    event = str(line.get("event", ""))
    message = str(line.get("message", ""))
    if event == "log.record":
        return f"{line.get('logger', '')}: {message}"
    words = [event]
    words += [str(line[name]) for name in ("state", "workflow") if line.get(name)]
    if event == "task.cached":  # the name says it
        words = [event]
    if line.get("duration_s") is not None:
        words.append(f"in {duration(line['duration_s'])}")
    if event == "task.progress" and line.get("total"):
        words.append(f"{line['done']}/{line['total']}")
    text = " ".join(words)
    reason = message or str(line.get("reason", ""))
    return f"{text}: {reason}" if reason else text
