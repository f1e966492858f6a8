"""``gpwf prov show``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import run_argument, shown_path

__all__ = ["DETAILS", "command"]

#: A test holds this equal to what the provenance room draws; importing that takes too long here.
DETAILS = ("step", "task", "full")


@click.command("show")
@run_argument
@click.option(
    "--of",
    metavar="PRODUCT",
    help="Only what belongs to this product, step, file or digest.",
)
@click.option(
    "--up", "direction", flag_value="up", default=None, help="With --of: only what it came from."
)
@click.option(
    "--down",
    "direction",
    flag_value="down",
    default=None,
    help="With --of: only what was made from it.",
)
@click.option(
    "--detail",
    type=click.Choice(DETAILS),
    default="step",
    help="One node for each step, for each task, or everything.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write: .svg, .png, .pdf, .dot or .html; `prov/prov.svg` of the run by default.",
)
def command(
    run: str | None, of: str | None, direction: str | None, detail: str, output: Path | None
) -> None:
    """Draw the provenance of a run or of a product.

    RUN is a run directory, the end of its name, a workflow, a PROV-JSON file, or a file below the
    `products` folder of a run; the latest run by default. SVG, PNG and PDF need the program `dot`
    of Graphviz; DOT and HTML need nothing.
    """
    from gpwf.cli.prov_record import find_record
    from gpwf.prov.draw import GRAPHVIZ_HINT, draw_file, graphviz_available

    record = find_record(run)
    of = of or record.product
    if direction is not None and of is None:
        raise click.UsageError(f"--{direction} goes with --of")
    if output is None:
        suffix = ".svg" if graphviz_available() else ".html"
        output = record.path.with_suffix(suffix)
        if suffix == ".html":
            click.echo(
                f"the program `dot` is not installed, so this is HTML: {GRAPHVIZ_HINT}", err=True
            )
    path = draw_file(record.path, path=output, detail=detail, of=of, direction=direction)
    click.echo(f"wrote {shown_path(path)}", err=True)
