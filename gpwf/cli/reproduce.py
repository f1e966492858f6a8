"""``gpwf reproduce``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gpwf.cli.options import format_option, print_json, run_argument, shown_path, steps_option
from gpwf.errors import ExitCode, UsageError

__all__ = ["command"]


@click.command("reproduce")
@run_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the new run; `reproductions/<workflow>/<time>-<id>` by default. "
    "Given again it goes on.",
)
@steps_option("--target", "targets", help="Make only this step and what it depends on.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of worker processes; all cores by default.",
)
@click.option(
    "--inputs",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Look here for input files that are not where they were, by name and SHA-256.",
)
@click.option(
    "--rtol",
    multiple=True,
    metavar="[KIND=]X",
    help="Largest relative deviation that is tolerated, of all products or of a kind.",
)
@click.option(
    "--allow-other-software",
    is_flag=True,
    help="Go on where versions differ that are part of task keys.",
)
@click.option("--keep", is_flag=True, help="Keep the new products also where all are identical.")
@click.option(
    "--progress",
    type=click.Choice(["auto", "live", "plain"]),
    default="auto",
    help="How to show progress: redrawn on a terminal, line by line, or as fits.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@format_option()
def command(
    run: str | None,
    output: Path | None,
    targets: tuple[str, ...],
    jobs: int | None,
    inputs: tuple[Path, ...],
    rtol: tuple[str, ...],
    allow_other_software: bool,
    keep: bool,
    progress: str,
    quiet: bool,
    form: str,
) -> None:
    """Make a recorded run again and compare the products.

    RUN is a run directory, the end of its name, a workflow (its latest run), or the PROV-JSON
    record of a run; the latest run by default.

    It runs in a fresh store: nothing comes from the recorded run. Every input must be there with
    the recorded SHA-256; nothing is computed before. The exit code
    is 0 where every product is identical, has the same data or lies within the tolerance, 1
    otherwise.
    """
    from gpwf.api.reproduction import reproduce

    found = reproduce(
        run,
        output=output,
        targets=targets,
        jobs=jobs,
        inputs=inputs,
        rtol=_tolerances(rtol),
        allow_other_software=allow_other_software,
        keep=keep,
        console="off" if quiet else progress,
        command=("gpwf", *sys.argv[1:]),
    )
    if form == "json":
        print_json(found.data())
    else:
        click.echo(found.text())
    if found.verdict is None:
        again = f"gpwf reproduce {run or ''} -o {shown_path(found.run.path)}".replace("  ", " ")
        click.echo(f"go on with: {again}", err=True)
        reason = found.run.view.reason
        code = ExitCode.INTERRUPTED if "SIGINT" in reason else ExitCode.TERMINATED
        raise click.exceptions.Exit(code)
    raise click.exceptions.Exit(ExitCode.OK if found.is_good else ExitCode.RUN_FAILED)


def _tolerances(given: tuple[str, ...]) -> dict[str, float] | None:
    """Return ``X`` for all kinds and ``KIND=X`` for one; the later is stronger."""
    from gpwf.api.reproduce_verdicts import TOLERANCES

    found: dict[str, float] = {}
    for item in given:
        kind, equals, text = item.rpartition("=")
        try:
            value = float(text)
        except ValueError:
            raise UsageError(f"--rtol {item}: {text} is no number") from None
        found |= {kind: value} if equals else dict.fromkeys(TOLERANCES, value)
    return found or None
