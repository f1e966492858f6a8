"""What decided the conditions of steps, for the plan and the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from gpwf.core.expressions import Expression, ExpressionError, evaluate
from gpwf.core.redact import REDACTED
from gpwf.core.spec import ConditionCase, StepCondition
from gpwf.lang.draft import Draft
from gpwf.lang.tree import Node

__all__ = ["MOST_CASES", "decided_case", "note_constant", "note_decided"]

#: Cases of one condition that are kept; the others are counted.
MOST_CASES = 64


def decided_case(
    draft: Draft,
    expressions: Sequence[Expression],
    coordinates: Mapping[str, int],
    holds: bool,
) -> ConditionCase:
    """Return what a condition looked up at some places, and what came out.

    Parameters
    ----------
    draft : Draft
        The step.
    expressions : sequence of Expression
        Those of its condition.
    coordinates : mapping of str to int
        Positions on the axes that the condition depends on.
    holds : bool
        What came out.
    """
    frame = draft.frame
    scope = frame.scope(coordinates) if frame.outer else frame.scope()
    names = {**scope.names(), **frame.values(coordinates)}
    values = {}
    for item in expressions:
        with suppress(ExpressionError):  # behind an `or` that was true already
            value = evaluate(item, names, fallback=scope.fallback)
            values[str(item.lookup)] = REDACTED if scope.private([item]) else value
    tables = frame.reading.registry.tables
    return ConditionCase(
        holds=holds,
        values=values,
        coordinates={
            name: tables[name].frozen().coordinate(number) for name, number in coordinates.items()
        },
    )


def note_constant(draft: Draft, when: Node, n_points: int) -> None:
    """Keep a condition that is just true or false."""
    holds = bool(when.value)
    case = ConditionCase(holds=holds)
    note_decided(draft, when, [case], n_points if holds else 0, 0 if holds else n_points)


def note_decided(
    draft: Draft, when: Node, cases: Sequence[ConditionCase], n_true: int, n_false: int
) -> None:
    """Keep a condition with what decided it."""
    text = when.value if isinstance(when.value, str) else str(when.value).lower()
    draft.condition = StepCondition(
        text=text,
        place=str(when.span) if when.span is not None else "",
        cases=tuple(cases),
        n_true=n_true,
        n_false=n_false,
    )
