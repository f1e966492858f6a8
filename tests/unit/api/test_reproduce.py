"""Runs of small programs made again: what is found out, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import gpwf
from gpwf import api
from gpwf.api.reproduce_recorded import open_recorded
from gpwf.api.reproduce_software import software_differences, with_programs
from gpwf.api.reproduce_verdicts import Verdict
from gpwf.api.reproduction import Reproduction, reproduce
from gpwf.api.runs import Run
from gpwf.cli.main import cli
from gpwf.errors import PlanError, ProvenanceError, RunError, UsageError
from gpwf.prov.ingest import merged_record
from gpwf.prov.reading import load
from gpwf.prov.validation.check import check_data
from gpwf.run.rundir import RunDirectory
from gpwf.steps.registry import load_catalog

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
  - name: order
    tag: command
    required_products: {numbers: select.selected}
    config:
      argv: [sh, -c, "cat $0 %s > $1", "${inputs.numbers}", "${outputs.ordered}"]
      outputs: {ordered: ordered.txt}
"""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A workflow whose second step also reads a file that it does not declare, and its run.

    It is run once: `folder` sets everything back to what it was then.
    """
    folder = tmp_path_factory.mktemp("sums")
    (folder / "data").mkdir()
    (folder / "data" / "numbers.txt").write_text("1.0 2.0\n3.0 4.0\n")
    (folder / "hidden.txt").write_text("5.0 6\n")
    (folder / "sums.gpwf.yaml").write_text(_WORKFLOW % (folder / "hidden.txt"))
    made = api.read(folder / "sums.gpwf.yaml").run(
        jobs=1, run_dir=folder / "runs/sums/first", store=folder / ".gpwf"
    )
    assert made.state == "ok"
    kept = tmp_path_factory.mktemp("kept") / "sums"
    shutil.copytree(folder, kept, symlinks=True)
    return folder, kept


@pytest.fixture
def folder(ready: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder, kept = ready
    shutil.rmtree(folder)
    shutil.copytree(kept, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GPWF_STORE", raising=False)
    return folder


@pytest.fixture
def run(folder: Path) -> Run:
    return Run(folder / "runs/sums/first")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reproductions that were made before, by what the hidden file said: see `begun`."""
    return {"": tmp_path_factory.mktemp("made")}


@pytest.fixture
def begun(run: Run, folder: Path, made: dict[str, Path]) -> Callable[..., None]:
    """Put a finished reproduction into `again`: the same once more takes its results.

    What a reproduction finds out and says is the same then, and no process is started.
    """

    def put(hidden: str = "5.0 6\n") -> None:
        (folder / "hidden.txt").write_text(hidden)
        if hidden not in made:
            again(run, keep=True)
            made[hidden] = made[""] / str(len(made))
            shutil.copytree(folder / "again", made[hidden], symlinks=True)
        else:
            shutil.copytree(made[hidden], folder / "again", symlinks=True)

    return put


def again(run: Run | Path | None, **options: Any) -> Reproduction:
    name = run.path if isinstance(run, Run) else run
    return reproduce(name, jobs=1, output=options.pop("output", "again"), **options)


def verdicts(found: Reproduction) -> dict[str, str]:
    return {item.task: str(item.verdict) for item in found.products}


def test_the_same_again_is_identical(run: Run, folder: Path) -> None:
    found = again(run, keep=True)
    assert found.run.view.counts() == {"ok": 2}  # nothing comes from the store of the run
    assert (folder / "again/products/order/ordered/ordered.txt").read_text()
    found = again(run)
    assert found.run.view.counts() == {"cached": 2}  # from its own
    assert verdicts(found) == {"select": "identical", "order": "identical"}
    assert found.is_good
    report = json.loads((folder / "again/reproduction.json").read_text())
    assert report["verdict"] == "identical"
    assert report["of"]["run_id"] == run.view.run_id
    assert report["by"]["run_id"] != run.view.run_id
    assert [item["state"] for item in report["inputs"]] == ["same"]
    assert all(item["same_key"] for item in report["products"])
    assert "reproduced: 2 identical" in (folder / "again/reproduction.txt").read_text()
    # what is there twice goes
    assert not (folder / "again/store").exists()
    assert not (folder / "again/products").exists()
    assert (folder / "again/prov/prov.json").is_file()


def test_the_package_offers_it(run: Run, folder: Path) -> None:
    found = gpwf.reproduce(run.path, output=folder / "package", targets=["select"])
    assert [item.verdict for item in found.products] == [Verdict.IDENTICAL]


def test_numbers_are_compared_where_bytes_differ(
    run: Run, folder: Path, begun: Callable[..., None]
) -> None:
    begun("5.0000001 6\n")
    found = again(run)
    assert verdicts(found) == {"select": "identical", "order": "within tolerance"}
    order = found.products[1]
    assert order.deviation == pytest.approx(2e-8)
    assert order.place.startswith("ordered.txt:3: 5.0 and 5.0000001")
    assert found.is_good
    assert (folder / "again/store").is_dir()  # somebody will want to look
    strict = again(run, rtol={"file": 1e-9})
    assert strict.verdict is Verdict.DIFFERS
    assert "allowed 1e-09" in strict.text()


def test_counts_are_exact(run: Run, folder: Path) -> None:
    (folder / "hidden.txt").write_text("5.0 7\n")
    found = again(run, rtol=10.0)
    assert verdicts(found)["order"] == "differs"
    assert "'6' and '7'" in found.products[1].place
    assert not found.is_good


def test_a_step_that_fails_now(run: Run, folder: Path) -> None:
    (folder / "hidden.txt").unlink()
    found = again(run)
    assert verdicts(found) == {"select": "identical", "order": "not made"}
    assert found.products[1].note
    assert found.verdict is Verdict.NOT_MADE


def test_recorded_bytes_that_are_damaged_or_gone(
    run: Run, folder: Path, begun: Callable[..., None]
) -> None:
    """Digests still tell that they differ; a flipped bit is no basis for more."""
    begun("5.0000001 6\n")
    path = (run.path / "products/order/ordered/ordered.txt").resolve()
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"1.0", b"3.0"))
    found = again(run)
    assert verdicts(found) == {"select": "identical", "order": "differs"}
    assert "recorded bytes are gone or damaged" in found.products[1].note
    shutil.rmtree(folder / ".gpwf")
    assert "recorded bytes are gone or damaged" in again(run).products[1].note


def test_a_changed_input_is_named_before_anything_is_computed(run: Run, folder: Path) -> None:
    (folder / "data/numbers.txt").write_text("1.0 2.0\n3.0 4.1\n")
    with pytest.raises(PlanError, match=r"1 of 1 inputs .* 1 changed\n.*numbers.txt: changed"):
        again(run)
    assert not (folder / "again").exists()


def test_a_missing_input_is_named(run: Run, folder: Path) -> None:
    (folder / "data/numbers.txt").unlink()
    with pytest.raises(PlanError, match=r"numbers.txt: missing .*step select"):
        again(run)


@pytest.mark.parametrize("name", ["numbers.txt", "renamed.dat"])
def test_an_input_is_found_elsewhere_by_its_digest(
    run: Run, folder: Path, name: str, begun: Callable[..., None]
) -> None:
    begun()
    (folder / "other/deep").mkdir(parents=True)
    (folder / "data/numbers.txt").rename(folder / "other/deep" / name)
    (folder / "other/numbers.txt").write_text("9.0 2.0\n3.0 4.0\n")  # the same name and size
    found = again(run, inputs=[folder / "other"])
    assert verdicts(found) == {"select": "identical", "order": "identical"}
    assert found.inputs[0].state == "elsewhere"
    assert found.inputs[0].found == folder / "other/deep" / name


def test_a_folder_of_inputs_that_is_not_there(run: Run) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        again(run, inputs=["nowhere"])


def test_a_copied_run_directory_without_its_store(run: Run, folder: Path) -> None:
    shutil.copytree(run.path, folder / "copy", symlinks=True)
    shutil.rmtree(run.path)
    shutil.rmtree(folder / ".gpwf")
    found = again(folder / "copy", targets=["select"])
    assert verdicts(found) == {"select": "identical"}


def test_from_the_record_with_the_plan_beside_it(run: Run, folder: Path) -> None:
    (folder / "sent/prov").mkdir(parents=True)
    shutil.copy(run.provenance, folder / "sent/prov")
    shutil.copy(run.path / "plan.json", folder / "sent")
    assert open_recorded(folder / "sent").plan == run.plan
    whole = open_recorded(run.path)
    assert open_recorded(folder / "sent/prov/prov.json").products == whole.products
    (folder / "sent/plan.json").write_text("{}")  # it is not the recorded one
    assert "put together" in open_recorded(folder / "sent").notes[0]


def test_from_the_record_alone(run: Run, folder: Path, begun: Callable[..., None]) -> None:
    begun()
    (folder / "sent").mkdir()
    record = folder / "sent/record.json"
    shutil.copy(run.provenance, record)
    shutil.rmtree(run.path)
    found = again(record)
    assert verdicts(found) == {"select": "identical", "order": "identical"}
    assert "put together from the record" in found.notes[0]
    assert all(item["same_key"] for item in found.data()["products"])
    # a record that says something else than what was computed is not believed
    record.write_text(record.read_text().replace('"selected.txt"', '"elected.txt"'))
    with pytest.raises(ProvenanceError, match="does not hold everything of task select"):
        again(record, output="other")


def test_the_commands(run: Run, folder: Path, begun: Callable[..., None]) -> None:
    begun()

    def gpwf(*args: str) -> Result:
        return CliRunner().invoke(cli, [*args], prog_name="gpwf")

    done = gpwf("reproduce", "sums", "-o", "again", "-j", "1", "-q", "--format", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"] == {"identical": 2}
    (folder / "data/numbers.txt.provenance.log").write_text(
        json.dumps([{"activity_name": "make-numbers", "output": ["numbers.txt"]}])
    )
    done = gpwf("prov", "ingest", "sums", "--format", "json")
    (item,) = json.loads(done.stdout)
    assert item["links"][0]["by"] == "name"
    assert Path(item["path"]).parent == run.provenance.parent
    done = gpwf("prov", "ingest", "sums", "sums.gpwf.yaml", "data/numbers.txt.provenance.log")
    assert done.exit_code == 2
    assert len(list(run.provenance.parent.glob("ingested-*"))) == 1
    assert gpwf("prov", "ingest", "sums", "--for", "nothing.txt").exit_code == 2
    merged = merged_record(run.provenance)
    assert not [item for item in check_data(merged).findings if item.severity == "error"]
    (folder / "data/numbers.txt").write_text("9")
    assert gpwf("reproduce", "sums", "-o", "other").exit_code == 2
    assert gpwf("reproduce", "sums", "--rtol", "x").exit_code == 2
    assert gpwf("reproduce", "nothing").exit_code == 2


def test_an_interruption_leaves_what_goes_on(run: Run, folder: Path) -> None:
    hidden = folder / "hidden.txt"
    kept = hidden.read_text()
    hidden.unlink()
    os.mkfifo(hidden)  # the second step waits for somebody who writes
    command = [sys.executable, "-m", "gpwf", "reproduce", str(run.path), "-o", "again", "-q"]
    with subprocess.Popen(command, start_new_session=True) as process:
        journal = folder / "again/journal.jsonl"
        for _ in range(600):
            if journal.is_file() and '"task": "order"' in journal.read_text():
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    assert json.loads((folder / "again/reproduction.json").read_text())["verdict"] is None
    hidden.unlink()
    hidden.write_text(kept)
    found = again(run)
    assert found.verdict is Verdict.IDENTICAL
    assert found.run.view.counts() == {"ok": 1, "cached": 1}


def test_a_run_that_failed_is_made_again_as_far_as_it_came(folder: Path) -> None:
    (folder / "hidden.txt").unlink()
    run = api.read(folder / "sums.gpwf.yaml").run(
        jobs=1, run_dir=folder / "failed", store=folder / "empty"
    )
    assert run.state == "failed"
    found = again(run)
    assert verdicts(found) == {"select": "identical"}
    assert list(found.run.view.tasks) == ["select"]


def test_a_run_that_made_nothing(folder: Path) -> None:
    text = (folder / "sums.gpwf.yaml").read_text().replace("argv: [cp,", "argv: ['false',")
    (folder / "sums.gpwf.yaml").write_text(text)
    run = api.read(folder / "sums.gpwf.yaml").run(
        jobs=1, run_dir=folder / "failed", store=folder / "empty"
    )
    with pytest.raises(UsageError, match="made nothing"):
        again(run)


def test_cached_results_are_made_again(run: Run, folder: Path) -> None:
    workflow = api.read(folder / "sums.gpwf.yaml")
    second = workflow.run(jobs=1, run_dir=folder / "second", store=folder / ".gpwf")
    assert second.view.counts() == {"cached": 2}
    found = again(second)
    assert verdicts(found) == {"select": "identical", "order": "identical"}
    assert found.run.view.counts() == {"ok": 2}
    # the recorded product is the one of the first run
    entities = {item.recorded.entity for item in found.products}
    assert all(entity in run.provenance.read_text() for entity in entities)
    with pytest.raises(UsageError, match="reproduces another run"):
        again(run)


def test_a_live_run_is_refused(run: Run) -> None:
    with RunDirectory(run.path), pytest.raises(UsageError, match="still running"):
        again(run)


def test_a_plan_that_was_edited_is_refused(run: Run) -> None:
    plan = run.path / "plan.json"
    plan.write_text(plan.read_text().replace("selected.txt", "selecced.txt"))
    with pytest.raises(RunError, match="is not the plan of the run"):
        again(run)


def test_an_edited_journal_line_is_told(run: Run) -> None:
    journal = run.path / "journal.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([*lines[:-1], lines[-1].replace("ok", "no")]) + "\n")
    assert "journal" in open_recorded(run.path).notes[0]


def test_a_newer_gpwf_is_refused(run: Run, folder: Path) -> None:
    record = folder / "newer.json"
    text = run.provenance.read_text()
    assert "gpwf.version=" in text
    record.write_text(text.replace("gpwf.version=", "gpwf.version=99"))
    shutil.copy(run.path / "plan.json", folder)
    with pytest.raises(UsageError, match=r"made by gpwf 99"):
        again(record)


def test_another_program_is_refused_or_told(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = folder / "bin/cp"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\nexec /bin/cp "$@"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UsageError, match="program cp"):
        again(run)
    found = again(run, allow_other_software=True)
    assert verdicts(found) == {"select": "identical", "order": "identical"}
    assert "program cp" in found.text()
    assert not found.data()["products"][0]["same_key"]


def test_the_same_program_elsewhere_is_the_same(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bin").mkdir()
    shutil.copy(shutil.which("cp") or "", folder / "bin/cp")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    recorded = open_recorded(run.path)
    assert not [
        item
        for item in software_differences(recorded, recorded.plan, load_catalog())
        if item.decides
    ]
    (file,) = (item for item in with_programs(recorded.plan).tasks[0].files if item.name == "cp")
    assert file.path == str(folder / "bin/cp")


def test_another_folder_is_refused(run: Run, folder: Path) -> None:
    with pytest.raises(UsageError, match="no reproduction"):
        again(run, output=folder / "data")
    with pytest.raises(UsageError, match="lies in the run"):
        again(run, output=run.path / "sub")


def test_the_record_says_what_reproduces_what(
    run: Run, folder: Path, begun: Callable[..., None]
) -> None:
    begun("5.0000001 6\n")
    found = again(run)
    path = found.run.path / "prov/reproduction.json"
    record = json.loads(path.read_text())
    (activity,) = [
        item
        for item in record["activity"].values()
        if "Reproduction" in json.dumps(item.get("prov:type"))
    ]
    assert activity["gpwf:reproduces"]["$"] == f"gpwf:run-{run.view.run_id}"
    assert activity["gpwf:reproducedBy"]["$"] == f"gpwf:run-{found.run.view.run_id}"
    roles = sorted(item["prov:role"] for item in record["used"].values())
    assert roles == ["in.made", "in.made", "in.recorded", "in.recorded"]
    used = {item["prov:entity"] for item in record["used"].values()}
    old, new = (json.loads(item.provenance.read_text())["entity"] for item in (run, found.run))
    assert used <= {*old, *new}
    assert len(used & {*old}) == len(used & {*new}) == 2
    words = {item.get("gpwf:verdict") for item in record["entity"].values()}
    assert {"identical", "within tolerance"} <= words
    assert len(load(path).get_records()) > len(used)
    for data in (record, merged_record(found.run.provenance)):
        errors = [item for item in check_data(data).findings if item.severity == "error"]
        assert not errors, errors


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"gpwf:size_B":{"$":"', '"gpwf:size_B":{"$":"x', "is damaged"),
        ('"gpwf:summary":"{', '"gpwf:summary":"{{', "is damaged"),
        ('"entity":{', '"entity":[],"was":{', "section entity holds no records"),
        ('"used":{', '"was":{', "settings do not fit command"),
        ('"gpwf:tag":"command"', '"gpwf:tag":"comand"', "do not fit comand"),
        ('"gpwf:state":"ok"', '"gpwf:state":"failed"', "tells of no result"),
    ],
)
def test_a_damaged_record(run: Run, folder: Path, old: str, new: str, message: str) -> None:
    record = folder / "record.json"
    text = run.provenance.read_text()
    assert old in text
    record.write_text(text.replace(old, new))
    with pytest.raises(ProvenanceError, match=message):
        again(record)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "holds no activity"),
        ('{"activity": {}}', "no run of gpwf"),
        ('{"activity": {"a": {"prov:type": "x"}}}', "no run of gpwf"),
    ],
)
def test_what_is_no_record(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ProvenanceError, match=message):
        reproduce(path)


def test_tolerances_that_make_no_sense(run: Run) -> None:
    with pytest.raises(UsageError, match="no such kind"):
        again(run, rtol={"flux": 1.0})
    with pytest.raises(UsageError, match="from 0 on"):
        again(run, rtol=float("nan"))
