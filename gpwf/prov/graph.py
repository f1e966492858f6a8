"""A compact graph of a provenance record, for pictures: steps or tasks, products, inputs.

Made from the PROV document alone, so that a record without its run directory can be drawn, also
one that gpwf did not write. Edges follow the data: inputs → activity → products.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpwf.errors import ProvenanceError

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = ["DETAILS", "DIRECTIONS", "Edge", "Fact", "Graph", "Node", "build_graph", "select"]

DETAILS = ("step", "task", "full")
DIRECTIONS = ("up", "down", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of what is known of a node: ``Settings / geom.axes.energy.min = 0.1 TeV``."""

    section: str
    name: str
    value: str


@dataclass(slots=True, kw_only=True)
class Node:
    """One node of the picture.

    Parameters
    ----------
    id : str
        Unique in the graph.
    kind : str
        ``activity product input setting agent plan environment other``.
    title : str
        First line.
    lines : list of str
        Further lines, smaller.
    state : str
        State of an activity, empty for other kinds.
    facts : list of Fact
        Shown when the node is chosen.
    keys : set of str
        Other names it can be found by: identifiers, digests, file names.
    """

    id: str
    kind: str
    title: str
    lines: list[str] = field(default_factory=list)
    state: str = ""
    facts: list[Fact] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def add(self, section: str, name: str, value: str) -> None:
        """Add a fact, once."""
        fact = Fact(section=section, name=name, value=value)
        if value and fact not in self.facts:
            self.facts.append(fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An arrow in the direction of the data; ``dashed`` where nothing flowed."""

    source: str
    target: str
    label: str = ""
    dashed: bool = False


@dataclass(slots=True, kw_only=True)
class Graph:
    """Nodes by id, edges, and what to write above the picture."""

    title: str
    subtitle: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    _known: set[Edge] = field(default_factory=set, repr=False)

    def connect(self, source: str, target: str, label: str = "", *, dashed: bool = False) -> None:
        """Add an edge, once."""
        edge = Edge(source=source, target=target, label=label, dashed=dashed)
        if edge not in self._known:
            self._known.add(edge)
            self.edges.append(edge)


def build_graph(document: ProvDocument, *, detail: str = "step") -> Graph:
    """Return the graph of a record.

    Parameters
    ----------
    document : prov.model.ProvDocument
        A record of gpwf, or any other PROV document, which is always drawn in full.
    detail : str
        ``step``: one node for all the tasks of a step; ``task``: one per task; ``full``: every
        attempt, setting, file, agent and plan with the PROV relations.

    Raises
    ------
    ProvenanceError
        For another detail, or a record without anything to draw.
    """
    from gpwf.prov.record_graph import full_graph, summary_graph
    from gpwf.prov.record_index import RecordIndex

    if detail not in DETAILS:
        raise ProvenanceError(f"unknown detail {detail!r}", hint=f"details: {', '.join(DETAILS)}")
    index = RecordIndex(document)
    if not index.elements:
        raise ProvenanceError("the provenance record is empty: nothing to draw")
    if detail == "full" or not index.has_tasks:
        return full_graph(index)
    return summary_graph(index, by_task=detail == "task")


def select(graph: Graph, of: str, direction: str | None = None) -> Graph:
    """Return the part of a graph that a node comes from, or leads to.

    Parameters
    ----------
    graph : Graph
        Whole graph.
    of : str
        Title, identifier, digest (eight characters are enough) or file name.
    direction : str, optional
        ``up``: what it was made from; ``down``: what was made from it; ``both`` by default.

    Raises
    ------
    ProvenanceError
        Where nothing, or no such direction, is found.
    """
    direction = direction or "both"
    if direction not in DIRECTIONS:
        raise ProvenanceError(
            f"unknown direction {direction!r}", hint=f"directions: {', '.join(DIRECTIONS)}"
        )
    roots = _find(graph, of)
    if not roots:
        names = sorted({key for node in graph.nodes.values() for key in node.keys if "." in key})
        raise ProvenanceError(
            f"nothing called {of!r} in the provenance record",
            hint=f"try one of: {', '.join(names[:12])}" if names else None,
        )
    keep: set[str] = set()
    if direction in ("up", "both"):
        keep |= _reach(roots, [(edge.target, edge.source) for edge in graph.edges])
    if direction in ("down", "both"):
        keep |= _reach(roots, [(edge.source, edge.target) for edge in graph.edges])
    return Graph(
        title=graph.title,
        subtitle=f"{graph.subtitle} · of {of}, {direction}".lstrip(" ·"),
        nodes={name: node for name, node in graph.nodes.items() if name in keep},
        edges=[edge for edge in graph.edges if edge.source in keep and edge.target in keep],
    )


def _find(graph: Graph, of: str) -> list[str]:
    exact = [n.id for n in graph.nodes.values() if of in (n.id, n.title) or of in n.keys]
    if exact or len(of) < 8:
        return exact
    return [n.id for n in graph.nodes.values() if any(key.startswith(of) for key in n.keys)]


def _reach(roots: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    following: dict[str, list[str]] = {}
    for first, second in pairs:
        following.setdefault(first, []).append(second)
    seen = set(roots)
    todo = deque(seen)
    while todo:
        for name in following.get(todo.popleft(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen
