"""Where the time of a run went: per step, over the workers, along its longest chain of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from gpwf.core.runs import AttemptFinished
from gpwf.core.view import RunView, TaskView

__all__ = ["Link", "RunUse", "StepUse", "resources_data", "run_use"]

_SLOWEST = 5


@dataclass(slots=True, kw_only=True)
class StepUse:
    """What the attempts of one step used in this run.

    Parameters
    ----------
    name : str
        Of the step.
    walls_s : list of float
        Wall time of every attempt that ended.
    cpu_s : float
        Sum of the processor times.
    peak_rss_bytes : int
        Largest memory of an attempt.
    waits_s : list of float
        For every task, how long it was ready before a worker began with it.
    """

    name: str
    walls_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    waits_s: list[float] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        """Sum of the wall times."""
        return sum(self.walls_s)

    @property
    def waited_s(self) -> float:
        """Sum of the waiting times."""
        return sum(self.waits_s)

    @property
    def waited_median_s(self) -> float | None:
        """Median of the waiting times."""
        return median(self.waits_s) if self.waits_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A task in the chain that decided how long the run took.

    Parameters
    ----------
    task : str
        Id.
    wall_s : float
        From when a worker began with it first until its last end.
    waited_s : float
        From when the task above it in the chain ended until a worker began.
    """

    task: str
    wall_s: float
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUse:
    """What a run used.

    Parameters
    ----------
    wall_s : float
        From its start to its end, or to the last thing that happened.
    workers : int
        How many tasks could run at a time.
    steps : tuple of StepUse
        Steps of which something ran, in the order of the document.
    chain : tuple of Link
        The task that ended last, before it what it waited for longest, and so on; the first first.
    slowest : tuple of (str, float)
        Tasks with the longest attempts, in seconds.
    """

    wall_s: float
    workers: int
    steps: tuple[StepUse, ...]
    chain: tuple[Link, ...]
    slowest: tuple[tuple[str, float], ...]

    @property
    def worked_s(self) -> float:
        """Sum of the wall times of all attempts."""
        return sum(step.wall_s for step in self.steps)

    @property
    def cpu_s(self) -> float:
        """Sum of the processor times of all attempts."""
        return sum(step.cpu_s for step in self.steps)

    @property
    def cores_used(self) -> float | None:
        """How many cores worked on average."""
        return self.cpu_s / self.wall_s if self.wall_s > 0 else None

    @property
    def busy(self) -> float | None:
        """Share of the workers' time that they had a task for."""
        available_s = self.wall_s * self.workers
        return min(self.worked_s / available_s, 1.0) if available_s > 0 else None

    @property
    def chain_s(self) -> float:
        """Time that workers took for the tasks of the chain."""
        return sum(link.wall_s for link in self.chain)


@dataclass(slots=True, kw_only=True)
class _Span:
    """When workers had a task, as Unix time in seconds."""

    begun_s: float
    ended_s: float


def run_use(view: RunView, now: datetime | None = None) -> RunUse | None:
    """Return what a run used; None where no attempt came to an end.

    Parameters
    ----------
    view : RunView
        The run; live, interrupted, or ended.
    now : datetime, optional
        Of a run that goes on.
    """
    start_s = _unix(view.started) if view.started else 0.0
    steps = {step.name: StepUse(name=step.name) for step in view.plan.steps}
    spans: dict[str, _Span] = {}
    ends: dict[str, float] = {}
    for item in view.tasks.values():
        _collect(item, steps[item.task.step], spans, ends)
    if not spans:
        return None
    _add_waits(view, steps, spans, ends, start_s)
    jobs = view.started_event.jobs if view.started_event is not None else 1
    last_s = _unix(view.ended) if view.ended else max(ends.values())
    if now is not None and view.state == "running":
        last_s = now.timestamp()
    longest = sorted(
        ((_longest_s(item), item.task.id) for item in view.tasks.values() if item.attempts),
        key=lambda pair: -pair[0],
    )
    return RunUse(
        wall_s=max(last_s - start_s, 0.0) if start_s else 0.0,
        workers=max(jobs, 1),
        steps=tuple(step for step in steps.values() if step.walls_s),
        chain=tuple(_chain(view, spans, ends, start_s)),
        slowest=tuple((name, wall_s) for wall_s, name in longest[:_SLOWEST] if wall_s > 0),
    )


def resources_data(use: RunUse | None) -> dict[str, Any] | None:
    """Return what a run used as the JSON of ``gpwf status`` has it; null where nothing ran."""
    if use is None:
        return None
    return {
        "wall_s": _round(use.wall_s),
        "workers": use.workers,
        "worked_s": _round(use.worked_s),
        "cpu_s": _round(use.cpu_s),
        "cores_used": _round(use.cores_used),
        "busy": _round(use.busy),
        "steps": [
            {
                "name": step.name,
                "n": len(step.walls_s),
                "wall_s": _round(step.wall_s),
                "share": _round(step.wall_s / use.worked_s) if use.worked_s else None,
                "wall_median_s": _round(median(step.walls_s)),
                "wall_max_s": _round(max(step.walls_s)),
                "cpu_s": _round(step.cpu_s),
                "peak_rss_bytes": step.peak_rss_bytes or None,
                "waited_s": _round(step.waited_s),
                "waited_median_s": _round(step.waited_median_s),
            }
            for step in use.steps
        ],
        "critical_path": [
            {"id": link.task, "wall_s": _round(link.wall_s), "waited_s": _round(link.waited_s)}
            for link in use.chain
        ],
        "slowest": [{"id": name, "wall_s": _round(wall_s)} for name, wall_s in use.slowest],
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _unix(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _finished(item: TaskView) -> Iterable[AttemptFinished]:
    return (
        attempt.finished_event for attempt in item.attempts if attempt.finished_event is not None
    )


def _longest_s(item: TaskView) -> float:
    return max((event.resources.wall_s for event in _finished(item)), default=0.0)


def _collect(
    item: TaskView, step: StepUse, spans: dict[str, _Span], ends: dict[str, float]
) -> None:
    """Take in what a task used, and when it ended."""
    if item.cached_event is not None:
        ends[item.task.id] = _unix(item.cached_event.time)
    for event in _finished(item):
        step.walls_s.append(event.resources.wall_s)
        step.cpu_s += event.resources.cpu_s
        step.peak_rss_bytes = max(step.peak_rss_bytes, event.resources.peak_rss_bytes)
        begun_s, ended_s = _unix(event.started), _unix(event.ended)
        span = spans.setdefault(item.task.id, _Span(begun_s=begun_s, ended_s=ended_s))
        span.ended_s = ends[item.task.id] = max(ended_s, begun_s)


def _add_waits(
    view: RunView,
    steps: Mapping[str, StepUse],
    spans: Mapping[str, _Span],
    ends: Mapping[str, float],
    start_s: float,
) -> None:
    for name, span in spans.items():
        task = view.tasks[name].task
        ready_s = max((ends.get(up, start_s) for up in task.upstream), default=start_s)
        steps[task.step].waits_s.append(max(span.begun_s - ready_s, 0.0))


def _chain(
    view: RunView, spans: Mapping[str, _Span], ends: Mapping[str, float], start_s: float
) -> Sequence[Link]:
    """Return the chain of tasks that ends with the one that ended last."""
    links: list[Link] = []
    name: str | None = max(spans, key=lambda item: spans[item].ended_s)
    while name is not None:
        span = spans[name]
        above = [up for up in view.tasks[name].task.upstream if up in spans]
        last = max(above, key=lambda item: ends[item], default=None)
        ready_s = start_s if last is None else ends[last]
        links.append(
            Link(
                task=name,
                wall_s=max(span.ended_s - span.begun_s, 0.0),
                waited_s=max(span.begun_s - ready_s, 0.0),
            )
        )
        name = last
    return links[::-1]
