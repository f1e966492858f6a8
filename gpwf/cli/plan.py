"""``gpwf plan``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import (
    format_option,
    open_workflow,
    print_json,
    steps_option,
    store_option,
    terminal_width,
    workflow_argument,
    workflow_options,
)

__all__ = ["command"]


@click.command("plan")
@workflow_argument
@workflow_options
@steps_option("--target", "targets", help="Plan only this step and what it depends on.")
@store_option
@format_option()
def command(
    workflow: Path,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    targets: tuple[str, ...],
    store: Path | None,
    form: str,
) -> None:
    """Show the tasks of a workflow, cached or new.

    Nothing is run. A task is cached where the store holds its result.
    """
    from gpwf.report.listings import plan_data
    from gpwf.report.planned import plan_text

    opened = open_workflow(workflow, params, sets, profile)
    plan, tasks = opened.preview(store=store, targets=targets)
    cached = [task.id for task in tasks if task.cached]
    if form == "json":
        print_json(plan_data(plan, cached))
    else:
        click.echo(plan_text(plan, cached, terminal_width()))
