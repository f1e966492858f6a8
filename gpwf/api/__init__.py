"""The Python interface of gpwf, and the only place where the rooms are wired together."""

from gpwf.api.runs import ProductFiles, Run, StepProducts, find_runs, open_run
from gpwf.api.workflow import PlannedTask, Workflow, read

__all__ = [
    "PlannedTask",
    "ProductFiles",
    "Run",
    "StepProducts",
    "Workflow",
    "find_runs",
    "open_run",
    "read",
]
