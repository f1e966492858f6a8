"""``gpwf why``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpwf.cli import completion
from gpwf.cli.options import (
    format_option,
    open_workflow,
    print_json,
    shown_path,
    store_option,
    workflow_options,
)
from gpwf.errors import UsageError

if TYPE_CHECKING:
    from gpwf.api.changes import Change
    from gpwf.api.explain import Why

__all__ = ["command"]


@click.command("why")
@click.argument("words", nargs=-1, metavar="[RUN|WF] STEP[axis=v]", shell_complete=completion.runs)
@workflow_options
@store_option
@format_option()
def command(
    words: tuple[str, ...],
    params: tuple[str, ...],
    sets: tuple[str, ...],
    profile: str | None,
    params_files: tuple[Path, ...],
    store: Path | None,
    form: str,
) -> None:
    """Say why a task ran, or would run.

    Of a RUN, the latest by default, it is compared with the run before it; of a workflow WF, what
    would run now with the last run. Named is what of the task's key differs, and where that began
    upstream. -p, --params, --set, --profile and --store go with WF.
    """
    from gpwf import api
    from gpwf.api.explain import explain_run, explain_workflow

    if len(words) not in (1, 2):
        raise UsageError(
            "which step?" if not words else "one step, please",
            hint="`gpwf why RUN STEP`, `gpwf why WORKFLOW STEP`, or `gpwf why STEP`",
        )
    step = words[-1]
    subject = words[0] if len(words) == 2 else None
    if subject is not None and Path(subject).is_file():
        workflow = open_workflow(Path(subject), params, sets, profile, params_files)
        found = explain_workflow(workflow, step, store=store)
    else:
        if params or sets or profile or params_files:
            raise UsageError(
                "-p, --params, --set and --profile go with a workflow",
                hint="`gpwf why WORKFLOW STEP`",
            )
        found = explain_run(api.open_run(subject), step)
    if form == "json":
        print_json([_data(item) for item in found])
    else:
        click.echo(_text(found))


def _text(found: Iterable[Why]) -> str:
    """Return the explanations; tasks with the same one share a paragraph."""
    from gpwf.report.text import clean

    groups: dict[tuple[str, ...], list[str]] = {}
    for item in found:
        groups.setdefault(tuple(_lines(item)), []).append(item.task)
    return clean("\n".join(_paragraph(names, lines) for lines, names in groups.items()))


def _paragraph(names: Sequence[str], lines: Sequence[str]) -> str:
    from gpwf.core.coordinates import listed

    return "\n".join([f"{listed(names)}: {lines[0]}", *(f"  {line}" for line in lines[1:])])


def _lines(item: Why) -> Iterable[str]:
    from gpwf.report.listings import local_time

    yield item.told
    yield from (change.text for change in item.changes)
    yield from dict.fromkeys(cause.text for cause in item.because)
    if item.compared_with is not None:
        began = local_time(item.compared_began)
        yield f"compared with {shown_path(item.compared_with)}, begun {began}"


def _data(item: Why) -> dict[str, Any]:
    return {
        "task": item.task,
        "step": item.step,
        "state": str(item.state),
        "told": item.told,
        "changes": [_change_data(change) for change in item.changes],
        "because": [{"task": cause.task, **_change_data(cause.change)} for cause in item.because],
        "compared_with": str(item.compared_with) if item.compared_with is not None else None,
        "compared_began": item.compared_began or None,
        "made_by": item.made_by or None,
        "made_at": item.made_at or None,
    }


def _change_data(change: Change) -> Mapping[str, Any]:
    return {
        "component": change.component,
        "name": change.name or None,
        "old": change.old or None,
        "new": change.new or None,
        "text": change.text,
        "makers": list(change.makers),
    }
