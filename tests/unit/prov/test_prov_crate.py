"""Crates: complete, portable, without secrets, and they answer the profile's questions."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from crate_validator import CRATE_CONTEXT, RUN_CONTEXT
from prov_crates import RUNS, Crate, Maker

from gpwf.errors import ProvenanceError, UsageError
from gpwf.prov.crate import write_crate
from gpwf.prov.crate_files import media_type, open_sink, safe_path
from gpwf.prov.crate_record import read_archived
from gpwf.prov.ivoa import ivoa_document

#: Files of a crate that are no data in it.
DESCRIPTION = {"ro-crate-metadata.json", "ro-crate-preview.html"}


@pytest.fixture(scope="module")
def crates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Crate]:
    maker = Maker(tmp_path_factory.mktemp("crates"))
    made: dict[str, Crate] = {}

    def crate(name: str) -> Crate:
        if name not in made:
            made[name] = maker.crate(name)
        return made[name]

    return crate


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    return {value["@id"]} if isinstance(value, dict) else set()


# ---- the graph ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_graph_is_whole_and_flat(name: str, crates: Callable[[str], Crate]) -> None:
    crate = crates(name)
    assert not crate.report.problems
    known = {**CRATE_CONTEXT["@context"], **RUN_CONTEXT["@context"], "buildInstructions": ""}
    for item in crate.entities.values():
        types = item["@type"] if isinstance(item["@type"], list) else [item["@type"]]
        terms = {key for key in item if not key.startswith("@")}
        # a term that is in no context is silently lost for everybody
        assert terms | set(types) <= set(known)
        for key, value in item.items():
            if key.startswith("@"):
                continue
            assert value not in ("", [], None), (item["@id"], key)
            assert not isinstance(value, list) or len(value) > 1
            missing = references(value) - set(crate.entities) - {"https://w3id.org/ro/crate/1.1"}
            assert not missing, (item["@id"], key)


@pytest.mark.parametrize("name", RUNS)
def test_files_are_those_of_the_graph(name: str, crates: Callable[[str], Crate]) -> None:
    crate = crates(name)
    assert crate.files() - DESCRIPTION == crate.local_ids()
    for item in crate.of_type("File"):
        if item["@id"].startswith("#"):
            continue
        data = (crate.path / item["@id"]).read_bytes()
        assert item["contentSize"] == str(len(data))
        assert item["sha256"] == hashlib.sha256(data).hexdigest()
        assert item["@id"] in references(crate.entities["./"]["hasPart"])
    assert crate.report.n_files == len(crate.files())


@pytest.mark.parametrize("name", RUNS)
def test_every_attempt_is_there_once(name: str, crates: Callable[[str], Crate]) -> None:
    crate = crates(name)
    record = read_archived(crate.path / "prov" / "prov.json")
    actions = [*crate.of_type("CreateAction"), *crate.of_type("ActivateAction")]
    made = {item.get("identifier", "").removeprefix("urn:gpwf:") for item in actions}
    wanted = {item.id for item in record.attempts()} | {item.id for item in record.subruns()}
    assert made == wanted | {record.run.id}
    assert references(crate.entities["./"]["mentions"]) >= {item["@id"] for item in actions}
    controlled = {
        name for item in crate.of_type("ControlAction") for name in references(item["object"])
    }
    assert controlled == {item["@id"] for item in actions} - {crate.run["@id"]}
    (engine,) = crate.of_type("OrganizeAction")
    assert references(engine["object"]) == {i["@id"] for i in crate.of_type("ControlAction")}


@pytest.mark.parametrize("name", RUNS)
def test_steps_come_after_what_they_need(name: str, crates: Callable[[str], Crate]) -> None:
    crate = crates(name)
    position = {item["@id"]: int(item["position"]) for item in crate.of_type("HowToStep")}
    for task in crate.plan.tasks:
        for up in task.upstream:
            step, needed = f"#step-{task.step}", f"#step-{crate.plan.task(up).step}"
            if step in position and needed in position:
                assert position[step] > position[needed]


def test_the_same_run_gives_the_same_bytes(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("mixed")
    for name in ("one.zip", "two.zip"):
        write_crate(parts, tmp_path / name, with_products=False)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    write_crate(parts, tmp_path / "folder", with_products=False)
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        for entry in archive.namelist():
            assert archive.read(entry) == (tmp_path / "folder" / entry).read_bytes()


def test_library_reads_it(crates: Callable[[str], Crate]) -> None:
    rocrate = pytest.importorskip("rocrate.rocrate")
    crate = crates("nested")
    read = rocrate.ROCrate(crate.path)
    assert read.version == "1.1"
    assert read.mainEntity["name"] == "crab-1d"
    assert len(list(read.get_entities())) == len(crate.entities)


# ---- how attempts end ---------------------------------------------------------------------------

COMPLETED = "http://schema.org/CompletedActionStatus"
FAILED = "http://schema.org/FailedActionStatus"


def test_failures_are_told(crates: Callable[[str], Crate]) -> None:
    crate = crates("mixed")
    failed = crate.action("flux-points, attempt 1")
    assert failed["actionStatus"] == FAILED
    assert "no counts" in failed["error"]
    assert "(lower the range)" in failed["error"]
    assert "abcdef" not in failed["error"]
    (left,) = crate.refs(failed, "result")
    assert "invalid" in left["description"]
    assert crate.action("datasets, attempt 2")["actionStatus"] == COMPLETED
    (control,) = [i for i in crate.of_type("ControlAction") if i["name"] == "Orchestrate datasets"]
    assert len(control["object"]) == 2
    assert control["actionStatus"] == COMPLETED
    assert "2 attempts" in control["description"]
    assert crate.run["actionStatus"] == FAILED
    assert "flux-points failed" in crate.run["error"]


def test_what_did_not_run_is_a_step_without_action(crates: Callable[[str], Crate]) -> None:
    crate = crates("mixed")
    assert "#step-plot-sed" in references(crate.entities["workflow.yaml"]["step"])
    assert "#tool-plot-sed" not in references(crate.entities["workflow.yaml"]["hasPart"])
    assert not [i for i in crate.of_type("CreateAction") if "plot-sed" in i["name"]]


def test_cached_results_keep_their_makers(crates: Callable[[str], Crate]) -> None:
    crate = crates("mixed")
    (control,) = [
        i for i in crate.of_type("ControlAction") if i["name"] == "Orchestrate observations"
    ]
    assert "taken from the store" in control["description"]
    (maker,) = crate.refs(control, "object")
    assert "earlier run" in maker["description"]
    assert maker["endTime"] < crate.run["startTime"]
    assert control["startTime"] > crate.run["startTime"]
    assert crate.refs(maker, "instrument")[0]["@id"] == "#tool-observations"
    # nobody knows who started that run
    assert crate.refs(maker, "agent")[0]["name"] == "not recorded"
    assert crate.refs(crate.run, "agent")[0]["name"] == "mara"


def test_an_attempt_without_an_end_has_none(crates: Callable[[str], Crate]) -> None:
    crate = crates("killed")
    lost = crate.action("datasets, attempt 1")
    assert lost["actionStatus"] == FAILED
    assert "endTime" not in lost
    assert "endTime" not in crate.run


def test_an_attempt_that_made_nothing_left_lines_in_the_log(
    crates: Callable[[str], Crate], maker: Maker, tmp_path: Path
) -> None:
    name = "light-curve, attempt 1"
    assert crates("mixed").action(name)["result"] == {"@id": "log.jsonl"}
    report = write_crate(maker.parts("mixed", texts={}), tmp_path / "bare", with_products=False)
    bare = Crate(path=tmp_path / "bare", report=report, plan=crates("mixed").plan)
    assert bare.action(name)["@type"] == "ActivateAction"


def test_an_included_workflow_is_a_workflow_and_a_tool(crates: Callable[[str], Crate]) -> None:
    crate = crates("nested")
    inner = crate.entities["#workflow-crab"]
    assert inner["@type"] == ["SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
    assert references(crate.entities["workflow.yaml"]["hasPart"]) == {"#workflow-crab"}
    assert crate.entities["#step-crab"]["workExample"] == {"@id": "#workflow-crab"}
    assert references(inner["step"]) == {"#step-crab/models", "#step-crab/fit"}
    (action,) = [
        i for i in crate.of_type("CreateAction") if i["instrument"] == {"@id": "#workflow-crab"}
    ]
    assert crate.action("crab/models, attempt 1")["startTime"] == action["startTime"]
    assert references(action["result"]) >= references(crate.run["result"])


# ---- the profile's questions --------------------------------------------------------------------
# https://www.researchobject.org/workflow-run-crate/requirements; CQ1 asks for container images


def test_cq2_memory_and_cpu(crates: Callable[[str], Crate]) -> None:
    crate = crates("good")
    fit = crate.action("fit, attempt 1")
    usage = {item["propertyID"]: item for item in crate.refs(fit, "resourceUsage")}
    assert usage["urn:gpwf:peakMemory_B"]["value"] == 250_000_000
    assert usage["urn:gpwf:peakMemory_B"]["unitCode"] == "https://qudt.org/vocab/unit/BYTE"
    assert usage["urn:gpwf:cpuTime_s"]["value"] == 1.5


def test_cq3_configuration(crates: Callable[[str], Crate]) -> None:
    crate = crates("good")
    settings = {
        (item["name"], item["value"], item.get("unitText"))
        for item in crate.refs(crate.action("observations, attempt 1"), "object")
        if item["@type"] == "PropertyValue"
    }
    assert ("obs_ids.0", 23523, None) in settings
    formal = [i["name"] for i in crate.refs("#tool-observations", "input")]
    assert formal.count("obs_ids") == 1


def test_cq4_environment(crates: Callable[[str], Crate]) -> None:
    crate = crates("good")
    (file,) = crate.refs("workflow.yaml", "buildInstructions")
    assert (crate.path / file["@id"]).read_text() == "gammapy==2.1\nnumpy==2.1.0\n"
    variables = {i["name"]: i["value"] for i in crate.refs(crate.run, "environment")}
    assert variables == {"OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("action", ["fit, attempt 1", "run of crab-1d"])
def test_cq5_and_cq6_durations(action: str, crates: Callable[[str], Crate]) -> None:
    item = crates("good").action(action)
    times = [datetime.fromisoformat(item[key]) for key in ("startTime", "endTime")]
    took = (times[1] - times[0]).total_seconds()
    assert took == 2.0 if action.startswith("fit") else took > 15


def test_cq7_success(crates: Callable[[str], Crate]) -> None:
    assert crates("good").run["actionStatus"] == COMPLETED
    assert "error" not in crates("good").run
    assert crates("mixed").run["actionStatus"] == FAILED


def test_cq8_inputs_and_outputs(crates: Callable[[str], Crate]) -> None:
    crate = crates("good")
    fit = crate.action("fit, attempt 1")
    taken = {i["identifier"] for i in crate.refs(fit, "object") if i["@type"] == "Collection"}
    given = {
        i["identifier"]
        for name in ("datasets, attempt 1", "models, attempt 1")
        for i in crate.refs(crate.action(name), "result")
    }
    assert taken == given
    read = crate.refs(crate.action("observations, attempt 1"), "object")
    external = [item for item in read if item["@type"] == "File"]
    assert external
    for item in external:
        assert item["contentUrl"].startswith("file:///data/")
        assert len(item["sha256"]) == 64
        assert int(item["contentSize"]) > 0
    assert references(crate.run["object"]) >= {item["@id"] for item in external}


def test_cq9_software(crates: Callable[[str], Crate]) -> None:
    crate = crates("good")
    (engine,) = crate.of_type("OrganizeAction")
    (software,) = crate.refs(engine, "instrument")
    assert (software["name"], software["softwareVersion"]) == ("gpwf", "0.1")
    installed = {
        (item["name"], item["softwareVersion"])
        for item in crate.refs(software, "softwareRequirements")
    }
    assert installed == {("CPython", "3.12.1"), ("gammapy", "2.1"), ("numpy", "2.1.0")}
    tool = crate.entities["#tool-fit"]
    assert "gpwf.steps.builtin.fit" in tool["description"]


def test_cq10_workflow_and_how_steps_connect(crates: Callable[[str], Crate]) -> None:
    crate = crates("good")
    (engine,) = crate.of_type("OrganizeAction")
    assert "crab.gpwf.yaml" in engine["description"]
    assert crate.refs("./", "mainEntity")[0]["name"] == "crab-1d"
    edges = set()
    for step in crate.of_type("HowToStep"):
        for item in crate.refs(step, "connection"):
            source, target = item["sourceParameter"]["@id"], item["targetParameter"]["@id"]
            edges.add((source.split("/")[0], target.split("/")[0], step["@id"]))
    assert ("#parameter-datasets", "#parameter-fit", "#step-fit") in edges
    assert ("#parameter-fit", "#parameter-flux-points", "#step-flux-points") in edges
    outputs = crate.refs("workflow.yaml", "output")
    results = {i["name"] for i in crate.refs(crate.run, "result")}
    assert outputs
    assert results
    assert crate.refs("workflow.yaml", "connection")


# ---- products and inputs ------------------------------------------------------------------------


def with_bytes(maker: Maker, folder: Path) -> tuple[Any, Path, str]:
    """Return parts in which one product file has bytes; the others are gone."""
    content = b"SIMPLE  = counts"
    digest = hashlib.sha256(content).hexdigest()
    parts = maker.parts("good")
    record = read_archived(parts.record)
    product = next(i for i in record.of_type("Product") if i.label == "fit.models")
    file = record.entities[record.members[product.id][0]]
    text = parts.record.read_text().replace(str(file.get("sha256")), digest)
    parts.record.write_text(text.replace(f'"{file.get("size_B")}"', f'"{len(content)}"'))
    source = folder / "object"
    source.write_bytes(content)
    return replace(parts, find=lambda wanted: source if wanted == digest else None), source, digest


def test_products_are_copied_and_missing_ones_named(maker: Maker, tmp_path: Path) -> None:
    parts, source, digest = with_bytes(maker, tmp_path)
    report = write_crate(parts, tmp_path / "crate")
    crate = Crate(path=tmp_path / "crate", report=report, plan=parts.plan)
    path = "products/fit/models/models.fits"
    assert (crate.path / path).read_bytes() == source.read_bytes()
    assert (crate.path / path).stat().st_nlink == 1  # nobody changes the store through a crate
    assert crate.entities[path]["sha256"] == digest
    assert crate.entities[path]["encodingFormat"] == "application/fits"
    assert len(report.problems) > 3
    assert "fit.result/result.fits: the object " in "\n".join(report.problems)
    assert "is not in the store" in report.problems[0]
    assert crate.files() - DESCRIPTION == crate.local_ids()


def test_a_changed_object_stays_out(maker: Maker, tmp_path: Path) -> None:
    parts, source, digest = with_bytes(maker, tmp_path)
    source.write_bytes(b"SIMPLE  = comets")
    report = write_crate(parts, tmp_path / "crate")
    (problem,) = [text for text in report.problems if str(source) in text]
    assert "fit.models/models.fits" in problem
    assert f"has changed: its SHA-256 is not {digest}" in problem
    assert not (tmp_path / "crate" / "products" / "fit").exists()


def test_inputs_are_copied_where_they_are_asked_for(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("good")
    record = read_archived(parts.record)
    file = next(i for i in record.of_type("File") if "/hess-dl3" in str(i.get("prov:location")))
    events = tmp_path / "events list.fits"
    events.write_bytes(b"events")
    text = parts.record.read_text()
    text = text.replace(str(file.get("prov:location")), str(events))
    text = text.replace(str(file.get("sha256")), hashlib.sha256(b"events").hexdigest())
    data = json.loads(text)
    content = next(
        item["prov:generalEntity"]
        for item in data["specializationOf"].values()
        if item["prov:specificEntity"] == f"gpwf:{file.id}"
    )
    data["entity"][content]["gpwf:header"] = ["OBS_ID=23523", "TELESCOP=HESS"]
    parts.record.write_text(json.dumps(data))
    report = write_crate(parts, tmp_path / "crate", with_inputs=True, with_products=False)
    inputs = (tmp_path / "crate" / "inputs").rglob("*")
    copied = [path for path in inputs if path.is_file()]
    assert [path.read_bytes() for path in copied] == [b"events"]
    assert all("is gone" in problem for problem in report.problems)
    crate = Crate(path=tmp_path / "crate", report=report, plan=parts.plan)
    item = crate.entities[copied[0].relative_to(crate.path).as_posix()]
    assert item["contentUrl"] == events.as_uri()
    assert "%20" in item["contentUrl"]
    assert item["description"] == "OBS_ID=23523; TELESCOP=HESS"


def test_a_home_folder_without_a_name_is_found(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = maker.parts("good")
    file = next(
        item
        for item in read_archived(parts.record).of_type("File")
        if "/hess-dl3" in str(item.get("prov:location"))
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "events.fits").write_bytes(b"events")
    text = parts.record.read_text()
    text = text.replace(str(file.get("prov:location")), "~/events.fits")
    text = text.replace(str(file.get("sha256")), hashlib.sha256(b"events").hexdigest())
    parts.record.write_text(text)
    report = write_crate(parts, tmp_path / "crate", with_inputs=True, with_products=False)
    assert not [problem for problem in report.problems if "events.fits" in problem]
    crate = Crate(path=tmp_path / "crate", report=report, plan=parts.plan)
    assert [i for i in crate.of_type("File") if i.get("contentUrl") == "~/events.fits"]


def test_a_task_that_ran_again_has_a_folder_for_each(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("healed")
    source = tmp_path / "object"
    source.write_bytes(b"bytes")
    record = read_archived(parts.record)
    text = parts.record.read_text()
    for item in record.of_type("File"):
        text = text.replace(str(item.get("sha256")), hashlib.sha256(b"bytes").hexdigest())
    parts.record.write_text(text)
    report = write_crate(replace(parts, find=lambda _: source), tmp_path / "crate")
    assert not report.problems
    folders = sorted(path.name for path in (tmp_path / "crate/products/observations").iterdir())
    assert len(folders) == 2
    assert folders[1].startswith("observations-")


# ---- secrets and privacy ------------------------------------------------------------------------


def test_secrets_stay_out(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("good")
    secret = "hunter2hunter2"
    parts.plan_file.write_text(json.dumps({"params": {"api_token": {"default": secret}, "n": 1}}))
    parts.texts["journal.jsonl"].write_text(
        f'{{"event": "a", "password": "{secret}"}}\n'
        '{"event": "b", "message": "token=[redacted]"}\n'
        f'{{"torn": "token={secret}\n'
    )
    report = write_crate(parts, tmp_path / "crate", with_products=False)
    for path in (tmp_path / "crate").rglob("*"):
        assert not path.is_file() or secret not in path.read_text()
    lines = (tmp_path / "crate" / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["password"] == "[redacted]"
    assert lines[1] == '{"event": "b", "message": "token=[redacted]"}'
    assert "plan.json: secrets were redacted" in " ".join(report.notes)
    crate = Crate(path=tmp_path / "crate", report=report, plan=parts.plan)
    original = hashlib.sha256(parts.plan_file.read_bytes()).hexdigest()
    assert original in crate.entities["plan.json"]["description"]


def test_texts_without_secrets_keep_their_bytes(crates: Callable[[str], Crate]) -> None:
    crate = crates("good")
    assert (crate.path / "plan.json").read_text() == '{\n "name": "crab-1d"\n}\n'
    assert "hunter2" not in (crate.path / "workflow.yaml").read_text()
    assert "contact: me" in (crate.path / "workflow.yaml").read_text()


def test_the_workflow_says_who_and_under_which_licence(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("good")
    metadata = {
        "license": "CC-BY-4.0",
        "authors": [
            {"name": "Mara Gauss", "orcid": "0000-0002-1825-0097"},
            {"name": "Nils Bohr", "affiliation": {"name": "NBI", "url": "https://nbi.example"}},
        ],
        "affiliation": "Institute",
        "version": "1.2",
    }
    parts = replace(parts, plan=replace(parts.plan, metadata=metadata))
    report = write_crate(parts, tmp_path / "crate", with_products=False)
    crate = Crate(path=tmp_path / "crate", report=report, plan=parts.plan)
    assert [i["name"] for i in crate.refs("./", "author")] == ["Mara Gauss", "Nils Bohr"]
    assert crate.refs("./", "author")[0]["@id"] == "https://orcid.org/0000-0002-1825-0097"
    assert crate.refs(crate.refs("./", "author")[1], "affiliation")[0]["name"] == "NBI"
    assert crate.entities["./"]["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert crate.entities["workflow.yaml"]["version"] == "1.2"


def test_nobody_is_named_where_the_record_names_nobody(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("good")
    data = json.loads(parts.record.read_text())
    person = next(name for name in data["agent"] if ":user-" in name)
    del data["agent"][person], data["actedOnBehalfOf"]
    parts.record.write_text(json.dumps(data))
    report = write_crate(replace(parts, texts={}), tmp_path / "crate", with_products=False)
    crate = Crate(path=tmp_path / "crate", report=report, plan=parts.plan)
    assert crate.refs(crate.run, "agent")[0]["name"] == "not recorded"
    assert all("mara" not in json.dumps(item) for item in crate.entities.values())


# ---- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", "is not PROV-JSON"),
        ('{"entity": 3}', "is not valid PROV-JSON"),
        ('{"entity": {"ex:a": {}}}', "is not the record of a gpwf run"),
    ],
)
def test_a_foreign_record_is_refused(text: str, message: str, maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("good")
    parts.record.write_text(text)
    with pytest.raises(ProvenanceError, match=message):
        write_crate(parts, tmp_path / "crate")
    assert not (tmp_path / "crate").exists()


@pytest.mark.parametrize("name", ["mixed", "nested"])
def test_a_damaged_record_is_exported_or_refused(name: str, maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts(name)
    data = json.loads(parts.record.read_text())
    places = [
        (section, key, attribute)
        for section in set(data) - {"prefix"}
        for key in data[section]
        for attribute in (None, *data[section][key])
    ]
    outcomes = set()
    for section, key, attribute in sorted(places, key=str)[::23]:
        damaged = json.loads(json.dumps(data))
        if attribute is None:
            del damaged[section][key]
        else:
            damaged[section][key][attribute] = ["a", {"$": "1"}, 3]
        parts.record.write_text(json.dumps(damaged))
        for make in (
            lambda: write_crate(parts, tmp_path / "x.zip", with_products=False, overwrite=True),
            lambda data=damaged: ivoa_document(data),
        ):
            try:
                make()
                outcomes.add("exported")
            except ProvenanceError:
                outcomes.add("refused")
    assert outcomes == {"exported", "refused"}


def test_a_run_without_attempts_is_refused(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("good")
    data = json.loads(parts.record.read_text())
    data["activity"] = {name: item for name, item in data["activity"].items() if ":run-" in name}
    for section in [name for name in data if name not in ("prefix", "entity", "activity")]:
        del data[section]
    parts.record.write_text(json.dumps(data))
    with pytest.raises(ProvenanceError, match="no attempt at any task"):
        write_crate(parts, tmp_path / "crate")


def test_what_is_there_is_left_alone(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("good")
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds no crate: it is not replaced"):
        write_crate(parts, own, with_products=False, overwrite=True)
    assert (own / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is no folder"):
        write_crate(parts, tmp_path / "file", overwrite=True)
    crate = tmp_path / "crate"
    crate.mkdir()  # an empty folder is as good as none
    write_crate(parts, crate, with_products=False)
    with pytest.raises(UsageError, match="is there already") as caught:
        write_crate(parts, crate, with_products=False)
    assert caught.value.hint == "--overwrite replaces it"
    (crate / "mine.txt").write_text("x")
    write_crate(parts, crate, with_products=False, overwrite=True)
    assert not (crate / "mine.txt").exists()
    assert not list(tmp_path.glob(".*"))


def test_what_fails_leaves_nothing(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(document: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gpwf.prov.crate.preview_page", full)
    parts = maker.parts("good")
    (tmp_path / "old.zip").write_bytes(b"old")
    for name in ("crate", "old.zip", "new.zip"):
        with pytest.raises(ProvenanceError, match="No space left on device"):
            write_crate(parts, tmp_path / name, with_products=False, overwrite=True)
    assert (tmp_path / "old.zip").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "old.zip"]


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("crate", "crate.zip"):
        with pytest.raises(ProvenanceError, match=r"cannot write .*file/"):
            open_sink(tmp_path / "file" / name)


# ---- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("products", "fit", "models"), "products/fit/models"),
        (("sim[scenario=null,seed=1]", "out"), "sim/scenario=null,seed=1/out"),
        (("crab/fit", "models"), "crab/fit/models"),
        (("meta/info.json",), "meta/info.json"),
        (("größe [m]", "ä b"), "gr__e_/m/__b"),
    ],
)
def test_paths_are_portable(parts: tuple[str, ...], path: str) -> None:
    assert safe_path(*parts) == path


@pytest.mark.parametrize("name", ["..", ".", "a" * 300, "../../etc/passwd"])
def test_no_path_leads_out(name: str, tmp_path: Path) -> None:
    path = safe_path("products", name)
    assert (tmp_path / path).resolve().is_relative_to(tmp_path / "products")
    assert all(0 < len(part) < 200 and part.strip(".") for part in path.split("/"))


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("events.fits", "application/fits"),
        ("hdu-index.fits.gz", "application/gzip"),
        ("figure.SVG", "image/svg+xml"),
        ("table.ecsv", "text/plain"),
        ("strange", "application/octet-stream"),
    ],
)
def test_media_types(name: str, media: str) -> None:
    assert media_type(name) == media


def test_the_page_shows_no_foreign_markup(maker: Maker, tmp_path: Path) -> None:
    parts = maker.parts("mixed")
    evil = "<script>alert(1)</script>"
    plan = replace(parts.plan, name=evil, description=evil)
    write_crate(replace(parts, plan=plan), tmp_path / "crate", with_products=False)
    page = (tmp_path / "crate" / "ro-crate-preview.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "no counts" in page
    assert "http://" not in page.replace("http://schema.org", "")
