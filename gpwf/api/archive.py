"""Runs as archives want them: research object crates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gpwf.api.recording import write_provenance
from gpwf.api.runs import Run
from gpwf.core.runs import RunState
from gpwf.errors import RunError, UsageError
from gpwf.prov.crate import CrateReport, write_crate
from gpwf.prov.crate_source import crate_parts

__all__ = ["CrateReport", "export_crate"]


def export_crate(
    run: Run,
    path: Path,
    *,
    with_inputs: bool = False,
    with_products: bool = True,
    with_ingested: bool = True,
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
    with_ingested : bool
        Add the documents that `gpwf prov ingest` made of what other tools wrote, and the verdict
        of a reproduction.
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
    parts, left_out = crate_parts(record, run.path, run.plan, _store(run), ingested=with_ingested)
    report = write_crate(
        parts,
        path,
        with_inputs=with_inputs,
        with_products=with_products,
        overwrite=overwrite,
    )
    notes = (*([damage] if damage else ()), *left_out, *report.notes)
    return replace(report, notes=notes)


def _record(run: Run) -> Path:
    """Return the record, made anew where the journal has gone on since."""
    record, journal = run.provenance, run.path / "journal.jsonl"
    if record.is_file() and record.stat().st_mtime_ns >= journal.stat().st_mtime_ns:
        return record
    return write_provenance(run)


def _store(run: Run) -> Path | None:
    try:
        return run.store
    except RunError:
        return None
