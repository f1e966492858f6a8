"""What a figure must have: labels with units, texts that do not overlap, limits as arrows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

__all__ = ["check", "legend_of", "n_arrows"]

_UNIT = re.compile(
    r"\[.+\]|Time \(UTC\)|per bin|statistic|model|crab\.index|\(|Counts"
    r"|^(Right ascension|Declination|Galactic.*|\s+)$"
)


def check(figure: Any, name: str) -> None:
    """Draw a figure and look for what readers stumble over.

    With the variable ``FIGURES`` it is saved in that folder, for people to look at.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    folder = os.environ.get("FIGURES")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        figure.savefig(Path(folder) / f"{name}.png", dpi=100)
    renderer = canvas.get_renderer()
    for axes in figure.axes:
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert not label or _UNIT.search(label), f"{name}: {label!r} has no unit"
        for axis in (axes.xaxis, axes.yaxis):
            boxes = list(_boxes(axis.get_ticklabels(which="both"), renderer))
            for (one, first), (two, second) in combinations(boxes, 2):
                assert not _overlap(first, second), f"{name}: {one!r} lies over {two!r}"
    labelled = [axes for axes in figure.axes if axes.get_ylabel()]
    assert labelled, f"{name}: no axis says what it is"
    assert any(axes.get_xlabel() for axes in figure.axes), name
    page = figure.bbox
    texts = [*figure.texts, *(axes.title for axes in figure.axes)]
    texts += [item for axes in figure.axes for item in (axes.xaxis.label, axes.yaxis.label)]
    legends = [item for item in (legend(axes) for axes in figure.axes) if item is not None]
    texts += [text for item in [*legends, *figure.legends] for text in item.get_texts()]
    for text, box in _boxes(texts, renderer):
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"{name}: {text!r} does not fit on the page"
    entries = [
        box for item in [*legends, *figure.legends] for box in _boxes(item.get_texts(), renderer)
    ]
    for (one, first), (two, second) in combinations(entries, 2):
        assert not _overlap(first, second), f"{name}: {one!r} lies over {two!r} in the legend"


def legend(axes: Any) -> Any:
    return axes.get_legend()


def legend_of(figure: Any) -> list[str]:
    """Return the entries of all legends."""
    found = [item for item in (axes.get_legend() for axes in figure.axes) if item is not None]
    return [text.get_text() for item in [*found, *figure.legends] for text in item.get_texts()]


def n_arrows(figure: Any) -> int:
    """Return how many upper limits have a downward arrow."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import FancyArrowPatch

    lines = [item for axes in figure.axes for item in axes.lines if isinstance(item, Line2D)]
    carets = [item for item in lines if item.get_marker() in (6, 7, "v", "$\\downarrow$", 10, 11)]
    points = sum(len(item.get_xdata()) for item in carets if len(item.get_xdata()))
    patches = sum(
        isinstance(item, FancyArrowPatch) for axes in figure.axes for item in axes.patches
    )
    return points + patches + sum(_quivers(axes) for axes in figure.axes)


def _quivers(axes: Any) -> int:
    from matplotlib.quiver import Quiver

    return sum(item.N for item in axes.collections if isinstance(item, Quiver))


def _boxes(texts: Any, renderer: Any) -> Iterator[tuple[str, Any]]:
    for text in texts:
        if text.get_visible() and text.get_text().strip():
            yield text.get_text(), text.get_window_extent(renderer)


def _overlap(one: Any, two: Any) -> bool:
    """Return True where two boxes share more than an edge."""
    width = min(one.x1, two.x1) - max(one.x0, two.x0)
    height = min(one.y1, two.y1) - max(one.y0, two.y0)
    same = abs(one.x0 - two.x0) < 1e-6 and abs(one.y0 - two.y0) < 1e-6  # drawn twice
    return width > 1 and height > 1 and not same
