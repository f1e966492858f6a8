"""Order and reach in a graph; the only place that knows networkx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

__all__ = ["ancestors", "descendants", "find_cycle", "topological_order"]


def _graph(edges: Mapping[str, Iterable[str]]) -> nx.DiGraph[str]:
    """Return the graph of ``{node: its upstream nodes}``."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(edges)
    for node, upstream in edges.items():
        graph.add_edges_from((item, node) for item in upstream)
    return graph


def topological_order(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes so that upstream comes first, ties in the order of the mapping.

    Parameters
    ----------
    edges : mapping of str to iterable of str
        Upstream nodes of every node.

    Raises
    ------
    ValueError
        Where there is a cycle; `find_cycle` names it.
    """
    position = {node: index for index, node in enumerate(edges)}
    try:
        return list(nx.lexicographical_topological_sort(_graph(edges), key=position.__getitem__))
    except nx.NetworkXUnfeasible:
        cycle = " → ".join(find_cycle(edges))
        raise ValueError(f"the steps form a cycle: {cycle}") from None


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the nodes of one cycle, the first repeated at the end; empty where there is none."""
    try:
        found = nx.find_cycle(_graph(edges))
    except nx.NetworkXNoCycle:
        return []
    return [found[0][0], *(edge[1] for edge in found)]


def ancestors(edges: Mapping[str, Iterable[str]], nodes: Sequence[str]) -> set[str]:
    """Return the nodes and all that they depend on."""
    graph = _graph(edges)
    return set(nodes).union(*(nx.ancestors(graph, node) for node in nodes))


def descendants(edges: Mapping[str, Iterable[str]], nodes: Sequence[str]) -> set[str]:
    """Return the nodes and all that depends on them."""
    graph = _graph(edges)
    return set(nodes).union(*(nx.descendants(graph, node) for node in nodes))
