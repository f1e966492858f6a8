"""A compact graph of a provenance record, for pictures: steps or tasks, products, inputs.

Made from the PROV document alone, so that a record without its run directory can be drawn, also
one that gpwf did not write. Edges follow the data: inputs → activity → products.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpwf.core.coordinates import SelectorError, labels_of, parse_selector
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
    _known: set[Fact] = field(default_factory=set, repr=False)

    def add(self, section: str, name: str, value: str) -> None:
        """Add a fact, once."""
        fact = Fact(section=section, name=name, value=value)
        if value and fact not in self._known:
            self._known.add(fact)
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


def build_graph(
    document: ProvDocument,
    *,
    detail: str = "step",
    of: str | None = None,
    direction: str | None = None,
) -> Graph:
    """Return the graph of a record, or the part of it that something comes from or leads to.

    Parameters
    ----------
    document : prov.model.ProvDocument
        A record of gpwf, or any other PROV document, which is always drawn in full.
    detail : str
        ``step``: one node for all the tasks of a step; ``task``: one per task; ``full``: every
        attempt, setting, file, agent and plan with the PROV relations.
    of, direction : str, optional
        See `select`. Of a scatter, only the tasks that belong to it count, also where they share
        a node.

    Raises
    ------
    ProvenanceError
        For another detail or direction, a record without anything to draw, or a name that is not
        in it.
    """
    from gpwf.prov.record_graph import full_graph
    from gpwf.prov.record_index import RecordIndex
    from gpwf.prov.record_summary import summary_graph

    if detail not in DETAILS:
        raise ProvenanceError(f"unknown detail {detail!r}", hint=f"details: {', '.join(DETAILS)}")
    index = RecordIndex(document)
    if not index.elements:
        raise ProvenanceError("the provenance record is empty: nothing to draw")
    if detail == "full" or not index.has_tasks:
        graph = full_graph(index)
        return select(graph, of, direction) if of is not None else graph
    if of is None:
        return summary_graph(index, by_task=detail == "task")
    part = select(summary_graph(index, by_task=True), of, direction)
    if detail == "task":
        return part
    tasks = {key for node in part.nodes.values() if node.kind == "activity" for key in node.keys}
    return select(summary_graph(index, by_task=False, only=tasks), of, direction)


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
        return exact or _places(graph, of)
    return _places(graph, of) or _starting(graph, of)


def _places(graph: Graph, of: str) -> list[str]:
    """Return the tasks that ``STEP[axis=label,...]`` names, with some of their axes."""
    try:
        step, labels = parse_selector(of)
    except SelectorError:
        return []
    return [
        node.id
        for node in graph.nodes.values()
        if labels
        and node.kind == "activity"
        and any(
            labels.items() <= labels_of(key, step).items()
            for key in node.keys
            if key.startswith(f"{step}[")
        )
    ]


def _starting(graph: Graph, of: str) -> list[str]:
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
