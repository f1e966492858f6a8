"""How the significance of the pixels of a map is distributed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.base import StepContext
from gpwf.steps.plots.style import COLORS, GREY, new_figure, put_legend, put_title, style_axes
from gpwf.steps.plots.tables import made_by

__all__ = ["draw_distribution", "significance_distribution"]

_COLUMNS = 3
_TAG = "excess-map' or 'residuals"


def significance_distribution(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Return the figure of kind ``significance-distribution``.

    Raises
    ------
    StepError
        Where the two tables are not of one map.
    """
    (table,) = made_by(_TAG, "significance-distribution", inputs["distribution"], ctx.step)
    summary = inputs["summary"]
    known = {"e_min", "mean", "std", "n_pixels"} <= set(summary.colnames)
    if not known or sorted(set(table["e_min"])) != sorted(summary["e_min"]):
        raise StepError(
            f"{ctx.step}: the inputs 'distribution' and 'summary' do not belong together",
            hint="connect both with one step 'excess-map' or 'residuals'",
        )
    return draw_distribution(table, summary, title=settings.title)


def draw_distribution(table: Any, summary: Any, *, title: str) -> Any:
    """Draw histograms of significance, a panel per energy bin.

    Parameters
    ----------
    table : `astropy.table.Table`
        Numbers of pixels in bins of significance, ``n_usable`` of them outside of sources and
        ``n_excluded`` inside.
    summary : `astropy.table.Table`
        Mean and standard deviation outside of sources, a row per energy bin.
    title : str
        Title above the first panel, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
        With the normal distribution of this mean and standard deviation, and that of mean 0 and
        standard deviation 1, both times the pixels outside of sources and the width of the bins.
    """
    count = len(summary)
    columns = min(math.ceil(math.sqrt(count)), _COLUMNS)
    rows = math.ceil(count / columns)
    figure = new_figure(height=4.6 if count == 1 else 0.5 + 6.6 / columns * rows)
    all_axes = []
    for number, row in enumerate(summary):
        axes = figure.add_subplot(rows, columns, number + 1)
        _draw(axes, table[table["e_min"] == row["e_min"]], row, small=count > 1)
        if number % columns == 0:
            axes.set_ylabel("Pixels per bin")
        if number + columns >= count:
            axes.set_xlabel(
                "Significance [standard deviations]" if columns < 3 else "Significance [std. dev.]"
            )
        style_axes(axes)
        all_axes.append(axes)
    if count == 1:
        put_legend(all_axes[0], loc="upper right")
    else:
        handles = all_axes[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    if title:
        put_title(all_axes[0], title)
    return figure


def _draw(axes: Any, bins: Any, row: Any, *, small: bool) -> None:
    """Draw the histograms and curves of one energy bin."""
    import numpy as np
    from scipy.stats import norm

    edges = np.append(bins["low"], bins["high"][-1])
    off = np.asarray(bins["n_usable"], float)
    everything = off + np.asarray(bins["n_excluded"], float)
    if everything.sum() > off.sum():
        axes.stairs(everything, edges, color=GREY, linewidth=1.2, label="all pixels")
    axes.stairs(
        off, edges, color=COLORS[0], fill=True, alpha=0.35, linewidth=0, label="outside of sources"
    )
    axes.stairs(off, edges, color=COLORS[0], linewidth=1.2)
    filled = np.flatnonzero(everything)
    low, high = -5.0, 5.0
    if filled.size:
        low = min(low, float(edges[filled[0]]) - 0.5)
        high = max(high, float(edges[filled[-1] + 1]) + 0.5)
    x = np.linspace(low, high, 400)
    scale = off.sum() * float(edges[1] - edges[0])
    mean, std = float(row["mean"]), float(row["std"])
    text = f"{row['e_min']:.3g}\N{EN DASH}{row['e_max']:.3g} TeV"
    if std > 0:
        curve = scale * norm.pdf(x, mean, std)
        axes.plot(x, curve, color=COLORS[1], linewidth=1.6, label="normal, fitted")
        shown = f"{round(mean, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")
        text += "\n" + rf"$\mu$ = {shown}, $\sigma$ = {std:.2f}"
    axes.plot(
        x, scale * norm.pdf(x), color="black", linestyle=":", label=r"normal, $\mu=0, \sigma=1$"
    )
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=8.5 if small else 9.5)
    axes.set_yscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(0.5, 20 * max(1.0, float(everything.max())))
