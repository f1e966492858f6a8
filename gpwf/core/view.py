"""How a run stands: a fold over its plan and its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpwf.core.digests import TaskKey
from gpwf.core.plan import Plan, Task
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)

__all__ = ["AttemptView", "RunView", "TaskView", "fold"]


@dataclass(slots=True, kw_only=True)
class AttemptView:
    """One attempt: its start, and its end when it has come."""

    started_event: AttemptStarted
    finished_event: AttemptFinished | None = None


@dataclass(slots=True, kw_only=True)
class TaskView:
    """One task with all that happened to it.

    ``cached_event`` is set where the store already held the result.
    """

    task: Task
    state: TaskState = TaskState.WAITING
    attempts: list[AttemptView] = field(default_factory=list)
    products: Mapping[str, Product] = field(default_factory=dict)
    key: TaskKey | None = None
    reason: str = ""
    cached_event: TaskCached | None = None

    @property
    def last(self) -> AttemptFinished | None:
        """The end of the last attempt that ended."""
        ends = [item.finished_event for item in self.attempts if item.finished_event is not None]
        return ends[-1] if ends else None


@dataclass(slots=True, kw_only=True)
class RunView:
    """A run as its journal tells it.

    ``state`` is ``running`` until a last event says otherwise; whether a driver still lives is not
    in the journal, so a reader that finds no live driver sets ``interrupted``.
    """

    plan: Plan
    tasks: dict[str, TaskView]
    run_id: str = ""
    workflow: str = ""
    state: RunState = RunState.RUNNING
    started: str = ""
    ended: str = ""
    reason: str = ""
    started_event: RunStarted | None = None

    def counts(self) -> dict[str, int]:
        """Return the number of tasks in each state that occurs."""
        return dict(Counter(item.state.value for item in self.tasks.values()))

    def apply(self, event: RunEvent) -> None:
        """Take one event in."""
        match event:
            case RunStarted():
                self.run_id = event.run_id
                self.workflow = event.workflow
                self.started = event.time
                self.started_event = event
            case RunFinished():
                self.state = event.state
                self.ended = event.time
                self.reason = event.reason
            case TaskCached():
                view = self.tasks[event.task]
                view.state = TaskState.CACHED
                view.key = event.key
                view.products = event.products
                view.cached_event = event
            case AttemptStarted():
                view = self.tasks[event.task]
                view.state = TaskState.RUNNING
                view.key = event.key
                view.attempts.append(AttemptView(started_event=event))
            case AttemptFinished():
                self._finish_attempt(event)
            case TaskNotRun():
                view = self.tasks[event.task]
                view.state = event.state
                view.reason = event.reason

    def _finish_attempt(self, event: AttemptFinished) -> None:
        view = self.tasks[event.task]
        for item in view.attempts:
            if item.started_event.attempt_id == event.attempt_id:
                item.finished_event = event
        view.state = TaskState.WAITING if event.retry else event.state
        view.products = event.products
        if event.failure is not None:
            view.reason = event.failure.message


def fold(plan: Plan, events: Iterable[RunEvent]) -> RunView:
    """Return how a run stands after these events.

    Parameters
    ----------
    plan : Plan
        The frozen plan of the run.
    events : iterable of RunEvent
        In the order of the journal; may stop anywhere. Where a run directory was used again the
        journal tells of several runs: the last one counts, which is the one of the plan.
    """
    view = RunView(plan=plan, tasks={task.id: TaskView(task=task) for task in plan.tasks})
    view.workflow = plan.name
    for event in _of_last_run(events):
        view.apply(event)
    return view


def _of_last_run(events: Iterable[RunEvent]) -> list[RunEvent]:
    last: list[RunEvent] = []
    for event in events:
        if isinstance(event, RunStarted):
            last.clear()
        last.append(event)
    return last
