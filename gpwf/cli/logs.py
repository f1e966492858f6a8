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
    is a step, or tasks of it: `sim`, `sim[seed=3]`; alone, it is one of the latest run. JSON has
    one object per line.
    """
    from gpwf.report.log_lines import LogFilter, line_text, read_lines

    opened, tasks = _find(run, step)
    wanted = LogFilter(level=level, tasks=tasks)
    ended = (lambda: opened.state != "running") if follow else None
    for line in read_lines(opened.log, ended=ended):
        if wanted.accepts(line):
            as_json = form == "json"
            click.echo(json.dumps(line, ensure_ascii=False) if as_json else line_text(line))


def _find(run: str | None, step: str | None) -> tuple[Run, frozenset[str] | None]:
    """Return the run and the tasks that are meant, all for None; one argument may be the step."""
    from gpwf import api

    try:
        opened = api.open_run(run)
    except UsageError:
        if run is None or step is not None:
            raise
        latest = api.open_run()
        if not _names_a_step(latest, run):
            raise
        opened, step = latest, run
    return opened, None if step is None else _tasks(opened, step)


def _tasks(run: Run, name: str) -> frozenset[str]:
    """Return the ids of the tasks that a name means, also one that it shares with another step.

    Raises
    ------
    UsageError
        Where the run has no such step, axis or value.
    """
    from gpwf.api.selection import NameIndex

    return frozenset(NameIndex(run.plan).find(name, run.path.name).values())


def _names_a_step(run: Run, name: str) -> bool:
    step = name.partition("[")[0]
    names = [item.name for item in run.plan.steps]
    return step in names or any(item.startswith(f"{step}/") for item in names)
