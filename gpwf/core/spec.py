"""The validated form of a workflow, and what the language needs to know of the step types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpwf.core.diagnostics import Span

__all__ = [
    "Axis",
    "ConditionCase",
    "Execution",
    "IncludedWorkflow",
    "InputRef",
    "Origin",
    "Port",
    "StepCondition",
    "StepPolicy",
    "StepSpec",
    "Variant",
    "WorkflowSpec",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A named, typed input or output slot of a step.

    Parameters
    ----------
    name : str
        Name in ``required_products`` or in ``step.product``. The input ``*`` stands for any names
        that ``required_products`` has besides those of the other ports.
    kind : str
        Product kind: ``observations``, ``datasets``, ``models``, ``fit-result``, ``flux-points`` …;
        an input of kind ``any`` takes every kind.
    optional : bool
        An input that may stay unconnected.
    multiple : bool
        An input that takes a list of products.
    help : str
        One line for people.
    """

    name: str
    kind: str
    optional: bool = False
    multiple: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a settled value came from.

    ``source`` is one of ``step default``, ``defaults``, ``workflow``, ``profile``, ``params file``,
    ``command line``. ``private`` names what must not be recorded and is in the value:
    ``env.NAME`` for environment variables, ``params.NAME`` for parameters whose names look
    secret.
    """

    source: str
    span: Span | None = None
    detail: str = ""
    private: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRef:
    """A reference to a product of a step."""

    step: str
    product: str
    span: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPolicy:
    """How a step is run; nothing here changes its result or its identity."""

    n_jobs: int = 1
    memory_bytes: int | None = None
    walltime_s: float | None = None
    timeout_s: float | None = None
    retries: int = 0
    on_error: str = "fail"
    cache: bool = True

    @property
    def limit_s(self) -> float | None:
        """The time after which an attempt is ended: the shorter of time limit and wall time."""
        return min((s for s in (self.timeout_s, self.walltime_s) if s is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionCase:
    """What decided a condition, and how.

    Parameters
    ----------
    holds : bool
        What came out.
    values : mapping
        Values that the condition looked up, by their names: ``params.e_min``.
    coordinates : mapping
        Values of the axes that the condition depends on.
    """

    holds: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    coordinates: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCondition:
    """The ``when`` of a step.

    Parameters
    ----------
    text : str
        As it is written.
    place : str
        ``file:line:column``.
    cases : tuple of ConditionCase
        What decided it, for the first `MOST_CASES` values of the axes that it depends on.
    n_true, n_false : int
        Places of the scatter at which it holds and does not.
    """

    text: str
    place: str = ""
    cases: tuple[ConditionCase, ...] = ()
    n_true: int = 0
    n_false: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IncludedWorkflow:
    """A workflow that is a step of another one.

    Parameters
    ----------
    name : str
        Full name of the step; the names of its own steps begin with it and a slash.
    path : str
        Its file, absolute.
    digest : str
        SHA-256 of the file.
    title, description : str
        Name of the document; description of the step, or else of the document.
    axes : mapping of str to int
        Axes of the step that includes it, with the number of their values there.
    n_points : int
        At how many places it runs.
    condition : StepCondition, optional
        Its ``when``.
    place : str
        ``file:line:column`` of the step.
    """

    name: str
    path: str
    digest: str
    title: str = ""
    description: str = ""
    axes: Mapping[str, int] = field(default_factory=dict)
    n_points: int = 1
    condition: StepCondition | None = None
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis of a scatter, with every value that it takes anywhere in the workflow.

    Parameters
    ----------
    name : str
        Unique in the workflow; an axis of an included workflow begins with the name of its step
        and a slash.
    values : tuple
        Plain data, each once, in the order of first appearance.
    labels : tuple of str
        A short name for each value, for task ids.
    """

    name: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]

    def coordinate(self, index: int) -> Any:
        """Return what stands for a value in a list of coordinates: a scalar, or a row's name."""
        value = self.values[index]
        return self.labels[index] if isinstance(value, (Mapping, list, tuple)) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Settled settings of a step, for those points of its axes that have them in common.

    Parameters
    ----------
    settings : mapping
        Settled settings (see `Settled`).
    types : mapping
        Type of every leaf of ``settings`` by dotted path.
    origins : mapping of str to Origin
        Where every leaf came from, by dotted path.
    spans : mapping of str to Span
        Place in a text of every setting that was written, by dotted path; ``""`` is the step.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    spans: Mapping[str, Span] = field(default_factory=dict)


_NOTHING = Variant()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """One declared step, validated, with its settings settled.

    Parameters
    ----------
    name, tag, description : str
        As declared; the name defaults to the tag. A step of an included workflow is called
        ``<step>/<name>``.
    inputs : mapping of str to tuple of InputRef
        Wiring, complete: ports left out are already resolved. Unconnected optional ports are
        absent.
    outputs : mapping of str to str
        Product name → kind.
    variants : tuple of Variant
        Every distinct set of settings; one for a step whose settings use no axis.
    axes : tuple of str
        Names of the axes that the step runs over, inherited ones first.
    points : sequence of tuple of int
        Where the step runs: for every axis, the position in `Axis.values`. A step without axes
        has the one point ``()``; a step whose condition is false has none.
    chosen : sequence of int
        For every point, the position of its settings in ``variants``.
    after : tuple of str
        Steps that must end first although nothing is used from them.
    gather : tuple of str
        Axes of the inputs that end here.
    policy : StepPolicy
        Resources, retries, timeout.
    span : Span or None
        Where the step is written.
    condition : StepCondition or None
        Its ``when``.
    """

    name: str
    tag: str
    inputs: Mapping[str, tuple[InputRef, ...]]
    outputs: Mapping[str, str]
    variants: tuple[Variant, ...]
    axes: tuple[str, ...] = ()
    points: Sequence[tuple[int, ...]] = ((),)
    chosen: Sequence[int] = (0,)
    after: tuple[str, ...] = ()
    gather: tuple[str, ...] = ()
    policy: StepPolicy = field(default_factory=StepPolicy)
    description: str = ""
    span: Span | None = None
    condition: StepCondition | None = None

    @property
    def first(self) -> Variant:
        """The first of the variants; an empty one where the step runs nowhere."""
        return self.variants[0] if self.variants else _NOTHING

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the first variant."""
        return self.first.settings

    @property
    def types(self) -> Mapping[str, str]:
        """Types of the first variant."""
        return self.first.types

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Origins of the first variant."""
        return self.first.origins

    @property
    def spans(self) -> Mapping[str, Span]:
        """Places of the first variant."""
        return self.first.spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Settings of the execution; they never enter a task's identity.

    Parameters
    ----------
    executor : str
        Who runs the tasks.
    jobs : int or None
        Tasks at a time; the number of usable cores by default.
    max_tasks : int
        Largest number of tasks that a workflow may become.
    log_level : str
        Records below it stay in the workers.
    options : mapping
        Options of the executor.
    record_env : tuple of str
        Environment variables whose values may be recorded.
    anonymous : bool
        True where records say neither who ran the workflow nor where.
    """

    executor: str = "local"
    jobs: int | None = None
    max_tasks: int = 1_000_000
    log_level: str = "info"
    options: Mapping[str, Any] = field(default_factory=dict)
    record_env: tuple[str, ...] = ()
    anonymous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSpec:
    """A workflow document after reading, merging, checking and wiring.

    Parameters
    ----------
    name, description : str
        As declared; the name defaults to the file name without its suffixes.
    path : Path or None
        The file; None for a text from elsewhere.
    text : str
        The document as given.
    sources : mapping of str to str
        SHA-256 of every file that was read to make this spec, by absolute path.
    environment : mapping of str to str or None
        Environment variables that were looked up, with the value found.
    params : mapping
        Settled parameters.
    steps : tuple of StepSpec
        In the order of the document; those of an included workflow at the place of its step.
    axes : mapping of str to Axis
        Axes of all steps.
    workflows : tuple of IncludedWorkflow
        Steps that are other workflows, an outer one before those in it.
    texts : mapping of str to str
        Text of every file in ``sources``, by its SHA-256.
    outputs : mapping of str to InputRef
        Named results of the workflow.
    overrides : mapping
        What the command line or a caller changed: ``params``, ``set``, ``profile``.
    metadata : mapping
        Free text about the analysis.
    secrets : frozenset of str
        Values that must not be recorded: those of environment variables that are not listed, and
        of parameters whose names look secret.
    """

    name: str
    path: Path | None
    text: str
    sources: Mapping[str, str]
    environment: Mapping[str, str | None]
    params: Mapping[str, Any]
    param_origins: Mapping[str, Origin]
    steps: tuple[StepSpec, ...]
    outputs: Mapping[str, InputRef]
    axes: Mapping[str, Axis] = field(default_factory=dict)
    workflows: tuple[IncludedWorkflow, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    execution: Execution = field(default_factory=Execution)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    language: int = 1
    secrets: frozenset[str] = frozenset()

    def step(self, name: str) -> StepSpec:
        """Return the step with this name; KeyError where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
