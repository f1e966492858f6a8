"""A plan that was made before is not made again.

Reading, checking and compiling a workflow imports the schema validator, the step types and
networkx: half a second that an unchanged workflow need not pay. The plan is kept in the store
under what it was made from, and used again only while every one of these is unchanged: the
arguments, the text of every document, the environment variables that were looked up, the code of
gpwf and of its plugins, the versions of the packages, and the content of every external file.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import gpwf
from gpwf.core.codec import from_plain, to_plain
from gpwf.core.digests import Digest, digest_bytes, tagged_digest
from gpwf.core.plan import Plan
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic
from gpwf.store.store import Store

__all__ = ["code_fingerprint", "load_plan", "save_plan"]

_FORMAT = "gpwf-plan-cache/1"


def code_fingerprint() -> Digest:
    """Return a digest that changes with the code of gpwf and the set of its plugins.

    Sizes and modification times stand for the content of the files: reading them all would cost
    more than it saves.
    """
    root = Path(gpwf.__file__).parent
    files = []
    for path in sorted(root.rglob("*.py")):
        stat = path.stat()
        files.append([path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns])
    plugins = sorted(
        [item.name, item.value, item.dist.version if item.dist else ""]
        for item in metadata.entry_points(group="gpwf.steps")
    )
    return tagged_digest("gpwf-code/1", files, plugins)


def _entry_path(store: Store, arguments: Mapping[str, Any]) -> Path:
    name = tagged_digest(_FORMAT, dict(arguments))
    return store.root / "cache" / "plans" / f"{name}.json"


def save_plan(
    store: Store,
    arguments: Mapping[str, Any],
    plan: Plan,
    environment: Mapping[str, str | None],
    text: str,
) -> None:
    """Keep a plan; a store that cannot take it only makes the next run slower.

    Parameters
    ----------
    store : Store
        Where.
    arguments : mapping
        Plain data: path of the workflow and everything given on the command line.
    plan : Plan
        What was compiled.
    environment : mapping
        Variables that were looked up; only digests of the values are kept.
    text : str
        The document as given.
    """
    entry = {
        "format": _FORMAT,
        "code": code_fingerprint(),
        "environment": {name: _sealed(value) for name, value in environment.items()},
        "text": text,
        "plan": to_plain(plan),
    }
    path = _entry_path(store, arguments)
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        write_atomic(path, json.dumps(entry).encode(), durable=False)


def load_plan(store: Store, arguments: Mapping[str, Any]) -> tuple[Plan, str] | None:
    """Return the plan and the text kept for these arguments, or None where anything changed."""
    try:
        entry = json.loads(_entry_path(store, arguments).read_text(encoding="utf-8"))
        if entry["format"] != _FORMAT or entry["code"] != code_fingerprint():
            return None
        plan = from_plain(Plan, entry["plan"])
        if not _unchanged(store, plan, entry["environment"]):
            return None
        return plan, entry["text"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _unchanged(store: Store, plan: Plan, environment: Mapping[str, str | None]) -> bool:
    if any(_sealed(os.environ.get(name)) != seal for name, seal in environment.items()):
        return False
    if any(_digest(store, path) != digest for path, digest in plan.sources.items()):
        return False
    if any(
        _version(name) != version
        for name, version in _merged(task.packages for task in plan.tasks).items()
    ):
        return False
    files = {item.path: item.digest for task in plan.tasks for item in task.files}
    return all(_digest(store, path) == digest for path, digest in files.items())


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for part in parts for name, value in part.items()}


def _sealed(value: str | None) -> str | None:
    return None if value is None else digest_bytes(value.encode())


def _digest(store: Store, path: str) -> Digest | None:
    try:
        return store.inputs.digest(Path(path))[0]
    except OSError:
        return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
