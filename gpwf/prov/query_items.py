"""A walk through records as an answer: its things and links, plain and with names for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpwf.prov.lineage import Lineage, Walk
from gpwf.prov.lineage_build import Kind, Relation
from gpwf.prov.lineage_index import Thing
from gpwf.prov.query import Questions
from gpwf.prov.query_answers import Row
from gpwf.prov.query_facts import number_of, setting_text

__all__ = ["Ancestry", "Item", "Tie", "ancestry"]

_FACTS: Mapping[Kind, tuple[tuple[str, str], ...]] = {
    Kind.PRODUCT: (("port", "port"), ("kind", "kind"), ("digest", "digest")),
    Kind.VALUE: (("kind", "kind"), ("digest", "digest")),
    Kind.FILE: (("path", "prov:location"), ("sha256", "sha256"), ("size_bytes", "size_B")),
    Kind.CONTENT: (("path", "prov:location"), ("sha256", "sha256"), ("size_bytes", "size_B")),
    Kind.SETTING: (("setting", "voprov:name"), ("value", "prov:value"), ("unit", "voprov:unit")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Row):
    """A thing in a walk.

    Parameters
    ----------
    id : str
        Identifier in the record.
    type : str
        ``product``, ``value``, ``file``, ``content``, ``setting``, ``collection``, ``attempt``,
        ``cached``, ``run``, ``agent``; ``entity`` and ``activity`` in records of other software.
    name : str
        For people: ``fit.models``, a file name, ``fit, attempt 1``.
    run : str
        Id of the run that made it, or that it is part of; empty where the record has none.
    depth : int
        Activities between it and what was asked for.
    facts : mapping of str to value
        Of a product ``task``, ``port``, ``kind``, ``digest``; of a file ``path``, ``sha256``,
        ``size_bytes``; of a setting ``setting``, ``value``, ``unit``; of an attempt ``task``,
        ``step``, ``state``, ``started``, ``ended``, ``wall_s``, ``key``.
    """

    id: str
    type: str
    name: str
    run: str
    depth: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_activity(self) -> bool:
        """True for what happened, not for a thing."""
        return self.type in ("attempt", "cached", "run", "activity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie(Row):
    """A relation in a walk, from the effect to its cause; see `gpwf.prov.lineage.Link`."""

    effect: str
    cause: str
    relation: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestry:
    """What something came from, or what became of it.

    Parameters
    ----------
    direction : str
        ``up`` or ``down``.
    roots : tuple of str
        Identifiers of what was asked for.
    items : tuple of Item
        In the order in which the walk met them.
    links : tuple of Tie
        How they depend on each other.
    """

    direction: str
    roots: tuple[str, ...]
    items: tuple[Item, ...]
    links: tuple[Tie, ...]

    def data(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        return {
            "direction": self.direction,
            "roots": list(self.roots),
            "items": [item.data() for item in self.items],
            "links": [item.data() for item in self.links],
        }


def ancestry(questions: Questions, walk: Walk) -> Ancestry:
    """Return a walk as an answer."""
    lineage, facts = questions.lineage, questions.facts
    things = [*map(_located(lineage, walk), lineage.things(walk.depth))]
    names = {item.key: item.id for item in things}
    made = {
        edge.effect: edge.cause for edge in lineage.causes(list(walk.depth), Relation.GENERATED)
    }
    makers = {item.key: item for item in lineage.things(made.values())}
    facts.prepare([*makers.values(), *(item for item in things if item.kind is Kind.ATTEMPT)])
    items = tuple(
        _item(questions, item, makers.get(made.get(item.key, 0)), walk.depth[item.key])
        for item in things
    )
    links = tuple(
        Tie(
            effect=names[link.effect],
            cause=names[link.cause],
            relation=link.relation,
            role=link.role,
        )
        for link in walk.links
        if link.effect in names and link.cause in names
    )
    return Ancestry(
        direction=str(walk.direction),
        roots=tuple(names[key] for key in walk.roots if key in names),
        items=items,
        links=links,
    )


def _located(lineage: Lineage, walk: Walk) -> Callable[[Thing], Thing]:
    """Return a function that adds to a content the path of a file that has it, where one is known.

    An attempt of an earlier run is said to have used a content: where that was is not claimed, but
    a record may tell of a file.
    """
    kinds = lineage.kinds(walk.depth)
    contents = [key for key in walk.depth if kinds[key] is Kind.CONTENT]
    edges = lineage.effects(contents, Relation.SPECIALIZED)
    files = {item.key: item for item in lineage.things(edge.effect for edge in edges)}
    known = {
        edge.cause: files[edge.effect]
        for edge in edges
        if edge.effect in files and files[edge.effect].get("prov:location")
    }

    def located(item: Thing) -> Thing:
        file = known.get(item.key)
        if file is None:
            return item
        more = {name: file.values.get(name, []) for name in ("prov:location", "name")}
        return replace(item, values={**more, **item.values})

    return located


def _item(questions: Questions, item: Thing, maker: Thing | None, depth: int) -> Item:
    facts = questions.facts
    activity = item.kind in (Kind.ATTEMPT, Kind.CACHED, Kind.RUN, Kind.ACTIVITY)
    told = facts.told_of(item)
    found: dict[str, Any] = {
        name: item.get(source) for name, source in _FACTS.get(item.kind, ()) if item.get(source)
    }
    if "size_bytes" in found:
        found["size_bytes"] = int(found["size_bytes"])
    name = item.get("prov:label") or item.get("name") or item.id
    if item.kind is Kind.SETTING:
        value = setting_text(item.get("prov:value"), item.get("voprov:unit"))
        name = f"{item.get('voprov:name')} = {value}"
    elif item.kind is Kind.PRODUCT:
        task = facts.told_of(maker).get("task") if maker is not None else ""
        task = task or item.get("prov:label").removesuffix(f".{item.get('port')}")
        found = {"task": task, **found}
        name = f"{task}.{item.get('port')}"
    elif item.kind is Kind.CONTENT and not item.get("prov:location"):
        name = f"file with sha256 {item.get('sha256')[:12]}"
    elif activity:
        found = {
            "task": told.get("task"),
            "step": told.get("step"),
            "state": item.get("state"),
            "started": item.start,
            "ended": item.end,
            "wall_s": number_of(item.get("wallTime_s")),
            "key": item.get("taskKey"),
        }
        if told is not item:
            name = f"{told.get('task')}, of an earlier run"
    whose = item if activity else maker
    run = facts.run_of(whose) if whose is not None else ""
    return Item(
        id=item.id,
        type=item.kind.name.lower(),
        name=name,
        run=run,
        depth=depth,
        facts=found,
    )
