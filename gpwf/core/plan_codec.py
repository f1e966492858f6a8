"""Plan ↔ plain data for JSON; what many tasks have in common is written once.

A scatter makes thousands of tasks that differ in a seed. Their common part is a *shape*; of the
settings only those that differ from the shape's are written with the task. Tasks refer to each
other by position.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import islice
from typing import Any

from gpwf.core.codec import from_plain, to_plain
from gpwf.core.plan import PLAN_FORMAT, Plan, PlannedFile, Task, TaskAlias, TaskOutput
from gpwf.core.spec import Port, StepPolicy

__all__ = ["plan_from_plain", "plan_from_text", "plan_to_plain", "plan_to_text"]

_FIRST_FORMAT = "gpwf-plan/1"  # every task in full; still read
_SHARED: Mapping[str, Any] = {
    "step": str,
    "tag": str,
    "version": str,
    "types": dict[str, str],
    "origins": dict[str, tuple[str, str]],
    "input_ports": tuple[Port, ...],
    "output_ports": tuple[Port, ...],
    "files": tuple[PlannedFile, ...],
    "packages": dict[str, str],
    "implementation": dict[str, str],
    "policy": StepPolicy,
    "sealed": dict[str, str],
    "place": str,
}
_SURROGATES = re.compile("[\ud800-\udfff]")
_LARGEST_TO_READ = 200  # tasks
_dumps = json.JSONEncoder(ensure_ascii=False).encode
_OWN = ("tasks", "aliases")
_IGNORED = ("index", "kept", "secrets")


def plan_to_plain(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data: dict, list, str, int, float, bool, None."""
    data = _head(plan)
    writer = _Writer(plan)
    data["tasks"] = [writer.task(task) for task in plan.tasks]
    data["aliases"] = [writer.alias(alias) for alias in plan.aliases]
    data["shapes"] = writer.shapes
    return data


def _head(plan: Plan) -> dict[str, Any]:
    data: dict[str, Any] = {"format": PLAN_FORMAT}
    for item in fields(Plan):
        if item.name not in (*_OWN, *_IGNORED):
            data[item.name] = to_plain(getattr(plan, item.name))
    return data


def plan_to_text(plan: Plan) -> Iterator[bytes]:
    """Yield the bytes of a plan as JSON: those that it was read from, or new ones.

    Of a large plan nobody reads the file: it has a line per task, and comes in many pieces, none
    of them large.
    """
    if "text" in plan.kept:
        yield plan.kept["text"]
        return
    if len(plan.tasks) <= _LARGEST_TO_READ:
        text = json.dumps(plan_to_plain(plan), ensure_ascii=False, indent=1)
        yield f"{_escaped(text)}\n".encode()
        return
    head, writer = _head(plan), _Writer(plan)
    yield (_escaped(_dumps(head)[:-1]) + ',\n"tasks": [\n').encode()
    yield from _lines(writer.task(task) for task in plan.tasks)
    yield b'],\n"aliases": [\n'
    yield from _lines(writer.alias(alias) for alias in plan.aliases)
    yield b'],\n"shapes": [\n'
    yield from _lines(iter(writer.shapes))  # known when the tasks have been written
    yield b"]}\n"


def _escaped(text: str) -> str:
    """Return JSON with escapes for what is no text: a part of a file name that is not UTF-8."""
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _lines(items: Iterator[Any]) -> Iterator[bytes]:
    """Yield JSON lines with commas between them, some hundred at a time."""
    end = ""
    while part := list(islice(items, 500)):
        yield _escaped(end + ",\n".join(map(_dumps, part))).encode()
        end = ",\n"
    yield b"\n"


def plan_from_text(data: bytes) -> Plan:
    """Return the plan that `plan_to_text` wrote; it keeps the bytes until it is frozen.

    Raises
    ------
    TypeError, ValueError, KeyError
        Where the data is no plan, or one of a newer version.
    """
    plan = plan_from_plain(json.loads(data))
    plan.kept["text"] = data
    return plan


def plan_from_plain(data: Mapping[str, Any]) -> Plan:
    """Return the plan that `plan_to_plain` wrote.

    Raises
    ------
    TypeError, ValueError, KeyError
        Where the data is no plan, or one of a newer version.
    """
    if not isinstance(data, Mapping):
        raise TypeError("a plan is a mapping")
    form = data.get("format", _FIRST_FORMAT)
    if form == _FIRST_FORMAT:
        return from_plain(Plan, data)
    if form != PLAN_FORMAT:
        raise ValueError(f"unknown format {form!r}; this version of gpwf reads {PLAN_FORMAT}")
    plain = {name: item for name, item in data.items() if name not in (*_OWN, "shapes", "format")}
    head = from_plain(Plan, {**plain, "tasks": [], "aliases": []})
    tasks = tuple(_read_tasks(data))
    aliases = tuple(
        TaskAlias(id=name, step=step, coordinates=coordinates, task=tasks[number].id)
        for name, step, coordinates, number in data["aliases"]
    )
    rest = {
        item.name: getattr(head, item.name)
        for item in fields(Plan)
        if item.name not in (*_OWN, *_IGNORED)
    }
    return Plan(tasks=tasks, aliases=aliases, **rest)


class _Writer:
    """Writes tasks; keeps the shapes that were met."""

    def __init__(self, plan: Plan) -> None:
        self.shapes: list[dict[str, Any]] = []
        self._numbers = {task.id: number for number, task in enumerate(plan.tasks)}
        self._known: dict[tuple[int, ...], tuple[int, Mapping[str, Any]]] = {}
        self._kept = plan  # ids of objects mean something while they are alive

    def task(self, task: Task) -> dict[str, Any]:
        """Return a task: what it does not share, and the number of its shape."""
        number, settings = self._shape(task)
        written: dict[str, Any] = {"id": task.id, "shape": number}
        own = {
            key: to_plain(value)
            for key, value in task.settings.items()
            if key not in settings or not _same(settings[key], value)
        }
        if own:
            written["settings"] = own
        gone = [key for key in settings if key not in task.settings]
        if gone:
            written["without"] = gone
        if task.inputs:
            written["inputs"] = {
                port: [[self._numbers.get(ref.task, ref.task), ref.product] for ref in refs]
                for port, refs in task.inputs.items()
            }
        if task.after:
            written["after"] = [self._numbers.get(name, name) for name in task.after]
        for name in ("coordinates", "labels", "stream"):
            value = getattr(task, name)
            if value:
                written[name] = to_plain(value)
        return written

    def alias(self, alias: TaskAlias) -> list[Any]:
        """Return an alias."""
        coordinates = to_plain(alias.coordinates)
        return [alias.id, alias.step, coordinates, self._numbers[alias.task]]

    def _shape(self, task: Task) -> tuple[int, Mapping[str, Any]]:
        """Return number and settings of a task's shape."""
        key = tuple(id(getattr(task, name)) for name in _SHARED)
        found = self._known.get(key)
        if found is None:
            shape = {name: to_plain(getattr(task, name)) for name in _SHARED}
            shape["settings"] = to_plain(task.settings)
            found = self._known[key] = (len(self.shapes), task.settings)
            self.shapes.append(shape)
        return found


def _same(one: Any, two: Any) -> bool:
    """Return True for equal values; 1 and 1.0 and true are not."""
    return one is two or (type(one) is type(two) and repr(one) == repr(two))


def _read_tasks(data: Mapping[str, Any]) -> Iterator[Task]:
    """Yield the tasks."""
    shapes = []
    for shape in data["shapes"]:
        common = {  # a plan of an earlier version has less
            name: from_plain(hint, shape[name]) for name, hint in _SHARED.items() if name in shape
        }
        shapes.append((common, shape["settings"]))
    ids = [item["id"] for item in data["tasks"]]
    outputs: dict[tuple[Any, str], TaskOutput] = {}

    def name(item: int | str) -> str:
        return ids[item] if isinstance(item, int) else item

    def output(item: int | str, product: str) -> TaskOutput:
        key = (item, product)
        if key not in outputs:
            outputs[key] = TaskOutput(task=name(item), product=product)
        return outputs[key]

    for item in data["tasks"]:
        common, settings = shapes[item["shape"]]
        if "settings" in item or "without" in item:
            settings = {**settings, **item.get("settings", {})}
            for key in item.get("without", ()):
                del settings[key]
        yield Task(
            id=item["id"],
            settings=settings,
            inputs={
                port: tuple(output(*ref) for ref in refs)
                for port, refs in item.get("inputs", {}).items()
            },
            after=tuple(name(ref) for ref in item.get("after", ())),
            coordinates=item.get("coordinates", {}),
            labels={port: tuple(refs) for port, refs in item.get("labels", {}).items()},
            stream=tuple(item.get("stream", ())),
            **common,
        )
