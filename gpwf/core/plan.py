"""The plan: a frozen DAG of tasks, plain data from end to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.spec import Execution, IncludedWorkflow, Port, StepCondition, StepPolicy

__all__ = ["PLAN_FORMAT", "Plan", "PlannedFile", "PlannedStep", "Task", "TaskAlias", "TaskOutput"]

PLAN_FORMAT = "gpwf-plan/2"

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutput:
    """A product that a task of this plan will make."""

    task: str
    product: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """An external file that a task reads, with the digest it had when the plan was made."""

    setting: str
    name: str
    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One concrete node of the plan.

    Parameters
    ----------
    id : str
        Unique in the plan and readable: the step's name, with coordinates in brackets after
        scatter (``fit`` or ``fit[seed=3]``).
    step, tag, version : str
        The declared step, its type, the version of the type.
    settings : mapping
        Settled settings; paths are absolute here and enter the task key by content.
    types : mapping
        Type of every leaf of ``settings`` by dotted path.
    origins : mapping of str to (str, str)
        Source and place (``file:line:column`` or empty) of every leaf.
    inputs : mapping of str to tuple of TaskOutput
        Wiring by port, in order.
    input_ports, output_ports : tuple of Port
        The ports of the step with these settings.
    after : tuple of str
        Task ids that must end first.
    files : tuple of PlannedFile
        External files, in a stable order.
    packages : mapping of str to str
        Distributions that can change the result, with their versions.
    implementation : mapping of str to str
        Module, package, version and source digest of the step type; of a ``python`` step also its
        function.
    coordinates : mapping
        Value of each axis.
    labels : mapping of str to tuple of mapping
        For every port that gathers axes, where each item comes from: ``{axis: label}``, in the
        order of ``inputs``.
    stream : tuple of int
        Words of 32 bits that tell the random numbers of this task from those of the other tasks
        of its scatter; empty without scatter or without a setting ``seed``.
    policy : StepPolicy
        Resources, retries, timeout; not part of the identity.
    sealed : mapping of str to str
        Leaves of ``settings`` that must not be recorded, by dotted path, with the keyed digest
        that stands for the value in the task key.
    place : str
        ``file:line:column`` of the step in the workflow, for messages.
    """

    id: str
    step: str
    tag: str
    version: str
    settings: Mapping[str, Any]
    types: Mapping[str, str]
    origins: Mapping[str, tuple[str, str]]
    inputs: Mapping[str, tuple[TaskOutput, ...]]
    input_ports: tuple[Port, ...]
    output_ports: tuple[Port, ...]
    after: tuple[str, ...] = ()
    files: tuple[PlannedFile, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    implementation: Mapping[str, str] = field(default_factory=dict)
    coordinates: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict)
    stream: tuple[int, ...] = ()
    policy: StepPolicy = field(default_factory=StepPolicy)
    sealed: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    place: str = ""

    @property
    def upstream(self) -> tuple[str, ...]:
        """Ids of the tasks that must end before this one, without repeats."""
        ids = [ref.task for refs in self.inputs.values() for ref in refs]
        return tuple(dict.fromkeys([*ids, *self.after]))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAlias:
    """A further name of a task: another step, or another place in a scatter, computes the same.

    Parameters
    ----------
    id, step : str
        As the task would be called.
    coordinates : mapping
        Value of each axis.
    task : str
        Id of the task.
    """

    id: str
    step: str
    coordinates: Mapping[str, Any]
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A declared step as the plan shows it.

    Parameters
    ----------
    name, tag, title, description : str
        As declared.
    axes : mapping of str to int
        Number of values of each axis at the points where the step runs.
    n_points : int
        At how many points it runs; fewer tasks where some are the same.
    gather : tuple of str
        Axes that end at the step.
    condition : StepCondition or None
        Its ``when``, with what decided it.
    """

    name: str
    tag: str
    title: str
    description: str = ""
    axes: Mapping[str, int] = field(default_factory=dict)
    n_points: int = 1
    gather: tuple[str, ...] = ()
    condition: StepCondition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The DAG of tasks of one workflow.

    Parameters
    ----------
    name : str
        Name of the workflow.
    workflow_digest : Digest
        SHA-256 of the document as given.
    tasks : tuple of Task
        In topological order, ties in the order of the document.
    steps : tuple of PlannedStep
        In the order of the document.
    aliases : tuple of TaskAlias
        Further names of tasks.
    outputs : mapping of str to tuple of TaskOutput
        Named results.
    params : mapping
        Settled parameters.
    overrides : mapping
        What the command line changed.
    sources : mapping of str to str
        SHA-256 of every document that was read.
    documents : mapping of str to str
        Text of those that are not too long, by SHA-256; without the workflow's own, which is
        ``workflow.yaml`` of a run.
    workflows : tuple of IncludedWorkflow
        Steps that are other workflows, an outer one before those in it.
    identities : mapping of str to mapping
        What external files say of themselves, by their SHA-256: see
        `gpwf.store.fits_headers.FitsIdentity`.
    execution : Execution
        How to run it; no part of the identity of anything.
    secrets : frozenset of str
        Values in the settings that must not be recorded; never written. Empty for a plan that was
        read: it has been written without them, see `gpwf.core.plan_redaction`.
    """

    name: str
    workflow_digest: Digest
    tasks: tuple[Task, ...]
    steps: tuple[PlannedStep, ...]
    aliases: tuple[TaskAlias, ...] = ()
    outputs: Mapping[str, tuple[TaskOutput, ...]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    workflows: tuple[IncludedWorkflow, ...] = ()
    identities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    language: int = 1
    execution: Execution = field(default_factory=Execution)
    secrets: frozenset[str] = field(
        default=frozenset(), repr=False, compare=False, metadata={"written": False}
    )
    index: dict[str, Task] = field(default_factory=dict, init=False, repr=False, compare=False)
    kept: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def task(self, task_id: str) -> Task:
        """Return a task by its id, or by that of an alias; KeyError where there is none."""
        if not self.index:  # made when it is first needed: a plan may have a million tasks
            self.index.update((task.id, task) for task in self.tasks)
            self.index.update((alias.id, self.index[alias.task]) for alias in self.aliases)
        return self.index[task_id]

    def of_step(self, step: str) -> tuple[Task, ...]:
        """Return the tasks of one declared step, those too that another step has in common."""
        shared = {alias.task for alias in self.aliases if alias.step == step}
        return tuple(task for task in self.tasks if task.step == step or task.id in shared)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Pairs (upstream id, id), without repeats."""
        return tuple((up, task.id) for task in self.tasks for up in task.upstream)
