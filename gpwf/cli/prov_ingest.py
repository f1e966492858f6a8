"""``gpwf prov ingest``."""

from __future__ import annotations

from pathlib import Path

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, print_json, shown_path

__all__ = ["command"]


@click.command("ingest")
@click.argument("run", shell_complete=completion.runs)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option(
    "--for",
    "input_",
    metavar="INPUT",
    help="The input that the files tell of: its path, the end of it, or its SHA-256.",
)
@format_option()
def command(run: str, files: tuple[Path, ...], input_: str | None, form: str) -> None:
    """Take in provenance that other tools wrote.

    RUN is a run directory, the end of its name, or a workflow. FILE is a log of ctapipe
    (`*.provenance.log`), a FITS file, whose header is read, or a document in a notation of PROV.
    Without FILE it takes in what lies beside the inputs (`INPUT.prov.json`,
    `INPUT.provenance.log`) and what the workflow names in its metadata.

    The record of the run stays as it is; each file becomes `prov/ingested-<digest>.json`.
    """
    from gpwf import api
    from gpwf.api.ingest import ingest

    found = ingest(api.open_run(run), files, input=input_)
    if form == "json":
        print_json(
            [
                {
                    "source": str(item.found.source),
                    "sha256": item.found.digest,
                    "format": item.found.form,
                    "path": str(item.path),
                    "activities": item.found.count("activity"),
                    "entities": item.found.count("entity"),
                    "links": [
                        {"foreign": link.foreign, "input": link.ours.path, "by": link.how}
                        for link in item.found.links
                    ],
                    "warnings": list(item.found.warnings),
                }
                for item in found
            ]
        )
        return
    for item in found:
        read = item.found
        click.echo(
            f"{read.source} ({read.form}): {read.count('activity')} activities, "
            f"{read.count('entity')} entities -> {shown_path(item.path)}"
        )
        for link in read.links:
            click.echo(f"  {link.ours.path}, by {link.how}")
        for warning in read.warnings:
            click.echo(f"  warning: {warning}", err=True)
        if not read.links:
            click.echo("  warning: nothing in it is an input of this run", err=True)
    if not found:
        click.echo("no file with provenance lies beside the inputs of this run", err=True)
