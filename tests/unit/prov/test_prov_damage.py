"""Damage to a good record, of every kind, is named by the rule that is for it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import prov_factory as factory
import pytest
from test_prov_stream import OPTIONS

from gpwf.prov.document import build_document
from gpwf.prov.export import serialise
from gpwf.prov.validation.check import check_data
from gpwf.prov.validation.findings import Report

Data = dict[str, Any]


def rules_of(report: Report) -> set[str]:
    return {item.rule for item in report.findings}


def good() -> Data:
    plan = factory.make_plan()
    data: Data = json.loads(serialise(build_document(plan, factory.mixed_run(plan), **OPTIONS)))
    return data


def of_type(data: Data, section: str, name: str) -> dict[str, Any]:
    return {key: item for key, item in data[section].items() if name in str(item.get("prov:type"))}


def first(data: Data, section: str, **wanted: str) -> Any:
    """Return the first record whose attributes hold these texts."""
    for item in data[section].values():
        if all(text in str(item.get(f"prov:{key}", "")) for key, text in wanted.items()):
            return item
    raise AssertionError(wanted)


def attempt(data: Data, **wanted: str) -> Any:
    for item in of_type(data, "activity", "wfprov:ProcessRun").values():
        if all(item.get(f"gpwf:{key}") == text for key, text in wanted.items()):
            return item
    raise AssertionError(wanted)


def the_run(data: Data) -> Any:
    return next(
        item for item in of_type(data, "activity", "WorkflowRun").values() if "gpwf:state" in item
    )


def undeclared(data: Data) -> None:
    del data["entity"][next(iter(data["used"].values()))["prov:entity"]]


def undeclared_usage(data: Data) -> None:
    del data["used"][
        next(d for d in data["wasDerivedFrom"].values() if "prov:usage" in d)["prov:usage"]
    ]


def agent_is_entity(data: Data) -> None:
    item = next(iter(data["wasAssociatedWith"].values()))
    item["prov:agent"] = item["prov:plan"]


def time_without_zone(data: Data) -> None:
    item = attempt(data, state="ok")
    item["prov:startTime"] = item["prov:startTime"][:19]


def time_is_none(data: Data) -> None:
    first(data, "used")["prov:time"] = "yesterday"


def no_role(data: Data) -> None:
    del first(data, "used")["prov:role"]


def no_generator(data: Data) -> None:
    key = next(k for k, g in data["wasGeneratedBy"].items() if "product-" in g["prov:entity"])
    del data["wasGeneratedBy"][key]


def two_generators(data: Data) -> None:
    item = first(data, "wasGeneratedBy", entity="product-")
    other = next(k for k, v in data["activity"].items() if v.get("gpwf:state") == "timeout")
    data["wasGeneratedBy"]["gpwf:gen-again"] = item | {"prov:activity": other}


def informs_itself(data: Data) -> None:
    (item,) = data["wasInformedBy"].values()
    data["wasInformedBy"]["gpwf:inf-back"] = {
        "prov:informed": item["prov:informant"],
        "prov:informant": item["prov:informed"],
    }


def short_digest(data: Data) -> None:
    next(iter(of_type(data, "entity", "gpwf:Log").values()))["gpwf:sha256"] = "abc"


def flipped_digest(data: Data) -> None:
    item = next(v for k, v in data["entity"].items() if k.startswith("gpwf:sha256-"))
    item["gpwf:sha256"] = "0" * 64


def unknown_term(data: Data) -> None:
    first(data, "entity")["gpwf:sparkle"] = "1"


def newer_format(data: Data) -> None:
    the_run(data)["gpwf:format"] = {"$": "99", "type": "xsd:int"}


def run_without_plan(data: Data) -> None:
    name = next(k for k, v in data["activity"].items() if v is the_run(data))
    for item in data["wasAssociatedWith"].values():
        if item["prov:activity"] == name:
            del item["prov:plan"]


def run_without_end(data: Data) -> None:
    del the_run(data)["prov:endTime"]


def no_collection(data: Data) -> None:
    item = next(iter(data["hadMember"].values()))
    item["prov:collection"] = item["prov:entity"]


def no_content(data: Data) -> None:
    data["specializationOf"].popitem()


def late_invalidation(data: Data) -> None:
    next(iter(data["wasInvalidatedBy"].values()))["prov:time"] = "2027-01-01T00:00:00+00:00"


def parameter_without_value(data: Data) -> None:
    del next(v for k, v in data["entity"].items() if k.startswith("gpwf:param-"))["prov:value"]


def no_state(data: Data) -> None:
    del attempt(data, state="ok")["gpwf:state"]


def no_key(data: Data) -> None:
    del attempt(data, state="timeout")["gpwf:taskKey"]


def no_end(data: Data) -> None:
    del attempt(data, state="timeout")["prov:endTime"]


def no_plan(data: Data) -> None:
    name = next(k for k, v in data["activity"].items() if v.get("gpwf:state") == "timeout")
    for key in [k for k, v in data["wasAssociatedWith"].items() if v["prov:activity"] == name]:
        del data["wasAssociatedWith"][key]


def no_start(data: Data) -> None:
    name = next(k for k, v in data["activity"].items() if v.get("gpwf:state") == "timeout")
    for key in [k for k, v in data["wasStartedBy"].items() if v["prov:activity"] == name]:
        del data["wasStartedBy"][key]


def lost_first_attempt(data: Data) -> None:
    attempt(data, state="ok", task="datasets")["gpwf:attempt"] = {"$": "3", "type": "xsd:int"}


def retry_of_nothing(data: Data) -> None:
    del attempt(data, state="ok", task="datasets")["gpwf:retryOf"]


def wrong_count(data: Data) -> None:
    the_run(data)["gpwf:count"] = ["ok=17", "failed=1"]


def failed_is_ok(data: Data) -> None:
    attempt(data, state="failed")["gpwf:state"] = "ok"


def hit_by_nobody(data: Data) -> None:
    del data["wasInformedBy"]


def leftover_is_valid(data: Data) -> None:
    del data["wasInvalidatedBy"]


#: What is done to a good record, and the rule that must name it.
DAMAGES: dict[Callable[[Data], None], str] = {
    undeclared: "GR-01",
    undeclared_usage: "GR-01",
    agent_is_entity: "GR-02",
    time_without_zone: "GR-03",
    time_is_none: "GR-03",
    no_role: "GR-04",
    no_generator: "GR-05",
    two_generators: "GR-05",
    informs_itself: "GR-06",
    short_digest: "GR-07",
    flipped_digest: "GR-08",
    unknown_term: "GR-09",
    newer_format: "GR-10",
    run_without_plan: "GR-11",
    run_without_end: "GR-11",
    no_collection: "GR-12",
    no_content: "GR-13",
    late_invalidation: "GR-14",
    parameter_without_value: "GR-15",
    no_state: "GR-20",
    no_key: "GR-20",
    no_end: "GR-21",
    no_plan: "GR-22",
    no_start: "GR-22",
    lost_first_attempt: "GR-23",
    retry_of_nothing: "GR-23",
    wrong_count: "GR-24",
    failed_is_ok: "GR-24",
    hit_by_nobody: "GR-25",
    leftover_is_valid: "GR-26",
}


def test_the_undamaged_record_is_valid() -> None:
    report = check_data(good())
    assert report.findings == []
    assert report.is_run_record


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda item: item.__name__)
def test_damage_to_a_record_is_named(damage: Callable[[Data], None]) -> None:
    data = good()
    damage(data)
    report = check_data(data)
    assert DAMAGES[damage] in rules_of(report)
    assert report.is_valid == (DAMAGES[damage] in ("GR-09", "GR-10"))


def late(data: Data) -> None:
    first(data, "wasGeneratedBy", entity="-models")["prov:time"] = "2026-03-14T23:00:00+00:00"


def early(data: Data) -> None:
    first(data, "used")["prov:time"] = "2020-01-01T00:00:00+00:00"


def other_start(data: Data) -> None:
    first(data, "wasStartedBy")["prov:time"] = "2026-03-14T09:26:59+00:00"


def backwards(data: Data) -> None:
    attempt(data, state="ok")["prov:endTime"] = "2001-01-01T00:00:00+00:00"


def entity_is_activity(data: Data) -> None:
    data["entity"][next(iter(data["activity"]))] = {}


def derived_from_itself(data: Data) -> None:
    item = next(d for d in data["wasDerivedFrom"].values() if "prov:activity" in d)
    data["wasDerivedFrom"]["gpwf:der-back"] = {
        "prov:generatedEntity": item["prov:usedEntity"],
        "prov:usedEntity": item["prov:generatedEntity"],
    }


def wrong_usage(data: Data) -> None:
    items = [d for d in data["wasDerivedFrom"].values() if "prov:usage" in d]
    items[0]["prov:usage"] = next(
        d["prov:usage"] for d in items if d["prov:usedEntity"] != items[0]["prov:usedEntity"]
    )


def specialises_itself(data: Data) -> None:
    item = next(iter(data["specializationOf"].values()))
    item["prov:generalEntity"] = item["prov:specificEntity"]


def listed(data: Data) -> None:
    key = next(iter(data["used"]))
    data["used"][key] = [data["used"][key], data["used"][key]]


def generated_again(data: Data) -> None:
    data["wasGeneratedBy"]["gpwf:gen-again"] = dict(first(data, "wasGeneratedBy", entity="-models"))


def no_prefix(data: Data) -> None:
    del data["prefix"]["voprov"]


MORE_DAMAGES: dict[Callable[[Data], None], str] = {
    late: "PT-34",
    early: "PT-33",
    other_start: "PC-28",
    backwards: "PT-30",
    entity_is_activity: "PC-55",
    derived_from_itself: "PC-42",
    wrong_usage: "PC-11",
    specialises_itself: "PC-52",
    listed: "JS-01",
    generated_again: "PC-24",
    no_prefix: "JS-02",
}


@pytest.mark.parametrize("damage", MORE_DAMAGES, ids=lambda item: item.__name__)
def test_other_damage_to_a_record_is_an_error(damage: Callable[[Data], None]) -> None:
    data = good()
    damage(data)
    report = check_data(data)
    assert MORE_DAMAGES[damage] in rules_of(report)
    assert not report.is_valid


def test_a_field_that_somebody_edited_is_noticed_wherever_it_is() -> None:
    """Every digest, state, time and role of a record, one after the other."""
    data, missed = good(), []
    for section in ("activity", "wasGeneratedBy", "used"):
        for name, record in list(data[section].items())[:12]:
            for key, value in record.items():
                if key in (
                    "gpwf:state",
                    "prov:startTime",
                    "prov:endTime",
                    "prov:time",
                    "prov:role",
                ):
                    other = copy.deepcopy(data)
                    other[section][name][key] = ""
                    if check_data(other).is_valid:
                        missed.append(f"{section} {name} {key} {value}")
    assert missed == []
