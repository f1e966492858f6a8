"""What gpwf says of its own records: names, roles, digests, products, the run.

These rules apply where a document is the record of a run (`Instance.is_run_record`); the mapping
that they hold is `docs/reference/provenance.md`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from gpwf.core.diagnostics import Severity
from gpwf.core.runs import RunState
from gpwf.prov.validation.components import cycles_of
from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import (
    FORMAL,
    REFERENCES,
    Instance,
    plain,
    types_of,
    values_of,
)
from gpwf.prov.validation.rules import Record, instance_rule, is_own_name, record_rule
from gpwf.prov.vocabulary import RECORD_FORMAT, TERMS

__all__ = ["own_run"]

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_DIGESTS = (
    "gpwf:sha256", "gpwf:dataDigest", "gpwf:digest", "gpwf:taskKey", "gpwf:sourceDigest",
    "gpwf:callableSource",
)  # fmt: skip
#: Identifiers that are a digest, with the attribute that says the same.
_NAMED_BY = {
    "gpwf:sha256-": "gpwf:sha256",
    "gpwf:value-": "gpwf:digest",
    "gpwf:plan-sha256-": "gpwf:sha256",
}
_TIMES = ("prov:startTime", "prov:endTime", "prov:time")
_ZONE = re.compile(r"(?:Z|[+-]\d\d:\d\d)\Z")


@instance_rule("GR-01", "Every identifier is declared", own=True, whole=True)
def declared(instance: Instance) -> Iterator[Problem]:
    """Find arguments of relations that nothing declares."""
    known = set().union(*instance.declared.values())
    seen: set[str] = set()
    for kind, arguments in FORMAL.items():
        wanted = [(n, name) for n, name in enumerate(arguments, start=1) if name in REFERENCES]
        for row in instance.relations[kind]:
            for position, argument in wanted:
                name = row[position]
                if name is None or name in known or name in seen:
                    continue
                if is_own_name(name) or any(map(is_own_name, filter(_is_text, row[1:]))):
                    seen.add(name)
                    yield Problem(name, f"is the {argument} of a {kind}, but is declared nowhere")
    for position, kind in ((4, "wasGeneratedBy"), (5, "used")):
        names = {row[0] for row in instance.relations[kind]}
        for row in instance.relations["wasDerivedFrom"]:
            if row[position] is None or row[position] in names:
                continue
            if row[1] is None or is_own_name(row[1]):
                yield Problem(row[position], f"is named by a derivation, but is no {kind}")


@instance_rule("GR-02", "An argument is of the kind that its relation needs", own=True)
def kinds(instance: Instance) -> Iterator[Problem]:
    """Find agents that are entities, plans that are activities and the like."""
    everything = instance.declared
    seen: set[tuple[str, str]] = set()
    for kind, arguments in FORMAL.items():
        for position, argument in enumerate(arguments, start=1):
            wanted = REFERENCES.get(argument)
            if wanted is None:
                continue
            right = everything[wanted]
            for row in instance.relations[kind]:
                name = row[position]
                if name is None or name in right or (name, wanted) in seen:
                    continue
                if row[1] is not None and not is_own_name(row[1]):
                    continue
                others = instance.kinds_of(name)
                if others:
                    seen.add((name, wanted))
                    text = f"is the {argument} of a {kind}, which must be an {wanted}"
                    yield Problem(name, f"{text}, but is declared as an {others[0]}")


@record_rule("GR-03", "A time is a time with a zone", own=True)
def zones(record: Record) -> Iterator[Problem]:
    """Look at the form of times."""
    for key in _TIMES:
        text = record.value.get(key)
        if text is None:
            continue
        try:
            datetime.fromisoformat(text if isinstance(text, str) else "")
        except ValueError:
            yield Problem(record.name, f"{key} {plain(text)!r} is no time")
        else:
            if not _ZONE.search(text):
                yield Problem(record.name, f"{key} {text} has no time zone")


@record_rule("GR-04", "A usage and a generation have a role", "used", "wasGeneratedBy", own=True)
def roles(record: Record) -> Iterator[Problem]:
    """Look for the role."""
    if not plain(record.value.get("prov:role")):
        entity = plain(record.value.get("prov:entity"))
        yield Problem(record.name, f"is a {record.section} of {entity} without a role")


@instance_rule("GR-05", "A product has one generator", own=True, whole=True)
def generators(instance: Instance) -> Iterator[Problem]:
    """Count the generations of every entity."""
    counts = Counter(row[1] for row in instance.relations["wasGeneratedBy"])
    for name, count in counts.items():
        if count > 1 and name and is_own_name(name):
            yield Problem(name, f"has {count} generators")
    for name, types in instance.declared["entity"].items():
        if name not in counts and ("gpwf:Product" in types or "gpwf:Log" in types):
            yield Problem(name, "has no generator: nothing says what made it")


@instance_rule("GR-06", "Nothing comes from itself", own=True)
def rings(instance: Instance) -> Iterator[Problem]:
    """Find rings of derivations, communications, starts and delegations."""
    for kind, first, second in (
        ("wasDerivedFrom", 1, 2),
        ("wasInformedBy", 1, 2),
        ("wasStartedBy", 1, 3),
        ("actedOnBehalfOf", 1, 2),
    ):
        pairs = [(row[first], row[second]) for row in instance.relations[kind]]
        for cycle in cycles_of((one, other) for one, other in pairs if one and other):
            if any(map(is_own_name, cycle)):
                yield Problem(cycle[0], f"{kind} goes in a ring: {' → '.join(cycle)}")


@record_rule("GR-07", "A digest is a SHA-256", "entity", "activity", own=True)
def digests(record: Record) -> Iterator[Problem]:
    """Look at the form of digests."""
    for key in _DIGESTS:
        text = record.value.get(key)
        if text is not None and not (type(text) is str and _DIGEST.match(text)):
            yield Problem(
                record.name, f"{key} is no SHA-256 in 64 hexadecimal digits: {plain(text)[:80]!r}"
            )


@record_rule("GR-08", "An identifier made of a digest agrees with it", "entity", own=True)
def names(record: Record) -> Iterator[Problem]:
    """Compare identifiers with the digests in their records."""
    for head, key in _NAMED_BY.items():
        if record.name.startswith(head):
            rest, text = record.name[len(head) :], record.value.get(key)
            if text is not None and _DIGEST.match(rest) and plain(text) != rest:
                yield Problem(record.name, f"says another digest in {key}: {plain(text)}")


@record_rule("GR-09", "A term is in the vocabulary", severity=Severity.WARNING, own=True)
def terms(record: Record) -> Iterator[Problem]:
    """Look for terms of the vocabulary that this gpwf does not know."""
    for key in record.value:
        if key.startswith("gpwf:") and key[5:] not in TERMS:
            yield Problem(record.name, f"has the attribute {key}, which this gpwf does not know")
    if "prov:type" in record.value:
        for text in types_of(record.value):
            if text.startswith("gpwf:") and text[5:] not in TERMS:
                yield Problem(record.name, f"has the type {text}, which this gpwf does not know")


@instance_rule("GR-10", "The record is of a version that this gpwf knows", own=True)
def version(instance: Instance) -> Iterator[Problem]:
    """Compare the version of the format; a record without one is of before there was one."""
    for name, attributes in instance.runs.items():
        text = plain(attributes.get("gpwf:format"))
        if not text:
            continue
        if not text.isdecimal():
            yield Problem(name, f"gpwf:format is no number: {text[:40]!r}")
        elif int(text[:9]) > RECORD_FORMAT:
            yield Problem(
                name,
                f"the record has format {text[:9]}; this gpwf knows {RECORD_FORMAT}, so findings "
                "GR-… may be wrong: check it with a newer gpwf",
                (),
                Severity.WARNING,
            )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def own_run(instance: Instance) -> str:
    """Return the run that a record tells of; empty where none or several could be meant.

    Earlier runs are there as well, by their names alone: they have no state.
    """
    found = _told(instance)
    return found[0] if len(found) == 1 else ""


def _told(instance: Instance) -> list[str]:
    """Return the runs with a state but for those of included workflows, which are part of one."""
    return [
        name
        for name, attributes in instance.runs.items()
        if "gpwf:state" in attributes and "wfprov:wasPartOfWorkflowRun" not in attributes
    ]


@instance_rule("GR-11", "A record tells of one run, with engine and plan", own=True, whole=True)
def runs(instance: Instance) -> Iterator[Problem]:
    """Look at the activity of the run."""
    told = _told(instance)
    if len(told) != 1:
        subject = told[1] if told else next(iter(instance.runs))
        yield Problem(subject, f"is one of {len(told)} runs with a state in one record, not of 1")
        return
    (run,) = told
    attributes = instance.runs[run]
    state = plain(attributes.get("gpwf:state"))
    if state not in [item.value for item in RunState]:
        yield Problem(run, f"has the state {state!r}, which is none of a run")
    start, end = instance.times.get(run, (None, None))
    if start is None:
        yield Problem(run, "has no start")
    if end is None and state not in (RunState.RUNNING, RunState.INTERRUPTED):
        yield Problem(run, f"is {state}, but has no end")
    rows = [row for row in instance.relations["wasAssociatedWith"] if row[1] == run]
    if not any(row[2] and row[3] for row in rows):
        yield Problem(run, "is associated with no engine, or follows no plan")


@record_rule("GR-12", "A collection says its order as it has its members", "entity", own=True)
def orders(record: Record) -> Iterator[Problem]:
    """Keep the order that collections say; `members` compares it."""
    text = record.value.get("gpwf:order")
    if text is None:
        return
    try:
        found = json.loads(plain(text))
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        instance = record.instance
        instance.scratch.setdefault("orders", {})[instance.name_of(record.name)] = found
    else:
        yield Problem(record.name, "gpwf:order is no JSON list of identifiers")


@instance_rule("GR-12", "A collection says its order as it has its members", own=True, whole=True)
def members(instance: Instance) -> Iterator[Problem]:
    """Compare members with the order, and with the type."""
    orders: Mapping[str, list[str]] = instance.scratch.get("orders", {})
    found: dict[str, set[str]] = {name: set() for name in orders}
    types = instance.declared["entity"]
    for _, collection, member in instance.relations["hadMember"]:
        if collection in found and member:
            found[collection].add(member)
        if not collection or not is_own_name(collection):
            continue
        if "prov:Collection" not in types.get(collection, ("prov:Collection",)):
            yield Problem(collection, f"has the member {member}, but is not a prov:Collection")
    for name, order in orders.items():
        if set(order) != found[name]:
            n = len(set(order) ^ found[name])
            yield Problem(name, f"orders other members than it has: {n} differ")


@instance_rule(
    "GR-13", "Products and files are specialisations of their content", own=True, whole=True
)
def contents(instance: Instance) -> Iterator[Problem]:
    """Look for products and files whose content is not said."""
    known = {row[1] for row in instance.relations["specializationOf"]}
    for name, types in instance.declared["entity"].items():
        if name not in known and ("gpwf:Product" in types or "gpwf:File" in types):
            yield Problem(name, "is a specialisation of no content")


@instance_rule("GR-14", "An invalidation lies inside its activity", own=True)
def invalidations(instance: Instance) -> Iterator[Problem]:
    """Compare times of invalidations, which PROV-CONSTRAINTS leaves open."""
    for _, entity, activity, time in instance.relations["wasInvalidatedBy"]:
        start, end = instance.times.get(activity, (None, None))
        if activity is not None and not is_own_name(activity):
            continue
        if time is not None and ((start and time < start) or (end and time > end)):
            yield Problem(entity, f"is invalidated outside of {activity}")


@record_rule("GR-15", "A parameter has a name, a value and a type", "entity", own=True)
def parameters(record: Record) -> Iterator[Problem]:
    """Look at parameters."""
    if record.name.startswith("gpwf:param-") and "voprov:Parameter" in types_of(record.value):
        for key in ("voprov:name", "prov:value", "voprov:valueType"):
            if not values_of(record.value, key):
                yield Problem(record.name, f"is a parameter without {key}")
