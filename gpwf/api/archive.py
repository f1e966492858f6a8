"""Runs as archives want them: research object crates."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from gpwf.api.recording import write_provenance
from gpwf.api.runs import Run
from gpwf.core.runs import RunState
from gpwf.errors import RunError, StoreError, UsageError
from gpwf.prov.crate import CrateParts, CrateReport, write_crate
from gpwf.prov.crate_record import read_archived
from gpwf.store.store import Store

__all__ = ["CrateReport", "export_crate"]


def export_crate(
    run: Run,
    path: Path,
    *,
    with_inputs: bool = False,
    with_products: bool = True,
    overwrite: bool = False,
) -> CrateReport:
    """Write the Workflow Run RO-Crate of a run, profile Provenance Run Crate.

    Parameters
    ----------
    run : Run
        A run that has ended.
    path : Path
        Folder to make; an archive where the name ends in ``.zip``.
    with_inputs : bool
        Copy external input files; they are described with path, size and SHA-256 anyway.
    with_products : bool
        Copy products.
    overwrite : bool
        Replace a crate that is there.

    Returns
    -------
    CrateReport
        What was written, and what is not in the crate although it should be.

    Raises
    ------
    UsageError
        Where the run goes on, or something is there already.
    ProvenanceError, RunError
        Where the record cannot be read, tells of no attempt, or nothing can be written.
    """
    view, damage = run.look()
    if view.state is RunState.RUNNING:
        raise UsageError(
            f"{run.path.name} still goes on: a crate holds a run that has ended",
            hint="`gpwf prov export --format json` writes the record of this moment",
        )
    record = _record(run)
    notes = [damage] if damage else []
    texts = {name: run.path / name for name in ("journal.jsonl", "log.jsonl")}
    if _names_somebody(run) and read_archived(record).person is None:
        # who asked for a record without names does not want them in the files beside it
        texts = {}
        notes.append("the record names nobody: the journal and the log, which do, are left out")
    workflow = run.path / "workflow.yaml"
    report = write_crate(
        CrateParts(
            record=record,
            plan=run.plan,
            plan_file=run.path / "plan.json",
            texts=texts,
            workflow=workflow.read_text(encoding="utf-8") if workflow.is_file() else "",
            find=partial(_find, _store(run)),
        ),
        path,
        with_inputs=with_inputs,
        with_products=with_products,
        overwrite=overwrite,
    )
    return CrateReport(
        path=report.path,
        n_entities=report.n_entities,
        n_files=report.n_files,
        n_bytes=report.n_bytes,
        problems=report.problems,
        notes=(*notes, *report.notes),
    )


def _record(run: Run) -> Path:
    """Return the record, made anew where the journal has gone on since."""
    record, journal = run.provenance, run.path / "journal.jsonl"
    if record.is_file() and record.stat().st_mtime_ns >= journal.stat().st_mtime_ns:
        return record
    return write_provenance(run)


def _store(run: Run) -> Store | None:
    try:
        return Store(run.store, create=False)
    except (OSError, RunError, StoreError):
        return None  # every product is named as missing then


def _find(store: Store | None, digest: str) -> Path | None:
    if store is None:
        return None
    path = store.objects.path(digest)  # type: ignore[arg-type]
    return path if path.is_file() else None


def _names_somebody(run: Run) -> bool:
    """Return True where the journal's first line names who started the run."""
    try:
        with (run.path / "journal.jsonl").open("rb") as stream:
            first = json.loads(stream.readline())
        return bool(first["event"]["agent"].get("user"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
