"""Stores: which one is meant, and whether it holds what it says it holds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gpwf.api.known_runs import known_runs, store_of
from gpwf.api.runs import find_runs
from gpwf.core.digests import Digest, TaskKey
from gpwf.errors import UsageError
from gpwf.store.gc import files_of
from gpwf.store.places import STORE_FOLDER, named_store
from gpwf.store.results import StoredResult
from gpwf.store.store import Store, is_store

__all__ = ["LostTask", "Verification", "find_store", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostTask:
    """A task that will run again, since the store does not hold its products any more.

    Parameters
    ----------
    key : TaskKey
        Its key.
    tag : str
        Its step type; empty where the record of the result is what was damaged.
    task, workflow : str
        Its id and its workflow, where a run that is there made or used it.
    run : Path or None
        That run.
    """

    key: TaskKey
    tag: str
    task: str = ""
    workflow: str = ""
    run: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What reading a whole store found.

    Parameters
    ----------
    store : Path
        The store.
    objects, bytes, results : int
        What was read.
    damaged : tuple of (Path, Path or None)
        Files that are not what they were, and where they were moved to; None where they could not
        be moved, in a store for reading only.
    missing : tuple of Digest
        Objects that results refer to and that are not there.
    tasks : tuple of LostTask
        What will run again when it is asked for.
    """

    store: Path
    objects: int
    bytes: int
    results: int
    damaged: tuple[tuple[Path, Path | None], ...]
    missing: tuple[Digest, ...]
    tasks: tuple[LostTask, ...]

    @property
    def is_whole(self) -> bool:
        """True where nothing is damaged or missing."""
        return not self.damaged and not self.missing


def find_store(named: Path | None = None) -> Path:
    """Return the store that is meant where no workflow says it.

    Parameters
    ----------
    named : Path, optional
        As given; otherwise ``GPWF_STORE``, the folder ``.gpwf`` here, or the store of the latest
        run here.

    Raises
    ------
    UsageError
        Where there is none, or more than one.
    """
    given = named or named_store()
    if given is not None:
        return given
    found = {}
    if is_store(Path(STORE_FOLDER)):
        found[os.path.realpath(STORE_FOLDER)] = Path.cwd() / STORE_FOLDER
    for path in find_runs()[:1]:
        store = store_of(path)
        if store is not None and is_store(store):
            found.setdefault(os.path.realpath(store), store)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise UsageError(
            "there are several stores here: " + ", ".join(map(str, found.values())),
            hint="name one with --store",
        )
    raise UsageError("there is no store here", hint="name it with --store, or GPWF_STORE")


def verify(store: Store, folders: Iterable[Path] = ()) -> Verification:
    """Read every object and every result of a store, and set aside what is damaged.

    Parameters
    ----------
    store : Store
        The store; where it cannot be written, what is damaged stays where it is.
    folders : iterable of Path
        More folders to look for runs in, which tell the names of the tasks.
    """
    damaged: list[tuple[Path, Path | None]] = []
    bad: set[Digest] = set()
    objects = size = 0
    for path, status in files_of(store.root / "objects"):
        objects += 1
        size += status.st_size
        digest = Digest(path.name)
        if not store.objects.verify(digest) and path.exists():
            damaged.append((path, _set_aside(store, digest)))
            bad.add(digest)
    results, lost, missing = _read_results(store, bad, damaged)
    return Verification(
        store=store.root,
        objects=objects,
        bytes=size,
        results=results,
        damaged=tuple(damaged),
        missing=tuple(sorted(missing)),
        tasks=tuple(_named(store, lost, folders)),
    )


def _set_aside(store: Store, digest: Digest) -> Path | None:
    try:
        return store.objects.set_aside(digest)
    except OSError:
        return None


def _read_results(
    store: Store, bad: set[Digest], damaged: list[tuple[Path, Path | None]]
) -> tuple[int, dict[TaskKey, StoredResult | None], set[Digest]]:
    """Return the number of results, those without their products, and what these miss."""
    lost: dict[TaskKey, StoredResult | None] = {}
    missing: set[Digest] = set()
    number = 0
    for path, _ in files_of(store.root / "results"):
        number += 1
        key = TaskKey(path.name)
        result = store.results.get(key)
        if result is None:
            moved = sorted((store.root / "damaged").glob(f"{key}.*.result"))
            damaged.append((path, moved[-1] if moved and not path.exists() else None))
            lost[key] = None
            continue
        files = [item for product in result.products.values() for item in product.files]
        absent = {item.digest for item in files if not store.objects.has(item.digest, item.size)}
        if absent | ({item.digest for item in files} & bad):
            lost[key] = result
        missing |= absent - bad
    return number, lost, missing


def _named(
    store: Store, lost: dict[TaskKey, StoredResult | None], folders: Iterable[Path]
) -> list[LostTask]:
    runs = known_runs(store, folders).runs if lost else ()
    found = []
    for key, result in lost.items():
        run = next((item for item in runs if key in item.tasks), None)
        found.append(
            LostTask(
                key=key,
                tag=result.tag if result is not None else "",
                task=run.tasks[key] if run is not None else "",
                workflow=run.workflow if run is not None else "",
                run=run.path if run is not None else None,
            )
        )
    return sorted(found, key=lambda item: (item.workflow, item.task, item.key))
