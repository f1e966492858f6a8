"""The tasks of a run as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpwf.core.view import RunView
from gpwf.report.listings import elapsed_s, local_time, status_data
from gpwf.report.text import (
    STATE_COLOURS,
    clean,
    duration,
    memory,
    one_line,
    state_cell,
    table,
)

__all__ = ["status_text"]

_HEADERS = ("task", "state", "wall", "cpu", "memory", "attempts", "error")
_MANY = 12  # tasks of one step in one state that are counted rather than listed
_QUIET = ("ok", "cached", "waiting", "blocked", "cancelled")


def status_text(
    view: RunView, path: str, width: int | None = None, *, every_task: bool = False
) -> str:
    """Return how a run stands: one line for the run, one row per task.

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
    """
    from click import style

    state = style(str(view.state), fg=STATE_COLOURS.get(view.state), bold=True)
    reason = f" ({clean(view.reason)})" if view.reason else ""
    head = (
        f"{one_line(view.workflow)}: {state}{reason}, started {local_time(view.started)}, "
        f"took {duration(elapsed_s(view))}\n{path}\n"
    )
    rows = [
        (
            task["id"],
            state_cell(task["state"]),
            duration(task["wall_s"]),
            duration(task["cpu_s"]),
            memory(task["peak_rss_bytes"]),
            str(task["attempt"] or "-"),
            task["error"] or "",
        )
        for task in _folded(status_data(view)["tasks"], 0 if every_task else _MANY)
    ]
    columns = len(_HEADERS) if any(row[-1] for row in rows) else len(_HEADERS) - 1
    shown = [row[:columns] for row in rows]
    return f"{head}\n" + table(
        _HEADERS[:columns],
        shown,
        width=width,
        right=_HEADERS[2:6],
        drop=("cpu", "attempts", "memory", "wall"),
    )


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
