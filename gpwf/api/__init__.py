"""The Python interface of gpwf, and the only place where the rooms are wired together."""

from gpwf.api.runs import ProductFiles, Run, StepProducts, find_runs, open_run
from gpwf.api.scaffold import InitFile, init
from gpwf.api.shown import Shown
from gpwf.api.workflow import PlannedTask, Workflow, read

__all__ = [
    "InitFile",
    "PlannedTask",
    "ProductFiles",
    "Run",
    "Shown",
    "StepProducts",
    "Workflow",
    "find_runs",
    "init",
    "open_run",
    "read",
]
