"""Sensitivity: the lowest flux that would be detected, over energy; several curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.plots.style import (
    COLORS,
    GREY,
    energy_axis,
    marker_size,
    new_figure,
    put_legend,
    style_axes,
)
from gpwf.steps.plots.tables import labels, made_by

__all__ = ["curve_look", "curve_names", "draw_sensitivity", "sensitivity"]

_MARKERS = {"significance": "o", "gamma": "^", "bkg": "s"}
_WORDS = {
    "significance": "significance decides",
    "gamma": "number of gamma rays decides",
    "bkg": "uncertainty of the background decides",
}
_LINES = ("-", "--", ":", "-.")


def sensitivity(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``sensitivity``."""
    tables = made_by("sensitivity", "sensitivity", inputs["sensitivity"], ctx.step)
    names = curve_names(tables, labels(ctx, "sensitivity", len(tables)))
    return draw_sensitivity(tables, names, title=settings.title)


def curve_names(tables: Sequence[Any], found: Sequence[str]) -> list[str]:
    """Return what tells curves apart in a legend.

    Parameters
    ----------
    tables : sequence of `astropy.table.Table`
        With ``label`` and, perhaps, ``livetime_h`` in their metadata.
    found : sequence of str
        Names where there are no labels: values of axes, or numbers.

    Returns
    -------
    names : list of str
        The labels, where each has one of its own; else the live times, where they differ; else
        those found.
    """
    given = [str(table.meta.get("label") or "") for table in tables]
    if all(given) and len(set(given)) == len(given):
        return given
    times = [table.meta.get("livetime_h") for table in tables]
    if None not in times and len(set(times)) == len(times):
        return [_time(time) for time in times]
    return [
        f"{label} ({name})" if label else name for label, name in zip(given, found, strict=True)
    ]


def _time(hours: float) -> str:
    return f"{hours:.3g} h" if hours >= 0.5 else f"{hours * 60:.3g} min"


def curve_look(number: int) -> dict[str, str]:
    """Return colour and line of a curve; lines change where the colours begin again."""
    return {
        "color": COLORS[number % len(COLORS)],
        "linestyle": _LINES[number // len(COLORS) % len(_LINES)],
    }


def draw_sensitivity(tables: Sequence[Any], names: Sequence[str], *, title: str) -> Any:
    """Draw sensitivities over energy.

    Parameters
    ----------
    tables : sequence of `astropy.table.Table`
        What `sensitivity` made, a curve for each. Bins in which nothing is reached leave a gap.
    names : sequence of str
        For the legend; empty texts for none.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    import numpy as np

    figure = new_figure()
    axes = figure.add_subplot()
    criteria: set[str] = set()
    low, high, values = [], [], []
    for number, (table, name) in enumerate(zip(tables, names, strict=True)):
        criteria |= _draw(axes, table, name, number)
        reached = np.isfinite(table["e2dnde"])
        low.append(float(table["e_min"].quantity.to_value("TeV")[reached].min()))
        high.append(float(table["e_max"].quantity.to_value("TeV")[reached].max()))
        values.append(_flux(table)[reached])
    energy_axis(axes, min(low) / 1.25, max(high) * 1.25)
    axes.set_yscale("log")
    flat = np.concatenate(values)
    columns = 2 if len(tables) > 4 else 1
    rows = (len(tables) + len(criteria)) / columns
    room = (flat.max() / flat.min()) ** (0.075 * rows)  # for the legend, above the curves
    axes.set_ylim(flat.min() / 2, flat.max() * 1.5 * max(room, 1.6))
    unit = r"\mathrm{erg}\,\mathrm{cm}^{-2}\,\mathrm{s}^{-1}"
    axes.set_ylabel(rf"$E^2\,\mathrm{{d}}N/\mathrm{{d}}E$  $[{unit}]$")
    _explain(axes, criteria)
    style_axes(axes, title)
    put_legend(axes, ncols=columns)
    return figure


def _flux(table: Any) -> Any:
    return table["e2dnde"].quantity.to_value("erg cm-2 s-1")


def _draw(axes: Any, table: Any, name: str, number: int) -> set[str]:
    """Draw one curve; return what decides in its bins."""
    import numpy as np

    look = curve_look(number)
    energy, flux = table["e_ref"].quantity.to_value("TeV"), _flux(table)
    low = energy - table["e_min"].quantity.to_value("TeV")
    high = table["e_max"].quantity.to_value("TeV") - energy
    axes.plot(energy, flux, linewidth=1.2, zorder=2, label=name.replace("$", r"\$"), **look)
    criterion = np.asarray(table["criterion"]).astype(str)
    found = set()
    for kind, marker in _MARKERS.items():
        use = (criterion == kind) & np.isfinite(flux)
        if not use.any():
            continue
        found.add(kind)
        axes.errorbar(
            energy[use],
            flux[use],
            xerr=[low[use], high[use]],
            marker=marker,
            markersize=marker_size(len(table)),
            linestyle="none",
            color=look["color"],
            linewidth=1.0,
            zorder=3,
        )
    return found


def _explain(axes: Any, criteria: set[str]) -> None:
    """Say in the legend what the markers mean, where there are several."""
    for kind, marker in _MARKERS.items():
        if kind in criteria and len(criteria) > 1:
            axes.plot(
                [],
                [],
                linestyle="none",
                marker=marker,
                markersize=5,
                color=GREY,
                label=_WORDS[kind],
            )
