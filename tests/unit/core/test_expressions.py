"""Expressions: grammar, values, and what cannot be evaluated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpwf.core.expressions import ExpressionError, Lookup, UnknownNameError, evaluate
from gpwf.lang.refs import ReferenceSyntaxError, parse_template

SCOPE = {
    "params": {"e": "1 TeV", "n": 3, "yes": True, "none": None, "list": [1, 2], "at": {"a-b": 5}},
    "member": {"target": "a-b"},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${params.n}", 3),
        ("${ params.list }", [1, 2]),
        ("${params.list[1]}", 2),
        ("${params.at.a-b}", 5),
        ("${params.at['a-b']}", 5),
        ("${params.at[member.target]}", 5),
        ("${params.e as GeV}", 1000.0),
        ("${params.e as MeV ?? 3}", 1e6),
        ("${params.zz ?? 3}", 3),
        ("${params.none ?? 'a}b'}", "a}b"),
        ("${params.zz.deeper ?? 1 TeV}", "1 TeV"),
        ("${params.zz ?? 1 TeV as is}", "1 TeV as is"),
        ("n=${params.n} ${params.yes}", "n=3 true"),
        ("$${params.n} $5 ${params.n}$", "${params.n} $5 3$"),
    ],
)
def test_value(text: str, value: Any) -> None:
    template = parse_template(text)
    assert template is not None
    assert evaluate(template, SCOPE) == value
    assert type(evaluate(template, SCOPE)) is type(value)


@pytest.mark.parametrize("text", ["", "a", "$x", "{}", "$ {x}"])
def test_text_without_expression(text: str) -> None:
    assert parse_template(text) is None


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("${", 2),
        ("a ${}", 4),
        ("${params.}", 9),
        ("${params.a b}", 11),
        ("${f(1)}", 3),
        ("${a + b}", 4),
        ("${a[}", 4),
        ("${a[0}", 5),
        ("${a ?? }", 7),
        ("${a ?? 1e999}", 7),
        ("${" + "a[" * 30, 44),
    ],
)
def test_malformed(text: str, position: int) -> None:
    with pytest.raises(ReferenceSyntaxError) as caught:
        parse_template(text)
    assert caught.value.position == position


def test_unknown_name_tells_what_is_known() -> None:
    template = parse_template("${params.at.b}")
    assert template is not None
    with pytest.raises(UnknownNameError, match=r"params\.at has no 'b'") as caught:
        evaluate(template, SCOPE)
    assert caught.value.path == ("params", "at", "b")
    assert caught.value.known == ("a-b",)


@pytest.mark.parametrize(
    "text",
    ["${params.n as TeV}", "${params.e as deg}", "x ${params.list}", "x ${params.none}",
     "${params.list[9]}", "${params.e.x}", "${params.at[params.list]}"],
)  # fmt: skip
def test_unusable(text: str) -> None:
    template = parse_template(text)
    assert template is not None
    with pytest.raises(ExpressionError):
        evaluate(template, SCOPE)


def test_lookup_as_text() -> None:
    inner = Lookup(parts=("member", "target"))
    assert str(Lookup(parts=("params", "at", inner, 0, "x"))) == "params.at[member.target][0].x"


@pytest.mark.parametrize(
    ("text", "value"), [("${a} ${n}", "x$${y} 1"), ("${a}", "x$${y}"), ("${n}", 1)]
)
def test_in_a_text_that_is_read_again_values_stay_text(text: str, value: Any) -> None:
    template = parse_template(text)
    assert template is not None
    assert evaluate(replace(template, read_again=True), {"a": "x${y}", "n": 1}) == value
