"""``gpwf schema``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import json_text, write_result

__all__ = ["command"]


@click.command("schema")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to a file instead of standard output.",
)
@click.option(
    "--write",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write this schema and one per step type into a folder.",
)
def command(output: Path | None, folder: Path | None) -> None:
    """Write the JSON Schema of this installation.

    One draft-07 file with all step types, those of plug-ins too, for editors and other checkers.
    """
    from gpwf.lang.bundle import bundle_schema
    from gpwf.steps.registry import load_catalog

    if folder is not None:
        from gpwf.api.schemas import write_schemas

        if output is not None:
            raise click.UsageError("give either --output or --write")
        for path in write_schemas(load_catalog(), folder):
            click.echo(f"wrote {path}", err=True)
        return
    write_result(json_text(bundle_schema(load_catalog())), output)
