"""One task after the other: read the inputs, `Step.run`, write the outputs.

Everything that can go wrong becomes an `Outcome`; nothing but plain data leaves the process.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.core.runs import Failure, TaskState
from gpwf.errors import NoDataError
from gpwf.run.capture import capture_logging, capture_output, progress_sender, utc_now
from gpwf.run.desk import Desk, leftovers
from gpwf.run.executors.base import Freed, Grant, Job, Message, Outcome, Told, Wish
from gpwf.run.failures import failure_of
from gpwf.run.publishing import Computed, Publisher
from gpwf.run.spread import ChildLostError, Spread
from gpwf.run.usage import Usage
from gpwf.run.values import (
    DamagedInputError,
    ExternalFiles,
    Shelf,
    in_memory,
    read_inputs,
    write_outputs,
)
from gpwf.store.results import StoredResult
from gpwf.store.store import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from gpwf.steps.base import StepContext

__all__ = ["serve"]


def serve(handle: int) -> None:
    """Run the jobs that come over a connection until it closes.

    Parameters
    ----------
    handle : int
        File descriptor of a stream socket to the driver.
    """
    from multiprocessing.connection import Connection

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides
    link = _Link(Connection(handle))
    gone = (EOFError, BrokenPipeError, ConnectionResetError)
    with contextlib.suppress(*gone), Publisher(link.send) as publisher:
        worker = _Worker(link, publisher)
        while True:
            worker.work(link.next_job())


class _Link:
    """The connection to the driver."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()  # steps may log from threads, and publishing is one
        self._jobs: deque[Job] = deque()

    def send(self, item: Told) -> None:
        with self._lock:
            self._connection.send(item)

    def next_job(self) -> Job:
        """Return the next job, waiting for it."""
        job: Job = self._jobs.popleft() if self._jobs else self._connection.recv()
        return job

    def ask(self, wish: Wish) -> int:
        """Return how many cores a wish was granted."""
        self.send(wish)
        if wish.cores <= 0:
            return 0
        while not isinstance(item := self._connection.recv(), Grant):
            self._jobs.append(item)
        return item.cores


class _Worker:
    """Computes the jobs of one process.

    Parameters
    ----------
    link : _Link
        To the driver.
    publisher : Publisher
        Takes what was computed.
    """

    def __init__(self, link: _Link, publisher: Publisher) -> None:
        self._link = link
        self._publisher = publisher
        self._shelf = Shelf()
        self._desk: Desk | None = None

    def work(self, job: Job) -> None:
        """Compute a job; its outcome is told when its products are published."""
        before = Usage(self._publisher.cpu_s)
        started = utc_now()
        try:
            computed = self._computed(job, started, before)
        except DamagedInputError as error:
            failure = Failure(kind="damaged", message=str(error), transient=True)
            self._fail(job, TaskState.FAILED, failure, started, before, damaged=error.digests)
        except ChildLostError as error:
            failure = replace(failure_of(error), kind="killed", signal=error.signal)
            failure = replace(failure, exit_code=error.code, transient=True)
            self._fail(job, TaskState.LOST, failure, started, before)
        # whatever a step raises, sys.exit() too, must not end the worker
        except (Exception, SystemExit) as error:
            state = TaskState.SKIPPED if isinstance(error, NoDataError) else TaskState.FAILED
            self._fail(job, state, failure_of(error), started, before)
        else:
            self._link.send(Freed(attempt_id=job.attempt_id))
            self._publisher.submit(computed)

    def _fail(
        self,
        job: Job,
        state: TaskState,
        failure: Failure,
        started: str,
        before: Usage,
        **more: Any,
    ) -> None:
        """Tell the end of an attempt without products; its folder stays to be looked at."""
        failure = replace(failure, left=leftovers(job.work_dir))
        self._link.send(
            Outcome(
                attempt_id=job.attempt_id,
                state=state,
                started=started,
                ended=utc_now(),
                failure=failure,
                resources=before.until_now(),
                **more,
            )
        )

    def _computed(self, job: Job, started: str, before: Usage) -> Computed:
        """Do the work; raise for every end but a success."""

        def say(record: Mapping[str, Any]) -> None:
            about = {
                "task_id": job.task,
                "step": job.step,
                "attempt": job.attempt,
                "attempt_id": job.attempt_id,
            }
            self._link.send(Message(attempt_id=job.attempt_id, record={**record, **about}))

        desk = self._desk_for(job)
        if job.memory_bytes is not None:  # it shall not pay for what others have left
            self._shelf.keep_only(item for items in job.inputs.values() for item in items)
        log = desk.folder / "output.log"
        try:
            with capture_logging(say, job.log_level), capture_output(log, say):
                computed = self._attempt(job, desk, say, started, before)
        except BaseException:
            desk.leave(job.work_dir)
            raise
        desk.tidy()
        return computed

    def _desk_for(self, job: Job) -> Desk:
        """Return the folder to work in; a new one where a failed task has taken the last."""
        if self._desk is None or not self._desk.is_for(job.work_dir):
            self._publisher.drain()  # drafts wait in the folder of the last one
            self._desk = Desk(job.work_dir)
        return self._desk

    def _attempt(
        self,
        job: Job,
        desk: Desk,
        say: Callable[[Mapping[str, Any]], None],
        started: str,
        before: Usage,
    ) -> Computed:
        folder, store = desk.folder, _store(job.store)
        formats = importlib.import_module(job.formats)
        step = _catalog(job.catalog).step(job.tag)
        files = ExternalFiles(store, job)
        files.check("since the plan was made")
        inputs = read_inputs(job, step, folder / "in", store, formats, files, self._shelf)
        settings = step.Settings.model_validate(dict(job.settings))
        with contextlib.closing(self._spread(job, say)) as spread:
            given = step.run(settings, inputs, _context(job, folder / "scratch", spread))
        values = in_memory(job, formats, files, given)
        products, drafts = write_outputs(job, folder, store, formats, values)
        files.check("while the step read it")
        result = StoredResult(
            key=job.key,
            products=products,
            run_id=job.run_id,
            attempt_id=job.attempt_id,
            started=started,
            ended=utc_now(),
            tag=job.tag,
            resources=before.until_now(),
        )
        drafts = [*desk.set_apart(drafts), store.results.draft(job.key, result)]
        for port, product in products.items():
            self._shelf.put(product, formats.hand_on(product.kind, values[port]))
        outcome = Outcome(
            attempt_id=job.attempt_id,
            state=TaskState.OK,
            started=started,
            ended=result.ended,
            products=products,
            resources=result.resources,
        )
        return Computed(outcome=outcome, drafts=tuple(drafts))

    def _spread(self, job: Job, say: Callable[[Mapping[str, Any]], None]) -> Spread:
        """Return what gives a step the cores that nobody else uses."""

        def acquire(cores: int) -> int:
            return self._link.ask(Wish(attempt_id=job.attempt_id, cores=cores))

        def release(cores: int) -> None:
            self._link.ask(Wish(attempt_id=job.attempt_id, cores=-cores))

        # no other thread may be at work when children are forked
        return Spread(acquire, release, say, cores=job.n_jobs, prepare=self._publisher.drain)


def _context(job: Job, scratch: Path, spread: Spread) -> StepContext:
    from gpwf.steps.base import StepContext

    return StepContext(
        step=job.step,
        task_id=job.task,
        work_dir=scratch,
        n_jobs=job.n_jobs,
        progress=progress_sender(spread.say),
        labels=job.labels,
        stream=job.stream,
        left_dir=Path(job.work_dir) / "scratch",
        spread=spread,
    )


@cache
def _store(root: str) -> Store:
    return Store(Path(root))


@cache
def _catalog(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)()
