"""The log of a run, read back: filtered, followed, shown as text."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

from gpwf.core.ages import parse_age
from gpwf.report.log_schema import LEVELS
from gpwf.report.text import clean, duration

__all__ = ["LogFilter", "line_text", "parse_since", "read_lines", "read_log"]

_POLL_S = 0.2
_BLOCK = 1 << 20
_COLOURS = {"debug": "bright_black", "warning": "yellow", "error": "red", "critical": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """What to show. A line that another program wrote need not have any of our keys.

    Parameters
    ----------
    level : str
        Lowest level of `gpwf.report.log_schema.LEVELS` that is shown.
    tasks : collection of str, optional
        Ids of tasks; everything by default.
    attempt : int or str, optional
        Number of an attempt, counted from 1, or the beginning of its id; everything by default.
    since : datetime, optional
        With a zone; what is older, or has no time, is not shown.
    text : str, optional
        What the line must have in its event, message, reason, logger or error, in any case.
    """

    level: str = "info"
    tasks: Collection[str] | None = None
    attempt: int | str | None = None
    since: datetime | None = None
    text: str | None = None

    def accepts(self, line: Mapping[str, Any]) -> bool:
        """Tell whether a line is shown."""
        level = line.get("level")
        if isinstance(level, str) and _RANKS.get(level, _LOUDEST) < _RANKS[self.level]:
            return False
        if self.tasks is not None and not _is_of(line, self.tasks):
            return False
        return self._is_attempt(line) and self._is_new(line) and self._has_text(line)

    def _is_attempt(self, line: Mapping[str, Any]) -> bool:
        if isinstance(self.attempt, str):
            return str(line.get("attempt_id") or "").startswith(self.attempt)
        return self.attempt is None or line.get("attempt") == self.attempt

    def _is_new(self, line: Mapping[str, Any]) -> bool:
        if self.since is None:
            return True
        time = _moment(line.get("time"))
        return time is not None and time >= self.since

    def _has_text(self, line: Mapping[str, Any]) -> bool:
        if self.text is None:
            return True
        wanted = self.text.casefold()
        return any(wanted in str(line.get(key) or "").casefold() for key in _SEARCHED)


_RANKS: Mapping[str, int] = {name: number for number, name in enumerate(LEVELS)}
_LOUDEST = len(LEVELS)  # of a level that is none of ours
_SEARCHED = ("event", "message", "reason", "logger", "error", "traceback", "hint")


def _is_of(line: Mapping[str, Any], tasks: Collection[str]) -> bool:
    task = line.get("task_id")
    return isinstance(task, str) and task in tasks


def _moment(time: Any) -> datetime | None:
    """Return a time of a line; one without a zone is in UTC."""
    try:
        found = datetime.fromisoformat(str(time))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def parse_since(text: str, now: datetime) -> datetime:
    """Return the moment that ``--since`` means.

    Parameters
    ----------
    text : str
        A length of time that is to have passed (``10m``, ``2 h``), a time of day (``14:30``), a
        date, or both; in the local zone where it has none.
    now : datetime
        With a zone.

    Raises
    ------
    ValueError
        For anything else.
    """
    with suppress(ValueError, OverflowError):
        return now - timedelta(seconds=parse_age(text))
    here = now.astimezone()
    with suppress(ValueError):
        return datetime.combine(here.date(), clock.fromisoformat(text.strip())).astimezone()
    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(text.strip()).astimezone()
    raise ValueError(f"{text!r} is no time: write 10m, 2h, 14:30 or 2026-01-31T14:30")


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
    except (ValueError, RecursionError):  # torn by a crash; the journal is what counts
        return None
    return line if isinstance(line, dict) else None


def line_text(line: Mapping[str, Any]) -> str:
    """Return one line of a log for people."""
    from click import style

    level = str(line.get("level", "info"))
    stamp = _clock(line.get("time"))
    attempt = line.get("attempt")
    task = clean(f" {line['task_id']}") if line.get("task_id") else ""
    again = f" (attempt {attempt})" if isinstance(attempt, int) and attempt > 1 else ""
    text = clean("\n    ".join(_message(line).splitlines()))
    word = style(f"{clean(level):<7}", fg=_COLOURS.get(level))
    who = f"{task}{again}:" if task else ""  # nobody: the run itself
    return f"{stamp} {word}{who} {text}"


def _clock(iso: Any) -> str:
    time = _moment(iso)
    try:
        return f"{time.astimezone():%H:%M:%S}" if time is not None else "--:--:--"
    except OverflowError:  # the year 1 in another zone
        return "--:--:--"


def _message(line: Mapping[str, Any]) -> str:
    """Return what a line says: the event, or the message of a library."""
    event = str(line.get("event") or "")
    message = str(line.get("message") or "")
    if event == "log.record":
        return f"{line.get('logger', '')}: {message}"
    words = [event]
    words += [str(line[name]) for name in ("state", "workflow") if line.get(name)]
    seconds = line.get("duration_s")
    if isinstance(seconds, (int, float)) and math.isfinite(seconds):
        words.append(f"in {duration(seconds)}")
    if event == "task.progress" and line.get("total"):
        words.append(f"{line.get('done')}/{line['total']}")
    text = " ".join(words)
    reason = message or str(line.get("reason") or "")
    return f"{text}: {reason}" if reason else text
