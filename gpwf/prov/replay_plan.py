"""A plan put together from a PROV record, where ``plan.json`` is not there.

A record says of every attempt what decided its result: step type and version, settings, inputs,
files, packages, random streams. The plan made of it is believed where every task gets the task key
that is recorded; what a key does not hold (places in the workflow, resources, retries, order of
tasks that do not use each other) is not in it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from gpwf.compiler.keys import task_key
from gpwf.core.catalog import StepCatalog
from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskOutput
from gpwf.errors import GpwfError, ProvenanceError
from gpwf.prov.replay import ReplayRecord, text, texts

__all__ = ["plan_of_record"]

_HINT = "put the plan.json of the run beside the record"
_IMPLEMENTATION = {
    "module": "gpwf:module",
    "package": "gpwf:package",
    "version": "gpwf:packageVersion",
    "source": "gpwf:sourceDigest",
    "callable": "gpwf:callable",
    "callableSource": "gpwf:callableSource",
    "callablePackage": "gpwf:callablePackage",
}
_TEXTS = frozenset(("str", "string", "path", "choice"))

_Record = Mapping[str, Any]


def plan_of_record(record: ReplayRecord, catalog: StepCatalog) -> Plan:
    """Return the plan of what a recorded run made.

    Parameters
    ----------
    record : ReplayRecord
        The record.
    catalog : StepCatalog
        Step types of this installation; they tell the ports.

    Raises
    ------
    ProvenanceError
        Where the record does not hold everything: a task would get another key than the recorded
        one.
    """
    builder = _Builder(record, catalog)
    tasks = {task.id: task for task in builder.tasks()}
    if not tasks:
        raise ProvenanceError(f"{record.path} tells of no result", hint=_HINT)
    workflow = record.used_by_run("in.workflow")
    return Plan(
        name=record.workflow,
        workflow_digest=Digest(text(workflow, "gpwf:sha256")),
        tasks=tuple(_ordered(tasks)),
        steps=tuple(builder.steps(tasks)),
        outputs=builder.outputs(tasks),
        description=text(workflow, "gpwf:description"),
    )


class _Builder:
    """Makes tasks of the attempts of a record."""

    def __init__(self, record: ReplayRecord, catalog: StepCatalog) -> None:
        self._record = record
        self._catalog = catalog
        self._usages: dict[str, list[tuple[str, _Record, _Record]]] = defaultdict(list)
        for usage in record.relations("used"):
            name = str(usage.get("prov:entity", ""))
            entity = record.element("entity", name)
            self._usages[str(usage.get("prov:activity", ""))].append((name, usage, entity))
        self._original = {
            str(item.get("prov:informed", "")): str(item.get("prov:informant", ""))
            for item in record.relations("wasInformedBy")
        }
        self._made = {f"gpwf:{item.entity}": item for item in record.products()}
        self._of_value = {item.product.digest: item for item in self._made.values()}
        self._plans: dict[str, _Record] = {}

    def tasks(self) -> Iterator[Task]:
        """Yield a task for every result, with the recorded key or not at all."""
        for name, attempt in self._record.attempts.items():
            task, digests = self._task(name, attempt)
            if str(task_key(task, digests)) != text(attempt, "gpwf:taskKey"):
                raise ProvenanceError(
                    f"{self._record.path} does not hold everything of task {task.id}: what it "
                    "says gives another task key",
                    hint=_HINT,
                )
            yield task

    def _task(self, name: str, attempt: _Record) -> tuple[Task, dict[str, list[Digest]]]:
        types: dict[str, str] = {}
        origins: dict[str, tuple[str, str]] = {}
        leaves: dict[str, Any] = {}
        for _, usage, entity in self._usages[name]:
            if "voprov:Parameter" in texts(entity, "prov:type"):
                leaf = text(entity, "voprov:name")
                leaves[leaf] = _value(entity)
                types[leaf] = text(entity, "voprov:valueType")
                origins[leaf] = (text(usage, "gpwf:origin"), text(usage, "gpwf:originPlace"))
        settings = _nested(leaves)
        tag = text(attempt, "gpwf:tag")
        inputs, digests, labels = self._inputs(name)
        plan = self._record.element("entity", text(attempt, "wfprov:describedByProcess"))
        self._plans[text(attempt, "gpwf:step")] = plan
        try:
            in_ports = tuple(self._catalog.inputs(tag, settings))
            out_ports = tuple(self._catalog.outputs(tag, settings))
        except (GpwfError, KeyError, ValueError, TypeError) as error:
            raise ProvenanceError(
                f"task {text(attempt, 'gpwf:task')}: its settings do not fit {tag}: {error}",
                hint=_HINT,
            ) from None
        stream = text(attempt, "gpwf:stream")
        task = Task(
            id=text(attempt, "gpwf:task"),
            step=text(attempt, "gpwf:step"),
            tag=tag,
            version=text(attempt, "gpwf:version"),
            settings=settings,
            types=types,
            origins=origins,
            inputs=inputs,
            input_ports=in_ports,
            output_ports=out_ports,
            files=tuple(self._files(name)),
            packages=dict(_pairs(texts(attempt, "gpwf:software"), "==")),
            implementation={
                key: found for key, term in _IMPLEMENTATION.items() if (found := text(plan, term))
            },
            coordinates={
                axis: _plain(value) for axis, value in _pairs(texts(attempt, "gpwf:coordinate"))
            },
            labels=labels,
            stream=tuple(json.loads(stream)) if stream else (),
            place=text(attempt, "gpwf:place"),
        )
        return task, digests

    def _inputs(
        self, name: str
    ) -> tuple[
        dict[str, tuple[TaskOutput, ...]],
        dict[str, list[Digest]],
        dict[str, tuple[Mapping[str, str], ...]],
    ]:
        """Return wiring, digests and labels by port; of a cached result those of its maker."""
        found: dict[str, list[tuple[int, TaskOutput, Digest, dict[str, str]]]] = defaultdict(list)
        for entity, usage, about in self._usages[self._original.get(name, name)]:
            role = text(usage, "prov:role")
            digest = Digest(text(about, "gpwf:digest"))
            if not role.startswith("in.") or not digest:
                continue
            made = self._made.get(entity) or self._of_value.get(digest)
            if made is None:
                raise ProvenanceError(
                    f"{self._record.path}: nothing made {entity}, which {name} used", hint=_HINT
                )
            port = role.removeprefix("in.")
            label = dict(_pairs(texts(usage, "gpwf:coordinate")))
            position = int(text(usage, "gpwf:position") or 0)
            output = TaskOutput(task=made.task, product=made.port)
            found[port].append((position, output, digest, label))
        for items in found.values():
            items.sort(key=lambda item: item[0])
        return (
            {port: tuple(item[1] for item in items) for port, items in found.items()},
            {port: [item[2] for item in items] for port, items in found.items()},
            {
                port: tuple(item[3] for item in items)
                for port, items in found.items()
                if any(item[3] for item in items)
            },
        )

    def _files(self, name: str) -> list[PlannedFile]:
        files = [
            PlannedFile(
                setting=text(usage, "prov:role").removeprefix("in."),
                name=text(entity, "gpwf:name"),
                path=text(entity, "prov:location"),
                digest=Digest(text(entity, "gpwf:sha256")),
                size=int(text(entity, "gpwf:size_B") or 0),
            )
            for _, usage, entity in self._usages[name]
            if "gpwf:File" in texts(entity, "prov:type") and text(entity, "prov:location")
        ]
        return sorted(files, key=lambda item: (item.setting, item.name, item.path))

    def steps(self, tasks: Mapping[str, Task]) -> Iterator[PlannedStep]:
        """Yield the declared steps that have a task."""
        counts: dict[str, int] = defaultdict(int)
        for task in tasks.values():
            counts[task.step] += 1
        for name, n_points in counts.items():
            plan = self._plans[name]
            yield PlannedStep(
                name=name,
                tag=text(plan, "gpwf:tag"),
                title=text(plan, "gpwf:title"),
                description=text(plan, "gpwf:description"),
                axes={axis: int(size) for axis, size in _pairs(texts(plan, "gpwf:axis"))},
                n_points=n_points,
                gather=tuple(texts(plan, "gpwf:gather")),
            )

    def outputs(self, tasks: Mapping[str, Task]) -> dict[str, tuple[TaskOutput, ...]]:
        """Return the named results."""
        found: dict[str, list[TaskOutput]] = defaultdict(list)
        for entity, made in self._made.items():
            for name in texts(self._record.element("entity", entity), "gpwf:output"):
                if made.task in tasks:
                    found[name].append(TaskOutput(task=made.task, product=made.port))
        return {name: tuple(items) for name, items in found.items()}


def _ordered(tasks: Mapping[str, Task]) -> Iterator[Task]:
    """Yield tasks after those that they use."""
    done: set[str] = set()
    for name in tasks:
        stack = [name]
        while stack:
            task = tasks[stack[-1]]
            waiting = [up for up in task.upstream if up not in done and up in tasks]
            if waiting:
                if len(stack) > len(tasks):
                    raise ProvenanceError(f"task {task.id} uses itself", hint=_HINT)
                stack += waiting[:1]
                continue
            stack.pop()
            if task.id not in done:
                done.add(task.id)
                yield task


def _pairs(items: list[str], sign: str = "=") -> Iterator[tuple[str, str]]:
    for item in items:
        name, _, value = item.partition(sign)
        yield name, value


def _plain(value: str) -> Any:
    """Return a value that may have been written as JSON."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _value(entity: _Record) -> Any:
    """Return the value of a setting as the plan had it."""
    found = entity.get("prov:value")
    kind, unit = text(entity, "voprov:valueType"), text(entity, "voprov:unit")
    if isinstance(found, Mapping):
        number, typed = str(found.get("$", "")), str(found.get("type", ""))
        if typed.endswith("boolean"):
            found = number.lower() == "true"
        elif typed.endswith(("double", "float", "decimal")):
            found = float(number)
        elif typed.endswith(("int", "integer", "long")):
            found = int(number)
        else:
            found = number
    if unit and isinstance(found, (int, float)):
        return f"{float(found)!r} {unit}"
    if found == "null":
        return None
    if found in ("[]", "{}"):  # empty ones bear the type of what they would hold
        return _plain(str(found))
    if isinstance(found, str) and kind not in _TEXTS and found[:1] in ("[", "{"):
        return _plain(found)
    return found


def _nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings from their leaves by dotted name; numbers as names make a list."""
    root: dict[str, Any] = {}
    for name, value in leaves.items():
        at = root
        *way, last = name.split(".")
        for part in way:
            at = at.setdefault(part, {})
        at[last] = value
    return {name: _with_lists(value) for name, value in root.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    names = [str(number) for number in range(len(value))]
    if value and set(value) == set(names):
        return [_with_lists(value[name]) for name in names]
    return {name: _with_lists(item) for name, item in value.items()}
