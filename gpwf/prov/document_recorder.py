"""A recorder that builds a document of the provenance library."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpwf.prov.recorder import Attributes, Form, Recorder, Ref, plain_value
from gpwf.prov.vocabulary import NAMESPACES, TERMS, hashed_id

if TYPE_CHECKING:
    from prov.identifier import QualifiedName
    from prov.model import ProvDocument

__all__ = ["DocumentRecorder"]


class DocumentRecorder(Recorder):
    """Collects records in ``document``: for pictures, checks and conversion to other formats."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin another document."""
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

    def _ref(self, local: str) -> QualifiedName:
        return self._gpwf[local]

    def _term(self, name: str) -> QualifiedName:
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

    def prepare(self, attributes: Attributes) -> list[tuple[Any, Any]]:
        """Return attributes as the library takes them."""
        pairs = []
        for name, value in attributes:
            if isinstance(value, Ref):
                plain: Any = self._ref(value)
            else:
                plain = value if value == "" and name == "prov:value" else plain_value(value)
            if plain is not None:
                pairs.append((self._term(name), plain))
        return pairs

    def _pairs(self, types: tuple[str, ...], attributes: Attributes) -> list[tuple[Any, Any]]:
        typed = [(self._term("prov:type"), self._term(name)) for name in types]
        return [*typed, *self.prepare(attributes)]

    def _is_new(self, name: str) -> bool:
        if name in self._declared:
            return False
        self._declared.add(name)
        return True

    def has(self, local: str) -> bool:
        """Tell whether an element is declared."""
        return local in self._declared

    # ---- elements ---------------------------------------------------------------------------

    def entity(
        self,
        local: str,
        types: tuple[str, ...] = (),
        attributes: Attributes = (),
        *,
        unique: bool = False,  # noqa: ARG002  (a document has to remember all of them anyway)
    ) -> str:
        """Declare an entity and return its local name."""
        if self._is_new(local):
            self.document.entity(self._ref(local), self._pairs(types, attributes))
        return local

    def entity_of(
        self,
        form: Form,
        local: str,
        values: tuple[Any, ...],
        notes: Any = None,
        *,
        unique: bool = False,  # noqa: ARG002
    ) -> str:
        """Declare an entity of a form by the values of its attributes; return its local name."""
        if self._is_new(local):
            pairs = self._pairs(form.types, zip(form.names, values, strict=True))
            self.document.entity(self._ref(local), [*pairs, *(notes or ())])
        return local

    def activity(
        self,
        local: str,
        start: datetime | None,
        end: datetime | None,
        types: tuple[str, ...] = (),
        attributes: Attributes = (),
        notes: Any = None,
    ) -> str:
        """Declare an activity and return its local name."""
        if self._is_new(local):
            pairs = [*self._pairs(types, attributes), *(notes or ())]
            self.document.activity(self._ref(local), start, end, pairs)
        return local

    def agent(self, local: str, types: tuple[str, ...] = (), attributes: Attributes = ()) -> str:
        """Declare an agent and return its local name."""
        if self._is_new(local):
            self.document.agent(self._ref(local), self._pairs(types, attributes))
        return local

    # ---- relations --------------------------------------------------------------------------

    def used(
        self,
        activity: str,
        entity: str,
        role: str,
        time: datetime | None,
        notes: Any = None,
        again: int | None = None,
    ) -> str:
        """Say that an activity used an entity in a role; return the name of the usage."""
        local = hashed_id("use", activity, entity, role, *([] if again is None else [again]))
        if self._is_new(local):
            pairs = [*self.prepare([("prov:role", role)]), *(notes or ())]
            self.document.usage(
                self._ref(activity), self._ref(entity), time, self._ref(local), pairs
            )
        return local

    def usage(self, entity: str, role: str, notes: Any = None) -> tuple[str, str, Any]:
        """Return the arguments of `used`."""
        return entity, role, notes

    def used_all(self, activity: str, usages: Iterable[Any], time: datetime | None) -> None:
        """Say that an activity used entities, each in a role of its own."""
        for entity, role, notes in usages:
            self.used(activity, entity, role, time, notes)

    def generated(self, entity: str, activity: str, role: str, time: datetime | None) -> str:
        """Say that an activity made an entity, once; return the name of the generation."""
        local = f"gen-{entity}"
        if self._is_new(local):
            pairs = self.prepare([("prov:role", role)])
            self.document.generation(
                self._ref(entity), self._ref(activity), time, self._ref(local), pairs
            )
        return local

    def logged(self, log: str, activity: str) -> None:
        """Say that an activity, declared earlier, made its log."""
        self.generated(log, activity, "out.log", None)

    def invalidated(self, entity: str, activity: str, time: datetime | None) -> None:
        """Say that an entity ended with an activity."""
        local = self._ref(hashed_id("inv", entity, activity))
        self.document.invalidation(self._ref(entity), self._ref(activity), time, local)

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
        if self._is_new(local):
            self.document.derivation(
                self._ref(new),
                self._ref(old),
                self._ref(activity) if activity else None,
                self._ref(generation) if generation else None,
                self._ref(usage) if usage else None,
                self._ref(local),
            )

    def started(self, activity: str, starter: str, time: datetime | None) -> None:
        """Say that an activity was started by another one; the time is the start of the first."""
        local = self._ref(f"sta-{activity}")
        self.document.start(self._ref(activity), None, self._ref(starter), time, local)

    def informed(self, informed: str, informant: str) -> None:
        """Say that an activity used something that another one made."""
        local = self._ref(hashed_id("inf", informed, informant))
        self.document.communication(self._ref(informed), self._ref(informant), local)

    def associated(self, activity: str, agent: str, plan: str) -> None:
        """Say that an agent was responsible for an activity and followed a plan."""
        local = self._ref(hashed_id("ass", activity, agent, plan))
        self.document.association(self._ref(activity), self._ref(agent), self._ref(plan), local)

    def on_behalf(self, delegate: str, responsible: str, activity: str) -> None:
        """Say that an agent acted for another one in an activity."""
        local = self._ref(hashed_id("del", delegate, responsible, activity))
        self.document.delegation(
            self._ref(delegate), self._ref(responsible), self._ref(activity), local
        )

    def specialises(self, specific: str, general: str) -> None:
        """Say that an entity is an aspect of a more general one."""
        self.document.specialization(self._ref(specific), self._ref(general))

    def member(self, collection: str, entity: str) -> None:
        """Say that an entity belongs to a collection."""
        self.document.membership(self._ref(collection), self._ref(entity))
