"""How long a run will still take, from what the tasks of its steps have taken so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpwf.report.progress import Progress, Running, StepProgress

__all__ = ["seconds_left"]

_LARGEST_OVERHEAD_S = 0.02  # per task; what is more is waiting for other tasks


def seconds_left(progress: Progress, now_s: float) -> float | None:
    """Return how long a run will take from now on, None where too little is known.

    The tasks that are left take as long as those of their step have taken on average, or did in an
    earlier run, and share the workers; but the run is not shorter than its longest chain of steps.
    Something is known when half of the tasks that are left belong to such steps; the others count
    as the average task.

    Parameters
    ----------
    progress : Progress
        The run.
    now_s : float
        The watcher's clock in seconds.
    """
    steps = [step for step in progress.steps.values() if step.left > 0]
    running = list(progress.running.values())
    left = sum(step.left for step in steps)
    if not left:
        return 0.0
    known = {
        step.name: mean_s
        for step in progress.steps.values()
        if (mean_s := _mean_s(step, progress.expected)) is not None
    }
    if not known or 2 * sum(step.left for step in steps if step.name in known) < left:
        return None
    timed = sum(step.timed for step in progress.steps.values())
    if timed:
        average_s = sum(step.wall_s for step in progress.steps.values()) / timed
    else:
        average_s = sum(known.values()) / len(known)
    overhead_s = _overhead_s(progress, timed)
    means = {step.name: known.get(step.name, average_s) for step in steps}
    slots = {step.name: min(step.slots, progress.workers) for step in steps}
    work_s = sum(step.left * (means[step.name] + overhead_s) * slots[step.name] for step in steps)
    for item in running:
        if (mean_s := means.get(item.step)) is not None:
            work_s -= min(now_s - item.since_s, mean_s) * slots[item.step]
    shared_s = max(work_s, 0.0) / progress.workers
    return max(shared_s, _chain_s(steps, means, running, now_s))


def _mean_s(step: StepProgress, expected: Mapping[str, float]) -> float | None:
    mean_s = step.mean_s
    return expected.get(step.name) if mean_s is None else mean_s


def _overhead_s(progress: Progress, timed: int) -> float:
    """Return what a task costs beside its own time; it counts where tasks are short."""
    if progress.first_s is None or not timed:
        return 0.0
    worked_s = sum(step.wall_s * step.slots for step in progress.steps.values())
    available_s = (progress.last_s - progress.first_s) * progress.workers
    return min(max((available_s - worked_s) / timed, 0.0), _LARGEST_OVERHEAD_S)


def _chain_s(
    steps: Iterable[StepProgress],
    means: Mapping[str, float],
    running: Iterable[Running],
    now_s: float,
) -> float:
    """Return the time of the longest chain of steps that are left, a task of each."""
    youngest: dict[str, float] = {}
    for item in running:
        youngest[item.step] = max(youngest.get(item.step, 0.0), item.since_s)
    ends: dict[str, float] = {}
    for step in sorted(steps, key=lambda item: item.rank):
        own_s = means[step.name]
        if step.left == step.running and step.name in youngest:
            own_s = max(own_s - (now_s - youngest[step.name]), 0.0)
        ends[step.name] = own_s + max((ends.get(name, 0.0) for name in step.after), default=0.0)
    return max(ends.values(), default=0.0)
