"""A record in the terms of the IVOA Provenance Data Model.

The view is W3C PROV-JSON, which the library `prov` reads. Everything that the record says stays,
under the same names; classes of the IVOA model are added as types, and what they have and W3C PROV
has not (descriptions, configuration) as entities and influences, the way in which the library
`voprov` turns its documents into W3C ones. One thing is said differently: a setting or a document
does not count as used by an activity, it configured it.

References
----------
M. Servillat et al. 2020, IVOA Provenance Data Model 1.0, IVOA Recommendation,
https://www.ivoa.net/documents/ProvenanceDM/20200411/; library `voprov`,
https://github.com/sanguillon/voprov, method ``get_w3c`` of its classes
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from gpwf.errors import ProvenanceError
from gpwf.prov.crate_files import media_type
from gpwf.prov.crate_record import Item, index_record
from gpwf.prov.vocabulary import hashed_id, local_id

if TYPE_CHECKING:
    from gpwf.prov.crate_record import ArchivedRecord
    from gpwf.prov.export import Source

__all__ = ["ivoa_document", "write_ivoa"]

_Json = dict[str, Any]


def ivoa_document(data: Mapping[str, Any]) -> _Json:
    """Return a record in the terms of the IVOA Provenance Data Model.

    Parameters
    ----------
    data : mapping
        The record of a run, PROV-JSON; it is left as it is.

    Returns
    -------
    dict
        PROV-JSON.

    Raises
    ------
    ProvenanceError
        Where it is not the record of a run.
    """
    view = _View(index_record(data), data)
    view.add_elements()
    view.add_configuration()
    view.add_flow()
    view.add_people()
    return view.document()


def write_ivoa(source: Source, stream: IO[bytes]) -> None:
    """Write the IVOA view of a record, see `gpwf.prov.formats`.

    Parameters
    ----------
    source : gpwf.prov.export.Source
        What to write.
    stream : binary stream
        Where to.
    """
    from gpwf.prov.export_writers import write_json

    buffer = io.BytesIO()
    write_json(source, buffer)
    try:
        data = json.loads(buffer.getvalue())
    except ValueError as error:
        raise ProvenanceError(f"{source.record} is not PROV-JSON: {error}") from error
    stream.write(json.dumps(ivoa_document(data), indent=1).encode() + b"\n")


class _View:
    """The document as it grows."""

    def __init__(self, record: ArchivedRecord, data: Mapping[str, Any]) -> None:
        self._record = record
        self._data: _Json = {
            section: {name: _copied(item) for name, item in records.items()}
            for section, records in data.items()
        }
        self._described: set[tuple[str, str]] = set()
        self._content: dict[str, list[str]] = {}

    def document(self) -> _Json:
        """Return the whole; empty sections are left out."""
        return {name: records for name, records in self._data.items() if records}

    # ---- elements ---------------------------------------------------------------------------

    def add_elements(self) -> None:
        """Give entities, activities and agents their classes, names and descriptions."""
        for item in self._record.entities.values():
            self._add_entity(item)
        for item in self._record.activities.values():
            self._set("activity", item.id, "Activity", name=item.label, comment=_comment(item))
            for plan in self._plans(item):
                self._describe(item.id, plan)
        for item in self._record.agents.values():
            kind = "SoftwareAgent" if "prov:SoftwareAgent" in item.types else "Person"
            name = str(item.get("name") or item.get("user") or item.label)
            self._set("agent", item.id, "Agent", name=name, type=kind)

    def _add_entity(self, item: Item) -> None:
        types = item.types
        if "voprov:Parameter" in types:
            return  # its class and attributes are those of the record
        if "wfdesc:Process" in types or "wfdesc:Workflow" in types:
            self._set(
                "entity",
                item.id,
                "ActivityDescription",
                name=item.get("name"),
                version=item.get("version"),
                type=item.get("tag") or "workflow",
                description=item.get("description") or item.get("title"),
            )
        elif "Product" in types or "File" in types:
            name = str(item.get("name") or item.label)
            location = item.get("prov:location")
            self._set("entity", item.id, "DatasetEntity", name=name, location=location)
            if "Product" in types:
                self._add_dataset_description(item)
        else:
            self._set("entity", item.id, "Entity", name=item.label)

    def _add_dataset_description(self, product: Item) -> None:
        kind = str(product.get("kind"))
        local = local_id("datasetdesc", kind)
        names = [
            str(self._record.entities[member].get("name"))
            for member in self._record.members.get(product.id, ())
            if member in self._record.entities
        ]
        contents = self._content.setdefault(local, [])
        contents += [kind for kind in dict.fromkeys(map(media_type, names)) if kind not in contents]
        self._new(local, "DatasetDescription", name=kind, type=kind, contentType=list(contents))
        self._describe(product.id, local)

    def _plans(self, activity: Item) -> list[str]:
        """Return what describes an activity: in the model, one description at most."""
        plans = self._record.plans.get(activity.id, [])
        described = [
            *activity.all("wfprov:describedByProcess"),
            *activity.all("wfprov:describedByWorkflow"),
        ]
        return [*plans, *map(str, described)][:1]

    # ---- configuration ----------------------------------------------------------------------

    def add_configuration(self) -> None:
        """Say of settings and documents that they configured an activity."""
        for name, use in list(self._relations("used")):
            entity = self._record.entities.get(_local(use.get("prov:entity", "")))
            role = str(use.get("prov:role", ""))
            if entity is None:
                continue
            if "voprov:Parameter" in entity.types:
                self._configure(name, use, "Parameter")
                self._add_parameter_description(entity, _local(use["prov:activity"]), role)
            elif role == "in.document":
                self._configure(name, use, "ConfigFile")
                self._set("entity", entity.id, "ConfigFile")

    def _configure(self, name: str, use: Mapping[str, Any], kind: str) -> None:
        """Replace a usage by a configuration with the same name and the same notes."""
        notes = {
            key: value for key, value in use.items() if key not in ("prov:activity", "prov:entity")
        }
        del self._data["used"][name]
        self._data.setdefault("wasInfluencedBy", {})[name] = {
            "prov:influencee": use["prov:activity"],
            "prov:influencer": use["prov:entity"],
            "prov:type": _qname("WasConfiguredBy"),
            "voprov:artefactType": kind,
            **notes,
        }

    def _add_parameter_description(self, entity: Item, activity: str, role: str) -> None:
        name = str(entity.get("voprov:name"))
        user = self._record.activities.get(activity)
        for plan in self._plans(user) if user else ():
            local = hashed_id("paramdesc", plan, role)
            self._new(
                local,
                "ParameterDescription",
                name=name,
                valueType=entity.get("voprov:valueType"),
                unit=entity.get("voprov:unit"),
            )
            self._describe(entity.id, local)
            self._relate(local, plan)

    # ---- flow of data -----------------------------------------------------------------------

    def add_flow(self) -> None:
        """Describe usages and generations of data: the roles that a step type has."""
        for section, kind in (("used", "Usage"), ("wasGeneratedBy", "Generation")):
            for _, relation in self._relations(section):
                activity = self._record.activities.get(_local(relation.get("prov:activity", "")))
                role = relation.get("prov:role")
                if activity is None or not activity.is_own or not role:
                    continue
                descriptions = list(self._flow_descriptions(activity, kind, str(role), relation))
                if descriptions:
                    relation["voprov:isDescribedBy"] = (
                        descriptions[0] if len(descriptions) == 1 else descriptions
                    )

    def _flow_descriptions(
        self, activity: Item, kind: str, role: str, relation: Mapping[str, Any]
    ) -> Iterator[_Json]:
        for plan in self._plans(activity):
            local = hashed_id(f"{kind.lower()}desc", plan, role)
            self._new(local, f"{kind}Description", role=role)
            self._relate(local, plan)
            entity = self._record.entities.get(_local(relation["prov:entity"]))
            if entity is not None and "Product" in entity.types:
                self._relate(local, local_id("datasetdesc", str(entity.get("kind"))))
            yield _reference(local)

    def add_people(self) -> None:
        """Say who operated the run: the IVOA model knows no acting on behalf of somebody."""
        person = self._record.person
        if person is not None:
            run = self._record.run.id
            self._data.setdefault("wasAssociatedWith", {})[
                f"gpwf:{hashed_id('ass', run, person.id, 'operator')}"
            ] = {
                "prov:activity": f"gpwf:{run}",
                "prov:agent": f"gpwf:{person.id}",
                "prov:role": "operator",
                "voprov:role": "operator",
            }

    # ---- records ----------------------------------------------------------------------------

    def _set(self, section: str, local: str, kind: str, **attributes: Any) -> None:
        """Add a class and attributes of the model to an element."""
        element = self._data[section][self._name(local)]
        for part in element if isinstance(element, list) else [element]:
            known = part.get("prov:type", [])
            types = known if isinstance(known, list) else [known]
            if _qname(kind) not in types:
                part["prov:type"] = [*types, _qname(kind)] if types else _qname(kind)
            _add(part, attributes)

    def _new(self, local: str, kind: str, **attributes: Any) -> None:
        """Add an entity of the model that the record does not have."""
        entity = self._data.setdefault("entity", {}).setdefault(
            f"gpwf:{local}", {"prov:type": _qname(kind)}
        )
        _add(entity, attributes)

    def _describe(self, local: str, description: str) -> None:
        self._influence("IsDescribedBy", local, description)

    def _relate(self, local: str, other: str) -> None:
        self._influence("IsRelatedTo", local, other)

    def _influence(self, kind: str, local: str, other: str) -> None:
        if (local, other) in self._described:
            return
        self._described.add((local, other))
        self._data.setdefault("wasInfluencedBy", {})[f"gpwf:{hashed_id('inf', local, other)}"] = {
            "prov:influencee": self._name(local),
            "prov:influencer": self._name(other),
            "prov:type": _qname(kind),
        }

    def _name(self, local: str) -> str:
        """Return the identifier of an element; what was ingested keeps its own namespace."""
        sections = ("entity", "activity", "agent")
        is_foreign = any(local in self._data.get(section, {}) for section in sections)
        return local if is_foreign else f"gpwf:{local}"

    def _relations(self, section: str) -> Iterable[tuple[str, _Json]]:
        for name, relation in list(self._data.get(section, {}).items()):
            if isinstance(relation, dict):  # gpwf gives every relation a name of its own
                yield name, relation


def _add(element: _Json, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if value:
            found = value if isinstance(value, list) else [value]
            element[f"voprov:{name}"] = found[0] if len(found) == 1 else found


def _qname(kind: str) -> _Json:
    return {"$": f"voprov:{kind}", "type": "xsd:QName"}


def _reference(local: str) -> _Json:
    return {"$": f"gpwf:{local}", "type": "xsd:QName"}


def _local(name: Any) -> str:
    return str(name).removeprefix("gpwf:")


def _copied(element: Any) -> Any:
    return [dict(part) for part in element] if isinstance(element, list) else _copy(element)


def _copy(element: Any) -> Any:
    return dict(element) if isinstance(element, dict) else element


def _comment(activity: Item) -> str:
    """Return how an activity ended, which the model has no attribute for."""
    parts = [
        str(activity.get("state")),
        str(activity.get("reason") or activity.get("errorMessage")),
    ]
    return ": ".join(filter(None, parts))
