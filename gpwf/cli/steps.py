"""``gpwf steps``."""

from __future__ import annotations

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, print_json, terminal_width

__all__ = ["command"]


@click.command("steps")
@click.argument("tag", required=False, shell_complete=completion.tags)
@click.option("--yaml", "skeleton", is_flag=True, help="Print a step to paste into a workflow.")
@format_option()
def command(tag: str | None, skeleton: bool, form: str) -> None:
    """List the step types, or show one.

    With TAG: its ports and its settings, each with type, unit, default and help.
    """
    from gpwf.report import step_types
    from gpwf.steps.registry import load_catalog

    catalog = load_catalog()
    if tag is None:
        if skeleton:
            raise click.UsageError("--yaml needs a TAG")
        if form == "json":
            print_json([step_types.step_data(catalog.step(name)) for name in catalog.tags()])
        else:
            click.echo(step_types.list_text(catalog, terminal_width()))
        return
    step = catalog.step(tag)
    if skeleton:
        click.echo(step_types.skeleton(step), nl=False)
    elif form == "json":
        print_json(step_types.step_data(step))
    else:
        click.echo(step_types.step_text(step, catalog.help(tag), terminal_width()))
