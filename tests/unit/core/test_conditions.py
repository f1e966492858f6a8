"""Conditions: a truth table, and what can be compared with what."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from gpwf.core.conditions import Both, Comparison, Condition, Not, Truth, expressions, holds
from gpwf.core.expressions import Expression, ExpressionError, Literal, Lookup, UnknownNameError


def value(name: str) -> Truth:
    return Truth(operand=Expression(lookup=Lookup(parts=(name,))))


def compare(left: Any, operator: str, right: Any) -> bool:
    found = Comparison(
        left=Expression(lookup=Lookup(parts=("x",))), operator=operator, right=Literal(value=right)
    )
    return holds(found, {"x": left})


A, B = value("a"), value("b")
CASES: list[tuple[Condition, Any]] = [
    (A, lambda a, b: a),
    (Not(part=A), lambda a, b: not a),
    (Both(word="and", parts=(A, B)), lambda a, b: a and b),
    (Both(word="or", parts=(A, B)), lambda a, b: a or b),
    (Both(word="or", parts=(A, Not(part=B))), lambda a, b: a or not b),
    (Not(part=Both(word="and", parts=(A, B))), lambda a, b: not (a and b)),
    (Both(word="and", parts=(A, Both(word="or", parts=(A, B)))), lambda a, b: a and (a or b)),
]


@pytest.mark.parametrize(("condition", "meaning"), CASES)
def test_truth_table(condition: Condition, meaning: Any) -> None:
    for a, b in product([True, False], repeat=2):
        assert holds(condition, {"a": a, "b": b}) is meaning(a, b)


def test_what_need_not_be_looked_at_is_not() -> None:
    assert holds(Both(word="or", parts=(Truth(operand=Literal(value=True)), A)), {})
    assert not holds(Both(word="and", parts=(Truth(operand=Literal(value=False)), A)), {})
    with pytest.raises(UnknownNameError):
        holds(Both(word="and", parts=(Truth(operand=Literal(value=True)), A)), {})


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [
        (1, "==", 1.0, True),
        (1, "<", 2, True),
        (2, "<=", 2, True),
        (-1, ">", 0, False),
        ("1 TeV", "==", "1000 GeV", True),
        ("1 TeV", ">", "999 GeV", True),
        ("1 TeV", ">=", "1 TeV", True),
        ("60 arcmin", "<=", "1 deg", True),
        ("1 TeV", "==", "1 deg", False),
        ("1 TeV", "!=", "1 deg", True),
        ("1 TeV", "==", 1, False),
        ("a", "==", "a", True),
        ("a", "!=", "b", True),
        ("1", "==", 1, False),
        (True, "==", 1, False),
        (True, "==", True, True),
        (None, "==", None, True),
        (None, "!=", 0, True),
        ([1, 2], "==", None, False),
    ],
)
def test_comparisons(left: Any, operator: str, right: Any, expected: bool) -> None:
    assert compare(left, operator, right) is expected


@pytest.mark.parametrize(
    ("left", "operator", "right", "message"),
    [
        ("1 TeV", "<", "1 deg", "x (1 TeV) and 1 deg have different units: TeV and deg"),
        ("1 TeV", "<", 1, "x (1 TeV) has a unit, 1 has none"),
        (1, ">=", "1 TeV", "1 TeV has a unit, 1 has none"),
        ("a", "<", "b", "x (a) and b have no order: < is for numbers"),
        (True, ">", False, "x (true) and false have no order: > is for numbers"),
        (None, ">", 1, "x (null) and 1 have no order: > is for numbers"),
        ([1], "<", 2, "x (a list) and 2 have no order: < is for numbers"),
    ],
)
def test_no_order(left: Any, operator: str, right: Any, message: str) -> None:
    with pytest.raises(ExpressionError, match=r".") as caught:
        compare(left, operator, right)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("found", "shown"), [(1, "1"), ("yes", "yes"), (None, "null"), ({}, "a mapping")]
)
def test_only_true_and_false_are_truths(found: Any, shown: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        holds(value("a"), {"a": found})
    assert str(caught.value) == f"a ({shown}) is neither true nor false"


def test_expressions_are_found_in_all_parts() -> None:
    one, two, three = (Expression(lookup=Lookup(parts=(name,))) for name in "xyz")
    condition = Both(
        word="or",
        parts=(
            Not(part=Truth(operand=one)),
            Comparison(left=two, operator="<", right=three),
            Comparison(left=Literal(value=1), operator="<", right=Literal(value=2)),
        ),
    )
    assert list(expressions(condition)) == [one, two, three]
