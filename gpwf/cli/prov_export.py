"""``gpwf prov export``."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpwf.cli.options import run_argument, shown_path
from gpwf.cli.prov_crate import crate_options, refuse_crate_options, write_crate
from gpwf.errors import UsageError
from gpwf.prov.formats import FORMATS

if TYPE_CHECKING:
    from gpwf.prov.export import Source

__all__ = ["command"]


@click.command("export")
@run_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=None,
    help="Format; after the name of FILE by default, PROV-JSON where that says nothing.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="File to write; `-`, the default, is standard output.",
)
@click.option("--anonymous", is_flag=True, help="Leave out user, host and home folder.")
@click.option(
    "--no-ingested",
    is_flag=True,
    help="Leave out what other tools wrote and `gpwf prov ingest` took in.",
)
@crate_options
def command(
    run: str | None,
    form: str | None,
    output: Path | None,
    anonymous: bool,
    no_ingested: bool,
    **crate: bool,
) -> None:
    """Write the provenance of a run in a standard format.

    RUN is a run directory, the end of its name, a workflow, or a file with a record in any of the
    formats; the latest run by default. What was ingested, and the verdict of a reproduction, goes
    with the record. PROV-JSON without such is copied as it is; the other formats hold the
    whole record in memory, and say so beforehand where that is much. The formats xml, ttl and trig
    need `pip install "gpwf[records]"`. A crate is a folder, or an archive where the name of FILE
    ends in .zip, with the record, the workflow and the products of a run.
    """
    from gpwf.cli.failure import say
    from gpwf.cli.prov_source import find_source
    from gpwf.prov.export import expected, export
    from gpwf.prov.formats import format_of, guess_format

    chosen = format_of(form) if form is not None else guess_format(output)
    source = replace(find_source(run), ingested=not no_ingested)
    with contextlib.ExitStack() as stack:
        if anonymous:
            source = _anonymous(source, chosen.name, stack)
        if chosen.name == "crate":
            write_crate(source, output, with_ingested=not no_ingested, **crate)
            return
        refuse_crate_options(**crate)
        cost = expected(source, chosen)
        if cost.is_noticeable:
            say(
                f"{chosen.title} of a record of {cost.size / 1e6:.0f} MB: {cost}; "
                "--format json is a copy"
            )
        if output is None or str(output) == "-":
            sys.stdout.flush()
            export(source, chosen, sys.stdout.buffer)
            return
        export(source, chosen, output)
    say(f"wrote {shown_path(output)}")


def _anonymous(source: Source, form: str, stack: contextlib.ExitStack) -> Source:
    """Return a record like this one without user, host and home folder.

    Raises
    ------
    UsageError
        For a crate, which has more than the record.
    """
    import tempfile

    from gpwf.prov.anonymous import write_anonymous
    from gpwf.prov.export import Source, export
    from gpwf.prov.formats import format_of

    if form == "crate":
        raise UsageError(
            "a crate holds the files of the run, and those are not rewritten",
            hint="run the workflow with --anonymous, and export that run",
        )
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpwf-")))
    plain, made = folder / "prov.json", folder / "anonymous.json"
    export(source, format_of("json"), plain)  # a copy, unless it is in another format
    write_anonymous(plain, made)
    return Source(record=made)
