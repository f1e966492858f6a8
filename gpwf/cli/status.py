"""``gpwf status``."""

from __future__ import annotations

import click

from gpwf.cli.options import (
    format_option,
    print_json,
    run_argument,
    shown_path,
    terminal_width,
)

__all__ = ["command"]


@click.command("status")
@run_argument
@click.option("--tasks", is_flag=True, help="Show every task, however many there are.")
@format_option()
def command(run: str | None, tasks: bool, form: str) -> None:
    """Show the tasks of a run and what they used.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default.
    """
    from gpwf import api
    from gpwf.report.listings import status_data
    from gpwf.report.status import status_text

    opened = api.open_run(run)
    view = opened.view
    if form == "json":
        print_json(status_data(view))
    else:
        path = shown_path(opened.path)
        click.echo(status_text(view, path, terminal_width(), every_task=tasks))
