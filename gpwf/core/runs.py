"""What happens in a run: task states, products, and the events that the journal keeps.

Every view of a run (status, log, provenance, report) is a fold over these events and the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gpwf.core.digests import Digest, TaskKey

__all__ = [
    "AttemptFinished",
    "AttemptStarted",
    "Failure",
    "Product",
    "ProductFile",
    "Resources",
    "RunEvent",
    "RunFinished",
    "RunStarted",
    "RunState",
    "TaskCached",
    "TaskNotRun",
    "TaskState",
]


class TaskState(StrEnum):
    """How a task or an attempt stands."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    CACHED = "cached"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OOM = "oom"
    LOST = "lost"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        """True where nothing more happens to the task."""
        return self not in (TaskState.WAITING, TaskState.RUNNING)

    @property
    def has_products(self) -> bool:
        """True where dependants can go on."""
        return self in (TaskState.OK, TaskState.CACHED)


class RunState(StrEnum):
    """How a run stands."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"  # no end in the journal and no live driver


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFile:
    """One file of a product.

    ``name`` is relative to the product, with ``/`` between folders; ``digest`` is the SHA-256 of
    the bytes, and the object's name in the store. ``data_digest`` is the SHA-256 of the bytes with
    the task key blanked that the file carries about itself, empty where the file carries none.
    """

    name: str
    digest: Digest
    size: int
    data_digest: str = ""

    @property
    def content(self) -> Digest:
        """Digest of what is in the file whichever task made it."""
        return Digest(self.data_digest) if self.data_digest else self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A stored value: kind, digest over its files, the files.

    ``digest`` is the tagged digest of kind, file names and file contents (`ProductFile.content`):
    a task that runs again under another key and finds the same has the same product, and what
    depends on it need not run. ``summary`` holds a few
    plain values for people (``{"n_datasets": 4}``); it is no part of the digest.
    """

    kind: str
    digest: Digest
    files: tuple[ProductFile, ...]
    summary: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Sum of the file sizes in bytes."""
        return sum(item.size for item in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt did not succeed, as plain data that crosses processes.

    Parameters
    ----------
    kind : str
        Name of the exception class, or ``killed``, ``timeout``, ``oom``.
    message : str
        For the user, in a line or a few.
    hint : str, optional
        What to do.
    transient : bool
        True where trying again may help.
    no_data : bool
        True where the step found nothing to work on.
    traceback : str, optional
        For the log, not for the console.
    exit_code, signal : int, optional
        Of the process that died.
    left : tuple of ProductFile
        What the attempt had made, in its folder; the digest of what is large is empty.
    """

    kind: str
    message: str
    hint: str | None = None
    transient: bool = False
    no_data: bool = False
    traceback: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    left: tuple[ProductFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What an attempt used; ``peak_rss_bytes`` is the largest resident set during it."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    pid: int = 0
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """Base of the notifications. ``time`` is ISO 8601 in UTC, ``clock_s`` a monotonic clock."""

    time: str
    clock_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(RunEvent):
    """First event of a journal.

    Parameters
    ----------
    run_id : str
        UUID of the run.
    plan_digest : Digest
        SHA-256 of ``plan.json``.
    command : tuple of str
        Command line, redacted.
    agent : mapping
        User, host, engine version.
    environment : mapping
        Software, platform, thread variables, environment allow-list.
    """

    run_id: str
    plan_digest: Digest
    workflow: str
    command: tuple[str, ...] = ()
    agent: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    store: str = ""
    jobs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCached(RunEvent):
    """A task was not run: the store holds the result of its key."""

    task: str
    attempt_id: str
    key: TaskKey
    products: Mapping[str, Product]
    made_by_run: str
    made_by_attempt: str
    made_started: str
    made_ended: str
    inputs: Mapping[str, tuple[Digest, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(RunEvent):
    """A worker was given a task. ``inputs`` are product digests by port, in order."""

    task: str
    attempt: int
    attempt_id: str
    key: TaskKey
    worker: str = ""
    inputs: Mapping[str, tuple[Digest, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished(RunEvent):
    """An attempt came to its end, whatever the end.

    ``started`` and ``ended`` are the worker's own times of the attempt, ISO 8601 in UTC; the
    products lie between them. ``retry`` says that another attempt follows.
    """

    task: str
    attempt: int
    attempt_id: str
    key: TaskKey
    state: TaskState
    started: str
    ended: str
    products: Mapping[str, Product] = field(default_factory=dict)
    failure: Failure | None = None
    resources: Resources = field(default_factory=Resources)
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNotRun(RunEvent):
    """A task ended without an attempt: blocked, skipped or cancelled, with the reason."""

    task: str
    state: TaskState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(RunEvent):
    """Last event of a journal."""

    state: RunState
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
