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
@click.option("--workflow", metavar="NAME", help="Show only the runs of this workflow.")
@click.option("-n", "number", type=click.IntRange(min=1), help="Show only the newest N runs.")
@format_option()
def command(folder: Path | None, workflow: str | None, form: str, number: int | None) -> None:
    """List the runs, newest first.

    Looks below FOLDER, the current folder by default. `running` is a run that a driver works on
    now, `interrupted` one whose driver went away. The size is that of the run's own files;
    products are in the store.
    """
    from gpwf import api
    from gpwf.api.run_summaries import summaries
    from gpwf.cli.failure import say
    from gpwf.report.listings import counts_text, local_time
    from gpwf.report.text import duration, memory, state_cell, table

    found = summaries(
        api.find_runs(folder),
        workflow=workflow,
        number=number,
        on_error=lambda path, error: say(f"{shown_path(path)}: {error.message}"),
    )
    if form == "json":
        print_json([item.data() for item in found])
        return
    if not found:
        which = f" of {workflow}" if workflow else ""
        say(f"no runs{which} here; `gpwf run WORKFLOW` makes one")
        return
    rows = [
        (
            local_time(item.started),
            item.workflow,
            state_cell(str(item.state)),
            duration(item.wall_s()),
            counts_text(item.counts),
            memory(item.size),
            shown_path(item.path),
        )
        for item in found
    ]
    headers = ("started", "workflow", "state", "took", "tasks", "size", "run")
    shown = table(
        headers,
        rows,
        width=terminal_width(),
        right=("took", "size"),
        drop=("size", "tasks", "took"),
    )
    click.echo(shown)
