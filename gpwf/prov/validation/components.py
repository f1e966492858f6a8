"""Strongly connected components and shortest ways of large graphs, without recursion.

References
----------
R. Tarjan, Depth-first search and linear graph algorithms, SIAM J. Comput. 1 (1972) 146.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["components", "cycles_of", "inside", "shortest_way"]


def components(edges: Sequence[Sequence[int]]) -> list[int]:
    """Return the number of the strongly connected component of every node.

    Parameters
    ----------
    edges : sequence of sequence of int
        Where the edges of node 0, 1, … lead to.

    Returns
    -------
    list of int
        A component comes before those that lead to it: numbers fall along edges.
    """
    n = len(edges)
    index, low, component = [-1] * n, [0] * n, [-1] * n
    stack: list[int] = []
    count = n_found = 0
    for root in range(n):
        if index[root] >= 0:
            continue
        work = [(root, 0)]
        while work:
            node, step = work.pop()
            if step == 0:
                index[node] = low[node] = count
                count += 1
                stack.append(node)
            targets = edges[node]
            while step < len(targets):
                target = targets[step]
                step += 1
                if index[target] < 0:
                    work.append((node, step))
                    work.append((target, 0))
                    break
                if component[target] < 0:
                    low[node] = min(low[node], index[target])
            else:
                if low[node] == index[node]:
                    while True:
                        member = stack.pop()
                        component[member] = n_found
                        if member == node:
                            break
                    n_found += 1
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[node])
    return component


def shortest_way(
    edges: Sequence[Sequence[int]], start: int, goal: int, within: Callable[[int], bool]
) -> list[int]:
    """Return the nodes of a shortest way, with both ends; empty where there is none."""
    came: dict[int, int] = {start: start}
    todo = deque([start])
    while todo:
        node = todo.popleft()
        if node == goal:
            way = [node]
            while way[-1] != start:
                way.append(came[way[-1]])
            return way[::-1]
        for target in edges[node]:
            if target not in came and within(target):
                came[target] = node
                todo.append(target)
    return []


def cycles_of(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return one cycle of each component of a graph that has some, first node again at its end.

    Parameters
    ----------
    pairs : iterable of (str, str)
        Edges.
    """
    numbers: dict[str, int] = {}
    edges: list[list[int]] = []
    for start, goal in pairs:
        for name in (start, goal):
            if name not in numbers:
                numbers[name] = len(edges)
                edges.append([])
        edges[numbers[start]].append(numbers[goal])
    found = components(edges)
    members = _members(found)
    names = list(numbers)
    cycles = []
    for number, nodes in members.items():
        first = nodes[0]
        if len(nodes) == 1 and first not in edges[first]:
            continue
        within = inside(found, number)
        target = next(node for node in edges[first] if within(node))
        way = shortest_way(edges, target, first, within)
        cycles.append([names[node] for node in (first, *way)])
    return cycles


def _members(found: Sequence[int]) -> Mapping[int, list[int]]:
    members: dict[int, list[int]] = {}
    for node, number in enumerate(found):
        members.setdefault(number, []).append(node)
    return members


def inside(found: Sequence[int], number: int) -> Callable[[int], bool]:
    """Return the test for being in a component, given those of all nodes."""
    return lambda node: found[node] == number
