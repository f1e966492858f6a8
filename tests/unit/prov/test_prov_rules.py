"""Every rule is broken by a small document, and only by what breaks it; every rule is explained."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from test_prov_stream import OPTIONS

from gpwf.api.record_files import FILE_RULES
from gpwf.prov.document import build_document
from gpwf.prov.export import serialise
from gpwf.prov.validation.check import check_data, titles
from gpwf.prov.validation.findings import MOST_OF_A_RULE, Report

Data = dict[str, Any]
T = "2026-01-01T00:00:{:02d}+00:00"


def doc(**sections: Any) -> Data:
    """Return a document; identifiers have the prefix ``x``, names of attributes ``prov``."""
    data: Data = {"prefix": {"x": "urn:x:"}}
    for section, records in sections.items():
        if isinstance(records, str):  # names of elements
            records = {name: {} for name in records.split()}
        elif isinstance(records, list):
            records = {f"_:{n}": record for n, record in enumerate(records)}
        data[section] = {
            name if name.startswith("_:") else f"x:{name}": (
                [_record(item) for item in record] if isinstance(record, list) else _record(record)
            )
            for name, record in records.items()
        }
    return data


def _record(record: Data) -> Data:
    out = {}
    for key, value in record.items():
        key = key if ":" in key else f"prov:{key}"
        is_time = key.lower().endswith("time")
        if isinstance(value, int) and is_time:
            value = T.format(value)
        elif isinstance(value, str) and ":" not in value:
            value = f"x:{value}"
        out[key] = value
    return out


def used(activity: str, entity: str, time: int | None = None) -> Data:
    return {"activity": activity, "entity": entity} | ({} if time is None else {"time": time})


made = used  # the same arguments


def derived(new: str, old: str, **more: str) -> Data:
    return {"generatedEntity": new, "usedEntity": old, **more}


def start(activity: str, time: int | None = None, **more: str) -> Data:
    return {"activity": activity, **more} | ({} if time is None else {"time": time})


def general(specific: str, of: str) -> Data:
    return {"specificEntity": specific, "generalEntity": of}


def span(first: int | None, last: int | None = None) -> Data:
    times = {"startTime": first, "endTime": last}
    return {name: time for name, time in times.items() if time is not None}


def rules_of(report: Report) -> set[str]:
    return {item.rule for item in report.findings}


#: By rule: a document that breaks it and nothing else, and one that nearly does.
CASES: dict[str, tuple[Data, Data]] = {
    "RD-02": (doc(wasMadeUp={}), doc(entity={})),
    "JS-01": (
        doc(entity={"e": {"x:a": ["1", None]}}),
        doc(entity={"e": {"x:a": ["1", {"$": "2", "type": "xsd:int"}]}}),
    ),
    "JS-02": (
        {"prefix": {"x": "urn:x:"}, "entity": {"y:e": {}}},
        {"prefix": {"y": "urn:x:"}, "entity": {"y:e": {"prov:label": "l"}}},
    ),
    "JS-03": (
        doc(activity="a", used={"u": {"entity": "e"}}),
        doc(activity="a", used={"u": used("a", "e")}),
    ),
    "PC-11": (
        doc(
            used={"u": used("a", "e1")},
            wasDerivedFrom=[derived("e2", "e3", activity="a", usage="u")],
        ),
        doc(
            used={"u": used("a", "e1")},
            wasDerivedFrom=[derived("e2", "e1", activity="a", usage="u")],
        ),
    ),
    "PC-22": (
        doc(activity={"a": [span(1), span(2)]}),
        doc(activity={"a": [span(1), span(None, 2)]}),
    ),
    "PC-23": (
        doc(used={"u": [used("a", "e1"), used("a", "e2")]}),
        doc(used={"u": [used("a", "e1"), used("a", "e1", 3)]}),
    ),
    "PC-24": (
        doc(wasGeneratedBy={"g": made("a", "e"), "h": made("a", "e")}),
        doc(wasGeneratedBy={"g": made("a", "e"), "_:h": made("a", "e")}),
    ),
    "PC-25": (
        doc(wasInvalidatedBy={"g": made("a", "e"), "h": made("a", "e")}),
        doc(wasInvalidatedBy={"g": made("a", "e"), "h": made("b", "e")}),
    ),
    "PC-26": (
        doc(wasStartedBy={"s": start("a", starter="b"), "t": start("a", starter="b")}),
        doc(wasStartedBy={"s": start("a", starter="b"), "t": start("a", starter="c")}),
    ),
    "PC-27": (
        doc(wasEndedBy={"s": start("a", ender="b"), "t": start("a", ender="b")}),
        doc(wasEndedBy={"s": start("a", ender="b"), "_:t": start("a", ender="b")}),
    ),
    "PC-28": (
        doc(activity={"a": span(1)}, wasStartedBy=[start("a", 2)]),
        doc(activity={"a": span(1)}, wasStartedBy=[start("a", 1)]),
    ),
    "PC-29": (
        doc(activity={"a": span(1, 3)}, wasEndedBy=[start("a", 2)]),
        doc(activity={"a": span(1, 3)}, wasEndedBy=[start("a", 3)]),
    ),
    "PC-42": (
        doc(wasDerivedFrom=[derived("e1", "e2"), derived("e2", "e1")]),
        doc(wasDerivedFrom=[derived("e1", "e2"), derived("e2", "e3")]),
    ),
    "PC-51": (
        doc(used={"u": used("a", "e1")}, wasDerivedFrom=[derived("e2", "e1", usage="u")]),
        doc(
            used={"u": used("a", "e1")},
            wasDerivedFrom=[derived("e2", "e1", usage="u", activity="a")],
        ),
    ),
    "PC-52": (
        doc(specializationOf=[general("a", "b"), general("b", "a")]),
        doc(specializationOf=[general("a", "b"), general("b", "c")]),
    ),
    "PC-53": (
        doc(used={"r": used("a", "e")}, wasGeneratedBy={"r": made("a", "f")}),
        doc(used={"r": used("a", "e")}, wasGeneratedBy={"s": made("a", "f")}),
    ),
    "PC-54": (
        doc(entity="e", used={"e": used("a", "f")}),
        doc(entity="e", used={"u": used("a", "e")}),
    ),
    "PC-55": (
        doc(entity="e", activity="e"),
        doc(entity="e", agent="e"),
    ),
    "PC-56": (
        doc(
            entity={"c": {"type": {"$": "prov:EmptyCollection", "type": "xsd:QName"}}},
            hadMember=[{"collection": "c", "entity": "e"}],
        ),
        doc(
            entity={"c": {"type": {"$": "prov:Collection", "type": "xsd:QName"}}},
            hadMember=[{"collection": "c", "entity": "e"}],
        ),
    ),
    "PT-30": (doc(activity={"a": span(2, 1)}), doc(activity={"a": span(1, 1)})),
    "PT-33": (
        doc(activity={"a": span(2, 4)}, used=[used("a", "e", 1)]),
        doc(activity={"a": span(2, 4)}, used=[used("a", "e", 2)]),
    ),
    "PT-34": (
        doc(activity={"a": span(2, 4)}, wasGeneratedBy=[made("a", "e", 5)]),
        doc(activity={"a": span(2, 4)}, wasGeneratedBy=[made("a", "e", 4)]),
    ),
    "PT-35": (
        doc(
            activity={"a": span(5), "b": span(1, 3)},
            wasInformedBy=[{"informed": "b", "informant": "a"}],
        ),
        doc(
            activity={"a": span(3), "b": span(1, 3)},
            wasInformedBy=[{"informed": "b", "informant": "a"}],
        ),
    ),
    "PT-36": (
        doc(wasGeneratedBy=[made("a", "e", 3)], wasInvalidatedBy=[made("b", "e", 2)]),
        doc(wasGeneratedBy=[made("a", "e", 3)], wasInvalidatedBy=[made("b", "e", 3)]),
    ),
    "PT-37": (
        doc(wasGeneratedBy=[made("a", "e", 3)], used=[used("b", "e", 2)]),
        doc(wasGeneratedBy=[made("a", "e", 3)], used=[used("b", "e", 3)]),
    ),
    "PT-38": (
        doc(wasInvalidatedBy=[made("a", "e", 3)], used=[used("b", "e", 4)]),
        doc(wasInvalidatedBy=[made("a", "e", 3)], used=[used("b", "e", 3)]),
    ),
    "PT-39": (
        doc(wasGeneratedBy=[made("a", "e", 3), made("b", "e", 4)]),
        doc(wasGeneratedBy=[made("a", "e", 3), made("b", "e", 3)]),
    ),
    "PT-40": (
        doc(wasInvalidatedBy=[made("a", "e", 3), made("b", "e", 4)]),
        doc(wasInvalidatedBy=[made("a", "e", 3), made("b", "e", 3)]),
    ),
    "PT-41": (
        doc(
            used={"u": used("a", "e1", 5)},
            wasGeneratedBy={"g": made("b", "e2", 4)},
            wasDerivedFrom=[derived("e2", "e1", activity="a", usage="u")],
        ),
        doc(
            used={"u": used("a", "e1", 4)},
            wasGeneratedBy={"g": made("b", "e2", 4)},
            wasDerivedFrom=[derived("e2", "e1", activity="a", usage="u")],
        ),
    ),
    "PT-42": (
        doc(
            wasGeneratedBy=[made("a", "e1", 5), made("b", "e2", 4)],
            wasDerivedFrom=[derived("e2", "e1")],
        ),
        doc(
            wasGeneratedBy=[made("a", "e1", 4), made("b", "e2", 5)],
            wasDerivedFrom=[derived("e2", "e1")],
        ),
    ),
    "PT-43": (
        doc(wasGeneratedBy=[made("a", "e", 5)], wasStartedBy=[start("b", 4, trigger="e")]),
        doc(wasGeneratedBy=[made("a", "e", 5)], wasStartedBy=[start("b", 5, trigger="e")]),
    ),
    "PT-44": (
        doc(wasInvalidatedBy=[made("a", "e", 3)], wasEndedBy=[start("b", 4, trigger="e")]),
        doc(wasInvalidatedBy=[made("a", "e", 4)], wasEndedBy=[start("b", 4, trigger="e")]),
    ),
    "PT-45": (
        doc(
            wasGeneratedBy=[made("a", "e", 3), made("b", "f", 4)],
            specializationOf=[general("e", "f")],
        ),
        doc(
            wasGeneratedBy=[made("a", "e", 4), made("b", "f", 3)],
            specializationOf=[general("e", "f")],
        ),
    ),
    "PT-46": (
        doc(
            wasInvalidatedBy=[made("a", "e", 4), made("b", "f", 3)],
            specializationOf=[general("e", "f")],
        ),
        doc(
            wasInvalidatedBy=[made("a", "e", 3), made("b", "f", 4)],
            specializationOf=[general("e", "f")],
        ),
    ),
    "PT-47": (
        doc(
            activity={"a": span(1, 2)},
            wasGeneratedBy=[made("b", "ag", 3)],
            wasAssociatedWith=[{"activity": "a", "agent": "ag"}],
        ),
        doc(
            activity={"a": span(1, 4)},
            wasGeneratedBy=[made("b", "ag", 3)],
            wasAssociatedWith=[{"activity": "a", "agent": "ag"}],
        ),
    ),
    "PT-48": (
        doc(
            wasGeneratedBy=[made("b", "ag", 3), made("c", "e", 2)],
            wasAttributedTo=[{"entity": "e", "agent": "ag"}],
        ),
        doc(
            wasGeneratedBy=[made("b", "ag", 2), made("c", "e", 2)],
            wasAttributedTo=[{"entity": "e", "agent": "ag"}],
        ),
    ),
    "PT-49": (
        doc(
            wasGeneratedBy=[made("b", "boss", 3)],
            wasInvalidatedBy=[made("c", "hand", 2)],
            actedOnBehalfOf=[{"delegate": "hand", "responsible": "boss"}],
        ),
        doc(
            wasGeneratedBy=[made("b", "boss", 2)],
            wasInvalidatedBy=[made("c", "hand", 2)],
            actedOnBehalfOf=[{"delegate": "hand", "responsible": "boss"}],
        ),
    ),
}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_is_broken_by_what_breaks_it_alone(rule: str) -> None:
    broken, near = CASES[rule]
    found = rules_of(check_data(broken)) - {"JS-01"} | ({rule} & {"JS-01"})
    assert found == {rule}
    # of what is a list in PROV-JSON the schema says that it should not be, which is a warning
    assert rules_of(check_data(near)) <= {"JS-01"}
    assert check_data(near).is_valid
    assert check_data(broken).is_valid == rule.startswith("PT")  # from elsewhere: a warning


# ---- the order of events, constraint by constraint ----------------------------------------------

#: Rings of instants, by the constraints that close them together with the last derivation.
RINGS: dict[str, Data] = {
    # a was triggered by what was derived from what it made of its own usage
    "PC-33 PC-41 PC-43": doc(
        used={"u": used("a", "x")},
        wasStartedBy=[start("a", trigger="t")],
        wasDerivedFrom=[derived("y", "x", activity="a", usage="u"), derived("t", "y")],
    ),
    # the usage that made f is one of e, which was derived from f
    "PC-37 PC-41": doc(
        used={"u": used("a", "e")},
        wasDerivedFrom=[derived("f", "x", activity="a", usage="u"), derived("e", "f")],
    ),
    "PC-34 PC-43": doc(
        wasGeneratedBy=[made("a", "e")],
        wasStartedBy=[start("a", trigger="f")],
        wasDerivedFrom=[derived("f", "e")],
    ),
    "PC-45": doc(specializationOf=[general("e", "f")], wasDerivedFrom=[derived("f", "e")]),
    "PC-48": doc(
        agent="ag",
        wasAttributedTo=[{"entity": "e", "agent": "ag"}],
        wasDerivedFrom=[derived("ag", "e")],
    ),
}


@pytest.mark.parametrize("constraints", RINGS)
def test_a_ring_of_events_is_found_and_its_constraints_are_named(constraints: str) -> None:
    (found,) = [item for item in check_data(RINGS[constraints]).findings if item.rule == "PC-42"]
    assert found.with_rules == tuple(constraints.split())
    open_ring = copy.deepcopy(RINGS[constraints])
    open_ring["wasDerivedFrom"].popitem()  # without it the ring is open
    assert "PC-42" not in rules_of(check_data(open_ring))


def test_a_long_ring_needs_no_recursion() -> None:
    n = 20_000
    chain = [derived(f"e{i + 1}", f"e{i}") for i in range(n)]
    assert check_data(doc(wasDerivedFrom=chain)).is_valid
    report = check_data(doc(wasDerivedFrom=[*chain, derived("e0", f"e{n}")]))
    assert rules_of(report) == {"PC-42"}
    assert len(report.findings) == 1


def test_a_start_in_the_middle_of_events_that_are_simultaneous_is_no_ring() -> None:
    data = doc(
        used={"u": used("a", "e", 1)},
        wasGeneratedBy={"g": made("a", "f", 1)},
        activity={"a": span(1, 1)},
        wasDerivedFrom=[derived("f", "e", activity="a", generation="g", usage="u")],
    )
    assert check_data(data).findings == []


def test_what_is_wrong_often_is_counted() -> None:
    n = MOST_OF_A_RULE + 7
    report = check_data(
        doc(
            entity=" ".join(f"e{i}" for i in range(n)), activity=" ".join(f"e{i}" for i in range(n))
        )
    )
    assert len(report.findings) == MOST_OF_A_RULE
    assert report.totals["PC-55"] == n
    assert report.n_left_out == 7


# ---- records of gpwf ----------------------------------------------------------------------------


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


# ---- the reference ------------------------------------------------------------------------------


def test_every_rule_has_a_case() -> None:
    tested = {*CASES, *DAMAGES.values(), "RD-01", "RD-03"}  # the last two: test_prov_check_input
    assert set(titles()) == tested


def test_every_rule_is_explained() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "prov-rules.md").read_text()
    headings = [line[4:] for line in page.splitlines() if line.startswith("### ")]
    assert headings == [f"{rule}: {title}" for rule, title in {**titles(), **FILE_RULES}.items()]
