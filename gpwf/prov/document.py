"""(Plan, journal) → W3C PROV document of the provenance library.

A pure fold: the same plan and the same events give the same document, after a crash as well as
after a regular end. The mapping is explained in ``docs/reference/provenance.md``. For the record
of a run on disk see `gpwf.prov.stream`, which says the same in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.prov.attempt_logs import AttemptLogs
from gpwf.prov.document_recorder import DocumentRecorder
from gpwf.prov.run_record import RunRecord

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = ["build_document"]


def build_document(
    plan: Plan,
    events: Iterable[RunEvent],
    *,
    workflow_text: str | None = None,
    plan_digest: str | None = None,
    log_digests: Mapping[str, str] | None = None,
    journal_sum: str = "",
    attempt_logs: AttemptLogs | None = None,
    live: bool = False,
) -> ProvDocument:
    """Return the provenance record of a run.

    Parameters
    ----------
    plan : Plan
        The frozen plan of the run.
    events : iterable of RunEvent
        The journal, in its order; it may stop anywhere.
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

    Returns
    -------
    prov.model.ProvDocument
        Valid under PROV-CONSTRAINTS also for a run that failed or was killed.

    Raises
    ------
    ProvenanceError
        Where the journal does not say that the run started, or belongs to another plan.
    """
    recorder = DocumentRecorder()
    record = RunRecord(recorder, plan, live=live)
    for event in events:
        record.apply(event)
    record.finish(
        workflow_text=workflow_text,
        plan_digest=plan_digest,
        log_digests=log_digests,
        journal_sum=journal_sum,
        attempt_logs=attempt_logs,
    )
    return recorder.document
