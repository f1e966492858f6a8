"""A plan as a table: what would run and what is there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpwf.core.plan import Plan
from gpwf.report.listings import plan_data
from gpwf.report.text import Cell, one_line, state_cell, table

__all__ = ["plan_text"]


def plan_text(plan: Plan, cached: Iterable[str], width: int | None = None) -> str:
    """Return the steps of a plan, with the number of tasks that are cached and new.

    Parameters
    ----------
    plan : Plan
        The plan.
    cached : iterable of str
        Ids of the tasks whose results are in the store.
    width : int, optional
        Characters of a line of the terminal; no limit by default.
    """
    data = plan_data(plan, cached)
    rows: list[list[Any]] = [
        [
            step["name"],
            step["tag"],
            " x ".join(f"{axis}={n}" for axis, n in step["axes"].items()),
            str(step["n_tasks"]),
            _state(step),
        ]
        for step in data["steps"]
    ]
    headers = ["step", "tag", "axes", "tasks", "state"]
    if not any(step["axes"] for step in data["steps"]):  # nothing is scattered
        for row in (headers, *rows):
            del row[2]
    new = data["n_tasks"] - data["n_cached"]
    tasks = "1 task" if data["n_tasks"] == 1 else f"{data['n_tasks']} tasks"
    head = f"{one_line(plan.name)}: {tasks}, {data['n_cached']} cached, {new} to run"
    return f"{head}\n\n{table(headers, rows, width=width, right=('tasks',))}"


def _state(step: dict[str, Any]) -> Cell:
    if step["n_cached"] == step["n_tasks"]:
        return state_cell("cached")
    if not step["n_cached"]:
        return Cell(text="new")
    return Cell(text=f"{step['n_cached']} cached, {step['n_tasks'] - step['n_cached']} new")
