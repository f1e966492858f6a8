"""``gpwf prov export``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import run_argument, write_result

__all__ = ["FORMATS", "command"]

#: A test holds this equal to what the provenance room writes; importing that takes too long here.
FORMATS = ("json", "provn")


@click.command("export")
@run_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="json",
    help="PROV-JSON, or PROV-N for people.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="File to write; `-`, the default, is standard output.",
)
def command(run: str | None, form: str, output: Path | None) -> None:
    """Write the provenance of a run in a standard format.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default.
    """
    from gpwf import api
    from gpwf.cli.prov_record import record_of_run
    from gpwf.prov.export import load, serialise

    record = record_of_run(api.open_run(run))
    write_result(serialise(load(record), form), output)
