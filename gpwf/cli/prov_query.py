"""``gpwf prov query``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpwf.cli.options import (
    format_option,
    pairs,
    print_json,
    run_argument,
    shown_path,
    store_option,
    terminal_width,
)

if TYPE_CHECKING:
    from gpwf.api.query import Provenance, Setting

__all__ = ["SCHEMA", "command"]

#: Name of the layout of the JSON output; fields may be added but are not renamed.
SCHEMA = "gpwf-query/1"


@click.command("query")
@run_argument
@click.option(
    "--of",
    metavar="X",
    help="A product (`fit.models`), task, step, file, digest, or setting (`NAME=VALUE`).",
)
@click.option(
    "--up", "direction", flag_value="up", default=None, help="What X came from; the default."
)
@click.option("--down", "direction", flag_value="down", default=None, help="What became of X.")
@click.option(
    "--depth", type=click.IntRange(min=1), metavar="N", help="At most N tasks away from X."
)
@click.option("--products", is_flag=True, help="List products instead of the tree.")
@click.option(
    "--products-of",
    metavar="INPUT",
    help="List everything that was made from a file, in all runs: as --of INPUT --down --products.",
)
@click.option("--inputs", is_flag=True, help="List the external files that X depends on.")
@click.option(
    "--parameters",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[NAME[=VALUE]]",
    help="List the settings that X depends on, and where they came from; `*` stands for anything.",
)
@click.option(
    "--changed",
    is_flag=True,
    help="List the settings that are not the defaults of their steps; as --parameters.",
)
@click.option("--software", is_flag=True, help="List the software that X depends on.")
@click.option("--attempts", is_flag=True, help="List the attempts at tasks that X depends on.")
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="With --attempts: only those whose state, step, task, tag, run, error, host, axis, "
    "setting, or version of a package is VALUE; may be given several times.",
)
@click.option(
    "--runs",
    "patterns",
    multiple=True,
    metavar="PATTERN",
    help="Ask only runs whose name, id or workflow fits; all of the store by default.",
)
@store_option
@format_option()
def command(
    run: str | None,
    of: str | None,
    direction: str | None,
    depth: int | None,
    products_of: str | None,
    store: Path | None,
    patterns: tuple[str, ...],
    form: str,
    **asked: Any,
) -> None:
    """Ask where products came from, and what became of inputs.

    RUN is a run directory, the end of its name, a workflow, or a PROV-JSON file. X is looked up
    there first, or in the latest run; a file is known by what it says of itself or by its content,
    wherever it was copied. Answers go over all runs of the store. Without --of they are on all
    tasks of RUN, or of all runs where no RUN is given.
    """
    question = _question(asked, products_of, of)
    if products_of is not None:
        of, direction = products_of, "down"
    if of is None and (direction or depth):
        raise click.UsageError("--up, --down and --depth go with --of")
    where = pairs(asked["where"], "--where")
    import gc

    from gpwf.api.query import open_provenance
    from gpwf.cli.failure import say

    gc.disable()  # all of a large answer is kept until it is shown: nothing is to be collected
    try:
        with open_provenance(
            run, store=store, runs=patterns, of=of, alone=of is None, tell=say
        ) as provenance:
            like, changed = asked["parameters"], asked["changed"]
            answer = _ask(provenance, question, of, direction, depth, like, changed, where)
            if form == "json":
                print_json(_data(provenance, question, of, direction, answer))
            else:
                _show(provenance, question, answer)
                if question == "parameters" and like and not answer:
                    _suggest(like, provenance.parameters(of, "", direction or "up", depth))
    finally:
        gc.enable()


def _show(provenance: Provenance, question: str, answer: Any) -> None:
    from gpwf.cli.prov_query_text import answer_text

    for item in provenance.skipped:
        click.echo(f"note: {shown_path(Path(item.run))} was not asked: {item.reason}", err=True)
    for text in provenance.warnings:
        click.echo(f"warning: {text}", err=True)
    click.echo(answer_text(provenance, question, answer, terminal_width()))


def _suggest(like: str, settings: Sequence[Setting]) -> None:
    """Say which settings are called nearly like one that is not there."""
    from difflib import get_close_matches

    name = like.partition("=")[0].strip()
    names = {part for item in settings for part in (item.name, item.name.rpartition(".")[2])}
    near = get_close_matches(name[:200], sorted(names), n=4)
    if name not in names:
        hint = f"near to it: {', '.join(near)}" if near else "`*` stands for anything"
        click.echo(f"hint: no setting is called {name[:200]}; {hint}", err=True)


def _question(asked: dict[str, Any], products_of: str | None, of: str | None) -> str:
    """Return what is asked for, which is one thing."""
    given = {
        "products": asked["products"] or products_of is not None,
        "inputs": asked["inputs"],
        "parameters": asked["parameters"] is not None or asked["changed"],
        "software": asked["software"],
        "attempts": asked["attempts"] or bool(asked["where"]),
    }
    found = [name for name, value in given.items() if value]
    if len(found) > 1:
        raise click.UsageError(f"ask one thing at a time: --{' or --'.join(found)}")
    if products_of is not None and of is not None:
        raise click.UsageError("--products-of names what is asked for; --of does so as well")
    question = found[0] if found else "lineage"
    if question in ("lineage", "products") and of is None and products_of is None:
        raise click.UsageError(
            "say what is asked for: --of PRODUCT, or --inputs, --parameters, --software or "
            "--attempts of a whole run"
        )
    return question


def _ask(
    provenance: Provenance,
    question: str,
    of: str | None,
    direction: str | None,
    depth: int | None,
    like: str | None,
    changed: bool,
    where: list[tuple[str, str]],
) -> Any:
    way = direction or "up"
    if question == "lineage":
        return provenance.lineage(of or "", way, depth)
    if question == "products":
        return provenance.products(of or "", way, depth)
    if question == "inputs":
        return provenance.inputs(of, way, depth)
    if question == "parameters":
        return provenance.parameters(of, like or "", way, depth, changed=changed)
    if question == "software":
        return provenance.software(of, way, depth)
    return provenance.attempts(of, where, way, depth)


def _data(
    provenance: Provenance, question: str, of: str | None, direction: str | None, answer: Any
) -> dict[str, Any]:
    """Return the answer with what was asked; see ``docs/reference/provenance-queries.md``."""
    if question == "lineage":
        plain = answer.data()
    elif question == "software":
        software, code, environments = answer
        plain = {
            "software": [item.data() for item in software],
            "code": [item.data() for item in code],
            "environments": environments,
        }
    else:
        plain = [item.data() for item in answer]
    return {
        "schema": SCHEMA,
        "question": question,
        "of": of,
        "direction": (direction or "up") if of is not None else None,
        "records": [str(item.path) for item in provenance.records],
        "skipped": [{"run": item.run, "reason": item.reason} for item in provenance.skipped],
        "warnings": list(provenance.warnings),
        "answer": plain,
    }
