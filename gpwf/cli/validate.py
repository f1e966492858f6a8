"""``gpwf validate``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import format_option, open_workflow, print_json, workflow_options
from gpwf.errors import ExitCode

__all__ = ["command"]


@click.command("validate")
@click.argument(
    "workflows",
    nargs=-1,
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="WF...",
)
@workflow_options
@click.option("--no-data", is_flag=True, help="Do not look for the files that the workflow names.")
@format_option("github")
def command(
    workflows: tuple[Path, ...],
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...],
    no_data: bool,
    form: str,
) -> None:
    """Show every problem of workflows at once.

    Exit code 2 where there is an error, 0 otherwise. Nothing of a workflow is executed.
    """
    from gpwf.cli.failure import say
    from gpwf.core.diagnostics import Severity
    from gpwf.report.diagnostics import diagnostics_text, github_lines
    from gpwf.report.listings import diagnostic_data

    found = []
    for path in workflows:
        found += open_workflow(path, params, sets, profile, params_files).validate(data=not no_data)
    if form == "json":
        print_json([diagnostic_data(item) for item in found])
    elif form == "github":
        for line in github_lines(found):
            click.echo(line)
    elif found:
        click.echo(diagnostics_text(found))
    else:
        names = ", ".join(str(path) for path in workflows)
        say(f"{names}: no problems")
    if any(item.severity is Severity.ERROR for item in found):
        raise click.exceptions.Exit(ExitCode.USAGE)
