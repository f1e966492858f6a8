"""``gpwf show``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli import completion
from gpwf.cli.options import (
    format_option,
    json_text,
    open_workflow,
    terminal_width,
    workflow_argument,
    workflow_options,
    write_result,
)

__all__ = ["command"]


@click.command("show")
@workflow_argument
@click.argument("step", required=False, shell_complete=completion.steps)
@workflow_options
@click.option("--all", "every", is_flag=True, help="Show every set of settings of a scatter.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to a file instead of the terminal.",
)
@format_option("yaml")
def command(
    workflow: Path,
    step: str | None,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...],
    every: bool,
    output: Path | None,
    form: str,
) -> None:
    """Show the settled settings, each with its origin.

    STEP is a step, a workflow that is a step, or a part of a scatter: `sim[seed=3]`. Of a scattered
    step the settings at the first place are shown; those that differ elsewhere have a star.

    With `--format yaml` the whole workflow is written as a document in which everything is
    settled; it makes the same plan. Relative paths that depend on an axis count from the folder
    of the workflow, or of the file given with `-o`.
    """
    opened = open_workflow(workflow, params, sets, profile, params_files)
    if form == "yaml":
        if step is not None:
            raise click.UsageError("--format yaml writes the whole workflow: leave STEP out")
        folder = output.parent if output is not None and str(output) != "-" else None
        write_result(opened.settled(folder=folder), output)
        return
    shown = opened.show(step, every=every)
    if form == "json":
        write_result(json_text(shown.data), output)
    else:
        text = shown.text(terminal_width() if output is None else None)
        write_result((text if output is None else click.unstyle(text)) + "\n", output)
