"""The checks of the constraints themselves: each damage to a good record is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import prov_factory as factory
import pytest
from prov_constraints import problems

from gpwf.prov.document import build_document
from gpwf.prov.export import serialise

Data = dict[str, Any]


def good() -> Data:
    plan = factory.make_plan()
    data: Data = json.loads(serialise(build_document(plan, factory.mixed_run(plan))))
    return data


def a_generation(data: Data) -> Data:
    value: Data = next(g for g in data["wasGeneratedBy"].values() if "-models" in g["prov:entity"])
    return value


def drop_entity(data: Data) -> None:
    del data["entity"][next(iter(data["used"].values()))["prov:entity"]]


def generate_twice(data: Data) -> None:
    data["wasGeneratedBy"]["gpwf:gen-again"] = dict(a_generation(data))


def generate_by_another(data: Data) -> None:
    other = next(k for k, v in data["activity"].items() if v.get("gpwf:state") == "timeout")
    data["wasGeneratedBy"]["gpwf:gen-again"] = a_generation(data) | {"prov:activity": other}


def generate_late(data: Data) -> None:
    a_generation(data)["prov:time"] = "2026-03-14T23:00:00+00:00"


def use_early(data: Data) -> None:
    next(iter(data["used"].values()))["prov:time"] = "2020-01-01T00:00:00+00:00"


def start_differs(data: Data) -> None:
    next(iter(data["wasStartedBy"].values()))["prov:time"] = "2026-03-14T09:26:59+00:00"


def end_before_start(data: Data) -> None:
    item = next(i for i in data["activity"].values() if "prov:endTime" in i)
    item["prov:endTime"] = "2001-01-01T00:00:00+00:00"


def entity_is_activity(data: Data) -> None:
    data["entity"][next(iter(data["activity"]))] = {}


def inform_itself(data: Data) -> None:
    (item,) = data["wasInformedBy"].values()
    data["wasInformedBy"]["gpwf:inf-back"] = {
        "prov:informed": item["prov:informant"],
        "prov:informant": item["prov:informed"],
    }


def derive_in_a_ring(data: Data) -> None:
    item = next(d for d in data["wasDerivedFrom"].values() if "prov:activity" in d)
    data["wasDerivedFrom"]["gpwf:der-back"] = {
        "prov:generatedEntity": item["prov:usedEntity"],
        "prov:usedEntity": item["prov:generatedEntity"],
    }


def derive_by_wrong_usage(data: Data) -> None:
    items = [d for d in data["wasDerivedFrom"].values() if "prov:usage" in d]
    items[0]["prov:usage"] = next(
        d["prov:usage"] for d in items if d["prov:usedEntity"] != items[0]["prov:usedEntity"]
    )


def specialise_itself(data: Data) -> None:
    item = next(iter(data["specializationOf"].values()))
    item["prov:generalEntity"] = item["prov:specificEntity"]


def member_of_no_collection(data: Data) -> None:
    item = next(iter(data["hadMember"].values()))
    item["prov:collection"] = item["prov:entity"]


def agent_is_entity(data: Data) -> None:
    item = next(iter(data["wasAssociatedWith"].values()))
    item["prov:agent"] = item["prov:plan"]


def two_records_in_one(data: Data) -> None:
    key = next(iter(data["used"]))
    data["used"][key] = [data["used"][key], data["used"][key]]


def unknown_section(data: Data) -> None:
    data["wasMadeUp"] = {}


DAMAGES: dict[Callable[[Data], None], str] = {
    drop_entity: "not declared",
    generate_twice: "ProvGeneration twice",
    generate_by_another: "ProvGeneration twice",
    generate_late: "outside its activity",
    use_early: "outside its activity",
    start_differs: "start time differs",
    end_before_start: "ends before it starts",
    entity_is_activity: "entity and activity at once",
    inform_itself: "informs itself",
    derive_in_a_ring: "precedes itself",
    derive_by_wrong_usage: "usage of another entity",
    specialise_itself: "specialises itself",
    member_of_no_collection: "not a collection",
    agent_is_entity: "wrong kind",
    two_records_in_one: "schema",
    unknown_section: "schema",
}


def test_the_undamaged_record_is_fine() -> None:
    assert problems(json.dumps(good())) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda item: item.__name__)
def test_damage_is_noticed(damage: Callable[[Data], None]) -> None:
    data = good()
    damage(data)
    assert any(DAMAGES[damage] in text for text in problems(json.dumps(data)))


def test_time_without_zone_is_noticed() -> None:
    data: Data = {
        "prefix": {"x": "urn:x:"},
        "activity": {
            "x:a": {"prov:startTime": "2026-01-01T00:00:00", "prov:endTime": "2026-01-01T00:00:01"}
        },
    }
    assert "time without zone: x:a" in problems(json.dumps(data))
