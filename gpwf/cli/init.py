"""``gpwf init``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, print_json, shown_path, terminal_width

if TYPE_CHECKING:
    from gpwf.api.scaffold import InitFile

__all__ = ["command"]


@click.command("init")
@click.argument("template", required=False, shell_complete=completion.templates)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    shell_complete=completion.targets,
    help="A target with public H.E.S.S. data; several for a template that takes many.",
)
@click.option("--name", metavar="NAME", help="Name of the workflow and of its files.")
@click.option(
    "-d",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Folder to write to; the current one by default.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that say something else.")
@click.option("--list", "listing", is_flag=True, help="List the templates and the targets.")
@format_option()
def command(
    template: str | None,
    targets: tuple[str, ...],
    name: str | None,
    directory: Path,
    overwrite: bool,
    listing: bool,
    form: str,
) -> None:
    """Write a new workflow from a template.

    With it come its models, the schema of this installation, and settings with which Visual Studio
    Code checks and completes workflows. Asks for what it needs where there is no TEMPLATE and
    somebody to ask.
    """
    if listing:
        _list(form)
        return
    from gpwf.api import scaffold

    if template is None:
        if not _somebody_there():
            raise click.UsageError("give a TEMPLATE; `gpwf init --list` lists them")
        template, targets, name = _ask(targets, name)
    files = scaffold.init(template, directory, targets=targets, name=name, overwrite=overwrite)
    if form == "json":
        print_json([_file_data(item) for item in files])
        return
    for item in files:
        note = f"  {item.note}" if item.note else ""
        click.echo(f"{item.action:9}  {shown_path(item.path)}{note}")
    click.echo(f"next: gpwf validate {shown_path(files[0].path)}", err=True)


def _somebody_there() -> bool:
    """Return whether questions can be asked and answered."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(targets: Sequence[str], name: str | None) -> tuple[str, tuple[str, ...], str]:
    """Ask for template, target and name, as far as they are not given."""
    from gpwf.api.init_templates import TEMPLATES
    from gpwf.api.scaffold import default_name

    for item in TEMPLATES.values():
        click.echo(f"  {item.name:12}  {item.title}", err=True)
    names = list(TEMPLATES)
    template = click.prompt("Template", type=click.Choice(names), default=names[0], err=True)
    chosen = TEMPLATES[template]
    picked = tuple(targets)
    if not picked and not chosen.many and len(chosen.targets) > 1:
        known = click.Choice(chosen.targets)
        picked = (click.prompt("Target", type=known, default=chosen.chosen[0], err=True),)
    if name is None:
        name = click.prompt("Name", default=default_name(template, picked), err=True)
    return template, picked, name


def _list(form: str) -> None:
    """Print templates and targets."""
    from gpwf.api.init_templates import TEMPLATES
    from gpwf.api.targets import TARGETS
    from gpwf.report.text import table

    if form == "json":
        print_json(
            {
                "templates": [
                    {"name": item.name, "title": item.title, "targets": list(item.targets)}
                    for item in TEMPLATES.values()
                ],
                "targets": [
                    {
                        "name": item.name,
                        "title": item.title,
                        "lon_deg": item.lon,
                        "lat_deg": item.lat,
                        "obs_ids": list(item.obs_ids),
                    }
                    for item in TARGETS.values()
                ],
            }
        )
        return
    width = terminal_width()
    rows = [[item.name, item.title] for item in TEMPLATES.values()]
    click.echo(table(["template", "what it does"], rows, width=width))
    rows = [
        [item.name, item.title, f"{item.lon:.3f} {item.lat:+.3f}", str(len(item.obs_ids))]
        for item in TARGETS.values()
    ]
    click.echo("")
    headers = ["target", "source", "position (deg)", "observations"]
    click.echo(table(headers, rows, width=width, right=["observations"]))


def _file_data(item: InitFile) -> dict[str, Any]:
    return {"path": str(item.path), "action": item.action.value, "note": item.note}
