"""A child of a worker: it takes items of the worker's task and sends back results.

It is forked, so it has everything that the worker has, without a copy and without pickling. What
it must leave alone: the worker's connection to the driver, and what runs when Python ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from gpwf.run.portable import PortableError, pack, portable_error, receive, restored_error, send

__all__ = ["Child", "Seeds", "Work", "hear_log", "hear_warning", "start_child"]

_PR_SET_PDEATHSIG = 1
# what of a log record is plain data; the rest may be anything
_RECORD = (
    "name",
    "levelno",
    "levelname",
    "pathname",
    "filename",
    "module",
    "lineno",
    "funcName",
    "created",
    "msecs",
    "relativeCreated",
    "thread",
    "threadName",
    "process",
    "processName",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What children do.

    Parameters
    ----------
    function : callable
        Takes an item, returns its result.
    items : sequence
        All items.
    seed : callable
        ``seed(index)`` sets the random numbers of an item.
    enter : callable
        Called in a child before its first item, with what takes records for the driver.
    """

    function: Callable[[Any], Any]
    items: Sequence[Any]
    seed: Callable[[int], None]
    enter: Callable[[Callable[[Mapping[str, Any]], None]], None]


@dataclass(slots=True)
class Child:
    """The parent's side of a child.

    Parameters
    ----------
    pid : int
        Process id.
    connection : socket.socket
        Stream socket to it.
    todo : list of int
        Numbers of the items that it has and that it has not answered.
    """

    pid: int
    connection: socket.socket
    todo: list[int] = field(default_factory=list)

    def give(self, indices: Sequence[int]) -> None:
        """Send the numbers of the next items; a child that is gone is found when it is heard."""
        self.todo = list(indices)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send(self.connection, pack(self.todo))

    def end(self) -> int:
        """Kill the process, wait for it; return its exit code, or minus the signal."""
        self.connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit code, or minus the signal."""
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:  # somebody else has waited for it
            return 0
        return os.waitstatus_to_exitcode(status)


class Seeds:
    """Random numbers that depend on the item, not on the process that works on it.

    The generators that Python and numpy share inside a process are set anew for every item, from
    one number that is drawn before the first.
    """

    def __init__(self) -> None:
        self._base = random.getrandbits(64)

    def __call__(self, index: int) -> None:
        """Set the generators for an item."""
        random.seed((self._base << 64) + index)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            words = [self._base >> 32, self._base & 0xFFFFFFFF, index & 0xFFFFFFFF]
            numpy.random.seed(words)


def start_child(work: Work) -> Child:
    """Fork a child that waits for items.

    Raises
    ------
    OSError
        Where there can be no further process.
    """
    _flush()  # what is still in the buffers would be printed twice
    parent = os.getpid()
    ours, theirs = socket.socketpair()
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:
        ours.close()
        _become_child(theirs, parent, work)
    theirs.close()
    return Child(pid=pid, connection=ours)


def _become_child(connection: socket.socket, parent: int, work: Work) -> NoReturn:
    """Serve in the forked process; never return, and run nothing of the parent's at the end."""
    code = 1
    try:
        _die_with(parent)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the worker: the driver decides
        gc.freeze()  # what was there before stays; looking at it again would copy its pages
        _Loop(connection, work).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        code = 0  # the parent wants nothing more
    finally:
        os._exit(code)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


class _Loop:
    """Take numbers of items, send results; in between, what is logged and warned of."""

    def __init__(self, connection: socket.socket, work: Work) -> None:
        self._connection = connection
        self._work = work
        self._lock = threading.Lock()  # a function may log from threads
        logging.getLogger().handlers[:] = [_Handler(self._tell)]
        warnings.showwarning = self._show_warning
        work.enter(lambda record: self._tell("say", dict(record)))

    def run(self) -> None:
        """Work until the parent wants nothing more."""
        while True:
            for index in receive(self._connection):
                if not self._one(index):
                    break

    def _one(self, index: int) -> bool:
        """Work on an item; return False where it failed: what comes after it is not wanted."""
        start_s = time.monotonic()
        try:
            self._work.seed(index)
            value = self._work.function(self._work.items[index])
            pieces = pack(value)
        except BaseException as error:  # whatever it is, it is the parent's to raise
            _flush()
            self._tell("failed", index, portable_error(error))
            return False
        _flush()
        head = pack(("done", index, time.monotonic() - start_s))
        with self._lock:
            send(self._connection, head)
            send(self._connection, pieces)
        return True

    def _tell(self, *message: Any) -> None:
        pieces = pack(message)
        with self._lock:
            send(self._connection, pieces)

    def _show_warning(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,  # noqa: ARG002  (the signature of `warnings.showwarning`)
        line: str | None = None,  # noqa: ARG002
    ) -> None:
        warning = message if isinstance(message, Warning) else category(message)
        self._tell("warning", portable_error(warning), filename, lineno)


class _Handler(logging.Handler):
    """Send log records to the parent."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError, IndexError) as error:
            text = f"{record.msg} (the arguments do not fit: {error})"
        plain = {name: getattr(record, name) for name in _RECORD}
        raised = record.exc_info[1] if record.exc_info else None
        self._tell("log", {**plain, "msg": text}, portable_error(raised) if raised else None)


def hear_log(data: Mapping[str, Any], error: PortableError | None) -> None:
    """Log here what a child logged: with its level, logger, time and traceback."""
    record = logging.makeLogRecord({**data, "args": None})
    if error is not None:
        found = restored_error(error)
        record.exc_info = (type(found), found, None)
    logging.getLogger(record.name).handle(record)


def hear_warning(warning: PortableError, filename: str, lineno: int) -> None:
    """Warn here of what a child warned of, once where a place is to warn once only."""
    found = restored_error(warning)
    if not isinstance(found, Warning):
        found = UserWarning(f"{warning.kind}: {warning.message}")
    found.__cause__ = None
    warnings.warn_explicit(found, None, filename, lineno, registry=_registry(filename))


def _registry(filename: str) -> dict[Any, Any]:
    """Return where Python remembers the warnings of a file."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == filename:
            registry: dict[Any, Any] = vars(module).setdefault("__warningregistry__", {})
            return registry
    return {}
