"""Where every step runs: axes inherited through the inputs, axes of its own, conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain

from gpwf.core.conditions import Condition, expressions, holds
from gpwf.core.expressions import ExpressionError
from gpwf.core.points import Point, Points, join, join_size, project, projector
from gpwf.core.spec import ConditionCase, InputRef
from gpwf.lang.axes import Declaration, Registry, TooManyTasksError, axis_values, extend
from gpwf.lang.codes import Code
from gpwf.lang.conditions import parse_condition
from gpwf.lang.decided import MOST_CASES, decided_case, note_constant, note_decided
from gpwf.lang.draft import Draft
from gpwf.lang.frame import Frame
from gpwf.lang.refs import ReferenceSyntaxError
from gpwf.lang.report import listed, near_miss
from gpwf.lang.scope import FailedParamError, root_names
from gpwf.lang.tables import CSV_LIMITS
from gpwf.lang.tree import Node, Place
from gpwf.lang.variants import coordinate_text

__all__ = ["declare_axes", "find_absent", "frame_points", "step_points"]

_RESERVED = ("params", "tables", "env", "workflow", "inputs", "outputs")


def declare_axes(frame: Frame) -> None:
    """Declare the axes of every step of a document, in its order."""
    steps = frame.root.child("steps")
    nodes = list(steps.entries()) if steps is not None else []
    for node in nodes:  # all names first: an axis may stand below the step that looks it up
        for name, _ in (node.child("foreach") or Node(value={})).items():
            frame.axes.setdefault(name, frame.prefix + name)
    for node in nodes:
        named = node.child("name") or node.child("tag")
        step = str(named.value) if named is not None else ""
        for name, value in (node.child("foreach") or Node(value={})).items():
            if name in _RESERVED:
                message = f"an axis cannot be called {name!r}: expressions see something else there"
                frame.reading.report.add(Code.AXIS, message, Place.of_key(value), step=step)
                frame.axes.pop(name, None)
                continue
            frame.reading.registry.declare(_declaration(frame, name, value, step))
    _refuse_circles(frame)


def _refuse_circles(frame: Frame) -> None:
    """Report axes that are made of each other; they have no values then."""
    declared = frame.reading.registry.declared
    own = [name for name in frame.axes.values() if name in declared]
    needs = {name: {need for need in declared[name].needs if need in own} for name in own}
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            circle: list[str] = list(reversed(error.args[1]))[1:]
        else:
            return
        start = circle.index(min(circle, key=own.index))
        turned = [*circle[start:], *circle[:start], circle[start]]
        first = declared[turned[0]]
        message = "axes are made of each other: " + " → ".join(turned)
        frame.reading.report.add(Code.AXIS, message, first.node, step=first.step)
        for name in circle:
            declared[name] = replace(declared[name], needs=(), read=_nothing)
            needs[name] = set()


def _declaration(frame: Frame, name: str, node: Node, step: str) -> Declaration:
    """Return the declaration of an axis; its values are read when they are needed."""
    resolved = frame.scope().resolve(node, step=step)
    needs = tuple(dict.fromkeys(axis for slot in resolved.slots for axis in slot.axes))
    report = frame.reading.report
    refused: list[str] = []

    def read(at: Point) -> Sequence[object] | None:
        coordinates = dict(zip(needs, at, strict=True))
        scope = frame.scope(coordinates) if frame.outer else frame.scope()
        fresh = replace(
            scope, expanded=0, limits=CSV_LIMITS
        )  # an axis may be as large as a table is
        found = fresh.resolve(node, step=step, values=frame.values(coordinates))
        if found.failed:
            return None
        private = sorted(item for item in found.node.all_private if item.startswith("env"))
        if private and not refused:
            refused.append(name)
            message = f"the values of the axis {name!r} come from ${{{private[0]}}}"
            variable = private[0].partition(".")[2] or "NAME"
            hint = f"they name tasks and folders; write execution: {{record_env: [{variable}]}}"
            report.add(Code.PRIVATE_NAME, message, node, hint=hint, step=step)
        return axis_values(found.node.plain(), node, report, step, name)

    if resolved.failed or frame.prefix + name in needs:
        if not resolved.failed:
            report.add(Code.AXIS, f"the axis {name!r} is made of itself", node, step=step)
        return Declaration(name=frame.prefix + name, node=node, step=step, needs=(), read=_nothing)
    return Declaration(name=frame.prefix + name, node=node, step=step, needs=needs, read=read)


def _nothing(at: Point) -> None:
    """Return no values: the reason has been reported."""


def frame_points(draft: Draft) -> Points:
    """Return where the workflow that a step includes runs."""
    return _own(draft, draft.frame.points)


def step_points(
    draft: Draft, inputs: Mapping[str, Sequence[InputRef]], made: Mapping[str, Points]
) -> Points | None:
    """Return where a step runs; None where that cannot be known, which is reported.

    Parameters
    ----------
    draft : Draft
        The step.
    inputs : mapping of str to sequence of InputRef
        Its inputs, by full names of steps.
    made : mapping of str to Points
        Where the steps above run.
    """
    registry = draft.frame.reading.registry
    if any(ref.step not in made for refs in inputs.values() for ref in refs):
        return None
    gathered = _gathered(draft, inputs, made)
    points = draft.frame.points
    for left in (left for refs in inputs.values() for left in _taken(refs, gathered, made)):
        if registry.count + join_size(points, left) > registry.max_tasks:
            raise TooManyTasksError(registry.count + join_size(points, left))
        points = join(points, left)
    points = _own(draft, points)
    if draft.runs is not None:
        return Points(tuple(dict.fromkeys((*points.axes, *draft.runs.axes))), [])
    # an input that only a step of unknown products could have
    return points if _is_connected(draft, inputs) else Points(points.axes, [])


def _taken(
    refs: Sequence[InputRef], gathered: Sequence[str], made: Mapping[str, Points]
) -> Iterator[Points]:
    """Yield where the products of a port are, without the axes that end.

    Of steps that a port gathers from, what is there is taken: together they are one part.
    """
    parts: dict[object, list[Points]] = {}
    for ref in refs:
        above = made[ref.step]
        left = project(above, [name for name in above.axes if name not in gathered])
        key = left.axes if left.axes != above.axes else ref
        parts.setdefault(key, []).append(left)
    for found in parts.values():
        rows = [item.rows for item in found]
        yield (
            found[0]
            if len(found) == 1
            else Points(found[0].axes, list(dict.fromkeys(chain.from_iterable(rows))))
        )


def _is_connected(draft: Draft, inputs: Mapping[str, Sequence[InputRef]]) -> bool:
    needed = [port.name for port in draft.ports or () if not port.optional and port.name != "*"]
    return all(inputs.get(name) for name in needed)


def find_absent(draft: Draft) -> None:
    """Find the ports of a step whose settings use an axis without values: it runs nowhere."""
    registry, catalog = draft.frame.reading.registry, draft.frame.reading.catalog
    axes = tuple(dict.fromkeys(axis for slot in draft.resolved.slots for axis in slot.axes))
    if draft.ports is not None or registry.report.has_errors:
        return
    if all(registry.sample(name) is not None for name in axes):
        return
    draft.runs = Points(axes, [])
    settings = draft.settled.settings if draft.settled is not None else {}
    with suppress(KeyError, TypeError, ValueError):  # ports that the missing settings decide
        ports = tuple(catalog.inputs(draft.tag, settings))
        draft.products = tuple(catalog.outputs(draft.tag, settings))
        draft.ports = ports


def _gathered(
    draft: Draft, inputs: Mapping[str, Sequence[InputRef]], made: Mapping[str, Points]
) -> tuple[str, ...]:
    """Return the full names of the axes that end at a step; check that they can."""
    node = draft.node.child("gather")
    if node is None:
        return ()
    report = draft.frame.reading.report
    single = {port.name for port in draft.ports or () if not port.multiple and port.name != "*"}
    above = {
        name: ref.step
        for refs in inputs.values()
        for ref in refs
        for name in made.get(ref.step, Points()).axes
    }
    known = {short: full for short, full in draft.frame.axes.items() if full in above}
    found: list[str] = []
    for item in node.entries() if node.is_list else [node]:
        if not isinstance(item.value, str):
            continue
        full: str | None = known.get(item.value) or (item.value if "/" in item.value else None)
        if (full is None or full not in above) and draft.frame.partial:
            continue
        if full is None or full not in above:
            hint = near_miss(item.value, known) or (
                f"axes of its inputs: {listed(list(known))}" if known else "no input has an axis"
            )
            message = f"no input of {draft.name!r} has the axis {item.value!r}"
            report.add(Code.UNKNOWN_AXIS, message, item, hint=hint, step=draft.full_name)
            continue
        ports = [port for port, refs in inputs.items() if _carries(refs, full, made)]
        for name in [port for port in ports if port in single]:
            message = f"the input {name!r} of {draft.name!r} takes one product: it cannot gather"
            several = [item.name for item in draft.ports or () if item.multiple]
            other = f"inputs that take several: {listed(several)}" if several else None
            report.add(Code.GATHER, message, item, hint=other, step=draft.full_name)
        found.append(full)
    return tuple(found)


def _carries(refs: Sequence[InputRef], axis: str, made: Mapping[str, Points]) -> bool:
    return any(axis in made.get(ref.step, Points()).axes for ref in refs)


def _own(draft: Draft, points: Points) -> Points:
    """Return points with the axes of a step's own, without those that its condition excludes."""
    frame, registry = draft.frame, draft.frame.reading.registry
    for name, node in (draft.node.child("foreach") or Node(value={})).items():
        item = registry.declared.get(frame.prefix + name)
        if item is None or item.name in points.axes:
            continue
        missing = [need for need in item.needs if need not in points.axes]
        if missing and frame.partial:
            continue
        if missing:
            names = listed([repr(need) for need in missing])
            message = f"the axis {name!r} needs {names}, which the step does not have"
            hint = f"declare {names} before it, or use a product of a step that has it"
            frame.reading.report.add(
                Code.UNKNOWN_AXIS, message, node, hint=hint, step=draft.full_name
            )
            frame.partial = True
            continue
        before = len(points)
        points = extend(points, item, registry)
        if before and not len(points) and registry.tables[item.name].values == []:
            _warn_empty(draft, name, node, registry)
    when = draft.node.child("when")
    return points if when is None else _filtered(draft, when, points)


def _warn_empty(draft: Draft, name: str, node: Node, registry: Registry) -> None:
    """Warn of an axis without values."""
    from gpwf.core.diagnostics import Severity

    if registry.report.has_errors:
        return
    message = f"the axis {name!r} has no values: {draft.name!r} and what depends on it do not run"
    registry.report.add(
        Code.NOTHING_RUNS, message, node, step=draft.full_name, severity=Severity.WARNING
    )


def _filtered(draft: Draft, when: Node, points: Points) -> Points:
    """Return the points at which a condition holds."""
    if isinstance(when.value, bool):
        note_constant(draft, when, len(points))
        return points if when.value else Points(points.axes, [])
    if not isinstance(when.value, str):
        return points
    frame, report = draft.frame, draft.frame.reading.report
    try:
        condition = parse_condition(when.value)
    except ReferenceSyntaxError as error:
        hint = "write ${params.NAME}, comparisons, `and`, `or`, `not`"
        message = f"malformed condition {when.value[:60]!r}: {error}"
        report.add(Code.CONDITION, message, when, hint=hint, step=draft.full_name)
        return points
    found = list(expressions(condition))
    frame.used_params |= root_names(found, "params")
    frame.used_tables |= root_names(found, "tables")
    needs = frame.scope().needs(found)
    missing = [name for name in needs if name not in points.axes]
    if missing and frame.partial:
        return points
    if missing:
        frame.reading.registry.refuse_absent(draft.name, draft.full_name, missing[0], when)
        return points
    key_of = projector(points.axes, needs)
    known: dict[Point, bool] = {}
    cases: list[ConditionCase] = []
    for row in points.rows:
        at = key_of(row)
        if at not in known:
            coordinates = dict(zip(needs, at, strict=True))
            decided = _decide(draft, condition, when, coordinates)
            if decided is None:
                return points
            known[at] = decided
            if len(cases) < MOST_CASES:
                cases.append(decided_case(draft, found, coordinates, decided))
    rows = [row for row in points.rows if known[key_of(row)]]
    note_decided(draft, when, cases, len(rows), len(points) - len(rows))
    return Points(points.axes, rows)


def _decide(
    draft: Draft, condition: Condition, when: Node, coordinates: Mapping[str, int]
) -> bool | None:
    """Return whether a condition holds; None where that cannot be decided, which is reported."""
    frame = draft.frame
    scope = frame.scope(coordinates) if frame.outer else frame.scope()
    names = {**scope.names(), **frame.values(coordinates)}
    try:
        return holds(condition, names, fallback=scope.fallback)
    except FailedParamError:
        return None
    except ExpressionError as error:
        tables = frame.reading.registry.tables
        labels = {name: tables[name].labels[number] for name, number in coordinates.items()}
        step = draft.full_name + (coordinate_text(labels) if labels else "")
        if type(error) is ExpressionError:
            message = f"the condition cannot be decided: {error}"
            frame.reading.report.add(Code.CONDITION, message, when, step=step)
        else:
            scope.refuse(error, when, step)
        return None
