"""Axes of a scatter: their values, and the points at which a step runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice, product
from typing import Any, TypeGuard

from gpwf.core.points import Point, Points, projector
from gpwf.core.spec import Axis
from gpwf.lang.codes import Code
from gpwf.lang.report import Report
from gpwf.lang.schema import shown
from gpwf.lang.tree import Node

__all__ = ["AxisTable", "Declaration", "Registry", "TooManyTasksError", "extend"]

_LONGEST_LABEL = 60
_MOST_TRIES = 10_000  # points at which one value of an axis is looked for
_LONGEST_RANGE = 1 << 62  # what Python can tell the length of; far beyond what is allowed
_HINT = "an axis is a list, a table, or {range: {start, count}}"


class TooManyTasksError(Exception):
    """A scatter would have more points than are allowed."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(slots=True, kw_only=True)
class AxisTable:
    """The values of an axis that are known so far, each with a number.

    Parameters
    ----------
    name : str
        Full name of the axis.
    values : list
        Plain data; each value is there once.
    labels : list of str
        A short name of each.
    """

    name: str
    values: list[Any] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    _numbers: dict[Any, int] = field(default_factory=dict)

    def number(self, value: Any) -> int:
        """Return the number of a value; an unknown one is added."""
        if isinstance(value, (dict, list)):
            key: Any = json.dumps(value, sort_keys=True)
        else:
            key = (type(value), value)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.values)
            self.values.append(value)
            self.labels.append(_label(value, found))
        return found

    def frozen(self) -> Axis:
        """Return the axis as the specification keeps it."""
        return Axis(name=self.name, values=tuple(self.values), labels=tuple(self.labels))


def _label(value: Any, number: int) -> str:
    """Return a short name for a value, for ids: the name of a row, or the value."""
    if isinstance(value, dict) and not isinstance(value.get("name"), (dict, list, type(None))):
        value = value["name"]
    if isinstance(value, (dict, list)):
        return str(number)
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    made = "".join("_" if char in "[],=/" or not char.isprintable() else char for char in text)
    if len(made) > _LONGEST_LABEL:  # long texts often differ at their ends only
        made = f"{made[: _LONGEST_LABEL - 9]}~{sha256(text.encode()).hexdigest()[:8]}"
    return made or "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """An axis as a step declares it.

    Parameters
    ----------
    name : str
        Full name.
    node : Node
        What stands after the name.
    step : str
        The step.
    needs : tuple of str
        Full names of the axes whose values decide what the values of this one are.
    read : callable
        Returns the values at a point of ``needs`` (position on each), or None where there are
        none; that is reported.
    """

    name: str
    node: Node
    step: str
    needs: tuple[str, ...]
    read: Callable[[Point], Sequence[Any] | None]


class Registry:
    """The axes of a workflow and their values.

    Parameters
    ----------
    report : Report
        Takes the problems.
    max_tasks : int
        Largest number of points that all steps may have together.
    """

    def __init__(self, report: Report, max_tasks: int) -> None:
        self.report = report
        self.max_tasks = max_tasks
        self.count = 0
        self.tables: dict[str, AxisTable] = {}
        self.declared: dict[str, Declaration] = {}
        self._numbers: dict[tuple[str, Point], Sequence[int] | None] = {}

    def declare(self, item: Declaration) -> Declaration:
        """Keep a declaration; return the first one of the name, which is the one that counts."""
        first = self.declared.setdefault(item.name, item)
        if first is item:
            self.tables[item.name] = AxisTable(name=item.name)
        elif first.node.plain() != item.node.plain() and not self._same(first, item):
            related = ((first.node.span, "the first one"),) if first.node.span is not None else ()
            self.report.add(
                Code.AXIS_TWICE,
                f"the axis {item.name!r} has two lists of values",
                item.node,
                hint="give one of the axes another name",
                step=item.step,
                related=related,
            )
        return first

    def _same(self, first: Declaration, second: Declaration) -> bool:
        """Return True for axes without further axes whose values are equal."""
        if first.needs or second.needs:
            return False
        one, two = first.read(()), second.read(())
        return one is None or two is None or list(one) == list(two)

    def numbers(self, item: Declaration, at: Point) -> Sequence[int] | None:
        """Return the numbers of the values of an axis at a point of its ``needs``."""
        key = (item.name, at)
        if key not in self._numbers:
            values = item.read(at)
            if values is not None and self.count + len(values) > self.max_tasks:
                raise TooManyTasksError(self.count + len(values))
            self._numbers[key] = None if values is None else self._number(item, values)
        return self._numbers[key]

    def _number(self, item: Declaration, values: Sequence[Any]) -> Sequence[int]:
        """Give every value its number; report one that is there twice."""
        table = self.tables[item.name]
        found = [table.number(value) for value in values]
        labels = {table.labels[number] for number in found}
        if len(labels) < len(found):
            names = [table.labels[number] for number in found]
            twice = next(name for n, name in enumerate(names) if name in names[:n])
            message = f"the axis {item.name!r} has two values called {twice!r}"
            hint = "a value is there once; rows and other mappings are called by their `name`"
            self.report.add(Code.AXIS, message, item.node, hint=hint, step=item.step)
            return list(dict.fromkeys(found))
        return found

    def sample(self, name: str, which: int = 0, seen: tuple[str, ...] = ()) -> int | None:
        """Return the number of one value of an axis; the last one where there are not so many.

        Parameters
        ----------
        name : str
            Full name.
        which : int
            Counted from 0; the axes that this one needs are sampled likewise.

        Returns
        -------
        int or None
            None for an axis without values.
        """
        item = self.declared.get(name)
        if item is None or name in seen:
            return None
        at = [self.sample(need, which, (*seen, name)) for need in item.needs]
        if any(number is None for number in at):
            return None
        numbers = self.numbers(item, tuple(number for number in at if number is not None))
        numbers = numbers or self._elsewhere(item, seen)
        return numbers[min(which, len(numbers) - 1)] if numbers else None

    def _elsewhere(self, item: Declaration, seen: tuple[str, ...]) -> Sequence[int]:
        """Return the values of an axis at the first point of its needs where it has any."""
        choices: list[Sequence[int]] = []
        for need in item.needs:
            above = self.declared.get(need)
            if above is None or need in seen:
                return ()
            at = [self.sample(name, 0, (*seen, item.name)) for name in above.needs]
            known = tuple(number for number in at if number is not None)
            if len(known) < len(at):
                return ()
            choices.append(self.numbers(above, known) or self._elsewhere(above, (*seen, need)))
        for point in islice(product(*choices), _MOST_TRIES):
            numbers = self.numbers(item, point)
            if numbers:
                return numbers
        return ()

    def refuse_absent(
        self, step: str, full_name: str, axis: str, node: Node, *, ends: bool = False
    ) -> None:
        """Report that a step uses an axis that it does not have.

        Parameters
        ----------
        ends : bool
            The step gathers the axis: it has all values at once.
        """
        declared = self.declared.get(axis)
        by = f"; the step {declared.step!r} declares it" if declared is not None else ""
        message = f"the step {step!r} does not have the axis {axis!r}{by}"
        hint = "use a product of a step that has the axis, or add `foreach` to this one"
        if ends:
            message = f"the step {step!r} gathers the axis {axis!r}: it has no single value here"
            hint = "the axes that are not gathered can be used"
        self.report.add(Code.UNKNOWN_AXIS, message, node, hint=hint, step=full_name)

    def value(self, name: str, number: int) -> Any:
        """Return a value by its number."""
        return self.tables[name].values[number]

    def add(self, size: int) -> None:
        """Count points.

        Raises
        ------
        TooManyTasksError
            Where there are more than allowed.
        """
        self.count += size
        if self.count > self.max_tasks:
            raise TooManyTasksError(self.count)


def extend(points: Points, item: Declaration, registry: Registry) -> Points:
    """Return points with a further axis.

    Raises
    ------
    TooManyTasksError
        Before more points than allowed are made.
    """
    key_of = projector(points.axes, item.needs)
    size, found = 0, {}
    for row in points.rows:
        at = key_of(row)
        if at not in found:
            found[at] = registry.numbers(item, at) or ()
        size += len(found[at])
        if registry.count + size > registry.max_tasks:
            raise TooManyTasksError(registry.count + size)
    rows = [(*row, number) for row in points.rows for number in found[key_of(row)]]
    return Points((*points.axes, item.name), rows)


def axis_values(
    value: Any, node: Node, report: Report, step: str, name: str
) -> Sequence[Any] | None:
    """Return the values that an evaluated axis has; None where it has none, reported.

    Parameters
    ----------
    value : object
        A list, a mapping of names to rows, or ``{range: {start, count}}``.
    """
    if isinstance(value, Mapping) and set(value) == {"range"}:
        return _range(value["range"], node, report, step, name)
    if isinstance(value, Mapping):
        return _named(value, node, report, step, name)
    if isinstance(value, (list, tuple)):
        return value
    if not report.tells_of(node):
        message = f"the axis {name!r} is {shown(value)}, not a list"
        report.add(Code.AXIS, message, node, hint=_HINT, step=step)
    return None


def _range(value: Any, node: Node, report: Report, step: str, name: str) -> Sequence[int] | None:
    """Return the whole numbers of a range."""
    parts = value if isinstance(value, Mapping) else {}
    start, count = parts.get("start", 0), parts.get("count")
    other = next((str(key) for key in parts if key not in ("start", "count")), None)
    if other is None and _is_whole(start) and _is_whole(count) and count >= 0:
        return range(start, start + min(count, _LONGEST_RANGE))
    wrong = other or ("count" if _is_whole(start) else "start")
    where = node.get("range", wrong) or node.get("range") or node
    if not report.tells_of(where):
        needed = "a whole number" if wrong == "start" else "a whole number from 0 on"
        found = shown(parts[wrong]) if wrong in parts else "absent"
        problem = f"is {found}, not {needed}" if other is None else "is nothing that it has"
        message = f"the range of the axis {name!r}: {wrong!r} {problem}"
        hint = "write {range: {start: 0, count: 20}}"
        report.add(Code.AXIS, message, where, hint=hint, step=step)
    return None


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _named(
    value: Mapping[str, Any], node: Node, report: Report, step: str, name: str
) -> Sequence[Any] | None:
    """Return the rows of a mapping of names to rows; each knows its name."""
    rows = []
    for key, row in value.items():
        if row is not None and not isinstance(row, Mapping):
            message = f"the axis {name!r}: {key!r} is {shown(row)}, not a row"
            report.add(Code.AXIS, message, node, hint=_HINT, step=step)
            return None
        rows.append({"name": key, **(row or {})})
    return rows


def values_at(
    registry: Registry, names: Mapping[str, str], axes: Iterable[str], at: Point
) -> dict[str, Any]:
    """Return the values of axes by the names that a document has for them.

    Parameters
    ----------
    names : mapping of str to str
        Full names of the axes by their names in the document.
    axes : iterable of str
        Full names, in the order of ``at``.
    at : tuple of int
        Position on each.
    """
    numbers = dict(zip(axes, at, strict=True))
    return {
        name: registry.value(full, numbers[full]) for name, full in names.items() if full in numbers
    }
