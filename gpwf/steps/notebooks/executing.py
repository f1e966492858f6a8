"""Start the program that executes a notebook, and say what became of it."""

from __future__ import annotations

import html
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from gpwf.core.redact import SHORTEST, looks_secret
from gpwf.errors import NoDataError, StepError, TransientStepError
from gpwf.steps.base import StepContext
from gpwf.steps.commands.environment import command_environment
from gpwf.steps.commands.processes import Budget, Output, run_program, signal_name
from gpwf.steps.notebooks.kernels import data_folders
from gpwf.steps.texts import InputPath

__all__ = ["execute"]

_RUNNER = Path(__file__).with_name("runner.py")
_LAST_LINES = 10
_ARGV = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]

log = logging.getLogger("notebook")


class _Settings(Protocol):
    """What is used of the settings of the step."""

    @property
    def notebook(self) -> InputPath: ...
    @property
    def kernel(self) -> str | None: ...
    @property
    def environment(self) -> tuple[str, ...]: ...
    @property
    def max_log(self) -> int: ...


def execute(
    settings: _Settings, values: Mapping[str, Any], language: str, ctx: StepContext
) -> tuple[dict[str, Path], dict[str, str]]:
    """Execute a notebook in the folder ``work`` of the scratch folder.

    Parameters
    ----------
    settings : NotebookSettings
        Of the step.
    values : mapping of str to object
        Plain value of every variable.
    language : str
        Of the kernel.
    ctx : StepContext
        Scratch folder, cores.

    Returns
    -------
    products : dict of str to Path
        The files ``notebook`` and ``html``.
    summary : dict of str to str
        Versions of what made them.

    Raises
    ------
    NoDataError
        Where a cell raised one.
    StepError
        For a cell that fails, a kernel that does not start or dies.
    """
    name = settings.notebook.path.with_suffix(".ipynb").name
    job_folder, products = ctx.work_dir / "job", ctx.work_dir / "products"
    for folder in (job_folder, products):
        folder.mkdir()
    job = {
        "notebook": str(settings.notebook),
        "name": name,
        "folder": str(ctx.work_dir / "work"),
        "products": str(products),
        "parameters": dict(values),
        "kernel": settings.kernel or "python3",
        "language": language,
        "hidden": _hidden(values, settings.environment),
    }
    place = job_folder / "job.json"
    place.write_text(json.dumps(job), encoding="utf-8")
    code, outputs = _run(place, settings, ctx)
    try:
        report = json.loads((job_folder / "report.json").read_bytes())
    except (OSError, ValueError):
        report = {}
    if "error" in report:
        raise _failure(report["error"], settings.notebook.path.name, ctx)
    if code != 0:
        raise _not_run(code, outputs, settings.notebook.path.name)
    summary = {**report["versions"], "kernel": report["kernel"]}
    made = {"notebook": products / name, "html": (products / name).with_suffix(".html")}
    return made, summary


def _run(place: Path, settings: _Settings, ctx: StepContext) -> tuple[int, tuple[Output, Output]]:
    budget = Budget(settings.max_log)
    outputs = (Output("stdout", budget, "notebook"), Output("stderr", budget, "notebook"))
    environment = _environment(settings, ctx)
    for name in sorted({*settings.environment} - {*environment}):
        log.warning("the environment variable %s is not set", name)
    argv = [sys.executable, "-P", str(_RUNNER), str(place)]
    try:
        code = run_program(
            argv, folder=ctx.work_dir / "work", environment=environment, outputs=outputs
        )
    finally:
        for output in outputs:
            if output.n_dropped:
                log.warning(
                    "%s: %d bytes more than max_log (%d) are not in the log",
                    output.name,
                    output.n_dropped,
                    settings.max_log,
                )
    return code, outputs


def _environment(settings: _Settings, ctx: StepContext) -> dict[str, str]:
    """Return the variables of the kernel: nothing of the user's Jupyter, and nothing by chance."""
    own = ctx.work_dir / "jupyter"
    for name in ("config", "ipython", "matplotlib", "data/kernels/python3"):
        (own / name).mkdir(parents=True)
    (own / "matplotlib" / "matplotlibrc").write_text("svg.hashsalt: gpwf\n", encoding="utf-8")
    kernel = {"argv": _ARGV, "display_name": "Python 3", "language": "python"}
    (own / "data/kernels/python3/kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    fixed = {
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_NO_CONFIG": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "IPYTHONDIR": str(own / "ipython"),
        "MATPLOTLIBRC": str(own / "matplotlib"),
        "MPLCONFIGDIR": str(own / "matplotlib"),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "SOURCE_DATE_EPOCH": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    if settings.kernel is not None:
        fixed["JUPYTER_PATH"] = os.pathsep.join(map(str, data_folders()))
    return {**fixed, **command_environment(settings.environment, ctx.n_jobs)}


def _hidden(values: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return what must not be in the products: papermill writes all values into a cell.

    Those whose names look like secrets, of parameters at any depth and of environment variables, in
    the forms that cells show.
    """
    named = [*_texts(values, ""), *((name, os.environ.get(name, "")) for name in names)]
    found = {text.strip() for name, text in named if looks_secret(name, text)}
    forms = {
        form
        for text in found
        for form in (
            text,
            json.dumps(text)[1:-1],
            json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1],
            html.escape(text),
        )
    }
    return sorted(form for form in forms if len(form) >= SHORTEST)


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield every text and number with the name that it has, or the list that it is in."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item, name)
    elif value is not None and not isinstance(value, bool):
        yield name, str(value)


def _failure(error: Mapping[str, Any], name: str, ctx: StepContext) -> StepError:
    """Return the error for a notebook that did not come to its end."""
    number = error.get("number")
    cell = f"cell {number} of {name}" if number else name
    kept = f"the notebook as far as it came: {ctx.kept_dir / 'work' / name}"
    if error.get("dead"):
        return TransientStepError(
            f"{cell}: the kernel died or did not start: {error.get('message', '')}",
            hint=f"out of memory? `resources: {{memory: …}}` tells how much it needs; {kept}",
        )
    if "no_kernel" in error:
        return StepError(f"{name}: {error['no_kernel']}", hint="correct `kernel`")
    if error["name"] == "NoDataError":
        return NoDataError(error["value"] or f"{name} has no data", hint=kept)
    count = f" (In [{error['count']}])" if error.get("count") else ""
    source = "\n".join(f"  | {line}" for line in error["source"])
    raised = f"{error['name']}: {error['value']}".rstrip(": ")
    return StepError(f"{cell}{count} failed: {raised}\n{source}", hint=kept)


def _not_run(code: int, outputs: tuple[Output, Output], name: str) -> StepError:
    """Return the error for the program that executes notebooks, where it says nothing."""
    how = f"exit code {code}" if code > 0 else signal_name(-code)
    last = outputs[1].last_lines(_LAST_LINES) or outputs[0].last_lines(_LAST_LINES)
    text = f"{name} could not be executed ({how})"
    return TransientStepError(
        text + (":\n" + "\n".join(f"  {line}" for line in last) if last else ""),
        hint="`pip install --upgrade 'gpwf[notebook]'` brings what belongs together",
        process_code=code,
    )
