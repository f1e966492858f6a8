"""``gpwf logs``."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, run_argument
from gpwf.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from gpwf.api import Run
    from gpwf.report.log_lines import LogFilter

__all__ = ["command"]


@click.command("logs")
@run_argument
@click.argument("step", required=False, shell_complete=completion.run_steps)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@click.option(
    "-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Begin with the last N lines."
)
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    help="Lowest level to show.",
)
@click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="Show only the N-th attempts."
)
@format_option()
def command(
    run: str | None,
    step: str | None,
    follow: bool,
    tail: int | None,
    level: str,
    attempt: int | None,
    form: str,
) -> None:
    """Show the log of a run.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default. STEP
    is a step, or tasks of it: `sim`, `sim[seed=3]`; alone, it is one of the latest run. The log
    has the messages of tasks that run now, too. JSON has one object per line.
    """
    from gpwf.report.log_lines import LogFilter, read_log

    opened, tasks = _find(run, step)
    wanted = LogFilter(level=level, tasks=tasks, attempt=attempt)
    blocks = read_log(opened.log, ended=(lambda: not opened.is_live) if follow else None)
    if tail is not None:
        blocks = _last(blocks, wanted, tail)
    try:
        for block in blocks:
            texts = [_text(line, form) for line in block if wanted.accepts(line)]
            if texts:
                click.echo("\n".join(texts))
    except KeyboardInterrupt:  # how one stops following
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None


def _text(line: dict[str, Any], form: str) -> str:
    from gpwf.report.log_lines import line_text

    return json.dumps(line, ensure_ascii=False) if form == "json" else line_text(line)


def _last(
    blocks: Iterator[list[dict[str, Any]]], wanted: LogFilter, number: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield the last lines that are wanted of those that are there now, then what follows."""
    last: deque[dict[str, Any]] = deque(maxlen=number)
    for block in blocks:
        if not block:
            break
        last.extend(line for line in block if wanted.accepts(line))
    yield list(last)
    yield from blocks


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
