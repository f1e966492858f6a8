"""Names of what is marked on maps, written where they cover neither each other nor a mark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpwf.steps.plots.sky import outlined

__all__ = ["Name", "write_names"]

_GAP = 5.0  # points between a mark and its name
_MARK = 4.0  # half the width of a mark in points
_SAME = 8.0  # points: equal names this near are of one source, which is written once

_Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels of the figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name and its mark.

    ``x`` and ``y`` are pixels of the map; ``above`` tells where the name stands if there is room.
    """

    text: str
    x: float
    y: float
    above: bool = False


def write_names(figure: Any, panels: Sequence[Any], names: Sequence[Name], *, small: bool) -> None:
    """Write names beside their marks, on every panel.

    Parameters
    ----------
    figure : `matplotlib.figure.Figure`
        With all of its panels, legends and bars, since these decide how large the panels are.
    panels : sequence of `matplotlib.axes.Axes`
        Images of the same pixels.
    names : sequence of Name
        The first ones have the choice; one for which there is no room is left out.
    small : bool
        Whether the panels are.
    """
    if not names:
        return
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    size = 6.0 if small else 8.5
    extents = _extents(panels[0], names, size)
    for axes in panels:
        _write(axes, names, extents, size)


def _extents(axes: Any, names: Sequence[Name], size: float) -> dict[str, tuple[float, float]]:
    """Return width and height of every text in pixels of the figure."""
    found = {}
    for text in dict.fromkeys(name.text for name in names):
        artist = axes.text(0, 0, text, fontsize=size, parse_math=False)
        box = artist.get_window_extent()
        found[text] = (box.width, box.height)
        artist.remove()
    return found


def _write(
    axes: Any, names: Sequence[Name], extents: dict[str, tuple[float, float]], size: float
) -> None:
    """Write names on one panel."""
    point = axes.figure.dpi / 72
    frame = _box(axes)
    places = [tuple(axes.transData.transform((name.x, name.y))) for name in names]
    taken = [_box(item) for item in (axes.get_legend(), *axes.texts) if item is not None]
    marks = [_around(place, _MARK * point) for place in places]
    written: list[tuple[str, Any]] = []
    for name, place in zip(names, places, strict=True):
        if any(
            text == name.text and _distance(place, other) < _SAME * point for text, other in written
        ):
            continue
        written.append((name.text, place))
        width, height = extents[name.text]
        others = [*taken, *(mark for mark in marks if not _holds(mark, place))]
        for dx, dy in _offsets(width, height, _GAP * point, above=name.above):
            left, low = place[0] + dx, place[1] + dy
            box = (left, low, left + width, low + height)
            if _inside(box, frame) and not any(_overlap(box, other) for other in others):
                _annotate(axes, name, (dx / point, dy / point), size)
                taken.append(box)
                break


def _annotate(axes: Any, name: Name, offset: tuple[float, float], size: float) -> None:
    axes.annotate(
        name.text,
        (name.x, name.y),
        xytext=offset,
        textcoords="offset points",
        va="bottom",
        fontsize=size,
        parse_math=False,
        path_effects=outlined(2),
        zorder=6,
    )


def _offsets(width: float, height: float, gap: float, *, above: bool) -> list[tuple[float, float]]:
    """Return where the lower left corner of a text may be, the best place first."""
    up, down = gap * 0.6, -gap * 0.6 - height
    rows = (up, down) if above else (down, up)
    level = -height / 2
    beside = [(gap, row) for row in rows] + [(-gap - width, row) for row in rows]
    over = [(-width / 2, row + (gap if row > 0 else -gap)) for row in rows]
    return [*beside, (2 * gap, level), (-2 * gap - width, level), *over]


def _box(artist: Any) -> _Box:
    box = artist.get_window_extent()
    return (box.x0, box.y0, box.x1, box.y1)


def _around(place: tuple[float, float], reach: float) -> _Box:
    return (place[0] - reach, place[1] - reach, place[0] + reach, place[1] + reach)


def _holds(box: _Box, place: tuple[float, float]) -> bool:
    return box[0] <= place[0] <= box[2] and box[1] <= place[1] <= box[3]


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(box: _Box, frame: _Box) -> bool:
    return box[0] > frame[0] and box[1] > frame[1] and box[2] < frame[2] and box[3] < frame[3]


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5)
