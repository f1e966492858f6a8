"""What an executor is: jobs go in, messages and outcomes come out, all of it small plain data.

Products never pass through the driver; jobs and outcomes name them by digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import PlannedFile
from gpwf.core.runs import Failure, Product, Resources, TaskState
from gpwf.core.spec import Port

__all__ = ["Executor", "Freed", "Grant", "Job", "Message", "Outcome", "Told", "Wish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One attempt of one task, as a worker gets it.

    Parameters
    ----------
    run_id, attempt_id : str
        Who asks.
    task, step, tag : str
        Task id, declared step, step type.
    attempt : int
        Counted from 1.
    key : TaskKey
        Identity of the computation.
    settings : mapping
        Settled settings.
    inputs : mapping of str to tuple of Product
        By port, in the order of the wiring.
    input_ports, output_ports : tuple of Port
        Slots of the step with these settings.
    files : tuple of PlannedFile
        External files that this task reads.
    known_files : tuple of PlannedFile
        External files that the tasks above read: products may refer to them by content.
    work_dir, store : str
        Private folder of the attempt, made by the worker; folder of the store.
    catalog : str
        ``module:function`` that returns the step catalogue.
    formats : str
        Module with ``read`` and ``write``.
    n_jobs : int
        Cores that the step may use.
    labels : mapping of str to tuple of mapping
        Where the items of a gathering port come from, see `gpwf.steps.base.StepContext`.
    stream : tuple of int
        What tells the random numbers of the task from those of its neighbours.
    memory_bytes : int, optional
        Memory that the job may hold.
    log_level : str
        Python logging level below which records stay in the worker.
    """

    run_id: str
    attempt_id: str
    task: str
    step: str
    tag: str
    attempt: int
    key: TaskKey
    settings: Mapping[str, Any]
    inputs: Mapping[str, tuple[Product, ...]]
    input_ports: tuple[Port, ...]
    output_ports: tuple[Port, ...]
    files: tuple[PlannedFile, ...]
    known_files: tuple[PlannedFile, ...]
    work_dir: str
    store: str
    catalog: str
    formats: str
    n_jobs: int = 1
    labels: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict)
    stream: tuple[int, ...] = ()
    memory_bytes: int | None = None
    log_level: str = "INFO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended.

    ``started`` and ``ended`` are the worker's own times, empty where the worker died;
    ``damaged`` names objects that were found damaged when they were read.
    """

    attempt_id: str
    state: TaskState
    started: str = ""
    ended: str = ""
    products: Mapping[str, Product] = field(default_factory=dict)
    failure: Failure | None = None
    resources: Resources = field(default_factory=Resources)
    damaged: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a worker says while it works: a log record, or ``event: task.progress``."""

    attempt_id: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """A job needs no processor any more; its outcome comes when its products are published."""

    attempt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A running job could use ``cores`` further cores, or gives so many back (negative).

    A wish is answered at once, with `Executor.grant`; giving back needs no answer.
    """

    attempt_id: str
    cores: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The answer to a `Wish`, as a worker gets it."""

    cores: int


#: What an executor tells.
Told = Message | Freed | Wish | Outcome


class Executor(Protocol):
    """Runs jobs somewhere else.

    Nothing is started before the first `submit`. Everything that an executor started is gone
    after `close`, and also when the driver dies without calling it.
    """

    @property
    def name(self) -> str:
        """Return what the journal calls it."""

    @property
    def capacity(self) -> int:
        """Return how many jobs run at a time."""

    @property
    def memory_bytes(self) -> int | None:
        """Return how much memory its jobs may hold together; None where that is not limited."""

    @property
    def ahead(self) -> int:
        """Return how many short jobs more it can take, so that no worker waits for the next."""

    def submit(self, job: Job) -> str:
        """Take a job; return its handle, the attempt id.

        Raises
        ------
        ExecutorError
            Where workers cannot be started.
        """

    def wait(self, timeout: float | None) -> Sequence[Told]:
        """Return what happened, waiting for it at most ``timeout`` seconds.

        Exactly one outcome comes for every job; it comes after its messages. The result may be
        empty.
        """

    def grant(self, handle: str, cores: int) -> None:
        """Answer the wish of a job: it may use so many cores more, perhaps none."""

    def wake(self) -> None:
        """Make `wait` return early; may be called from a signal handler."""

    def cancel(self, handle: str, state: TaskState = TaskState.CANCELLED) -> None:
        """End a job, its worker's whole process group; its outcome has this state."""

    def running_s(self, handle: str) -> float:
        """Return for how many seconds a worker has had a job; 0 while the job waits for one."""

    def resident_bytes(self, handle: str) -> int | None:
        """Return the memory that a running job holds, its children's too; None where unknown."""

    def close(self) -> None:
        """End every worker at once."""
