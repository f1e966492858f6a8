"""What a crate is made of, from a run directory and its store."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gpwf.core.digests import Digest
from gpwf.core.plan import Plan
from gpwf.core.plan_codec import plan_from_plain
from gpwf.errors import ProvenanceError, StoreError
from gpwf.prov.crate import CrateParts, write_crate
from gpwf.prov.crate_record import ArchivedRecord, read_archived
from gpwf.prov.ingest import companions
from gpwf.store.store import Store

if TYPE_CHECKING:
    from gpwf.prov.export import Source

__all__ = ["crate_parts", "write_folder"]


def crate_parts(
    record: Path, run: Path, plan: Plan, store: Path | None, *, ingested: bool = True
) -> tuple[CrateParts, list[str]]:
    """Return the parts of the crate of a run, and what is left out on purpose.

    Parameters
    ----------
    record : Path
        The PROV-JSON record of the run.
    run : Path
        The run directory.
    plan : Plan
        Its plan.
    store : Path, optional
        Folder of the store; without one no product is found.
    ingested : bool
        With the documents that were ingested.

    Raises
    ------
    ProvenanceError
        Where the record cannot be read.
    """
    texts = {name: run / name for name in ("journal.jsonl", "log.jsonl")}
    more = {f"prov/{path.name}": path for path in companions(record)} if ingested else {}
    notes = []
    if read_archived(record).person is None and _names_somebody(run / "journal.jsonl"):
        # who asked for a record without names does not want them in the files beside it
        texts, more = {}, {}
        notes.append("the record names nobody: the journal and the log, which do, are left out")
        if ingested and companions(record):
            notes.append("so is what other tools wrote, which may")
    workflow = run / "workflow.yaml"
    parts = CrateParts(
        record=record,
        plan=plan,
        plan_file=run / "plan.json",
        texts={**texts, **more},
        workflow=workflow.read_text(encoding="utf-8") if workflow.is_file() else "",
        find=partial(_find, _opened(store)),
    )
    return parts, notes


def write_folder(source: Source, folder: Path) -> None:
    """Write the crate of a run as a folder, see `gpwf.prov.formats`.

    Raises
    ------
    ProvenanceError
        Where the source is no run, or a product of it is missing.
    """
    if source.run is None:
        raise ProvenanceError(
            f"{source.record} lies in no run directory: a crate is made of a run",
            hint="give the run directory",
        )
    plan = plan_from_plain(json.loads((source.run / "plan.json").read_bytes()))
    store = _store_of(read_archived(source.record))
    parts, _ = crate_parts(source.record, source.run, plan, store, ingested=source.ingested)
    report = write_crate(parts, folder)
    if report.problems:
        more = len(report.problems) - 1
        raise ProvenanceError(
            f"{report.problems[0]}{f'; and {more} more' if more else ''}",
            hint="`gpwf prov export --format crate` writes what is there",
        )


def _store_of(record: ArchivedRecord) -> Path | None:
    store = str(record.run.get("store"))
    return Path(store) if store else None


def _opened(store: Path | None) -> Store | None:
    try:
        return Store(store, create=False) if store is not None else None
    except (OSError, StoreError):
        return None  # every product is named as missing then


def _find(store: Store | None, digest: str) -> Path | None:
    if store is None:
        return None
    path = store.objects.path(Digest(digest))
    return path if path.is_file() else None


def _names_somebody(journal: Path) -> bool:
    """Return True where the first line of a journal names who started the run."""
    try:
        with journal.open("rb") as stream:
            first = json.loads(stream.readline())
        return bool(first["event"]["agent"].get("user"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
