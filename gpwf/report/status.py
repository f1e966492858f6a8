"""The tasks of a run as a table."""

from __future__ import annotations

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


def status_text(view: RunView, path: str, width: int | None = None) -> str:
    """Return how a run stands: one line for the run, one row per task.

    Parameters
    ----------
    view : RunView
        The run.
    path : str
        The run directory as it is shown.
    width : int, optional
        Characters of a line of the terminal; no limit by default.
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
        for task in status_data(view)["tasks"]
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
