"""A PROV document by identifier: attributes as text, relations as pairs."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpwf.prov.vocabulary import NAMESPACES

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = ["Element", "Link", "RecordIndex"]

_DIGEST = re.compile(r"([0-9a-f]{12})[0-9a-f]{52}\Z")
_PREFIXES = {uri: "" if prefix == "gpwf" else f"{prefix}:" for prefix, uri in NAMESPACES.items()}


@dataclass(slots=True, kw_only=True)
class Element:
    """An entity, activity or agent.

    ``values`` holds the attributes as text; ``gpwf:`` terms go without their prefix.
    """

    id: str
    kind: str
    values: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    start: str = ""
    end: str = ""

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of an attribute."""
        return self.values[name][0] if self.values.get(name) else default

    @property
    def types(self) -> list[str]:
        """Values of ``prov:type``."""
        return self.values.get("prov:type", [])

    @property
    def label(self) -> str:
        """A name for people."""
        name = self.get("prov:label") or self.id.partition(":")[2] or self.id
        return _DIGEST.sub(r"\1…", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A relation from the effect to its cause, as PROV has it."""

    relation: str
    effect: str
    cause: str
    role: str = ""
    origin: str = ""
    time: str = ""


class RecordIndex:
    """What a picture needs of a document, without the classes of the library."""

    def __init__(self, document: ProvDocument) -> None:
        from prov import model

        self.elements: dict[str, Element] = {}
        self.links: list[Link] = []
        self._of_effect: dict[tuple[str, str], list[Link]] = defaultdict(list)
        for record in document.flattened().get_records():
            if record.is_element():
                kind = {model.ProvActivity: "activity", model.ProvAgent: "agent"}.get(
                    type(record), "entity"
                )
                self._add_element(record, kind)
            else:
                self._add_link(record)

    @property
    def has_tasks(self) -> bool:
        """True for a record of gpwf with at least one task."""
        return any(item.get("task") or item.values.get("notRun") for item in self.elements.values())

    def of_kind(self, kind: str) -> list[Element]:
        """Return the elements of a kind in the order of the record."""
        return [item for item in self.elements.values() if item.kind == kind]

    def causes(self, relation: str, effect: str) -> list[Link]:
        """Return the relations of an effect."""
        return self._of_effect.get((relation, effect), [])

    def not_run(self) -> list[dict[str, Any]]:
        """Return the tasks that the runs list as not run."""
        entries: list[dict[str, Any]] = []
        for item in self.of_kind("activity"):
            for text in item.values.get("notRun", ()):
                try:
                    entry = json.loads(text)
                except json.JSONDecodeError:
                    continue  # not written by gpwf
                if isinstance(entry, dict) and isinstance(entry.get("task"), str):
                    entries.append(entry)
        return entries

    def _add_element(self, record: Any, kind: str) -> None:
        name = str(record.identifier)
        element = self.elements.setdefault(name, Element(id=name, kind=kind))
        for attribute, value in record.attributes:
            key = _short(attribute)
            if key == "prov:startTime":
                element.start = value.isoformat()
            elif key == "prov:endTime":
                element.end = value.isoformat()
            else:
                element.values[key].append(_text(value))

    def _add_link(self, record: Any) -> None:
        arguments = [value for _, value in record.formal_attributes]
        if len(arguments) < 2 or arguments[0] is None or arguments[1] is None:
            # A start without a trigger is caused by its starter, the third argument.
            if len(arguments) < 3 or arguments[0] is None or arguments[2] is None:
                return
            arguments[1] = arguments[2]
        extra = {_short(name): _text(value) for name, value in record.extra_attributes}
        times = [value for value in arguments[2:] if hasattr(value, "isoformat")]
        link = Link(
            relation=record.get_type().localpart,
            effect=str(arguments[0]),
            cause=str(arguments[1]),
            role=extra.get("prov:role", ""),
            origin=extra.get("origin", ""),
            time=times[0].isoformat() if times else "",
        )
        self._keep(link)
        if link.relation == "Association" and len(arguments) > 2 and arguments[2] is not None:
            self._keep(Link(relation="Plan", effect=link.effect, cause=str(arguments[2])))

    def _keep(self, link: Link) -> None:
        self.links.append(link)
        self._of_effect[link.relation, link.effect].append(link)


def _short(name: Any) -> str:
    address = str(name.uri)
    for uri, prefix in _PREFIXES.items():
        if address.startswith(uri):
            return prefix + address.removeprefix(uri)
    return str(name)


def _text(value: Any) -> str:
    if hasattr(value, "uri"):
        return str(value) if hasattr(value, "localpart") else str(value.uri)
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "value") and hasattr(value, "datatype"):
        return str(value.value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
