"""What a run would do with the tasks of a plan, without running anything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gpwf.api.selection import Selection
from gpwf.compiler.keys import task_key
from gpwf.core.coordinates import listed
from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import Plan
from gpwf.errors import UsageError
from gpwf.store.store import Store

__all__ = ["PlannedTask", "check_known", "preview_tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """What a run would do with a task.

    Parameters
    ----------
    id, step, tag : str
        The task.
    key : TaskKey or None
        Known only where everything above the task is in the store.
    cached : bool
        True where the store holds the result.
    """

    id: str
    step: str
    tag: str
    key: TaskKey | None
    cached: bool


def preview_tasks(plan: Plan, store: Store, forced: Collection[str] = ()) -> list[PlannedTask]:
    """Return what a run would do; keys below a task that must run are not known yet."""
    made: dict[tuple[str, str], Digest] = {}
    found: list[PlannedTask] = []
    for task in plan.tasks:
        refs = [(ref.task, ref.product) for refs in task.inputs.values() for ref in refs]
        key, result = None, None
        if all(ref in made for ref in refs):
            digests = {
                port: tuple(made[ref.task, ref.product] for ref in refs)
                for port, refs in task.inputs.items()
            }
            key = task_key(task, digests)
            may_use = task.policy.cache and task.id not in forced
            result = store.results.get(key) if may_use else None
        if result is not None and not any(store.damage(item) for item in result.products.values()):
            made |= {(task.id, port): item.digest for port, item in result.products.items()}
        else:
            result = None
        found.append(
            PlannedTask(
                id=task.id, step=task.step, tag=task.tag, key=key, cached=result is not None
            )
        )
    return found


def check_known(selection: Selection, store: Store) -> None:
    """Refuse ``--only`` where something that it needs was never made."""
    if not selection.must_be_known:
        return
    missing = [
        item.id
        for item in preview_tasks(selection.plan, store)
        if item.id in selection.must_be_known and not item.cached
    ]
    if missing:
        raise UsageError(
            f"--only: {listed(missing)} must be made first",
            hint="use --target instead: it runs what is missing",
        )
