"""Why a task would run: what differs from the time when it ran last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gpwf.api.preview import PlannedTask
from gpwf.api.runs import Run
from gpwf.compiler.keys import key_components
from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, Task
from gpwf.core.redact import looks_secret, redact_text
from gpwf.core.runs import TaskState
from gpwf.core.view import TaskView
from gpwf.errors import GpwfError
from gpwf.steps.callables.source import DIGEST_TYPE
from gpwf.store.store import Store

__all__ = ["reasons"]

_MOST_CHANGES = 8  # of one kind, per task
_RUNS = 20  # earlier ones that are looked through

_Inputs = Mapping[str, Sequence[Digest]]


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
    made = _products(preview, store)
    found: dict[str, tuple[str, ...]] = {}
    for task in plan.tasks:
        if task.id not in wanted:
            continue
        above = [name for name in task.upstream if name in wanted]
        view = earlier.get(task.id)
        if view is None:
            lines = ["has not run yet"]
        else:
            inputs = None if above else _digests(task, made)
            lines = list(_changes(task, inputs, view))
            if not lines and not above:
                lines = [_no_change(task, state[task.id], view)]
        found[task.id] = (*lines, *(f"after {name}, which runs" for name in above[:_MOST_CHANGES]))
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


def _products(preview: Sequence[PlannedTask], store: Store) -> dict[tuple[str, str], Digest]:
    """Return the digests of the products that the store has."""
    made: dict[tuple[str, str], Digest] = {}
    for item in preview:
        result = store.results.get(item.key) if item.cached and item.key is not None else None
        if result is not None:
            made |= {(item.id, port): product.digest for port, product in result.products.items()}
    return made


def _digests(task: Task, made: Mapping[tuple[str, str], Digest]) -> _Inputs | None:
    refs = {port: [(ref.task, ref.product) for ref in items] for port, items in task.inputs.items()}
    if any(ref not in made for items in refs.values() for ref in items):
        return None
    return {port: [made[ref] for ref in items] for port, items in refs.items()}


def _changes(task: Task, inputs: _Inputs | None, view: TaskView) -> Iterator[str]:
    """Yield what of the task key differs; inputs only where they are known."""
    begun = view.cached_event or view.attempts[-1].started_event
    nothing: _Inputs = dict.fromkeys({*task.inputs, *view.task.inputs}, ())
    old = key_components(view.task, {**nothing, **begun.inputs})
    new = key_components(task, inputs if inputs is not None else nothing)
    for name in ("tag", "version"):
        if old[name] != new[name]:
            yield f"{'step type' if name == 'tag' else 'version of the step'}: " + _arrow(
                old[name], new[name]
            )
    yield from _sources(view.task, task)
    yield from _differences("", _without_digests(view.task, old), _without_digests(task, new))
    yield from _differences("package ", old["packages"], new["packages"])
    yield from _files(old["files"], new["files"])
    if old.get("stream") != new.get("stream"):
        yield "random stream: its coordinates have other names"
    if old.get("labels") != new.get("labels"):
        yield "gathers other places of the scatter"
    if inputs is not None:
        for port in sorted({*old["inputs"], *new["inputs"]}):
            if old["inputs"].get(port) != new["inputs"].get(port):
                yield f"input {port}: another product"


def _sources(old: Task, new: Task) -> Iterator[str]:
    """Yield the functions that have another source."""
    for name, kind in new.types.items():
        before, now = old.settings.get(name), new.settings.get(name)
        if kind == DIGEST_TYPE and before != now:
            yield f"source of {new.settings.get('callable')} changed"


def _without_digests(task: Task, components: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings but digests of source, which say nothing to people."""
    settings: Mapping[str, Any] = components["settings"]
    return {name: item for name, item in settings.items() if task.types.get(name) != DIGEST_TYPE}


def _arrow(old: object, new: object) -> str:
    return f"{old!s:.60} \N{RIGHTWARDS ARROW} {new!s:.60}"


def _differences(prefix: str, old: Any, new: Any) -> Iterator[str]:
    """Yield the leaves that differ, by dotted path."""
    one, two = dict(_leaves(old, "")), dict(_leaves(new, ""))
    changed = [name for name in {**one, **two} if one.get(name, "-") != two.get(name, "-")]
    for name in changed[:_MOST_CHANGES]:
        before, now = one.get(name, "-"), two.get(name, "-")
        secret = looks_secret(name.rpartition(".")[2], before + now)
        yield f"{prefix}{name}: {'changed' if secret else redact_text(_arrow(before, now))}"
    if len(changed) > _MOST_CHANGES:
        yield f"and {len(changed) - _MOST_CHANGES} more"


def _leaves(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, (list, tuple)) and value:
        for number, item in enumerate(value):
            yield from _leaves(item, f"{at}.{number}")
    else:
        yield at, "not set" if value is None else str(value)


def _files(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield the external files whose content or name differs."""
    for setting in sorted({*old, *new}):
        one = dict(old.get(setting, ()))
        two = dict(new.get(setting, ()))
        names = [name for name in sorted({*one, *two}) if one.get(name) != two.get(name)]
        words = {(True, True): "changed", (True, False): "is gone", (False, True): "is new"}
        for name in names[:_MOST_CHANGES]:
            yield f"{setting}: the file {name} {words[name in one, name in two]}"
        if len(names) > _MOST_CHANGES:
            yield f"{setting}: and {len(names) - _MOST_CHANGES} more files"


def _no_change(task: Task, planned: PlannedTask, view: TaskView) -> str:
    """Say why a task runs although nothing of its key differs."""
    if not task.policy.cache:
        return "cache: false"
    if view.state not in (TaskState.OK, TaskState.CACHED):
        return f"did not end well last time: {view.state}"
    if planned.key is None:
        return "an input is not in the store"
    return "its result is not in the store any more"
