"""What decided conditions, and which workflows are steps: for the plan and the record."""

from __future__ import annotations

from pathlib import Path

from fake_catalog import FakeCatalog

from gpwf.core.digests import digest_bytes
from gpwf.core.spec import ConditionCase, WorkflowSpec
from gpwf.lang import read_workflow
from gpwf.lang.decided import MOST_CASES

INNER = """gpwf: 1
name: inner
description: of the document
params: {n: {type: int, default: 1}}
steps:
  - {tag: models, config: {file: m.yaml}}
  - name: more
    tag: models
    when: "${params.n} > 1 or ${params.n} == 1 and ${row ?? 2} == 7"
    config: {file: "m${params.n}.yaml"}
outputs: {models: models.models}
"""
OUTER = """gpwf: 1
params: {deep: true}
steps:
  - name: part
    tag: workflow
    foreach: {row: [1, 2, 3]}
    description: of the step
    config: {file: inner.gpwf.yaml, params: {n: "${row}"}}
  - name: never
    tag: workflow
    when: "not ${params.deep}"
    config: {file: inner.gpwf.yaml}
  - {name: off, tag: models, when: false, config: {file: m.yaml}}
  - {name: on, tag: models, when: true, config: {file: n.yaml}}
  - {name: plain, tag: models, config: {file: o.yaml}}
"""


def read(folder: Path, outer: str = OUTER, inner: str = INNER) -> WorkflowSpec:
    (folder / "inner.gpwf.yaml").write_text(inner)
    (folder / "outer.gpwf.yaml").write_text(outer)
    return read_workflow(folder / "outer.gpwf.yaml", FakeCatalog())


def test_a_condition_is_kept_with_what_decided_it(tmp_path: Path) -> None:
    spec = read(tmp_path)
    found = spec.step("part/more").condition
    assert found is not None
    assert found.text.startswith("${params.n} > 1 or")
    assert found.place.endswith("inner.gpwf.yaml:9:11")
    assert (found.n_true, found.n_false) == (2, 1)
    assert [(case.holds, case.values["params.n"]) for case in found.cases] == [
        (False, 1),
        (True, 2),
        (True, 3),
    ]
    assert [dict(case.coordinates) for case in found.cases] == [{"row": n} for n in (1, 2, 3)]


def test_constants_are_conditions_as_well(tmp_path: Path) -> None:
    spec = read(tmp_path)
    off, on = spec.step("off").condition, spec.step("on").condition
    assert off is not None
    assert on is not None
    assert (off.text, off.n_true, off.n_false) == ("false", 0, 1)
    assert (on.text, on.n_true, on.n_false) == ("true", 1, 0)
    assert off.cases == (ConditionCase(holds=False),)
    assert spec.step("plain").condition is None


def test_workflows_that_are_steps_are_listed(tmp_path: Path) -> None:
    spec = read(tmp_path)
    part, never = spec.workflows
    assert (part.name, part.title, part.description) == ("part", "inner", "of the step")
    assert part.path == str(tmp_path / "inner.gpwf.yaml")
    assert part.digest == digest_bytes(INNER.encode())
    assert (dict(part.axes), part.n_points, part.condition) == ({"row": 3}, 3, None)
    assert (never.description, never.n_points) == ("of the document", 0)
    assert never.condition is not None
    assert never.condition.cases == (ConditionCase(holds=False, values={"params.deep": True}),)
    assert not spec.step("never/more").points


def test_texts_of_all_documents_are_kept(tmp_path: Path) -> None:
    spec = read(tmp_path)
    assert set(spec.texts) == set(spec.sources.values())
    assert spec.texts[digest_bytes(INNER.encode())] == INNER


def test_only_the_first_cases_are_kept(tmp_path: Path) -> None:
    outer = """gpwf: 1
steps:
  - name: many
    tag: models
    foreach: {n: "${range}"}
    when: "${n} > 10"
    config: {file: "m${n}.yaml"}
""".replace('"${range}"', str(list(range(MOST_CASES + 20))))
    found = read(tmp_path, outer).step("many").condition
    assert found is not None
    assert len(found.cases) == MOST_CASES
    assert (found.n_true, found.n_false) == (MOST_CASES + 9, 11)
