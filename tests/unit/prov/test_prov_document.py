"""The record says what happened, and is valid under PROV-CONSTRAINTS, whatever happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import prov_factory as factory
import pytest
from prov.model import ProvDocument
from prov_constraints import problems

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent, RunState, TaskState
from gpwf.errors import ProvenanceError
from gpwf.prov.document import build_document
from gpwf.prov.export import serialise

RUNS: dict[str, tuple[Callable[[], Plan], Callable[[Plan], list[RunEvent]]]] = {
    "good": (factory.make_plan, factory.good_run),
    "mixed": (factory.make_plan, factory.mixed_run),
    "cached": (factory.make_plan, factory.cached_run),
    "killed": (factory.make_plan, factory.killed_run),
    "early cut-off": (factory.make_plan, factory.early_cut_off),
    "scattered": (lambda: factory.make_plan(copies=3), factory.good_run),
    "scattered and cached": (lambda: factory.make_plan(copies=3), factory.cached_run),
    "gathered": (factory.gather_plan, factory.good_run),
    "gathered and cached": (factory.gather_plan, factory.cached_run),
    "scatter": (factory.scatter_plan, factory.good_run),
    "scatter and cached": (factory.scatter_plan, factory.cached_run),
    "scatter and failed": (factory.scatter_plan, factory.scattered_failure),
    "cancelled": (factory.make_plan, factory.cancelled_run),
    "healed": (factory.make_plan, factory.healed_run),
    "nested": (factory.nested_plan, factory.good_run),
    "nested and cached": (factory.nested_plan, factory.cached_run),
    "one task": (lambda: factory.make_plan(("models",)), factory.good_run),
}


def record(name: str, **options: Any) -> dict[str, Any]:
    make, run = RUNS[name]
    plan = make()
    return content(build_document(plan, run(plan), **options))


def content(document: ProvDocument) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(serialise(document))
    return data


def typed(data: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    """Return the elements of a section that are of a type."""
    return {key: item for key, item in data[section].items() if name in types_of(item)}


def types_of(item: dict[str, Any]) -> list[str]:
    values = item.get("prov:type", [])
    return [value["$"] for value in (values if isinstance(values, list) else [values])]


def plain(value: Any) -> Any:
    return value["$"] if isinstance(value, dict) else value


def of_task(data: dict[str, Any], task: str, state: str) -> tuple[str, dict[str, Any]]:
    found = [
        (key, item)
        for key, item in data["activity"].items()
        if item.get("gpwf:task") == task and item.get("gpwf:state") == state
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", RUNS)
def test_record_is_valid(name: str) -> None:
    make, run = RUNS[name]
    plan = make()
    document = build_document(
        plan, run(plan), workflow_text=factory.WORKFLOW, log_digests={"log.jsonl": "a" * 64}
    )
    assert problems(serialise(document)) == []


@pytest.mark.parametrize("name", ["good", "mixed", "gathered"])
def test_record_is_valid_wherever_the_journal_stops(name: str) -> None:
    make, run = RUNS[name]
    plan = make()
    events = run(plan)
    for stop in range(1, len(events) + 1):
        assert problems(serialise(build_document(plan, events[:stop]))) == []


@pytest.mark.parametrize("name", RUNS)
def test_same_journal_gives_same_bytes_and_survives_reading(name: str) -> None:
    make, run = RUNS[name]
    first = build_document(make(), run(make()))
    text = serialise(first)
    assert text == serialise(build_document(make(), run(make())))
    assert ProvDocument.deserialize(content=text, format="json") == first


def test_workflow_steps_and_resolved_plan_are_plans() -> None:
    data = record("good", workflow_text=factory.WORKFLOW)
    workflow = data["entity"][f"gpwf:plan-sha256-{factory.digest('workflow')}"]
    assert types_of(workflow) == ["prov:Plan", "wfdesc:Workflow"]
    assert "hunter2" not in workflow["prov:value"]
    assert "name: crab-1d" in workflow["prov:value"]
    steps = {value["$"] for value in workflow["wfdesc:hasSubProcess"]}
    assert len(steps) == 8
    assert all("wfdesc:Process" in types_of(data["entity"][step]) for step in steps)
    resolved = f"gpwf:plan-sha256-{factory.PLAN_DIGEST}"
    assert any(
        item["prov:generatedEntity"] == resolved
        for item in data["wasDerivedFrom"].values()
        if "prov:activity" not in item
    )


def test_run_names_engine_user_environment_and_logs() -> None:
    data = record("good", log_digests={"journal.jsonl": "b" * 64})
    (run,) = typed(data, "activity", "wfprov:WorkflowRun")
    item = data["activity"][run]
    assert item["gpwf:state"] == "ok"
    assert json.loads(item["gpwf:command"])[-1] == "[redacted]"
    (engine,) = typed(data, "agent", "prov:SoftwareAgent")
    (person,) = typed(data, "agent", "prov:Person")
    (delegation,) = data["actedOnBehalfOf"].values()
    assert (delegation["prov:delegate"], delegation["prov:responsible"]) == (engine, person)
    (environment,) = typed(data, "entity", "gpwf:Environment")
    assert "numpy==2.1.0" in data["entity"][environment]["gpwf:distribution"]
    assert "threads.OMP_NUM_THREADS=1" in data["entity"][environment]["gpwf:environment"]
    roles = {use["prov:role"] for use in data["used"].values() if use["prov:activity"] == run}
    assert {"in.environment", "in.workflow", "in.plan", "in.params.e_min"} <= roles
    (log,) = typed(data, "entity", "gpwf:Log").values()
    assert log["gpwf:sha256"] == "b" * 64


def test_every_setting_is_a_parameter_with_unit_type_and_origin() -> None:
    data = record("good")
    activity, _ = of_task(data, "datasets", "ok")
    settings = {}
    for use in data["used"].values():
        entity = data["entity"][use["prov:entity"]]
        if use["prov:activity"] == activity and "voprov:Parameter" in types_of(entity):
            assert use["prov:role"] == f"in.{entity['voprov:name']}"
            settings[entity["voprov:name"]] = (
                plain(entity["prov:value"]),
                entity.get("voprov:unit"),
                entity["voprov:valueType"],
                use["gpwf:origin"],
                use["gpwf:originPlace"],
            )
    where = ("workflow", "crab.gpwf.yaml:7:5")
    assert settings == {
        "stack": (False, None, "bool", *where),
        "geom.axes.energy.min": ("0.1", "TeV", "energy", *where),
        "geom.axes.energy.max": ("40.0", "TeV", "energy", *where),
        "geom.axes.energy.nbins": ("24", None, "int", *where),
        "exclusion": ("null", None, "path", *where),
    }


def test_same_setting_is_one_entity() -> None:
    data = record("good")
    shared = [
        key
        for key, item in typed(data, "entity", "voprov:Parameter").items()
        if item["voprov:name"] == "n_sigma"
    ]
    assert len(shared) == 1
    assert sum(use["prov:entity"] == shared[0] for use in data["used"].values()) == 4


def test_attempts_of_every_state_are_recorded() -> None:
    data = record("mixed")
    _, lost = of_task(data, "datasets", "lost")
    assert plain(lost["gpwf:signal"]) == "9"
    assert lost["gpwf:willRetry"] is True
    key, again = of_task(data, "datasets", "ok")
    assert plain(again["gpwf:attempt"]) == "2"
    assert data["activity"][again["gpwf:retryOf"]["$"]] == lost
    _, failed = of_task(data, "flux-points", "failed")
    assert failed["gpwf:errorMessage"] == "no counts \ufffd above 10 TeV; token: [redacted]"
    assert failed["gpwf:errorHint"] == "lower the range"
    of_task(data, "light-curve", "timeout")
    starters = {
        item["prov:activity"]: item["prov:starter"] for item in data["wasStartedBy"].values()
    }
    assert starters[key] == again["wfprov:wasPartOfWorkflowRun"]["$"]


def test_what_a_failed_attempt_left_is_invalidated() -> None:
    data = record("mixed")
    key, failed = of_task(data, "flux-points", "failed")
    (gone,) = data["wasInvalidatedBy"].values()
    assert gone["prov:activity"] == key
    assert gone["prov:time"] == failed["prov:endTime"]
    made = [g for g in data["wasGeneratedBy"].values() if g["prov:entity"] == gone["prov:entity"]]
    assert len(made) == 1


def test_tasks_that_did_not_run_are_listed_with_their_reason() -> None:
    data = record("mixed")
    (run,) = [
        i
        for i in data["activity"].values()
        if i.get("gpwf:state") == "failed" and "gpwf:notRun" in i
    ]
    listed = {entry["task"]: entry for entry in map(json.loads, run["gpwf:notRun"])}
    assert listed["plot-sed"]["state"] == "blocked"
    assert listed["plot-sed"]["reason"] == "flux-points failed"
    assert listed["plot-lc"]["state"] == "skipped"
    assert not any(i.get("gpwf:task") in listed for i in data["activity"].values())


def test_killed_run_has_no_ends() -> None:
    data = record("killed")
    (run,) = typed(data, "activity", "wfprov:WorkflowRun").values()
    assert run["gpwf:state"] == "interrupted"
    assert "prov:endTime" not in run
    _, attempt = of_task(data, "datasets", "lost")
    assert "prov:endTime" not in attempt
    assert "lost=1" in run["gpwf:count"]
    assert not any("running" in item for item in run["gpwf:count"])
    assert len(run["gpwf:notRun"]) == 6


def test_live_run_is_running() -> None:
    data = record("killed", live=True)
    (run,) = typed(data, "activity", "wfprov:WorkflowRun").values()
    assert run["gpwf:state"] == "running"
    of_task(data, "datasets", "running")


def test_cached_task_keeps_the_original_attempt_with_its_own_run_and_times() -> None:
    data = record("cached")
    key, hit = of_task(data, "fit", "cached")
    assert "gpwf:CacheHit" in types_of(hit)
    (informed,) = [i for i in data["wasInformedBy"].values() if i["prov:informed"] == key]
    original = data["activity"][informed["prov:informant"]]
    assert original["prov:endTime"] < hit["prov:startTime"]
    run = original["wfprov:wasPartOfWorkflowRun"]["$"]
    assert run == f"gpwf:run-{factory.identifier('earlier')}"
    assert run in data["activity"]
    used = {
        use["prov:role"]: use["prov:entity"]
        for use in data["used"].values()
        if use["prov:activity"] == key
    }
    product = used["cached.models"]
    makers = [
        g["prov:activity"] for g in data["wasGeneratedBy"].values() if g["prov:entity"] == product
    ]
    assert makers == [informed["prov:informant"]]
    before = {
        use["prov:role"]: use["prov:entity"]
        for use in data["used"].values()
        if use["prov:activity"] == informed["prov:informant"]
    }
    assert before["in.datasets"].startswith("gpwf:product-")
    assert "in.fit_range.min" in before
    assert "in.fit_range.min" in used


def test_paths_of_an_earlier_run_are_not_claimed() -> None:
    data = record("cached")
    key, _ = of_task(data, "models", "cached")
    (informed,) = [i for i in data["wasInformedBy"].values() if i["prov:informed"] == key]
    before = [
        use["prov:entity"]
        for use in data["used"].values()
        if use["prov:activity"] == informed["prov:informant"]
    ]
    assert before == [f"gpwf:sha256-{factory.digest('/my data/crab-pl.yaml')}"]


def test_early_cut_off_uses_the_value_not_the_later_product() -> None:
    """An input made again to the same bytes cannot have been used before it was made."""
    data = record("early cut-off")
    key, _ = of_task(data, "datasets", "cached")
    (informed,) = [i for i in data["wasInformedBy"].values() if i["prov:informed"] == key]
    (entity,) = [
        use["prov:entity"]
        for use in data["used"].values()
        if use["prov:activity"] == informed["prov:informant"]
        and use["prov:role"] == "in.observations"
    ]
    assert entity.startswith("gpwf:value-")
    product, _ = of_task(data, "observations", "ok")
    assert {
        "prov:specificEntity": f"gpwf:product-{product.removeprefix('gpwf:act-')}-observations",
        "prov:generalEntity": entity,
    } in data["specializationOf"].values()


def test_derivation_names_activity_generation_and_usage() -> None:
    data = record("good")
    key, item = of_task(data, "fit", "ok")
    product = f"gpwf:product-{key.removeprefix('gpwf:act-')}-models"
    found = [d for d in data["wasDerivedFrom"].values() if d["prov:generatedEntity"] == product]
    assert len(found) == 2
    for derivation in found:
        assert derivation["prov:activity"] == key
        assert data["used"][derivation["prov:usage"]]["prov:role"] in ("in.datasets", "in.models")
        generation = data["wasGeneratedBy"][derivation["prov:generation"]]
        assert generation["prov:role"] == "out.models"
        assert item["prov:startTime"] <= generation["prov:time"] <= item["prov:endTime"]


def test_product_has_digest_kind_size_and_files() -> None:
    data = record("good")
    key, _ = of_task(data, "plot-lc", "ok")
    name = f"gpwf:product-{key.removeprefix('gpwf:act-')}-figure"
    product = data["entity"][name]
    assert product["gpwf:kind"] == "figure"
    assert plain(product["gpwf:size_B"]) == "5761"
    assert product["gpwf:output"] == "result"
    assert json.loads(product["gpwf:summary"]) == {"n": 2, "stat": "nan"}
    members = [m["prov:entity"] for m in data["hadMember"].values() if m["prov:collection"] == name]
    assert [data["entity"][m]["gpwf:name"] for m in members] == ["figure.fits", "meta/info.json"]
    for member in members:
        content_id = f"gpwf:sha256-{data['entity'][member]['gpwf:sha256']}"
        assert {
            "prov:specificEntity": member,
            "prov:generalEntity": content_id,
        } in data["specializationOf"].values()


def test_external_file_has_its_path_and_content() -> None:
    data = record("good")
    files = [i for i in typed(data, "entity", "gpwf:File").values() if "prov:location" in i]
    index = next(i for i in files if i["gpwf:name"] == "obs-index.fits.gz")
    assert index["prov:location"] == "/data/hess-dl3-dr1/obs-index.fits.gz"
    assert index["gpwf:sha256"] == factory.digest("obs-index.fits.gz")


def test_gathered_inputs_are_a_collection_in_order() -> None:
    data = record("gathered")
    (key,) = [k for k in data["entity"] if k.startswith("gpwf:collection-")]
    order = json.loads(data["entity"][key]["gpwf:order"])
    two, _ = of_task(data, "datasets-2", "ok")
    one, _ = of_task(data, "datasets", "ok")
    assert order == [
        f"gpwf:product-{task.removeprefix('gpwf:act-')}-datasets" for task in (two, one)
    ]
    members = {m["prov:entity"] for m in data["hadMember"].values() if m["prov:collection"] == key}
    assert members == set(order)
    fit, _ = of_task(data, "fit", "ok")
    positions = {
        use["prov:entity"]: plain(use["gpwf:position"])
        for use in data["used"].values()
        if use["prov:activity"] == fit and "gpwf:position" in use
    }
    assert positions == {order[0]: "0", order[1]: "1"}


def test_scattered_tasks_share_their_step_and_have_coordinates() -> None:
    data = record("scattered")
    keys = [of_task(data, f"fit[seed={n}]", "ok")[0] for n in range(3)]
    assert [data["activity"][k]["gpwf:coordinate"] for k in keys] == ["seed=0", "seed=1", "seed=2"]
    plans = {
        a["prov:plan"] for a in data["wasAssociatedWith"].values() if a["prov:activity"] in keys
    }
    assert len(plans) == 1


def test_identical_task_served_by_this_run_is_recorded_once() -> None:
    plan = factory.make_plan(copies=2)
    journal = factory.Journal(plan)
    first, second = plan.of_step("models")
    journal.ok(first)
    journal.cached(second, made_at=0.0)
    twin = replace(
        journal.events[-1],
        made_by_run=journal.run_id,
        made_by_attempt=factory.identifier(journal.run_id, first.id, 1),
        made_started=factory.at(0.6),
        made_ended=factory.at(2.5),
    )
    journal.events[-1] = twin
    text = serialise(build_document(plan, journal.finish()))
    assert problems(text) == []
    runs = typed(json.loads(text), "activity", "wfprov:WorkflowRun")
    assert list(runs) == [f"gpwf:run-{journal.run_id}"]


def test_a_task_that_made_its_product_again_has_two_attempts() -> None:
    plan = factory.make_plan()
    data = record("healed")
    attempts = {
        int(plain(item["gpwf:attempt"])): (name, item)
        for name, item in data["activity"].items()
        if item.get("gpwf:task") == plan.tasks[0].id
    }
    assert plain(attempts[2][1]["gpwf:retryOf"]) == attempts[1][0]
    reader, _ = of_task(data, "datasets", "ok")
    used = {
        item["prov:entity"]
        for item in data["used"].values()
        if item["prov:activity"] == reader and item["prov:role"] == "in.observations"
    }
    assert used == {f"gpwf:product-{attempts[1][0].removeprefix('gpwf:act-')}-observations"}


def test_clock_that_goes_back_gives_a_valid_record() -> None:
    plan = factory.make_plan(("models",))
    journal = factory.Journal(plan)
    journal.start(plan.tasks[0])
    journal.end(plan.tasks[0], started=factory.at(10), ended=factory.at(7))
    text = serialise(build_document(plan, journal.finish()))
    assert problems(text) == []
    _, item = of_task(json.loads(text), "models", "ok")
    assert plain(item["gpwf:clockStep"]) == "3.0"


def test_a_run_begins_before_its_tasks_whatever_the_clock_says() -> None:
    plan = factory.make_plan(("models",))
    journal = factory.Journal(plan)
    journal.start(plan.tasks[0])
    journal.end(plan.tasks[0], started=factory.at(-5), ended=factory.at(-3))
    text = serialise(build_document(plan, journal.finish()))
    assert problems(text) == []
    (run,) = typed(json.loads(text), "activity", "wfprov:WorkflowRun").values()
    assert plain(run["gpwf:clockStep"]) == "5.0"
    _, attempt = of_task(json.loads(text), "models", "ok")
    assert run["prov:startTime"] == attempt["prov:startTime"]


def test_a_result_from_a_machine_whose_clock_goes_ahead_is_used_after_it_was_made() -> None:
    plan = factory.make_plan(("models",))
    journal = factory.Journal(plan)
    journal.cached(plan.tasks[0], made_at=2.0)
    text = serialise(build_document(plan, journal.finish()))
    assert problems(text) == []
    _, hit = of_task(json.loads(text), "models", "cached")
    assert plain(hit["gpwf:clockStep"]) == "6.75"


def test_a_folder_used_again_tells_of_the_last_run() -> None:
    plan = factory.make_plan(("models",))
    first = factory.Journal(factory.make_plan(), name="first")
    first.ok(*first.plan.tasks)
    second = factory.Journal(plan, name="second")
    second.cached(plan.tasks[0], by_run="first")
    text = serialise(build_document(plan, [*first.finish(), *second.events], live=True))
    assert problems(text) == []
    data = json.loads(text)
    run = data["activity"][f"gpwf:run-{second.run_id}"]
    assert run["gpwf:state"] == "running"
    assert "prov:endTime" not in run
    assert len(typed(data, "activity", "gpwf:CacheHit")) == 1


def test_strange_names_do_not_break_the_record() -> None:
    plan = factory.make_plan(("models",))
    odd = replace(
        plan.tasks[0],
        settings={"file": '/a/<b>&"c"\n\x01\ud800.yaml', "api_token": "abc", "empty": "", "l": []},
        types={"file": "path"},
        origins={},
    )
    plan = replace(plan, tasks=(odd,), name='x "<script>" \\ y')
    events = factory.good_run(plan)
    events[0] = replace(events[0], agent={"user": "Jürg Müller/x", "host": "h:1", "engine": "gpwf"})
    text = serialise(build_document(plan, events))
    assert problems(text) == []
    values = {
        i["voprov:name"]: i["prov:value"]
        for i in typed(json.loads(text), "entity", "voprov:Parameter").values()
        if i["voprov:name"] in ("api_token", "empty", "l")
    }
    assert values == {"api_token": "[redacted]", "empty": "", "l": "[]"}


def test_journal_without_a_start_is_refused() -> None:
    plan = factory.make_plan()
    with pytest.raises(ProvenanceError, match="does not say that the run started"):
        build_document(plan, [])


def test_journal_of_another_plan_is_refused() -> None:
    plan = factory.make_plan()
    with pytest.raises(ProvenanceError, match="'plot-lc', which is not in the plan"):
        build_document(factory.make_plan(("models",)), [factory.good_run(plan)[0], last_task(plan)])


def last_task(plan: Plan) -> RunEvent:
    journal = factory.Journal(plan)
    journal.not_run(plan.task("plot-lc"), TaskState.BLOCKED, "x")
    journal.finish(RunState.FAILED)
    return journal.events[1]
