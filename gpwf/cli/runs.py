"""``gpwf runs``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import format_option, print_json, shown_path, terminal_width

__all__ = ["command"]


@click.command("runs")
@click.argument(
    "folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@format_option()
@click.option("-n", "number", type=click.IntRange(min=1), help="Show only the newest N runs.")
def command(folder: Path | None, form: str, number: int | None) -> None:
    """List the runs, newest first.

    Looks below FOLDER, the current folder by default.
    """
    from gpwf import api
    from gpwf.cli.failure import say
    from gpwf.errors import GpwfError
    from gpwf.report.listings import counts_text, elapsed_s, local_time, run_data
    from gpwf.report.text import duration, state_cell, table

    views = []
    for path in api.find_runs(folder)[:number]:
        try:
            views.append((path, api.open_run(path).view))
        except GpwfError as error:  # one damaged run must not hide the others
            say(f"{shown_path(path)}: {error.message}")
    if form == "json":
        print_json([run_data(str(path), view) for path, view in views])
        return
    if not views:
        say("no runs here; `gpwf run WORKFLOW` makes one")
        return
    rows = [
        (
            local_time(view.started),
            view.workflow,
            state_cell(str(view.state)),
            duration(elapsed_s(view)),
            counts_text(view.counts()),
            shown_path(path),
        )
        for path, view in views
    ]
    headers = ("started", "workflow", "state", "took", "tasks", "run")
    click.echo(
        table(headers, rows, width=terminal_width(), right=("took",), drop=("tasks", "took"))
    )
