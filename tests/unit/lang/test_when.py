"""A condition means what Python means by it; any text is a condition or an error."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpwf.core.conditions import Comparison, Truth, holds
from gpwf.core.expressions import ExpressionError, Literal
from gpwf.lang.conditions import parse_condition
from gpwf.lang.refs import ReferenceSyntaxError

SCOPE: dict[str, Any] = {"t": True, "f": False, "n": 3, "e": "1 TeV", "params": {"s": "point"}}

# (text, what Python says): comparisons and truths
LEAVES = st.sampled_from(
    [
        ("${t}", True),
        ("${f}", False),
        ("true", True),
        ("false", False),
        ("${n} > 2", True),
        ("${n}<2", False),
        ("3 <= ${n}", True),
        ("${e} == 1000 GeV", True),
        ("${e} < 1 GeV", False),
        ("${params.s} == point", True),
        ("${params.s} != 'point'", False),
        ("${n} == '3'", False),
        ("${absent ?? 3} == 3", True),
    ]
)


def _bracketed(part: tuple[str, bool]) -> tuple[str, bool]:
    return f"({part[0]})", part[1]


def _negated(part: tuple[str, bool]) -> tuple[str, bool]:
    return f"not ({part[0]})", not part[1]


def _joined(parts: list[tuple[tuple[str, bool], str]]) -> tuple[str, bool]:
    """Join parts with `and` and `or`; `and` binds first, as Python has it."""
    text = parts[0][0][0]
    python = str(parts[0][0][1])
    for (part, truth), word in parts[1:]:
        text += f" {word} {part}"
        python += f" {word} {truth}"
    return text, bool(eval(python))  # nothing but True, False, and, or


CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(_bracketed),
        inner.map(_negated),
        st.lists(
            st.tuples(inner.map(_bracketed), st.sampled_from(["and", "or"])),
            min_size=1,
            max_size=4,
        ).map(_joined),
    ),
    max_leaves=12,
)


@given(CONDITIONS)
def test_a_condition_means_what_it_says(condition: tuple[str, bool]) -> None:
    text, expected = condition
    assert holds(parse_condition(text), SCOPE) is expected


PIECES = st.sampled_from(
    [*"()<>=!'\"$ \n", "${", "}", "${n}", "and", "or", "not", " and ", "==", "1", "TeV", "é", "&&"]
)


@given(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=20).map("".join)))
def test_any_text_is_a_condition_or_an_error(text: str) -> None:
    try:
        found = parse_condition(text)
    except ReferenceSyntaxError as error:
        found, position = None, error.position
    if found is None:
        assert 0 <= position <= len(text)
        return
    with suppress(ExpressionError):
        assert holds(found, SCOPE) in (True, False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 TeV", "1 TeV"),
        ("two  words", "two words"),
        ("'two  words'", "two  words"),
        ("null", None),
        ("1e-3", 1e-3),
        ("no", "no"),
        ("order", "order"),
        ("not-a-word", "not-a-word"),
    ],
)
def test_literals(text: str, value: Any) -> None:
    assert parse_condition(f" {text} ") == Truth(operand=Literal(value=value))


def test_words_of_the_grammar_end_a_literal() -> None:
    found = parse_condition("a b == c d and e")
    assert not isinstance(found, (Truth, Comparison))
    assert len(found.parts) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a value such as ${params.NAME}, found the end of the text"),
        ("${t} and", "expected a value such as ${params.NAME}, found the end of the text"),
        ("${n} = 3", "expected `==`, found '= 3'"),
        ("${t} && ${f}", "expected `and`, `or`, a comparison or the end, found '&& ${f}'"),
        ("1 || 2", "expected `or`, found '|| 2'"),
        ("params.n > 2", "expected ${params.n}, found 'params.n > 2'"),
        ("1 < 2 < 3", "expected `and`, `or` or the end after a comparison, found '< 3'"),
        ("(${t}", "expected `)`, found the end of the text"),
        ("f(1)", "expected `and`, `or`, a comparison or the end, found '(1)'"),
        ("1 > 1e999", "the number is too large"),
        ("not " * 60 + "true", "expected fewer brackets within brackets, found ' not not not'"),
    ],
)
def test_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ReferenceSyntaxError) as caught:
        parse_condition(text)
    assert str(caught.value) == message
