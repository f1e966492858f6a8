"""Why a task would run: what differs from the time when it ran last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gpwf.api.changes import MOST_CHANGES, Change, Inputs, inputs_of, key_changes
from gpwf.api.preview import PlannedTask
from gpwf.api.runs import Run
from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, Task
from gpwf.core.runs import TaskState
from gpwf.core.view import TaskView
from gpwf.errors import GpwfError
from gpwf.store.store import Store

__all__ = ["changes_since", "digests_of", "no_change", "products_of", "reasons"]

_RUNS = 20  # earlier ones that are looked through


def reasons(
    plan: Plan, preview: Sequence[PlannedTask], store: Store, runs: Iterable[Run]
) -> dict[str, tuple[str, ...]]:
    """Return for every task that would run what differs from its last time.

    Parameters
    ----------
    plan : Plan
        What would be run.
    preview : sequence of PlannedTask
        What would be done with its tasks.
    store : Store
        Where results are.
    runs : iterable of Run
        Earlier runs of the workflow, newest first.
    """
    state = {item.id: item for item in preview}
    wanted = {item.id for item in preview if not item.cached}
    earlier = _earlier(wanted, runs)
    made = products_of(preview, store)
    found: dict[str, tuple[str, ...]] = {}
    for task in plan.tasks:
        if task.id not in wanted:
            continue
        above = [name for name in task.upstream if name in wanted]
        view = earlier.get(task.id)
        if view is None:
            lines = ["has not run yet"]
        else:
            inputs = None if above else digests_of(task, made)
            lines = [item.text for item in changes_since(task, inputs, view)]
            if not lines and not above:
                lines = [no_change(task, state[task.id], view)]
        found[task.id] = (*lines, *(f"after {name}, which runs" for name in above[:MOST_CHANGES]))
    return found


def _earlier(wanted: set[str], runs: Iterable[Run]) -> dict[str, TaskView]:
    """Return how each task stood when it was last tried."""
    found: dict[str, TaskView] = {}
    for number, run in enumerate(runs):
        if number == _RUNS or wanted <= found.keys():
            break
        try:
            view = run.view
        except GpwfError:  # a damaged run says nothing
            continue
        for name in wanted - found.keys():
            task = view.tasks.get(name)
            if task is not None and (task.attempts or task.cached_event is not None):
                found[name] = task
    return found


def products_of(preview: Sequence[PlannedTask], store: Store) -> dict[tuple[str, str], Digest]:
    """Return the digests of the products that the store has."""
    made: dict[tuple[str, str], Digest] = {}
    for item in preview:
        result = store.results.get(item.key) if item.cached and item.key is not None else None
        if result is not None:
            made |= {(item.id, port): product.digest for port, product in result.products.items()}
    return made


def digests_of(task: Task, made: Mapping[tuple[str, str], Digest]) -> Inputs | None:
    """Return what a task would be given, by port; None where that is not known yet."""
    refs = {port: [(ref.task, ref.product) for ref in items] for port, items in task.inputs.items()}
    if any(ref not in made for items in refs.values() for ref in items):
        return None
    return {port: [made[ref] for ref in items] for port, items in refs.items()}


def changes_since(task: Task, inputs: Inputs | None, view: TaskView) -> list[Change]:
    """Return what of a task's key differs from when it was last tried.

    Parameters
    ----------
    task : Task
        As it is now.
    inputs : mapping, optional
        Digests of what it is given now, by port, where they are known.
    view : TaskView
        How it stood then.
    """
    return list(key_changes(view.task, inputs_of(view) or {}, task, inputs))


def no_change(task: Task, planned: PlannedTask, view: TaskView) -> str:
    """Say why a task runs although nothing of its key differs."""
    if not task.policy.cache:
        return "cache: false"
    if view.state not in (TaskState.OK, TaskState.CACHED):
        return f"did not end well last time: {view.state}"
    if planned.key is None:
        return "an input is not in the store"
    return "its result is not in the store any more"
