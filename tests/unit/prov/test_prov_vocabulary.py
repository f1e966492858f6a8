"""The vocabulary is used as documented: no term without its heading, none without a use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from prov_nested import nested_scatter

from gpwf.core.plan import Plan
from gpwf.prov.attempt_logs import AttemptLog
from gpwf.prov.document import build_document
from gpwf.prov.document_recorder import DocumentRecorder
from gpwf.prov.export import serialise
from gpwf.prov.json_recorder import JsonRecorder
from gpwf.prov.vocabulary import TERMS, hashed_id, local_id

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "provenance.md"

#: Terms of other documents than the record of a run: verdicts on it, and what other tools wrote.
ELSEWHERE = {
    "ForeignRecord",
    "Reproduction",
    "Verdict",
    "ambiguous",
    "assumedZone",
    "card",
    "deviation",
    "deviationPlace",
    "foreignConfig",
    "foreignFormat",
    "history",
    "matchedBy",
    "reproducedBy",
    "reproduces",
    "softwareDifference",
    "tolerance",
    "verdict",
}


def test_every_term_has_its_entry_in_the_reference() -> None:
    entries = re.findall(r"^`gpwf:(\w+)`\n: ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert entries == list(TERMS)


def test_every_term_is_used() -> None:
    assert set(used_terms()) == set(TERMS) - ELSEWHERE


def used_terms() -> Iterator[str]:
    plan = factory.make_plan()
    scattered = factory.make_plan(copies=2)
    backwards = factory.Journal(plan)
    backwards.start(plan.tasks[0])
    backwards.end(plan.tasks[0], started=factory.at(10), ended=factory.at(7))
    step = replace(plan.steps[0], description="why")
    names = ("callable", "callableSource", "callablePackage")
    code = {**plan.tasks[0].implementation, **dict.fromkeys(names, "x")}
    calls = replace(plan, tasks=(replace(plan.tasks[0], implementation=code), *plan.tasks[1:]))
    cards = {"OBS_ID": [1], "UUID": ["u"]}
    identity = {plan.tasks[0].files[0].digest: {"cards": cards, "digest": "f" * 64}}
    runs: list[tuple[Plan, Any]] = [
        (replace(plan, steps=(step, *plan.steps[1:])), factory.mixed_run(plan)),
        (plan, factory.cached_run(plan)),
        (plan, factory.killed_run(plan)),
        (plan, backwards.finish()),
        (calls, factory.good_run(calls)),
        (scattered, factory.good_run(scattered)),
        (factory.gather_plan(), factory.good_run(factory.gather_plan())),
        (factory.scatter_plan(), factory.good_run(factory.scatter_plan())),
        (nested_scatter(), factory.good_run(nested_scatter())),
        (replace(plan, identities=identity), factory.good_run(plan)),
    ]
    options: dict[str, Any] = {
        "log_digests": {"journal.jsonl": "a" * 64},
        "journal_sum": "b" * 64,
        "attempt_logs": {(factory.identifier("mixed"), "fit", 1): AttemptLog("c" * 64, 1)},
    }
    for one, events in runs:
        document = build_document(one, events, **options)
        for section, records in json.loads(serialise(document)).items():
            if section == "prefix":
                continue
            for item in records.values():
                yield from (key[5:] for key in item if key.startswith("gpwf:"))
                types = item.get("prov:type", [])
                for value in types if isinstance(types, list) else [types]:
                    if value["$"].startswith("gpwf:"):
                        yield value["$"][5:]


@pytest.mark.parametrize("name", ["colour", "gpwf:colour"])
def test_unknown_term_is_refused(name: str, tmp_path: Path) -> None:
    for recorder in (DocumentRecorder(), JsonRecorder(tmp_path)):
        with pytest.raises(KeyError, match="gpwf:colour is not in the vocabulary"):
            recorder.entity("x", (), [(name, "red")])


@pytest.mark.parametrize("part", ["a/b", "1:2", "é", "", "a b", "x.", "-a", "\ud800"])
def test_local_names_are_safe(part: str) -> None:
    name = local_id("user", part)
    assert re.fullmatch(r"user-[A-Za-z0-9_.-]*[A-Za-z0-9_-]", name)
    assert name == local_id("user", part)
    assert name != local_id("user", part + "!")


def test_plain_parts_stay_readable() -> None:
    assert local_id("product", "0b1e-2f", "flux_points") == "product-0b1e-2f-flux_points"


def test_hashed_names_tell_kinds_and_types_apart() -> None:
    names = {hashed_id("param", "a", 1), hashed_id("param", "a", "1"), hashed_id("use", "a", 1)}
    assert len(names) == 3
