"""Arguments, options and output that several commands share."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpwf.cli import completion
from gpwf.errors import UsageError

if TYPE_CHECKING:
    from gpwf.api import Workflow

__all__ = [
    "format_option",
    "json_text",
    "open_workflow",
    "pairs",
    "print_json",
    "run_argument",
    "shown_path",
    "steps_option",
    "store_option",
    "terminal_width",
    "workflow_argument",
    "workflow_options",
    "write_result",
]

_F = TypeVar("_F", bound=Callable[..., Any])

run_argument = click.argument("run", required=False, shell_complete=completion.runs)

workflow_argument = click.argument(
    "workflow", type=click.Path(dir_okay=False, path_type=Path), metavar="WF"
)

store_option = click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="GPWF_STORE",
    help="Folder of the store; `.gpwf` beside the workflow by default.",
)


def format_option(*more: str) -> Callable[[_F], _F]:
    """Return the option ``--format`` with text, json and whatever else is named."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json", *more]),
        default="text",
        help="Text for people, or JSON with stable fields.",
    )


def steps_option(name: str, variable: str, *, help: str) -> Callable[[_F], _F]:
    """Return an option that names steps of the workflow and may be given several times."""
    return click.option(
        name,
        variable,
        multiple=True,
        metavar="STEP[axis=v]",
        shell_complete=completion.steps,
        help=help,
    )


def workflow_options(function: _F) -> _F:
    """Add the options that change a workflow: ``-p``, ``--params``, ``--set``, ``--profile``."""
    for option in (
        click.option(
            "--profile", metavar="P", shell_complete=completion.profiles, help="Use this profile."
        ),
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="PATH=VALUE",
            help="Change a setting: `steps.fit.config.fit_range.min=0.5 TeV`.",
        ),
        click.option(
            "--params",
            "params_files",
            multiple=True,
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Take values of parameters from a YAML file; -p is stronger.",
        ),
        click.option(
            "-p",
            "--param",
            "params",
            multiple=True,
            metavar="NAME=VALUE",
            shell_complete=completion.params,
            help="Give a parameter of the workflow a value.",
        ),
    ):
        function = option(function)
    return function


def pairs(values: tuple[str, ...], option: str) -> list[tuple[str, str]]:
    """Return NAME=VALUE texts as pairs.

    Raises
    ------
    click.BadParameter
        For a text without ``=`` or without a name.
    """
    found = []
    for text in values:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(f"{text!r} has no form NAME=VALUE", param_hint=option)
        found.append((name.strip(), value))
    return found


def json_text(data: Any) -> str:
    """Return a result as JSON text with a line feed at its end."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def open_workflow(
    path: Path,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...] = (),
) -> Workflow:
    """Return the workflow that `workflow_argument` and `workflow_options` describe."""
    from gpwf import api

    return api.read(
        path,
        params=dict(pairs(params, "-p")),
        sets=pairs(sets, "--set"),
        profile=profile,
        params_files=params_files,
    )


def print_json(data: Any) -> None:
    """Print a result as JSON, alone on standard output."""
    click.echo(json_text(data), nl=False)


def write_result(text: str, output: Path | None) -> None:
    """Write a result to a file and say so, or to standard output where there is no file.

    Raises
    ------
    UsageError
        Where the file cannot be written.
    """
    if output is None or str(output) == "-":
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror}") from error
    click.echo(f"wrote {output}", err=True)


def terminal_width(*, err: bool = False) -> int | None:
    """Return the width of the terminal that text goes to; None for a pipe or a file."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        return None
    return shutil.get_terminal_size().columns


def shown_path(path: Path) -> str:
    """Return a path as short as it can be said from here."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return str(path) if relative.startswith(os.path.join("..", "..")) else relative  # noqa: PTH118
