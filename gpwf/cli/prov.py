"""``gpwf prov``: the table of its commands."""

from __future__ import annotations

import click

from gpwf.cli.lazy import Entry, LazyGroup

__all__ = ["ENTRIES", "command"]

ENTRIES = (
    Entry(
        name="show",
        module="gpwf.cli.prov_show",
        help="Draw the provenance of a run or of a product.",
    ),
    Entry(
        name="export",
        module="gpwf.cli.prov_export",
        help="Write the provenance of a run in a standard format.",
    ),
    Entry(
        name="validate",
        module="gpwf.cli.prov_validate",
        help="Check whether a record is valid, and whether its files are what it says.",
    ),
    Entry(
        name="query",
        module="gpwf.cli.prov_query",
        help="Ask where products came from, and what became of inputs.",
    ),
    Entry(
        name="diff",
        module="gpwf.cli.prov_diff",
        help="Say what differs between two runs or products, and what came first.",
    ),
    Entry(
        name="ingest",
        module="gpwf.cli.prov_ingest",
        help="Take in provenance that other tools wrote.",
    ),
)


@click.group("prov", cls=LazyGroup, entries=ENTRIES)
def command() -> None:
    """Show, ask and export provenance."""
