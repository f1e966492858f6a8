"""Places, limits and line ends of the document reader."""

from __future__ import annotations

import hashlib

import pytest

from gpwf.core.diagnostics import Span
from gpwf.lang.builder import Limits
from gpwf.lang.document import Document, read_document


def read(text: str | bytes, **limits: int) -> Document:
    return read_document(text, file="w.yaml", limits=Limits(**limits))


def spans(document: Document, *path: str | int) -> tuple[Span | None, Span | None]:
    assert document.root is not None
    node = document.root.get(*path)
    assert node is not None
    return node.key_span, node.span


def place(line: int, column: int, end_line: int, end_column: int) -> Span:
    return Span(file="w.yaml", line=line, column=column, end_line=end_line, end_column=end_column)


def test_every_key_and_value_has_its_place() -> None:
    document = read("a:\n  b: [1, 'x y']\n  c: |\n    two\n    lines\nd:\n")
    assert spans(document, "a") == (place(1, 1, 1, 2), place(2, 3, 6, 1))
    assert spans(document, "a", "b") == (place(2, 3, 2, 4), place(2, 6, 2, 15))
    assert spans(document, "a", "b", 1) == (None, place(2, 10, 2, 15))
    assert spans(document, "d") == (place(6, 1, 6, 2), place(6, 3, 6, 3))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    document = read(end.join(["# comment", "a: 1", "b: {c: é, d: 4}", ""]))
    assert spans(document, "b", "d") == (place(3, 11, 3, 12), place(3, 14, 3, 15))
    assert document.source_line(3) == "b: {c: é, d: 4}"
    assert document.source_line(9) is None


def test_an_alias_stands_where_it_is_used() -> None:
    document = read("a: &x {k: 1}\nb: *x\n")
    assert spans(document, "b")[1] == place(2, 4, 2, 6)
    assert spans(document, "b", "k")[1] == place(1, 11, 1, 12)


def test_nearest_of_a_missing_key() -> None:
    document = read("a: {b: [1, 2]}\n")
    assert document.root is not None
    node, rest = document.root.nearest(("a", "b", 7, "x"))
    assert (node.plain(), rest) == ([1, 2], (7, "x"))
    assert document.root.get("a", "b", "1") is not None
    assert document.root.get("a", "zz") is None


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("a: " + "x" * 100, {"max_bytes": 50}),
        ("a: [[[[1]]]]", {"max_depth": 4}),
        ("a: &a [1]\nb: &b [*a]\nc: &c [*b]\nd: [*c]", {"max_depth": 4}),
        ("a: [1, 2, 3, 4]", {"max_nodes": 4}),
        ("a: &a [1, 2]\nb: [*a, *a, *a]", {"max_nodes": 10}),
    ],
)
def test_limits(text: str, limits: dict[str, int]) -> None:
    assert [item.code for item in read(text, **limits).diagnostics] == ["GP110"]


@pytest.mark.parametrize("unit", ["[", "{", "- ", "{a: ", "? ", "[{", "!a [", "&a [", "- - ? "])
def test_deep_nesting_ends_at_the_limit(unit: str) -> None:
    document = read(unit * 100_000)
    assert document.diagnostics
    assert len(document.diagnostics) <= 200


def test_the_digest_is_of_the_bytes() -> None:
    assert read(b"\xef\xbb\xbfa: 1\n").digest != read(b"a: 1\n").digest
    assert read("a: 1\n").digest == hashlib.sha256(b"a: 1\n").hexdigest()


def test_a_very_long_line_is_not_shown() -> None:
    document = read("a: 1\na: '" + "x" * 5000 + "'\n")
    assert [item.source_line for item in document.diagnostics] == [None]
