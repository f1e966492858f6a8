"""Every rule is broken by a small document, and only by what breaks it; every rule is explained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from test_prov_damage import DAMAGES

from gpwf.api.record_files import FILE_RULES
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


# ---- the reference ------------------------------------------------------------------------------


def test_every_rule_has_a_case() -> None:
    tested = {*CASES, *DAMAGES.values(), "RD-01", "RD-03"}  # the last two: test_prov_check_input
    assert set(titles()) == tested


def test_every_rule_is_explained() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "prov-rules.md").read_text()
    headings = [line[4:] for line in page.splitlines() if line.startswith("### ")]
    assert headings == [f"{rule}: {title}" for rule, title in {**titles(), **FILE_RULES}.items()]
