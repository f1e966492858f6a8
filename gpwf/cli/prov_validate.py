"""``gpwf prov validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpwf.cli.options import format_option, print_json, run_argument, shown_path
from gpwf.errors import ExitCode

if TYPE_CHECKING:
    from gpwf.api.validation import Report

__all__ = ["command"]

#: Bytes of a record from which on people are told that it takes a while: some ten seconds.
_LARGE = 150_000_000
_LARGE_FILE = 1_000_000_000
#: Per byte of a record; `benchmarks/validation.py` measures it.
_S_PER_BYTE = 6e-8
_MEMORY = 1.4


@click.command("validate")
@run_argument
@click.option(
    "--files",
    is_flag=True,
    help="Compare the files of the run as well: journal, log, products, inputs.",
)
@click.option("--strict", is_flag=True, help="Let warnings count as errors.")
@format_option()
def command(run: str | None, files: bool, strict: bool, form: str) -> None:
    """Check whether a record is valid, and whether its files are what it says.

    RUN is a run directory, the end of its name, a workflow, or a file with a record in any of the
    standard formats, also of other software; the latest run by default. Checked are the constraints
    of W3C PROV and, for records of gpwf, what they owe beyond them. Exit code 0 where the record is
    valid, 1 where there are errors, 2 where there is no record.
    """
    from gpwf.api.record_files import FILE_RULES
    from gpwf.cli.failure import say
    from gpwf.prov.validation.check import titles
    from gpwf.report.prov_findings import findings_text

    report = _report(run, files)
    data = report.as_data()
    if form == "json":
        print_json(data)
    elif report.findings:
        click.echo(findings_text(data, {**titles(), **FILE_RULES}))
    else:
        say(findings_text(data, {}))
    if report.n_errors or (strict and report.findings):
        raise click.exceptions.Exit(ExitCode.RUN_FAILED)


def _report(name: str | None, files: bool) -> Report:
    from gpwf import api
    from gpwf.api.validation import validate_record, validate_run

    path = Path(name) if name is not None else None
    if path is not None and path.is_file():
        _tell(path)
        return validate_record(path, files=files, on_file=_tell_of_file)
    run = api.open_run(name)
    _tell(run.provenance)
    return validate_run(run, files=files, on_file=_tell_of_file)


def _tell(record: Path) -> None:
    """Say beforehand that a record takes a while."""
    from gpwf.cli.failure import say

    try:
        size = record.stat().st_size
    except OSError:
        return
    if size >= _LARGE:
        text = f"{size / 1e6:.0f} MB: checking takes some {size * _S_PER_BYTE:.0f} s"
        say(f"{shown_path(record)} has {text} and {size * _MEMORY / 1e9:.1f} GB of memory")


def _tell_of_file(path: Path) -> None:
    from gpwf.cli.failure import say

    try:
        size = path.stat().st_size
    except OSError:
        return
    if size >= _LARGE_FILE:
        say(f"reading {shown_path(path)}, {size / 1e9:.1f} GB")
