"""Conditions of ``when`` as frozen nodes, and their pure evaluation.

``and``, ``or``, ``not``, comparisons, and nothing else: no call, no arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from gpwf.core.expressions import Expression, ExpressionError, Literal, evaluate
from gpwf.core.units import UnitError, UnitFallback, canonical, parse_quantity, split_quantity

__all__ = ["OPERATORS", "Both", "Comparison", "Condition", "Not", "Truth", "expressions", "holds"]

OPERATORS = {"==": eq, "!=": ne, "<=": le, ">=": ge, "<": lt, ">": gt}

Operand = Expression | Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A value that must be true or false by itself."""

    operand: Operand


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two values and one of `OPERATORS` between them."""

    left: Operand
    operator: str
    right: Operand


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The opposite of a condition."""

    part: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Conditions of which all (``and``) or any (``or``) must hold."""

    word: str
    parts: tuple[Condition, ...]


Condition = Truth | Comparison | Not | Both


def expressions(condition: Condition) -> Iterator[Expression]:
    """Yield every expression of a condition."""
    match condition:
        case Truth(operand=operand):
            found: tuple[Operand, ...] = (operand,)
        case Comparison(left=left, right=right):
            found = (left, right)
        case Not(part=part):
            yield from expressions(part)
            return
        case Both(parts=parts):
            for item in parts:
                yield from expressions(item)
            return
    yield from (item for item in found if isinstance(item, Expression))


def holds(
    condition: Condition, scope: Mapping[str, Any], *, fallback: UnitFallback | None = None
) -> bool:
    """Return whether a condition holds.

    Parameters
    ----------
    condition : Condition
        What to decide.
    scope : mapping
        Names that can be looked up, see `gpwf.core.expressions.evaluate`.
    fallback : callable, optional
        Knows units that `gpwf.core.units` does not.

    Raises
    ------
    ExpressionError
        Where a name does not exist, a value is neither true nor false, or two values cannot be
        compared.
    """
    match condition:
        case Truth(operand=operand):
            value = evaluate(operand, scope, fallback=fallback)
            if not isinstance(value, bool):
                raise ExpressionError(f"{_words(operand, value)} is neither true nor false")
            return value
        case Not(part=part):
            return not holds(part, scope, fallback=fallback)
        case Both(word=word, parts=parts):
            found = (holds(part, scope, fallback=fallback) for part in parts)
            return all(found) if word == "and" else any(found)
        case Comparison(left=left, operator=operator, right=right):
            one = evaluate(left, scope, fallback=fallback)
            two = evaluate(right, scope, fallback=fallback)
            return _compare(_words(left, one), one, operator, _words(right, two), two, fallback)


def _compare(
    left: str, one: Any, operator: str, right: str, two: Any, fallback: UnitFallback | None
) -> bool:
    """Compare two values; numbers by size, quantities in one unit, the rest by equality."""
    compare = OPERATORS[operator]
    if _is_number(one) and _is_number(two):
        return bool(compare(one, two))
    left_one, right_one = _quantity(one, fallback), _quantity(two, fallback)
    if left_one is not None and right_one is not None:
        (first, unit), (second, other) = left_one, right_one
        if unit == other:
            return bool(compare(first, second))
        if operator not in ("==", "!="):
            raise ExpressionError(f"{left} and {right} have different units: {unit} and {other}")
    elif operator not in ("==", "!=") and None in (left_one, right_one):
        with_unit, other_one = (left, two) if left_one is not None else (right, one)
        if (left_one or right_one) is not None and _is_number(other_one):
            raise ExpressionError(f"{with_unit} has a unit, {other_one} has none")
    if operator in ("==", "!="):
        same = type(one) is type(two) and one == two
        return same if operator == "==" else not same
    raise ExpressionError(f"{left} and {right} have no order: {operator} is for numbers")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _quantity(value: Any, fallback: UnitFallback | None) -> tuple[float, str] | None:
    """Return number and unit of a quantity in the unit of its physical type; None for no one."""
    parts = split_quantity(value) if isinstance(value, str) else None
    if parts is None or not parts[1]:
        return None
    try:
        return canonical(*parse_quantity(str(value), fallback), fallback)
    except UnitError:
        return None


def _words(operand: Operand, value: Any) -> str:
    """Return an operand for a message."""
    shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, (Mapping, list, tuple)):
        shown = "a list" if isinstance(value, (list, tuple)) else "a mapping"
    if isinstance(operand, Literal):
        return f"{shown!s:.60}"
    return f"{operand.lookup} ({shown!s:.60})"
