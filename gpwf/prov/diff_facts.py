"""What a record says of each task that decides its result, to be compared with another record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpwf.prov.lineage import Lineage
from gpwf.prov.lineage_build import Kind, Relation
from gpwf.prov.lineage_index import Edge, Thing
from gpwf.prov.query_facts import Facts, setting_text

__all__ = ["Fed", "Side", "TaskFacts", "read_side"]

_GOOD = ("ok", "cached")
_CODE = (
    "tag",
    "version",
    "package",
    "packageVersion",
    "sourceDigest",
    "callable",
    "callableSource",
)


@dataclass(frozen=True, slots=True)
class Fed:
    """A product that came in at a port.

    Parameters
    ----------
    digest : str
        Of its content.
    task, port : str
        Who made it, and where it came out; empty where the record does not say it.
    """

    digest: str
    task: str
    port: str


@dataclass(slots=True, kw_only=True)
class TaskFacts:
    """A task, as far as its result is concerned.

    Parameters
    ----------
    task, step : str
        Its id and its step.
    names : tuple of str
        All its names: other steps or places may compute the same.
    state : str
        How it ended; empty where it was not begun.
    key, stream : str
        Task key, and what tells its random numbers from those of its neighbours.
    settings : dict of str to (str, str, Edge)
        Value and type by name, and the usage, which knows the origin.
    files : dict of str to dict of str to str
        SHA-256 of external files by setting and path.
    inputs : dict of str to list of Fed
        What came in, by port.
    products : dict of str to (str, str)
        Digest and kind of what came out, by port.
    code, software : mapping of str to str
        Step type with its source; versions of distributions.
    run : Thing or None
        The run that it is part of.
    """

    task: str
    step: str
    names: tuple[str, ...] = ()
    state: str = ""
    key: str = ""
    stream: str = ""
    settings: dict[str, tuple[str, str, Edge]] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    inputs: dict[str, list[Fed]] = field(default_factory=dict)
    products: dict[str, tuple[str, str]] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    run: Thing | None = None

    @property
    def is_good(self) -> bool:
        """True where it has a result."""
        return self.state in _GOOD


@dataclass(slots=True, kw_only=True)
class Side:
    """One of two records that are compared.

    Parameters
    ----------
    tasks : dict of str to TaskFacts
        By id.
    environment, distributions : mapping of str to str
        Of the run.
    """

    tasks: dict[str, TaskFacts] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)


def read_side(lineage: Lineage, roots: Iterable[int] | None) -> Side:
    """Read the tasks of a record, or those that some products or tasks depend on.

    Parameters
    ----------
    lineage : Lineage
        The record of one run.
    roots : iterable of int, optional
        Products or tasks; all tasks of the run by default.
    """
    facts = Facts(lineage)
    pairs = _activities(lineage, facts, roots)
    side = Side()
    for told, made in pairs:
        side.tasks[told.get("task") or told.id] = _basic(lineage, facts, told, made)
    _Reader(lineage, facts, side, pairs).read()
    if roots is None:
        _add_not_run(lineage, side)
    runs = [item.run for item in side.tasks.values() if item.run is not None]
    if not runs:
        keys = [key for record in lineage.records for key in record.of_kind(Kind.RUN)]
        runs = lineage.things(keys)
    for run in runs[:1]:
        side.environment = facts.environment_of(run)
        side.distributions = facts.distributions_of(run)
    return side


def _activities(
    lineage: Lineage, facts: Facts, roots: Iterable[int] | None
) -> list[tuple[Thing, Thing]]:
    """Return for every task the activity that names it, and the one that made its result."""
    kinds = (Kind.ATTEMPT, Kind.CACHED, Kind.ACTIVITY)
    if roots is None:
        keys = [key for record in lineage.records for key in record.of_kind(*kinds)]
        items = [item for item in lineage.things(keys) if not facts.is_of_another_run(item)]
    else:
        walk = lineage.walk(roots)
        items = [item for item in lineage.things(walk.depth) if item.kind in kinds]
    facts.prepare(items)
    told = {item.key: facts.told_of(item) for item in items}
    made: dict[int, Thing] = {}
    hits = [item.key for item in told.values() if item.kind is Kind.CACHED]
    informed = lineage.causes(hits, Relation.INFORMED)
    origin = {item.key: item for item in lineage.things(edge.cause for edge in informed)}
    for edge in informed:
        if edge.cause in origin:
            made[edge.effect] = origin[edge.cause]
    best: dict[str, Thing] = {}
    for item in told.values():
        name = item.get("task") or item.id
        if name not in best or _rank(item) > _rank(best[name]):
            best[name] = item
    return [(item, made.get(item.key, item)) for item in best.values()]


def _rank(item: Thing) -> tuple[bool, int, str]:
    number = item.get("attempt")
    return (item.get("state") in _GOOD, int(number) if number.isdigit() else 0, item.start)


def _basic(lineage: Lineage, facts: Facts, told: Thing, made: Thing) -> TaskFacts:
    plans = lineage.things(facts.plans_of(told))
    code = {name: plan.get(name) for plan in plans[:1] for name in _CODE if plan.get(name)}
    run = told.get("wfprov:wasPartOfWorkflowRun")
    return TaskFacts(
        task=told.get("task") or told.get("prov:label") or told.id,
        step=told.get("step"),
        names=(told.get("task") or told.id, *told.values.get("otherName", ())),
        state=told.get("state") or ("ok" if told.kind is Kind.ACTIVITY else ""),
        key=told.get("taskKey"),
        stream=told.get("stream") or made.get("stream"),
        code=code,
        software={
            name: version
            for name, _, version in (
                text.partition("==") for text in told.values.get("software", ())
            )
        },
        run=facts.root_run(run) if run else None,
    )


def _add_not_run(lineage: Lineage, side: Side) -> None:
    """Add the tasks that the run lists as not run."""
    keys = [key for record in lineage.records for key in record.of_kind(Kind.RUN)]
    for run in lineage.things(keys):
        for text in run.values.get("notRun", ()):
            try:
                entry = json.loads(text)
            except ValueError:
                continue
            name = entry.get("task") if isinstance(entry, dict) else None
            if isinstance(name, str) and name not in side.tasks:
                side.tasks[name] = TaskFacts(
                    task=name,
                    step=str(entry.get("step", "")),
                    names=(name,),
                    state=str(entry.get("state", "")),
                )


class _Reader:
    """Fills in what tasks used and made, with few questions for many tasks."""

    def __init__(
        self, lineage: Lineage, facts: Facts, side: Side, pairs: list[tuple[Thing, Thing]]
    ) -> None:
        self.lineage = lineage
        self.facts = facts
        self.task: dict[int, TaskFacts] = {}
        for told, made in pairs:
            found = side.tasks[told.get("task") or told.id]
            self.task[told.key] = found
            self.task.setdefault(made.key, found)
        self.told = {told.key for told, _ in pairs}

    def read(self) -> None:
        """Fill in everything."""
        keys = list(self.task)
        self._settings(keys)
        used = self.lineage.causes(keys, Relation.USED)
        kinds = self.lineage.kinds(edge.cause for edge in used)
        self._products(keys, used)
        self._files([e for e in used if kinds[e.cause] in (Kind.FILE, Kind.CONTENT, Kind.ENTITY)])
        self._inputs([e for e in used if kinds[e.cause] in (Kind.PRODUCT, Kind.VALUE)])

    def _settings(self, keys: list[int]) -> None:
        edges = self.lineage.causes(keys, Relation.SETTING)
        things = {item.key: item for item in self.lineage.things(edge.cause for edge in edges)}
        # what the run itself says comes last and counts: it knows paths and origins
        for edge in sorted(edges, key=lambda edge: edge.effect in self.told):
            item = things.get(edge.cause)
            if item is not None:
                text = setting_text(item.get("prov:value"), item.get("voprov:unit"))
                name = item.get("voprov:name") or edge.role.removeprefix("in.")
                kind = item.get("voprov:valueType")
                self.task[edge.effect].settings[name] = (text, kind, edge)

    def _products(self, keys: list[int], used: list[Edge]) -> None:
        made = [
            (edge.cause, edge.effect) for edge in self.lineage.effects(keys, Relation.GENERATED)
        ]
        made += [(edge.effect, edge.cause) for edge in used if edge.role.startswith("cached.")]
        things = {item.key: item for item in self.lineage.things(product for _, product in made)}
        for user, key in made:
            item = things.get(key)
            task = self.task[user]
            if item is None or not task.is_good:
                continue
            if item.kind is Kind.PRODUCT:
                task.products[item.get("port")] = (item.get("digest"), item.get("kind"))
            elif item.kind is Kind.ENTITY:  # of other software, where it says a digest
                digest = item.get("sha256") or item.get("digest")
                task.products[item.get("prov:label") or item.id] = (digest or item.id, "")

    def _files(self, used: list[Edge]) -> None:
        things = {item.key: item for item in self.lineage.things(edge.cause for edge in used)}
        for edge in sorted(used, key=lambda edge: edge.effect not in self.told):
            item = things.get(edge.cause)
            if item is None:
                continue
            digest = item.get("sha256") or item.id
            files = self.task[edge.effect].files.setdefault(edge.role.removeprefix("in."), {})
            if digest not in files.values():  # the content of an earlier attempt is known by now
                files[item.get("prov:location") or item.get("prov:label") or digest] = digest

    def _inputs(self, used: list[Edge]) -> None:
        used = [edge for edge in used if not edge.role.startswith("cached.")]
        things = {item.key: item for item in self.lineage.things(edge.cause for edge in used)}
        makers = self._makers(things)
        for edge in used:
            item = things.get(edge.cause)
            if item is not None:
                task, port = makers.get(item.key, ("", ""))
                fed = Fed(item.get("digest"), task, port)
                ports = self.task[edge.effect].inputs
                ports.setdefault(edge.role.removeprefix("in."), []).append(fed)

    def _makers(self, things: Mapping[int, Thing]) -> dict[int, tuple[str, str]]:
        """Return who made products; a value was made by the maker of a product with it."""
        values = [key for key, item in things.items() if item.kind is Kind.VALUE]
        aspects = {e.effect: e.cause for e in self.lineage.effects(values, Relation.SPECIALIZED)}
        products = {item.key: item for item in self.lineage.things([*things, *aspects])}
        made = self.lineage.causes(list(products), Relation.GENERATED)
        activities = {item.key: item for item in self.lineage.things(e.cause for e in made)}
        self.facts.prepare(list(activities.values()))
        found: dict[int, tuple[str, str]] = {}
        for edge in made:
            maker = activities.get(edge.cause)
            name = self.facts.told_of(maker).get("task") if maker is not None else ""
            item = products[edge.effect]
            place = (name, item.get("port"))
            found[edge.effect] = place
            if edge.effect in aspects:
                found.setdefault(aspects[edge.effect], place)
        return found
