"""Whatever the bytes, reading ends with a specification or with diagnostics, never a traceback."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaml.events import Event

from gpwf.core.expressions import ExpressionError, evaluate
from gpwf.errors import DocumentError
from gpwf.lang import check_document
from gpwf.lang.document import Limits, read_document
from gpwf.lang.events import parse_with_libyaml, parse_with_python
from gpwf.lang.refs import ReferenceSyntaxError, parse_template
from gpwf.lang.tree import Node
from gpwf.report.diagnostics import diagnostics_text, github_lines
from gpwf.report.listings import diagnostic_data

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "lang"))

from fake_catalog import FakeCatalog
from several_files import check_span, lines_of

CATALOG = FakeCatalog()
WORKFLOW = """gpwf: 1
params: {e_min: {type: energy, default: 1 TeV, min: 0.3 TeV}, ids: [1, 2]}
defaults: {fit: {tolerance: 1e-3}}
steps:
  - {tag: observations, config: {datastore: data, obs_ids: "${params.ids}"}}
  - tag: datasets
    config: {energy: {min: "${params.e_min}", max: 10 TeV, nbins: 3}}
  - {tag: models, config: {file: m.yaml}}
  - {tag: fit, timeout: 30 min, after: [models]}
  - {tag: flux-points, config: {source: crab}, required_products: [datasets.datasets, fit.models]}
outputs: {models: fit.models}
profiles: {quick: {steps: {fit: {config: {label: x}}}}}
"""
WORDS = st.sampled_from(
    [*"{}[]:,-?&*!|>'\"%@`#~$\n\t ", "${", "${params.e_min}", "<<", "a: ", "- ", "---", "&a ",
     "*a", "null", "1e999", ".inf", "0x", "\\U0011", "gpwf: 1\n", "steps:\n", "  - tag: fit\n",
     "\x85", "\u2028", "\ufeff", "params:\n", "tag: ", "config: ", "required_products: "]
)  # fmt: skip
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(data: bytes | str) -> None:
    spec, found = check_document(data, CATALOG, path=Path("w.yaml"), base=Path("/base"))
    assert spec is not None or any(item.severity == "error" for item in found)
    assert str(DocumentError(found))
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    lines = lines_of(raw)
    for item in found:
        assert item.span is not None
        for span in (item.span, *(span for span, _ in item.related)):
            check_span(span, lines)
    shown = [diagnostics_text(found), "\n".join(github_lines(found))]
    assert all("\n" not in line for line in github_lines(found))
    json.dumps([diagnostic_data(item) for item in found])
    assert "".join(shown).encode()  # nothing that cannot be printed


@MANY
@given(st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    check(data)


@MANY
@given(st.text(max_size=300))
def test_text(text: str) -> None:
    check(text)


@MANY
@given(st.lists(WORDS | st.text(max_size=4), max_size=40).map("".join))
def test_yaml_like_text(text: str) -> None:
    check(text)


@MANY
@given(st.data())
def test_damaged_workflow(data: st.DataObject) -> None:
    text = WORKFLOW
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 8)))
        text = text[:start] + data.draw(WORDS | st.text(max_size=3)) + text[end:]
    check(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(MANY, max_examples=15)
@given(VALUES)
def test_any_value_anywhere(value: object) -> None:
    """Plain data of any shape in the place of every key of a workflow."""
    base = yaml.safe_load(WORKFLOW.replace("1e-3", "0.001"))
    for key in base:
        check(yaml.safe_dump(base | {key: value}, allow_unicode=True))
    for key in ("tag", "name", "config", "required_products", "products", "after", "resources"):
        changed = [dict(step) for step in base["steps"]]
        changed[3][key] = value
        check(yaml.safe_dump(base | {"steps": changed}, allow_unicode=True))


def all_nodes(node: Node) -> Iterator[Node]:
    yield node
    for _, item in node.items():
        yield from all_nodes(item)
    for item in node.entries():
        yield from all_nodes(item)


@MANY
@given(st.lists(WORDS | st.text(max_size=4), max_size=40).map("".join))
@pytest.mark.parametrize("parser", [parse_with_libyaml, parse_with_python])
def test_every_value_lies_in_the_text(parser: Callable[[str], Iterator[Event]], text: str) -> None:
    """The places of keys and values, too, with either parser."""
    with mock.patch("gpwf.lang.document.parse_events", parser):
        document = read_document(text, file="w.yaml")
    lines = lines_of(text.encode("utf-8", "surrogatepass"))
    for item in document.diagnostics:
        assert item.span is not None
        check_span(item.span, lines)
    for node in all_nodes(document.root) if document.root is not None else ():
        for span in (node.span, node.key_span):
            if span is not None:
                check_span(span, lines)


@MANY
@given(st.lists(WORDS, max_size=60).map("".join))
def test_reading_is_bounded(text: str) -> None:
    limits = Limits(max_bytes=1000, max_depth=5, max_nodes=20, max_diagnostics=3)
    document = read_document(text, file="w.yaml", limits=limits)
    assert len(document.diagnostics) <= 3
    if document.root is not None and not document.diagnostics:
        assert count(document.root.plain()) <= 20


def count(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(count(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(count(item) for item in value)
    return 1


@MANY
@given(VALUES)
def test_what_is_written_is_read(value: object) -> None:
    """JSON is YAML 1.2: every value comes back as it was written."""
    import json

    document = read_document(json.dumps({"a": value}, ensure_ascii=False), file="w.json")
    printable = all(
        char.isprintable() or char == " " for char in json.dumps(value, ensure_ascii=False)
    )
    if printable and not document.diagnostics:
        assert document.root is not None
        assert document.root.plain() == {"a": value}


@MANY
@given(
    st.lists(
        st.sampled_from(
            ["${", "$", "{", "}", "params", ".", "a", "[", "0", "]", " as ", "TeV", "??", "'", "1"]
        ),
        max_size=14,
    ).map("".join)
)
def test_expressions(text: str) -> None:
    try:
        template = parse_template(text)
        if template is None:
            assert "${" not in text
        else:
            evaluate(template, {"params": {"a": ["1 TeV", {"a": 2}]}})
    except (ReferenceSyntaxError, ExpressionError):
        assert "${" in text
