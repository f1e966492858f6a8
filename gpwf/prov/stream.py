"""(Plan, journal) → PROV-JSON file, in one pass and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.errors import ProvenanceError
from gpwf.prov.attempt_logs import AttemptLogs
from gpwf.prov.json_recorder import JsonRecorder
from gpwf.prov.json_sections import replacing
from gpwf.prov.run_record import RunRecord

__all__ = ["RecordWriter", "write_record"]


class RecordWriter:
    """Writes the record of a run, event by event; a context manager.

    A driver may tell its events as they happen, which spreads the work over the run; told to
    `write_record` afterwards the same events give the same bytes.

    Parameters
    ----------
    path : Path
        File to write or replace; missing folders are made. Nothing is there before `finish`.
    plan : Plan
        The frozen plan of the run.
    live : bool
        True where a driver still works on the run when the record is finished.

    Raises
    ------
    ProvenanceError
        Where the folder cannot be made.
    """

    def __init__(self, path: Path, plan: Plan, *, live: bool = False) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        self._recorder = JsonRecorder(path.parent)
        self._record = RunRecord(self._recorder, plan, live=live)

    def apply(self, event: RunEvent) -> None:
        """Take one event in.

        Raises
        ------
        ProvenanceError
            Where the disk is full.
        """
        try:
            self._record.apply(event)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def finish(
        self,
        *,
        workflow_text: str | None = None,
        plan_digest: str | None = None,
        log_digests: Mapping[str, str] | None = None,
        journal_sum: str = "",
        attempt_logs: AttemptLogs | None = None,
    ) -> Path:
        """Write the file, whole or not at all; return it. See `write_record`.

        Raises
        ------
        ProvenanceError
            Where no event said that the run started, one told of a task that is not in the plan,
            or the file cannot be written.
        """
        try:
            self._record.finish(
                workflow_text=workflow_text,
                plan_digest=plan_digest,
                log_digests=log_digests,
                journal_sum=journal_sum,
                attempt_logs=attempt_logs,
            )
            with replacing(self.path) as stream:
                self._recorder.write_to(stream)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self.path

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._recorder.close()


def write_record(
    path: Path,
    plan: Plan,
    events: Iterable[RunEvent],
    *,
    workflow_text: str | None = None,
    plan_digest: str | None = None,
    log_digests: Mapping[str, str] | None = None,
    journal_sum: str = "",
    attempt_logs: AttemptLogs | None = None,
    live: bool = False,
) -> Path:
    """Write the record of a run as PROV-JSON; return the file.

    Parameters
    ----------
    path : Path
        File to write or replace, whole or not at all; missing folders are made.
    plan : Plan
        The frozen plan of the run.
    events : iterable of RunEvent
        The journal, in its order; it may stop anywhere. No event is kept.
    workflow_text : str, optional
        The document as given; kept in the record without what looks like a secret.
    plan_digest : str, optional
        SHA-256 of ``plan.json``; the one in the journal by default.
    log_digests : mapping of str to str, optional
        SHA-256 of the log and of the journal, by file name.
    journal_sum : str
        Last sum of the chain of the journal.
    attempt_logs : mapping, optional
        What the log has of each attempt, see `gpwf.prov.attempt_logs.read_attempt_logs`.
    live : bool
        True where a driver still works on the run. Otherwise a journal without an end says that
        the run was interrupted.

    Raises
    ------
    ProvenanceError
        Where the journal does not say that the run started or belongs to another plan, or where
        the file cannot be written.
    """
    with RecordWriter(path, plan, live=live) as writer:
        for event in events:
            writer.apply(event)
        return writer.finish(
            workflow_text=workflow_text,
            plan_digest=plan_digest,
            log_digests=log_digests,
            journal_sum=journal_sum,
            attempt_logs=attempt_logs,
        )


def _unwritable(path: Path, error: OSError) -> ProvenanceError:
    return ProvenanceError(
        f"cannot write {path}: {error.strerror or error}",
        hint="choose another place with -o, or make the folder writable",
    )
