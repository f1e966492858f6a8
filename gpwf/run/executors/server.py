"""The driver's side of the fork server: starting it, and what to say when something died."""

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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gpwf.core.digests import Digest
from gpwf.core.runs import Failure, Product, Resources, TaskState
from gpwf.errors import ExecutorError
from gpwf.run.desk import desk_folder, leftovers
from gpwf.run.executors.base import Job, Outcome

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = [
    "Server",
    "Worker",
    "next_kill_s",
    "server_died",
    "spawn_worker",
    "start_server",
    "tell_server",
    "unfinished",
    "with_leftovers",
    "worker_variables",
]

_SERVE = "gpwf.run.worker:serve"
_OUTPUT_TAIL = 8192
_MADE = 32
#: One thread per worker; set before numpy is loaded, and only where the user has no wish.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(slots=True)
class Worker:
    """The driver's side of a worker process.

    Parameters
    ----------
    number : int
        Given by the driver.
    connection : multiprocessing.connection.Connection
        To the worker.
    pid : int
        0 before it is known.
    jobs : deque of Job
        The one that it computes, then what it has been given ahead.
    publishing : dict of str to Job
        Computed, not yet in the store for good; by attempt.
    costly : set of str
        Those of them that took long.
    made : dict of Digest to None
        Products that it made last: it may have them in memory.
    since_s : float
        When the first of its jobs began, on the monotonic clock.
    seen_bytes : int
        Most memory that was seen of the first of its jobs, and its children.
    killed_for, kill_at_s
        How the first of its jobs ends, when it is killed for not ending.
    """

    number: int
    connection: Connection
    pid: int = 0
    jobs: deque[Job] = field(default_factory=deque)
    publishing: dict[str, Job] = field(default_factory=dict)
    costly: set[str] = field(default_factory=set)
    made: dict[Digest, None] = field(default_factory=dict)
    since_s: float = 0.0
    seen_bytes: int = 0
    is_open: bool = True
    killed_for: TaskState | None = None
    kill_at_s: float | None = None

    @property
    def is_free(self) -> bool:
        """True where it may be given jobs: what took long is safe before it computes more."""
        return self.is_open and self.killed_for is None and not self.costly

    def has_made(self, job: Job) -> int:
        """Return the size of the inputs of a job that this worker made."""
        return sum(
            item.size for items in job.inputs.values() for item in items if item.digest in self.made
        )

    def remember(self, products: Iterable[Product]) -> None:
        """Take in what it made; the oldest are forgotten."""
        for product in products:
            self.made[product.digest] = None
        while len(self.made) > _MADE:
            del self.made[next(iter(self.made))]


@dataclass(slots=True)
class Server:
    """The driver's side of the fork server."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    errors: IO[bytes]
    buffer: bytes = b""
    is_ready: bool = False
    workers: dict[int, Worker] = field(default_factory=dict)


def worker_variables() -> dict[str, str]:
    """Return the environment variables of the workers: those of the driver, completed."""
    return {**dict.fromkeys(_THREAD_VARIABLES, "1"), **os.environ, "MPLBACKEND": "Agg"}


def start_server(prepare: str | None, environment: Mapping[str, str]) -> Server:
    """Start a fork server; it is ready when it says so.

    Parameters
    ----------
    prepare : str or None
        ``module:function`` that it calls once before the first worker.
    environment : mapping of str to str
        Variables to set, over those of the driver.

    Raises
    ------
    ExecutorError
        Where the process cannot be started.
    """
    ours, theirs = socket.socketpair()
    script = Path(__file__).with_name("nursery.py")
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
    try:
        with theirs:
            # text files of packages are UTF-8, whatever the locale says
            process = subprocess.Popen(
                [sys.executable, "-P", "-X", "utf8", str(script), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env={**worker_variables(), **environment},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is for the driver alone
            )
        setup = {"do": "setup", "path": sys.path, "serve": _SERVE, "prepare": prepare}
        ours.sendall(json.dumps(setup).encode() + b"\n")
    except OSError as error:
        ours.close()
        errors.close()
        raise ExecutorError(f"the worker processes cannot be started: {error}") from None
    return Server(process=process, control=ours, errors=errors)


def spawn_worker(server: Server, number: int) -> Worker:
    """Ask for a worker; it can be given jobs at once.

    Raises
    ------
    ExecutorError
        Where the fork server is gone.
    """
    from multiprocessing.connection import Connection

    ours, theirs = socket.socketpair()
    request = json.dumps({"do": "spawn", "worker": number}).encode() + b"\n"
    with theirs:
        try:
            socket.send_fds(server.control, [request], [theirs.fileno()])
        except OSError:
            raise server_died(server) from None
    worker = Worker(number=number, connection=Connection(ours.detach()))
    server.workers[number] = worker
    return worker


def tell_server(server: Server, **message: Any) -> None:
    """Send a request to the fork server; where it is gone, who listens finds out."""
    with contextlib.suppress(OSError):
        server.control.sendall(json.dumps(message).encode() + b"\n")


def next_kill_s(server: Server, limit_s: float | None) -> float | None:
    """Return in how many seconds a worker is due to be killed; the limit where none is before."""
    times = [item.kill_at_s for item in server.workers.values() if item.kill_at_s]
    if not times:
        return limit_s
    until_kill = max(0.0, min(times) - time.monotonic())
    return until_kill if limit_s is None else min(limit_s, until_kill)


def server_died(server: Server) -> ExecutorError:
    """Return the error for a fork server that ended by itself, with its last words."""
    code = server.process.wait()
    server.errors.seek(0)
    lines = server.errors.read().decode(errors="replace").strip().splitlines()
    silent = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
    return ExecutorError(
        f"the worker processes cannot be started: {lines[-1] if lines else silent}",
        hint="`gpwf steps` shows whether the installation is whole; is there memory left?",
    )


#: What to say of a task that was ended at one of its limits, and what to do.
_LIMITS = {
    TaskState.TIMEOUT: (
        "took longer than its timeout",
        "raise `timeout` of the step, or look into the log for what it waited for",
    ),
    TaskState.OOM: (
        "needed more memory than it may have",
        "raise `resources: {memory: …}` of the step, or give it less to do at a time",
    ),
}


def unfinished(
    job: Job, state: TaskState, code: int | None, worker: Worker | None = None
) -> Outcome:
    """Return the outcome of a job whose worker is gone, or that never had one."""
    number = -code if code is not None and code < 0 else None
    if state is TaskState.CANCELLED:
        failure = Failure(
            kind="cancelled", message="ended on request", exit_code=code, signal=number
        )
    elif state in _LIMITS:
        message, hint = _LIMITS[state]
        failure = Failure(
            kind=state.value,
            message=message,
            hint=hint,
            traceback=_last_output(job, worker),
            exit_code=code,
            signal=number,
        )
    else:
        how = f"killed by {_signal_name(number)}" if number else f"exit code {code}"
        failure = Failure(
            kind="killed",
            message=f"the worker process died ({how if code is not None else 'unknown reason'})",
            hint="out of memory? lower the number of workers with -j" if number == 9 else None,
            transient=True,
            traceback=_last_output(job, worker),
            exit_code=code if number is None else None,
            signal=number,
        )
    used = Resources()
    if worker is not None:
        wall_s = round(time.monotonic() - worker.since_s, 6)
        used = Resources(
            wall_s=wall_s,
            peak_rss_bytes=worker.seen_bytes,
            pid=worker.pid,
            host=socket.gethostname(),
        )
    return Outcome(attempt_id=job.attempt_id, state=state, failure=failure, resources=used)


def with_leftovers(outcome: Outcome, work_dir: str) -> Outcome:
    """Return the outcome of a failed job with what lies in its folder, which is its own by now."""
    if outcome.failure is None:
        return outcome
    return replace(outcome, failure=replace(outcome.failure, left=leftovers(work_dir)))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_output(job: Job, worker: Worker | None) -> str | None:
    """Return what a dead worker printed last: a crash in C says something there."""
    if worker is None or not worker.pid:
        return None
    try:
        data = (desk_folder(job.work_dir, worker.pid) / "output.log").read_bytes()
    except OSError:
        return None
    return data[-_OUTPUT_TAIL:].decode(errors="replace") or None
