"""After any end of the driver, also kill -9, the journal still gives a valid record."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from prov_constraints import problems
from test_prov_included import children, values

import gpwf
from gpwf.api.recording import write_provenance
from gpwf.api.run_texts import texts_and_digests
from gpwf.api.runs import Run
from gpwf.errors import ProvenanceError, RunError
from gpwf.run.journal import scan_journal

PART = """gpwf: 1
params: {n: {type: int, default: 1}}
steps:
  - name: say
    tag: command
    config:
      argv: [sh, -c, 'echo $0 > "$1"', "${params.n}", "${outputs.out}"]
      outputs: {out: said.txt}
  - name: more
    tag: command
    when: "${params.n} > 1"
    required_products: {made: say.out}
    config:
      argv: [sh, -c, 'echo told >&2; cat "$0" > "$1"', "${inputs.made}", "${outputs.out}"]
      outputs: {out: more.txt}
outputs: {out: say.out}
"""
WHOLE = """gpwf: 1
name: whole
tables: {rows: rows.csv}
steps:
  - name: part
    tag: workflow
    foreach: {row: "${tables.rows}"}
    config: {file: part.gpwf.yaml, params: {n: "${row.n}"}}
  - name: join
    tag: command
    gather: [row]
    required_products: {items: part.out}
    config:
      argv: [sh, -c, 'cat "$@" > $0', "${outputs.out}", "${inputs.items}"]
      outputs: {out: joined.txt}
  - name: fails
    tag: command
    required_products: {made: join.out}
    config:
      argv: [sh, -c, 'echo no luck >&2; exit 3', "${inputs.made}"]
      outputs: {out: never.txt}
"""
ROWS = "name,n\na,1\nb,2\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of commands, scattered, gathered, nested, of which one fails."""
    folder = tmp_path_factory.mktemp("cut")
    for name, text in (("whole", WHOLE), ("part", PART)):
        (folder / f"{name}.gpwf.yaml").write_text(text)
    (folder / "rows.csv").write_text(ROWS)
    workflow = gpwf.read(folder / "whole.gpwf.yaml")
    found = workflow.run(jobs=1, store=folder / "store", run_dir=folder / "run")
    assert str(found.state) == "failed"
    return found


def record(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(run.provenance.read_text())
    return data


def test_written_as_it_went_or_afterwards_the_record_is_the_same(run: Run, tmp_path: Path) -> None:
    before = run.provenance.read_bytes()
    copy = Run(shutil.copytree(run.path, tmp_path / "run", symlinks=True))
    copy.provenance.unlink()
    assert write_provenance(copy).read_bytes() == before
    assert problems(before.decode()) == []


def test_cut_at_every_line_and_within_it_the_journal_gives_a_valid_record(
    run: Run, tmp_path: Path
) -> None:
    lines = (run.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    whole = (run.path / "log.jsonl").read_bytes()
    copy = Run(shutil.copytree(run.path, tmp_path / "run", symlinks=True))
    states = set()
    for number in range(1, len(lines) + 1):
        for torn in (b"", lines[number][:50] if number < len(lines) else b"{"):
            kept = b"".join(lines[:number])
            (copy.path / "journal.jsonl").write_bytes(kept + torn)
            (copy.path / "log.jsonl").write_bytes(whole[: len(whole) * number // len(lines)])
            write_provenance(copy)
            assert problems(copy.provenance.read_text()) == []
            data = record(copy)
            (journal,) = [i for i in data["entity"].values() if "gpwf:journalSum" in i]
            assert journal["gpwf:journalSum"] == json.loads(lines[number - 1])["sum"]
            (item,) = [i for name, i in data["activity"].items() if name.startswith("gpwf:run-")]
            states.add(item["gpwf:state"])
    assert states == {"interrupted", "failed"}


def test_a_journal_of_which_nothing_is_left_is_refused(run: Run, tmp_path: Path) -> None:
    copy = Run(shutil.copytree(run.path, tmp_path / "run", symlinks=True))
    (copy.path / "journal.jsonl").write_bytes(b"")
    with pytest.raises(ProvenanceError, match="does not say that the run started"):
        write_provenance(copy)
    (copy.path / "journal.jsonl").unlink()
    with pytest.raises(RunError, match="cannot read the journal"):
        write_provenance(copy)


def test_the_record_of_a_real_run_has_everything(run: Run) -> None:
    data = record(run)
    assert set(children(data)) == {"part[row=a]", "part[row=b]"}
    entities = data["entity"].values()
    texts = {item.get("prov:location", "").rpartition("/")[2]: item for item in entities}
    assert texts["part.gpwf.yaml"]["prov:value"] == PART
    assert texts["rows.csv"]["prov:value"] == ROWS
    (step,) = [item for item in entities if item.get("gpwf:name") == "part/more"]
    assert [json.loads(text)["values"] for text in values(step, "gpwf:decision")] == [
        {"params.n": 1},
        {"params.n": 2},
    ]
    # digests of the logs: of what the file has
    logs = {item["gpwf:task"]: item for item in entities if "gpwf:lines" in item}
    assert set(logs) == {"part/more[row=b]", "fails"}
    lines = (run.path / "log.jsonl").read_bytes().splitlines(keepends=True)
    said = [line for line in lines if b'"part/more[row=b]"' in line and b"told" in line]
    assert len(said) == 1
    state = hashlib.sha256(b"".join(said)).hexdigest()
    assert logs["part/more[row=b]"]["gpwf:sha256"] == state
    (environment,) = [item for item in entities if item.get("gpwf:distribution")]
    facts = {text.partition("=")[0] for text in values(environment, "gpwf:environment")}
    assert {"cpu", "cpus", "distributions_digest", "python.version", "gpwf.version"} <= facts


def test_the_last_sum_of_a_journal_in_order_is_found_at_its_end(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = scan_journal(run.path / "journal.jsonl").last_sum
    with monkeypatch.context() as patch:
        patch.setattr("gpwf.api.run_texts.scan_journal", None)  # a call would raise
        assert texts_and_digests(run)["journal_sum"] == expected
    copy = Run(shutil.copytree(run.path, tmp_path / "run", symlinks=True))
    journal = copy.path / "journal.jsonl"
    data = journal.read_bytes()
    before = json.loads(data.splitlines()[-2])["sum"]
    journal.write_bytes(data.replace(b'"failed"', b'"FAILED"'))  # the last line is not its own sum
    assert texts_and_digests(copy)["journal_sum"] != expected
    journal.write_bytes(data[:-1])
    assert texts_and_digests(copy)["journal_sum"] == before
