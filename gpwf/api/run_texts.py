"""What a record says of the files of a run, besides what plan and journal have."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from gpwf.api.runs import Run
from gpwf.core.digests import digest_file
from gpwf.prov.attempt_logs import read_attempt_logs
from gpwf.run.journal import scan_journal

__all__ = ["texts_and_digests"]

_PART = 1 << 16
_LINE = re.compile(rb'\{"sum": "([0-9a-f]{64})"(, .*)\Z', re.DOTALL)


def texts_and_digests(run: Run, *, live: bool = False) -> dict[str, Any]:
    """Return the options of `gpwf.prov.stream.write_record` for a run.

    Parameters
    ----------
    run : Run
        The run.
    live : bool
        True where its driver still works: journal and log still grow, nothing is said of them.

    Returns
    -------
    dict
        ``workflow_text``, ``plan_digest``, ``log_digests``, ``journal_sum``, ``attempt_logs``.
    """
    workflow, journal, log = (run.path / n for n in ("workflow.yaml", "journal.jsonl", "log.jsonl"))
    digests: dict[str, str] = {}
    found: dict[str, Any] = {
        "workflow_text": workflow.read_text(encoding="utf-8") if workflow.is_file() else None,
        "plan_digest": digest_file(run.path / "plan.json"),
        "log_digests": digests,
    }
    if not live and journal.is_file():
        digests[journal.name] = digest_file(journal)
        found["journal_sum"] = _last_sum(journal)
    if not live and log.is_file():
        digests[log.name], found["attempt_logs"] = read_attempt_logs(log)
    return found


def _last_sum(path: Path) -> str:
    """Return the end of the chain of a journal: of its last line, or of the last one that is good.

    A journal that ended in order is not read again as a whole.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _PART))
        tail = stream.read()
    body, _, after = tail.rpartition(b"\n")
    match = _LINE.match(body.rpartition(b"\n")[2]) if not after else None
    if match and hashlib.sha256(match[2]).hexdigest().encode() == match[1]:
        return match[1].decode("ascii")
    return scan_journal(path).last_sum
