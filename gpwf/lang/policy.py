"""How a step is run: resources, retries, time limit."""

from __future__ import annotations

import re
from typing import Any

from gpwf.core.spec import Execution, StepPolicy
from gpwf.core.units import UnitError, convert, parse_quantity
from gpwf.lang.codes import Code
from gpwf.lang.report import Report
from gpwf.lang.schema import shown
from gpwf.lang.tree import Node

__all__ = ["read_execution", "read_policy"]

_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) *([kMGT]i?)?B")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}


def read_policy(step: Node, report: Report, name: str) -> StepPolicy:
    """Return the policy of a step whose keys have passed the schema."""
    resources = step.child("resources") or Node(value={})
    return StepPolicy(
        n_jobs=_number(resources.child("n_jobs"), 1),
        memory_bytes=_memory(resources.child("memory"), report, name),
        walltime_s=_seconds(resources.child("walltime"), report, name),
        timeout_s=_seconds(step.child("timeout"), report, name),
        retries=_number(step.child("retries"), 0),
        on_error="continue" if _value(step, "on_error") == "continue" else "fail",
        cache=_value(step, "cache") is not False,
    )


def read_execution(root: Node) -> Execution:
    """Return the settings of the execution."""
    found = root.child("execution") or Node(value={})
    options = found.child("options")
    jobs, most = _value(found, "jobs"), _value(found, "max_tasks")
    listed = found.child("record_env")
    return Execution(
        executor=str(_value(found, "executor") or "local"),
        jobs=jobs if isinstance(jobs, int) and not isinstance(jobs, bool) else None,
        max_tasks=most if isinstance(most, int) and not isinstance(most, bool) else 1_000_000,
        log_level=str(_value(found, "log_level") or "info"),
        options=options.plain() if options is not None and options.is_mapping else {},
        record_env=tuple(
            item.value
            for item in (listed.entries() if listed is not None else ())
            if isinstance(item.value, str)
        ),
        anonymous=_value(found, "anonymous") is True,
    )


def _value(node: Node, key: str) -> Any:
    """Return the plain value of a key, None where it is not there."""
    found = node.child(key)
    return None if found is None else found.value


def _number(node: Node | None, default: int) -> int:
    """Return a whole number; the schema has refused everything else."""
    value = None if node is None else node.value
    return (
        int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default
    )


def _seconds(node: Node | None, report: Report, step: str) -> float | None:
    """Return a duration in seconds."""
    if node is None or not isinstance(node.value, str):
        return None
    try:
        value, unit = parse_quantity(node.value)
        seconds = convert(value, unit, "s")
    except UnitError:
        seconds = 0.0
    if seconds > 0:
        return seconds
    message = f"{shown(node.value)} is not a duration"
    report.add(Code.NOT_ALLOWED, message, node, hint="write 30 min or 2 h", step=step)
    return None


def _memory(node: Node | None, report: Report, step: str) -> int | None:
    """Return a size in bytes; ``kB`` counts in 1000, ``KiB`` in 1024."""
    if node is None or not isinstance(node.value, str):
        return None
    match = _MEMORY.fullmatch(node.value)
    size = 0
    if match is not None:
        prefix = match[2] or ""
        base = 1024 if prefix.endswith("i") else 1000
        size = int(float(match[1]) * base ** _POWERS[prefix[:1]])
    if size > 0:
        return size
    message = f"{shown(node.value)} is not a size of memory"
    report.add(Code.NOT_ALLOWED, message, node, hint="write 4 GB or 500 MB", step=step)
    return None
