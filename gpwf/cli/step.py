"""``gpwf step``: the table of its commands."""

from __future__ import annotations

import click

from gpwf.cli.lazy import Entry, LazyGroup

__all__ = ["ENTRIES", "command"]

ENTRIES = (
    Entry(
        name="run",
        module="gpwf.cli.step_run",
        help="Run one step with files as inputs, outside of a workflow.",
    ),
)


@click.group("step", cls=LazyGroup, entries=ENTRIES)
def command() -> None:
    """Run one step alone."""
