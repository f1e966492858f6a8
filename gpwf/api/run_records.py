"""The provenance records of the runs of a store, or of the runs that are named."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any

from gpwf.api.known_runs import store_of
from gpwf.api.recording import write_provenance
from gpwf.api.runs import Run, find_runs
from gpwf.core.runs import RunState
from gpwf.errors import GpwfError, ProvenanceError, RunError, UsageError
from gpwf.prov.ingest import companions
from gpwf.prov.lineage import Lineage
from gpwf.prov.lineage_index import LineageIndex
from gpwf.prov.stream import write_record
from gpwf.prov.vocabulary import RECORD_FORMAT
from gpwf.run.journal import scan_journal
from gpwf.store.registry import Presence, RunRegistry

__all__ = [
    "RecordSet",
    "RunRecord",
    "Skipped",
    "is_whole",
    "newer_note",
    "no_runs",
    "record_of_run",
    "runs_of_store",
    "write_spare",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A record, and the run that it tells of.

    Parameters
    ----------
    path : Path
        The PROV-JSON file.
    run : Path or None
        The run directory; None for a file from elsewhere.
    """

    path: Path
    run: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A run that could not be asked.

    Parameters
    ----------
    run : str
        Its directory.
    reason : str
        Why.
    """

    run: str
    reason: str


def record_of_run(run: Run, *, spare: Path | None = None) -> Path:
    """Return the PROV-JSON of a run, made anew where its journal has gone on since.

    Parameters
    ----------
    run : Run
        The run.
    spare : Path, optional
        Folder for the record where that of the run cannot be written.

    Raises
    ------
    ProvenanceError, RunError
        Where there is no record, and plan or journal do not give one.
    """
    record, journal = run.provenance, run.path / "journal.jsonl"
    if record.is_file() and record.stat().st_mtime_ns >= journal.stat().st_mtime_ns:
        return record
    live = run.is_live or (not record.is_file() and run.state is RunState.RUNNING)
    try:
        return write_provenance(run, live=live)
    except ProvenanceError:
        if spare is None or os.access(run.path, os.W_OK):
            raise
        return write_spare(run, spare, live=live)


def write_spare(run: Run, folder: Path, *, live: bool = False) -> Path:
    """Write the record of a run into another folder; return the file.

    Raises
    ------
    ProvenanceError, RunError
        Where plan and journal do not give one.
    """
    text = run.path / "workflow.yaml"
    return write_record(
        folder / f"{run.path.name}.json",
        run.plan,
        scan_journal(run.path / "journal.jsonl").events,
        workflow_text=text.read_text(encoding="utf-8") if text.is_file() else None,
        live=live,
    )


def newer_note(index: LineageIndex) -> str:
    """Return what to say of a record that a newer gpwf wrote; nothing of another."""
    number = index.newer_format()
    if not number:
        return ""
    return (
        f"{index.record} was written by a newer gpwf (format {number}, known here: "
        f"{RECORD_FORMAT}): what is known of it is told"
    )


def is_whole(record: Path) -> bool:
    """Return whether a record has an end, which a torn one has not."""
    with record.open("rb") as stream:
        stream.seek(max(record.stat().st_size - 64, 0))
        return stream.read().rstrip().endswith(b"}")


def runs_of_store(
    store: Path, folders: Iterable[Path] = ()
) -> tuple[dict[Path, str], list[Skipped]]:
    """Return the run directories of a store with the id of their last run, newest first.

    Those that are registered, and those beside the store or below other folders that keep their
    products in it. A run directory that is gone is passed over: what it made may be known by
    others.

    Parameters
    ----------
    store : Path
        Folder of the store.
    folders : iterable of Path
        More folders to look in.

    Returns
    -------
    dict of Path to str
        Run directories; the id is empty where the run is not registered.
    list of Skipped
        Runs that cannot be asked.
    """
    registry = RunRegistry(store)
    found: dict[Path, str] = {}
    times: dict[Path, float] = {}
    skipped: list[Skipped] = []
    for path in sorted((store / "runs").glob("[!.]*.json")):
        entry = registry.get(path.stem)
        if entry is None:
            skipped.append(Skipped(run=str(path), reason="the entry cannot be read"))
            continue
        presence, place = entry.presence(store)
        if presence is Presence.HERE and (place / "journal.jsonl").is_file():
            place = place.resolve()
            found[place], times[place] = entry.run_id, _begun(place)
        else:
            reason = {
                Presence.GONE: "its directory is gone",
                Presence.UNREACHABLE: "its directory cannot be reached",
            }.get(presence, "its directory holds no journal")
            skipped.append(Skipped(run=str(place), reason=reason))
    for folder in dict.fromkeys((store.absolute().parent, *folders)):
        for place in find_runs(folder):
            if place not in found and _uses(place, store):
                found[place], times[place] = "", _begun(place)
    order = sorted(found, key=lambda place: (times[place], str(place)), reverse=True)
    return {place: found[place] for place in order}, skipped


def _begun(run: Path) -> float:
    try:
        return (run / "plan.json").stat().st_mtime
    except OSError:
        return 0.0


def _uses(run: Path, store: Path) -> bool:
    """Return whether the runs in a directory keep their products in a store."""
    try:
        with (run / "journal.jsonl").open("rb") as stream:
            event: Any = json.loads(stream.readline())["event"]
        named = Path(event["store"])
        used = named if named.exists() else store_of(run)  # moved, together with its store
        return used is not None and bool(os.path.realpath(used) == os.path.realpath(store))
    except (OSError, ValueError, KeyError, TypeError, GpwfError):
        return False


class RecordSet:
    """Records that are asked together; a context manager.

    Parameters
    ----------
    tell : callable, optional
        Told what takes a while.

    Attributes
    ----------
    records : list of RunRecord
        Those that could be opened, in the order in which they are asked.
    skipped : list of Skipped
        Runs that could not be asked, with the reason.
    warnings : list of str
        What else should be known.
    lineage : Lineage
        The records as one graph.
    """

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self._tell = tell
        self.records: list[RunRecord] = []
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []
        self._indexes: list[LineageIndex] = []
        self._ingested: dict[Path, LineageIndex] = {}
        self._spare: tempfile.TemporaryDirectory[str] | None = None
        self.lineage = Lineage(())

    def __enter__(self) -> RecordSet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.lineage.close()
        if self._spare is not None:
            self._spare.cleanup()

    def add_file(self, path: Path) -> None:
        """Add a PROV-JSON file.

        Raises
        ------
        ProvenanceError
            Where it is none.
        """
        self._open(path, None, keep=path.parent.name == "prov")
        self._take_in(path)

    def add_run(self, run: Path, *, required: bool = False) -> None:
        """Add the record of a run, and those of earlier runs in its directory.

        Parameters
        ----------
        run : Path
            The run directory.
        required : bool
            True where it is an error that the run cannot be asked.

        Raises
        ------
        GpwfError
            Where that is so, and a record can neither be read nor made.
        """
        run = run.resolve()
        if any(item.run == run for item in self.records):
            return
        try:
            self._open(self.path_of(run), run)
        except (GpwfError, OSError) as error:
            if required:
                raise
            reason = error.message if isinstance(error, GpwfError) else str(error)
            self.skipped.append(Skipped(run=str(run), reason=reason))
        self._take_in(run / "prov" / "prov.json")
        for path in sorted((run / "prov").glob("earlier-*.json")):
            try:
                self._open(path, run)
            except GpwfError as error:
                self.skipped.append(Skipped(run=str(path), reason=error.message))

    def add_store(
        self, store: Path, *, like: Sequence[str] = (), folders: Iterable[Path] = ()
    ) -> None:
        """Add the records of the runs of a store, newest first.

        Parameters
        ----------
        store : Path
            Folder of the store.
        like : sequence of str
            Patterns for the id, the name or the workflow of a run; any of them must fit.
        folders : iterable of Path
            More folders to look for runs in.
        """
        found, skipped = runs_of_store(store, folders)
        self.skipped += [] if like else skipped
        for run, run_id in found.items():
            if not like or _is_like(run, run_id, like):
                self.add_run(run)

    def path_of(self, run: Path) -> Path:
        """Return the record of a run, made where it is not there.

        Raises
        ------
        GpwfError
            Where it can neither be read nor made.
        """
        path = record_of_run(Run(run), spare=self._folder())
        if is_whole(path):
            return path
        try:
            made = write_spare(Run(run), self._folder())
        except GpwfError:  # the journal is damaged as well
            return path
        self.warnings.append(f"{path} is damaged: what is told was made from the journal")
        return made

    def directory_of(self, run_id: str) -> Path | None:
        """Return the directory of a run, where it is one of those that are asked."""
        key = f"gpwf:run-{run_id}"
        for record, index in zip(self.records, self._indexes, strict=True):
            if record.run is not None and index.named(key) and index.begun(key):
                return record.run
        return None

    def _folder(self) -> Path:
        if self._spare is None:
            self._spare = tempfile.TemporaryDirectory(prefix="gpwf-records-")
        return Path(self._spare.name)

    def _open(self, path: Path, run: Path | None, *, keep: bool = True) -> None:
        index = LineageIndex(path, keep=keep, tell=self._tell)
        if index.is_torn:
            self.warnings.append(f"{path} is damaged: only what stands before the damage is told")
        if newer := newer_note(index):
            self.warnings.append(newer)
        self._indexes.append(index)
        self.records.append(RunRecord(path=path, run=run))
        self._join()

    def _take_in(self, record: Path) -> None:
        """Add what was ingested and lies beside a record: each document has an index of its own."""
        for path in companions(record):
            if path in self._ingested:
                continue
            try:
                self._ingested[path] = LineageIndex(path, tell=self._tell)
            except ProvenanceError as error:
                self.warnings.append(f"{error.message}: it is left out")
        self._join()

    def _join(self) -> None:
        self.lineage = Lineage([*self._indexes, *self._ingested.values()])


def _is_like(run: Path, run_id: str, patterns: Sequence[str]) -> bool:
    names = [run.name, str(run), run_id, run.parent.name]
    if any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
        return True
    if any(
        pattern and (run.name.endswith(pattern) or run_id.startswith(pattern))
        for pattern in patterns
    ):
        return True
    try:
        return any(fnmatchcase(Run(run).plan.name, pattern) for pattern in patterns)
    except RunError:
        return False


def no_runs(like: Sequence[str], store: Path) -> UsageError:
    """Return the error that no run of a store is there to be asked."""
    if like:
        return UsageError(
            f"no run of the store {store} fits {', '.join(like)}", hint="`gpwf runs` lists them"
        )
    return UsageError(
        f"the store {store} knows no run", hint="name a run, or another store with --store"
    )
