"""A thin hand over the provenance library: short names in, well-formed records out.

What the library leaves to its caller is done here once: identifiers are made, declared once and
used consistently; times carry a zone; None, control characters and lists never reach a value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gpwf.core.digests import canonical_json
from gpwf.prov.vocabulary import NAMESPACES, TERMS, hashed_id

if TYPE_CHECKING:
    from prov.identifier import QualifiedName
    from prov.model import ProvDocument

__all__ = ["Attributes", "Recorder", "json_text", "parse_time"]

#: Pairs (name, value): a bare name is a ``gpwf:`` term, others carry their prefix.
Attributes = Sequence[tuple[str, Any]]

# XML 1.0 has no place for these, and UTF-8 none for lone surrogates.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parse_time(text: str) -> datetime | None:
    """Return a moment with its zone; UTC where the text names none, None where it is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def json_text(value: Any) -> str:
    """Return plain data as canonical JSON text; NaN and infinities become their names."""
    return canonical_json(_writable(value)).decode()


def _writable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return _UNWRITABLE.sub("\ufffd", str(value))
    if isinstance(value, Mapping):
        return {str(key): _writable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(item) for item in value]
    return value


class Recorder:
    """Collects the records of one document.

    Identifiers are given as local names in the ``gpwf:`` namespace. Every element is declared
    once: the first declaration wins, because what is declared again is the same by construction
    of its identifier.
    """

    def __init__(self) -> None:
        from prov.identifier import Namespace
        from prov.model import ProvDocument

        self.document: ProvDocument = ProvDocument()
        self._spaces: dict[str, Namespace] = {}
        for prefix, uri in NAMESPACES.items():
            self._spaces[prefix] = self.document.add_namespace(prefix, uri)
        self._spaces["prov"] = Namespace("prov", "http://www.w3.org/ns/prov#")
        self._gpwf = self._spaces["gpwf"]
        self._declared: set[str] = set()
        self._names: dict[str, QualifiedName] = {}

    # ---- names and values -------------------------------------------------------------------

    def ref(self, local: str) -> QualifiedName:
        """Return the qualified name of a local name, also as the value of an attribute."""
        return self._gpwf[local]

    def term(self, name: str) -> QualifiedName:
        """Return a term of a vocabulary; a bare name is one of `TERMS`."""
        known = self._names.get(name)
        if known is None:
            prefix, colon, local = name.partition(":")
            if not colon:
                prefix, local = "gpwf", name
            if prefix == "gpwf" and local not in TERMS:
                raise KeyError(f"gpwf:{local} is not in the vocabulary")
            known = self._spaces[prefix][local]
            self._names[name] = known
        return known

    def has(self, local: str) -> bool:
        """Tell whether an element is declared."""
        return local in self._declared

    def _pairs(self, types: Iterable[str], attributes: Attributes) -> list[tuple[Any, Any]]:
        pairs = [(self.term("prov:type"), self.term(name)) for name in types]
        for name, value in attributes:
            plain = value if value == "" and name == "prov:value" else _plain(value)
            if plain is not None:
                pairs.append((self.term(name), plain))
        return pairs

    # ---- elements ---------------------------------------------------------------------------

    def entity(self, local: str, types: Iterable[str] = (), attributes: Attributes = ()) -> str:
        """Declare an entity and return its local name."""
        if local not in self._declared:
            self._declared.add(local)
            self.document.entity(self.ref(local), self._pairs(types, attributes))
        return local

    def activity(
        self,
        local: str,
        start: datetime | None,
        end: datetime | None,
        types: Iterable[str] = (),
        attributes: Attributes = (),
    ) -> str:
        """Declare an activity and return its local name."""
        if local not in self._declared:
            self._declared.add(local)
            pairs = self._pairs(types, attributes)
            self.document.activity(self.ref(local), start, end, pairs)
        return local

    def agent(self, local: str, types: Iterable[str] = (), attributes: Attributes = ()) -> str:
        """Declare an agent and return its local name."""
        if local not in self._declared:
            self._declared.add(local)
            self.document.agent(self.ref(local), self._pairs(types, attributes))
        return local

    # ---- relations --------------------------------------------------------------------------

    def used(
        self,
        activity: str,
        entity: str,
        role: str,
        time: datetime | None,
        attributes: Attributes = (),
        again: int | None = None,
    ) -> str:
        """Say that an activity used an entity in a role; return the name of the usage.

        A number that is new, ``again``, tells apart several usages in one role.
        """
        local = hashed_id("use", activity, entity, role, *([] if again is None else [again]))
        if local not in self._declared:
            self._declared.add(local)
            pairs = self._pairs((), [("prov:role", role), *attributes])
            self.document.usage(self.ref(activity), self.ref(entity), time, self.ref(local), pairs)
        return local

    def generated(self, entity: str, activity: str, role: str, time: datetime | None) -> str:
        """Say that an activity made an entity, once; return the name of the generation."""
        local = hashed_id("gen", entity, activity)
        if local not in self._declared:
            self._declared.add(local)
            pairs = self._pairs((), [("prov:role", role)])
            self.document.generation(
                self.ref(entity), self.ref(activity), time, self.ref(local), pairs
            )
        return local

    def invalidated(self, entity: str, activity: str, time: datetime | None) -> None:
        """Say that an entity ended with an activity."""
        self.document.invalidation(
            self.ref(entity), self.ref(activity), time, self.ref(hashed_id("inv", entity, activity))
        )

    def derived(
        self,
        new: str,
        old: str,
        activity: str | None = None,
        generation: str | None = None,
        usage: str | None = None,
    ) -> None:
        """Say that an entity was made from another one, by which activity and how."""
        local = hashed_id("der", new, old, activity, usage)
        if local not in self._declared:
            self._declared.add(local)
            self.document.derivation(
                self.ref(new),
                self.ref(old),
                self.ref(activity) if activity else None,
                self.ref(generation) if generation else None,
                self.ref(usage) if usage else None,
                self.ref(local),
            )

    def started(self, activity: str, starter: str, time: datetime | None) -> None:
        """Say that an activity was started by another one; the time is the start of the first."""
        self.document.start(
            self.ref(activity), None, self.ref(starter), time, self.ref(hashed_id("sta", activity))
        )

    def informed(self, informed: str, informant: str) -> None:
        """Say that an activity used something that another one made."""
        local = hashed_id("inf", informed, informant)
        self.document.communication(self.ref(informed), self.ref(informant), self.ref(local))

    def associated(self, activity: str, agent: str, plan: str) -> None:
        """Say that an agent was responsible for an activity and followed a plan."""
        local = hashed_id("ass", activity, agent, plan)
        self.document.association(
            self.ref(activity), self.ref(agent), self.ref(plan), self.ref(local)
        )

    def on_behalf(self, delegate: str, responsible: str, activity: str) -> None:
        """Say that an agent acted for another one in an activity."""
        local = hashed_id("del", delegate, responsible, activity)
        self.document.delegation(
            self.ref(delegate), self.ref(responsible), self.ref(activity), self.ref(local)
        )

    def specialises(self, specific: str, general: str) -> None:
        """Say that an entity is an aspect of a more general one, once."""
        key = f"{specific} {general}"
        if key not in self._declared:
            self._declared.add(key)
            self.document.specialization(self.ref(specific), self.ref(general))

    def member(self, collection: str, entity: str) -> None:
        """Say that an entity belongs to a collection, once."""
        key = f"{collection} / {entity}"
        if key not in self._declared:
            self._declared.add(key)
            self.document.membership(self.ref(collection), self.ref(entity))


def _plain(value: Any) -> Any:
    """Return a value that every serialisation can hold, None for nothing to say."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return _UNWRITABLE.sub("\ufffd", str(value))
    if isinstance(value, (Mapping, list, tuple)):
        return json_text(value) if value else None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # a NaN would make the document differ from itself
    return value
