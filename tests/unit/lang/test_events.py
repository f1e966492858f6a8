"""What is wrong with a text that is no YAML, said the same whichever parser reads it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from yaml.events import Event

from gpwf.lang import document
from gpwf.lang.document import Document, read_document
from gpwf.lang.events import SyntaxProblem, parse_with_libyaml, parse_with_python

CONFORMANCE = Path(__file__).parents[2] / "conformance"
TEXTS = sorted(CONFORMANCE.glob("*/*/*.yaml"))
Parser = Callable[[str], Iterator[Event]]
both = pytest.mark.parametrize("parser", [parse_with_libyaml, parse_with_python])


def read_with(parser: Parser, data: bytes, monkeypatch: pytest.MonkeyPatch) -> Document:
    monkeypatch.setattr(document, "parse_events", parser)
    return read_document(data, file="w.yaml")


def test_the_parsers_agree_on_every_conformance_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values, places of keys and values, codes and places of problems."""
    assert len(TEXTS) > 300
    for path in TEXTS:
        data = path.read_bytes()
        one = read_with(parse_with_libyaml, data, monkeypatch)
        two = read_with(parse_with_python, data, monkeypatch)
        assert one.diagnostics or one.root == two.root, path
        assert [(item.code, item.span) for item in one.diagnostics] == [
            (item.code, item.span) for item in two.diagnostics
        ], path


@both
@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("a: b: c", "1:5", "a colon makes no key here", "second `: `"),
        ("a:\n  b: 1\n c: 2", "3:2", "in a mapping: this belongs to nothing above", "indentation"),
        ("a:\n  - b\n c", "3:2", "belongs to nothing above it", "indentation"),
        ("a: [b, c", "1:9", "inside [ ]: a comma or a closing bracket is missing", "close every"),
        ("a: {b: 1 c: 2}", "1:11", "inside { }: a comma or a closing bracket", "close every"),
        ("a: {b: ${x}}", "1:9", "a comma or a closing bracket", "an expression needs quotes"),
        ("a: 'b", "1:6", "a quote is never closed", "close it"),
        ('a: "b\\qc"', "1:6", "no escape that YAML knows", "backslash"),
        ('a: "\\x1"', "1:7", "an escape without its hexadecimal digits", "backslash"),
        ("a: @b", "1:4", "a value cannot begin with '@'", "quotes"),
        ("a: *", "1:5", "an anchor or an alias without a name", "quotes"),
        ("a: |b\n", "1:5", "text behind the | or >", "next line"),
        ("a\nb: 1", "2:2", "a colon makes no key here", ""),
        ("a: 1\nb\n", "3:1", "a key without a colon", "colon and a space"),
        ("a: - b", "1:4", "a list cannot begin here", "own"),
    ],
)
def test_words(
    parser: Parser,
    text: str,
    place: str,
    message: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = read_with(parser, text.encode(), monkeypatch).diagnostics
    assert [item.code for item in found] == ["GP104"]
    assert str(found[0].span) == f"w.yaml:{place}"
    assert message in found[0].message
    assert found[0].message.startswith("not valid YAML")
    assert hint in (found[0].hint or "")


@both
@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("a: 1\n\tb: 2", "2:1", "GP105"),
        ("a:\n \t b: 2", "2:2", "GP105"),
        ('a: "x\\U00110000"', "1:6", "GP103"),
        ('a: "x\\ud800"', "1:6", "GP103"),
        ('a: "\\\\x\\u0007"', "1:8", "GP103"),
        ('a: "\\\\0\\e"', "1:8", "GP103"),
        ("a: x\ufeff", "1:5", "GP103"),
    ],
)
def test_other_codes(
    parser: Parser, text: str, place: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = read_with(parser, text.encode(), monkeypatch).diagnostics
    assert [(item.code, str(item.span)) for item in found] == [(code, f"w.yaml:{place}")]


@both
def test_a_missing_value_is_due_after_its_key(
    parser: Parser, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_with(parser, b"a:  \nb: {c:  , d: }\n", monkeypatch)
    assert read.root is not None
    places = [str(read.root.get(*path).span) for path in (("a",), ("b", "c"), ("b", "d"))]  # type: ignore[union-attr]
    assert places == ["w.yaml:1:3", "w.yaml:2:7", "w.yaml:2:13"]


def test_where_it_begins() -> None:
    with pytest.raises(SyntaxProblem) as problem:
        list(parse_with_libyaml("a: 1\nb: [1,\n  2"))
    assert problem.value.begin == 8


def test_without_libyaml_the_parser_in_python_reads(repository: Path) -> None:
    program = (
        "import yaml; yaml.__with_libyaml__ = False; import gpwf.lang.events as e;"
        "assert e.parse_events is e.parse_with_python; print(len(list(e.parse_events('a: 1'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "8"
