"""How far a run is, kept up to date event by event; no clock, no terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gpwf.core.plan import Plan
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    RunEvent,
    RunFinished,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)

__all__ = ["Progress", "Running", "StepProgress"]


@dataclass(slots=True, kw_only=True)
class Running:
    """A task that a worker has now.

    Parameters
    ----------
    task, step : str
        Ids.
    since_s : float
        Clock of whoever watches when the task was given away.
    note : str
        What the step says of itself: ``3/12 bins``.
    """

    task: str
    step: str
    since_s: float
    note: str = ""


@dataclass(slots=True, kw_only=True)
class StepProgress:
    """State of the tasks of one step."""

    name: str
    total: int = 0
    running: int = 0
    ended: Counter[TaskState] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """Number of tasks that came to an end, whatever the end."""
        return self.ended.total()

    @property
    def state(self) -> str:
        """One word for the step: the worst end while there is one, else what goes on."""
        for state in self.ended:
            if not state.has_products:
                return str(state)
        if self.done < self.total:
            return str(TaskState.RUNNING) if self.running or self.done else str(TaskState.WAITING)
        cached = self.ended[TaskState.CACHED] == self.total
        return str(TaskState.CACHED if cached else TaskState.OK)


class Progress:
    """The state of a run as far as its events tell.

    Parameters
    ----------
    plan : Plan
        What is to be run.
    """

    def __init__(self, plan: Plan) -> None:
        self.workflow = plan.name
        self._step_of = {task.id: task.step for task in plan.tasks}
        totals = Counter(self._step_of.values())
        # a step without tasks was left out, or its tasks are those of another one
        self.steps = {
            step.name: StepProgress(name=step.name, total=totals[step.name])
            for step in plan.steps
            if totals[step.name]
        }
        self.total = len(plan.tasks)
        self.done = 0
        self.running: dict[str, Running] = {}
        self.state = RunState.RUNNING

    def step_of(self, task_id: str) -> str:
        """Return the name of the step that a task belongs to."""
        return self._step_of[task_id]

    def apply(self, event: RunEvent, now_s: float) -> None:
        """Take in one event; ``now_s`` is the watcher's clock in seconds."""
        match event:
            case TaskCached():
                self._end(event.task, TaskState.CACHED)
            case AttemptStarted():
                step = self._step_of[event.task]
                self.running[event.task] = Running(task=event.task, step=step, since_s=now_s)
                self.steps[step].running += 1
            case AttemptFinished():
                if self.running.pop(event.task, None) is not None:
                    self.steps[self._step_of[event.task]].running -= 1
                if not event.retry:
                    self._end(event.task, event.state)
            case TaskNotRun():
                self._end(event.task, event.state)
            case RunFinished():
                self.state = event.state
            case _:
                pass

    def note(self, task_id: str, text: str) -> None:
        """Remember what a running task says of itself."""
        if task_id in self.running:
            self.running[task_id].note = text

    def _end(self, task_id: str, state: TaskState) -> None:
        self.done += 1
        self.steps[self._step_of[task_id]].ended[state] += 1
