"""How far a run is, kept up to date event by event; no clock, no terminal.

One thread writes, others may read at the same time: what they iterate over they copy first, which
Python does in one piece.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpwf.core.plan import Plan
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)

__all__ = ["Progress", "Running", "StepProgress"]

#: Ends that somebody should look at; those of tasks that had to wait for one of them are not.
BAD = (TaskState.FAILED, TaskState.TIMEOUT, TaskState.OOM, TaskState.LOST)


@dataclass(slots=True, kw_only=True)
class Running:
    """A task that was given away and has not come back.

    Parameters
    ----------
    task, step : str
        Ids.
    handle : str
        Attempt id, by which the executor knows it.
    since_s : float
        Clock of whoever watches when the task was given away.
    note : str
        What the step says of itself: ``3/12 bins``.
    """

    task: str
    step: str
    handle: str
    since_s: float
    note: str = ""


@dataclass(slots=True, kw_only=True)
class StepProgress:
    """State of the tasks of one step.

    Parameters
    ----------
    name : str
        Of the step.
    total, running : int
        Number of tasks, of all and of those given away now.
    ended : Counter
        Number of tasks by their end.
    slots : int
        How many workers' worth of cores a task takes.
    wall_s : float
        Sum of the times of the attempts that ended well.
    timed : int
        Number of those attempts.
    after : tuple of str
        Steps that come before.
    rank : int
        Place in an order in which no step comes before what it needs.
    """

    name: str
    total: int = 0
    running: int = 0
    ended: Counter[TaskState] = field(default_factory=Counter)
    slots: int = 1
    wall_s: float = 0.0
    timed: int = 0
    after: tuple[str, ...] = ()
    rank: int = 0

    @property
    def done(self) -> int:
        """Number of tasks that came to an end, whatever the end."""
        return self.ended.total()

    @property
    def left(self) -> int:
        """Number of tasks that have not come to an end."""
        return self.total - self.ended.total()

    @property
    def failed(self) -> int:
        """Number of tasks with an end that somebody should look at."""
        return sum(self.ended.get(state, 0) for state in BAD)

    @property
    def mean_s(self) -> float | None:
        """Mean time of an attempt that ended well, None before the first."""
        return self.wall_s / self.timed if self.timed else None

    @property
    def state(self) -> str:
        """One word for the step: the worst end while there is one, else what goes on."""
        for state in tuple(self.ended):
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

    Attributes
    ----------
    workers : int
        How many tasks run at a time.
    first_s : float or None
        When the first task was given away, by the watcher's clock.
    expected : mapping of str to float
        How long a task of a step took in an earlier run, in seconds, as far as that is known.
    """

    def __init__(self, plan: Plan) -> None:
        self.workflow = plan.name
        self.total = len(plan.tasks)
        self.steps = _steps(plan)
        # ids begin with the name of the step; should one not, it is kept
        self._odd = {
            task.id: task.step for task in plan.tasks if task.id.partition("[")[0] != task.step
        }
        self.workers = 1
        self.ended: Counter[TaskState] = Counter()
        self.done = 0
        self.running: dict[str, Running] = {}
        self.first_s: float | None = None
        self.last_s = 0.0
        self.expected: Mapping[str, float] = {}
        self.state = RunState.RUNNING

    def step_of(self, task_id: str) -> str:
        """Return the name of the step that a task belongs to."""
        return self._odd.get(task_id) or task_id.partition("[")[0]

    def apply(self, event: RunEvent, now_s: float) -> None:
        """Take in one event; ``now_s`` is the watcher's clock in seconds."""
        self.last_s = now_s
        match event:
            case AttemptStarted():
                step = self.step_of(event.task)
                self.running[event.task] = Running(
                    task=event.task, step=step, handle=event.attempt_id, since_s=now_s
                )
                self.steps[step].running += 1
                if self.first_s is None:
                    self.first_s = now_s
            case AttemptFinished():
                self._finish(event)
            case TaskCached():
                self._end(event.task, TaskState.CACHED)
            case TaskNotRun():
                self._end(event.task, event.state)
            case RunStarted():
                self.workers = max(event.jobs, 1)
            case RunFinished():
                self.state = event.state
            case _:
                pass

    def note(self, task_id: str, text: str) -> None:
        """Remember what a running task says of itself."""
        if (item := self.running.get(task_id)) is not None:
            item.note = text

    def _finish(self, event: AttemptFinished) -> None:
        step = self.steps[self.step_of(event.task)]
        if self.running.pop(event.task, None) is not None:
            step.running -= 1
        if event.state is TaskState.OK:
            step.wall_s += event.resources.wall_s
            step.timed += 1
        if not event.retry:
            self._end(event.task, event.state)

    def _end(self, task_id: str, state: TaskState) -> None:
        self.done += 1
        self.ended[state] += 1
        self.steps[self.step_of(task_id)].ended[state] += 1


def _steps(plan: Plan) -> dict[str, StepProgress]:
    """Return the steps that have tasks of their own.

    A step without was left out, or its tasks are those of another one. What comes before a step is
    taken from its first task: the others have the same, at other places.
    """
    named = {step.name: StepProgress(name=step.name) for step in plan.steps}
    for rank, task in enumerate(plan.tasks):
        step = named[task.step]
        step.total += 1
        if step.total == 1:
            step.rank = rank
            step.slots = task.policy.n_jobs
            above = (name.partition("[")[0] for name in task.upstream)
            step.after = tuple(dict.fromkeys(name for name in above if name != task.step))
    return {name: step for name, step in named.items() if step.total}
