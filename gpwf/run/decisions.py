"""What the scheduler says to the end of an attempt."""

from __future__ import annotations

from dataclasses import dataclass

from gpwf.core.runs import TaskState

__all__ = ["Decision", "NotRun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A task that ends without an attempt.

    Parameters
    ----------
    task, reason : str
        Which, and why.
    state : TaskState
        How it counts.
    tolerated : bool
        True where this does not make the run a failed one.
    """

    task: str
    state: TaskState
    reason: str
    tolerated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What follows from the end of an attempt.

    Parameters
    ----------
    retry : bool
        There will be another attempt.
    failures : int
        How often the task has failed for a passing reason, where it waits for `Scheduler.resume`;
        0 where it is ready at once.
    not_run : tuple of NotRun
        Tasks that can no longer run, in the order of the plan.
    """

    retry: bool = False
    failures: int = 0
    not_run: tuple[NotRun, ...] = ()
