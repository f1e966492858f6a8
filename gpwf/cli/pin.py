"""``gpwf pin``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, print_json, shown_path, store_option, terminal_width
from gpwf.errors import UsageError

if TYPE_CHECKING:
    from gpwf.store.pins import Pin

__all__ = ["command"]


@click.command("pin")
@click.argument("what", nargs=-1, metavar="[RUN|FILE]...", shell_complete=completion.runs)
@click.option("--remove", is_flag=True, help="Take the pin away.")
@store_option
@format_option()
def command(what: tuple[str, ...], remove: bool, store: Path | None, form: str) -> None:
    """Keep products in the store whatever `gpwf gc` is told.

    RUN keeps everything that a run made or used, also when its directory is gone. FILE keeps one
    product: give a file below the `products` folder of a run, or a copy. Without arguments the
    pins are listed.
    """
    from gpwf.api.pins import find_pin, make_pin
    from gpwf.api.stores import find_store
    from gpwf.cli.failure import say
    from gpwf.store.store import Store

    if remove and not what:
        raise UsageError("--remove what?", hint="give a run, a file, or the id of a pin")
    opened = Store(find_store(store), create=False)
    for item in what:
        if remove:
            pin = find_pin(opened, item)
            opened.pins.remove(pin)
            say(f"no longer pinned: {shown_path(Path(pin.name))}")
        else:
            pin = make_pin(opened, item)
            opened.pins.add(pin)
            say(f"pinned {shown_path(Path(pin.name))}: {len(pin.digests)} objects")
    if not what:
        _list(list(opened.pins), form)


def _list(pins: list[Pin], form: str) -> None:
    from gpwf.report.listings import local_time
    from gpwf.report.text import table

    if form == "json":
        print_json(
            [
                {
                    "id": pin.id,
                    "name": pin.name,
                    "run": pin.run_id or None,
                    "workflow": pin.workflow,
                    "since": pin.since,
                    "n_results": len(pin.keys),
                    "n_objects": len(pin.digests),
                }
                for pin in pins
            ]
        )
        return
    if not pins:
        click.echo("nothing is pinned")
        return
    rows = [
        (
            pin.id,
            "run" if pin.run_id else "product",
            local_time(pin.since),
            str(len(pin.digests)),
            shown_path(Path(pin.name)),
        )
        for pin in pins
    ]
    headers = ("id", "what", "since", "objects", "name")
    click.echo(table(headers, rows, width=terminal_width(), right=("objects",), drop=("since",)))
