"""From opened documents to the steps of the specification."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from gpwf.core.diagnostics import Severity
from gpwf.core.points import Points
from gpwf.core.spec import InputRef, StepSpec
from gpwf.lang.codes import Code
from gpwf.lang.draft import WORKFLOW_TAG, Draft
from gpwf.lang.expand import step_points
from gpwf.lang.include import Opened
from gpwf.lang.tree import Node, Place
from gpwf.lang.variants import settle_variants

__all__ = ["check_unused", "expand_steps"]

_Inputs = dict[str, tuple[InputRef, ...]]


def expand_steps(opened: Opened) -> tuple[StepSpec, ...] | None:
    """Return every step with the points at which it runs and its settings there.

    Returns
    -------
    tuple of StepSpec or None
        In the order of the documents; None where a problem, which was reported, leaves it open
        where a step runs.

    Raises
    ------
    TooManyTasksError
        Before more points than allowed are made.
    """
    connections = {
        draft.full_name: (draft, inputs, after) for draft, inputs, after in opened.connections()
    }
    edges = {
        name: {ref.step for refs in inputs.values() for ref in refs}
        for name, (_, inputs, _) in connections.items()
    }
    try:
        order = list(TopologicalSorter(edges).static_order())
    except CycleError:  # reported by the wiring
        return None
    made: dict[str, Points] = {}
    specs: dict[str, StepSpec] = {}
    for name in order:
        if name not in connections:
            continue
        draft, inputs, after = connections[name]
        if (
            draft.ports is None and draft.runs is None
        ):  # its problems are told; nobody knows its inputs
            continue
        points = step_points(draft, inputs, made)
        if points is None:
            continue
        made[name] = points
        draft.frame.reading.registry.add(len(points))
        specs[name] = _spec(draft, inputs, after, points)
    if len(specs) < len(connections):
        return None
    return tuple(specs[name] for name in connections)


def _spec(draft: Draft, inputs: _Inputs, after: tuple[str, ...], points: Points) -> StepSpec:
    """Return the specification of a step."""
    variants, chosen = settle_variants(draft, points)
    description = draft.node.child("description")
    return StepSpec(
        name=draft.full_name,
        tag=draft.tag,
        inputs={port: refs for port, refs in inputs.items() if refs},
        outputs={port.name: port.kind for port in draft.products or ()},
        variants=variants,
        axes=points.axes,
        points=points.rows,
        chosen=chosen,
        after=after,
        gather=_gather(draft),
        policy=draft.policy,
        description=str(description.value) if description is not None else "",
        span=draft.node.span,
        condition=draft.condition,
    )


def _gather(draft: Draft) -> tuple[str, ...]:
    """Return the full names of the axes that end at a step."""
    node = draft.node.child("gather")
    if node is None:
        return ()
    items = node.entries() if node.is_list else [node]
    names = [str(item.value) for item in items]
    return tuple(draft.frame.axes.get(name, name) for name in names)


def check_unused(opened: Opened) -> None:
    """Warn of parameters, tables and defaults that nothing uses, in all documents."""
    frame, report = opened.frame, opened.frame.reading.report
    params = frame.scope().params
    params.check_used(frame.used_params)  # type: ignore[attr-defined]
    declared = frame.root.child("tables")
    for name, node in declared.items() if declared is not None else ():
        if name not in frame.used_tables:
            message = f"nothing uses the table {name!r}"
            hint = f"use it as ${{tables.{name}}} or remove it"
            place = Place.of_key(node)
            report.add(Code.TABLE_UNUSED, message, place, hint=hint, severity=Severity.WARNING)
    tags = {draft.tag for draft in opened.drafts}
    for tag, node in (frame.root.child("defaults") or Node(value={})).items():
        if tag not in tags and tag in (*frame.reading.catalog.tags(), WORKFLOW_TAG):
            message = f"no step has the type {tag!r}"
            report.add(Code.UNUSED_DEFAULTS, message, Place.of_key(node), severity=Severity.WARNING)
    inner: Mapping[str, Opened] = opened.inner
    for item in inner.values():
        check_unused(item)
