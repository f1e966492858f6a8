"""``gpwf status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gpwf.cli.options import (
    format_option,
    run_argument,
    shown_path,
    terminal_width,
)
from gpwf.errors import ExitCode

if TYPE_CHECKING:
    from gpwf.api import Run

__all__ = ["command"]


@click.command("status")
@run_argument
@click.option("--tasks", is_flag=True, help="Show every task, however many there are.")
@click.option("-w", "--watch", is_flag=True, help="Show it again and again until the run ends.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    metavar="S",
    help="Seconds between two looks with --watch (2).",
)
@format_option()
def command(run: str | None, tasks: bool, watch: bool, every: float, form: str) -> None:
    """Show the tasks of a run and what they used.

    Below them is where the time went: what each step took, how busy the workers were, the longest
    chain of tasks that depend on each other, and the slowest tasks. `waited` is how long a task of
    the step was ready before a worker began with it, in the median.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default.
    """
    from gpwf import api

    opened = api.open_run(run)
    if watch:
        _watch(opened, tasks, every, form)
    else:
        import gc

        gc.disable()  # all of a large run is kept until it is shown: nothing is to be collected
        try:
            click.echo(_shown(opened, tasks, form, terminal_width())[0], nl=False)
        finally:
            gc.enable()


def _shown(run: Run, tasks: bool, form: str, width: int | None) -> tuple[str, bool]:
    """Return how a run stands, and whether it has ended."""
    from gpwf.cli.options import json_text
    from gpwf.core.runs import RunState
    from gpwf.report.listings import status_data
    from gpwf.report.status import status_text

    view, damage = run.look()
    if form == "json":
        text = json_text({**status_data(view), "damage": damage or None})
    else:
        path = shown_path(run.path)
        text = status_text(view, path, width, every_task=tasks, damage=damage) + "\n"
    return text, view.state is not RunState.RUNNING


def _watch(run: Run, tasks: bool, every: float, form: str) -> None:
    """Show a run until it ends: in place on a terminal, one after the other elsewhere."""
    import sys
    import time

    from gpwf.report.screen import Screen

    in_place = form == "text" and terminal_width() is not None
    screen = Screen(sys.stdout)
    try:
        while True:
            begin_s = time.monotonic()
            # a full line makes some terminals go to the next one
            width = screen.size()[0] - 1 if in_place else None
            text, ended = _shown(run, tasks, form, width)
            if in_place and not ended:
                screen.draw_text(text)
            else:
                screen.clear()
                click.echo(text, nl=False)
            if ended:
                return
            # a large run takes long to read: leave most of the time to its driver
            time.sleep(max(every, 4 * (time.monotonic() - begin_s)))
    except KeyboardInterrupt:  # how one stops watching
        screen.clear()
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
