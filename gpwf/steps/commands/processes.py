"""Run a program: its output goes to the log within bounds, and nothing that it started stays.

The program is in the process group and the session of its worker, where the executor finds it: a
task that is cancelled, takes too long or needs too much memory ends with all its processes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Budget", "Output", "TakesTooLongError", "run_program", "signal_name"]

_CHUNK = 1 << 16
_LONGEST_LINE = 4096  # bytes
_LEAST_PER_LINE = 100  # a record of the log is never shorter than this, also for an empty line
_TAIL = 4096
_LOOK_EVERY_S = 0.2
_PAUSE_S = 2.0  # after which the beginning of a line is told
_BAR_S = 10.0  # between two states of a progress bar
_SILENCE_S = 2.0  # enough, where processes that hold the pipes cannot be found (see `_children`)

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

log = logging.getLogger("command")


class TakesTooLongError(Exception):
    """A program had not ended in the time that it may take."""


@dataclass(slots=True)
class Budget:
    """Bytes of output that may still go to the log; shared by the streams of a program."""

    left: int


class Output:
    """One stream of a program: its lines go to the log until the budget is used up.

    Parameters
    ----------
    name : str
        ``stdout`` or ``stderr``; the log records have the logger ``<program>.<name>``.
    budget : Budget
        What is left of it.
    program : str
        What the program is for the log.
    """

    def __init__(self, name: str, budget: Budget, program: str = "command") -> None:
        self.name = name
        self.tail = b""
        self.n_dropped = 0
        self._budget = budget
        self._log = logging.getLogger(f"{program}.{name}")
        self._line = b""
        self._heard_s = self._began_s = time.monotonic()

    def take(self, chunk: bytes) -> None:
        """Take what the program wrote."""
        self._heard_s = time.monotonic()
        self.tail = (self.tail + chunk)[-_TAIL:]
        if self._budget.left <= 0:
            self.n_dropped += len(chunk)
            return
        if not self._line:
            self._began_s = self._heard_s
        *lines, rest = (self._line + chunk).split(b"\n")
        for line in lines:
            self._say(line)
        # one byte more tells that it was longer
        self._line = _last_state(rest)[: _LONGEST_LINE + 1]

    def look(self, now_s: float) -> None:
        """Tell the beginning of a line that does not end: a question, a progress bar.

        Parameters
        ----------
        now_s : float
            Time of the monotonic clock, in seconds.
        """
        pauses = now_s - self._heard_s > _PAUSE_S
        if self._line and (pauses or now_s - self._began_s > _BAR_S):
            self._say(self._line)
            self._line = b""

    def end(self) -> None:
        """Take the end of the stream."""
        if self._line:
            self._say(self._line)
        self._line = b""

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines that were written, also beyond the budget."""
        lines = [_clean(line[:_LONGEST_LINE]) for line in self.tail.split(b"\n")]
        return [line for line in lines if line][-count:]

    def _say(self, line: bytes) -> None:
        if self._budget.left <= 0:
            self.n_dropped += len(line) + 1
            return
        text = _clean(line[:_LONGEST_LINE])
        if text:
            self._budget.left -= max(len(text.encode()), _LEAST_PER_LINE)
            self._log.info("%s%s", text, " …" if len(line) > _LONGEST_LINE else "")


def _last_state(line: bytes) -> bytes:
    """Return what a progress bar shows now, of a line that it writes again and again."""
    return line[line.rstrip(b"\r").rfind(b"\r") + 1 :]


def _clean(line: bytes) -> str:
    """Return a line as text, of a progress bar the last state; no colours, no control codes."""
    text = line.decode(errors="replace").rstrip()
    text = _ESCAPES.sub("", text.rpartition("\r")[2])
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text).rstrip()


def run_program(
    argv: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    outputs: tuple[Output, Output],
    limit_s: float | None = None,
) -> int:
    """Run a program to its end and return its exit code; minus the signal that killed it.

    Processes that it leaves behind are killed.

    Parameters
    ----------
    argv : sequence of str
        Program and arguments; no shell sees them.
    folder : Path
        Where it runs.
    environment : mapping of str to str
        All the variables that it gets.
    outputs : tuple of Output
        What takes its standard output and its standard error.
    limit_s : float, optional
        When to end it, in seconds.

    Raises
    ------
    OSError
        Where it cannot be started.
    TakesTooLongError
        Where it was ended at the limit.
    """
    with _adopting() as before:
        process = subprocess.Popen(
            list(argv),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        n_left = 0
        try:
            n_left = _follow(process, outputs, before, limit_s)
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TakesTooLongError from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
            n_left += _end_children(before)
    for output in outputs:
        output.end()
    if n_left:
        log.warning("%s left %d processes behind; they were ended", Path(argv[0]).name, n_left)
    return process.returncode


def _follow(
    process: subprocess.Popen[bytes],
    outputs: tuple[Output, Output],
    before: frozenset[int],
    limit_s: float | None,
) -> int:
    """Hand on what a program writes until both streams end; return how many processes it left.

    A process that it left behind may hold the streams open for ever: when the program itself has
    ended, such processes are ended as well.
    """
    began_s = heard_s = time.monotonic()
    has_ended = False
    n_left = 0
    with selectors.DefaultSelector() as selector:
        for stream, output in zip((process.stdout, process.stderr), outputs, strict=True):
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, output)
        while selector.get_map():
            heard = selector.select(_LOOK_EVERY_S)
            for key, _ in heard:
                chunk = os.read(key.fd, _CHUNK)
                if chunk:
                    key.data.take(chunk)
                else:
                    selector.unregister(key.fileobj)
            now_s = time.monotonic()
            heard_s = now_s if heard else heard_s
            for output in outputs:
                output.look(now_s)
            if not has_ended and process.poll() is not None:
                has_ended = True
                n_left += _end_children(before)
            if has_ended and now_s - heard_s > _SILENCE_S:
                break
            if limit_s is not None and now_s - began_s > limit_s:
                raise TakesTooLongError
    return n_left


@contextmanager
def _adopting() -> Iterator[frozenset[int]]:
    """Become the parent of orphans while inside (Linux); give the children that were there before.

    A program that forks and ends would otherwise leave children that nobody here can find.
    """
    import ctypes

    was = ctypes.c_int(0)
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is None:
        yield frozenset()
        return
    prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(was), 0, 0, 0)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield frozenset(_children())
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, was.value, 0, 0, 0)


def _children() -> set[int]:
    """Return the children of this process, adopted ones too; nothing where /proc does not tell."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(int(item) for item in path.read_text().split())
    return found


def _end_children(before: frozenset[int]) -> int:
    """Kill the children that came since; return how many were still running."""
    deadline_s = time.monotonic() + 5.0
    killed: set[int] = set()
    while (found := _children() - before) and time.monotonic() < deadline_s:
        for pid in found:  # what a killed one leaves behind comes here in the next round
            with contextlib.suppress(ChildProcessError, ProcessLookupError, PermissionError):
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
        time.sleep(0.002)
    return len(killed)


def signal_name(number: int) -> str:
    """Return ``SIGKILL`` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
