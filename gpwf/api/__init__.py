"""The Python interface of gpwf, and the only place where the rooms are wired together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpwf.api.runs import ProductFiles, Run, StepProducts, find_runs, open_run
from gpwf.api.scaffold import InitFile, init
from gpwf.api.shown import Shown
from gpwf.api.workflow import PlannedTask, Workflow, read

if TYPE_CHECKING:
    from gpwf.prov.diff_answers import Difference

__all__ = [
    "InitFile",
    "PlannedTask",
    "ProductFiles",
    "Run",
    "Shown",
    "StepProducts",
    "Workflow",
    "diff",
    "find_runs",
    "init",
    "open_run",
    "read",
]


def diff(a: str | Path, b: str | Path, *, store: Path | None = None) -> Difference:
    """Return what differs between two runs, products or tasks, and which difference came first.

    See `gpwf.api.differences.diff`, which is loaded with the first call.
    """
    from gpwf.api import differences

    return differences.diff(a, b, store=store)
