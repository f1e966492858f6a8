"""Layered layout of a directed graph, in plain Python, so that a picture needs no Graphviz.

The steps are those of Sugiyama, Tagawa and Toda (1981, IEEE Trans. SMC 11, 109): layers by the
longest path, order in the layers by barycentres, positions as near to the neighbours as the
distances allow (isotonic regression by pooling adjacent violators).
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Arrangement", "Box", "Layout", "arrange", "is_wide", "lay_out"]

_SWEEPS = 12
_GAP_ACROSS = 22.0
_GAP_ALONG = 46.0
_WIDE = 6  # nodes in a layer from which the picture runs from left to right

_Neighbours = tuple[dict[str, list[str]], dict[str, list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A placed node: centre and size in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Placed nodes and the points that each edge passes, in pixels from the top left."""

    boxes: Mapping[str, Box]
    paths: Sequence[Sequence[tuple[float, float]]]
    width: float
    height: float
    horizontal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """The order of a graph without any sizes: what to draw beside what.

    Parameters
    ----------
    layers : list of list of str
        Nodes and bends, from the first layer to the last; names of bends begin with NUL.
    chains : list of list of str
        Per edge: the nodes and bends it runs through, against its direction where it closes a
        ring.
    horizontal : bool
        True where the layers are better drawn from left to right.
    """

    layers: list[list[str]]
    chains: list[list[str]]
    horizontal: bool


def arrange(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> Arrangement:
    """Order the nodes of a graph, for whoever knows their sizes only later.

    Parameters
    ----------
    names : sequence of str
        Nodes.
    edges : sequence of (str, str)
        Source and target; rings are broken where they close.
    """
    forward = _without_rings(names, edges)
    rank = _ranks(names, forward)
    layers, chains, _ = _ordered_layers(rank, forward, {})
    return Arrangement(layers=layers, chains=chains, horizontal=_is_wide(rank))


def is_wide(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a graph is better drawn from left to right: many nodes side by side."""
    return _is_wide(_ranks(names, _without_rings(names, edges)))


def _is_wide(rank: Mapping[str, int]) -> bool:
    return max(Counter(rank.values()).values(), default=0) >= _WIDE


def _ordered_layers(
    rank: Mapping[str, int], forward: Sequence[tuple[str, str]], across: dict[str, float]
) -> tuple[list[list[str]], list[list[str]], _Neighbours]:
    layers, chains = _layers_with_bends(rank, forward, across)
    neighbours = _neighbours(chains)
    branches = [list(layer) for layer in layers]
    _follow_branches(branches, neighbours)
    layers = min(
        (_ordered(start, neighbours) for start in (layers, branches)),
        key=lambda found: _crossings(found, neighbours[1]),
    )
    return layers, chains, neighbours


def lay_out(sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]]) -> Layout:
    """Place the nodes of a graph.

    Parameters
    ----------
    sizes : mapping of str to (float, float)
        Width and height of each node in pixels.
    edges : sequence of (str, str)
        Source and target; rings are broken where they close.

    Returns
    -------
    Layout
        From top to bottom, or from left to right where a layer holds many nodes.
    """
    forward = _without_rings(list(sizes), edges)
    rank = _ranks(list(sizes), forward)
    horizontal = _is_wide(rank)
    across = {name: size[1] if horizontal else size[0] for name, size in sizes.items()}
    along = {name: size[0] if horizontal else size[1] for name, size in sizes.items()}
    layers, chains, neighbours = _ordered_layers(rank, forward, across)
    position = _positions(layers, neighbours, across)
    centre = _depths(layers, along)
    return _assemble(sizes, edges, forward, chains, position, centre, layers, horizontal)


def _without_rings(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the edges with those that close a ring turned round; loops stay as they are."""
    targets: dict[str, list[int]] = defaultdict(list)
    for number, (source, _) in enumerate(edges):
        targets[source].append(number)
    result = list(edges)
    colour: dict[str, int] = {}
    for root in names:
        if root in colour:
            continue
        colour[root] = 1
        stack = [(root, iter(targets[root]))]
        while stack:
            node, numbers = stack[-1]
            following = next(numbers, None)
            if following is None:
                colour[node] = 2
                stack.pop()
                continue
            target = edges[following][1]
            if colour.get(target) == 1 and target != node:
                result[following] = (target, node)
            elif target not in colour:
                colour[target] = 1
                stack.append((target, iter(targets[target])))
    return result


def _ranks(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the layer of every node; sources move down to where they are used."""
    targets: dict[str, list[str]] = defaultdict(list)
    waiting: dict[str, int] = dict.fromkeys(names, 0)
    for source, target in edges:
        if source != target:
            targets[source].append(target)
            waiting[target] += 1
    rank = dict.fromkeys(names, 0)
    sources = [name for name in names if not waiting[name]]
    todo = list(sources)
    for name in todo:
        for target in targets[name]:
            rank[target] = max(rank[target], rank[name] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                todo.append(target)
    for name in sources:
        if targets[name]:
            rank[name] = max(0, min(rank[target] for target in targets[name]) - 1)
    return rank


def _layers_with_bends(
    rank: Mapping[str, int], edges: Sequence[tuple[str, str]], across: dict[str, float]
) -> tuple[list[list[str]], list[list[str]]]:
    """Return the layers and, per edge, the chain of nodes and bends it runs through."""
    layers: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for name, level in rank.items():
        layers[level].append(name)
    chains: list[list[str]] = []
    for number, (source, target) in enumerate(edges):
        chain = [source]
        for level in range(rank[source] + 1, rank[target]):
            bend = f"\0{number}/{level}"
            across[bend] = 8.0
            layers[level].append(bend)
            chain.append(bend)
        chain.append(target)
        chains.append(chain)
    return layers, chains


def _neighbours(chains: Sequence[Sequence[str]]) -> _Neighbours:
    above: dict[str, list[str]] = defaultdict(list)
    below: dict[str, list[str]] = defaultdict(list)
    for chain in chains:
        for first, second in itertools.pairwise(chain):
            if first != second:
                below[first].append(second)
                above[second].append(first)
    return above, below


def _follow_branches(layers: list[list[str]], neighbours: _Neighbours) -> None:
    """Put what hangs together side by side: a good start for the sweeps."""
    above, below = neighbours
    place: dict[str, int] = {}
    for root in (name for layer in layers for name in layer):
        stack = [root]
        while stack:
            name = stack.pop()
            if name not in place:
                place[name] = len(place)
                # A node comes once all that leads to it is there, or with its last cause.
                stack += [item for item in reversed(below[name]) if item not in place]
                stack += [item for item in reversed(above[name]) if item not in place]
    for layer in layers:
        layer.sort(key=lambda name: place[name])


def _ordered(layers: list[list[str]], neighbours: _Neighbours) -> list[list[str]]:
    """Return the layers ordered by the mean place of the neighbours, the best of the sweeps."""
    above, below = neighbours
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        # Places are parts of the layer's length, so that those of any two layers compare.
        place = {name: (n + 0.5) / len(layer) for layer in layers for n, name in enumerate(layer)}
        for layer in layers if down else reversed(layers):
            weight = {}
            for name in layer:
                near = (above[name] or below[name]) if down else (below[name] or above[name])
                places = [place[other] for other in near]
                weight[name] = sum(places) / len(places) if places else place[name]
            layer.sort(key=weight.__getitem__)
            place.update((name, (n + 0.5) / len(layer)) for n, name in enumerate(layer))
        for _ in range(4):
            _exchange(layers, neighbours)
        count = _crossings(layers, below)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    return best


def _exchange(layers: list[list[str]], neighbours: _Neighbours) -> None:
    """Exchange pairs side by side where that saves crossings with the layers above and below."""
    for number, layer in enumerate(layers):
        fixed = []
        for side, other in ((neighbours[0], number - 1), (neighbours[1], number + 1)):
            if 0 <= other < len(layers):
                place = {name: n for n, name in enumerate(layers[other])}
                fixed.append({name: [place[x] for x in side[name] if x in place] for name in layer})
        for n in range(len(layer) - 1):
            first, second = layer[n], layer[n + 1]
            now = sum(a > b for ends in fixed for a in ends[first] for b in ends[second])
            then = sum(a < b for ends in fixed for a in ends[first] for b in ends[second])
            if then < now:
                layer[n], layer[n + 1] = second, first


def _crossings(layers: Sequence[Sequence[str]], below: Mapping[str, list[str]]) -> int:
    """Count crossings between neighbouring layers with a binary indexed tree."""
    total = 0
    for upper, lower in itertools.pairwise(layers):
        place = {name: n for n, name in enumerate(lower)}
        ends = [
            end
            for name in upper
            for end in sorted(place[other] for other in below.get(name, ()) if other in place)
        ]
        tree = [0] * (len(lower) + 1)
        for seen, end in enumerate(ends):
            position, smaller = end + 1, 0
            while position:
                smaller += tree[position]
                position -= position & -position
            total += seen - smaller
            position = end + 1
            while position <= len(lower):
                tree[position] += 1
                position += position & -position
    return total


def _positions(
    layers: Sequence[Sequence[str]], neighbours: _Neighbours, across: Mapping[str, float]
) -> dict[str, float]:
    """Return the place of every node across the layers."""
    above, below = neighbours
    position: dict[str, float] = {}
    for layer in layers:
        place = 0.0
        for name in layer:
            position[name] = place + across[name] / 2
            place += across[name] + _GAP_ACROSS
    for sweep in range(2 * _SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = []
            for name in layer:
                near = above[name] if down else below[name]
                near = near or (below[name] if down else above[name])
                places = [position[other] for other in near]
                wanted.append(sum(places) / len(places) if places else position[name])
            for name, place in zip(layer, _spread(layer, wanted, across), strict=True):
                position[name] = place
    left = min((position[name] - across[name] / 2 for name in position), default=0.0)
    return {name: place - left for name, place in position.items()}


def _spread(
    layer: Sequence[str], wanted: Sequence[float], across: Mapping[str, float]
) -> list[float]:
    """Return the places nearest to the wanted ones that keep order and distances."""
    offsets = [0.0]
    for first, second in itertools.pairwise(layer):
        offsets.append(offsets[-1] + (across[first] + across[second]) / 2 + _GAP_ACROSS)
    blocks: list[list[float]] = []  # mean, number of members
    for place, offset in zip(wanted, offsets, strict=False):
        blocks.append([place - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, count = blocks.pop()
            total = blocks[-1][1] + count
            blocks[-1] = [(blocks[-1][0] * blocks[-1][1] + mean * count) / total, total]
    means = [mean for mean, count in blocks for _ in range(int(count))]
    return [mean + offset for mean, offset in zip(means, offsets, strict=False)]


def _depths(layers: Sequence[Sequence[str]], along: Mapping[str, float]) -> list[float]:
    centres, place = [], 0.0
    for layer in layers:
        depth = max((along.get(name, 0.0) for name in layer), default=0.0)
        centres.append(place + depth / 2)
        place += depth + _GAP_ALONG
    return centres


def _assemble(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    forward: Sequence[tuple[str, str]],
    chains: Sequence[Sequence[str]],
    position: Mapping[str, float],
    centre: Sequence[float],
    layers: Sequence[Sequence[str]],
    horizontal: bool,
) -> Layout:
    depth = {name: centre[n] for n, layer in enumerate(layers) for name in layer}
    points = {
        name: (depth[name], position[name]) if horizontal else (position[name], depth[name])
        for name in position
    }
    boxes = {
        name: Box(x=points[name][0], y=points[name][1], width=width, height=height)
        for name, (width, height) in sizes.items()
    }
    paths = []
    for edge, turned, chain in zip(edges, forward, chains, strict=True):
        way = [points[name] for name in chain]
        first, last = boxes[chain[0]], boxes[chain[-1]]
        if horizontal:
            way[0], way[-1] = (
                (first.x + first.width / 2, first.y),
                (last.x - last.width / 2, last.y),
            )
        else:
            way[0], way[-1] = (
                (first.x, first.y + first.height / 2),
                (last.x, last.y - last.height / 2),
            )
        paths.append(way if edge == turned else way[::-1])
    return Layout(
        boxes=boxes,
        paths=paths,
        width=max((box.x + box.width / 2 for box in boxes.values()), default=0.0),
        height=max((box.y + box.height / 2 for box in boxes.values()), default=0.0),
        horizontal=horizontal,
    )
