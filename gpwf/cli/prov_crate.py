"""The options of ``gpwf prov export --format crate``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpwf.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from gpwf.prov.export import Source

__all__ = ["crate_options", "refuse_crate_options", "write_crate"]

_F = TypeVar("_F", bound=Callable[..., Any])

_MOST = 10  # problems that are shown


def crate_options(function: _F) -> _F:
    """Add the options that only a crate has."""
    for option in (
        click.option("--overwrite", is_flag=True, help="Crate: replace one that is there."),
        click.option("--no-products", is_flag=True, help="Crate: describe products, copy none."),
        click.option("--with-inputs", is_flag=True, help="Crate: copy external input files, too."),
    ):
        function = option(function)
    return function


def refuse_crate_options(**options: bool) -> None:
    """Refuse options that another format does not know.

    Raises
    ------
    UsageError
        Where one was given.
    """
    given = [f"--{name.replace('_', '-')}" for name, is_given in options.items() if is_given]
    if given:
        raise UsageError(f"{', '.join(given)}: for --format crate only")


def write_crate(source: Source, output: Path | None, **options: bool) -> None:
    """Write the crate of a run and say what is in it.

    Parameters
    ----------
    source : Source
        The record of a run.
    output : Path, optional
        Folder or archive.
    **options
        ``with_inputs``, ``no_products``, ``overwrite``, ``with_ingested``.

    Raises
    ------
    UsageError
        Where there is no run, or no place to write to.
    Exit
        With the code of a run that failed where something is missing in the crate.
    """
    from gpwf import api
    from gpwf.api.archive import export_crate
    from gpwf.cli.failure import say
    from gpwf.cli.options import shown_path

    if output is None or str(output) == "-":
        raise UsageError(
            "a crate is a folder or an archive: it does not fit into standard output",
            hint="name it: -o FOLDER, or -o NAME.zip",
        )
    if source.run is None:
        raise UsageError(
            f"{source.record} lies in no run directory: a crate is made of a run",
            hint="give the run directory",
        )
    report = export_crate(
        api.open_run(source.run),
        output,
        with_inputs=options["with_inputs"],
        with_products=not options["no_products"],
        with_ingested=options["with_ingested"],
        overwrite=options["overwrite"],
    )
    for note in report.notes:
        say(f"note: {note}")
    for problem in report.problems[:_MOST]:
        say(f"missing: {problem}")
    more = len(report.problems) - _MOST
    if more > 0:
        say(f"missing: {more} more files")
    say(
        f"wrote {shown_path(output)}: {report.n_entities} entities, {report.n_files} files, "
        f"{report.n_bytes / 1e6:.1f} MB"
    )
    if report.problems:
        raise click.exceptions.Exit(ExitCode.RUN_FAILED)
