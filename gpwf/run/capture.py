"""What a task says while it runs: log records, warnings and output become plain records."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["capture_logging", "capture_output", "progress_sender", "utc_now"]

Send = Callable[[Mapping[str, Any]], None]

_MAX_OUTPUT_BYTES = 64 * 1024
_PROGRESS_EVERY_S = 0.1


def utc_now() -> str:
    """Return the time now, ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _SendHandler(logging.Handler):
    """Send records to the driver as plain data."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self._pid = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        text = _text_of(record)
        if record.name == "py.warnings":
            text = _warning_text(text)
        if os.getpid() != self._pid:
            # a process that the step forked: the connection to the driver is its parent's alone,
            # two that write to it would garble it; standard error is captured as well
            print(f"{record.levelname} {record.name}: {text}", file=sys.stderr, flush=True)
            return
        data = {
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": text,
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
        }
        if record.exc_info and record.exc_info[0] is not None:
            data["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        self._send(data)


def _text_of(record: logging.LogRecord) -> str:
    """Return the message; a call with the wrong arguments is no reason to fail a task."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError, IndexError) as error:
        return f"{record.msg} (the arguments do not fit: {error})"


def _warning_text(text: str) -> str:
    """Return a captured warning without the source line that `warnings` shows below it."""
    head, _, rest = text.strip().partition("\n")
    return head if rest.startswith("  ") and "\n" not in rest else text.strip()


@contextmanager
def capture_logging(send: Send, level: str) -> Iterator[None]:
    """Send what is logged and warned about inside the block.

    Parameters
    ----------
    send : callable
        Takes ``{level, logger, message, time}``.
    level : str
        Python logging level below which nothing is sent.
    """
    root = logging.getLogger()
    before_level, before_handlers = root.level, root.handlers[:]
    handler = _SendHandler(send)
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    with warnings.catch_warnings():
        # a new filter makes Python forget which warnings earlier tasks of this process have seen
        warnings.filterwarnings("default", category=UserWarning)
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            root.handlers[:] = before_handlers
            root.setLevel(before_level)


@contextmanager
def capture_output(path: Path, send: Send) -> Iterator[None]:
    """Write what is printed inside the block, also by C code and children, to a file; then send it.

    A crash of the interpreter leaves its traceback there as well.

    Parameters
    ----------
    path : Path
        File to make.
    send : callable
        Takes one record per line, the first 64 kB at most.
    """
    saved = [os.dup(1), os.dup(2)]
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        _flush()
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        faulthandler.enable(file=handle)
        yield
    finally:
        _flush()
        faulthandler.disable()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for item in (*saved, handle):
            os.close(item)
        _send_lines(path, send)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _send_lines(path: Path, send: Send) -> None:
    with path.open("rb") as stream:
        data = stream.read(_MAX_OUTPUT_BYTES)
        rest = bool(stream.read(1))
    now = utc_now()
    for line in data.decode(errors="replace").splitlines():
        if line.strip():
            send({"level": "info", "logger": "output", "message": line.rstrip(), "time": now})
    if rest:
        text = f"more output than {_MAX_OUTPUT_BYTES} bytes; the rest is not in the log"
        send({"level": "warning", "logger": "output", "message": text, "time": now})


def progress_sender(send: Send) -> Callable[[int, int, str], None]:
    """Return a function for steps that sends their progress, at most ten times a second."""
    last_s = -_PROGRESS_EVERY_S

    def progress(done: int, total: int, label: str = "") -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s < _PROGRESS_EVERY_S and done != total:
            return
        last_s = now_s
        send(
            {
                "event": "task.progress",
                "level": "debug",
                "done": int(done),
                "total": int(total),
                "message": str(label),
                "time": utc_now(),
            }
        )

    return progress
