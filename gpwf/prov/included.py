"""Runs within a run: a workflow that is a step runs at every place of its scatter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpwf.core.plan import Plan, Task
from gpwf.core.runs import RunState, TaskState
from gpwf.core.spec import IncludedWorkflow
from gpwf.prov.recorder import Ref, json_text
from gpwf.prov.vocabulary import hashed_id

if TYPE_CHECKING:
    from gpwf.prov.context import RunContext

__all__ = ["ChildRun", "ChildRuns", "coordinates_of", "record_child_runs"]

_FAILURES = frozenset(
    (TaskState.FAILED, TaskState.TIMEOUT, TaskState.OOM, TaskState.LOST, TaskState.BLOCKED)
)


@dataclass(slots=True, kw_only=True, eq=False)
class ChildRun:
    """An included workflow at one place of its scatter.

    Parameters
    ----------
    local : str
        Local name of its activity.
    workflow : IncludedWorkflow
        What runs.
    coordinates : dict
        Where.
    parent : str
        Local name of the run that started it.
    start, end : datetime, optional
        When the first of its tasks began, and the last one ended.
    is_open : bool
        True where a task of it has no end.
    has_run : bool
        True where a task of it ran, or was found done.
    """

    local: str
    workflow: IncludedWorkflow
    coordinates: dict[str, Any]
    parent: str
    start: datetime | None = None
    end: datetime | None = None
    is_open: bool = False
    has_run: bool = False

    def note(self, start: datetime | None, end: datetime | None) -> None:
        """Take in when one of its tasks ran; a time that is not known says nothing."""
        self.has_run = True
        if start is not None and (self.start is None or start < self.start):
            self.start = start
        if end is None:
            self.is_open = True
        elif self.end is None or end > self.end:
            self.end = end


@dataclass(slots=True)
class ChildRuns:
    """The runs within a run, found by their tasks.

    Parameters
    ----------
    plan : Plan
        The plan of the run.
    run, run_id : str
        Local name of the run, and its UUID.
    """

    plan: Plan
    run: str
    run_id: str
    ran: dict[str, ChildRun] = field(default_factory=dict)
    _around: dict[str, tuple[IncludedWorkflow, ...]] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], tuple[ChildRun, ...]] = field(default_factory=dict)

    def around(self, step: str) -> tuple[IncludedWorkflow, ...]:
        """Return the included workflows that a step is part of, the outermost first."""
        found = self._around.get(step)
        if found is None:
            found = self._around[step] = tuple(
                item for item in self.plan.workflows if step.startswith(f"{item.name}/")
            )
        return found

    def of(self, step: str, coordinates: Mapping[str, Any]) -> tuple[ChildRun, ...]:
        """Return the runs that a task is part of, the outermost first."""
        around = self.around(step)
        if not around:
            return ()
        inner = around[-1]
        places = [[axis, json_text(coordinates.get(axis))] for axis in inner.axes]
        key = (inner.name, *(text for _, text in places))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._make(around, coordinates)
        return found

    def of_task(self, task: Task, others: tuple[Any, ...] = ()) -> tuple[ChildRun, ...]:
        """Return the runs that a task is part of under all its names.

        The first is the innermost one of its own name: the one that starts it.
        """
        own = self.of(task.step, task.coordinates)[::-1]
        more = [run for alias in others for run in self.of(alias.step, alias.coordinates)]
        return tuple(dict.fromkeys((*own, *more))) if more else own

    def _make(
        self, around: tuple[IncludedWorkflow, ...], coordinates: Mapping[str, Any]
    ) -> tuple[ChildRun, ...]:
        found: list[ChildRun] = []
        parent = self.run
        for item in around:
            own = {axis: coordinates[axis] for axis in item.axes if axis in coordinates}
            local = hashed_id("subrun", self.run_id, item.name, json_text(own))
            run = self.ran.get(local)
            if run is None:
                run = ChildRun(local=local, workflow=item, coordinates=own, parent=parent)
                self.ran[local] = run
            found.append(run)
            parent = local
        return tuple(found)


def record_child_runs(
    context: RunContext, states: Mapping[str, TaskState], *, is_finished: bool
) -> None:
    """Record every run within a run, when its tasks are recorded.

    Parameters
    ----------
    context : RunContext
        The run.
    states : mapping of str to TaskState
        Of every task of the plan, by id.
    is_finished : bool
        True where the journal has an end of the run.
    """
    children = context.children
    if children is None:
        return
    counts = _counts(context, states)
    recorder = context.recorder
    for run in [item for item in children.ran.values() if item.has_run]:
        count = counts[run.local]
        state = _state(count, is_live=context.live, is_finished=is_finished)
        if not context.live:  # as the attempts are recorded
            count[TaskState.LOST] += count.pop(TaskState.RUNNING, 0)
        going = run.is_open or state in (RunState.RUNNING, RunState.INTERRUPTED)
        plan = context.included[run.workflow.name]
        recorder.activity(
            run.local,
            run.start,
            None if going else run.end,
            ("wfprov:WorkflowRun",),
            [
                ("prov:label", f"run of {run.workflow.name}{_place(run)}"),
                ("wfprov:describedByWorkflow", Ref(plan)),
                ("wfprov:wasPartOfWorkflowRun", Ref(run.parent)),
                ("name", run.workflow.title),
                ("step", run.workflow.name),
                ("state", state),
                *coordinates_of(run.coordinates),
                *(("count", f"{name}={number}") for name, number in sorted((+count).items())),
            ],
        )
        recorder.started(run.local, run.parent, run.start)
        recorder.associated(run.local, context.engine, plan)
        recorder.used(run.local, plan, "in.workflow", run.start)


def coordinates_of(coordinates: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield coordinates as attributes ``axis=value``."""
    for axis, value in coordinates.items():
        yield "coordinate", f"{axis}={value if isinstance(value, str) else json_text(value)}"


def _place(run: ChildRun) -> str:
    texts = [text for _, text in coordinates_of(run.coordinates)]
    return f"[{','.join(texts)}]" if texts else ""


def _counts(context: RunContext, states: Mapping[str, TaskState]) -> dict[str, Counter[str]]:
    """Return how many tasks of each run are in each state."""
    children = context.children
    assert children is not None
    found: dict[str, Counter[str]] = {}
    for task in context.plan.tasks:
        for run in children.of_task(task, context.aliases.get(task.id, ())):
            found.setdefault(run.local, Counter())[states[task.id]] += 1
    return found


def _state(count: Mapping[str, int], *, is_live: bool, is_finished: bool) -> RunState:
    """Return how a run within a run stands, by the states of its tasks."""
    if not is_finished and any(count.get(s) for s in (TaskState.WAITING, TaskState.RUNNING)):
        return RunState.RUNNING if is_live else RunState.INTERRUPTED
    if any(count.get(state) for state in _FAILURES):
        return RunState.FAILED
    waits = (TaskState.CANCELLED, TaskState.WAITING, TaskState.RUNNING)
    return RunState.CANCELLED if any(count.get(state) for state in waits) else RunState.OK
