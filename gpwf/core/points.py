"""Points of a scatter: tuples of positions on axes, joined by index.

A table of points has axes and rows; joining two tables matches rows that agree on the axes that
both have, as a natural join of relations does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import chain
from operator import itemgetter

__all__ = ["Point", "Points", "group", "join", "join_size", "project", "projector", "union"]

Point = tuple[int, ...]


class Points:
    """Rows of positions on named axes.

    Parameters
    ----------
    axes : tuple of str
        Names of the axes.
    rows : sequence of tuple of int
        One position per axis.
    """

    __slots__ = ("axes", "rows")

    def __init__(self, axes: tuple[str, ...] = (), rows: Sequence[Point] = ((),)) -> None:
        self.axes = axes
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)


def projector(axes: Sequence[str], wanted: Sequence[str]) -> Callable[[Point], Point]:
    """Return the function that takes some positions out of a row.

    Parameters
    ----------
    axes : sequence of str
        Axes of the rows.
    wanted : sequence of str
        Axes of the result; each is one of ``axes``.
    """
    at = [axes.index(name) for name in wanted]
    if at == list(range(len(axes))):
        return _same
    if not at:
        return _nothing
    if len(at) == 1:
        position = at[0]
        return lambda row: (row[position],)
    getter: Callable[[Point], Point] = itemgetter(*at)
    return getter


def _same(row: Point) -> Point:
    return row


def _nothing(row: Point) -> Point:  # noqa: ARG001  (a projector takes a row)
    return ()


def project(points: Points, wanted: Sequence[str]) -> Points:
    """Return the distinct rows on some of the axes, in the order of their first appearance."""
    take = projector(points.axes, wanted)
    if take is _same:
        return points
    return Points(tuple(wanted), list(dict.fromkeys(map(take, points.rows))))


def _shared(one: Points, two: Points) -> tuple[str, ...]:
    return tuple(name for name in one.axes if name in two.axes)


def join_size(one: Points, two: Points) -> int:
    """Return how many rows `join` would give, without making them."""
    shared = _shared(one, two)
    if not shared:
        return len(one) * len(two)
    counts: dict[Hashable, int] = {}
    for key in map(projector(two.axes, shared), two.rows):
        counts[key] = counts.get(key, 0) + 1
    return sum(counts.get(key, 0) for key in map(projector(one.axes, shared), one.rows))


def join(one: Points, two: Points) -> Points:
    """Return the rows of two tables that agree on the axes that both have.

    The rows keep the order of ``one``; the new axes of ``two`` vary fastest.
    """
    if one.axes == two.axes and one.rows is two.rows:
        return one
    shared = _shared(one, two)
    new = tuple(name for name in two.axes if name not in one.axes)
    rest = projector(two.axes, new)
    index: dict[Point, list[Point]] = {}
    key_of = projector(two.axes, shared)
    for row in two.rows:
        index.setdefault(key_of(row), []).append(rest(row))
    key_of = projector(one.axes, shared)
    if not new:
        if len(index) == len(one) and all(key_of(row) in index for row in one.rows):
            return one
        return Points(one.axes, [row for row in one.rows if key_of(row) in index])
    rows = [row + more for row in one.rows for more in index.get(key_of(row), ())]
    return Points(one.axes + new, rows)


def group(points: Points, kept: Sequence[str]) -> dict[Point, list[int]]:
    """Return the positions of the rows by what they have on some of the axes."""
    found: dict[Point, list[int]] = {}
    for number, key in enumerate(map(projector(points.axes, kept), points.rows)):
        found.setdefault(key, []).append(number)
    return found


def union(axes: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the axes of several tables, each once, in order."""
    return tuple(dict.fromkeys(chain.from_iterable(axes)))
