"""Why one task ran, or would run: what of its key differs, and where that began."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpwf.api.changes import MOST_CHANGES, Change, Inputs, inputs_of
from gpwf.api.preview import PlannedTask
from gpwf.api.runs import Run, find_runs
from gpwf.api.selection import NameIndex
from gpwf.api.why import changes_since, digests_of, no_change, products_of
from gpwf.core.plan import Plan, Task
from gpwf.core.runs import TaskState
from gpwf.core.view import RunView, TaskView
from gpwf.errors import GpwfError
from gpwf.store.places import default_store
from gpwf.store.store import Store, is_store

if TYPE_CHECKING:
    from gpwf.api.workflow import Workflow

__all__ = ["Cause", "Why", "explain_run", "explain_workflow"]

_RUNS = 20  # earlier ones that are looked through


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Something upstream that made a task run.

    Parameters
    ----------
    task : str
        The task that differs by itself.
    change : Change
        What differs.
    """

    task: str
    change: Change

    @property
    def text(self) -> str:
        """For people, in a line."""
        change = self.change
        if change.component == "setting":
            values = f": {change.old} \N{RIGHTWARDS ARROW} {change.new}" if change.new else ""
            return f"because {self.task}.{change.name} changed{values}"
        return f"because of {self.task}: {change.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a task ran, or would run, or did not.

    Parameters
    ----------
    task, step : str
        The task.
    state : str
        ``new`` for one that would run, otherwise its state.
    told : str
        What happens or happened to it, in a line.
    changes : tuple of Change
        What of its key differs.
    because : tuple of Cause
        Where that began, for inputs that are other products.
    compared_with : Path or None
        The earlier run it is compared with; None where it had not run.
    compared_began : str
        When that was begun, ISO 8601 in UTC.
    made_by, made_at : str
        Run that made a cached result, and when.
    """

    task: str
    step: str
    state: str
    told: str
    changes: tuple[Change, ...] = ()
    because: tuple[Cause, ...] = ()
    compared_with: Path | None = None
    compared_began: str = ""
    made_by: str = ""
    made_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Now:
    """One of the two sides of the comparison: a plan, and what is known of its tasks."""

    plan: Plan
    inputs: Callable[[Task], Inputs | None]
    waits_for: Callable[[Task], Sequence[str]]
    unchanged: Callable[[Task, TaskView], str]


def explain_workflow(
    workflow: Workflow,
    name: str,
    *,
    store: str | Path | None = None,
    runs: str | Path | None = None,
) -> list[Why]:
    """Return why tasks of a workflow would run, compared with when they ran last.

    Parameters
    ----------
    workflow : Workflow
        The document with the values given for it.
    name : str
        A step, a task, or a part of a scatter; see `gpwf.api.selection.NameIndex.find`.
    store : str or Path, optional
        See `gpwf.api.Workflow.run`.
    runs : str or Path, optional
        Folder of the earlier runs; the current folder by default.

    Raises
    ------
    DocumentError, PlanError, StoreError, UsageError
        Where there is no such step, or no plan can be made.
    """
    plan, preview = workflow.preview(store=store)
    opened = Store.for_looking(Path(store) if store is not None else default_store(workflow.path))
    planned = {item.id: item for item in preview}
    made = products_of(preview, opened)
    now = _Now(
        plan=plan,
        inputs=lambda task: digests_of(task, made),
        waits_for=lambda task: [up for up in task.upstream if not planned[up].cached],
        unchanged=lambda task, view: no_change(task, planned[task.id], view),
    )
    earlier = _Earlier(find_runs(Path(runs) if runs is not None else None), plan.name)
    found = []
    for task in _tasks(plan, name):
        item = planned[task.id]
        if item.cached:
            found.append(_cached(task, item, opened))
        else:
            found.append(_compared(task, now, earlier, state="new", told="would run"))
    return found


def _cached(task: Task, item: PlannedTask, store: Store) -> Why:
    assert item.key is not None
    result = store.results.get(item.key)
    made_by, made_at = (result.run_id, result.ended) if result is not None else ("", "")
    return _why_cached(task, store, made_by, made_at)


def _why_cached(task: Task, store: Store | None, made_by: str, made_at: str) -> Why:
    entry = store.runs.get(made_by) if store is not None and made_by else None
    run = f"run {Path(entry.path).name}" if entry is not None else f"run {made_by}"
    return Why(
        task=task.id,
        step=task.step,
        state=TaskState.CACHED,
        told=f"cached: made by {run} at {made_at}",
        made_by=made_by,
        made_at=made_at,
    )


def explain_run(run: Run, name: str) -> list[Why]:
    """Return why tasks of a run ran, compared with the run before it in which they were tried.

    Parameters
    ----------
    run : Run
        The run.
    name : str
        A step, a task, or a part of a scatter; see `gpwf.api.selection.NameIndex.find`.

    Raises
    ------
    RunError, UsageError
        Where the run cannot be read or has no such step.
    """
    view = run.view
    now = _Now(
        plan=run.plan,
        inputs=lambda task: inputs_of(view.tasks[task.id]),
        waits_for=lambda _: (),
        unchanged=_again,
    )
    earlier = _Earlier(_before(run), run.plan.name)
    store = _store_of(run)
    found = []
    for task in _tasks(run.plan, name):
        seen = view.tasks[task.id]
        if seen.cached_event is not None:
            event = seen.cached_event
            found.append(_why_cached(task, store, event.made_by_run, event.made_ended))
        elif seen.attempts:
            told = "runs now" if seen.state is TaskState.RUNNING else f"ran: {seen.state}"
            found.append(_compared(task, now, earlier, state=seen.state, told=told))
        else:
            reason = f": {seen.reason}" if seen.reason else ""
            found.append(
                Why(
                    task=task.id,
                    step=task.step,
                    state=seen.state,
                    told=f"{_did_not(seen)}{reason}",
                )
            )
    return found


def _did_not(seen: TaskView) -> str:
    waits = seen.state is TaskState.WAITING
    return "has not run yet" if waits else f"did not run: {seen.state}"


def _store_of(run: Run) -> Store | None:
    try:
        return Store(run.store, create=False) if is_store(run.store) else None
    except GpwfError:
        return None


def _again(task: Task, view: TaskView) -> str:
    """Say why a task ran although nothing of its key differs from an earlier run."""
    if not task.policy.cache:
        return "cache: false"
    if view.state not in (TaskState.OK, TaskState.CACHED):
        return f"did not end well the time before: {view.state}"
    return "its result was not in the store any more, or it was made to run (--from, --only)"


def _tasks(plan: Plan, name: str) -> list[Task]:
    ids = dict.fromkeys(NameIndex(plan).find(name).values())
    return [plan.task(item) for item in ids]


def _before(run: Run) -> list[Path]:
    """Return the runs that were begun before one, newest first."""
    paths = dict.fromkeys((*find_runs(run.path.parent), *find_runs()))
    ordered = sorted(paths, key=_begun, reverse=True)
    limit = _begun(run.path)
    return [path for path in ordered if path != run.path and _begun(path) <= limit]


def _begun(path: Path) -> float:
    try:
        return (path / "plan.json").stat().st_mtime
    except OSError:
        return 0.0


class _Earlier:
    """The earlier runs of a workflow, read when they are needed.

    Parameters
    ----------
    paths : iterable of Path
        Run directories, newest first.
    workflow : str
        Name of the workflow.
    """

    def __init__(self, paths: Iterable[Path], workflow: str) -> None:
        self._paths = iter(paths)
        self._workflow = workflow
        self._read: list[tuple[Path, RunView]] = []

    def find(self, task: str) -> tuple[Path, RunView] | None:
        """Return the latest run in which a task was tried."""
        for path, view in self._views():
            seen = view.tasks.get(task)
            if seen is not None and inputs_of(seen) is not None:
                return path, view
        return None

    def _views(self) -> Iterator[tuple[Path, RunView]]:
        yield from self._read
        for path in self._paths:
            if len(self._read) == _RUNS:
                return
            try:
                run = Run(path)
                if not run.is_of(self._workflow):
                    continue
                self._read.append((path, run.view))
            except GpwfError:  # a damaged run says nothing
                continue
            yield self._read[-1]


def _compared(task: Task, now: _Now, earlier: _Earlier, *, state: str, told: str) -> Why:
    """Compare a task with the run in which it was last tried."""
    found = earlier.find(task.id)
    if found is None:
        what = "has not run yet" if state == "new" else "had not run before"
        changes = [Change(component="new", text=what)]
        return Why(task=task.id, step=task.step, state=state, told=told, changes=tuple(changes))
    path, view = found
    comparison = _Comparison(now, view)
    changes = comparison.changes(task)
    because = comparison.causes(task, changes)
    if not changes and not because:
        changes = [Change(component="result", text=now.unchanged(task, view.tasks[task.id]))]
    return Why(
        task=task.id,
        step=task.step,
        state=state,
        told=told,
        changes=tuple(changes),
        because=tuple(because),
        compared_with=path,
        compared_began=view.started,
    )


class _Comparison:
    """Two sides: tasks now, and as they stood in one earlier run.

    Parameters
    ----------
    now : _Now
        One side.
    then : RunView
        The other.
    """

    def __init__(self, now: _Now, then: RunView) -> None:
        self._now = now
        self._then = then

    def changes(self, task: Task) -> list[Change]:
        """Return what of the key of a task differs."""
        seen = self._then.tasks.get(task.id)
        if seen is None or inputs_of(seen) is None:
            return [Change(component="new", text="had not run before")]
        inputs = None if self._now.waits_for(task) else self._now.inputs(task)
        return changes_since(task, inputs, seen)

    def causes(self, task: Task, changes: Sequence[Change]) -> list[Cause]:
        """Return what differs by itself in the tasks above one that gave it other products."""
        found: list[Cause] = []
        seen: set[str] = set()
        waiting = self._responsible(task, changes)
        while waiting and len(found) < MOST_CHANGES:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            found += self._cause(name, waiting)
        return found[:MOST_CHANGES]

    def _cause(self, name: str, waiting: list[str]) -> Iterator[Cause]:
        task = self._now.plan.task(name)
        changes = self.changes(task)
        above = self._responsible(task, changes)
        waiting += above
        own = [item for item in changes if item.component != "input"]
        for change in own:
            yield Cause(task=name, change=change)
        if not own and not above:
            text = self._now.unchanged(task, self._then.tasks[name])
            yield Cause(task=name, change=Change(component="result", text=text))

    def _responsible(self, task: Task, changes: Sequence[Change]) -> list[str]:
        """Return the tasks above one whose products are others, or will be."""
        makers = [name for change in changes for name in change.makers]
        return list(dict.fromkeys((*makers, *self._now.waits_for(task))))
