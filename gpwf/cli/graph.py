"""``gpwf graph``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import open_workflow, workflow_argument, workflow_options

__all__ = ["command"]


@click.command("graph")
@workflow_argument
@workflow_options
@click.option("--tasks", is_flag=True, help="Draw the tasks of the plan instead of the steps.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write .svg, .png, .pdf, .dot or .mmd (Mermaid) instead of text to the terminal.",
)
def command(
    workflow: Path,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...],
    tasks: bool,
    output: Path | None,
) -> None:
    """Show the workflow as a picture.

    As text on the terminal: every step, its products, and who takes them.
    """
    from gpwf.cli.failure import say
    from gpwf.report import graph

    opened = open_workflow(workflow, params, sets, profile, params_files)
    drawing = graph.of_plan(opened.plan()) if tasks else graph.of_spec(opened.spec)
    if output is None:
        click.echo(graph.text_tree(drawing))
    else:
        graph.write(drawing, output)
        say(f"wrote {output}")
