"""The statements of one PROV instance (a document, or a bundle in it), small enough for many.

A relation is a tuple of its identifier and its formal arguments; of elements there is what rules
ask for. Texts that come again are one object. Attributes are looked at while they are read
(`gpwf.prov.validation.rules.record_rule`) and not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

__all__ = [
    "ELEMENTS",
    "FORMAL",
    "REFERENCES",
    "Attempt",
    "Instance",
    "moment_of",
    "plain",
    "reference",
    "types_of",
    "values_of",
]

ELEMENTS = ("entity", "activity", "agent")

#: Formal arguments of the relations in their order (PROV-DM, table 5), ``time`` last where it is.
FORMAL: Mapping[str, tuple[str, ...]] = {
    "wasGeneratedBy": ("entity", "activity", "time"),
    "used": ("activity", "entity", "time"),
    "wasInformedBy": ("informed", "informant"),
    "wasStartedBy": ("activity", "trigger", "starter", "time"),
    "wasEndedBy": ("activity", "trigger", "ender", "time"),
    "wasInvalidatedBy": ("entity", "activity", "time"),
    "wasDerivedFrom": ("generatedEntity", "usedEntity", "activity", "generation", "usage"),
    "wasAttributedTo": ("entity", "agent"),
    "wasAssociatedWith": ("activity", "agent", "plan"),
    "actedOnBehalfOf": ("delegate", "responsible", "activity"),
    "wasInfluencedBy": ("influencee", "influencer"),
    "alternateOf": ("alternate1", "alternate2"),
    "specializationOf": ("specificEntity", "generalEntity"),
    "mentionOf": ("specificEntity", "generalEntity", "bundle"),
    "hadMember": ("collection", "entity"),
}

#: Kind of element that an argument is (PROV-CONSTRAINTS, constraint 50); None for any.
REFERENCES: Mapping[str, str | None] = {
    "entity": "entity",
    "activity": "activity",
    "informed": "activity",
    "informant": "activity",
    "trigger": "entity",
    "starter": "activity",
    "ender": "activity",
    "generatedEntity": "entity",
    "usedEntity": "entity",
    "agent": "agent",
    "plan": "entity",
    "delegate": "agent",
    "responsible": "agent",
    "influencee": None,
    "influencer": None,
    "alternate1": "entity",
    "alternate2": "entity",
    "specificEntity": "entity",
    "generalEntity": "entity",
    "collection": "entity",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Attempt(NamedTuple):
    """What rules about runs ask of a process run."""

    name: str
    state: str
    task: str
    number: int | None
    retry_of: str
    runs: tuple[str, ...]  # the one of the record, and those within it
    n_names: int
    is_hit: bool
    is_own: bool
    will_retry: bool


def moment_of(text: Any) -> int | None:
    """Return a time as microseconds since 1970, None where it is no time.

    A time without a zone is taken as UTC, which is not said: `GR-03` says it of our own records.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def plain(value: Any) -> str:
    """Return the text of an attribute's value."""
    if isinstance(value, Mapping):
        value = value.get("$", "")
    return value if isinstance(value, str) else ("" if value is None else str(value))


def values_of(attributes: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts of all values of an attribute."""
    value = attributes.get(name)
    if value is None:
        return []
    return [plain(item) for item in value] if isinstance(value, list) else [plain(value)]


def reference(value: Any) -> str | None:
    """Return the identifier that a formal argument is, None where it is absent."""
    if isinstance(value, Mapping):
        value = value.get("$")
    return value if isinstance(value, str) and value else None


def types_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ``prov:type`` of a record."""
    return tuple(values_of(attributes, "prov:type"))


class Instance:
    """Statements as they are read.

    Attributes
    ----------
    name : str
        Identifier of the bundle, empty for the document.
    declared : dict of str to dict
        Types of the elements by identifier, per kind of element.
    times : dict
        Start and end of the activities, in microseconds since 1970.
    relations : dict of str to list of tuple
        ``(identifier or None, *formal arguments)`` per kind; times as numbers.
    again : list
        Elements that were declared more than once: kind, identifier, start and end.
    runs : dict
        Attributes of the activities that are workflow runs.
    attempts : list of Attempt
        Process runs, in the order of the file.
    scratch : dict
        What rules prepare for one another.
    is_json : bool
        False for what was converted to PROV-JSON only to be checked.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.declared: dict[str, dict[str, tuple[str, ...]]] = {kind: {} for kind in ELEMENTS}
        self.times: dict[str, tuple[int | None, int | None]] = {}
        self.relations: dict[str, list[tuple[Any, ...]]] = {kind: [] for kind in FORMAL}
        self.again: list[tuple[str, str, int | None, int | None]] = []
        self.runs: dict[str, Mapping[str, Any]] = {}
        self.attempts: list[Attempt] = []
        self.prefixes: dict[str, str] = {}
        self.scratch: dict[Any, Any] = {}
        self.is_json = True
        self._renamed: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._moments: dict[str, int | None] = {}
        self._types: dict[tuple[str, ...], tuple[str, ...]] = {}

    @property
    def is_run_record(self) -> bool:
        """True for what gpwf recorded of a run."""
        return self.prefixes.get("gpwf") == "urn:gpwf:" and any(
            "gpwf:runId" in attributes for attributes in self.runs.values()
        )

    def declare_prefixes(self, prefixes: Mapping[str, Any]) -> None:
        """Take prefixes in; two for one namespace become one."""
        first: dict[str, str] = {uri: prefix for prefix, uri in self.prefixes.items()}
        for prefix, uri in prefixes.items():
            if not isinstance(uri, str):
                continue
            self.prefixes[prefix] = uri
            if first.setdefault(uri, prefix) != prefix:
                self._renamed[prefix] = first[uri]

    def name_of(self, text: str) -> str:
        """Return an identifier as the one object that stands for it."""
        known = self._texts.get(text)
        if known is None:
            known = text
            if self._renamed:
                prefix, colon, local = text.partition(":")
                if colon and prefix in self._renamed:
                    known = f"{self._renamed[prefix]}:{local}"
            self._texts[text] = known = self._texts.setdefault(known, known)
        return known

    def _moment(self, value: Any) -> int | None:
        text = plain(value)
        if text not in self._moments:
            if len(self._moments) > 4096:
                self._moments.clear()
            self._moments[text] = moment_of(text)
        return self._moments[text]

    def add(self, kind: str, name: str, attributes: Mapping[str, Any]) -> None:
        """Take a record in.

        Parameters
        ----------
        kind : str
            One of `ELEMENTS` or of `FORMAL`; another one is passed over.
        name : str
            Its identifier; a blank one is none.
        attributes : mapping
            As in PROV-JSON.
        """
        arguments = FORMAL.get(kind)
        if arguments is not None:
            self._add_relation(kind, arguments, name, attributes)
        elif kind in ELEMENTS:
            self._add_element(kind, self.name_of(name), attributes)

    def _add_relation(
        self, kind: str, arguments: tuple[str, ...], name: str, attributes: Mapping[str, Any]
    ) -> None:
        values: list[Any] = [None if name.startswith("_:") else self.name_of(name)]
        get, known = attributes.get, self._texts
        for argument in arguments:
            value = get(f"prov:{argument}")
            if value is None:
                values.append(None)
            elif argument == "time":
                values.append(self._moment(value))
            else:
                text = value if type(value) is str else reference(value)
                found = known.get(text) if text else None
                values.append(found or (self.name_of(text) if text else None))
        self.relations[kind].append(tuple(values))

    def _add_element(self, kind: str, name: str, attributes: Mapping[str, Any]) -> None:
        types = types_of(attributes)
        types = self._types.setdefault(types, types)
        declared = self.declared[kind]
        start = end = None
        if kind == "activity":
            start = self._moment(attributes.get("prov:startTime"))
            end = self._moment(attributes.get("prov:endTime"))
        if name in declared:
            self.again.append((kind, name, start, end))
            if kind == "activity":  # what one declaration leaves open another one says
                known = self.times[name]
                self.times[name] = (
                    start if known[0] is None else known[0],
                    end if known[1] is None else known[1],
                )
            types = tuple(dict.fromkeys((*declared[name], *types)))
        elif kind == "activity":
            self.times[name] = start, end
            if "wfprov:WorkflowRun" in types:
                self.runs[name] = attributes
            elif "wfprov:ProcessRun" in types:
                self.attempts.append(_attempt(name, types, attributes))
        declared[name] = types

    def kinds_of(self, name: str) -> list[str]:
        """Return the kinds of element that an identifier is declared as."""
        return [kind for kind in ELEMENTS if name in self.declared[kind]]


def _attempt(name: str, types: tuple[str, ...], attributes: Mapping[str, Any]) -> Attempt:
    number = plain(attributes.get("gpwf:attempt"))
    return Attempt(
        name=name,
        state=plain(attributes.get("gpwf:state")),
        task=plain(attributes.get("gpwf:task")),
        number=int(number) if number.isdecimal() and len(number) < 10 else None,
        retry_of=plain(attributes.get("gpwf:retryOf")),
        runs=tuple(values_of(attributes, "wfprov:wasPartOfWorkflowRun")),
        n_names=1 + len(values_of(attributes, "gpwf:otherName")),
        is_hit="gpwf:CacheHit" in types,
        is_own="gpwf:task" in attributes,
        will_retry=plain(attributes.get("gpwf:willRetry")).lower() == "true",
    )
