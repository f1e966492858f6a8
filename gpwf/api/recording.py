"""Names of products and the provenance record of a run, made while the run goes on.

Both are folds over the journal. Of a small run the driver makes them between its tasks, of a large
one its companion does. Whatever goes wrong, the journal still has everything: `write_provenance`
makes the record from it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gpwf.api.companion import Companion, JournalLinks
from gpwf.api.run_texts import texts_and_digests
from gpwf.api.runs import Run
from gpwf.core.plan import Plan, Task, TaskAlias
from gpwf.core.runs import Product, RunEvent, RunStarted
from gpwf.errors import ProvenanceError
from gpwf.prov.stream import RecordWriter, write_record
from gpwf.run.journal import read_journal
from gpwf.run.rundir import RunDirectory
from gpwf.run.showing import ProductLinks, Shows, cannot_show
from gpwf.store.store import Store

__all__ = ["MANY_TASKS", "Recording", "open_recording", "write_provenance"]

#: Tasks from which on a companion is worth its start of a quarter of a second.
MANY_TASKS = 2000


def write_provenance(run: Run, *, live: bool = False) -> Path:
    """Write ``prov/prov.json`` of a run from its plan and its journal; return the path.

    Parameters
    ----------
    run : Run
        The run.
    live : bool
        True where its driver still works: the record is of this moment, and goes to
        ``prov/live.json``, out of the way of the one that the driver will write.

    Raises
    ------
    ProvenanceError, RunError
        Where plan or journal cannot be read.
    """
    return write_record(
        run.provenance.with_name("live.json") if live else run.provenance,
        run.plan,
        read_journal(run.path / "journal.jsonl"),
        **texts_and_digests(run, live=live),
        live=live,
    )


class Recording(Protocol):
    """Takes the events of a run, in the end writes its record.

    Attributes
    ----------
    showing : Shows or None
        What gives products readable names; None where the engine is to do it.
    """

    showing: Shows | None

    def apply(self, event: RunEvent) -> None:
        """Take in an event that the journal has."""

    def write(self, run: Run) -> bool:
        """Write the record; return False where it must be made from the journal."""

    def close(self) -> None:
        """Give back what is held."""


def open_recording(
    rundir: RunDirectory, plan: Plan, store: Store, *, many: int | None = None
) -> Recording:
    """Return what records a run.

    Parameters
    ----------
    rundir : RunDirectory
        Folder of the run, locked.
    plan : Plan
        The plan.
    store : Store
        Where the products are.
    many : int, optional
        Number of tasks from which on a companion does it; `MANY_TASKS` by default.
    """
    if len(plan.tasks) >= (MANY_TASKS if many is None else many):
        return _Beside(rundir, plan, store)
    return _Here(rundir.prov / "prov.json", plan)


class _Here:
    """Records in this process, event by event; its end costs little then."""

    showing: Shows | None = None

    def __init__(self, path: Path, plan: Plan) -> None:
        self._writer: RecordWriter | None = None
        with contextlib.suppress(ProvenanceError):  # the disk may be full for a moment
            self._writer = RecordWriter(path, plan)

    def apply(self, event: RunEvent) -> None:
        if self._writer is not None:
            try:
                self._writer.apply(event)
            except ProvenanceError:
                self.close()

    def write(self, run: Run) -> bool:
        if self._writer is None:
            return False
        try:
            self._writer.finish(**texts_and_digests(run))
        except ProvenanceError:
            return False
        return True

    def close(self) -> None:
        if self._writer is not None:
            self._writer.__exit__(None, None, None)
            self._writer = None


class _Beside:
    """Lets a companion record and give names."""

    def __init__(self, rundir: RunDirectory, plan: Plan, store: Store) -> None:
        self.showing: Shows | None = self
        self._rundir = rundir
        self._plan = plan
        self._store = store
        self._companion = Companion(rundir.path, store.root)

    def apply(self, event: RunEvent) -> None:
        if isinstance(event, RunStarted):  # plan and journal are there now
            self._companion.follow()

    def write(self, run: Run) -> bool:
        return self._companion.has_recorded() and run.provenance.is_file()

    def close(self) -> None:
        self._companion.close()

    # ---- names ------------------------------------------------------------------------------

    def show(self, task: Task | TaskAlias, products: Mapping[str, Product]) -> None:
        """Do nothing: the journal tells."""

    def flush(self) -> None:
        """Do nothing: it is under way."""

    def finish(self) -> None:
        if self._companion.has_named():
            return
        links = JournalLinks(self._plan, ProductLinks(self._rundir.products, self._store.objects))
        try:
            for event in read_journal(self._rundir.journal):
                links.show(event)
        except OSError as error:
            raise cannot_show(error) from None
