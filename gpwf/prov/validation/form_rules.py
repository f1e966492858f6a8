"""The form of PROV-JSON: the JSON Schema of its submission.

The schema is asked only about records that are not plainly of the form that it wants: asking it
about each of a million takes four minutes. A test holds that plain ones are valid under it.

References
----------
PROV-JSON, https://www.w3.org/submissions/prov-json/schema
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import ELEMENTS, FORMAL, Instance
from gpwf.prov.validation.merging import merged_rows
from gpwf.prov.validation.rules import Record, instance_rule, record_rule

__all__ = ["is_plain", "json_schema", "schema_problems"]

#: Arguments without which a relation is none.
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "wasGeneratedBy": ("prov:entity",),
    "used": ("prov:activity", "prov:entity"),  # the schema asks for the entity alone
    "wasInformedBy": ("prov:informed", "prov:informant"),
    "wasStartedBy": ("prov:activity",),
    "wasEndedBy": ("prov:activity",),
    "wasInvalidatedBy": ("prov:entity",),
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "wasAttributedTo": ("prov:entity", "prov:agent"),
    "wasAssociatedWith": ("prov:activity",),
    "actedOnBehalfOf": ("prov:delegate", "prov:responsible"),
    "wasInfluencedBy": ("prov:influencee", "prov:influencer"),
    "alternateOf": ("prov:alternate1", "prov:alternate2"),
    "specializationOf": ("prov:specificEntity", "prov:generalEntity"),
    "mentionOf": ("prov:specificEntity", "prov:generalEntity", "prov:bundle"),
    "hadMember": ("prov:collection", "prov:entity"),
}
_FORMAL_KEYS = {kind: frozenset(f"prov:{name}" for name in names) for kind, names in FORMAL.items()}
_FORMAL_KEYS |= {
    "entity": frozenset(),
    "agent": frozenset(),
    "activity": frozenset(("prov:startTime", "prov:endTime")),
}
_TYPED = frozenset(("$", "type", "lang"))
_NUMBERS = frozenset((bool, int, float))


def is_plain(section: str, value: Any) -> bool:
    """Tell whether a record is of the form that every reader knows.

    Parameters
    ----------
    section : str
        Where it is.
    value : JSON
        The record.
    """
    formal = _FORMAL_KEYS.get(section)
    if type(value) is not dict or formal is None:
        return False
    for name in _REQUIRED.get(section, ()):
        if name not in value:
            return False
    for name, item in value.items():
        if type(item) is str:
            continue
        if name in formal:
            return False
        if type(item) is list:
            if not item or not all(_is_literal(part) for part in item):
                return False
        elif not _is_literal(item):
            return False
    return True


def _is_literal(value: Any) -> bool:
    if type(value) is dict:
        if "$" not in value or not value.keys() <= _TYPED:
            return False
        return all(type(item) is str for item in value.values())
    return type(value) is str or type(value) in _NUMBERS


@lru_cache(maxsize=1)
def json_schema() -> Any:
    """Return the validator of the W3C's JSON Schema; None where it does not come with `prov`."""
    spec = find_spec("prov")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "tests" / "schemas" / "prov-json.schema.json"
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    sections = schema["properties"]
    # a misprint of the schema, and what PROV-LINKS added later
    sections.setdefault("wasEndedBy", sections.pop("wasEndedby", {}))
    sections.setdefault("mentionOf", sections["specializationOf"])
    import jsonschema

    return jsonschema.Draft4Validator(schema)


def schema_problems(section: str, name: str, value: Any) -> list[str]:
    """Return what the schema says of a record."""
    validator = json_schema()
    if validator is None:
        return ["is not of the form that PROV-JSON has for it"]
    errors = validator.iter_errors({section: {name: value}})
    return [f"is not of the form of PROV-JSON: {_shortened(error)}" for error in errors]


def _shortened(error: Any) -> str:
    where = ".".join(str(part) for part in list(error.absolute_path)[2:])
    best = error
    while best.context:  # of several forms, the one that comes nearest
        best = min(best.context, key=lambda item: -len(item.absolute_path))
    text = " ".join(best.message.split())[:160]
    return f"{where}: {text}" if where else text


@record_rule("JS-01", "A record has the form of PROV-JSON")
def form(record: Record) -> Iterator[Problem]:
    """Check one record against the schema."""
    section, name, value, instance = record
    if not is_plain(section, value) and instance.is_json:
        for message in schema_problems(section, name, value):
            yield Problem(name, message)


@record_rule("JS-02", "An identifier has a declared prefix")
def prefix(record: Record) -> Iterator[Problem]:
    """Look for prefixes that nothing declares, in identifiers and names of attributes."""
    section, name, value, instance = record
    known = instance.prefixes
    for text in (name, *value) if isinstance(value, Mapping) else (name,):
        head, colon, _ = text.partition(":")
        if not colon:
            if "default" not in known and section in ELEMENTS and text is name:
                yield Problem(name, "has no prefix, and there is no default namespace")
        elif head not in known and head not in ("prov", "xsd", "_"):
            yield Problem(name, f"has the prefix {head}, which is not declared")
            return


@instance_rule("JS-03", "A relation says what it relates")
def arguments(instance: Instance) -> Iterator[Problem]:
    """Look for the arguments without which a relation is none, in all that is said of it."""
    for kind, required in _REQUIRED.items():
        positions = [FORMAL[kind].index(name.removeprefix("prov:")) + 1 for name in required]
        if kind == "used":
            positions.pop()  # PROV-DM leaves the entity open
        for row in merged_rows(instance, kind):
            for position in positions:
                if row[position] is None:
                    other = next((item for item in row[1:] if isinstance(item, str)), "")
                    argument = FORMAL[kind][position - 1]
                    yield Problem(row[0] or other, f"is a {kind} without {argument}")


@instance_rule("RD-03", "An identifier stands once in its section")
def repeated(instance: Instance) -> Iterator[Problem]:
    """Find keys that a JSON object has twice: readers keep one of them and lose the other."""
    if not instance.is_json:
        return
    listed: set[tuple[str, str]] = instance.scratch.get("listed", set())
    for kind, name, *_ in instance.again:
        if (kind, name) in listed:
            continue
        yield Problem(name, f"stands more than once in {kind}: readers lose all but one")
    for kind, rows in instance.relations.items():
        names = [row[0] for row in rows if row[0] is not None]
        if len(set(names)) < len(names):
            for name, count in Counter(names).items():
                if count > 1 and (kind, name) not in listed:
                    yield Problem(name, f"stands {count} times in {kind}: readers lose all but one")
