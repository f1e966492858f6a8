"""The fork server: a small process that imports the heavy modules once and forks the workers.

It runs as a script with the standard library alone until it is told where the rest is. Over a
socket from the driver it gets lines of JSON: first the set-up, then ``spawn`` (with the worker's
end of a socket attached) and ``kill``; it answers with ``ready``, ``spawned`` and ``exited``.

No process survives the driver: when the socket closes, for whatever reason, everything that was
started here is killed. Workers lead a session each, so that what they start goes with them, and
are killed by the kernel should this process die. Orphans of workers come here
(``PR_SET_CHILD_SUBREAPER``) and are killed too.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    """Call prctl(2) where there is one (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _call(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)


def _signal_group(pid: int, number: int) -> None:
    """Send a signal to a worker and everything in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)  # before its setsid the worker leads no group yet


def _children() -> list[int]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return []
    return [int(item) for item in text.split()]


class Nursery:
    """The loop of the fork server.

    Parameters
    ----------
    control : socket.socket
        Stream socket to the driver.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._buffer = b""
        self._handles: list[int] = []
        self._workers: dict[int, int] = {}  # pid → number given by the driver
        self._serve = ""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def run(self) -> None:
        """Serve until the driver is gone."""
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(
            signal.SIGTERM, signal.SIG_IGN
        )  # the driver decides; it ends us by the socket
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            while True:
                control = self._control.fileno()
                readable, _, _ = select.select([control, self._wake_read], [], [])
                if self._wake_read in readable:
                    os.read(self._wake_read, 4096)
                    self._reap()
                if control in readable and not self._receive():
                    return
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            self._end_all()

    def _receive(self) -> bool:
        data, handles, _, _ = socket.recv_fds(self._control, 1 << 16, 16)
        if not data:
            return False
        self._handles.extend(handles)
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._do(json.loads(line))
        return True

    def _do(self, message: dict[str, Any]) -> None:
        match message["do"]:
            case "setup":
                self._set_up(message)
            case "spawn":
                self._spawn(message["worker"])
            case "kill":
                for pid, number in self._workers.items():
                    if number == message["worker"]:
                        _signal_group(pid, message["signal"])

    def _set_up(self, message: dict[str, Any]) -> None:
        sys.path[:] = message["path"]
        self._serve = message["serve"]
        _call(self._serve)
        if message["prepare"]:
            _call(message["prepare"])()
        self._say(event="ready")

    def _spawn(self, number: int) -> None:
        handle = self._handles.pop(0)
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(handle, server)
        os.close(handle)
        self._workers[pid] = number
        self._say(event="spawned", worker=number, pid=pid)

    def _become_worker(self, handle: int, server: int) -> None:
        """Serve jobs in the forked process; never return."""
        code = 1
        try:
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != server:  # it died before the kernel was asked
                os._exit(code)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._control.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            _reseed()
            _call(self._serve)(handle)
            code = 0
        finally:
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._workers.pop(pid, None)
            if number is None:
                continue  # an orphan of a worker
            _signal_group(pid, signal.SIGKILL)  # what it left behind in its group
            for orphan in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if orphan not in self._workers and os.getsid(orphan) == pid:
                        os.kill(orphan, signal.SIGKILL)
            self._say(event="exited", worker=number, code=os.waitstatus_to_exitcode(status))

    def _end_all(self) -> None:
        """Kill every worker and every orphan, and wait until they are gone."""
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            for pid in {*self._workers, *_children()}:
                _signal_group(pid, signal.SIGKILL)
            try:
                while True:
                    pid, _ = os.waitpid(-1, os.WNOHANG)
                    if pid == 0:
                        break
                    self._workers.pop(pid, None)
            except ChildProcessError:
                return
            time.sleep(0.005)

    def _say(self, **message: Any) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")


def _reseed() -> None:
    """Give every worker its own random state; a fork would share it."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def main(handle: int) -> None:
    """Serve on an inherited socket."""
    Nursery(socket.socket(fileno=handle)).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
