"""``gpwf logs``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, run_argument
from gpwf.errors import UsageError

if TYPE_CHECKING:
    from gpwf.api import Run

__all__ = ["command"]


@click.command("logs")
@run_argument
@click.argument("step", required=False, shell_complete=completion.run_steps)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    help="Lowest level to show.",
)
@format_option()
def command(run: str | None, step: str | None, follow: bool, level: str, form: str) -> None:
    """Show the log of a run.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default. STEP
    is a step or a task of it; alone, it is one of the latest run. JSON has one object per line.
    """
    from gpwf.report.log_lines import LogFilter, line_text, read_lines

    opened, step = _find(run, step)
    wanted = LogFilter(level=level, step=step)
    ended = (lambda: opened.state != "running") if follow else None
    for line in read_lines(opened.log, ended=ended):
        if wanted.accepts(line):
            as_json = form == "json"
            click.echo(json.dumps(line, ensure_ascii=False) if as_json else line_text(line))


def _find(run: str | None, step: str | None) -> tuple[Run, str | None]:
    """Return the run, and the step when the only argument is one."""
    from gpwf import api

    try:
        opened = api.open_run(run)
    except UsageError:
        if run is None or step is not None:
            raise
        latest = api.open_run()
        if not _has(latest, run):
            raise
        return latest, run
    if step is not None and not _has(opened, step):
        names = ", ".join(item.name for item in opened.plan.steps)
        raise UsageError(f"{opened.path.name} has no step {step}", hint=f"steps: {names}")
    return opened, step


def _has(run: Run, name: str) -> bool:
    return any(name in (task.step, task.id) for task in run.plan.tasks)
