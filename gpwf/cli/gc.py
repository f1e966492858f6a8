"""``gpwf gc``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpwf.cli.options import format_option, print_json, shown_path, store_option, terminal_width
from gpwf.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from gpwf.api.gc import Cleaning
    from gpwf.api.stores import Verification

__all__ = ["command"]

_REST = {
    "drafts": "drafts of killed processes",
    "damaged": "damaged files that were set aside",
    "caches": "plans and notes of long ago",
    "work": "folders of attempts, of dead runs",
    "entries": "entries of runs that are gone",
}
_MOST_TASKS = 50


class _Age(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "AGE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from gpwf.core.ages import parse_age

        if isinstance(value, float):
            return value
        try:
            return parse_age(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("gc")
@click.option(
    "--keep",
    type=click.IntRange(min=0),
    metavar="N",
    help="Let only the latest N runs of every workflow keep their products.",
)
@click.option(
    "--older-than",
    "older_than",
    type=_Age(),
    help="Let runs keep nothing that were begun longer ago than 30d, 12h, ...",
)
@click.option(
    "--grace",
    type=_Age(),
    default="1h",
    show_default=True,
    help="Keep what was made or used within this time.",
)
@click.option(
    "--runs",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Look here, too, for runs that the store does not know.",
)
@click.option("--apply", is_flag=True, help="Remove it; otherwise it is only told.")
@click.option(
    "--verify",
    "verifies",
    is_flag=True,
    help="Read every object instead, set damaged ones aside, and list what will run again.",
)
@store_option
@format_option()
def command(
    keep: int | None,
    older_than: float | None,
    grace: float,
    folders: tuple[Path, ...],
    apply: bool,
    verifies: bool,
    store: Path | None,
    form: str,
) -> None:
    """Show what the store no longer needs, and remove it.

    Needed is what runs made or used whose directories are there, and what is pinned (`gpwf pin`).
    Run directories are not touched, but for what killed runs left in their `work` folders. A run
    may go on meanwhile.
    """
    from gpwf.api.gc import clean
    from gpwf.api.stores import find_store, verify
    from gpwf.store.store import Store

    opened = Store(find_store(store), create=False)
    looked = (Path.cwd(), *folders)
    if verifies:
        if apply or keep is not None or older_than is not None:
            raise UsageError("--verify goes without --apply, --keep and --older-than")
        _tell_verification(verify(opened, looked), form)
        return
    found = clean(
        opened, keep=keep, older_than_s=older_than, grace_s=grace, folders=looked, apply=apply
    )
    if form == "json":
        print_json(_data(found))
    else:
        click.echo(_text(found, terminal_width()))


def _data(found: Cleaning) -> dict[str, Any]:
    return {
        "store": str(found.store),
        "applied": found.applied,
        "bytes": found.bytes,
        "n_results": sum(item.results for item in found.groups),
        "n_objects": sum(item.objects for item in found.groups),
        "groups": [
            {
                "workflow": item.workflow,
                "run": item.run_id,
                "path": str(item.path) if item.path is not None else None,
                "reason": item.reason,
                "n_results": item.results,
                "n_objects": item.objects,
                "bytes": item.bytes,
            }
            for item in found.groups
        ],
        "rest": {
            name: {"n": freed.files, "bytes": freed.bytes} for name, freed in found.rest.items()
        },
        "runs": [
            {
                "run": fate.run.run_ids[-1] if fate.run.run_ids else "",
                "workflow": fate.run.workflow,
                "path": str(fate.run.path),
                "began": fate.run.began,
                "kept": fate.keeps,
                "reason": fate.reason,
            }
            for fate in found.fates
        ],
        "kept": {
            "n_results": found.kept.results.files,
            "n_objects": found.kept.objects.files,
            "bytes": found.kept.results.bytes + found.kept.objects.bytes,
        },
        "notes": list(found.notes),
    }


def _text(found: Cleaning, width: int | None) -> str:
    from gpwf.report.text import clean, memory, table

    size = memory(found.bytes) if found.bytes else "nothing"
    verb = "freed" if found.applied else "would be freed"
    parts = [f"{shown_path(found.store)}: {size} {verb}"]
    rows = [
        (
            item.workflow or "-",
            shown_path(item.path) if item.path is not None else item.run_id[:8] or "-",
            str(item.results),
            str(item.objects),
            memory(item.bytes),
            item.reason,
        )
        for item in found.groups
    ]
    rows += [
        ("-", "-", "-", str(freed.files), memory(freed.bytes), _REST[name])
        for name, freed in found.rest.items()
        if freed.files
    ]
    if rows:
        headers = ("workflow", "run", "results", "files", "size", "why")
        parts.append(
            table(
                headers,
                rows,
                width=width,
                right=("results", "files", "size"),
                drop=("results", "files", "workflow"),
            )
        )
    kept = [fate for fate in found.fates if fate.keeps]
    stays = memory(found.kept.results.bytes + found.kept.objects.bytes)
    parts.append(f"kept: {stays} for {len(kept)} of {len(found.fates)} runs, and what is pinned")
    parts += [f"note: {clean(note)}" for note in found.notes]
    if found.bytes and not found.applied:
        parts.append("--apply removes it")
    return "\n\n".join(parts[:2]) + "".join(f"\n{part}" for part in parts[2:])


def _tell_verification(found: Verification, form: str) -> None:
    if form == "json":
        print_json(_verification_data(found))
    else:
        click.echo(_verification_text(found))
    if not found.is_whole:
        raise click.exceptions.Exit(ExitCode.RUN_FAILED)


def _verification_data(found: Verification) -> dict[str, Any]:
    return {
        "store": str(found.store),
        "n_objects": found.objects,
        "n_results": found.results,
        "bytes": found.bytes,
        "damaged": [
            {"path": str(path), "moved_to": str(to) if to is not None else None}
            for path, to in found.damaged
        ],
        "missing": list(found.missing),
        "tasks": [
            {
                "key": item.key,
                "tag": item.tag,
                "task": item.task,
                "workflow": item.workflow,
                "run": str(item.run) if item.run is not None else None,
            }
            for item in found.tasks
        ],
    }


def _verification_text(found: Verification) -> str:
    from gpwf.report.text import memory, one_line

    read = f"{found.objects} objects ({memory(found.bytes)}) and {found.results} results were read"
    if found.is_whole:
        return f"{shown_path(found.store)}: {read}; all are what they were"
    lines = [
        f"{shown_path(found.store)}: {read}; {len(found.damaged)} damaged, "
        f"{len(found.missing)} missing"
    ]
    for path, to in found.damaged:
        where = f"moved to {shown_path(to)}" if to is not None else "could not be moved"
        lines.append(f"  damaged: {shown_path(path)}, {where}")
    lines += [f"  missing: {digest}" for digest in found.missing]
    lines.append("these run again when they are asked for:")
    for item in found.tasks[:_MOST_TASKS]:
        name = f"{item.workflow}: {item.task}" if item.task else f"a task {item.tag}".rstrip()
        run = f", used by {shown_path(item.run)}" if item.run is not None else ""
        lines.append(f"  {one_line(name)} (key {item.key[:12]}){run}")
    if len(found.tasks) > _MOST_TASKS:
        lines.append(f"  and {len(found.tasks) - _MOST_TASKS} more")
    return "\n".join(lines)
