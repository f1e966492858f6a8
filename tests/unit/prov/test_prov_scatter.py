"""The record of a scatter: coordinates, random numbers, gathered inputs, shared tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import prov_factory as factory
import pytest
from prov.model import ProvDocument, ProvUsage

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.prov.document import build_document
from gpwf.prov.export import serialise

Data = dict[str, Any]


def record(run: Callable[[Plan], list[RunEvent]] = factory.good_run) -> Data:
    plan = factory.scatter_plan()
    data: Data = json.loads(serialise(build_document(plan, run(plan))))
    return data


def values(item: Data, name: str) -> list[Any]:
    """Return the values of an attribute that may have several."""
    found = item.get(name, [])
    plain = [x["$"] if isinstance(x, dict) else x for x in _listed(found)]
    return sorted(plain, key=str)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def attempt(data: Data, task: str) -> tuple[str, Data]:
    """Return the only activity of a task."""
    (found,) = (
        (name, item) for name, item in data["activity"].items() if item.get("gpwf:task") == task
    )
    return found


def usages(data: Data, activity: str, role: str) -> list[Data]:
    """Return the usages of an activity in a role that have a position, in order."""
    found = [
        item
        for item in data["used"].values()
        if item["prov:activity"] == activity
        and item["prov:role"] == role
        and "gpwf:position" in item
    ]
    return sorted(found, key=lambda item: int(values(item, "gpwf:position")[0]))


def test_a_task_has_its_coordinates_its_seed_and_its_random_stream() -> None:
    data = record()
    name, item = attempt(data, "sim[scenario=bright,seed=2]")
    assert values(item, "gpwf:coordinate") == ["scenario=bright", "seed=2"]
    assert json.loads(item["gpwf:stream"]) == [17, 2, 2**32 - 1, 6]
    used = {
        x["prov:role"]: x["prov:entity"]
        for x in data["used"].values()
        if x["prov:activity"] == name
    }
    assert values(data["entity"][used["in.seed"]], "prov:value") == ["2"]
    _, other = attempt(data, "all")
    assert "gpwf:stream" not in other


def test_a_cached_result_keeps_its_random_stream_with_who_made_it() -> None:
    data = record(factory.cached_run)
    streams = [x["gpwf:stream"] for x in data["activity"].values() if "gpwf:stream" in x]
    assert len(streams) == 12  # six tasks: those of this run, and those that made the results
    assert len(set(streams)) == 6


def test_gathered_inputs_say_where_they_come_from() -> None:
    data = record()
    name, _ = attempt(data, "rows[scenario=bright]")
    found = usages(data, name, "in.items")
    assert [values(item, "gpwf:coordinate") for item in found] == [
        ["seed=0"],
        ["seed=1"],
        ["seed=2"],
    ]
    made = [data["entity"][item["prov:entity"]]["prov:label"] for item in found]
    assert made == [f"sim[scenario=bright,seed={n}].datasets" for n in range(3)]


def test_a_product_that_is_gathered_twice_is_used_twice() -> None:
    data = record()
    name, _ = attempt(data, "all")
    found = usages(data, name, "in.items")
    assert [values(item, "gpwf:coordinate") for item in found[:3]] == [
        ["scenario=none", "seed=0"],
        ["scenario=null", "seed=0"],
        ["scenario=null", "seed=1"],
    ]
    assert found[0]["prov:entity"] == found[1]["prov:entity"]
    assert len(found) == 7


def test_without_those_that_were_skipped_the_others_keep_their_labels() -> None:
    data = record(factory.scattered_failure)
    name, _ = attempt(data, "rows[scenario=null]")
    found = usages(data, name, "in.items")
    assert [values(item, "gpwf:coordinate") for item in found] == [["seed=0"], ["seed=2"]]
    assert [values(item, "gpwf:position") for item in found] == [["0"], ["1"]]


@pytest.mark.parametrize("run", [factory.good_run, factory.cached_run])
def test_shared_tasks_are_recorded_once_with_their_other_names(run: Any) -> None:
    data = record(run)
    name, item = attempt(data, "rows[scenario=null]")
    assert item["gpwf:otherName"] == "again[scenario=null]"
    assert not [
        x for x in data["activity"].values() if x.get("gpwf:task") == "again[scenario=null]"
    ]
    plans = {
        data["entity"][x["prov:plan"]]["prov:label"]
        for x in data["wasAssociatedWith"].values()
        if x["prov:activity"] == name
    }
    assert plans == {"rows", "again"}
    steps = {x["gpwf:name"]: x for x in data["entity"].values() if "gpwf:places" in x}
    assert steps["again"]["gpwf:module"] == steps["rows"]["gpwf:module"]
    (table,) = [
        x for x in data["entity"].values() if x.get("prov:label") == "rows[scenario=null].table"
    ]
    assert values(table, "gpwf:output") == ["same", "table"]


def test_steps_tell_their_axes_and_where_they_run() -> None:
    entities = record()["entity"].values()
    steps = {x["gpwf:name"]: x for x in entities if "gpwf:title" in x}
    assert values(steps["sim"], "gpwf:axis") == ["scenario=2", "seed=3"]
    assert values(steps["sim"], "gpwf:places") == ["6"]
    assert values(steps["all"], "gpwf:gather") == ["scenario", "seed"]


def test_steps_that_run_nowhere_and_blocked_tasks_are_listed_with_the_reason() -> None:
    data = record(factory.scattered_failure)
    (run,) = [x for x in data["activity"].values() if "gpwf:notRun" in x]
    found = {x["task"]: x for x in map(json.loads, values(run, "gpwf:notRun"))}
    assert set(found) == {"never", "rows[scenario=bright]", "all"}
    assert found["never"]["state"] == "skipped"
    assert found["never"]["reason"].startswith("left out: its condition holds nowhere")
    blocked = found["rows[scenario=bright]"]
    assert blocked["reason"] == "sim[scenario=bright,seed=2] failed"
    assert blocked["otherNames"] == ["again[scenario=bright]"]


def test_every_document_that_was_read_is_a_source_of_the_plan() -> None:
    data = record()
    documents = {
        x["prov:entity"] for x in data["used"].values() if x.get("prov:role") == "in.document"
    }
    names = {data["entity"][name]["prov:label"] for name in documents}
    assert names == {"crab.gpwf.yaml", "part.gpwf.yaml"}
    (plan,) = [
        name
        for name, x in data["entity"].items()
        if "gpwf:ResolvedPlan" in [y["$"] for y in _listed(x["prov:type"])]
    ]
    sources = {
        x["prov:usedEntity"]
        for x in data["wasDerivedFrom"].values()
        if x["prov:generatedEntity"] == plan
    }
    assert documents <= sources


@pytest.mark.parametrize("form", ["json", "provn"])
def test_the_record_reads_back_as_it_was(form: str) -> None:
    plan = factory.scatter_plan()
    document = build_document(plan, factory.scattered_failure(plan))
    text = serialise(document, form)
    if form == "json":
        assert ProvDocument.deserialize(content=text, format="json") == document
    else:  # prov writes PROV-N and does not read it
        assert text.count('gpwf:otherName="again[scenario=null]"') == 1
        assert text.count("used(") == len(list(document.get_records(ProvUsage)))
