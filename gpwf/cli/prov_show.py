"""``gpwf prov show``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli.options import run_argument, shown_path, store_option

__all__ = ["DETAILS", "command"]

#: A test holds this equal to what the provenance room draws; importing that takes too long here.
DETAILS = ("workflow", "step", "task", "full")


@click.command("show")
@run_argument
@click.option(
    "--of",
    metavar="PRODUCT",
    help="Only what belongs to this product, step, task, file or digest.",
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
    help="The workflow as one, a node for each step, for each task, or everything.",
)
@click.option(
    "--parameters",
    metavar="NAMES",
    help="Settings to write in the nodes: all, changed (not the defaults of their steps), or names "
    "with commas between them.",
)
@store_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File to write: .svg, .png, .pdf, .dot or .html; `prov/prov.svg` of the run by default.",
)
def command(
    run: str | None,
    of: str | None,
    direction: str | None,
    detail: str,
    parameters: str | None,
    store: Path | None,
    output: Path | None,
) -> None:
    """Draw the provenance of a run or of a product.

    RUN is a run directory, the end of its name, a workflow, a PROV-JSON file, or a product or input
    file, wherever it is: the runs of the store know it; the latest run by default. SVG, PNG and PDF
    need the program `dot` of Graphviz; DOT and HTML need nothing. The HTML page has everything in
    itself, with settings, digests, times and the end of the log of every task.
    """
    from gpwf.cli.prov_record import find_record
    from gpwf.prov.draw import GRAPHVIZ_HINT, draw_file, graphviz_available

    record = find_record(run, store)
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
    path = draw_file(
        record.path,
        path=output,
        detail=detail,
        of=of,
        direction=direction,
        parameters=[name.strip() for name in (parameters or "").split(",") if name.strip()],
        logs=_logs(record.path) if output.suffix.lower() == ".html" else None,
        tell=lambda note: click.echo(f"note: {note}", err=True),
    )
    click.echo(f"wrote {shown_path(path)}", err=True)


def _logs(record: Path) -> dict[str, list[str]]:
    """Return the ends of the logs of the tasks, where the record lies in its run directory."""
    from gpwf.api.log_excerpts import log_excerpts

    folder = record.absolute().parent
    if folder.name != "prov":
        return {}
    return log_excerpts(folder.parent / "log.jsonl")
