"""``gpwf run``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpwf.cli.options import (
    open_workflow,
    shown_path,
    steps_option,
    store_option,
    terminal_width,
    workflow_argument,
    workflow_options,
)
from gpwf.errors import ExitCode

if TYPE_CHECKING:
    from gpwf.api import Run, Workflow

__all__ = ["command", "end"]

_SIGINT = "SIGINT"


@click.command("run")
@workflow_argument
@workflow_options
@steps_option("--target", "targets", help="Run only this step and what it depends on.")
@steps_option("--from", "from_", help="Run this step and what depends on it again.")
@steps_option("--only", "only", help="Run this step again, alone.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of worker processes; all cores by default.",
)
@store_option
@click.option(
    "--run-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the run; `runs/<workflow>/<time>-<id>` by default.",
)
@click.option("--fail-fast", is_flag=True, help="Start nothing more after the first failure.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run, and run nothing.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "live", "plain"]),
    default="auto",
    help="How to show progress: redrawn on a terminal, line by line, or as fits.",
)
@click.option(
    "--anonymous/--no-anonymous",
    default=None,
    envvar="GPWF_ANONYMOUS",
    help="Leave user, host and home folder out of records and logs.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
def command(
    workflow: Path,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...],
    store: Path | None,
    dry_run: bool,
    progress: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Run what is not in the store yet.

    The same command again goes on after a failure or an interruption.
    """

    opened = open_workflow(workflow, params, sets, profile, params_files)
    if dry_run:
        _show_plan(opened, store, options)
        return
    run = opened.run(
        store=store,
        console="off" if quiet else progress,
        command=("gpwf", *sys.argv[1:]),
        **options,
    )
    raise click.exceptions.Exit(end(run, quiet))


def _show_plan(workflow: Workflow, store: Path | None, options: dict[str, Any]) -> None:
    from gpwf.report.planned import plan_text

    plan, tasks = workflow.preview(
        store=store, **{name: options[name] for name in ("targets", "from_", "only")}
    )
    cached = [task.id for task in tasks if task.cached]
    click.echo(plan_text(plan, cached, terminal_width()))


def end(run: Run, quiet: bool, products: Path | None = None) -> int:
    """Print how a run ended, return the exit code.

    Parameters
    ----------
    run : Run
        The run.
    quiet : bool
        True to print nothing but failures.
    products : Path, optional
        Folder to name as that of the products; that of the run by default.
    """
    from gpwf.core.redact import redact_command
    from gpwf.core.runs import RunState
    from gpwf.report.summary import failure_text, summary_text

    view = run.view
    again = redact_command(["gpwf", *sys.argv[1:]])  # consoles are recorded, too
    place = shown_path(run.path)
    if not quiet:
        outputs = {
            name: [shown_path(path) for path in paths]
            for name, paths in run.output_paths(view).items()
        }
        text = summary_text(
            view,
            products=shown_path(products or run.path / "products"),
            outputs=outputs,
            width=terminal_width(err=True),
        )
        click.echo(text, err=True)
    if view.state is RunState.OK:
        return ExitCode.OK
    click.echo(failure_text(view, run_dir=place, command=shlex.join(again)), err=True)
    if view.state is RunState.CANCELLED:
        return ExitCode.INTERRUPTED if _SIGINT in view.reason else ExitCode.TERMINATED
    return ExitCode.RUN_FAILED
