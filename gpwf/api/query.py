"""Questions to the provenance of all runs of a store, wired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from gpwf.api.find_record import find_record, product_file
from gpwf.api.run_records import RecordSet, RunRecord, Skipped, no_runs
from gpwf.api.runs import Run, open_run
from gpwf.api.stores import find_store
from gpwf.errors import GpwfError, UsageError
from gpwf.prov.lineage import Direction, Walk
from gpwf.prov.lineage_find import find
from gpwf.prov.query import Questions
from gpwf.prov.query_answers import Attempt, Code, Input, Product, Setting, Software
from gpwf.prov.query_items import Ancestry, Item, Tie, ancestry
from gpwf.run.showing import safe_name
from gpwf.store.cards import read_cards
from gpwf.store.store import is_store

__all__ = [
    "Ancestry",
    "Attempt",
    "Code",
    "Input",
    "Item",
    "Product",
    "Provenance",
    "Setting",
    "Software",
    "Tie",
    "open_provenance",
]


class Provenance:
    """The records of several runs, to be asked; a context manager.

    Parameters
    ----------
    records : RecordSet
        The records, in the order in which a name is looked up; closed with this object.

    Examples
    --------
    ::

        with open_provenance() as provenance:
            for item in provenance.products("events.fits"):
                print(item.task, item.port, item.path)
    """

    def __init__(self, records: RecordSet) -> None:
        self._records = records
        self._questions = Questions(records.lineage)
        self._directories: dict[str, Path | None] = {}

    def __enter__(self) -> Provenance:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<provenance of {len(self.records)} records, {len(self.skipped)} skipped>"

    def close(self) -> None:
        """Close the files."""
        self._records.__exit__(None, None, None)

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """The records that are asked."""
        return tuple(self._records.records)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Runs that could not be asked."""
        return tuple(self._records.skipped)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What else should be known: damaged records, files that were changed."""
        return tuple(self._records.warnings)

    def directory_of(self, run: str) -> Path | None:
        """Return the directory of a run, given its id, where it is one of those that are asked."""
        if run not in self._directories:
            self._directories[run] = self._records.directory_of(run) if run else None
        return self._directories[run]

    def name_of(self, run: str) -> str:
        """Return the name of the directory of a run, or the beginning of its id."""
        folder = self.directory_of(run)
        return folder.name if folder is not None else run[:8]

    def lineage(self, of: str | Path, direction: str = "up", depth: int | None = None) -> Ancestry:
        """Return what something came from, or with ``down`` what became of it.

        Parameters
        ----------
        of : str or Path
            A product (``fit.models``, ``sim[seed=3].datasets``), task, step, file, digest, setting
            (``fit_range.min=1 TeV``), or identifier of the record.
        direction : str
            ``up`` or ``down``.
        depth : int, optional
            Most attempts on a way; no bound by default.

        Raises
        ------
        UsageError
            Where nothing fits ``of``, or different things do.
        """
        return ancestry(self._questions, self._walk(of, Direction(direction), depth))

    def inputs(
        self, of: str | Path | None = None, direction: str = "up", depth: int | None = None
    ) -> list[Input]:
        """Return the files from outside that something depends on; those of all runs by default."""
        walk = None if of is None else self._walk(of, Direction(direction), depth)
        return self._questions.inputs(walk)

    def parameters(
        self,
        of: str | Path | None = None,
        like: str = "",
        direction: str = "up",
        depth: int | None = None,
        *,
        changed: bool = False,
    ) -> list[Setting]:
        """Return the settings that something depends on, with their origins.

        Parameters
        ----------
        of : str or Path, optional
            See `lineage`; all runs by default.
        like : str
            ``NAME`` or ``NAME=VALUE``, with ``*`` for anything.
        direction : str
            ``down`` for the settings of what was made from it.
        depth : int, optional
            Most attempts on a way; no bound by default.
        changed : bool
            True for those alone that are not the defaults of their steps.
        """
        scope = None if of is None else self._walk(of, Direction(direction), depth).depth
        return self._questions.settings(scope, like, changed=changed)

    def software(
        self, of: str | Path | None = None, direction: str = "up", depth: int | None = None
    ) -> tuple[list[Software], list[Code], list[dict[str, Any]]]:
        """Return distributions, code of the steps, and environments that something depends on."""
        scope = None if of is None else self._walk(of, Direction(direction), depth).depth
        return self._questions.software(scope)

    def products(
        self, of: str | Path, direction: str = "down", depth: int | None = None
    ) -> list[Product]:
        """Return the products that were made of something, in all runs; with ``up``, of which."""
        found = self._questions.products(self._walk(of, Direction(direction), depth))
        return [replace(item, path=self._path_of(item)) for item in found]

    def attempts(
        self,
        of: str | Path | None = None,
        where: Sequence[tuple[str, str]] = (),
        direction: str = "up",
        depth: int | None = None,
    ) -> list[Attempt]:
        """Return attempts at tasks, earliest first.

        Parameters
        ----------
        of, direction, depth
            See `lineage`; the attempts of all runs by default.
        where : sequence of (str, str)
            Conditions, all of which hold: see `gpwf.prov.query_facts.Facts.fulfils`.
        """
        scope = None if of is None else self._walk(of, Direction(direction), depth).depth
        return self._questions.attempts(scope, where)

    # ---- parts ---------------------------------------------------------------------------------

    def _walk(
        self, of: str | Path, direction: Direction = Direction.UP, depth: int | None = None
    ) -> Walk:
        lineage = self._records.lineage
        return lineage.walk(find(lineage, self._meant(of)), direction, depth)

    def _meant(self, of: str | Path) -> str:
        """Return what a file on the disk, or the folder of a product, is called in the records."""
        of = product_file(of) or of
        if not _is_file(of):
            return str(of)
        runs = [item.run for item in self.records if item.run is not None]
        found = find_record(Path(of), runs=runs)
        if found.changed:
            self._records.warnings.append(f"{of} was changed after {found.task} made it")
        return found.entity

    def _path_of(self, item: Product) -> str:
        run = self.directory_of(item.run)
        if run is None:
            return ""
        step, bracket, place = item.task.partition("[")
        parts = [safe_name(step), *([safe_name(place.rstrip("]"))] if bracket else [])]
        folder = run.joinpath("products", *parts, safe_name(item.port))
        return str(folder) if folder.is_dir() else ""


def open_provenance(
    run: str | Path | None = None,
    *,
    store: Path | None = None,
    runs: Sequence[str] = (),
    of: str | Path | None = None,
    alone: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Provenance:
    """Open the provenance of runs, to ask it.

    Parameters
    ----------
    run : str or Path, optional
        A run directory, the end of its name, a workflow, or a PROV-JSON file: names are looked up
        in it first. The other runs of its store are asked as well.
    store : Path, optional
        The store; by default that of the run, ``GPWF_STORE``, or ``.gpwf`` here.
    runs : sequence of str
        Patterns for ids, names or workflows of runs: only these are asked.
    of : str or Path, optional
        A file that the store is looked for with, where neither run nor store is given.
    alone : bool
        True to ask nothing but the run that is named.
    tell : callable, optional
        Told what takes a while.

    Raises
    ------
    UsageError
        Where there is no such run, no store, or no run to be asked.
    ProvenanceError
        Where the record that is named cannot be read.
    """
    records = RecordSet(tell)
    try:
        of = of if of is None else product_file(of) or of
        if run is not None and _is_file(run):
            if Path(run).suffix != ".json" or read_cards(Path(run)):
                raise UsageError(
                    f"{run} is no run and no record", hint=f"ask for a file with --of {run}"
                )
            records.add_file(Path(run))
            if store is not None:
                records.add_store(store, like=runs)
            return Provenance(records)
        if run is not None:
            opened = open_run(run)
            records.add_run(opened.path, required=True)
            if alone and not runs:
                return Provenance(records)
            store = store or _store_of(opened)
        elif of is not None and store is None and _is_file(of):
            found = find_record(Path(of))
            records.add_run(found.run)
            store = found.store or _store_of(Run(found.run))
        store = store or (find_store() if run is None else None)
        if store is not None:
            if not is_store(store):
                raise UsageError(f"{store} is not a store", hint="name one with --store")
            records.add_store(store, like=runs)
            if not records.records:
                raise no_runs(runs, store)
        return Provenance(records)
    except BaseException:
        records.__exit__(None, None, None)
        raise


def _store_of(run: Run) -> Path | None:
    """Return the store of a run, None where it is gone."""
    try:
        store = run.store
    except GpwfError:
        return None
    return store if is_store(store) else None


def _is_file(path: str | Path) -> bool:
    try:
        return Path(path).is_file()
    except OSError:  # too long for a path
        return False
