"""``gpwf graph``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import open_workflow, steps_option, workflow_argument, workflow_options

__all__ = ["command"]


@click.command("graph")
@workflow_argument
@workflow_options
@click.option("--tasks", is_flag=True, help="Draw the tasks of the plan instead of the steps.")
@steps_option("--target", "targets", help="Draw only this step's tasks and what they depend on.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write .svg, .png, .pdf, .html, .dot or .mmd (Mermaid), instead of text to the terminal.",
)
def command(
    workflow: Path,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...],
    tasks: bool,
    targets: tuple[str, ...],
    output: Path | None,
) -> None:
    """Show the workflow as a picture.

    As text on the terminal: every step, its products, and who takes them. A scattered step is one
    node, with the number of places where it runs, and its axes; `--tasks` shows every task.
    """
    from gpwf.cli.failure import say
    from gpwf.report import graph

    opened = open_workflow(workflow, params, sets, profile, params_files)
    if tasks or targets:
        drawing = graph.of_plan(opened.preview(targets=targets)[0])
    else:
        drawing = graph.of_spec(opened.spec)
    if output is None:
        graph.check_size(drawing)
        click.echo(graph.text_tree(drawing))
    else:
        graph.write(drawing, output)
        say(f"wrote {output}")
