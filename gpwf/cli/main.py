"""The command ``gpwf``: global options, the table of commands, exit codes."""

from __future__ import annotations

import os
from typing import Any

import click

from gpwf.cli.lazy import Entry, LazyGroup
from gpwf.cli.streams import show_any_text

__all__ = ["ENTRIES", "cli", "main"]

_RUN, _LOOK, _STORE, _PROV = "Write and run", "Look at runs", "Store", "Provenance"

ENTRIES = (
    Entry(
        name="init",
        module="gpwf.cli.init",
        help="Write a new workflow from a template.",
        section=_RUN,
    ),
    Entry(
        name="run",
        module="gpwf.cli.run",
        help="Run what is not in the store yet.",
        section=_RUN,
    ),
    Entry(
        name="validate",
        module="gpwf.cli.validate",
        help="Show every problem of workflows at once.",
        section=_RUN,
    ),
    Entry(
        name="plan",
        module="gpwf.cli.plan",
        help="Show the tasks of a workflow, cached or new.",
        section=_RUN,
    ),
    Entry(
        name="graph",
        module="gpwf.cli.graph",
        help="Show the workflow as a picture.",
        section=_RUN,
    ),
    Entry(
        name="show",
        module="gpwf.cli.show",
        help="Show the settled settings, each with its origin.",
        section=_RUN,
    ),
    Entry(
        name="steps",
        module="gpwf.cli.steps",
        help="List the step types, or show one.",
        section=_RUN,
    ),
    Entry(
        name="step",
        module="gpwf.cli.step",
        help="Run one step alone.",
        section=_RUN,
    ),
    Entry(
        name="schema",
        module="gpwf.cli.schema",
        help="Write the JSON Schema of this installation.",
        section=_RUN,
    ),
    Entry(
        name="runs",
        module="gpwf.cli.runs",
        help="List the runs, newest first.",
        section=_LOOK,
    ),
    Entry(
        name="status",
        module="gpwf.cli.status",
        help="Show the tasks of a run and what they used.",
        section=_LOOK,
    ),
    Entry(
        name="logs",
        module="gpwf.cli.logs",
        help="Show the log of a run.",
        section=_LOOK,
    ),
    Entry(
        name="products",
        module="gpwf.cli.products",
        help="List the products of a run.",
        section=_LOOK,
    ),
    Entry(
        name="why",
        module="gpwf.cli.why",
        help="Say why a task ran, or would run.",
        section=_LOOK,
    ),
    Entry(
        name="gc",
        module="gpwf.cli.gc",
        help="Show what the store no longer needs, and remove it.",
        section=_STORE,
    ),
    Entry(
        name="pin",
        module="gpwf.cli.pin",
        help="Keep products in the store whatever `gpwf gc` is told.",
        section=_STORE,
    ),
    Entry(
        name="reproduce",
        module="gpwf.cli.reproduce",
        help="Make a recorded run again and compare the products.",
        section=_PROV,
    ),
    Entry(
        name="prov",
        module="gpwf.cli.prov",
        help="Show, ask and export provenance.",
        section=_PROV,
    ),
)


class RootGroup(LazyGroup):
    """The command ``gpwf``; turns every exception into a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        show_any_text()
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own ways out
        except (Exception, KeyboardInterrupt) as error:
            from gpwf.cli.failure import report

            raise click.exceptions.Exit(report(error, debug=ctx.params["debug"])) from None


@click.group(
    cls=RootGroup,
    entries=ENTRIES,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`gpwf COMMAND --help` explains a command.",
)
@click.option(
    "--debug", is_flag=True, envvar="GPWF_DEBUG", help="Show the traceback of an internal fault."
)
@click.version_option(package_name="gpwf", prog_name="gpwf")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:  # noqa: ARG001 (read by RootGroup)
    """Declarative gamma-ray analyses with gammapy, in parallel and with provenance."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False  # see https://no-color.org


def main() -> None:
    """Run the command line of this process."""
    cli(prog_name="gpwf")
