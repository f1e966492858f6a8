"""``gpwf logs``."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, pairs, run_argument
from gpwf.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from gpwf.api import Run
    from gpwf.report.log_lines import LogFilter

__all__ = ["command"]

_ATTEMPT_ID = re.compile(r"(?:gpwf:)?(?:act-)?([0-9a-f][0-9a-f-]{5,35})")


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
    "--at",
    "at",
    multiple=True,
    metavar="AXIS=VALUE",
    help="Show only tasks with this coordinate; several times for several axes.",
)
@click.option(
    "--attempt",
    metavar="N|ID",
    help="Show only the N-th attempts, or the one with this id (`gpwf:act-...` in the record).",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Show only what is newer: `10m`, `2h`, `14:30`, `2026-01-31T14:30`.",
)
@click.option("--grep", "text", metavar="TEXT", help="Show only lines that have this text.")
@format_option()
def command(
    run: str | None,
    step: str | None,
    follow: bool,
    tail: int | None,
    level: str,
    at: tuple[str, ...],
    attempt: str | None,
    since: str | None,
    text: str | None,
    form: str,
) -> None:
    """Show the log of a run.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default. STEP
    is a step, or tasks of it: `sim`, `sim[seed=3]`; alone, it is one of the latest run. The log
    has the messages of tasks that run now, too. JSON has one object per line, with the keys that
    the reference of the log lists.
    """
    from gpwf.report.log_lines import LogFilter, read_log

    opened, tasks = _find(run, step, dict(pairs(at, "--at")))
    wanted = LogFilter(
        level=level,
        tasks=tasks,
        attempt=None if attempt is None else _attempt(attempt),
        since=None if since is None else _since(since),
        text=text,
    )
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


def _attempt(text: str) -> int | str:
    """Return the number of an attempt, or the beginning of its id.

    Raises
    ------
    click.BadParameter
        For anything else.
    """
    if text.isascii() and text.isdigit() and len(text) < 5:
        if int(text) > 0:
            return int(text)
    elif (found := _ATTEMPT_ID.fullmatch(text)) is not None:
        return found[1]
    hint = "a number from 1, or the beginning of an id with at least 6 characters"
    raise click.BadParameter(f"{text!r} is no attempt: {hint}", param_hint="--attempt")


def _since(text: str) -> datetime:
    from datetime import UTC, datetime

    from gpwf.report.log_lines import parse_since

    try:
        return parse_since(text, datetime.now(UTC))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None


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


def _find(
    run: str | None, step: str | None, at: Mapping[str, str]
) -> tuple[Run, frozenset[str] | None]:
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
    return opened, None if step is None and not at else _tasks(opened, step, at)


def _tasks(run: Run, name: str | None, at: Mapping[str, str]) -> frozenset[str]:
    """Return the ids of the tasks that a name means, also one that it shares with another step.

    Raises
    ------
    UsageError
        Where the run has no such step, axis or value.
    """
    from gpwf.api.selection import NameIndex
    from gpwf.core.redact import redact_text

    labels = {axis: label.strip() for axis, label in at.items()}
    found = NameIndex(run.plan).find_at(name, labels, "--at")
    return frozenset({*found, *map(redact_text, found)})  # the log has no secrets in names


def _names_a_step(run: Run, name: str) -> bool:
    step = name.partition("[")[0]
    names = [item.name for item in run.plan.steps]
    return step in names or any(item.startswith(f"{step}/") for item in names)
