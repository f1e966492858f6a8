"""Runs within a run, conditions, documents, logs of attempts: what a record says of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from prov_constraints import problems
from prov_nested import CONDITION, nested_failure, nested_killed, nested_scatter
from test_prov_document import content, of_task, plain, typed, types_of
from test_prov_stream import equal

from gpwf.core.plan import Plan
from gpwf.core.plan_codec import plan_from_plain, plan_to_plain
from gpwf.core.runs import RunEvent
from gpwf.prov.attempt_logs import AttemptLog, read_attempt_logs
from gpwf.prov.document import build_document
from gpwf.prov.stream import write_record

RUNS: dict[str, Callable[[Plan], list[RunEvent]]] = {
    "good": factory.good_run,
    "cached": factory.cached_run,
    "failed": nested_failure,
    "killed": nested_killed,
}


def recorded(run: Callable[[Plan], list[RunEvent]], **options: Any) -> dict[str, Any]:
    plan = nested_scatter()
    return content(build_document(plan, run(plan), **options))


def values(item: dict[str, Any], name: str) -> list[Any]:
    """Return the values of an attribute, however many."""
    found = item.get(name, [])
    return [plain(value) for value in (found if isinstance(found, list) else [found])]


def children(data: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the runs within the run by their labels."""
    runs = typed(data, "activity", "wfprov:WorkflowRun")
    return {
        item["prov:label"].removeprefix("run of "): (name, item)
        for name, item in runs.items()
        if "subrun" in name
    }


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("name", RUNS)
def test_the_record_is_valid_and_the_same_in_both_ways(
    name: str, live: bool, tmp_path: Path
) -> None:
    plan = nested_scatter()
    events = RUNS[name](plan)
    for stop in range(1, len(events) + 1):
        path = write_record(tmp_path / "prov.json", plan, events[:stop], live=live)
        assert problems(path.read_text()) == []
        equal(path, build_document(plan, events[:stop], live=live))


def test_an_included_workflow_is_a_run_at_every_place() -> None:
    data = recorded(factory.good_run)
    found = children(data)
    assert set(found) == {
        f"outer{inner}[outer/row={row}]" for inner in ("", "/inner") for row in "ab"
    }
    (run,) = [name for name in data["activity"] if name.startswith("gpwf:run-")]
    starters = {i["prov:activity"]: i["prov:starter"] for i in data["wasStartedBy"].values()}
    for row in "ab":
        outer, item = found[f"outer[outer/row={row}]"]
        inner, within = found[f"outer/inner[outer/row={row}]"]
        assert starters[outer] == run
        assert starters[inner] == outer
        task, attempt = of_task(data, f"outer/inner/fit[outer/row={row}]", "ok")
        assert starters[task] == inner
        parts = values(attempt, "wfprov:wasPartOfWorkflowRun")
        assert sorted(parts) == sorted([run, outer, inner])
        assert values(within, "wfprov:wasPartOfWorkflowRun") == [outer]
        assert within["prov:startTime"] == attempt["prov:startTime"]
        assert within["prov:endTime"] == attempt["prov:endTime"]
        assert item["gpwf:state"] == "ok"
        assert item["gpwf:coordinate"] == f"outer/row={row}"
    first, attempt = of_task(data, "observations", "ok")
    assert starters[first] == run
    assert values(attempt, "wfprov:wasPartOfWorkflowRun") == [run]


def test_a_task_of_two_names_is_part_of_both_runs() -> None:
    data = recorded(factory.good_run)
    found = children(data)
    name, attempt = of_task(data, "outer/models[outer/row=a]", "ok")
    outer = [found[f"outer[outer/row={row}]"] for row in "ab"]
    assert {local for local, _ in outer} < set(values(attempt, "wfprov:wasPartOfWorkflowRun"))
    starters = {i["prov:activity"]: i["prov:starter"] for i in data["wasStartedBy"].values()}
    assert starters[name] == outer[0][0]
    assert [values(item, "gpwf:count") for _, item in outer] == [["ok=2"], ["ok=2"]]


def test_plans_of_included_workflows_hold_their_own_steps() -> None:
    data = recorded(factory.good_run)
    names = {key: item.get("gpwf:name") for key, item in data["entity"].items()}

    def parts(name: str) -> set[str | None]:
        (item,) = [
            item
            for item in typed(data, "entity", "wfdesc:Workflow").values()
            if item["gpwf:name"] == name
        ]
        return {names[key] for key in values(item, "wfdesc:hasSubProcess")}

    assert parts("crab-1d") == {"observations", "outer", "never"}
    assert parts("outer") == {"outer/models", "outer/inner"}
    assert parts("outer/inner") == {"outer/inner/fit"}
    plans = {
        item["prov:activity"]: item["prov:plan"] for item in data["wasAssociatedWith"].values()
    }
    for label, (local, item) in children(data).items():
        assert names[plans[local]] == label.partition("[")[0]
        assert values(item, "wfprov:describedByWorkflow") == [plans[local]]


@pytest.mark.parametrize(
    ("run", "states"),
    [
        (factory.cached_run, ("ok", "ok", "ok", "ok")),
        (nested_failure, ("ok", "failed", "ok", "failed")),
        (nested_killed, ("ok", "interrupted", "ok", "interrupted")),
    ],
)
def test_states_of_runs_are_those_of_their_tasks(
    run: Callable[[Plan], list[RunEvent]], states: tuple[str, ...]
) -> None:
    found = children(recorded(run))
    names = [f"outer{inner}[outer/row={row}]" for inner in ("", "/inner") for row in "ab"]
    assert tuple(found[name][1]["gpwf:state"] for name in names) == states
    for name, state in zip(names, states, strict=True):
        assert ("prov:endTime" in found[name][1]) == (state != "interrupted")


def test_what_never_ran_is_no_run() -> None:
    plan = nested_scatter()
    journal = factory.Journal(plan)
    journal.ok(plan.tasks[0])
    assert children(content(build_document(plan, journal.events))) == {}


def test_conditions_are_recorded_with_what_decided_them_and_without_secrets() -> None:
    data = recorded(factory.good_run)
    (step,) = [
        item for item in data["entity"].values() if item.get("gpwf:name") == "outer/inner/fit"
    ]
    assert step["gpwf:when"] == CONDITION.text
    assert [json.loads(text) for text in values(step, "gpwf:decision")] == [
        {
            "holds": True,
            "values": {"params.n": 2, "row.api_token": "[redacted]"},
            "coordinates": {"row": "a"},
        },
        {"holds": False, "values": {"params.n": 1}, "coordinates": {"row": "b"}},
    ]
    assert values(step, "gpwf:placesLeftOut") == ["1"]
    assert "hunter2" not in json.dumps(data)


def test_a_step_that_runs_nowhere_says_which_condition_says_so() -> None:
    data = recorded(factory.good_run)
    (run,) = [item for item in data["activity"].values() if "gpwf:notRun" in item]
    (entry,) = [json.loads(text) for text in values(run, "gpwf:notRun")]
    assert entry["task"] == "never/fit"
    assert entry["state"] == "skipped"
    assert entry["reason"] == f"the condition of never holds nowhere: {CONDITION.text}"
    assert entry["when"] == CONDITION.text
    assert entry["decisions"] == [
        {"holds": False, "values": {"params.n": 1}, "coordinates": {"row": "b"}}
    ]


def test_documents_have_their_text_without_secrets() -> None:
    data = recorded(factory.good_run)
    (part,) = [
        item
        for item in data["entity"].values()
        if item.get("prov:location") == "/home/me/part.gpwf.yaml"
    ]
    assert part["prov:value"].startswith(
        "gpwf: 1\nname: part\nmetadata: {contact: me, api_token: [redacted]"
    )


def test_the_plan_with_all_this_is_read_back_and_an_older_one_as_well() -> None:
    plan = nested_scatter()
    data = json.loads(json.dumps(plan_to_plain(plan)))
    assert plan_from_plain(data) == plan
    for name in ("documents", "workflows", "identities"):
        del data[name]
    for step in data["steps"]:
        del step["condition"]
    old = plan_from_plain(data)
    assert old.workflows == ()
    assert problems(json.dumps(content(build_document(old, factory.good_run(old))))) == []


# ---- identity of inputs, seeds -----------------------------------------------------------------


def test_what_a_file_says_of_itself_is_with_its_content() -> None:
    plan = factory.make_plan()
    name = factory.digest("data/run23523.fits.gz")
    identity = {
        "cards": {"OBS_ID": [23523, "b"], "CREATOR": ["me, token=hunter2hunter2"], "UUID": ["u-1"]},
        "digest": "f" * 64,
    }
    plan = replace(plan, identities={name: identity})
    for run in (factory.good_run, factory.cached_run):
        data = content(build_document(plan, run(plan)))
        item = data["entity"][f"gpwf:sha256-{name}"]
        headers = ["OBS_ID=23523", "OBS_ID=b", "CREATOR=me, token=[redacted]"]
        assert sorted(values(item, "gpwf:header")) == sorted(headers)
        assert values(item, "gpwf:producerId") == ["UUID=u-1"]
        assert item["gpwf:fitsDigest"] == "f" * 64
        assert sum("gpwf:fitsDigest" in other for other in data["entity"].values()) == 1


def test_seeds_are_on_the_attempt() -> None:
    plan = factory.scatter_plan()
    for run, state in ((factory.good_run, "ok"), (factory.cached_run, "cached")):
        data = content(build_document(plan, run(plan)))
        _, item = of_task(data, "sim[scenario=bright,seed=2]", state)
        assert values(item, "gpwf:seed") == ["2"]
        assert values(item, "gpwf:stream") == ["[17,2,4294967295,6]"]


# ---- logs --------------------------------------------------------------------------------------


def line(event: str, level: str = "info", **fields: Any) -> bytes:
    head = {"time": "t", "level": level, "event": event, "run_id": "r", "step": "s"}
    return (json.dumps(head | fields) + "\n").encode()


def test_logs_of_attempts_are_their_lines_but_for_the_quiet_ones(tmp_path: Path) -> None:
    said = [line("log.record", task_id="a", attempt=1, message=text) for text in "xy"]
    bad = line("attempt.finished", "error", task_id="b", attempt=2, traceback="...")
    lines = [
        line("run.started", task_id=None, attempt=None),
        line("attempt.started", task_id="a", attempt=1),
        said[0],
        bad,
        said[1],
        line("attempt.finished", task_id="a", attempt=1),
        b"torn {",
        b'["list"]\n',
        line("log.record", task_id="c", attempt="1"),
    ]
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lines))
    whole, found = read_attempt_logs(path)
    assert whole == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == {
        ("r", "a", 1): AttemptLog(hashlib.sha256(b"".join(said)).hexdigest(), 2),
        ("r", "b", 2): AttemptLog(hashlib.sha256(bad).hexdigest(), 1),
    }


def test_logs_are_entities_that_their_attempts_made(tmp_path: Path) -> None:
    plan = factory.make_plan()
    events = factory.mixed_run(plan)
    run_id = factory.identifier("mixed")
    logs = {
        (run_id, "datasets", 2): AttemptLog("1" * 64, 3),
        (run_id, "flux-points", 1): AttemptLog("2" * 64, 1),
        (run_id, "unknown", 1): AttemptLog("3" * 64, 1),
        ("another run", "fit", 1): AttemptLog("4" * 64, 1),
    }
    options: dict[str, Any] = {
        "attempt_logs": logs,
        "log_digests": {"journal.jsonl": "a" * 64, "log.jsonl": "b" * 64},
        "journal_sum": "c" * 64,
    }
    document = build_document(plan, events, **options)
    path = write_record(tmp_path / "prov.json", plan, events, **options)
    equal(path, document)
    assert problems(path.read_text()) == []
    data = content(document)
    found = typed(data, "entity", "gpwf:Log")
    makers = {g["prov:entity"]: g["prov:activity"] for g in data["wasGeneratedBy"].values()}
    own = {key: item for key, item in found.items() if "gpwf:task" in item}
    assert {item["gpwf:sha256"]: plain(item["gpwf:lines"]) for item in own.values()} == {
        "1" * 64: "3",
        "2" * 64: "1",
    }
    failed, _ = of_task(data, "flux-points", "failed")
    again, _ = of_task(data, "datasets", "ok")
    assert {makers[key] for key in own} == {failed, again}
    sums = {item["gpwf:name"]: item.get("gpwf:journalSum") for item in found.values()}
    assert sums == {"journal.jsonl": "c" * 64, "log.jsonl": None}
    assert all(types_of(item) == ["gpwf:Log"] for item in found.values())


def test_a_task_whose_name_looks_secret_keeps_its_log() -> None:
    plan = factory.make_plan(("models",))
    task = replace(plan.tasks[0], id="models[token=abcdef]")
    plan = replace(plan, tasks=(task,), outputs={})
    logs = {(factory.identifier("run"), "models[token=[redacted]]", 1): AttemptLog("1" * 64, 1)}
    data = content(build_document(plan, factory.good_run(plan), attempt_logs=logs))
    assert len(typed(data, "entity", "gpwf:Log")) == 1
