"""Checks of a PROV-JSON text against PROV-CONSTRAINTS, independent of how gpwf writes records.

Only the provenance library is used to read the text. Numbers in brackets are those of the
constraints in https://www.w3.org/TR/2013/REC-prov-constraints-20130430/.
"""

from __future__ import annotations

import importlib.util
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
from prov import model
from prov.constants import PROV_TYPE

Node = tuple[str, str]

_NEEDED_KINDS: dict[type, dict[str, type | tuple[type, ...]]] = {
    # which kind an argument of a relation must have [50]
    model.ProvGeneration: {"entity": model.ProvEntity, "activity": model.ProvActivity},
    model.ProvUsage: {"entity": model.ProvEntity, "activity": model.ProvActivity},
    model.ProvInvalidation: {"entity": model.ProvEntity, "activity": model.ProvActivity},
    model.ProvCommunication: {"informed": model.ProvActivity, "informant": model.ProvActivity},
    model.ProvStart: {
        "activity": model.ProvActivity,
        "trigger": model.ProvEntity,
        "starter": model.ProvActivity,
    },
    model.ProvDerivation: {
        "generatedEntity": model.ProvEntity,
        "usedEntity": model.ProvEntity,
        "activity": model.ProvActivity,
    },
    model.ProvAssociation: {
        "activity": model.ProvActivity,
        "agent": model.ProvAgent,
        "plan": model.ProvEntity,
    },
    model.ProvDelegation: {
        "delegate": model.ProvAgent,
        "responsible": model.ProvAgent,
        "activity": model.ProvActivity,
    },
    model.ProvSpecialization: {
        "specificEntity": model.ProvEntity,
        "generalEntity": model.ProvEntity,
    },
    model.ProvMembership: {"collection": model.ProvEntity, "entity": model.ProvEntity},
}


def schema_problems(text: str) -> list[str]:
    """Check against the JSON Schema of the PROV-JSON submission, where the library ships it."""
    spec = importlib.util.find_spec("prov")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "tests" / "schemas" / "prov-json.schema.json"
    if not path.is_file():
        return []
    validator = jsonschema.Draft4Validator(json.loads(path.read_text()))
    return [f"schema: {error.message[:200]}" for error in validator.iter_errors(json.loads(text))]


def problems(text: str) -> list[str]:
    """Return every problem of a PROV-JSON text; empty where it is valid."""
    found = schema_problems(text)
    if found:  # the library need not be able to read it
        return found
    checker = _Checker(model.ProvDocument.deserialize(content=text, format="json"))
    return list(checker.check())


class _Checker:
    def __init__(self, document: model.ProvDocument) -> None:
        self.records = document.get_records()
        self.elements: dict[str, list[Any]] = defaultdict(list)
        for record in self.records:
            if isinstance(record, model.ProvElement):
                self.elements[str(record.identifier)].append(record)

    def of(self, kind: type) -> list[Any]:
        return [record for record in self.records if type(record) is kind]

    def check(self) -> Iterator[str]:
        yield from self.declared_and_typed()
        yield from self.unique()
        yield from self.start_times()
        yield from self.generations_unique()
        yield from self.derivations_consistent()
        yield from self.impossible()
        yield from self.ordering()
        yield from self.times()

    def declared_and_typed(self) -> Iterator[str]:
        """[50] typing, and every identifier that is used is declared."""
        for record in self.records:
            needed = _NEEDED_KINDS.get(type(record), {})
            for name, kind in needed.items():
                target = _argument(record, name)
                if target is None:
                    continue
                known = self.elements.get(target)
                if not known:
                    yield f"not declared: {target} in {record.get_provn()[:120]}"
                elif not any(isinstance(item, kind) for item in known):
                    yield f"wrong kind: {target} as {name}"
        relations = {str(r.identifier): type(r) for r in self.records if r.is_relation()}
        for record in self.of(model.ProvDerivation):
            for name, kind in (
                ("generation", model.ProvGeneration),
                ("usage", model.ProvUsage),
            ):
                target = _argument(record, name)
                if target is not None and relations.get(target) is not kind:
                    yield f"derivation names no {name}: {target}"
        for record in self.of(model.ProvMembership):
            collection = self.elements[_argument(record, "collection") or ""]
            types = {str(item) for e in collection for item in e.get_attribute(PROV_TYPE)}
            if "prov:Collection" not in types:
                yield f"not a collection: {_argument(record, 'collection')}"

    def unique(self) -> Iterator[str]:
        """[22, 23] one record per identifier; [54, 55] entity, activity and relation disjoint."""
        for name, records in self.elements.items():
            kinds = {type(record) for record in records}
            if {model.ProvEntity, model.ProvActivity} <= kinds:
                yield f"entity and activity at once: {name}"
            if len(records) > len(kinds):
                yield f"declared twice: {name}"
        seen: set[str] = set()
        for record in self.records:
            if record.is_relation() and record.identifier is not None:
                name = str(record.identifier)
                if name in seen:
                    yield f"relation declared twice: {name}"
                if name in self.elements:
                    yield f"relation and element at once: {name}"
                seen.add(name)

    def start_times(self) -> Iterator[str]:
        """[28] the time of a start is the start time of its activity; [26] one start per pair."""
        pairs: set[tuple[str | None, str | None]] = set()
        for record in self.of(model.ProvStart):
            pair = (_argument(record, "activity"), _argument(record, "starter"))
            if pair in pairs:
                yield f"started twice: {pair}"
            pairs.add(pair)
            start, _ = self.interval(pair[0])
            time = _time(record)
            if start is not None and time is not None and start != time:
                yield f"start time differs: {pair[0]}"

    def generations_unique(self) -> Iterator[str]:
        """[24, 25] one generation and one invalidation per entity and activity; and one maker."""
        for kind in (model.ProvGeneration, model.ProvInvalidation):
            makers: dict[str, list[str | None]] = defaultdict(list)
            for record in self.of(kind):
                makers[_argument(record, "entity") or ""].append(_argument(record, "activity"))
            for entity, activities in makers.items():
                if len(activities) > 1:
                    yield f"{kind.__name__} twice: {entity} by {activities}"

    def derivations_consistent(self) -> Iterator[str]:
        """A derivation names the generation and the usage of just its entities and activity."""
        records = {str(r.identifier): r for r in self.records if r.is_relation()}
        for record in self.of(model.ProvDerivation):
            activity = _argument(record, "activity")
            for name, end in (("generation", "generatedEntity"), ("usage", "usedEntity")):
                step = records.get(_argument(record, name) or "")
                if step is None:
                    continue
                if _argument(step, "entity") != _argument(record, end):
                    yield f"derivation: {name} of another entity: {record.identifier}"
                if _argument(step, "activity") != activity:
                    yield f"derivation: {name} of another activity: {record.identifier}"

    def impossible(self) -> Iterator[str]:
        """[52] nothing specialises itself, also over others; [51] usage and generation."""
        edges: dict[str, set[str]] = defaultdict(set)
        for record in self.of(model.ProvSpecialization):
            specific, general = (
                _argument(record, "specificEntity"),
                _argument(record, "generalEntity"),
            )
            edges[specific or ""].add(general or "")
        for name in _cyclic(edges):
            yield f"specialises itself: {name}"
        for record in self.of(model.ProvDerivation):
            if _argument(record, "generatedEntity") == _argument(record, "usedEntity"):
                yield f"derived from itself: {record.identifier}"

    def ordering(self) -> Iterator[str]:
        """[30-49] no event precedes itself strictly.

        Events are nodes; edges say "not after". A cycle is impossible where one of its edges is
        strict, as those of derivation [42] and specialisation of generations are taken here.
        """
        loose: dict[Node, set[Node]] = defaultdict(set)
        strict: set[tuple[Node, Node]] = set()

        def before(first: Node, second: Node, *, strictly: bool = False) -> None:
            loose[first].add(second)
            if strictly:
                strict.add((first, second))

        generated = {_argument(r, "entity") for r in self.of(model.ProvGeneration)}
        for name, records in self.elements.items():
            if isinstance(records[0], model.ProvActivity):
                before(("start", name), ("end", name))
        for record in self.of(model.ProvUsage):
            activity, entity = _argument(record, "activity") or "", _argument(record, "entity")
            usage = ("use", str(record.identifier))
            before(("start", activity), usage)  # [33]
            before(usage, ("end", activity))
            if entity in generated:
                before(("made", entity or ""), usage)  # [37]
        for record in self.of(model.ProvGeneration):
            activity, entity = _argument(record, "activity") or "", _argument(record, "entity")
            before(("start", activity), ("made", entity or ""))  # [34]
            before(("made", entity or ""), ("end", activity))
        for record in self.of(model.ProvInvalidation):
            entity = _argument(record, "entity") or ""
            before(("made", entity), ("gone", entity))  # [36]
            before(("gone", entity), ("end", _argument(record, "activity") or ""))
        for record in self.of(model.ProvCommunication):  # [35]
            informant, informed = _argument(record, "informant"), _argument(record, "informed")
            before(("start", informant or ""), ("end", informed or ""))
        for record in self.of(model.ProvStart):  # the starter is at work when it starts another
            starter, activity = _argument(record, "starter"), _argument(record, "activity")
            if starter is not None:
                before(("start", starter), ("start", activity or ""))
        for record in self.of(model.ProvDerivation):
            new, old = _argument(record, "generatedEntity"), _argument(record, "usedEntity")
            before(("made", old or ""), ("made", new or ""), strictly=True)  # [42]
            usage = _argument(record, "usage")
            if usage is not None:
                before(("use", usage), ("made", new or ""))  # [41]
        for record in self.of(model.ProvSpecialization):  # [43]
            general, specific = (
                _argument(record, "generalEntity"),
                _argument(record, "specificEntity"),
            )
            before(("made", general or ""), ("made", specific or ""))
        for component in _components(loose):
            for first, second in strict:
                if first in component and second in component:
                    yield f"precedes itself: {first} and {second}"
        # Communication in a ring says that every one waits for another one.
        informed: dict[str, set[str]] = defaultdict(set)
        for record in self.of(model.ProvCommunication):
            informed[_argument(record, "informant") or ""].add(_argument(record, "informed") or "")
        for name in _cyclic(informed):
            yield f"informs itself: {name}"

    def times(self) -> Iterator[str]:
        """Times that are given agree with the order of the events; all carry a zone."""
        made: dict[str | None, datetime] = {}
        for record in self.of(model.ProvActivity):
            start, end = self.interval(str(record.identifier))
            if start is not None and end is not None and end < start:
                yield f"ends before it starts: {record.identifier}"
            for time in (start, end):
                if time is not None and time.tzinfo is None:
                    yield f"time without zone: {record.identifier}"
        for kind in (model.ProvGeneration, model.ProvUsage, model.ProvInvalidation):
            for record in self.of(kind):
                time = _time(record)
                start, end = self.interval(_argument(record, "activity"))
                if time is None:
                    continue
                if time.tzinfo is None:
                    yield f"time without zone: {record.identifier}"
                elif (start is not None and time < start) or (end is not None and time > end):
                    yield f"{kind.__name__} outside its activity: {record.identifier}"
                if kind is model.ProvGeneration:
                    made[_argument(record, "entity")] = time
        for kind in (model.ProvUsage, model.ProvInvalidation):
            for record in self.of(kind):
                time, born = _time(record), made.get(_argument(record, "entity"))
                if time is not None and born is not None and time < born:
                    yield f"{kind.__name__} before the entity was made: {record.identifier}"
        for record in self.of(model.ProvCommunication):
            start, _ = self.interval(_argument(record, "informant"))
            _, end = self.interval(_argument(record, "informed"))
            if start is not None and end is not None and end < start:
                yield f"informed before its informant began: {record.identifier}"
        for record in self.of(model.ProvStart):
            start, _ = self.interval(_argument(record, "starter"))
            time = _time(record)
            if start is not None and time is not None and time < start:
                yield f"started before its starter: {record.identifier}"

    def interval(self, activity: str | None) -> tuple[datetime | None, datetime | None]:
        for record in self.elements.get(activity or "", ()):
            if isinstance(record, model.ProvActivity):
                return record.get_startTime(), record.get_endTime()
        return None, None


def _argument(record: Any, name: str) -> str | None:
    for attribute, value in record.formal_attributes:
        if attribute.localpart == name and value is not None:
            return str(value)
    return None


def _time(record: Any) -> datetime | None:
    for attribute, value in record.formal_attributes:
        if attribute.localpart == "time":
            return value
    return None


def _cyclic(edges: dict[str, set[str]]) -> set[str]:
    found = {name for name, targets in edges.items() if name in targets}
    for component in _components(edges):
        if len(component) > 1:
            found |= component
    return found


def _components(edges: dict[Any, set[Any]]) -> Iterator[set[Any]]:
    """Yield the strongly connected components (Kosaraju, without recursion)."""
    nodes = set(edges) | {target for targets in edges.values() for target in targets}
    order: list[Any] = []
    seen: set[Any] = set()
    for root in nodes:
        stack = [(root, iter(edges.get(root, ())))] if root not in seen else []
        seen.add(root)
        while stack:
            node, targets = stack[-1]
            following = next((item for item in targets if item not in seen), None)
            if following is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(edges.get(following, ()))))
    back: dict[Any, set[Any]] = defaultdict(set)
    for node, targets in edges.items():
        for target in targets:
            back[target].add(node)
    seen.clear()
    for root in reversed(order):
        if root in seen:
            continue
        component, todo = set(), [root]
        seen.add(root)
        while todo:
            node = todo.pop()
            component.add(node)
            fresh = back.get(node, set()) - seen
            seen |= fresh
            todo += fresh
        yield component
