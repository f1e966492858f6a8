"""How long tasks took in earlier runs of a workflow, to tell how long this one will take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from gpwf.core.runs import AttemptFinished, RunEvent, TaskState
from gpwf.errors import GpwfError
from gpwf.run.journal import read_journal

__all__ = ["earlier_step_times"]

_RUNS = 5
#: Bytes of a journal that is read; a larger run knows soon by itself how long its tasks take.
_LARGEST = 4_000_000


def earlier_step_times(run: Path) -> dict[str, float]:
    """Return by step how long a task took, in seconds, in the last run that ran one.

    The newest few runs beside this one are read; what cannot be read counts as nothing.

    Parameters
    ----------
    run : Path
        The run directory that the times are for.
    """
    found: dict[str, float] = {}
    for journal in _journals(run):
        try:
            events = read_journal(journal)
        except GpwfError:
            continue
        found = _means(events) | found
    return found


def _journals(run: Path) -> list[Path]:
    """Return the journals of the newest other runs, the newest first."""
    ages: list[tuple[float, Path]] = []
    for path in run.parent.glob("*/journal.jsonl"):
        if path.parent.is_symlink() or path.parent.name == run.name:
            continue
        try:
            status = path.stat()
        except OSError:  # removed meanwhile
            continue
        if status.st_size <= _LARGEST:
            ages.append((status.st_mtime, path))
    return [path for _, path in sorted(ages, reverse=True)[:_RUNS]]


def _means(events: Iterable[RunEvent]) -> dict[str, float]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for event in events:
        if isinstance(event, AttemptFinished) and event.state is TaskState.OK:
            times[event.task.partition("[")[0]].append(event.resources.wall_s)
    return {step: sum(taken) / len(taken) for step, taken in times.items()}
