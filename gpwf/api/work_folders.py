"""What killed drivers leave behind in run directories: private folders of attempts, drafts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpwf.api.known_runs import KnownRun
from gpwf.api.retention import Fate
from gpwf.run.showing import safe_name
from gpwf.store.gc import Freed
from gpwf.store.removal import Remover, youngest_ns

__all__ = ["sweep_work"]


def sweep_work(decided: Iterable[Fate], remover: Remover, young_ns: int) -> Freed:
    """Remove folders of attempts that nobody works in any more.

    Those of failed attempts are kept for their owner as long as the run keeps its products.

    Parameters
    ----------
    decided : iterable of Fate
        The runs.
    remover : Remover
        Removes, or counts.
    young_ns : int
        What was changed at this time or later stays, in nanoseconds.
    """
    freed = Freed()
    for fate in decided:
        if fate.run.is_live:
            continue
        for path in _left(fate.run, keeps=fate.keeps):
            with contextlib.suppress(OSError):
                if _youngest_ns(path) < young_ns:
                    _remove(fate.run, path, remover, freed)
    return freed


def _left(run: KnownRun, *, keeps: bool) -> Iterator[Path]:
    """Yield what a run left behind that nobody needs."""
    failed = {(safe_name(task), number) for task, number in run.failed} if keeps else set()
    for task in _entries(run.path / "work"):
        attempts = _entries(task) if task.is_dir() and not task.is_symlink() else []
        doomed = [item for item in attempts if (task.name, _number(item)) not in failed]
        # as a whole where nothing is left, and what a killed cleaner had moved aside
        yield from doomed if len(doomed) < len(attempts) else [task]
    for folder in (run.path, run.path / "prov"):
        yield from (item for item in _entries(folder) if _is_draft(item.name))


def _number(attempt: Path) -> int:
    """Return the number of an attempt from the name of its folder: ``2-8f3a91c0``."""
    number = attempt.name.partition("-")[0]
    return int(number) if number.isdigit() else 0


def _youngest_ns(path: Path) -> int:
    """Return when a folder, or something right inside it, was last changed."""
    inside = _entries(path) if path.is_dir() and not path.is_symlink() else []
    return max(youngest_ns(item.lstat()) for item in (path, *inside))


def _remove(run: KnownRun, path: Path, remover: Remover, freed: Freed) -> None:
    if not remover.applies:
        freed.add(remover.remove_tree(path))
        return
    aside = run.path / "work" / f".gc-{secrets.token_hex(6)}"
    with _locked(run) as is_ours:
        if not is_ours:  # a driver has taken the folder up again
            return
        path.rename(aside)
    freed.add(remover.remove_tree(aside))


@contextmanager
def _locked(run: KnownRun) -> Iterator[bool]:
    """Hold a run directory for an instant; a driver that starts meanwhile waits for as long."""
    handle = os.open(run.path / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(".part")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
