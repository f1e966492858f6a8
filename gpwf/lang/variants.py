"""The settings of a step at every point where it runs, each distinct set of them once."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpwf.core.catalog import Settled
from gpwf.core.diagnostics import Span
from gpwf.core.expressions import Expression, ExpressionError, Lookup, evaluate
from gpwf.core.points import Point, Points, projector
from gpwf.core.spec import Origin, Variant
from gpwf.lang.codes import Code
from gpwf.lang.draft import Draft, locate, origins, spans
from gpwf.lang.scope import FailedParamError, Resolved, Scope, Slot
from gpwf.lang.tree import Node, Path

__all__ = ["coordinate_text", "settle_variants"]

_TABLE = re.compile(r"\$\{ *tables\.([A-Za-z0-9_]+) *\}")
_COMMAND = "command"  # the step type whose settings name files of products
_MAX_FAILED = 20  # points with problems after which the others of a step are not looked at


def settle_variants(draft: Draft, points: Points) -> tuple[tuple[Variant, ...], Sequence[int]]:
    """Return the settings of a step, and for every point which of them it has.

    Points that agree on the axes that the settings use share them, so that a step that only
    inherits an axis is settled once.

    Parameters
    ----------
    draft : Draft
        The step; its ports are known.
    points : Points
        Where it runs.
    """
    slots = draft.resolved.slots
    if draft.runs is not None:  # nowhere
        return (), ()
    if not slots:
        assert draft.settled is not None
        only = _variant(draft, draft.config, draft.settled)
        return (only,), array("L", bytes(array("L").itemsize * len(points)))
    if not _has_axes(draft, slots, points):
        return (), ()
    return _Settling(draft, points).run()


def _has_axes(draft: Draft, slots: Sequence[Slot], points: Points) -> bool:
    """Check that the step has every axis that its settings look up."""
    sound = True
    gather = draft.node.child("gather")
    ending = [str(item.value) for item in gather.entries()] if gather is not None else []
    ends = {draft.frame.axes.get(name, name) for name in ending}
    for slot in slots:
        missing = [name for name in slot.axes if name not in points.axes]
        if missing and draft.frame.partial:
            return False
        for name in missing:
            draft.frame.reading.registry.refuse_absent(
                draft.name, draft.full_name, name, slot.node, ends=name in ends
            )
            sound = False
    return sound


class _Settling:
    """Settle the settings of one step for many points."""

    def __init__(self, draft: Draft, points: Points) -> None:
        self.draft = draft
        self.points = points
        self.slots = draft.resolved.slots
        self.needs = tuple(dict.fromkeys(name for slot in self.slots for name in slot.axes))
        self.base = draft.resolved.node.plain()
        self.paths = _paths(self.slots)
        self.variants: list[Variant] = []
        self.failed = 0
        self.catalog = draft.frame.reading.catalog

    def run(self) -> tuple[tuple[Variant, ...], Sequence[int]]:
        """Return the variants and which one every point has."""
        known: dict[Point, int] = {}
        chosen = array("L")
        key_of = projector(self.points.axes, self.needs)
        for row in self.points.rows:
            at = key_of(row)
            number = known.get(at)
            if number is None:
                made = self._settle(at)
                if made is None:
                    self.failed += 1
                    if self.failed > _MAX_FAILED:
                        break
                    number = 0  # nothing is made of a step with a problem
                else:
                    number = len(self.variants)
                    self.variants.append(made)
                known[at] = number
            chosen.append(number)
        return tuple(self.variants), chosen

    def _settle(self, at: Point) -> Variant | None:
        """Return the settings at a point of the axes that they need; None for a problem."""
        frame = self.draft.frame
        coordinates = dict(zip(self.needs, at, strict=True))
        scope = frame.scope(coordinates) if frame.outer else frame.scope()
        values = frame.values(coordinates)
        plain = self._plain(scope, values)
        if plain is not None:
            settled = self.catalog.settle(self.draft.tag, plain, base=frame.base)
            if not settled.problems and self._has_ports(settled, coordinates):
                return self._shared(settled, scope, values)
        self._explain(scope, values, coordinates)
        return None

    def _plain(self, scope: Scope, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the settings with all values in their places; None where one has no value."""
        names = {**scope.names(), **values}
        try:
            found = [evaluate(slot.template, names, fallback=scope.fallback) for slot in self.slots]
        except (ExpressionError, FailedParamError):
            return None
        made: dict[str, Any] = _patched(self.base, self.paths, found)
        return made

    def _shared(self, settled: Settled, scope: Scope, values: Mapping[str, Any]) -> Variant:
        """Return a variant that shares with the first one what is the same in both."""
        if self.variants and settled.types == self.variants[0].types:
            first = self.variants[0]
            settings = {
                key: first.settings[key] if first.settings.get(key) == value else value
                for key, value in settled.settings.items()
            }
            return Variant(
                settings=settings, types=first.types, origins=first.origins, spans=first.spans
            )
        return _variant(self.draft, self._filled(scope, values).node, settled)

    def _filled(self, scope: Scope, values: Mapping[str, Any], name: str | None = None) -> Resolved:
        """Return the settings as a tree; what has been evaluated once is not looked at again."""
        node, failed = self.draft.resolved.node, []
        for slot in self.slots:
            depth = len(slot.path)
            found = scope.value(slot.template, slot.node, name, values=values, depth=depth)
            if found is None:
                failed.append(slot.path)
            else:
                node = _with(node, slot.path, found)
        return Resolved(node=node, failed=tuple(failed))

    def _has_ports(self, settled: Settled, coordinates: Mapping[str, int]) -> bool:
        """Check that inputs and products are those of the other points."""
        draft = self.draft
        same = (
            tuple(self.catalog.inputs(draft.tag, settled.settings)) == draft.ports
            and tuple(self.catalog.outputs(draft.tag, settled.settings)) == draft.products
        )
        if not same:
            draft.frame.reading.report.add(
                Code.PORTS_VARY,
                f"the inputs or products of {self._name(coordinates)} are not those of the others",
                self.slots[0].node,
                hint="make two steps of it: a connection is the same for all tasks of a step",
                step=draft.full_name,
            )
        return same

    def _explain(
        self, scope: Scope, values: Mapping[str, Any], coordinates: Mapping[str, int]
    ) -> None:
        """Report what is wrong at a point."""
        draft, report = self.draft, self.draft.frame.reading.report
        name = self._name(coordinates)
        resolved = self._filled(scope, values, name)
        if resolved.failed:
            return
        settled = self.catalog.settle(draft.tag, resolved.node.plain(), base=draft.frame.base)
        for item in settled.problems:
            found = locate(draft, resolved.node, item, name)
            rows = tuple(self._rows(scope, values, item.path))
            report.extend([replace(found, related=(*found.related, *rows))])

    def _rows(
        self, scope: Scope, values: Mapping[str, Any], path: Path
    ) -> Iterator[tuple[Span, str]]:
        """Yield where a value stands in the tables that the axes go through."""
        axes = {full: short for short, full in self.draft.frame.axes.items()}
        for slot in self.slots:
            if slot.path != path[: len(slot.path)] or slot.template.whole is None:
                continue
            first, *way = slot.template.whole.lookup.parts
            if first == "tables":
                yield from _cell(scope, values, way)
            for name in slot.axes:
                declared = self.draft.frame.reading.registry.declared[name].node.value
                short = axes.get(name)
                match = _TABLE.fullmatch(declared) if isinstance(declared, str) else None
                if match is None or short != first or not isinstance(values[short], dict):
                    continue
                label = str(values[short].get("name"))
                row = scope.tables[match[1]].child(label)
                plain = [part for part in way if isinstance(part, (str, int))]
                found = row.nearest(plain)[0] if row is not None else None
                if found is not None and found.span is not None:
                    yield found.span, f"the row {label!r}"

    def _name(self, coordinates: Mapping[str, int]) -> str:
        """Return the step with the coordinates that its settings depend on."""
        labels = {
            name: self.draft.frame.reading.registry.tables[name].labels[number]
            for name, number in coordinates.items()
        }
        return self.draft.full_name + coordinate_text(labels)


def coordinate_text(labels: Mapping[str, str]) -> str:
    """Return coordinates as task ids have them: ``[axis=label,...]``."""
    return "[" + ",".join(f"{name}={label}" for name, label in labels.items()) + "]"


def _variant(draft: Draft, config: Node, settled: Settled) -> Variant:
    """Return a variant with the places of its settings."""
    found = origins(config, settled)
    if draft.tag == _COMMAND:
        _refuse_private_names(draft, config, found)
    return Variant(
        settings=settled.settings,
        types=settled.types,
        origins=found,
        spans=spans(draft.node, config),
    )


def _refuse_private_names(draft: Draft, config: Node, found: Mapping[str, Origin]) -> None:
    """Report files that a command is to make whose names must not be recorded."""
    for path, origin in found.items():
        variables = sorted(item for item in origin.private if item.startswith("env"))
        if not variables or not path.startswith("outputs."):
            continue
        variable = variables[0].partition(".")[2] or "NAME"
        draft.frame.reading.report.add(
            Code.PRIVATE_NAME,
            f"{path}: the name of the product comes from ${{{variables[0]}}}",
            config.nearest(path.split("."))[0],
            hint=f"every record has it; write execution: {{record_env: [{variable}]}}",
            step=draft.full_name,
        )


def _cell(
    scope: Scope, values: Mapping[str, Any], way: Sequence[str | int | Lookup]
) -> Iterator[tuple[Span, str]]:
    """Yield where the value that is looked up in a table stands."""
    names = {**scope.names(), **values}
    keys = [
        evaluate(Expression(lookup=part), names) if isinstance(part, Lookup) else part
        for part in way
    ]
    table = scope.tables.get(str(keys[0])) if keys else None
    found = table.nearest(keys[1:])[0] if table is not None else None
    if found is not None and found.span is not None:
        yield found.span, "the value stands here"


def _with(node: Node, path: Path, value: Node) -> Node:
    """Return a tree with another value at a path."""
    if not path:
        return value
    made = node.value.copy()
    made[path[0]] = _with(made[path[0]], path[1:], value)
    return replace(node, value=made)


_Tree = dict[str | int, Any]  # keys lead to further trees, or to the number of a slot


def _paths(slots: Sequence[Slot]) -> _Tree:
    """Return the paths of slots as a tree."""
    tree: _Tree = {}
    for number, slot in enumerate(slots):
        place = tree
        for part in slot.path[:-1]:
            place = place.setdefault(part, {})
        place[slot.path[-1]] = number
    return tree


def _patched(value: Any, tree: _Tree | int, found: Sequence[Any]) -> Any:
    """Return a value with the slots filled in; what has no slot in it is shared."""
    if isinstance(tree, int):
        return found[tree]
    copy: Any = value.copy()
    for key, below in tree.items():
        copy[key] = found[below] if isinstance(below, int) else _patched(copy[key], below, found)
    return copy
