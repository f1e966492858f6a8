"""``gpwf products``."""

from __future__ import annotations

import click

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
@format_option()
def command(run: str | None, form: str) -> None:
    """List the products of a run.

    RUN is a run directory, the end of its name, or a workflow; the latest run by default.
    """
    from gpwf import api
    from gpwf.report.listings import product_data
    from gpwf.report.text import memory, table

    opened = api.open_run(run)
    view = opened.view
    items = opened.products()
    if form == "json":
        tasks = view.tasks
        print_json(
            [
                product_data(tasks[item.task], item.port, item.product, str(item.path))
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
            str(view.tasks[item.task].key)[:12],
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
