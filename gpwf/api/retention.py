"""Which runs keep what they need in a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gpwf.api.known_runs import KnownRun
from gpwf.core.ages import age_text

__all__ = ["Fate", "fates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """Whether a run keeps what it needs, and why.

    Parameters
    ----------
    run : KnownRun
        The run.
    keeps : bool
        True where its results and objects stay.
    reason : str
        Why, for people.
    """

    run: KnownRun
    keeps: bool
    reason: str


def fates(
    runs: Iterable[KnownRun],
    *,
    keep: int | None = None,
    older_than_s: float | None = None,
    pinned: Collection[str] = (),
    now: datetime | None = None,
) -> list[Fate]:
    """Return for every run whether it keeps what it needs.

    A run loses it that is old by every measure that is given: not among the latest ``keep`` of
    its workflow, and begun longer ago than ``older_than_s``. Never those that work, that are
    pinned, and, with ``keep``, the latest of a workflow that ended well.

    Parameters
    ----------
    runs : iterable of KnownRun
        Latest first.
    keep : int, optional
        Number of runs of every workflow.
    older_than_s : float, optional
        Age in seconds.
    pinned : collection of str
        Ids of pinned runs.
    now : datetime, optional
        The time, in UTC; now by default.
    """
    now = now or datetime.now(UTC)
    seen: Counter[str] = Counter()
    good: set[str] = set()
    found = []
    for run in runs:
        seen[run.workflow] += 1
        reasons = []
        is_latest_good = run.ended_well and run.workflow not in good
        if run.ended_well:
            good.add(run.workflow)
        is_old = keep is not None or older_than_s is not None
        if keep is not None:
            if seen[run.workflow] <= keep or is_latest_good:
                is_old = False
            reasons.append(f"not among the latest {keep} of {run.workflow}")
        if older_than_s is not None:
            if _age_s(run, now) <= older_than_s:
                is_old = False
            reasons.append(f"begun more than {age_text(older_than_s)} ago")
        found.append(_fate(run, pinned, " and ".join(reasons) if is_old else ""))
    return found


def _fate(run: KnownRun, pinned: Collection[str], too_old: str) -> Fate:
    if run.is_live:
        return Fate(run=run, keeps=True, reason="it works now")
    if any(name in pinned for name in run.run_ids):
        return Fate(run=run, keeps=True, reason="pinned")
    if too_old:
        return Fate(run=run, keeps=False, reason=too_old)
    return Fate(run=run, keeps=True, reason="its run directory is there")


def _age_s(run: KnownRun, now: datetime) -> float:
    """Return how long ago a run began; one whose time cannot be read is young."""
    try:
        return (now - datetime.fromisoformat(run.began)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
