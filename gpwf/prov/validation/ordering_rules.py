"""Event ordering, constraints 30 to 49 of PROV-CONSTRAINTS: by logic, and by recorded times.

The instants of an instance (start and end of an activity, generation, usage and invalidation of an
entity) are nodes; each constraint is edges "not after". Derivation [42] alone is strict: what
something was made from was there *before* it. The instance is impossible where a strict edge lies
on a cycle: it closes one exactly if its ends are in one strongly connected component.

By logic, no cycle passes through an end or an invalidation, since nothing but other ends and
invalidations has to come after them: those nodes need not be in the graph. By the recorded times,
every edge of every constraint is compared.

References
----------
https://www.w3.org/TR/2013/REC-prov-constraints-20130430/, section 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gpwf.prov.validation.components import components, inside, shortest_way
from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import Instance
from gpwf.prov.validation.rules import instance_rule

__all__ = ["strict_order"]

_WORDS = {"start": "the start of", "made": "the generation of", "use": "the usage", "agent": ""}


class _Instants:
    """A graph of instants."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, str], int] = {}
        self.edges: list[list[int]] = []
        self.names: list[tuple[str, str]] = []
        self.reasons: dict[tuple[int, int], int] = {}
        self.strict: list[tuple[int, int, str]] = []

    def node(self, kind: str, name: str) -> int:
        key = kind, name
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.edges)
            self.edges.append([])
            self.names.append(key)
        return number

    def before(self, first: int, second: int, constraint: int) -> None:
        """Say that an instant is not after another one."""
        self.edges[first].append(second)
        self.reasons.setdefault((first, second), constraint)


@instance_rule("PC-42", "An entity is generated before what is derived from it")
def strict_order(instance: Instance) -> Iterator[Problem]:
    """Find what would have to come before itself."""
    if not instance.relations["wasDerivedFrom"]:
        return  # nothing is strict
    graph = _graph(instance)
    found = components(graph.edges)
    seen: set[int] = set()
    for first, second, name in graph.strict:
        number = found[first]
        if number != found[second] or number in seen:
            continue
        seen.add(number)
        if first == second:
            yield Problem(graph.names[second][1], "is derived from itself")
            continue
        way = shortest_way(graph.edges, second, first, inside(found, number))
        steps = list(pairwise(way))
        constraints = sorted({graph.reasons[step] for step in steps} - {42})
        told = ", then ".join(_told(graph.names[node]) for node in way)
        yield Problem(
            graph.names[second][1],
            f"would be generated before itself: {told} come in this order, and by the derivation "
            f"{name or '(unnamed)'} the last comes strictly before the first",
            tuple(f"PC-{n}" for n in constraints),
        )


def _told(instant: tuple[str, str]) -> str:
    return f"{_WORDS[instant[0]]} {instant[1]}"


def _graph(instance: Instance) -> _Instants:
    graph = _Instants()
    node, before = graph.node, graph.before
    relations = instance.relations
    wanted = {row[5] for row in relations["wasDerivedFrom"]} - {None}
    uses: dict[tuple[str, str], str] = {}
    for name, activity, entity, _ in relations["used"]:
        # [33], [37]; a usage that no derivation names comes before nothing that matters here
        if name in wanted:
            use = node("use", name)
            uses[name] = name
            if activity:
                before(node("start", activity), use, 33)
            if entity:
                before(node("made", entity), use, 37)
    for _, entity, activity, _ in relations["wasGeneratedBy"]:
        if entity and activity:
            before(node("start", activity), node("made", entity), 34)
    for _, activity, trigger, _, _ in relations["wasStartedBy"]:
        if activity and trigger:
            before(node("made", trigger), node("start", activity), 43)
    for kind in ("specializationOf", "mentionOf"):
        for row in relations[kind]:
            if row[1] and row[2]:
                before(node("made", row[2]), node("made", row[1]), 45)
    activities = instance.declared["activity"]
    for _, entity, agent in relations["wasAttributedTo"]:
        if entity and agent:
            kind = "start" if agent in activities else "made"
            before(node(kind, agent), node("made", entity), 48)
    for name, new, old, _, _, usage in relations["wasDerivedFrom"]:
        if not new or not old:
            continue
        first, second = node("made", old), node("made", new)
        before(first, second, 42)
        graph.strict.append((first, second, name))
        if usage:
            before(node("use", usage), second, 41)
    return graph
