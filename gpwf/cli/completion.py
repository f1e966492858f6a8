"""What the shell offers after Tab. Nothing here may fail, print, or take long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from gpwf.errors import GpwfError

__all__ = ["params", "profiles", "run_steps", "runs", "steps", "tags", "targets", "templates"]


def _items(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _document(ctx: click.Context) -> Mapping[str, Any]:
    """Return the workflow on the command line as plain data, however wrong it is otherwise."""
    # an option without its value yet leaves the arguments before it unread, in `ctx.args`
    given = [ctx.params.get("workflow"), *ctx.args]
    path = next((Path(item) for item in given if item and Path(item).is_file()), None)
    if path is None:
        return {}
    from gpwf.lang.document import read_document

    try:
        root = read_document(path.read_bytes(), file=str(path)).root
    except (OSError, GpwfError):
        return {}
    data = root.plain() if root is not None else None
    return data if isinstance(data, dict) else {}


def _names(ctx: click.Context, key: str) -> list[str]:
    found = _document(ctx).get(key)
    return [str(name) for name in found] if isinstance(found, dict) else []


def params(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the parameters of the workflow, each with its ``=``."""
    return _items((f"{name}=" for name in _names(ctx, "params")), incomplete)


def profiles(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the profiles of the workflow."""
    return _items(_names(ctx, "profiles"), incomplete)


def steps(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the steps of the workflow."""
    found = _document(ctx).get("steps")
    entries = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    names = [str(item.get("name") or item.get("tag") or "") for item in entries]
    return _items((name for name in names if name), incomplete)


def tags(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the tags of the step types of this installation."""
    from gpwf.steps.registry import load_catalog

    try:
        return _items(load_catalog().tags(), incomplete)
    except GpwfError:
        return []


def templates(
    _ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the templates of new workflows."""
    from gpwf.api.init_templates import TEMPLATES

    return _items(TEMPLATES, incomplete)


def targets(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the targets of the template on the command line, all of them without one."""
    from gpwf.api.init_templates import TEMPLATES
    from gpwf.api.targets import TARGETS

    given = [str(ctx.params.get("template")), *ctx.args]
    found = [TEMPLATES[item].targets for item in given if item in TEMPLATES]
    return _items(found[0] if found else TARGETS, incomplete)


def runs(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the runs below the current folder, newest first, and their workflows."""
    from gpwf.api import find_runs

    try:
        found = find_runs()
    except (OSError, GpwfError):
        return []
    names = [*dict.fromkeys(path.parent.name for path in found), *(path.name for path in found)]
    return _items(names, incomplete) or [CompletionItem(incomplete, type="dir")]


def run_steps(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the steps of the run on the command line."""
    from gpwf.api import open_run

    try:
        plan = open_run(ctx.params.get("run")).plan
    except (OSError, GpwfError):
        return []
    return _items((step.name for step in plan.steps), incomplete)
