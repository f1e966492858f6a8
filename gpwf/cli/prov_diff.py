"""``gpwf prov diff``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpwf.cli import completion
from gpwf.cli.options import format_option, print_json, store_option

if TYPE_CHECKING:
    from gpwf.api.differences import Change, Difference

__all__ = ["SCHEMA", "command"]

#: Name of the layout of the JSON output; fields may be added but are not renamed.
SCHEMA = "gpwf-diff/1"

#: Exit code where something differs, as of ``diff``.
DIFFERENT = 1

_MOST = 12  # lines of a part; --all shows every one
_LONGEST = 64  # letters of a value
_TITLES = {
    "parameters": "parameters",
    "inputs": "inputs (sha256)",
    "code": "code of steps",
    "software": "software",
    "tasks": "tasks",
    "environment": "environment",
    "moved": "same content in another place",
    "renamed": "compared under another name",
}


@click.command("diff")
@click.argument("a", shell_complete=completion.runs)
@click.argument("b", shell_complete=completion.runs)
@click.option("--all", "every", is_flag=True, help="Show every difference, however many.")
@store_option
@format_option()
def command(a: str, b: str, every: bool, store: Path | None, form: str) -> None:
    """Say what differs between two runs or products, and what came first.

    A and B are runs (a directory, the end of its name, a workflow, or a PROV-JSON file), products
    or tasks of runs (RUN:fit.models, RUN:sim[seed=3]), or product files, wherever they were copied.

    The exit code is 0 where nothing differs, 1 where something does, 2 where A or B is not there.
    Times, ids, places, and what was taken from the store are no differences; the environment is
    told, and alone is none.
    """
    from gpwf.api.differences import diff

    found = diff(a, b, store=store)
    if form == "json":
        print_json({"schema": SCHEMA, **found.data()})
    else:
        for text in found.warnings:
            click.echo(f"warning: {text}", err=True)
        click.echo("\n".join(_lines(found, None if every else _MOST)))
    if not found.is_same:
        raise click.exceptions.Exit(DIFFERENT)


def _lines(found: Difference, most: int | None) -> Iterator[str]:
    yield f"a  {found.a}"
    yield f"b  {found.b}"
    yield ""
    yield from _verdict(found)
    for name, title in _TITLES.items():
        changes: Sequence[Change] = getattr(found, name)
        if changes:
            yield ""
            yield title
            yield from _shortened([_told(item) for item in changes], most)
    if found.products:
        yield ""
        yield f"products ({len(found.products)} of {found.n_products} differ)"
        rows = []
        for item in found.products:
            why = {
                "own": "differs first",
                "upstream": "follows",
                "unexplained": "nothing recorded explains it",
            }[item.cause]
            if item.cause == "upstream" and item.follows:
                why = f"follows from {_some(item.follows)}"
            name = f"{item.task}.{item.port}"
            rows.append(f"  {name}: {item.a[:12]} → {item.b[:12]}, {why}")
        yield from _shortened(rows, most)


def _verdict(found: Difference) -> Iterator[str]:
    """Yield what came first, in a sentence or two."""
    n_products = f"{found.n_products} product{'s' * (found.n_products != 1)}"
    if found.is_same:
        note = ", but for the environment" if found.environment else ""
        yield f"nothing differs: {found.n_tasks} tasks, {n_products}{note}"
        return
    first = found.first_cause
    if first is not None:
        yield f"first cause: {_value_text(first)}"
        if first.tasks:
            yield f"  at {_some(first.tasks)}"
        others = [item for item in found.products if first.label not in item.follows]
        number = len(found.products) - len(others)
        yield f"  explains {number} of {len(found.products)} products that differ"
    elif found.products and not found.unexplained:
        yield f"{len(found.products)} products differ"
    elif not found.products:
        yield f"all {n_products} that both have are the same, though something else differs"
    for item in found.unexplained[:3]:
        yield (
            f"{item.task}.{item.port} differs although nothing that is recorded differs: the step "
            "is not deterministic, or something unrecorded changed"
        )


def _told(item: Change) -> str:
    """Return a change, with a second line for where it came from and what it follows from."""
    more = []
    if item.origin_a != item.origin_b:
        more.append(f"{item.origin_a or '-'} → {item.origin_b or '-'}")
    elif item.origin_a:
        more.append(", ".join(part for part in (item.origin_b, item.place_b) if part))
    names = [name for name in item.tasks if name not in (item.step, item.name)]
    if names and not item.name.startswith(names[0]):
        more.append(f"at {_some(names)}")
    if item.follows:
        more.append(f"after {_some(item.follows)}")
    return "\n      ".join([f"  {_value_text(item)}", *more])


def _value_text(item: Change) -> str:
    one, two = (_cut(text[:12] if _is_digest(text) else text) for text in (item.a, item.b))
    return f"{item.label}: {one} → {two}"


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _shortened(lines: Sequence[str], most: int | None) -> Iterator[str]:
    if most is None or len(lines) <= most:
        yield from lines
        return
    yield from lines[: most - 1]
    yield f"  … and {len(lines) - most + 1} more; --all shows them"
