"""``gpwf step run``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gpwf.cli import completion
from gpwf.cli.options import pairs
from gpwf.cli.run import end

__all__ = ["command"]


@click.command("run")
@click.argument("tag", shell_complete=completion.tags)
@click.option(
    "-c",
    "--config",
    "configs",
    multiple=True,
    metavar="FILE|KEY=VALUE",
    help="Settings: a YAML file with all of them, or one, `fit_range.min=1 TeV`.",
)
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=PATH",
    help="An input: the folder of a product, a file, or STEP.PRODUCT of --run.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the products and of the record.",
)
@click.option(
    "--run",
    "source_run",
    metavar="RUN",
    shell_complete=completion.runs,
    help="Run that STEP.PRODUCT is taken from.",
)
@click.option("--name", help="Name of the step, a part of the names of datasets; TAG by default.")
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="GPWF_STORE",
    help="Folder of the store; that of --run, or `.gpwf` here, by default.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of worker processes; all cores by default.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Check everything, and run nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors.")
def command(
    tag: str,
    configs: tuple[str, ...],
    inputs: tuple[str, ...],
    output: Path,
    source_run: str | None,
    name: str | None,
    store: Path | None,
    jobs: int | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run one step with files as inputs, outside of a workflow.

    The products are in the folder OUTPUT, with the step as a workflow (`step.gpwf.yaml`) and the
    run with its provenance (`run`). `gpwf steps TAG` shows inputs and settings.
    """
    from gpwf.api.one_step import OneStep

    config_file, sets = _settings(configs)
    step = OneStep(
        tag,
        name=name,
        config_file=config_file,
        sets=sets,
        inputs=pairs(inputs, "--input"),
        output=output,
        source_run=source_run,
        store=store,
    )
    if dry_run:
        click.echo(step.check(), nl=False)
        return
    run = step.run(jobs=jobs, console="off" if quiet else "auto", command=("gpwf", *sys.argv[1:]))
    raise click.exceptions.Exit(end(run, quiet, output))


def _settings(configs: tuple[str, ...]) -> tuple[Path | None, list[tuple[str, str]]]:
    """Return the file of settings, and the single ones in order."""
    files = [text for text in configs if "=" not in text or Path(text).is_file()]
    if len(files) > 1:
        raise click.BadParameter(f"one file of settings, not {len(files)}", param_hint="--config")
    single = tuple(text for text in configs if text not in files)
    return (Path(files[0]) if files else None), pairs(single, "--config")
