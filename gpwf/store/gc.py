"""What a store no longer needs: mark from the roots, sweep the rest.

Results go before objects, and an object goes only when no result that is left refers to it. So a
process that is killed in between leaves a whole store: at worst some objects that nobody needs
yet, for the next time.

Nobody is locked out meanwhile. Four things keep what a run uses in the same instant:

- what is younger than a limit stays; the limit lies before the start of every run that works now,
  and whoever finds a result in the store touches it (`gpwf.store.store.Store.use`),
- what a kept run made stays, also where its journal does not say so yet,
- before objects go, the results are read again for new ones,
- a file that was touched or replaced since it was judged goes back (`gpwf.store.removal`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gpwf.core.digests import Digest, TaskKey
from gpwf.errors import StoreError
from gpwf.store.atomic import sync_folder
from gpwf.store.removal import Remover, allocated, youngest_ns
from gpwf.store.results import StoredResult, read_result
from gpwf.store.store import Store

__all__ = ["Freed", "Roots", "Sweep", "SweptRun"]

_CACHES = ("plans", "memo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """What stays, and everything that it needs.

    Parameters
    ----------
    keys : frozenset of TaskKey
        Results that stay.
    digests : frozenset of Digest
        Objects that stay, besides those of the results.
    made_by : frozenset of str
        Ids of runs whose own results stay.
    young_ns : int
        What was made or touched at this time or later stays.
    old_draft_ns : int
        Drafts and damaged files that were written before this time go.
    old_cache_ns : int
        Caches that were written before this time go.
    frozen : bool
        True where ages say nothing and a run works: results and objects all stay.
    """

    keys: frozenset[TaskKey]
    digests: frozenset[Digest]
    made_by: frozenset[str]
    young_ns: int
    old_draft_ns: int
    old_cache_ns: int
    frozen: bool = False


@dataclass(slots=True, kw_only=True)
class Freed:
    """How many files of a sort go, and the bytes this gives back."""

    files: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.files += 1
        self.bytes += size


@dataclass(slots=True, kw_only=True)
class SweptRun:
    """What goes of the products that one run made."""

    results: Freed = field(default_factory=Freed)
    objects: Freed = field(default_factory=Freed)


class Sweep:
    """One pass over a store. `run` does it all.

    Parameters
    ----------
    store : Store
        The store; where ``apply`` is True its `sweep_lock` is held.
    roots : Roots
        What stays.
    apply : bool
        False to look only.

    Attributes
    ----------
    by_run : dict of str to SweptRun
        What goes by id of the run that made it; under the empty id what no result refers to.
    drafts, damaged, caches : Freed
        What else goes.
    kept : SweptRun
        What stays.
    """

    def __init__(self, store: Store, roots: Roots, *, apply: bool) -> None:
        self._store = store
        self._roots = roots
        self._apply = apply
        self._remover = Remover(apply=apply)
        self._needed: set[Digest] = set(roots.digests)
        self._known: set[str] = set()
        self._owner: dict[Digest, str] = {}
        self.by_run: dict[str, SweptRun] = {}
        self.drafts, self.damaged, self.caches = Freed(), Freed(), Freed()
        self.kept = SweptRun()

    def run(self) -> None:
        """Remove, or count, what is not needed.

        Raises
        ------
        StoreError
            Where the store cannot be read or written; what was removed until then was not needed.
        """
        root = self._store.root
        try:
            for name in ("objects", "results"):
                for folder in _entries(root / name):
                    self._remover.put_back(folder)
            if not self._roots.frozen:
                self._sweep_results()
                self._sweep_objects()
                self._sweep_drafts()
            self._sweep_caches()
        except OSError as error:
            raise StoreError(
                f"the store {root} cannot be cleaned: {error.filename}: {error.strerror or error}",
                hint="what was removed until now was not needed; run `gpwf gc` again",
            ) from None

    def _of(self, run_id: str) -> SweptRun:
        return self.by_run.setdefault(run_id, SweptRun())

    # ---- results ---------------------------------------------------------------------------------

    def _sweep_results(self) -> None:
        changed: set[Path] = set()
        for path, status in files_of(self._store.root / "results"):
            result = _result_at(path)
            if result is not None and self._stays(result, status):
                self._mark(path, result, status)
                continue
            if result is None and youngest_ns(status) >= self._roots.young_ns:
                continue
            size = self._remover.remove(path, status)
            if size is None:  # used in this instant: read again before the objects go
                continue
            changed.add(path.parent)
            run_id = result.run_id if result is not None else ""
            self._of(run_id).results.add(size)
            for digest in _digests(result):
                self._owner.setdefault(digest, run_id)
        for folder in changed if self._apply else ():
            sync_folder(folder)  # or a result could come back after a power cut without its objects

    def _stays(self, result: StoredResult, status: os.stat_result) -> bool:
        roots = self._roots
        return (
            result.key in roots.keys
            or result.run_id in roots.made_by
            or youngest_ns(status) >= roots.young_ns
        )

    def _mark(self, path: Path, result: StoredResult, status: os.stat_result) -> None:
        self._known.add(path.name)
        self._needed.update(_digests(result))
        self.kept.results.add(allocated(status))

    def _mark_new_results(self) -> None:
        """Mark what results that have come since need; those that were judged are gone."""
        if not self._apply:
            return
        for path, status in files_of(self._store.root / "results"):
            if path.name not in self._known:
                result = _result_at(path)
                if result is not None:
                    self._mark(path, result, status)

    # ---- objects ---------------------------------------------------------------------------------

    def _sweep_objects(self) -> None:
        unmarked = [
            (path, status)
            for path, status in files_of(self._store.root / "objects")
            if not self._is_needed(path, status)
        ]
        self._mark_new_results()  # after the objects were looked at, so that new ones differ
        for path, status in unmarked:
            digest = Digest(path.name)
            if digest in self._needed:
                self.kept.objects.add(allocated(status))
                continue
            size = self._remover.remove(path, status)
            if size is not None:
                self._of(self._owner.get(digest, "")).objects.add(size)

    def _is_needed(self, path: Path, status: os.stat_result) -> bool:
        found = path.name in self._needed or youngest_ns(status) >= self._roots.young_ns
        if found:
            self.kept.objects.add(allocated(status))
        return found

    # ---- the rest --------------------------------------------------------------------------------

    def _sweep_drafts(self) -> None:
        """Remove what killed processes had begun to write, and damaged bytes of long ago."""
        root = self._store.root
        for folder, freed in ((root / "tmp", self.drafts), (root / "damaged", self.damaged)):
            for path in _entries(folder):
                self._remove_old(path, freed, self._roots.old_draft_ns)
        folders = [root, root / "runs", root / "pins", root / "objects", root / "cache"]
        folders += [root / "cache" / name for name in _CACHES]
        for name in ("results", "objects"):
            folders += [path for path in _entries(root / name) if path.is_dir()]
        for folder in folders:
            for path in _entries(folder):
                if path.name.startswith(".") and path.name.endswith(".part"):
                    self._remove_old(path, self.drafts, self._roots.old_draft_ns)

    def _sweep_caches(self) -> None:
        for name in _CACHES:
            for path in _entries(self._store.root / "cache" / name):
                if not path.name.startswith("."):
                    self._remove_old(path, self.caches, self._roots.old_cache_ns)
        if self._apply:
            self._store.forget_absent()

    def _remove_old(self, path: Path, freed: Freed, before_ns: int) -> None:
        try:
            if youngest_ns(path.lstat()) >= before_ns:
                return
        except FileNotFoundError:
            return
        freed.add(self._remover.remove_tree(path))


def files_of(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the files of a two-level folder of a store, drafts left out."""
    for inner in _entries(folder):
        if inner.name.startswith(".") or not inner.is_dir():
            continue
        for path in _entries(inner):
            if path.name.startswith("."):
                continue
            try:
                yield path, path.lstat()
            except FileNotFoundError:
                continue


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _result_at(path: Path) -> StoredResult | None:
    try:
        result = read_result(path.read_bytes())
    except FileNotFoundError:
        return None
    return result if result is not None and result.key == path.name else None


def _digests(result: StoredResult | None) -> Iterator[Digest]:
    for product in result.products.values() if result is not None else ():
        for item in product.files:
            yield item.digest
