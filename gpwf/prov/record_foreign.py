"""Record → picture: what other software did before, above the inputs of a run.

A foreign entity that is an input of the run (`gpwf.prov.ingest_links`) is drawn as that input; the
activities that made it, what they used, and what made that, stand above it.
"""

from __future__ import annotations

from collections import defaultdict

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_index import Element, RecordIndex

__all__ = ["add_foreign"]

_OURS = ("gpwf:file-", "gpwf:sha256-")
_MOST_FILES = 200  # of a node that are listed


def add_foreign(graph: Graph, index: RecordIndex, *, fold: bool) -> None:
    """Add the activities of other software that led to the inputs in a graph.

    Parameters
    ----------
    graph : Graph
        Steps or tasks with inputs; is changed.
    index : RecordIndex
        The record with what was ingested.
    fold : bool
        Draw activities of one name that have the same places as one.
    """
    foreign = _foreign_of_inputs(index)
    if foreign:
        _Above(graph, index, fold).build(foreign)


def _foreign_of_inputs(index: RecordIndex) -> dict[str, dict[str, None]]:
    """Return the foreign entities that files and contents of ours are the same as."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for relation in ("alternateOf", "specializationOf"):
        for link in index.links(relation):
            for ours, other in ((link.cause, link.effect), (link.effect, link.cause)):
                if ours.startswith(_OURS) and not other.startswith("gpwf:"):
                    found[ours][other] = None
    return found


class _Above:
    def __init__(self, graph: Graph, index: RecordIndex, fold: bool) -> None:
        self.graph = graph
        self.index = index
        self.fold = fold
        self.home: dict[str, str] = {}  # foreign entity → node
        self.counts: dict[str, dict[str, None]] = defaultdict(dict)  # node → activities or entities
        self.seen: set[str] = set()

    def build(self, foreign: dict[str, dict[str, None]]) -> None:
        front: list[str] = []
        for node in [item for item in self.graph.nodes.values() if item.kind == "input"]:
            for ours in sorted(node.keys & foreign.keys()):
                for name in foreign[ours]:
                    self.home.setdefault(name, node.id)
                    self._name(node, self.index.element(name))
                    front.append(name)
        while front:
            front = [name for entity in front for name in self._above(entity)]
        self._finish()

    def _above(self, entity: str) -> list[str]:
        """Draw what made an entity and what it came from; return the entities to go on with."""
        if entity in self.seen:
            return []
        self.seen.add(entity)
        home = self.home[entity]
        following: list[str] = []
        for made in self.index.causes("wasGeneratedBy", entity):
            maker = self._activity(made.cause)
            self.graph.connect(maker, home, made.role)
            for used in self.index.causes("used", made.cause):
                following.append(used.cause)
                self.graph.connect(self._entity(used.cause, f"{maker} / {used.role}"), maker)
            following += self._informants(made.cause, maker)
        if not following:
            for link in self.index.causes("wasDerivedFrom", entity):
                following.append(link.cause)
                self.graph.connect(self._entity(link.cause, f"{home} / derived"), home)
        for link in self.index.causes("wasAttributedTo", entity):
            self._agent(link.cause, home)
        return following

    def _informants(self, activity: str, target: str) -> list[str]:
        """Draw activities of which only it is said that they came before; return what they used."""
        following: list[str] = []
        todo, done = [(activity, target)], {activity}
        while todo:
            name, node = todo.pop()
            for link in self.index.causes("wasInformedBy", name):
                if link.cause in done:
                    continue
                done.add(link.cause)
                before = self._activity(link.cause)
                self.graph.connect(before, node, dashed=True)
                for used in self.index.causes("used", link.cause):
                    following.append(used.cause)
                    self.graph.connect(self._entity(used.cause, f"{before} / {used.role}"), before)
                todo.append((link.cause, before))
        return following

    def _activity(self, name: str) -> str:
        item = self.index.element(name) or Element(id=name, kind="activity")
        key = f"foreign {item.label}" if self.fold else f"foreign {name}"
        node = self.graph.nodes.get(key)
        if node is None:
            node = self.graph.nodes[key] = Node(id=key, kind="activity", title=item.label)
            node.lines.append("before this run")
        if name not in self.counts[key]:
            self.counts[key][name] = None
            self._name(node, item)
            for link in self.index.causes("wasAssociatedWith", name):
                self._agent(link.cause, key)
        return key

    def _entity(self, name: str, place: str) -> str:
        """Return the node of an entity: that of an input, of a product, or one with its like."""
        known = self.home.get(name)
        if known is not None:
            return known
        item = self.index.element(name) or Element(id=name, kind="entity")
        known = self._drawn(name)
        if known is None:
            known = f"foreign {place}"
            if known not in self.graph.nodes:
                self.graph.nodes[known] = Node(id=known, kind="input", title=item.label)
            self.counts[known][name] = None
        self.home[name] = known
        self._name(self.graph.nodes[known], item)
        return known

    def _drawn(self, name: str) -> str | None:
        if not name.startswith("gpwf:"):
            return None
        return next((node.id for node in self.graph.nodes.values() if name in node.keys), None)

    def _agent(self, name: str, target: str) -> None:
        item = self.index.element(name) or Element(id=name, kind="agent")
        node = self.graph.nodes.setdefault(name, Node(id=name, kind="agent", title=item.label))
        self._name(node, item)
        self.graph.connect(name, target, dashed=True)

    def _name(self, node: Node, item: Element | None) -> None:
        if item is None:
            return
        node.keys.update(
            {item.id, item.label, item.get("sha256"), item.get("prov:location")} - {""}
        )
        if len(self.counts.get(node.id, ())) > _MOST_FILES:
            return
        node.add(item.label, "identifier", item.id)
        node.add(item.label, "start", item.start)
        node.add(item.label, "end", item.end)
        for name, values in item.values.items():
            for value in values:
                node.add(item.label, name, value)

    def _finish(self) -> None:
        for key, names in self.counts.items():
            if len(names) > 1:
                node = self.graph.nodes[key]
                what = "activities" if node.kind == "activity" else "files"
                node.lines.append(f"{len(names)} {what}")
                role = key.rpartition(" / ")[2]
                if node.kind == "input":
                    node.title = role or node.title
