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
def command(output: Path | None) -> None:
    """Write the JSON Schema of this installation.

    One draft-07 file with all step types, those of plug-ins too, for editors and other checkers.
    """
    from gpwf.lang.bundle import bundle_schema
    from gpwf.steps.registry import load_catalog

    write_result(json_text(bundle_schema(load_catalog())), output)
