"""A PROV document by identifier: attributes as text, relations as pairs.

Made for records of many tasks: attributes stay in the file until they are asked for, relations are
rows of numbers. The provenance library takes tens of kilobytes per activity instead.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gpwf.prov.record_read import Entry, RecordFile, entries_of
from gpwf.prov.vocabulary import NAMESPACES, RECORD_FORMAT

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = ["RELATIONS", "Element", "Link", "RecordIndex"]

_DIGEST = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}\Z")
_KINDS = ("", "entity", "activity", "agent")
_NAMES = ("prov:QUALIFIED_NAME", "prov:QualifiedName", "xsd:QName")
_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()} | {
    "http://www.w3.org/ns/prov#": "prov"
}

#: Section of PROV-JSON → effect and cause; of two names the first that is there counts.
RELATIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "used": ("prov:activity", ("prov:entity",)),
    "wasGeneratedBy": ("prov:entity", ("prov:activity",)),
    "wasInvalidatedBy": ("prov:entity", ("prov:activity",)),
    "wasDerivedFrom": ("prov:generatedEntity", ("prov:usedEntity",)),
    "wasStartedBy": ("prov:activity", ("prov:trigger", "prov:starter")),
    "wasEndedBy": ("prov:activity", ("prov:trigger", "prov:ender")),
    "wasInformedBy": ("prov:informed", ("prov:informant",)),
    "wasAssociatedWith": ("prov:activity", ("prov:agent",)),
    "hadPlan": ("prov:activity", ("prov:plan",)),  # a part of the association
    "wasAttributedTo": ("prov:entity", ("prov:agent",)),
    "wasInfluencedBy": ("prov:influencee", ("prov:influencer",)),
    "actedOnBehalfOf": ("prov:delegate", ("prov:responsible",)),
    "specializationOf": ("prov:specificEntity", ("prov:generalEntity",)),
    "alternateOf": ("prov:alternate1", ("prov:alternate2",)),
    "mentionOf": ("prov:specificEntity", ("prov:generalEntity",)),
    "hadMember": ("prov:collection", ("prov:entity",)),
}
#: Of the pictures that follow the data, which need them not, most of the time goes into these.
_ONLY_IN_FULL = ("wasDerivedFrom",)


@dataclass(slots=True, kw_only=True)
class Element:
    """An entity, activity or agent.

    ``values`` holds the attributes as text; ``gpwf:`` terms go without their prefix.
    """

    id: str
    kind: str
    values: dict[str, list[str]] = field(default_factory=dict)
    start: str = ""
    end: str = ""

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of an attribute."""
        found = self.values.get(name)
        return found[0] if found else default

    def all(self, name: str) -> list[str]:
        """Return the values of an attribute."""
        return self.values.get(name, [])

    @property
    def types(self) -> list[str]:
        """Values of ``prov:type``."""
        return self.values.get("prov:type", [])

    @property
    def label(self) -> str:
        """A name for people."""
        name = self.get("prov:label") or self.id.partition(":")[2] or self.id
        return _DIGEST.sub(r"\1…", name)


class Link(NamedTuple):
    """A relation from the effect to its cause, as PROV has it; the name is that of PROV-JSON."""

    relation: str
    effect: str
    cause: str
    role: str = ""
    origin: str = ""
    time: str = ""


class _Rows:
    """The relations of one kind, as numbers of identifiers and texts."""

    __slots__ = ("cause", "effect", "first", "next", "origin", "role", "time")

    def __init__(self) -> None:
        self.effect, self.cause = array("l"), array("l")
        self.role, self.origin = array("l"), array("l")
        self.time: list[str] = []
        self.first: array[int] | None = None
        self.next = array("l")

    def of(self, effect: int, n_ids: int) -> Iterator[int]:
        """Yield the rows of an effect in the order of the record."""
        if self.first is None or len(self.first) < n_ids:
            self.first = array("l", [-1]) * n_ids
            self.next = array("l", [-1]) * len(self.effect)
            for row in range(len(self.effect) - 1, -1, -1):
                self.next[row] = self.first[self.effect[row]]
                self.first[self.effect[row]] = row
        row = self.first[effect]
        while row >= 0:
            yield row
            row = self.next[row]


class RecordIndex:
    """What a picture needs of a record, without the classes of the library.

    Parameters
    ----------
    document : prov.model.ProvDocument, optional
        A document in memory.
    path : Path, optional
        A PROV-JSON file instead.
    full : bool
        Keep the derivations, which only a full picture shows.

    Attributes
    ----------
    note : str
        What a reader has to know, of a damaged file for one.

    Raises
    ------
    ProvenanceError
        Where the file cannot be read, or is no PROV-JSON.
    """

    def __init__(
        self,
        document: ProvDocument | None = None,
        *,
        path: Path | None = None,
        full: bool = True,
    ) -> None:
        self._numbers: dict[str, int] = {}
        self._kinds = bytearray()
        self._places: list[int | list[dict[str, Any]]] = []
        self._texts: dict[str, int] = {"": 0}
        self._rows: dict[str, _Rows] = {name: _Rows() for name in RELATIONS}
        self._short: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        self._file = RecordFile(path) if path is not None else None
        self._runs: list[str] = []
        self.n_tasks = 0
        skip = () if full else _ONLY_IN_FULL
        for entry in self._file.entries(skip) if self._file else _of_document(document):
            self._take(entry)
        self._words = list(self._texts)
        self._names = list(self._numbers)
        notes = [self._file.note if self._file is not None else "", self._newer()]
        self.note = "; ".join(filter(None, notes))

    @property
    def is_empty(self) -> bool:
        """True where nothing is declared."""
        return not any(self._kinds)

    @property
    def size(self) -> int:
        """Number of elements and relations: about what a full picture has of nodes and arrows."""
        return len(self._kinds) + sum(len(rows.effect) for rows in self._rows.values())

    @property
    def has_tasks(self) -> bool:
        """True for a record of gpwf with at least one task."""
        return bool(self.n_tasks or self.not_run())

    def element(self, name: str) -> Element | None:
        """Return an element, None where none is declared under this name."""
        number = self._numbers.get(name)
        if number is None or not self._kinds[number]:
            return None
        element = Element(id=name, kind=_KINDS[self._kinds[number]])
        place = self._places[number]
        parts = [self._file.at(place)] if self._file and isinstance(place, int) else place
        for part in parts if isinstance(parts, list) else ():
            self._describe(element, part)
        return element

    def of_kind(self, kind: str) -> Iterator[Element]:
        """Yield the elements of a kind in the order of the record."""
        code = _KINDS.index(kind)
        for number, name in enumerate(self._names):
            if self._kinds[number] == code and (element := self.element(name)) is not None:
                yield element

    def names(self, *, declared: bool = True) -> Iterator[str]:
        """Yield the identifiers of the elements, or those that only relations name."""
        for number, name in enumerate(self._names):
            if bool(self._kinds[number]) is declared:
                yield name

    def kind_of(self, name: str) -> str:
        """Return ``entity``, ``activity``, ``agent``, or nothing where it is not declared."""
        number = self._numbers.get(name)
        return _KINDS[self._kinds[number]] if number is not None else ""

    def links(self, relation: str) -> Iterator[Link]:
        """Yield the relations of a kind in the order of the record."""
        rows = self._rows[relation]
        for row in range(len(rows.effect)):
            yield self._link(relation, rows, row)

    def causes(self, relation: str, effect: str) -> list[Link]:
        """Return the relations of an effect."""
        number = self._numbers.get(effect)
        if number is None:
            return []
        rows = self._rows[relation]
        return [self._link(relation, rows, row) for row in rows.of(number, len(self._kinds))]

    def runs(self) -> list[Element]:
        """Return the runs that the record tells of, in its order."""
        return [item for name in self._runs if (item := self.element(name)) is not None]

    def not_run(self) -> list[dict[str, Any]]:
        """Return the tasks that the runs list as not run."""
        entries: list[dict[str, Any]] = []
        for item in self.runs():
            for text in item.all("notRun"):
                try:
                    entry = json.loads(text)
                except (json.JSONDecodeError, RecursionError):
                    continue  # not written by gpwf
                if isinstance(entry, dict) and isinstance(entry.get("task"), str):
                    entries.append(entry)
        return entries

    def _newer(self) -> str:
        """Return what to say of a record that a newer gpwf wrote, nothing of others."""
        for item in self.runs():
            number = item.get("format")
            if number.isdecimal() and len(number) < 10 and int(number) > RECORD_FORMAT:
                return (
                    f"the record is of a newer gpwf (format {number}, this one knows "
                    f"{RECORD_FORMAT}): what is known of it is drawn"
                )
        return ""

    # ---- reading --------------------------------------------------------------------------------

    def _take(self, entry: Entry) -> None:
        section, name, attributes, place = entry
        if section in self._rows:
            self._add_link(section, attributes)
        elif section in _KINDS:
            self._add_element(section, name, attributes, place)
        elif section == "prefix":
            self._prefixes[name] = str(attributes.get("", ""))

    def _add_element(self, kind: str, name: str, attributes: dict[str, Any], place: int) -> None:
        number = self._number(name)
        again = bool(self._kinds[number])
        if not again:
            self._kinds[number] = _KINDS.index(kind)
        if kind == "activity":
            names = {self._term(key) for key in attributes}
            self.n_tasks += "task" in names
            if names & {"runId", "notRun", "count"} and not again:
                self._runs.append(name)
        if place >= 0 and not again:
            self._places[number] = place
            return
        known = self._places[number]
        if isinstance(known, int):
            known = [self._file.at(known)] if self._file and again else []
        self._places[number] = [*known, attributes]

    def _add_link(self, section: str, attributes: dict[str, Any]) -> None:
        if section == "wasAssociatedWith" and attributes.get("prov:plan"):
            self._add_link("hadPlan", attributes)
        effect_key, cause_keys = RELATIONS[section]
        effect = attributes.get(effect_key)
        cause = next((attributes[key] for key in cause_keys if attributes.get(key)), None)
        if not isinstance(effect, str) or cause is None:
            return
        rows = self._rows[section]
        for one in cause if isinstance(cause, list) else [cause]:
            rows.effect.append(self._number(effect))
            rows.cause.append(self._number(_text(one)))
            for column, key in ((rows.role, "prov:role"), (rows.origin, self._gpwf("origin"))):
                value = attributes.get(key)
                text = _text(value[0] if isinstance(value, list) and value else value)
                column.append(self._texts.setdefault(text, len(self._texts)))
            if section == "wasGeneratedBy":
                rows.time.append(str(attributes.get("prov:time") or ""))

    def _number(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._kinds)
            self._kinds.append(0)
            self._places.append(-1)
        return number

    def _link(self, relation: str, rows: _Rows, row: int) -> Link:
        names, words = self._names, self._words
        return Link(
            relation,
            names[rows.effect[row]],
            names[rows.cause[row]],
            words[rows.role[row]],
            words[rows.origin[row]],
            rows.time[row] if rows.time else "",
        )

    def _describe(self, element: Element, attributes: dict[str, Any]) -> None:
        for key, value in attributes.items():
            term = self._term(key)
            if term == "prov:startTime":
                element.start = _text(value)
            elif term == "prov:endTime":
                element.end = _text(value)
            elif isinstance(value, list):
                element.values.setdefault(term, []).extend(map(self._value, value))
            else:
                element.values.setdefault(term, []).append(self._value(value))

    def _value(self, value: Any) -> str:
        text = _text(value)
        if isinstance(value, dict) and value.get("type") in _NAMES:
            short = self._term(text)
            return f"gpwf:{short}" if text != short and ":" not in short else short
        return text

    def _term(self, name: str) -> str:
        """Return a name with the prefixes that gpwf uses, without its own."""
        known = self._short.get(name)
        if known is None:
            prefix, colon, local = name.partition(":")
            prefix = _PREFIXES.get(self._prefixes.get(prefix, ""), prefix) if colon else ""
            known = local if prefix == "gpwf" else f"{prefix}:{local}" if colon else name
            self._short[name] = known
        return known

    def _gpwf(self, term: str) -> str:
        """Return how the document writes a term of ours."""
        for prefix, uri in self._prefixes.items():
            if uri == NAMESPACES["gpwf"]:
                return f"{prefix}:{term}"
        return f"gpwf:{term}"


def _of_document(document: ProvDocument | None) -> Iterator[Entry]:
    if document is None:
        return iter(())
    from prov.serializers.provjson import encode_json_document

    return entries_of(encode_json_document(document))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("$", "")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else json.dumps(value) if isinstance(value, list) else str(value)
