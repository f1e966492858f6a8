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
@click.option("--tasks", is_flag=True, help="List the tasks, too, instead of counting them.")
@click.option(
    "--why", is_flag=True, help="Say for every new task what differs from when it ran last."
)
@store_option
@format_option()
def command(
    workflow: Path,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...],
    targets: tuple[str, ...],
    tasks: bool,
    why: bool,
    store: Path | None,
    form: str,
) -> None:
    """Show the tasks of a workflow, cached or new.

    Nothing is run. A task is cached where the store holds its result. Tasks that compute the same
    are one task, which the steps share. --why compares with the runs in the current folder.
    """
    from gpwf.report.listings import plan_data, planned_task_data
    from gpwf.report.planned import plan_text, planned_tasks_text, why_text

    opened = open_workflow(workflow, params, sets, profile, params_files)
    plan, found = opened.preview(store=store, targets=targets)
    cached = [task.id for task in found if task.cached]
    reasons = opened.why(store=store, targets=targets) if why else {}
    if form == "json":
        listed = {"tasks": planned_task_data(plan, cached)} if tasks else {}
        told = {"why": reasons} if why else {}
        print_json({**plan_data(plan, cached), **listed, **told})
    else:
        show = planned_tasks_text if tasks else plan_text
        click.echo(show(plan, cached, terminal_width()))
        if reasons:
            click.echo(why_text(plan, reasons))
