"""``gpwf products``."""

from __future__ import annotations

import click

from gpwf.cli import completion
from gpwf.cli.options import (
    format_option,
    print_json,
    run_argument,
    shown_path,
    terminal_width,
)

__all__ = ["command"]


@click.command("products")
@run_argument
@click.option(
    "--step",
    "steps",
    multiple=True,
    metavar="STEP",
    shell_complete=completion.run_steps,
    help="List only those of this step, or of a part of its scatter: `sim[seed=3]`.",
)
@format_option()
def command(run: str | None, steps: tuple[str, ...], form: str) -> None:
    """List the products of a run.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default.
    """
    from gpwf import api
    from gpwf.report.listings import product_data
    from gpwf.report.text import memory, table

    opened = api.open_run(run)
    items = (
        [item for name in steps for task in opened[name].tasks for item in task.values()]
        if steps
        else opened.products()
    )
    if form == "json":
        print_json(
            [
                product_data(
                    item.product,
                    step=item.step,
                    coordinates=item.coordinates,
                    port=item.port,
                    path=str(item.path),
                    key=item.key,
                )
                for item in items
            ]
        )
        return
    rows = [
        (
            item.task,
            item.port,
            item.product.kind,
            memory(item.product.size),
            item.product.digest[:12],
            str(item.key)[:12],
            shown_path(item.path),
        )
        for item in items
    ]
    headers = ("task", "product", "kind", "size", "digest", "key", "path")
    click.echo(
        table(
            headers,
            rows,
            width=terminal_width(),
            right=("size",),
            drop=("key", "digest", "kind", "size"),
        )
    )
