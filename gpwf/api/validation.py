"""Validate a record: its statements, and the files that it names."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from gpwf.api.record_anew import check_anew
from gpwf.api.record_files import check_files
from gpwf.api.run_texts import texts_and_digests
from gpwf.api.runs import Run
from gpwf.core.diagnostics import Severity
from gpwf.errors import GpwfError, UsageError
from gpwf.prov.ingest import companions
from gpwf.prov.stream import write_record
from gpwf.prov.validation.check import check_file
from gpwf.prov.validation.findings import Finding, Report
from gpwf.run.journal import read_journal

__all__ = ["Report", "run_of_record", "validate_record", "validate_run"]

#: Where one of these is broken, there is nothing to compare the statements of a record with.
_SOURCES = frozenset({"FI-01", "FI-02", "FI-03", "FI-04", "FI-05", "FI-11", "RD-01"})


def validate_record(
    path: Path, *, files: bool = False, on_file: Callable[[Path], None] | None = None
) -> Report:
    """Check a record in a file, of gpwf or from elsewhere, with what was ingested beside it.

    Parameters
    ----------
    path : Path
        PROV-JSON, PROV-JSONLD, PROV-N, PROV-XML, Turtle or TriG.
    files : bool
        Compare the files of the run, which the record must lie in, as well.
    on_file : callable, optional
        Called with every file before it is read.

    Raises
    ------
    ProvenanceError
        Where the file is no record, or a library is missing.
    UsageError
        Where files are to be compared and the record lies in no run directory.
    """
    run = run_of_record(path)
    if files and run is None:
        raise UsageError(
            f"{path} lies in no run directory, so there are no files to compare",
            hint="give the run directory, or leave --files out",
        )
    if files and run is not None and path.name != run.provenance.name:
        raise UsageError(
            f"{path} is not the record of the last run there, which replaced its files",
            hint=f"give {run.path}, or leave --files out",
        )
    report = check_file(path, companions(path))
    if files and run is not None:
        report.extend(check_files(run, path, report.files, on_file))
        if not run.is_live and _SOURCES.isdisjoint(item.rule for item in report.findings):
            report.extend(check_anew(run, path))
    return report


def validate_run(
    run: Run, *, files: bool = False, on_file: Callable[[Path], None] | None = None
) -> Report:
    """Check the record of a run, as it lies there.

    The record is never written again: one that was made after a journal was edited would say
    nothing of it. A run without a record is checked by one that is made for the purpose.

    Parameters
    ----------
    run : Run
        The run.
    files : bool
        Compare the files of the run, products and inputs as well.
    on_file : callable, optional
        Called with every file before it is read.

    Raises
    ------
    ProvenanceError
        Where ``prov/prov.json`` is no record at all.
    """
    if run.provenance.is_file():
        return validate_record(run.provenance, files=files, on_file=on_file)
    live = run.is_live
    with tempfile.TemporaryDirectory(prefix="gpwf-record-") as folder:
        record = Path(folder) / "prov.json"
        try:
            write_record(
                record,
                run.plan,
                read_journal(run.path / "journal.jsonl"),
                **texts_and_digests(run, live=live),
                live=live,
            )
        except (GpwfError, OSError) as error:
            record.write_text("{}", encoding="utf-8")
            message = f"has no record, and none can be made: {error}"
            missing = _no_record(run, message, Severity.ERROR)
            report = Report()
        else:
            message = "has no record; one was made from the journal for this check"
            missing = _no_record(run, message, Severity.WARNING)
            report = check_file(record, companions(run.provenance))
        report.record = str(run.provenance)
        if not live:
            report.add(missing)
        if files:
            report.extend(check_files(run, record, report.files, on_file))
    return report


def _no_record(run: Run, message: str, severity: Severity) -> Finding:
    return Finding(
        rule="FI-12",
        severity=severity,
        message=message,
        file=str(run.provenance),
        hint="`gpwf prov export` writes it where it can be made",
    )


def run_of_record(path: Path) -> Run | None:
    """Return the run in whose directory a record lies, None for none."""
    folder = path.absolute().parent
    if folder.name != "prov" or not (folder.parent / "journal.jsonl").is_file():
        return None
    return Run(folder.parent)
