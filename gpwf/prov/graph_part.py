"""The part of a graph that something comes from, or leads to."""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable

from gpwf.core.coordinates import SelectorError, labels_of, parse_selector
from gpwf.errors import ProvenanceError
from gpwf.prov.graph import DIRECTIONS, Graph, Node

__all__ = ["select", "tasks_around"]

_MOST_NAMES = 5000  # that are compared with one that is not there


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
        raise ProvenanceError(
            f"nothing called {of[:200]!r} in the provenance record", hint=_nearest(graph, of)
        )
    keep: set[str] = set()
    if direction in ("up", "both"):
        keep |= _reach(roots, [(edge.target, edge.source) for edge in graph.edges])
    if direction in ("down", "both"):
        keep |= _reach(roots, [(edge.source, edge.target) for edge in graph.edges])
    nodes = {name: node for name, node in graph.nodes.items() if name in keep}
    return Graph(
        title=graph.title,
        subtitle=f"{graph.subtitle} · of {of}, {direction}".lstrip(" ·"),
        note=graph.note,
        nodes=nodes,
        edges=[edge for edge in graph.edges if edge.source in keep and edge.target in keep],
        groups=graph.groups,
        ties=[tie for tie in graph.ties if tie.through in keep],
    )


def tasks_around(graph: Graph, part: Graph, of: str) -> set[str]:
    """Return the tasks of a part of a graph, and those that a node needs to have its name.

    A product is called after the task that made it, also where only what became of it is asked
    for; a file is drawn with those that read it, also where only its origin is.

    Parameters
    ----------
    graph : Graph
        Whole graph, with a node for each task.
    part : Graph
        What `select` returned of it for ``of``.
    of : str
        See `select`.
    """
    roots = set(_find(graph, of))
    makers = {edge.source for edge in graph.edges if edge.target in roots}
    names = {*part.nodes, *makers}
    if not any(graph.nodes[name].task for name in names if name in graph.nodes):
        names |= {edge.target for edge in graph.edges if edge.source in roots}
    nodes = (graph.nodes.get(name) for name in names)
    return {node.task for node in nodes if node is not None and node.task}


def _nearest(graph: Graph, of: str) -> str | None:
    """Return the names most like one that is not there, or the first ones."""
    names = dict.fromkeys(node.title for node in graph.nodes.values())
    names |= dict.fromkeys(
        key for node in graph.nodes.values() for key in sorted(node.keys) if "." in key
    )
    known = [name for name in names if len(name) < 100][:_MOST_NAMES]
    near = difflib.get_close_matches(of[:100], known, n=5, cutoff=0.55)
    if near:
        return f"did you mean {', '.join(near)}?"
    dotted = [name for name in known if "." in name] or known
    return f"try one of: {', '.join(sorted(dotted)[:12])}" if dotted else None


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
    return [node.id for node in graph.nodes.values() if labels and _is_at(node, step, labels)]


def _is_at(node: Node, step: str, labels: dict[str, str]) -> bool:
    return node.kind == "activity" and any(
        labels.items() <= labels_of(key, step).items()
        for key in node.keys
        if key.startswith(f"{step}[")
    )


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
