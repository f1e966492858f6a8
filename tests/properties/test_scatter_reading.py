"""A damaged scatter ends with a specification or with diagnostics, never with neither."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpwf.compiler.compile import compile_plan
from gpwf.errors import DocumentError
from gpwf.lang import check_workflow

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "lang"))

from fake_catalog import FakeCatalog

CATALOG = FakeCatalog()
OUTER = """gpwf: 1
params: {n: 2, on: true, list: {type: list, default: [u, v]}}
tables:
  t: {x: {file: 1.yaml, members: [p, q]}, y: {file: 2.yaml, members: []}}
  rows: rows.csv
steps:
  - tag: observations
    foreach: {row: "${tables.t}", m: "${row.members}"}
    config: {datastore: "${m}"}
  - {tag: datasets, when: "${row.name} != y or not ${params.on}"}
  - {tag: models, config: {file: "${tables.rows.a.file}"}}
  - tag: simulate
    foreach: {seed: {range: {start: 1, count: "${params.n}"}}}
    config: {seed: "${seed}"}
  - {tag: collect, gather: [seed, m], required_products: {items: simulate.counts}}
  - name: in
    tag: workflow
    foreach: {k: "${params.list}"}
    config: {file: inner.yaml, params: {x: "${k}"}}
  - {name: all, tag: collect, gather: [k, in/l], required_products: {items: in.out}, after: collect}
outputs: {best: in.out}
"""
INNER = """gpwf: 1
params: {x: i, y: "${params.x}.yaml"}
tables: {t: [{name: "${params.x}"}]}
steps:
  - {tag: models, foreach: {l: [1, 2]}, config: {file: "${params.y}"}, when: "${l} > 1"}
outputs: {out: models.models}
"""
ROWS = "name,file\na,a.yaml\nb,./b.yaml\n"
PIECES = st.sampled_from(
    ["${", "}", "${m}", "${seed}", "${params.n}", "${tables.t}", *"[]{},: ", "row", "m", "null",
     "[]", "x", "inner.yaml", "in/l", "when: false, ", "gather: [m], ", "cache: false, ", '"', "-1",
     "foreach: {z: []}, ", "after: [all], ", "1000000000000", "workflow", "name: in, "]
)  # fmt: skip
CUTS = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 8), PIECES), min_size=1, max_size=3)
MANY = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def damaged(text: str, cuts: list[tuple[int, int, str]]) -> str:
    """Return a text with pieces taken out and others put in their place."""
    for where, length, piece in cuts:
        start = where % (len(text) + 1)
        text = text[:start] + piece + text[start + length :]
    return text


def check(folder: Path, outer: str, inner: str, rows: str) -> None:
    for name, text in (("w.yaml", outer), ("inner.yaml", inner), ("rows.csv", rows)):
        (folder / name).write_text(text)
    spec, found = check_workflow(folder / "w.yaml", CATALOG)
    assert (spec is None) == any(item.severity == "error" for item in found)
    assert all(item.span is not None for item in found)
    assert str(DocumentError(found))
    if spec is not None:
        plan = compile_plan(spec, CATALOG, None)  # type: ignore[arg-type]  # no step reads files
        assert len(plan.tasks) + len(plan.aliases) == sum(step.n_points for step in plan.steps)
        ids = [item.id for item in (*plan.tasks, *plan.aliases)]
        assert len(set(ids)) == len(ids)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scatter")


def test_undamaged(folder: Path) -> None:
    check(folder, OUTER, INNER, ROWS)


@MANY
@given(CUTS)
def test_outer(folder: Path, cuts: list[tuple[int, int, str]]) -> None:
    check(folder, damaged(OUTER, cuts), INNER, ROWS)


@MANY
@given(CUTS)
def test_inner(folder: Path, cuts: list[tuple[int, int, str]]) -> None:
    check(folder, OUTER, damaged(INNER, cuts), ROWS)


@MANY
@given(CUTS)
def test_rows(folder: Path, cuts: list[tuple[int, int, str]]) -> None:
    check(folder, OUTER, INNER, damaged(ROWS, cuts))
