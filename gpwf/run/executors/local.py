"""Worker processes on this machine: forked from a prepared process, kept from task to task.

Why not a ready-made pool is told in ``docs/design/0003-local-workers.md``.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
import signal
import subprocess
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.core.runs import TaskState
from gpwf.run.desk import desk_folder, drafts_folder, keep
from gpwf.run.executors.base import Freed, Grant, Job, Outcome, Told
from gpwf.run.executors.durations import Durations
from gpwf.run.executors.processes import Bell, machine_bytes, tree_bytes, usable_cores
from gpwf.run.executors.server import (
    Server,
    Worker,
    next_kill_s,
    server_died,
    spawn_worker,
    start_server,
    tell_server,
    unfinished,
    with_leftovers,
)

__all__ = ["PREPARE", "LocalExecutor"]

#: What the fork server imports: gammapy, and what its steps need.
PREPARE = "gpwf.steps.process:prepare_process"
_GRACE_S = 3.0
_COSTLY_S = 0.5  # of a computation that nobody wants to do again
_AT_ONCE = 64
_AHEAD_BYTES = 32 * 1024  # of a job; less than the smallest buffer of a socket
_MOVES = 20  # to another worker, of a job that is not to blame


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
        prepare: str | None = PREPARE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._jobs = max(1, jobs if jobs is not None else usable_cores())
        self._prepare = prepare
        self._environment = dict(environment or {})
        self._server: Server | None = None
        self._queue: deque[Job] = deque()
        self._ended: list[Told] = []
        self._durations = Durations()
        self._moved: Counter[str] = Counter()  # by attempt
        self._large: set[str] = set()
        self._doomed: dict[str, TaskState] = {}  # to be cancelled when a worker comes to it
        self._numbers = 0
        self._bell = Bell()

    @property
    def name(self) -> str:
        """Return what the journal calls it."""
        return "local"

    @property
    def capacity(self) -> int:
        """Return how many jobs run at a time."""
        return self._jobs

    @property
    def memory_bytes(self) -> int:
        """Return the memory of this machine."""
        return machine_bytes()

    @property
    def ahead(self) -> int:
        """Return how many short jobs more it can take: one per worker once there are some."""
        return self._jobs if self._durations.has_short else 0

    @property
    def is_started(self) -> bool:
        """Return True where processes have been started."""
        return self._server is not None

    def start(self) -> None:
        """Import what the steps need, while the caller does something else; `submit` waits for it.

        Raises
        ------
        ExecutorError
            Where no process can be started.
        """
        if self._server is None:
            self._server = start_server(self._prepare, self._environment)

    def resize(self, jobs: int) -> None:
        """Set the number of workers; before the first `submit`."""
        self._jobs = max(1, jobs)

    def submit(self, job: Job) -> str:
        """Take a job; see `gpwf.run.executors.base.Executor`."""
        self._queue.append(job)
        self._assign()
        return job.attempt_id

    def wait(self, timeout: float | None) -> Sequence[Told]:
        """Return what happened; see `gpwf.run.executors.base.Executor`."""
        from multiprocessing.connection import wait

        self._escalate()
        server = self._server
        if server is None and not self._ended and wait([self._bell.fileno()], timeout):
            self._bell.hear()
        if server is not None and not self._ended:
            by_connection: dict[Any, Worker] = {
                worker.connection: worker for worker in server.workers.values() if worker.is_open
            }
            sources: list[Any] = [*by_connection, server.control, self._bell.fileno()]
            for source in wait(sources, next_kill_s(server, timeout)):
                if source is server.control:
                    self._hear_server(server)
                elif source == self._bell.fileno():
                    self._bell.hear()
                else:
                    self._hear_worker(by_connection[source])
            self._assign()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        """Make `wait` return early; may be called from a signal handler."""
        self._bell.ring()

    def cancel(self, handle: str, state: TaskState = TaskState.CANCELLED) -> None:
        """End a job; see `gpwf.run.executors.base.Executor`."""
        for job in self._queue:
            if job.attempt_id == handle:
                self._queue.remove(job)
                self._ended.append(unfinished(job, state, None))
                return
        worker = self._worker_of(handle)
        if worker is None:
            self._doomed[handle] = state
            return
        first = worker.jobs[0]
        if worker.pid == 0:  # not forked yet: nothing of the job has begun
            worker.jobs.popleft()
            self._ended.append(unfinished(first, state, None, worker))
            self._let_go(worker)
            self._kill(worker, signal.SIGKILL)
        elif worker.killed_for is None:
            worker.killed_for = state
            worker.kill_at_s = time.monotonic() + _GRACE_S
            self.resident_bytes(handle)  # to know it afterwards
            self._kill(worker, signal.SIGTERM)

    def grant(self, handle: str, cores: int) -> None:
        """Answer a wish; see `gpwf.run.executors.base.Executor`."""
        worker = self._worker_of(handle)
        if worker is not None:
            self._send(worker, pickle.dumps(Grant(cores=cores)))

    def running_s(self, handle: str) -> float:
        """Return the running time of a job; see `Executor`.

        Starting the fork server, which imports gammapy, does not count.
        """
        worker = self._worker_of(handle)
        if worker is None or worker.pid == 0:
            return 0.0
        return time.monotonic() - worker.since_s

    def resident_bytes(self, handle: str) -> int | None:
        """Return the memory of a job's process tree; see `Executor`."""
        worker = self._worker_of(handle)
        if worker is None or worker.pid == 0:
            return None
        held = tree_bytes(worker.pid)
        worker.seen_bytes = max(worker.seen_bytes, held or 0)
        return held

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
        self._bell.close()

    def _assign(self) -> None:
        """Give queued jobs to idle workers, to new ones, or ahead to those that are soon idle."""
        while self._queue:
            worker = self._worker_for(self._queue[0])
            if worker is None:
                return
            job = self._queue[0]
            data = pickle.dumps(job)
            if not worker.jobs:
                worker.since_s, worker.seen_bytes = time.monotonic(), 0
            elif len(data) > _AHEAD_BYTES:
                self._large.add(job.attempt_id)
                return
            self._queue.popleft()
            worker.jobs.append(job)
            self._send(worker, data)

    def _worker_for(self, job: Job) -> Worker | None:
        """Return who takes a job next: best who has made its inputs."""
        self.start()
        assert self._server is not None
        workers = self._server.workers
        free = [item for item in workers.values() if item.is_free]
        idle = [item for item in free if not item.jobs]
        if idle:
            return max(idle, key=lambda item: item.has_made(job))
        if len(workers) < self._jobs:
            self._numbers += 1
            return spawn_worker(self._server, self._numbers)
        # who computes reads nothing: what does not fit into the socket would block this process
        if self._durations.is_short(job.step) and job.attempt_id not in self._large:
            for worker in free:
                if len(worker.jobs) == 1 and self._durations.is_short(worker.jobs[0].step):
                    return worker
        return None

    def _send(self, worker: Worker, data: bytes) -> None:
        try:
            worker.connection.send_bytes(data)
        except (BrokenPipeError, ConnectionResetError):
            worker.is_open = False  # it just died: its exit makes the job lost

    def _kill(self, worker: Worker, number: int) -> None:
        if self._server is not None:
            tell_server(self._server, do="kill", worker=worker.number, signal=number)

    def _hear_server(self, server: Server) -> None:
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
                    worker = server.workers.get(message["worker"])
                    if worker is not None:  # its first job begins now
                        worker.pid, worker.since_s = message["pid"], time.monotonic()
                case "exited":
                    worker = server.workers.pop(message["worker"])
                    self._bury(worker, message["code"])

    def _lose_server(self, server: Server) -> None:
        """Treat every worker as lost: the kernel has killed them. A new job starts all anew."""
        if not server.is_ready:
            raise server_died(server)
        self._server = None
        for worker in server.workers.values():
            self._bury(worker, None)
        server.control.close()
        server.process.wait()
        server.errors.close()

    def _hear_worker(self, worker: Worker) -> None:
        """Take in what a worker has said, a bounded number of items."""
        for _ in range(_AT_ONCE):
            try:
                item = worker.connection.recv()
                self._take_in(worker, item)
                if not worker.connection.poll():
                    return
            except (EOFError, OSError):
                worker.is_open = False
                return

    def _take_in(self, worker: Worker, item: Told) -> None:
        if isinstance(item, Freed):
            job = worker.jobs.popleft()
            worker.publishing[job.attempt_id] = job
            if time.monotonic() - worker.since_s > _COSTLY_S:
                worker.costly.add(job.attempt_id)
            self._begin_next(worker)
        elif isinstance(item, Outcome):
            if item.attempt_id in worker.publishing:
                job = worker.publishing.pop(item.attempt_id)
                worker.costly.discard(item.attempt_id)
            else:
                job = worker.jobs.popleft()
            self._doomed.pop(item.attempt_id, None)
            if item.state is TaskState.OK:
                self._durations.add(job.step, item.resources.wall_s)
                worker.remember(item.products.values())
            else:
                self._begin_next(worker)
        self._ended.append(item)

    def _begin_next(self, worker: Worker) -> None:
        """Take in that a worker goes on with its next job, if it has one."""
        worker.since_s, worker.seen_bytes = time.monotonic(), 0
        if worker.killed_for is not None:  # it was quicker than the signal, which still ends it
            self._let_go(worker)
        elif worker.jobs and worker.jobs[0].attempt_id in self._doomed:
            first = worker.jobs[0].attempt_id
            self.cancel(first, self._doomed[first])

    def _let_go(self, worker: Worker) -> None:
        """Give nothing more to a worker that is being killed; others do what it has not begun."""
        worker.is_open = worker.is_open and bool(worker.publishing)
        for job in reversed(worker.jobs):
            self._give_back(job)
        worker.jobs.clear()

    def _give_back(self, job: Job) -> None:
        """Queue a job again that was given to a worker, unless it is to be cancelled."""
        state = self._doomed.pop(job.attempt_id, None)
        if state is None:
            self._queue.appendleft(job)
        else:
            self._ended.append(unfinished(job, state, None))

    def _bury(self, worker: Worker, code: int | None) -> None:
        """Take in the death of a worker: what it still said, then the end of its job.

        Of its jobs one is to blame, if any: the one that it computed. Others do what it had not
        begun, and once more what it had computed and not yet published.
        """
        with contextlib.suppress(EOFError, OSError):
            while worker.connection.poll():
                self._take_in(worker, worker.connection.recv())
        worker.connection.close()
        if worker.jobs:
            state, job = worker.killed_for or TaskState.LOST, worker.jobs.popleft()
            outcome = unfinished(job, state, code, worker)
            keep(desk_folder(job.work_dir, worker.pid), job.work_dir)
            self._ended.append(with_leftovers(outcome, job.work_dir))
        for job in (*worker.publishing.values(), *worker.jobs):
            self._moved[job.attempt_id] += 1
            moved = self._moved[job.attempt_id]
            if moved > _MOVES:
                self._ended.append(unfinished(job, TaskState.LOST, code, worker))
            else:
                shutil.rmtree(drafts_folder(job.work_dir, worker.pid), ignore_errors=True)
                self._give_back(job)
        worker.publishing.clear()
        worker.jobs.clear()

    def _worker_of(self, handle: str) -> Worker | None:
        # asked from the thread of the console, too: of a copy
        for worker in list(self._server.workers.values()) if self._server is not None else ():
            if worker.jobs and worker.jobs[0].attempt_id == handle:
                return worker
        return None

    def _escalate(self) -> None:
        """Kill what did not end when it was asked to."""
        for worker in self._server.workers.values() if self._server is not None else ():
            if worker.kill_at_s is not None and time.monotonic() >= worker.kill_at_s:
                worker.kill_at_s = None
                self._kill(worker, signal.SIGKILL)
