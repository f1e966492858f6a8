"""The Python interface of gpwf, and the only place where the rooms are wired together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.api.runs import ProductFiles, Run, StepProducts, find_runs, open_run
from gpwf.api.scaffold import InitFile, init
from gpwf.api.shown import Shown
from gpwf.api.workflow import PlannedTask, Workflow, read

if TYPE_CHECKING:
    from gpwf.api.reproduction import Reproduction
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
    "reproduce",
]


def diff(a: str | Path, b: str | Path, *, store: Path | None = None) -> Difference:
    """Return what differs between two runs, products or tasks, and which difference came first.

    See `gpwf.api.differences.diff`, which is loaded with the first call.
    """
    from gpwf.api import differences

    return differences.diff(a, b, store=store)


def reproduce(name: str | Path | None = None, **options: Any) -> Reproduction:
    """Make a recorded run again in a fresh store, and compare what comes out.

    See `gpwf.api.reproduction.reproduce`, which has the same arguments and is loaded with the first
    call.

    Parameters
    ----------
    name : str or Path, optional
        A run, or a PROV-JSON record of one; the latest run by default.
    **options
        ``output``, ``targets``, ``jobs``, ``inputs``, ``rtol`` …
    """
    from gpwf.api.reproduction import reproduce as make_again

    return make_again(name, **options)
