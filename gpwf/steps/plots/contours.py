"""Contours of pairs of parameters: one panel per pair, several fits on top of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.plots.profile import parameter_label
from gpwf.steps.plots.style import COLORS, GREY, MARKERS, new_figure, style_axes
from gpwf.steps.plots.tables import labels, made_by

__all__ = ["contours", "draw_contours"]

_STYLES = ("-", "--", ":", "-.")
# small, since contours are
_BEST: dict[str, Any] = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.6}


def contours(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``contours``."""
    tables = made_by("contours", "contours", inputs["contours"], ctx.step)
    names = labels(ctx, "contours", len(tables), settings.names)
    return draw_contours(tables, names, title=settings.title)


def draw_contours(contours: Sequence[Any], names: Sequence[str], *, title: str) -> Any:
    """Draw contours with their best fits.

    Parameters
    ----------
    contours : sequence of `astropy.table.Table`
        What `contours` made, each in a colour of its own.
    names : sequence of str
        What each is of, for the legend; empty texts where there is one.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    pairs = list(
        dict.fromkeys((pair["x"], pair["y"]) for table in contours for pair in table.meta["pairs"])
    )
    columns = 1 if len(pairs) == 1 else 2
    rows = -(-len(pairs) // columns)
    figure = new_figure(height=4.8 if columns == 1 else 0.4 + 3.1 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(pairs) :]:
        axes.remove()
    for number, (axes, pair) in enumerate(zip(panels, pairs, strict=False)):
        _draw_pair(axes, contours, pair, few=columns == 1)
        style_axes(axes, title if number == 0 else "")
    _put_legend(figure, panels[0], contours, names)
    return figure


def _put_legend(figure: Any, first: Any, contours: Sequence[Any], names: Sequence[str]) -> None:
    """Explain colours and lines: in the only panel where little is to say, else below all."""
    from matplotlib.lines import Line2D

    several = len(contours) > 1
    handles = [
        Line2D(
            [], [], color=COLORS[number % len(COLORS)], marker=_marker(number), label=name, **_BEST
        )
        for number, name in enumerate(names)
        if several
    ]
    color = GREY if several else COLORS[0]
    most = max((table.meta for table in contours), key=lambda meta: len(meta["levels"]))
    handles += [
        Line2D(
            [],
            [],
            color=color,
            linestyle=_STYLES[number % len(_STYLES)],
            label=_label(level, joint=most["joint"]),
        )
        for number, level in enumerate(most["levels"])
    ]
    if not several:
        handles.append(
            Line2D([], [], color=color, marker=_marker(0), ls="none", label="best fit", **_BEST)
        )
    if len(figure.axes) == 1 and len(handles) < 5:
        first.legend(handles=handles, fontsize=9, frameon=False, loc="best")
    else:
        figure.legend(
            handles=handles,
            fontsize=9,
            frameon=False,
            loc="outside lower center",
            ncols=min(len(handles), 4),
        )


def _marker(number: int) -> str:
    """Return the marker that a figure of spectra has for the same number."""
    return MARKERS[number % len(MARKERS)]


def _draw_pair(axes: Any, contours: Sequence[Any], pair: tuple[str, str], *, few: bool) -> None:
    """Draw one panel, in the units of the first table that has the pair."""
    import numpy as np
    from matplotlib.ticker import MaxNLocator

    found = [
        (number, table, facts)
        for number, table in enumerate(contours)
        for facts in table.meta["pairs"]
        if (facts["x"], facts["y"]) == pair
    ]
    first = found[0][1]
    units = [first[name].unit for name in pair]
    values = [
        np.concatenate([_values(table, facts, name, unit) for _, table, facts in found])
        for name, unit in zip(pair, units, strict=True)
    ]
    labels, scales = zip(
        *(parameter_label(*item) for item in zip(pair, units, values, strict=True)), strict=True
    )
    for number, table, facts in found:
        _draw_one(axes, table, facts, units, scales, number)
    axes.set_xlabel(labels[0])
    # in a small panel the unit has a line of its own
    axes.set_ylabel(labels[1] if few else labels[1].replace("  $[", "\n$["))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6 if few else 4))


def _values(table: Any, facts: Any, name: str, unit: Any, n_sigma: float | None = None) -> Any:
    """Return the points of a pair, of one contour or of all, in a unit."""
    from astropy import units as u

    rows = table["pair"] == facts["pair"]
    if n_sigma is not None:
        rows &= table["n_sigma"] == n_sigma
    column = table[name][rows]
    factor = 1.0 if unit is None else u.Unit(column.unit).to(unit)
    return column.data.astype(float) * factor


def _draw_one(axes: Any, table: Any, facts: Any, units: Any, scales: Any, number: int) -> None:
    """Draw the contours of one fit."""
    from astropy import units as u

    color = COLORS[number % len(COLORS)]
    names = (facts["x"], facts["y"])
    axis = list(zip(names, units, scales, strict=True))
    for level, item in enumerate(table.meta["levels"]):
        x, y = (
            _values(table, facts, label, unit, item["n_sigma"]) * scale
            for label, unit, scale in axis
        )
        axes.fill(x, y, color=color, alpha=0.13, linewidth=0, zorder=1)
        axes.plot(
            x,
            y,
            color=color,
            linestyle=_STYLES[level % len(_STYLES)],
            linewidth=1.4,
            zorder=2,
        )
    best = [
        facts[f"{letter}_best"]
        * scale
        * (1.0 if unit is None else u.Unit(table[label].unit).to(unit))
        for letter, (label, unit, scale) in zip("xy", axis, strict=True)
    ]
    axes.plot(
        *best,
        marker=_marker(number),
        linestyle="none",
        color=color,
        zorder=3,
        **_BEST,
    )


def _label(level: dict[str, Any], *, joint: bool) -> str:
    """Return what the legend says of a contour."""
    text = rf"{level['n_sigma']:g}$\sigma$"
    return f"{text} ({100 * level['confidence']:.3g}%)" if joint else f"{text} of each alone"
