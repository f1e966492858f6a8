"""The tasks of a run as a table, and where its time went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from textwrap import wrap
from typing import Any

from gpwf.core.view import RunView
from gpwf.report.listings import counts_text, elapsed_s, local_time, task_data
from gpwf.report.resources import RunUse, run_use
from gpwf.report.text import (
    STATE_COLOURS,
    clean,
    duration,
    memory,
    one_line,
    state_cell,
    table,
)

__all__ = ["resources_text", "status_text"]

_HEADERS = ("task", "state", "wall", "cpu", "memory", "attempts", "error")
_MANY = 12  # tasks of one step in one state that are counted rather than listed
_USE_HEADERS = (
    "step", "n", "wall", "share", "median", "longest", "cpu", "memory", "waited",
)  # fmt: skip
_LINKS = 8
_QUIET = ("ok", "cached", "waiting", "blocked", "cancelled")


def status_text(
    view: RunView,
    path: str,
    width: int | None = None,
    *,
    every_task: bool = False,
    damage: str = "",
    now: datetime | None = None,
) -> str:
    """Return how a run stands: one line for the run, one row per task, where its time went.

    Many tasks of a step that are all well, or all wait, share a row.

    Parameters
    ----------
    view : RunView
        The run.
    path : str
        The run directory as it is shown.
    width : int, optional
        Characters of a line of the terminal; no limit by default.
    every_task : bool
        Let no tasks share a row.
    damage : str
        What of the journal cannot be read.
    now : datetime, optional
        Of a run that goes on; the time now by default.
    """
    now = now or datetime.now(UTC)
    tasks = [task_data(item, now) for item in view.tasks.values()]
    rows = [
        (
            task["id"],
            state_cell(task["state"]),
            duration(task["wall_s"] if task["elapsed_s"] is None else task["elapsed_s"]),
            duration(task["cpu_s"]),
            memory(task["peak_rss_bytes"]),
            str(task["attempt"] or "-"),
            task["error"] or "",
        )
        for task in _folded(tasks, 0 if every_task else _MANY)
    ]
    columns = len(_HEADERS) if any(row[-1] for row in rows) else len(_HEADERS) - 1
    shown = [row[:columns] for row in rows]
    shown_tasks = table(
        _HEADERS[:columns],
        shown,
        width=width,
        right=_HEADERS[2:6],
        drop=("cpu", "attempts", "memory", "wall"),
    )
    parts = [_head(view, path, damage, now), shown_tasks]
    use = run_use(view, now)
    if use is not None:
        parts.append(resources_text(use, width))
    return "\n\n".join(parts)


def _head(view: RunView, path: str, damage: str, now: datetime) -> str:
    from click import style

    state = style(str(view.state), fg=STATE_COLOURS.get(view.state), bold=True)
    reason = f" ({clean(view.reason)})" if view.reason else ""
    took = elapsed_s(view, now)
    after = "" if took is None else f", {'took' if view.ended else 'for'} {duration(took)}"
    lines = [
        f"{one_line(view.workflow)}: {state}{reason}, started {local_time(view.started)}{after}",
        f"{counts_text(view.counts())}  {path}",
    ]
    if damage:
        lines.append(style(damage, fg="yellow"))
    return "\n".join(lines)


def resources_text(use: RunUse, width: int | None = None) -> str:
    """Return where the time of a run went: its steps, its workers, its longest chain of tasks.

    Parameters
    ----------
    use : RunUse
        What the run used.
    width : int, optional
        Characters of a line of the terminal; no limit by default.
    """
    rows = [
        (
            step.name,
            str(len(step.walls_s)),
            duration(step.wall_s),
            _percent(step.wall_s, use.worked_s),
            duration(median(step.walls_s)),
            duration(max(step.walls_s)),
            duration(step.cpu_s),
            memory(step.peak_rss_bytes),
            duration(step.waited_median_s),
        )
        for step in use.steps
    ]
    steps = table(
        _USE_HEADERS,
        rows,
        width=width,
        right=_USE_HEADERS[1:],
        drop=("waited", "memory", "cpu", "median", "longest", "n"),
    )
    many = "1 worker" if use.workers == 1 else f"{use.workers} workers"
    lines: list[str] = []
    if use.busy is not None and use.cores_used is not None:
        lines.append(
            f"{many}, busy {_percent(use.busy, 1.0)} of {duration(use.wall_s)}; "
            f"{use.cores_used:.1f} cores used"
        )
        lines.append(
            f"longest chain: {duration(use.chain_s)} of {duration(use.wall_s)}, {_chain(use)}"
        )
    if len(use.slowest) > 1:
        told = ", ".join(f"{one_line(name)} {duration(wall_s)}" for name, wall_s in use.slowest)
        lines.append(f"slowest: {told}")
    return "\n".join([steps, "", *(_folded_line(line, width) for line in lines)])


def _folded_line(line: str, width: int | None) -> str:
    if width is None or len(line) <= width:
        return line
    return "\n".join(wrap(line, max(width, 20), subsequent_indent="  "))


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _chain(use: RunUse) -> str:
    """Return the tasks of the longest chain; of a long one those that took most of it."""
    kept = sorted(use.chain, key=lambda link: -link.wall_s)[:_LINKS]
    told = [f"{one_line(link.task)} {duration(link.wall_s)}" for link in use.chain if link in kept]
    hidden = len(use.chain) - len(told)
    more = f" and {hidden} shorter tasks" if hidden else ""
    waited_s = sum(link.waited_s for link in use.chain)
    return f"{', '.join(told)}{more}; {duration(waited_s)} waiting for a worker or the engine"


def _folded(tasks: Sequence[dict[str, Any]], many: int) -> list[dict[str, Any]]:
    """Return tasks with those that need nobody's attention in one row per step and state.

    The row has the sum of the times, the largest memory and number of attempts.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for task in tasks:
        if task["state"] in _QUIET:
            groups.setdefault((task["step"], task["state"]), []).append(task)
    rows: list[dict[str, Any]] = []
    for task in tasks:
        group = groups.get((task["step"], task["state"]), [])
        if not many or len(group) <= many:
            rows.append(task)
        elif task is group[0]:
            rows.append(
                {
                    **task,
                    "id": f"{task['step']} ({len(group)} tasks)",
                    "wall_s": _over(sum, group, "wall_s"),
                    "cpu_s": _over(sum, group, "cpu_s"),
                    "peak_rss_bytes": _over(max, group, "peak_rss_bytes"),
                    "attempt": _over(max, group, "attempt"),
                }
            )
    return rows


def _over(
    combine: Callable[[list[float]], float], tasks: Sequence[dict[str, Any]], key: str
) -> Any:
    """Return a number for several tasks; None where none of them has it."""
    found = [task[key] for task in tasks if task[key] is not None]
    return combine(found) if found else None
