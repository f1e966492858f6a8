"""What a store no longer needs, found out from the runs that use it, and removed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gpwf.api.known_runs import KnownRuns, known_runs
from gpwf.api.pins import keep_pins_whole
from gpwf.api.retention import Fate, fates
from gpwf.api.work_folders import sweep_work
from gpwf.core.ages import age_text
from gpwf.errors import StoreError
from gpwf.store.clock import file_system_now, moved_ns, read_clock
from gpwf.store.gc import Freed, Roots, Sweep, SweptRun
from gpwf.store.pins import Pin
from gpwf.store.removal import Remover
from gpwf.store.store import Store
from gpwf.store.sweep_lock import sweep_lock

__all__ = ["GRACE_S", "Cleaning", "SweptGroup", "clean"]

#: What was made or used within this time stays, in seconds.
GRACE_S = 3600.0

_CACHE_S = 30 * 86400.0
_SLACK_NS = 2_000_000_000
_MOVED_NS = 2_000_000_000  # clocks that are kept right move by less


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptGroup:
    """What goes of the products that one run made, and why.

    Parameters
    ----------
    workflow, run_id : str
        The run; empty where no result says who made it.
    path : Path or None
        Its directory, where it is there.
    reason : str
        Why this is not needed.
    results, objects : int
        How many.
    bytes : int
        What removing them gives back, as `du` counts.
    """

    workflow: str
    run_id: str
    path: Path | None
    reason: str
    results: int
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """What `clean` found, and removed where it was told to.

    Parameters
    ----------
    store : Path
        The store.
    applied : bool
        True where it was removed.
    groups : tuple of SweptGroup
        Results and objects.
    rest : mapping of str to Freed
        What else goes: drafts, damaged, caches, work, entries.
    fates : tuple of Fate
        The runs, and whether they keep what they need.
    kept : SweptRun
        Results and objects that stay.
    notes : tuple of str
        What people should know.
    """

    store: Path
    applied: bool
    groups: tuple[SweptGroup, ...]
    rest: Mapping[str, Freed]
    fates: tuple[Fate, ...]
    kept: SweptRun
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """What all of it gives back, as `du` counts."""
        freed = sum(item.bytes for item in self.groups)
        return freed + sum(item.bytes for item in self.rest.values())


@dataclass(slots=True, kw_only=True)
class _Limits:
    """From which time on things are young."""

    now_ns: int
    young_ns: int
    frozen: bool = False
    notes: list[str] = field(default_factory=list)


def clean(
    store: Store,
    *,
    keep: int | None = None,
    older_than_s: float | None = None,
    grace_s: float = GRACE_S,
    folders: Iterable[Path] = (),
    apply: bool = False,
) -> Cleaning:
    """Find what a store no longer needs, and remove it where told to.

    Results and objects stay that a run needs whose directory is there, or that are pinned. With
    ``keep`` or ``older_than_s`` some runs need nothing any more, see `gpwf.api.retention.fates`.

    Parameters
    ----------
    store : Store
        The store.
    keep : int, optional
        Runs of every workflow that keep what they need: the latest so many.
    older_than_s : float, optional
        Age from which on a run keeps nothing, in seconds.
    grace_s : float
        What was made or used within this time stays, in seconds.
    folders : iterable of Path
        More folders to look for runs that the store does not know.
    apply : bool
        True to remove. May be stopped at any instant.

    Raises
    ------
    StoreError
        Where another process cleans the store, it cannot be written, or it cannot be told what a
        run needs.
    """
    with sweep_lock(store.root) if apply else contextlib.nullcontext():
        now_ns = file_system_now(store.root / "tmp")  # before anything is looked at
        known = known_runs(store, folders)
        pins = list(store.pins)
        limits = _limits(now_ns, grace_s, known)
        decided = fates(
            known.runs, keep=keep, older_than_s=older_than_s, pinned={p.run_id for p in pins}
        )
        if apply:
            with contextlib.suppress(StoreError):  # a full disk; it is done the next time
                _adopt(store, known)
                keep_pins_whole(store, pins, known.runs)
        cache_s = min(_CACHE_S, older_than_s) if older_than_s is not None else _CACHE_S
        roots = _roots(decided, pins, limits, now_ns - int(max(cache_s, grace_s) * 1e9))
        sweep = Sweep(store, roots, apply=apply)
        sweep.run()
        remover = Remover(apply=apply)
        work = sweep_work(decided, remover, limits.young_ns)
        entries = _sweep_entries(store, known, limits.young_ns, remover)
    return Cleaning(
        store=store.root,
        applied=apply,
        groups=tuple(_groups(sweep.by_run, known, decided)),
        rest={
            "drafts": sweep.drafts,
            "damaged": sweep.damaged,
            "caches": sweep.caches,
            "work": work,
            "entries": entries,
        },
        fates=tuple(decided),
        kept=sweep.kept,
        notes=tuple(limits.notes),
    )


def _limits(now_ns: int, grace_s: float, known: KnownRuns) -> _Limits:
    """Return from which time on things are young, whatever was done to the clocks.

    Times of files are compared with times of files alone. A clock that was set since a run began
    makes ages uncertain by as much; where such a run works still, nothing is removed.
    """
    clock = read_clock()
    limits = _Limits(now_ns=now_ns, young_ns=now_ns - int(grace_s * 1e9))
    moved = [(run, moved_ns(run.clock, clock)) for run in known.runs if run.clock is not None]
    uncertain = max((abs(ns) for _, ns in moved if ns is not None), default=0)
    if uncertain > _MOVED_NS:
        limits.young_ns -= uncertain
        limits.notes.append(
            f"the clock was set by {age_text(round(uncertain / 1e9))} since a run began: "
            "what is younger than that stays, too"
        )
    for run, ns in moved:
        if run.is_live and ns is not None and abs(ns) > _MOVED_NS:
            limits.frozen = True
            limits.notes.append(
                f"results and objects all stay: {run.path} works, and the clock was set since it "
                "began"
            )
    starts = [run.stamp_ns for run in known.runs if run.is_live]
    limits.young_ns = min([limits.young_ns, *(start - _SLACK_NS for start in starts)])
    return limits


def _roots(
    decided: Iterable[Fate], pins: Iterable[Pin], limits: _Limits, old_cache_ns: int
) -> Roots:
    kept = [fate.run for fate in decided if fate.keeps]
    pinned = list(pins)
    return Roots(
        keys=frozenset().union(*(run.tasks for run in kept), *(pin.keys for pin in pinned)),
        digests=frozenset().union(*(run.digests for run in kept), *(pin.digests for pin in pinned)),
        made_by=frozenset().union(*(run.run_ids for run in kept)),
        young_ns=limits.young_ns,
        # a driver that starts now writes drafts before anybody knows it
        old_draft_ns=min(limits.young_ns, limits.now_ns - int(GRACE_S * 1e9)),
        old_cache_ns=old_cache_ns,
        frozen=limits.frozen,
    )


def _adopt(store: Store, known: KnownRuns) -> None:
    """Register the runs that were found; one that works now is registered by its own driver."""
    for run in known.runs:
        if run.path in known.unregistered and run.run_ids and not run.is_live:
            store.register_run(run.path, run.run_ids[-1], workflow=run.workflow)


def _sweep_entries(store: Store, known: KnownRuns, young_ns: int, remover: Remover) -> Freed:
    """Forget the runs that are gone."""
    freed = Freed()
    for entry, stamp in known.gone:
        if stamp < young_ns:
            freed.add(remover.remove_tree(store.runs.path(entry.run_id)))
    return freed


def _groups(
    by_run: Mapping[str, SweptRun], known: KnownRuns, decided: Iterable[Fate]
) -> Iterator[SweptGroup]:
    """Yield what goes by run, the most bytes first."""
    about: dict[str, tuple[str, Path | None, str]] = {"": ("", None, "no result refers to them")}
    for entry, _ in known.gone:
        about[entry.run_id] = (entry.workflow, None, f"its run directory {entry.path} is gone")
    for fate in decided:
        run = fate.run
        about.update(dict.fromkeys(run.run_ids, (run.workflow, run.path, fate.reason)))
        again = "a later run in the same folder made everything anew"
        about.update(dict.fromkeys(run.earlier_ids, (run.workflow, run.path, again)))
    strange = ("", None, "made by a run that is not known here")
    size = {name: item.results.bytes + item.objects.bytes for name, item in by_run.items()}
    for name in sorted(by_run, key=lambda name: (-size[name], name)):
        workflow, path, reason = about.get(name, strange)
        yield SweptGroup(
            workflow=workflow,
            run_id=name,
            path=path,
            reason=reason,
            results=by_run[name].results.files,
            objects=by_run[name].objects.files,
            bytes=size[name],
        )
