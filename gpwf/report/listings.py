"""The stable JSON of the listing commands, and the rows of their tables, from plan and view.

Fields may be added here; none may be renamed or change its meaning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gpwf.core.diagnostics import Diagnostic
from gpwf.core.plan import Plan
from gpwf.core.runs import Failure, Product, TaskState
from gpwf.core.view import RunView, TaskView
from gpwf.report.resources import resources_data, run_use

__all__ = [
    "StepSummary",
    "diagnostic_data",
    "elapsed_s",
    "first_failure",
    "plan_data",
    "planned_task_data",
    "product_data",
    "status_data",
    "step_summaries",
    "task_data",
]


def diagnostic_data(item: Diagnostic) -> dict[str, Any]:
    """Return one problem as the JSON of ``gpwf validate`` has it."""
    span = item.span
    return {
        "code": item.code,
        "severity": str(item.severity),
        "message": item.message,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "end_line": span.end_line if span else None,
        "end_column": span.end_column if span else None,
        "step": item.step,
        "hint": item.hint,
    }


def plan_data(plan: Plan, cached: Iterable[str]) -> dict[str, Any]:
    """Return a plan as the JSON of ``gpwf plan`` has it.

    Parameters
    ----------
    plan : Plan
        The plan.
    cached : iterable of str
        Ids of the tasks whose results are in the store.
    """
    found = set(cached)
    shares = _shares(plan, found)
    return {
        "workflow": plan.name,
        "n_tasks": len(plan.tasks),
        "n_edges": len(plan.edges),
        "n_cached": sum(task.id in found for task in plan.tasks),
        "steps": [
            {
                "name": step.name,
                "tag": step.tag,
                "axes": dict(step.axes),
                "n_tasks": shares[step.name].tasks,
                "n_cached": shares[step.name].cached,
                "n_points": shares[step.name].points,
                "n_shared": sum(shares[step.name].shared.values()),
                "shared_with": dict(shares[step.name].shared),
                "gather": list(step.gather),
            }
            for step in plan.steps
        ],
    }


@dataclass(slots=True, kw_only=True)
class _Share:
    """What a step has of a plan: places, tasks, and which other steps made some of them first."""

    points: int = 0
    tasks: int = 0
    cached: int = 0
    shared: Counter[str] = field(default_factory=Counter)


def _shares(plan: Plan, cached: set[str]) -> dict[str, _Share]:
    """Return what every step has of a plan, in one pass over tasks and aliases."""
    shares = {step.name: _Share() for step in plan.steps}
    owner: dict[str, str] = {}
    for task in plan.tasks:
        owner[task.id] = task.step
        share = shares[task.step]
        share.points += 1
        share.tasks += 1
        share.cached += task.id in cached
    seen: set[tuple[str, str]] = set()
    for alias in plan.aliases:
        share = shares[alias.step]
        share.points += 1
        if owner[alias.task] != alias.step and (alias.step, alias.task) not in seen:
            seen.add((alias.step, alias.task))
            share.tasks += 1
            share.cached += alias.task in cached
            share.shared[owner[alias.task]] += 1
    return shares


def planned_task_data(plan: Plan, cached: Iterable[str]) -> list[dict[str, Any]]:
    """Return the tasks of a plan, and the further names of each."""
    found = set(cached)
    names: dict[str, list[str]] = {}
    for alias in plan.aliases:
        names.setdefault(alias.task, []).append(alias.id)
    return [
        {
            "id": task.id,
            "step": task.step,
            "coordinates": dict(task.coordinates),
            "cached": task.id in found,
            "aliases": names.get(task.id, []),
        }
        for task in plan.tasks
    ]


def status_data(view: RunView, now: datetime | None = None) -> dict[str, Any]:
    """Return a run as the JSON of ``gpwf status`` has it.

    Parameters
    ----------
    view : RunView
        The run.
    now : datetime, optional
        Of a run that goes on; the time now by default.
    """
    now = now or datetime.now(UTC)
    return {
        "run": view.run_id,
        "workflow": view.workflow,
        "state": str(view.state),
        "started": view.started or None,
        "ended": view.ended or None,
        "reason": view.reason or None,
        "elapsed_s": elapsed_s(view, now),
        "counts": view.counts(),
        "resources": resources_data(run_use(view, now)),
        "tasks": [task_data(item, now) for item in view.tasks.values()],
    }


def task_data(item: TaskView, now: datetime) -> dict[str, Any]:
    """Return one task as the JSON of ``gpwf status`` has it."""
    last = item.last
    used = last.resources if last is not None else None
    return {
        "id": item.task.id,
        "step": item.task.step,
        "coordinates": dict(item.task.coordinates),
        "state": str(item.state),
        "attempt": item.attempts[-1].started_event.attempt if item.attempts else None,
        "wall_s": used.wall_s if used else None,
        "cpu_s": used.cpu_s if used else None,
        "peak_rss_bytes": used.peak_rss_bytes if used else None,
        "key": item.key,
        "error": item.reason or None,
        "elapsed_s": _running_s(item, now),
    }


def _running_s(item: TaskView, now: datetime) -> float | None:
    """Return for how long a task has been running; None for one that does not run."""
    if item.state is not TaskState.RUNNING or not item.attempts:
        return None
    began = datetime.fromisoformat(item.attempts[-1].started_event.time)
    return max((now - began).total_seconds(), 0.0)


def product_data(
    product: Product,
    *,
    step: str,
    coordinates: Mapping[str, Any],
    port: str,
    path: str,
    key: str | None,
) -> dict[str, Any]:
    """Return one product as the JSON of ``gpwf products`` has it."""
    return {
        "step": step,
        "coordinates": dict(coordinates),
        "port": port,
        "kind": product.kind,
        "path": path,
        "digest": product.digest,
        "key": key,
        "size": product.size,
        "summary": dict(product.summary),
    }


_FAILED = (
    TaskState.FAILED,
    TaskState.TIMEOUT,
    TaskState.OOM,
    TaskState.LOST,
    TaskState.SKIPPED,  # a step had no data
)


@dataclass(slots=True, kw_only=True)
class StepSummary:
    """What one step of a run came to.

    Parameters
    ----------
    name, tag : str
        As declared.
    counts : dict
        Number of tasks by state, those that another step has in common among them.
    n_shared : int
        Number of tasks that another step has in common, whose times are counted there.
    wall_s, cpu_s : float
        Sums over the attempts of this run; None where nothing ran.
    peak_rss_bytes : int
        Largest of the attempts of this run; None where nothing ran.
    """

    name: str
    tag: str
    counts: dict[str, int] = field(default_factory=dict)
    n_shared: int = 0
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_rss_bytes: int | None = None

    @property
    def state(self) -> str:
        """One word for the step: ``ok`` and ``cached`` only where that holds for all tasks.

        ``left out`` where a condition leaves no task.
        """
        for state in self.counts:
            if state not in ("ok", "cached"):
                return state
        if not self.counts:
            return "left out"
        return "ok" if "ok" in self.counts else "cached"


def step_summaries(view: RunView) -> list[StepSummary]:
    """Return a summary for every step, in the order of the document."""
    summaries = {step.name: StepSummary(name=step.name, tag=step.tag) for step in view.plan.steps}
    seen: set[tuple[str, str]] = set()
    for alias in view.plan.aliases:
        task = view.tasks[alias.task]
        if task.task.step != alias.step and (alias.step, alias.task) not in seen:
            seen.add((alias.step, alias.task))
            summary = summaries[alias.step]
            summary.n_shared += 1
            summary.counts[str(task.state)] = summary.counts.get(str(task.state), 0) + 1
    for item in view.tasks.values():
        summary = summaries[item.task.step]
        state = str(item.state)
        summary.counts[state] = summary.counts.get(state, 0) + 1
        for attempt in item.attempts:
            if attempt.finished_event is not None:
                used = attempt.finished_event.resources
                summary.wall_s = (summary.wall_s or 0.0) + used.wall_s
                summary.cpu_s = (summary.cpu_s or 0.0) + used.cpu_s
                summary.peak_rss_bytes = max(summary.peak_rss_bytes or 0, used.peak_rss_bytes)
    return list(summaries.values())


def first_failure(view: RunView) -> tuple[TaskView, Failure] | None:
    """Return the task that failed first, with the reason; None where none did."""
    ends = [
        (item.last.ended, item, item.last.failure)
        for item in view.tasks.values()
        if item.last is not None and item.last.failure is not None and item.state in _FAILED
    ]
    hard = [end for end in ends if not end[2].no_data] or ends
    if not hard:
        return None
    _, task, failure = min(hard, key=lambda end: end[0])
    return task, failure


def elapsed_s(view: RunView, now: datetime | None = None) -> float | None:
    """Return how long a run took in seconds, up to now where it goes on."""
    if not view.started:
        return None
    if view.ended:
        end = datetime.fromisoformat(view.ended)
    elif view.state == "running":
        end = now or datetime.now(UTC)
    else:
        return None
    return (end - datetime.fromisoformat(view.started)).total_seconds()


def local_time(iso: str | None) -> str:
    """Return an ISO 8601 time as local time for people, ``-`` where there is none."""
    if not iso:
        return "-"
    return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M:%S}"


def counts_text(counts: Mapping[str, int]) -> str:
    """Return ``4 ok, 2 cached``."""
    return ", ".join(f"{number} {state}" for state, number in counts.items()) or "-"
