"""A plan that was made before is not made again.

Reading, checking and compiling a workflow imports the schema validator, the step types and
networkx: half a second that an unchanged workflow need not pay. The plan is kept in the store
under what it was made from, and used again only while every one of these is unchanged: the
arguments, the text of every document, the environment variables that were looked up, the code of
gpwf, of its plugins and of the functions that steps call, the versions of the packages, the content
of every external file, and what there is in folders and for patterns that settings name.

A plan with secrets in its settings is not kept: a worker needs them as they are, and they shall
lie nowhere.
"""

from __future__ import annotations

import contextlib
import gc
import glob
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gpwf
from gpwf.core.digests import Digest, digest_bytes, tagged_digest
from gpwf.core.plan import Plan
from gpwf.core.plan_codec import plan_from_text, plan_to_text
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic
from gpwf.store.store import Store

if TYPE_CHECKING:
    from gpwf.core.spec import WorkflowSpec

__all__ = ["code_fingerprint", "kept_or_made", "load_plan", "save_plan"]

_FORMAT = "gpwf-plan-cache/4"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def code_fingerprint() -> Digest:
    """Return a digest that changes with the code of gpwf and of its plugins.

    Sizes and modification times stand for the content of the files: reading them all would cost
    more than it saves.
    """
    points = metadata.entry_points(group="gpwf.steps")
    plugins = sorted(
        [item.name, item.value, item.dist.version if item.dist else ""] for item in points
    )
    # a plugin under development is edited without a new version
    packages = sorted({item.module.partition(".")[0] for item in points})
    files = [_files_of(Path(gpwf.__file__).parent), *(_files_of(*_places(p)) for p in packages)]
    return tagged_digest("gpwf-code/2", files, plugins)


def _files_of(*places: Path) -> list[list[Any]]:
    """Return path, size and modification time of the Python files in folders."""
    files = []
    for place in places:
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            stat = path.stat()
            files.append([path.relative_to(place).as_posix(), stat.st_size, stat.st_mtime_ns])
    return files


def _places(package: str) -> list[Path]:
    """Return where a package lies, or a module; it is not imported. Nothing where it is not."""
    from importlib.util import find_spec

    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(item) for item in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _entry_path(store: Store, arguments: Mapping[str, Any]) -> Path:
    name = tagged_digest(_FORMAT, dict(arguments))
    return store.root / "cache" / "plans" / f"{name}.json"


def kept_or_made(
    store: Store,
    arguments: Mapping[str, Any],
    spec: Callable[[], WorkflowSpec],
    before: Callable[[], None],
) -> tuple[Plan, str]:
    """Return a plan and the text of its document: those kept from last time, or made now.

    Parameters
    ----------
    store : Store
        Where they are kept.
    arguments : mapping
        See `save_plan`.
    spec : callable
        Returns the workflow; called where the plan must be made.
    before : callable
        Called before that.
    """
    kept = load_plan(store, arguments)
    if kept is not None:
        return kept
    before()
    from gpwf.compiler.compile import compile_plan
    from gpwf.compiler.sealing import sealed_with
    from gpwf.steps.registry import load_catalog
    from gpwf.store.seals import SealKey

    key = SealKey(store.root)
    with _collector_paused():
        found = spec()
        plan = compile_plan(
            found,
            load_catalog(),
            store.inputs,
            identify=store.inputs.identity,
            seal=lambda value: sealed_with(key.value, value),
        )
        if not plan.secrets:
            save_plan(store, arguments, plan, found.environment, found.text)
    store.flush()
    return plan, found.text


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Do not look for garbage while a plan is made: it is millions of objects that all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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
        "environment": {
            name: _sealed(value) for name, value in {**_implied(plan), **environment}.items()
        },
        "listings": _listings(plan),
        "text": text,
    }
    head = json.dumps(entry).encode()
    path = _entry_path(store, arguments)
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        write_atomic(path, chain([head, b"\n"], plan_to_text(plan)), durable=False)


def _listings(plan: Plan) -> dict[str, Digest]:
    """Return what settings name folders or patterns of files, with a digest of what is there.

    A file that comes there later is not among the files of the plan.
    """
    texts = {text for task in plan.tasks for text in _absolute_paths(task.settings)}
    return {
        text: _listing(text)
        for text in sorted(texts)
        if glob.has_magic(text) or Path(text).is_dir()
    }


def _absolute_paths(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.startswith(os.sep):
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _absolute_paths(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _absolute_paths(item)


def _listing(place: str) -> Digest:
    try:
        names = os.listdir(place)  # noqa: PTH208  (names are enough)
    except OSError:
        names = glob.glob(place, recursive=True)  # noqa: PTH207  (absolute)
    return tagged_digest("gpwf-listing/1", sorted(names))


def _implied(plan: Plan) -> dict[str, str | None]:
    """Return the variables by which external files were found: ``~``, ``$NAME`` in their names.

    A file of models, or the index of a datastore, may name other files in this way.
    """
    names = {"HOME"}
    for task in plan.tasks:
        for item in task.files:
            names.update(_VARIABLE.findall(item.name))
    return {name: os.environ.get(name) for name in sorted(names)}


def load_plan(store: Store, arguments: Mapping[str, Any]) -> tuple[Plan, str] | None:
    """Return the plan and the text kept for these arguments, or None where anything changed."""
    try:
        head, _, data = _entry_path(store, arguments).read_bytes().partition(b"\n")
        entry = json.loads(head)
        if entry["format"] != _FORMAT or entry["code"] != code_fingerprint():
            return None
        if any(_listing(place) != digest for place, digest in entry["listings"].items()):
            return None
        plan = plan_from_text(data)
        if not _unchanged(store, plan, entry["environment"]):
            return None
        return plan, entry["text"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
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
    if not all(_digest_of_code(name) == digest for name, digest in _functions(plan)):
        return False
    files = {item.path: item.digest for task in plan.tasks for item in task.files}
    return all(_digest(store, path) == digest for path, digest in files.items())


def _functions(plan: Plan) -> set[tuple[str, str]]:
    """Return every function that steps call, with the digest of its source."""
    return {
        (str(task.settings["callable"]), str(task.settings["source_digest"]))
        for task in plan.tasks
        if task.tag == "python"
    }


def _digest_of_code(target: str) -> str | None:
    from gpwf.steps.callables.source import read_source, split_target

    try:
        return read_source(split_target(target)[0]).digest
    except (LookupError, OSError):
        return None


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
