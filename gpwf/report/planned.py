"""A plan as a table: what would run and what is there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpwf.core.plan import Plan
from gpwf.report.listings import plan_data, planned_task_data
from gpwf.report.text import Cell, one_line, state_cell, table

__all__ = ["TIMES", "axes_text", "plan_text", "planned_tasks_text", "why_text"]

_COORDINATES = re.compile(r"(?<=\S)\[.*\](?=, which runs$)")
TIMES = "\N{MULTIPLICATION SIGN}"
"""Between the axes of a scatter."""


def axes_text(axes: Mapping[str, int], n_points: int | None = None) -> str:
    """Return the axes and their sizes, ``seed 20`` for one, with a cross between several.

    Parameters
    ----------
    axes : mapping of str to int
        Number of values by axis.
    n_points : int, optional
        Number of places; said where it is not the product of the axes.
    """
    text = f" {TIMES} ".join(f"{one_line(axis)} {n}" for axis, n in axes.items())
    if n_points == 0:
        return ""
    if not axes or n_points in (None, math.prod(axes.values())):
        return text
    return f"{text} ({n_points} places)"


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
            axes_text(step["axes"], step["n_points"]),
            str(step["n_tasks"]),
            _state(step),
        ]
        for step in data["steps"]
    ]
    headers = ["step", "tag", "axes", "tasks", "state"]
    if not any(step["axes"] for step in data["steps"]):  # nothing is scattered
        for row in (headers, *rows):
            del row[2]
    return f"{_head(plan, data)}\n\n{table(headers, rows, width=width, right=('tasks',))}"


def planned_tasks_text(plan: Plan, cached: Iterable[str], width: int | None = None) -> str:
    """Return the tasks of a plan, each with its state and its further names; see `plan_text`."""
    found = set(cached)
    rows = [
        (
            task["id"],
            state_cell("cached") if task["cached"] else Cell(text="new"),
            ", ".join(task["aliases"]),
        )
        for task in planned_task_data(plan, found)
    ]
    headers = ["task", "state", "also"]
    columns = 3 if plan.aliases else 2
    shown = [row[:columns] for row in rows]
    head = _head(plan, plan_data(plan, found))
    return f"{head}\n\n{table(headers[:columns], shown, width=width)}"


def _head(plan: Plan, data: Mapping[str, Any]) -> str:
    new = data["n_tasks"] - data["n_cached"]
    tasks = "1 task" if data["n_tasks"] == 1 else f"{data['n_tasks']} tasks"
    return f"{one_line(plan.name)}: {tasks}, {data['n_cached']} cached, {new} to run"


def _state(step: dict[str, Any]) -> Cell:
    """Return how many tasks of a step are there, and which of them another step has, too."""
    if not step["n_tasks"]:
        return Cell(text="left out")
    shared = ""
    if step["n_shared"]:
        steps = ", ".join(one_line(name) for name in step["shared_with"])
        shared = f"; {step['n_shared']} shared with {steps}"
    if step["n_cached"] == step["n_tasks"]:
        cell = state_cell("cached")
        return Cell(text=f"cached{shared}", colour=cell.colour)
    if not step["n_cached"]:
        return Cell(text=f"new{shared}")
    new = step["n_tasks"] - step["n_cached"]
    return Cell(text=f"{step['n_cached']} cached, {new} new{shared}")


def why_text(plan: Plan, reasons: Mapping[str, Sequence[str]]) -> str:
    """Return why tasks would run; tasks of a step with the same reasons share a paragraph.

    Parameters
    ----------
    plan : Plan
        The plan.
    reasons : mapping of str to sequence of str
        Reasons by task, see `gpwf.api.Workflow.why`.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, lines in reasons.items():
        step = plan.task(name).step
        # each task of a scatter waits for tasks of its own
        told = tuple(dict.fromkeys(_COORDINATES.sub("", line) for line in lines))
        groups.setdefault((step, told), []).append(name)
    parts = []
    for (step, told), names in groups.items():
        head = names[0] if len(names) == 1 else f"{step} ({len(names)} tasks)"
        parts.append("\n".join([f"{one_line(head)}:", *(f"  {one_line(line)}" for line in told)]))
    return "\n" + "\n".join(parts)
