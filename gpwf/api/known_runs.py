"""The runs that a store knows, and what each of them needs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gpwf.api.runs import Run, find_runs
from gpwf.core.digests import Digest, TaskKey
from gpwf.core.runs import (
    AttemptFinished,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskState,
)
from gpwf.errors import RunError, StoreError
from gpwf.run.journal import scan_journal
from gpwf.store.clock import ClockReading
from gpwf.store.registry import Presence, RegisteredRun
from gpwf.store.store import Store

__all__ = ["KnownRun", "KnownRuns", "is_driven", "known_runs", "read_run", "store_of", "uses_store"]

_KEPT_ATTEMPTS = (TaskState.FAILED, TaskState.TIMEOUT, TaskState.OOM, TaskState.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """A run directory, as far as a store is concerned.

    Parameters
    ----------
    path : Path
        The run directory.
    workflow : str
        Name of the workflow; empty where the run has not begun.
    began : str
        When it was last begun, ISO 8601 in UTC; empty where it has not.
    is_live : bool
        True where a driver works there.
    ended_well : bool
        True where a run in this folder ended well.
    run_ids : tuple of str
        Ids of the runs in this folder that count: from the last good one on.
    earlier_ids : tuple of str
        Ids of runs in this folder that a good one followed.
    tasks : mapping of TaskKey to str
        Results that it made or found, with the id of the task.
    digests : frozenset of Digest
        Objects of its products.
    failed : frozenset of (str, int)
        Attempts, as task and number, whose folders its owner may want to look at.
    stamp_ns : int
        Time of the file system when it was registered or locked, in nanoseconds; what it made or
        found is younger.
    clock : ClockReading or None
        The clocks then, where it is registered.
    """

    path: Path
    workflow: str = ""
    began: str = ""
    is_live: bool = False
    ended_well: bool = False
    run_ids: tuple[str, ...] = ()
    earlier_ids: tuple[str, ...] = ()
    tasks: Mapping[TaskKey, str] = field(default_factory=dict)
    digests: frozenset[Digest] = frozenset()
    failed: frozenset[tuple[str, int]] = frozenset()
    stamp_ns: int = 0
    clock: ClockReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRuns:
    """What a store knows of runs.

    Parameters
    ----------
    runs : tuple of KnownRun
        Those that are there, latest first.
    gone : tuple of (RegisteredRun, int)
        Entries whose run directory is gone, or holds another run, with their time stamps.
    unregistered : frozenset of Path
        Directories of runs that have no entry.
    """

    runs: tuple[KnownRun, ...]
    gone: tuple[tuple[RegisteredRun, int], ...]
    unregistered: frozenset[Path]


def known_runs(store: Store, folders: Iterable[Path] = ()) -> KnownRuns:
    """Return the runs of a store: those registered, and those found beside it or in folders.

    Parameters
    ----------
    store : Store
        The store.
    folders : iterable of Path
        More folders to look in, see `gpwf.api.find_runs`.

    Raises
    ------
    StoreError
        Where it cannot be told what a run needs: its disk is not there, or its journal cannot be
        read. Nothing may be removed then.
    """
    here: dict[Path, tuple[KnownRun, RegisteredRun | None, int]] = {}
    gone: list[tuple[RegisteredRun, int]] = []
    for entry, stamp in store.runs.entries():
        run = _registered(entry, stamp, store)
        if run is None:
            gone.append((entry, stamp))
        elif run.path not in here or stamp > here[run.path][2]:  # the latest run in the folder
            here[run.path] = (run, entry, stamp)
    unregistered = set()
    for folder in dict.fromkeys((store.root.parent, *folders)):
        for path in find_runs(folder):
            if path not in here and (found := _found(path, store)) is not None:
                here[path] = (found, None, 0)
                unregistered.add(path)
    runs = sorted((item[0] for item in here.values()), key=_order, reverse=True)
    found_again = {name for run in runs for name in (*run.run_ids, *run.earlier_ids)}
    return KnownRuns(
        runs=tuple(runs),
        gone=tuple(item for item in gone if item[0].run_id not in found_again),
        unregistered=frozenset(unregistered),
    )


def _order(run: KnownRun) -> tuple[bool, str, str]:
    return (run.is_live, run.began, str(run.path))


def _registered(entry: RegisteredRun, stamp: int, store: Store) -> KnownRun | None:
    """Return the run of an entry, None where it is not there any more."""
    presence, place = entry.presence(store.root)
    if presence is Presence.UNREACHABLE:
        raise StoreError(
            f"the run directory {place} cannot be reached: what it needs is not known",
            hint=f"mount its disk, or remove {store.runs.path(entry.run_id)} to forget the run",
        )
    if presence is Presence.GONE:
        return None
    for path in entry.places(store.root):
        if not path.is_dir():
            continue
        run = read_run(path.resolve(), stamp_ns=stamp, clock=entry.clock)
        if entry.run_id in (*run.run_ids, *run.earlier_ids):
            return run
        if run.is_live:  # its journal does not say yet what it is
            return replace(run, run_ids=(*run.run_ids, entry.run_id))
    return None


def _found(path: Path, store: Store) -> KnownRun | None:
    """Return a run that nobody registered, None where it is of another store."""
    if not uses_store(path, store):
        return None
    try:
        stamp = (path / "run.lock").stat().st_mtime_ns
    except OSError:
        stamp = 0
    run = read_run(path, stamp_ns=stamp)
    return run if run.run_ids or run.is_live else None


def uses_store(path: Path, store: Store) -> bool:
    """Return True where a run keeps its products in a store.

    Raises
    ------
    StoreError
        Where the journal of the run cannot be read.
    """
    used = store_of(path)
    return used is not None and os.path.realpath(used) == os.path.realpath(store.root)


def store_of(path: Path) -> Path | None:
    """Return the store of the run in a folder, None where nothing has begun there.

    Raises
    ------
    StoreError
        Where the journal of the run cannot be read.
    """
    started = [event for event in _scan(path)[0] if isinstance(event, RunStarted)]
    if not started:
        return None
    named = Path(started[-1].store)
    if named.exists():
        return named
    try:  # moved, together with its store or alone
        return Run(path).store
    except RunError:
        return named


def read_run(path: Path, *, stamp_ns: int = 0, clock: ClockReading | None = None) -> KnownRun:
    """Return what the journal in a run directory says.

    Parameters
    ----------
    path : Path
        The run directory, links resolved.
    stamp_ns, clock
        See `KnownRun`.

    Raises
    ------
    StoreError
        Where the journal cannot be read.
    """
    # asked before the journal is read: what ends in between has written all of it
    is_live = is_driven(path)
    events, is_torn = _scan(path)
    segments = _segments(events)
    first = max((n for n, part in enumerate(segments) if _ended_well(part)), default=0)
    counted = [event for part in segments[first:] for event in part]
    tasks, digests = _made(counted)
    if is_torn and not is_live:  # what was journalled behind the damage is known by its links
        digests |= set(_linked(path / "products"))
    started = [event for event in counted if isinstance(event, RunStarted)]
    return KnownRun(
        path=path,
        workflow=started[-1].workflow if started else "",
        began=started[-1].time if started else "",
        is_live=is_live,
        ended_well=any(map(_ended_well, segments)),
        run_ids=tuple(event.run_id for event in started),
        earlier_ids=tuple(
            event.run_id
            for part in segments[:first]
            for event in part
            if isinstance(event, RunStarted)
        ),
        tasks=tasks,
        digests=frozenset(digests),
        failed=frozenset(
            (event.task, event.attempt)
            for event in events
            if isinstance(event, AttemptFinished) and event.state in _KEPT_ATTEMPTS
        ),
        stamp_ns=stamp_ns,
        clock=clock,
    )


def _scan(path: Path) -> tuple[Sequence[RunEvent], bool]:
    """Return the events of a journal, none where nothing has begun, and whether its end is torn."""
    journal = path / "journal.jsonl"
    if not journal.exists():
        return (), False
    try:
        scan = scan_journal(journal)
    except RunError as error:
        if not journal.exists():  # its owner removes the run now
            return (), False
        raise StoreError(
            f"{error.message}: what this run needs is not known",
            hint=error.hint or f"remove {path} if it is not needed any more",
        ) from None
    return scan.events, scan.is_torn


def _segments(events: Iterable[RunEvent]) -> list[list[RunEvent]]:
    """Return the events of each run in a journal."""
    found: list[list[RunEvent]] = []
    for event in events:
        if isinstance(event, RunStarted) or not found:
            found.append([])
        found[-1].append(event)
    return found


def _ended_well(events: Sequence[RunEvent]) -> bool:
    return any(isinstance(item, RunFinished) and item.state is RunState.OK for item in events)


def _made(events: Iterable[RunEvent]) -> tuple[dict[TaskKey, str], set[Digest]]:
    """Return the results that a run made or found, and the objects of their products."""
    tasks: dict[TaskKey, str] = {}
    digests: set[Digest] = set()
    for event in events:
        if isinstance(event, TaskCached) or (
            isinstance(event, AttemptFinished) and event.state is TaskState.OK
        ):
            tasks.setdefault(event.key, event.task)
            for product in event.products.values():
                digests.update(item.digest for item in product.files)
    return tasks, digests


def _linked(products: Path) -> Iterator[Digest]:
    """Yield the names of the objects that products lead to."""
    for path in products.rglob("*"):
        if path.is_symlink():
            yield Digest(path.readlink().name)


def is_driven(path: Path) -> bool:
    """Return True where a driver holds a run directory, or nobody can tell."""
    try:
        handle = os.open(path / "run.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
