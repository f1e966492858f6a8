"""Worker processes on this machine: forked from a prepared process, kept from task to task.

Why not a ready-made pool is told in ``docs/design/0003-local-workers.md``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gpwf.core.runs import Failure, Resources, TaskState
from gpwf.errors import ExecutorError
from gpwf.run.executors.base import Job, Message, Outcome

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["LocalExecutor"]

_SERVE = "gpwf.run.worker:serve"
_PREPARE = "gpwf.steps.process:prepare_process"
_GRACE_S = 3.0
_OUTPUT_TAIL = 8192
#: One thread per worker; set before numpy is loaded, and only where the user has no wish.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(slots=True)
class _Worker:
    """The driver's side of a worker process."""

    number: int
    connection: Connection
    pid: int = 0
    job: Job | None = None
    given_s: float = 0.0
    is_open: bool = True
    killed_for: TaskState | None = None
    kill_at_s: float | None = None


@dataclass(slots=True)
class _Server:
    """The driver's side of the fork server."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    errors: IO[bytes]
    buffer: bytes = b""
    is_ready: bool = False
    workers: dict[int, _Worker] = field(default_factory=dict)


class LocalExecutor:
    """Run jobs in local worker processes; nothing is started before the first job.

    Parameters
    ----------
    jobs : int, optional
        Number of workers; the number of usable cores by default.
    prepare : str or None
        ``module:function`` called once in the fork server before the first worker: imports what
        the steps need, so that it is done once. None for nothing.
    environment : mapping of str to str, optional
        Variables to set for the workers.
    """

    def __init__(
        self,
        jobs: int | None = None,
        *,
        prepare: str | None = _PREPARE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._jobs = max(1, jobs if jobs is not None else _usable_cores())
        self._prepare = prepare
        self._environment = dict(environment or {})
        self._server: _Server | None = None
        self._queue: deque[Job] = deque()
        self._ended: list[Message | Outcome] = []
        self._numbers = 0
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)

    @property
    def name(self) -> str:
        """Return what the journal calls it."""
        return "local"

    @property
    def capacity(self) -> int:
        """Return how many jobs run at a time."""
        return self._jobs

    @property
    def is_started(self) -> bool:
        """Return True where processes have been started."""
        return self._server is not None

    def submit(self, job: Job) -> str:
        """Take a job; see `gpwf.run.executors.base.Executor`."""
        self._queue.append(job)
        self._assign()
        return job.attempt_id

    def wait(self, timeout: float | None) -> Sequence[Message | Outcome]:
        """Return what happened; see `gpwf.run.executors.base.Executor`."""
        from multiprocessing.connection import wait

        self._escalate()
        server = self._server
        if server is not None and not self._ended:
            by_connection: dict[Any, _Worker] = {
                worker.connection: worker for worker in server.workers.values() if worker.is_open
            }
            sources: list[Any] = [*by_connection, server.control, self._wake_read]
            for source in wait(sources, self._patience(timeout)):
                if source is server.control:
                    self._hear_server(server)
                elif source == self._wake_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_read, 4096)
                else:
                    self._hear_worker(by_connection[source])
            self._assign()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        """Make `wait` return early; may be called from a signal handler."""
        with contextlib.suppress(OSError):  # full, or closed already
            os.write(self._wake_write, b"x")

    def cancel(self, handle: str) -> None:
        """End a job; see `gpwf.run.executors.base.Executor`."""
        for job in self._queue:
            if job.attempt_id == handle:
                self._queue.remove(job)
                self._ended.append(_unfinished(job, TaskState.CANCELLED, None))
                return
        worker = self._worker_of(handle)
        if worker is None or worker.job is None:
            return
        if worker.pid == 0:  # not forked yet: nothing of the job has begun
            self._ended.append(_unfinished(worker.job, TaskState.CANCELLED, None, worker))
            worker.job = None
            worker.is_open = False
            self._tell(do="kill", worker=worker.number, signal=signal.SIGKILL)
        elif worker.killed_for is None:
            worker.killed_for = TaskState.CANCELLED
            worker.kill_at_s = time.monotonic() + _GRACE_S
            self._tell(do="kill", worker=worker.number, signal=signal.SIGTERM)

    def close(self) -> None:
        """End every worker at once."""
        server, self._server = self._server, None
        if server is not None:
            server.control.close()  # the fork server kills everything when its socket closes
            if not server.is_ready:  # it imports, which takes seconds, and has forked nothing
                server.process.kill()
            for worker in server.workers.values():
                worker.connection.close()
            try:
                server.process.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
            server.errors.close()
        if self._wake_read >= 0:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1

    def _assign(self) -> None:
        """Give queued jobs to idle workers, or to new ones while there may be more."""
        while self._queue:
            worker = self._idle_worker()
            if worker is None:
                return
            job = self._queue.popleft()
            worker.job, worker.given_s = job, time.monotonic()
            try:
                worker.connection.send(job)
            except (BrokenPipeError, ConnectionResetError):
                worker.is_open = False  # it just died: its exit makes the job lost

    def _idle_worker(self) -> _Worker | None:
        if self._server is None:
            self._server = _start_server(self._prepare, self._environment)
        workers = self._server.workers
        for worker in workers.values():
            if worker.job is None and worker.is_open:
                return worker
        if len(workers) >= self._jobs:
            return None
        return self._spawn(self._server)

    def _spawn(self, server: _Server) -> _Worker:
        from multiprocessing.connection import Connection

        ours, theirs = socket.socketpair()
        self._numbers += 1
        request = json.dumps({"do": "spawn", "worker": self._numbers}).encode() + b"\n"
        with theirs:
            try:
                socket.send_fds(server.control, [request], [theirs.fileno()])
            except OSError:
                raise self._server_died(server) from None
        worker = _Worker(number=self._numbers, connection=Connection(ours.detach()))
        server.workers[worker.number] = worker
        return worker

    def _tell(self, **message: Any) -> None:
        """Send a request to the fork server; where it is gone, `wait` finds out."""
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.control.sendall(json.dumps(message).encode() + b"\n")

    def _hear_server(self, server: _Server) -> None:
        try:
            data = server.control.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._lose_server(server)
            return
        *lines, server.buffer = (server.buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            match message["event"]:
                case "ready":
                    server.is_ready = True
                case "spawned":
                    if message["worker"] in server.workers:
                        server.workers[message["worker"]].pid = message["pid"]
                case "exited":
                    worker = server.workers.pop(message["worker"])
                    self._bury(worker, message["code"])

    def _lose_server(self, server: _Server) -> None:
        """Treat every worker as lost: the kernel has killed them. A new job starts all anew."""
        if not server.is_ready:
            raise self._server_died(server)
        self._server = None
        for worker in server.workers.values():
            self._bury(worker, None)
        server.control.close()
        server.process.wait()
        server.errors.close()

    def _server_died(self, server: _Server) -> ExecutorError:
        server.process.wait()
        server.errors.seek(0)
        lines = server.errors.read().decode(errors="replace").strip().splitlines()
        return ExecutorError(
            "the worker processes cannot be started: "
            + (lines[-1] if lines else "no reason given"),
            hint="`gpwf steps` shows whether the installation is whole; is there memory left?",
        )

    def _hear_worker(self, worker: _Worker) -> None:
        try:
            item = worker.connection.recv()
        except (EOFError, OSError):
            worker.is_open = False
            return
        if isinstance(item, Outcome):
            if worker.killed_for is None:
                worker.job = None
            else:  # it was quicker than the signal, which still ends the worker
                worker.job = None
                worker.is_open = False
        self._ended.append(item)

    def _bury(self, worker: _Worker, code: int | None) -> None:
        """Take in the death of a worker: what it still said, then the end of its job."""
        with contextlib.suppress(EOFError, OSError):
            while worker.job is not None and worker.connection.poll():
                self._hear_worker(worker)
                if not worker.is_open:
                    break
        worker.connection.close()
        if worker.job is not None:
            state = worker.killed_for or TaskState.LOST
            self._ended.append(_unfinished(worker.job, state, code, worker))

    def _worker_of(self, handle: str) -> _Worker | None:
        if self._server is None:
            return None
        for worker in self._server.workers.values():
            if worker.job is not None and worker.job.attempt_id == handle:
                return worker
        return None

    def _escalate(self) -> None:
        """Kill what did not end when it was asked to."""
        for worker in self._server.workers.values() if self._server is not None else ():
            if worker.kill_at_s is not None and time.monotonic() >= worker.kill_at_s:
                worker.kill_at_s = None
                self._tell(do="kill", worker=worker.number, signal=signal.SIGKILL)

    def _patience(self, timeout: float | None) -> float | None:
        """Return how long to wait, not past the next time to kill something."""
        assert self._server is not None
        times = [item.kill_at_s for item in self._server.workers.values() if item.kill_at_s]
        if not times:
            return timeout
        until_kill = max(0.0, min(times) - time.monotonic())
        return until_kill if timeout is None else min(timeout, until_kill)


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_server(prepare: str | None, environment: Mapping[str, str]) -> _Server:
    ours, theirs = socket.socketpair()
    script = Path(__file__).with_name("nursery.py")
    variables = {**dict.fromkeys(_THREAD_VARIABLES, "1"), **os.environ, "MPLBACKEND": "Agg"}
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
    try:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", str(script), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={**variables, **environment},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is for the driver alone
            )
        setup = {"do": "setup", "path": sys.path, "serve": _SERVE, "prepare": prepare}
        ours.sendall(json.dumps(setup).encode() + b"\n")
    except OSError as error:
        ours.close()
        errors.close()
        raise ExecutorError(f"the worker processes cannot be started: {error}") from None
    return _Server(process=process, control=ours, errors=errors)


def _unfinished(
    job: Job, state: TaskState, code: int | None, worker: _Worker | None = None
) -> Outcome:
    """Return the outcome of a job whose worker is gone, or that never had one."""
    number = -code if code is not None and code < 0 else None
    if state is TaskState.CANCELLED:
        failure = Failure(
            kind="cancelled", message="ended on request", exit_code=code, signal=number
        )
    else:
        how = f"killed by {_signal_name(number)}" if number else f"exit code {code}"
        failure = Failure(
            kind="killed",
            message=f"the worker process died ({how if code is not None else 'unknown reason'})",
            hint="out of memory? lower the number of workers with -j" if number == 9 else None,
            transient=True,
            traceback=_last_output(job),
            exit_code=code if number is None else None,
            signal=number,
        )
    used = Resources()
    if worker is not None:
        wall_s = round(time.monotonic() - worker.given_s, 6)
        used = Resources(wall_s=wall_s, pid=worker.pid, host=socket.gethostname())
    return Outcome(attempt_id=job.attempt_id, state=state, failure=failure, resources=used)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_output(job: Job) -> str | None:
    """Return what a dead worker printed last: a crash in C says something there."""
    try:
        data = (Path(job.work_dir) / "output.log").read_bytes()
    except OSError:
        return None
    return data[-_OUTPUT_TAIL:].decode(errors="replace") or None
