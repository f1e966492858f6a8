"""What other tools recorded, as it is asked for, drawn, checked and exported; a run of programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gpwf import api
from gpwf.api.query import open_provenance
from gpwf.api.reproduction import reproduce
from gpwf.api.runs import Run
from gpwf.cli.main import cli
from gpwf.errors import ProvenanceError
from gpwf.prov.ingest import companions, merged_record
from gpwf.prov.ingest_merge import with_ingested
from gpwf.prov.sidecars import SIDECARS
from gpwf.prov.validation.check import check_file

_WORKFLOW = """\
gpwf: 1
name: sums
steps:
  - name: select
    tag: command
    config:
      argv: [cp, "${inputs.numbers}", "${outputs.selected}"]
      inputs: {numbers: data/numbers.txt}
      outputs: {selected: selected.txt}
"""
_NUMBERS = "1 2\n"


def foreign(**truth: Any) -> dict[str, Any]:
    """Return a document of a catalogue: entry → selection-7 → the numbers of the run."""
    return {
        "prefix": {"cat": "https://catalogue.example/"},
        "entity": {
            "cat:entry": {"prov:label": "entry of the Crab nebula"},
            "cat:truth": truth or {"prov:location": "numbers.txt"},
        },
        "activity": {"cat:selection-7": {"prov:endTime": "2026-03-01T12:00:00+01:00"}},
        "agent": {"cat:keeper": {"prov:type": {"$": "prov:Person", "type": "xsd:QName"}}},
        "used": {"_:u": {"prov:activity": "cat:selection-7", "prov:entity": "cat:entry"}},
        "wasGeneratedBy": {"_:g": {"prov:entity": "cat:truth", "prov:activity": "cat:selection-7"}},
        "wasAssociatedWith": {
            "_:a": {"prov:activity": "cat:selection-7", "prov:agent": "cat:keeper"}
        },
    }


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose input has a sidecar; made once, copied for every test."""
    folder = tmp_path_factory.mktemp("kept") / "sums"
    (folder / "data").mkdir(parents=True)
    (folder / "data/numbers.txt").write_text(_NUMBERS)
    (folder / "data/numbers.txt.prov.json").write_text(json.dumps(foreign()))
    (folder / "sums.gpwf.yaml").write_text(_WORKFLOW)
    assert run_in(folder).state == "ok"
    return folder


@pytest.fixture
def folder(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sums"
    shutil.copytree(ready, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GPWF_STORE", raising=False)
    return folder


@pytest.fixture
def run(folder: Path) -> Run:
    return Run(folder / "runs/first")


def run_in(folder: Path, name: str = "first", **options: Any) -> Run:
    workflow = api.read(folder / "sums.gpwf.yaml")
    return workflow.run(jobs=1, run_dir=folder / "runs" / name, store=folder / ".gpwf", **options)


def gpwf(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(item) for item in args], prog_name="gpwf")


# ---- sidecars at the end of a run -----------------------------------------------------------


def test_sidecars_are_taken_in_at_the_end(run: Run, folder: Path) -> None:
    (document,) = companions(run.provenance)
    assert "cat:selection-7" in json.loads(document.read_text())["activity"]
    second = run_in(folder, "second")  # everything is cached, the sidecar is there still
    assert second.view.counts() == {"cached": 1}
    assert [item.name for item in companions(second.provenance)] == [document.name]
    # who wants no names in the record wants none that others wrote
    assert not companions(run_in(folder, "third", anonymous=True).provenance)


def test_a_bad_sidecar_fails_no_run(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "data/numbers.txt.provenance.log").write_text('{"torn')
    (folder / "data/numbers.txt.provn").mkdir()
    done = run_in(folder, "second")
    assert done.state == "ok"
    assert "numbers.txt.provenance.log" in caplog.text
    assert "it is not in the record" in caplog.text
    assert len(companions(done.provenance)) == 1  # the good one


def test_without_sidecars_nothing_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data/numbers.txt.prov.json").unlink()
    monkeypatch.setattr("gpwf.api.ingest.take_sidecars", lambda *_: pytest.fail("called"))
    assert not companions(run_in(folder, "second").provenance)
    assert len(SIDECARS) == 4


# ---- query ----------------------------------------------------------------------------------


def test_questions_go_on_into_what_was_ingested(run: Run, folder: Path) -> None:
    with open_provenance(run.path) as provenance:
        names = [item.name for item in provenance.inputs("select.selected")]
        assert names == ["cp", "entry of the Crab nebula", "numbers.txt"]
        for name in ("entry of the Crab nebula", "cat:entry"):
            (made,) = provenance.products(name)
            assert made.task == "select"
        assert not provenance.skipped
    done = gpwf("prov", "query", run.path, "--of", "select.selected", "--up")
    assert "cat:truth, by cat:selection-7" in done.stdout, done.output
    assert "entry of the Crab nebula" in done.stdout.splitlines()[-1]
    # the foreign file has the name of ours: that is no ambiguity
    done = gpwf("prov", "query", run.path, "--of", "numbers.txt")
    assert done.exit_code == 0, done.output
    assert "cat:selection-7" in done.stdout


def test_the_same_by_content(run: Run, folder: Path) -> None:
    (document,) = companions(run.provenance)
    document.unlink()
    digest = next(item.digest for task in run.plan.tasks for item in task.files)
    (folder / "other.json").write_text(json.dumps(foreign(**{"cat:sum": digest})))
    assert gpwf("prov", "ingest", run.path, "other.json").exit_code == 0
    done = gpwf("prov", "query", run.path, "--of", "select.selected")
    assert "cat:selection-7" in done.stdout, done.output
    done = gpwf("prov", "query", run.path, "--of", "cat:entry", "--down", "--products")
    assert "select.selected" in done.stdout, done.output


def test_a_document_that_changes_is_noticed(run: Run) -> None:
    (document,) = companions(run.provenance)
    text = document.read_text()
    document.write_text(text.replace("selection-7", "selection-8"))
    assert "cat:selection-8" in ids_above(run)
    assert "cat:selection-7" not in ids_above(run)
    document.unlink()
    assert "cat:selection-8" not in ids_above(run)
    document.write_text("{")
    assert "cat:selection-8" not in ids_above(run)
    with open_provenance(run.path, alone=True) as provenance:
        assert "it is left out" in provenance.warnings[0]


def ids_above(run: Run) -> set[str]:
    """Return what the product came from, asked of this run alone."""
    with open_provenance(run.path, alone=True) as provenance:
        return {item.id for item in provenance.lineage("select.selected").items}


# ---- show -----------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", ["workflow", "step", "task", "full"])
def test_pictures_show_what_was_before(run: Run, folder: Path, detail: str) -> None:
    done = gpwf("prov", "show", run.path, "--detail", detail, "-o", "x.dot")
    assert done.exit_code == 0, done.output
    text = (folder / "x.dot").read_text()
    assert "selection-7" in text
    assert "entry of the Crab nebula" in text


def test_parts_of_pictures(run: Run, folder: Path) -> None:
    for name, direction in (("select.selected", "--up"), ("cat:entry", "--down")):
        done = gpwf("prov", "show", run.path, "--of", name, direction, "-o", "x.dot")
        assert done.exit_code == 0, done.output
        text = (folder / "x.dot").read_text()
        assert "selection-7" in text
        assert "select" in text
    done = gpwf("prov", "show", run.path, "--of", "select", "--down", "-o", "x.dot")
    assert "selection-7" not in (folder / "x.dot").read_text()


def test_files_of_cached_runs_have_their_names(folder: Path) -> None:
    second = run_in(folder, "second")
    gpwf("prov", "show", second.path, "--detail", "workflow", "-o", "x.dot")
    text = (folder / "x.dot").read_text()
    assert "numbers.txt" in text
    assert 'label="sha256-' not in text


# ---- validate -------------------------------------------------------------------------------


def test_record_and_documents_are_checked_together(run: Run) -> None:
    done = gpwf("prov", "validate", run.path, "--strict")
    assert done.exit_code == 0, done.output  # usages without roles are the catalogue's own
    (document,) = companions(run.provenance)
    data = json.loads(document.read_text())
    (generation,) = data["wasGeneratedBy"].values()
    generation["prov:time"] = "2027-01-01T00:00:00Z"
    document.write_text(json.dumps(data, indent=1))
    done = gpwf("prov", "validate", run.path, "--format", "json")
    assert done.exit_code == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["subject"] == "cat:truth"
    assert finding["file"] == str(document)
    assert document.read_text().splitlines()[finding["line"] - 1].lstrip().startswith('"cat:truth"')
    document.write_text("{")
    done = gpwf("prov", "validate", run.path)
    assert done.exit_code == 1
    assert document.name in done.stdout


def test_what_gpwf_says_is_held_to_its_rules_still(run: Run, tmp_path: Path) -> None:
    data = merged_record(run.provenance)
    usages = [item for item in data["used"].values() if item["prov:activity"].startswith("gpwf:")]
    del usages[0]["prov:role"]
    (tmp_path / "x.json").write_text(json.dumps(data))
    assert [item.rule for item in check_file(tmp_path / "x.json").findings] == ["GR-04"]


# ---- export ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "jsonld", "provn", "ivoa", "dot"])
def test_exports_have_it_or_not(run: Run, form: str) -> None:
    done = gpwf("prov", "export", run.path, "--format", form)
    assert "selection-7" in done.stdout, done.output
    done = gpwf("prov", "export", run.path, "--format", form, "--no-ingested")
    assert "prov" in done.stdout
    assert "selection-7" not in done.stdout


def test_the_json_is_valid_and_says_everything_once(run: Run, tmp_path: Path) -> None:
    done = gpwf("prov", "export", run.path)
    assert {k: {*v} for k, v in json.loads(done.stdout).items()} == {
        section: {*records} for section, records in merged_record(run.provenance).items()
    }
    (tmp_path / "x.json").write_text(done.stdout)
    assert not check_file(tmp_path / "x.json").findings
    done = gpwf("prov", "export", run.path, "--no-ingested")
    assert done.stdout.encode() == run.provenance.read_bytes()


def test_a_torn_record_is_given_as_it_is(run: Run) -> None:
    text = run.provenance.read_text()
    run.provenance.write_text(text[: len(text) // 2])
    with with_ingested(run.provenance) as path:
        assert path == run.provenance
    (document,) = companions(run.provenance)
    run.provenance.write_text(text)
    document.write_text("[]")
    with pytest.raises(ProvenanceError, match="is not PROV-JSON"), with_ingested(run.provenance):
        pass


def test_documents_are_files_of_a_crate(run: Run, folder: Path) -> None:
    (run.provenance.parent / "index-prov.sqlite").write_bytes(b"x")
    (document,) = companions(run.provenance)
    done = gpwf("prov", "export", run.path, "--format", "crate", "-o", "crate")
    assert done.exit_code == 0, done.output
    names = sorted(item.name for item in (folder / "crate/prov").iterdir())
    assert names == [document.name, "prov.json"]
    graph = json.loads((folder / "crate/ro-crate-metadata.json").read_text())["@graph"]
    (about,) = [item for item in graph if item["@id"] == f"prov/{document.name}"]
    assert about["@type"] == "File"
    assert "other tools" in about["name"]
    gpwf("prov", "export", run.path, "--format", "crate", "-o", "bare", "--no-ingested")
    assert not (folder / "bare/prov" / document.name).exists()


# ---- many activities, and a reproduction ----------------------------------------------------


def test_activities_of_one_name_share_a_box(run: Run, folder: Path) -> None:
    log = [
        {
            "activity_name": "process",
            "activity_uuid": f"11111111-2222-3333-4444-{number:012}",
            "input": [{"url": f"/data/{number}.simtel", "role": "r0"}],
            "output": [{"url": f"/data/{number}.dl1", "role": "dl1"}],
        }
        for number in range(5)
    ]
    merged = [{"url": f"/data/{number}.dl1", "role": "dl1"} for number in range(5)]
    log.append({"activity_name": "merge", "input": merged, "output": ["/far/numbers.txt"]})
    (folder / "x.provenance.log").write_text(json.dumps(log))
    assert gpwf("prov", "ingest", run.path, "x.provenance.log").exit_code == 0
    for detail, boxes in (("workflow", 1), ("step", 1), ("task", 5)):
        gpwf("prov", "show", run.path, "--detail", detail, "-o", "x.dot")
        text = (folder / "x.dot").read_text()
        assert text.count('label="process\\nbefore this run') == boxes
        assert ("5 activities" in text) is (boxes == 1)
    with open_provenance(run.path, alone=True) as provenance:
        names = {item.task for item in provenance.attempts("select.selected")}
        assert names == {"select", "merge", "process", "cat:selection-7"}


def test_the_verdict_of_a_reproduction_goes_along(run: Run, folder: Path) -> None:
    again = reproduce(run.path, jobs=1, output="again").run
    assert [item.name for item in companions(again.provenance)][-1] == "reproduction.json"
    assert gpwf("prov", "validate", again.path).exit_code == 0
    assert "gpwf:Reproduction" in gpwf("prov", "export", again.path).stdout
    done = gpwf("prov", "show", again.path, "--detail", "full", "-o", "x.dot")
    assert "reproduction of run" in (folder / "x.dot").read_text(), done.output
    with open_provenance(again.path, alone=True) as provenance:
        assert {item.task for item in provenance.attempts()} == {"select", "cat:selection-7"}
        below = provenance.lineage("select.selected", "down").items
        assert any(item.id.startswith("gpwf:reproduction-") for item in below)
