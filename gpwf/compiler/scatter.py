"""Steps and their points → tasks, joined by index."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpwf.core.digests import canonical_json
from gpwf.core.plan import PlannedFile, Task, TaskAlias, TaskOutput
from gpwf.core.points import Point, Points, group, projector
from gpwf.core.spec import Axis, InputRef, StepSpec
from gpwf.errors import PlanError

__all__ = ["Scatter", "Shape"]

_STREAM_WORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all tasks with one variant of settings have in common.

    Parameters
    ----------
    fixed : mapping
        Fields of `Task` by name: step, tag, version, settings, types …
    identity : hashable
        Equal for settings, files and step types that give the same result.
    seeded : bool
        True where the settings have a ``seed``.
    """

    fixed: Mapping[str, Any]
    identity: int
    seeded: bool


@dataclass(slots=True, kw_only=True)
class _Made:
    """The tasks of a step by the number of the point."""

    points: Points
    tasks: list[int]
    outputs: dict[str, list[TaskOutput]] = field(default_factory=dict)


class Scatter:
    """Makes the tasks of a plan, step by step.

    Tasks with the same step type, settings, files and inputs are one task, whatever their names;
    the others become aliases of it. Tasks of a step without cache stay apart.

    Parameters
    ----------
    axes : mapping of str to Axis
        Axes of the workflow.
    """

    def __init__(self, axes: Mapping[str, Axis]) -> None:
        self.axes = axes
        self.tasks: list[Task] = []
        self.aliases: list[TaskAlias] = []
        self._ambiguous = {
            name: {label for label, count in Counter(axis.labels).items() if count > 1}
            for name, axis in axes.items()
        }
        self._made: dict[str, _Made] = {}
        self._known: dict[Any, int] = {}
        self._ids: set[str] = set()
        self._identities: dict[Any, int] = {}

    def identity(self, tag: str, version: str, settings: Any, files: Sequence[PlannedFile]) -> int:
        """Return a number that is the same for everything that computes the same."""
        contents = [[item.setting, item.name, item.digest] for item in files]
        key = hashlib.sha256(canonical_json([tag, version, settings, contents])).digest()
        return self._identities.setdefault(key, len(self._identities))

    def add(self, step: StepSpec, shape_of: Callable[[int], Shape]) -> None:
        """Make the tasks of a step; the steps above it are there already.

        Parameters
        ----------
        step : StepSpec
            The step.
        shape_of : callable
            Returns what the tasks with a variant have in common, by its number.
        """
        points = Points(step.axes, step.points)
        made = self._made[step.name] = _Made(points=points, tasks=[])
        ports = [_Joined(self, step, port, refs) for port, refs in step.inputs.items()]
        after = [self._after(step, name) for name in step.after if name in self._made]
        shapes: dict[int, Shape] = {}
        merges = step.policy.cache
        names = tuple(sorted(step.inputs))
        for number, row in enumerate(points.rows):
            chosen = step.chosen[number]
            shape = shapes.get(chosen)
            if shape is None:
                shape = shapes[chosen] = shape_of(chosen)
            inputs = {item.port: item.at(row) for item in ports}
            waits = tuple(dict.fromkeys(name for find in after for name in find(row)))
            labels = {item.port: item.labels(row) for item in ports if item.gathers}
            _refuse_twice(step, inputs, labels)
            stream = self._stream(step, row) if shape.seeded and step.axes else ()
            key = (
                shape.identity,
                names,
                tuple(tuple(map(_pair, inputs[name])) for name in names),
                waits,
                tuple(repr(labels[name]) for name in names if name in labels),
                stream,
            )
            known = self._known.get(key) if merges else None
            name, coordinates = self._name(step, row)
            if known is not None:
                made.tasks.append(known)
                self.aliases.append(
                    TaskAlias(
                        id=name,
                        step=step.name,
                        coordinates=coordinates,
                        task=self.tasks[known].id,
                    )
                )
                continue
            if merges:
                self._known[key] = len(self.tasks)
            made.tasks.append(len(self.tasks))
            self.tasks.append(
                Task(
                    id=name,
                    inputs=inputs,
                    after=waits,
                    coordinates=coordinates,
                    labels=labels,
                    stream=stream,
                    **shape.fixed,
                )
            )

    def outputs(self, ref: InputRef) -> tuple[TaskOutput, ...]:
        """Return a product of every task of a step, each once."""
        return tuple(dict.fromkeys(self.products(ref.step, ref.product)))

    def products(self, step: str, product: str) -> list[TaskOutput]:
        """Return a product of a step at every point."""
        made = self._made[step]
        found = made.outputs.get(product)
        if found is None:
            found = made.outputs[product] = [
                TaskOutput(task=self.tasks[number].id, product=product) for number in made.tasks
            ]
        return found

    def points(self, step: str) -> Points:
        """Return where a step runs."""
        return self._made[step].points

    def _name(self, step: StepSpec, row: Point) -> tuple[str, Mapping[str, Any]]:
        """Return id and coordinates of a task."""
        if not step.axes:
            self._ids.add(step.name)
            return step.name, {}
        parts, coordinates = [], {}
        for axis, number in zip(step.axes, row, strict=True):
            found = self.axes[axis]
            parts.append(f"{axis}={found.labels[number]}")
            coordinates[axis] = found.coordinate(number)
        name = made = f"{step.name}[{','.join(parts)}]"
        count = 1
        while made in self._ids:  # two rows of one name, on rosters that were gathered
            count += 1
            made = f"{name}~{count}"
        self._ids.add(made)
        return made, coordinates

    def _stream(self, step: StepSpec, row: Point) -> tuple[int, ...]:
        """Return the words that tell a task's random numbers from those of its neighbours.

        They depend on names and labels of the coordinates alone: a further value on an axis does
        not change the random numbers of the others. Where two values have one label (rows of two
        rosters that were gathered), the value counts as well.
        """
        labels: list[list[Any]] = []
        for axis, number in sorted(zip(step.axes, row, strict=True)):
            found = self.axes[axis]
            label = found.labels[number]
            labels.append([axis, label])
            if label in self._ambiguous[axis]:
                labels[-1].append(found.values[number])
        digest = hashlib.sha256(canonical_json(["gpwf-stream/1", labels])).digest()
        return tuple(int.from_bytes(digest[4 * n : 4 * n + 4], "big") for n in range(_STREAM_WORDS))

    def _after(self, step: StepSpec, name: str) -> Callable[[Point], Iterator[str]]:
        """Return what finds the tasks of another step that must end before a task.

        Where the two have axes in common, those that agree on them; all of them otherwise.
        """
        made = self._made[name]
        shared = [axis for axis in made.points.axes if axis in step.axes]
        index = group(made.points, shared)
        key_of = projector(step.axes, shared)
        return lambda row: (self.tasks[made.tasks[n]].id for n in index.get(key_of(row), ()))


def _refuse_twice(
    step: StepSpec, inputs: Mapping[str, tuple[TaskOutput, ...]], gathered: Collection[str]
) -> None:
    """Refuse an input that takes one product twice: two steps above turned out to be the same.

    Adding up datasets would count every photon twice.
    """
    for port, refs in inputs.items():
        if port in gathered or len(set(refs)) == len(refs):
            continue
        names = " and ".join(f"{ref.step}.{ref.product}" for ref in step.inputs[port])
        raise PlanError(
            f"{step.span or step.name}: the input {port!r} of {step.name!r} takes one product "
            f"twice: of {names}, two have the same settings and inputs",
            hint="take it once, or correct the settings of one of the steps",
        )


def _pair(ref: TaskOutput) -> tuple[str, str]:
    return ref.task, ref.product


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What an input port takes from one step.

    Parameters
    ----------
    key_of : callable
        Returns the key of a point of the step that takes.
    products, labels : dict
        By key: products, and where each comes from on the axes that end here; no labels where
        none does.
    gathers : bool
        True where an axis ends here: what is absent is left out.
    """

    key_of: Callable[[Point], Point]
    products: Mapping[Point, tuple[TaskOutput, ...]]
    labels: Mapping[Point, tuple[Mapping[str, str], ...]]
    gathers: bool

    def at(self, row: Point) -> tuple[TaskOutput, ...]:
        """Return the products at a point of the step that takes."""
        key = self.key_of(row)
        return self.products.get(key, ()) if self.gathers else self.products[key]


def _part(scatter: Scatter, step: StepSpec, ref: InputRef) -> _Part:
    """Index the products of a step by what they share with the step that takes them."""
    above = scatter.points(ref.step)
    made = scatter.products(ref.step, ref.product)
    kept = [axis for axis in above.axes if axis not in step.gather]
    ending = tuple(axis for axis in above.axes if axis in step.gather)
    key_of = projector(step.axes, kept)
    products: dict[Point, tuple[TaskOutput, ...]]
    if not ending:
        products = {row: (item,) for row, item in zip(above.rows, made, strict=True)}
        return _Part(key_of=key_of, products=products, labels={}, gathers=False)
    numbers = group(above, kept)
    products = {key: tuple(made[n] for n in items) for key, items in numbers.items()}
    take = projector(above.axes, ending)
    axes = [scatter.axes[name] for name in ending]
    labels: dict[Point, tuple[Mapping[str, str], ...]] = {
        key: tuple(
            {
                axis.name: axis.labels[number]
                for axis, number in zip(axes, take(above.rows[n]), strict=True)
            }
            for n in items
        )
        for key, items in numbers.items()
    }
    return _Part(key_of=key_of, products=products, labels=labels, gathers=True)


class _Joined:
    """An input port of a step: which products it takes at a point."""

    def __init__(
        self, scatter: Scatter, step: StepSpec, port: str, refs: Sequence[InputRef]
    ) -> None:
        self.port = port
        self._parts = [_part(scatter, step, ref) for ref in refs]
        self.gathers = any(part.gathers for part in self._parts)

    def at(self, row: Point) -> tuple[TaskOutput, ...]:
        """Return the products that the port takes at a point."""
        if len(self._parts) == 1:
            return self._parts[0].at(row)
        return tuple(item for part in self._parts for item in part.at(row))

    def labels(self, row: Point) -> tuple[Mapping[str, str], ...]:
        """Return where every product at a point comes from, on the axes that end here."""
        found: list[Mapping[str, str]] = []
        for part in self._parts:
            found += part.labels.get(part.key_of(row)) or [{} for _ in part.at(row)]
        return tuple(found)
