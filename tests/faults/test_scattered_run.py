"""A scattered run by real workers: its record, its pictures and its log tell one task from another.

Commands only, so that it takes a second or two.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from prov.model import ProvDocument

from gpwf import api
from gpwf.cli.main import cli

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "prov"))

from prov_constraints import problems

PART = """\
gpwf: 1
name: part
params: {words: {type: list, default: [a]}}
steps:
  - name: say
    tag: command
    foreach: {word: "${params.words}"}
    config: {argv: [sh, -c, "echo ${word} > ${outputs.text}"], outputs: {text: said.txt}}
"""

WORKFLOW = """\
gpwf: 1
name: scattered
params: {more: false, count: 3}
tables:
  scenarios: {"null": {word: quiet}, bright: {word: loud}}
steps:
  - name: sim
    tag: command
    foreach: {scenario: "${tables.scenarios}", seed: {range: {start: 0, count: "${params.count}"}}}
    config:
      argv:
        - sh
        - -c
        - test ${scenario.word}${seed} != loud2 && echo ${scenario.word} ${seed} > ${outputs.out}
      outputs: {out: sim.txt}
  - name: rows
    tag: command
    gather: [seed]
    required_products: {items: sim.out}
    config:
      argv: [sh, -c, 'cat "$@" > rows.txt', sh, "${inputs.items}"]
      outputs: {table: rows.txt}
  - name: again
    tag: command
    gather: [seed]
    required_products: {items: sim.out}
    config:
      argv: [sh, -c, 'cat "$@" > rows.txt', sh, "${inputs.items}"]
      outputs: {table: rows.txt}
  - name: never
    tag: command
    when: "${params.more}"
    config: {argv: [echo], outputs: {out: x.txt}}
  - name: part
    tag: workflow
    foreach: {cut: [1 TeV, 2 TeV]}
    config: {file: part.gpwf.yaml, params: {words: [x, "${cut}"]}}
outputs: {tables: rows.table}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a run in which one simulation failed."""
    folder = tmp_path_factory.mktemp("scattered")
    (folder / "part.gpwf.yaml").write_text(PART)
    (folder / "w.gpwf.yaml").write_text(WORKFLOW)
    workflow = api.read(folder / "w.gpwf.yaml")
    return workflow.run(jobs=2, store=folder / "store", run_dir=folder / "run")


def gpwf(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(item) for item in arguments], prog_name="gpwf")


def record(run: Any) -> Mapping[str, Any]:
    data: dict[str, Any] = json.loads(run.provenance.read_text())
    return data


def test_the_record_is_valid_and_reads_back(run: Any, tmp_path: Path) -> None:
    text = run.provenance.read_text()
    assert problems(text) == []
    out = tmp_path / "record"
    assert gpwf("prov", "export", run.path, "--format", "json", "-o", out).exit_code == 0
    document = ProvDocument.deserialize(content=out.read_text(), format="json")
    assert document == ProvDocument.deserialize(content=text, format="json")
    assert gpwf("prov", "export", run.path, "--format", "provn", "-o", out).exit_code == 0
    assert out.read_text().strip() == document.get_provn().strip()


def test_every_task_is_recorded_at_its_place(run: Any) -> None:
    tasks = {x["gpwf:task"]: x for x in record(run)["activity"].values() if "gpwf:task" in x}
    assert len(tasks) == 6 + 1 + 3
    assert sorted(tasks["sim[scenario=null,seed=1]"]["gpwf:coordinate"]) == [
        "scenario=null",
        "seed=1",
    ]
    assert tasks["rows[scenario=null]"]["gpwf:otherName"] == "again[scenario=null]"
    assert sorted(tasks["part/say[cut=1 TeV,part/word=1 TeV]"]["gpwf:coordinate"]) == [
        "cut=1 TeV",
        "part/word=1 TeV",
    ]
    assert "gpwf:otherName" in tasks["part/say[cut=1 TeV,part/word=x]"] or (
        "gpwf:otherName" in tasks["part/say[cut=2 TeV,part/word=x]"]
    )


def test_what_did_not_run_is_listed(run: Any) -> None:
    (activity,) = [x for x in record(run)["activity"].values() if "gpwf:notRun" in x]
    found = {x["task"]: x for x in map(json.loads, activity["gpwf:notRun"])}
    assert found["never"]["state"] == "skipped"
    assert found["rows[scenario=bright]"]["reason"] == "sim[scenario=bright,seed=2] failed"
    assert found["rows[scenario=bright]"]["otherNames"] == ["again[scenario=bright]"]


def test_gathered_inputs_have_their_labels(run: Any) -> None:
    data = record(run)
    (rows,) = [
        k for k, x in data["activity"].items() if x.get("gpwf:task") == "rows[scenario=null]"
    ]
    labels = {
        data["entity"][x["prov:entity"]]["prov:label"]: x["gpwf:coordinate"]
        for x in data["used"].values()
        if x["prov:activity"] == rows and "gpwf:coordinate" in x
    }
    assert labels == {f"sim[scenario=null,seed={n}].out": f"seed={n}" for n in range(3)}


def test_included_documents_are_sources(run: Any) -> None:
    data = record(run)
    used = [x["prov:entity"] for x in data["used"].values() if x["prov:role"] == "in.document"]
    assert {data["entity"][name]["prov:label"] for name in used} == {
        "w.gpwf.yaml",
        "part.gpwf.yaml",
    }


@pytest.mark.parametrize("step", ["rows", "again"])
def test_a_file_of_a_product_leads_to_its_own_task(run: Any, tmp_path: Path, step: str) -> None:
    file = run.path / "products" / step / "scenario=null" / "table" / "rows.txt"
    assert file.read_text() == "quiet 0\nquiet 1\nquiet 2\n"
    out = tmp_path / "up.dot"
    shown = gpwf("prov", "show", file, "--up", "--detail", "task", "-o", out)
    assert shown.exit_code == 0, shown.output
    text = out.read_text()
    assert "seed=0" in text
    assert "scenario=null" in text
    assert "bright" not in text
    assert "say" not in text


def test_every_line_of_a_task_names_its_coordinates(run: Any) -> None:
    lines = [json.loads(line) for line in run.log.read_text().splitlines()]
    scattered = [line for line in lines if line["step"] in ("sim", "rows", "part/say")]
    assert len(scattered) > 20
    for line in scattered:
        assert line["coordinates"]
        inside = ",".join(f"{axis}={label}" for axis, label in line["coordinates"].items())
        assert line["task_id"] == f"{line['step']}[{inside}]"


def test_logs_are_selected_by_coordinates_and_by_other_names(run: Any) -> None:
    def tasks(*selected: str) -> set[str]:
        shown = gpwf("logs", run.path, *selected, "--format", "json")
        assert shown.exit_code == 0, shown.output
        return {json.loads(line)["task_id"] for line in shown.stdout.splitlines()}

    assert tasks("sim[seed=1]") == {f"sim[scenario={x},seed=1]" for x in ("null", "bright")}
    assert tasks("sim[scenario=bright,seed=2]") == {"sim[scenario=bright,seed=2]"}
    assert tasks("again") == {"rows[scenario=null]", "rows[scenario=bright]"}
    assert {task.partition("[")[0] for task in tasks("part")} == {"part/say"}
