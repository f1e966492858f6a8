"""A PROV-JSON record by what the exports for archives ask of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from gpwf.errors import ProvenanceError

__all__ = ["ArchivedRecord", "Item", "Made", "Use", "index_record", "read_archived"]

_HINT = "expected the record of a run; `gpwf prov export` writes it again"


@dataclass(frozen=True, slots=True)
class Item:
    """An entity, activity or agent.

    Parameters
    ----------
    id : str
        Its name without the prefix ``gpwf:``.
    attributes : mapping
        As in PROV-JSON.
    """

    id: str
    attributes: Mapping[str, Any]

    @property
    def is_own(self) -> bool:
        """False for what another tool recorded, which has a namespace of its own."""
        return ":" not in self.id

    def all(self, name: str) -> list[Any]:
        """Return the values of an attribute; a name without prefix is one of ``gpwf:``."""
        found = self.attributes.get(name if ":" in name else f"gpwf:{name}")
        if found is None:
            return []
        return [_plain(value) for value in (found if isinstance(found, list) else [found])]

    def get(self, name: str, default: Any = "") -> Any:
        """Return the first value of an attribute."""
        found = self.all(name)
        return found[0] if found else default

    @property
    def types(self) -> list[str]:
        """Types, those of ``gpwf:`` without their prefix."""
        return [str(value) for value in self.all("prov:type")]

    @property
    def label(self) -> str:
        """A name for people."""
        return str(self.get("prov:label") or self.id)

    @property
    def start(self) -> datetime | None:
        """When an activity began."""
        return _moment(self.attributes.get("prov:startTime"))

    @property
    def end(self) -> datetime | None:
        """When an activity ended."""
        return _moment(self.attributes.get("prov:endTime"))


class Use(NamedTuple):
    """That an activity used an entity."""

    entity: str
    role: str


class Made(NamedTuple):
    """That an activity generated an entity."""

    entity: str
    role: str


@dataclass(slots=True)
class ArchivedRecord:
    """The record of one run.

    Attributes
    ----------
    entities, activities, agents : dict of str to Item
        By name, in the order of the record.
    uses, made : dict of str to list
        What an activity used and generated.
    members : dict of str to list of str
        Members of collections: of a product, its files.
    plans : dict of str to list of str
        Steps that an attempt carried out.
    informants : dict of str to list of str
        Activities whose results an activity took.
    makers : dict of str to str
        The activity that generated an entity.
    variants : dict of str to list of str
        What is a specialisation of an entity: the products with a value.
    contents : dict of str to str
        What an entity is a specialisation of: the bytes of a file.
    invalid : set of str
        Entities that are no longer valid.
    run : Item
        The run that the record is of.
    """

    entities: dict[str, Item] = field(default_factory=dict)
    activities: dict[str, Item] = field(default_factory=dict)
    agents: dict[str, Item] = field(default_factory=dict)
    uses: dict[str, list[Use]] = field(default_factory=lambda: defaultdict(list))
    made: dict[str, list[Made]] = field(default_factory=lambda: defaultdict(list))
    members: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    plans: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    informants: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    makers: dict[str, str] = field(default_factory=dict)
    variants: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    contents: dict[str, str] = field(default_factory=dict)
    invalid: set[str] = field(default_factory=set)
    run: Item = field(default_factory=lambda: Item("", {}))

    def attempts(self) -> Iterator[Item]:
        """Yield the attempts, those of earlier runs too whose results were taken."""
        for item in self.activities.values():
            if "wfprov:ProcessRun" in item.types and "CacheHit" not in item.types:
                yield item

    def subruns(self) -> Iterator[Item]:
        """Yield the runs within the run: of an included workflow at one place of its scatter."""
        return (item for item in self.activities.values() if item.id.startswith("subrun-"))

    def parts_of(self, run: str) -> Iterator[Item]:
        """Yield the attempts, and uses of cached results, that are part of a run."""
        for item in self.activities.values():
            if run in item.all("wfprov:wasPartOfWorkflowRun") and "wfprov:ProcessRun" in item.types:
                yield item

    def steps(self) -> Iterator[Item]:
        """Yield the declared steps, those that no task carried out too."""
        return (item for item in self.of_type("wfdesc:Process") if not _is_workflow(item))

    def included(self) -> dict[str, Item]:
        """Return the included workflows by the name of the step that includes them."""
        found = (item for item in self.of_type("wfdesc:Process") if _is_workflow(item))
        return {str(item.get("name")): item for item in found}

    @property
    def workflow(self) -> Item:
        """The workflow of the run, as it was given."""
        name = str(self.run.get("wfprov:describedByWorkflow"))
        return self.entities.get(name, Item(name, {}))

    def cache_hits(self) -> Iterator[Item]:
        """Yield the activities that took a result from the store."""
        return (item for item in self.activities.values() if "CacheHit" in item.types)

    def of_type(self, name: str) -> Iterator[Item]:
        """Yield the entities of a type."""
        return (item for item in self.entities.values() if name in item.types)

    @property
    def person(self) -> Item | None:
        """Who started the run, where the record names somebody."""
        return next(
            (item for item in self.agents.values() if item.is_own and "prov:Person" in item.types),
            None,
        )

    @property
    def engine(self) -> Item | None:
        """The software that carried the run out."""
        found = (
            item
            for item in self.agents.values()
            if item.is_own and "prov:SoftwareAgent" in item.types
        )
        return next(found, None)

    @property
    def environment(self) -> Item | None:
        """Software and machine of the run."""
        return next(self.of_type("Environment"), None)


def read_archived(path: Path) -> ArchivedRecord:
    """Read the record of a run.

    Parameters
    ----------
    path : Path
        A PROV-JSON file that gpwf wrote.

    Raises
    ------
    ProvenanceError
        Where it cannot be read, or is not the record of a run.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ProvenanceError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(f"{path} is not JSON: {error}", hint=_HINT) from error
    return index_record(data, str(path))


def index_record(data: Any, name: str = "the record") -> ArchivedRecord:
    """Return the record of a run from PROV-JSON.

    Parameters
    ----------
    data : plain data
        PROV-JSON.
    name : str
        Where it is from, for messages.

    Raises
    ------
    ProvenanceError
        Where it is not the record of a run.
    """
    if not isinstance(data, dict):
        raise ProvenanceError(f"{name} is not PROV-JSON", hint=_HINT)
    try:
        record = _index(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProvenanceError(f"{name} is not valid PROV-JSON: {error!r}", hint=_HINT) from error
    if not record.run.id:
        raise ProvenanceError(
            f"{name} is not the record of a gpwf run: it has no run of a workflow", hint=_HINT
        )
    return record


def _index(data: Mapping[str, Any]) -> ArchivedRecord:
    record = ArchivedRecord()
    for section, target in (
        ("entity", record.entities),
        ("activity", record.activities),
        ("agent", record.agents),
    ):
        for name, attributes in data.get(section, {}).items():
            local = _local(name)
            target[local] = Item(local, _merged(attributes))
    for item in _relations(data, "used"):
        use = Use(_local(item.get("prov:entity", "")), str(_plain(item.get("prov:role", ""))))
        if use.entity in record.entities:  # a damaged record may lack it
            record.uses[_local(item["prov:activity"])].append(use)
    for item in _relations(data, "wasGeneratedBy"):
        entity, activity = _local(item["prov:entity"]), _local(item.get("prov:activity", ""))
        if activity and entity in record.entities:
            record.made[activity].append(Made(entity, str(_plain(item.get("prov:role", "")))))
            record.makers.setdefault(entity, activity)
    for item in _relations(data, "hadMember"):
        members = item["prov:entity"]
        record.members[_local(item["prov:collection"])].extend(
            _local(name) for name in (members if isinstance(members, list) else [members])
        )
    for item in _relations(data, "wasAssociatedWith"):
        if "prov:plan" in item:
            record.plans[_local(item["prov:activity"])].append(_local(item["prov:plan"]))
    for item in _relations(data, "wasInformedBy"):
        record.informants[_local(item["prov:informed"])].append(_local(item["prov:informant"]))
    for item in _relations(data, "specializationOf"):
        general, specific = _local(item["prov:generalEntity"]), _local(item["prov:specificEntity"])
        record.variants[general].append(specific)
        record.contents[specific] = general
    for item in _relations(data, "wasInvalidatedBy"):
        record.invalid.add(_local(item["prov:entity"]))
    for found in record.activities.values():
        # an earlier run, of which only the name is known, has no workflow
        if found.id.startswith("run-") and found.get("wfprov:describedByWorkflow"):
            record.run = found
    return record


def _is_workflow(item: Item) -> bool:
    return "wfdesc:Workflow" in item.types


def _relations(data: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    for value in data.get(name, {}).values():
        yield from value if isinstance(value, list) else (value,)


def _merged(attributes: Any) -> Mapping[str, Any]:
    """Return the attributes of one record; of several with one name, all of them."""
    if isinstance(attributes, dict):
        return attributes
    merged: dict[str, Any] = {}
    for part in attributes:
        merged |= part
    return merged


def _plain(value: Any) -> Any:
    """Return a value without its notation in PROV-JSON."""
    if not isinstance(value, Mapping):
        return value
    text, kind = value.get("$"), str(value.get("type", "")).rpartition(":")[2]
    if kind in ("int", "long", "integer", "short", "unsignedInt"):
        return int(str(text))
    if kind in ("double", "float", "decimal"):
        return float(str(text))
    if kind in ("QName", "QUALIFIED_NAME"):
        return _local(str(text))
    return text


def _local(name: str) -> str:
    return name.removeprefix("gpwf:")


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text or ""))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
