"""Events over their squared distance from a source."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.plots.style import (
    COLORS,
    GREY,
    marker_size,
    new_figure,
    put_legend,
    style_axes,
)
from gpwf.steps.plots.tables import made_by

__all__ = ["draw_theta2", "theta2"]


def theta2(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Return the figure of kind ``theta2``."""
    (table,) = made_by("theta2", "theta2", inputs["distribution"], ctx.step)
    return draw_theta2(table, title=settings.title)


def draw_theta2(table: Any, *, title: str) -> Any:
    """Draw ON counts as points, and the background expected from OFF counts as a band.

    Parameters
    ----------
    table : `astropy.table.Table`
        What `theta2` made.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
        Errors are the roots of the counts, those of the background times alpha.
    """
    import numpy as np

    figure = new_figure()
    axes = figure.add_subplot()
    edges = np.append(table["theta2_min"], table["theta2_max"][-1])
    on, off = np.asarray(table["counts"], float), np.asarray(table["counts_off"], float)
    alpha = np.asarray(table["alpha"])
    background, error = alpha * off, alpha * np.sqrt(off)
    _draw_counts(axes, edges, on, (background, error), _off_label(alpha[0]))
    cut = table.meta["cut"]
    axes.axvline(
        cut["theta_cut"] ** 2,
        color=GREY,
        linestyle="--",
        linewidth=1.2,
        zorder=1,
        label=_cut_label(cut),
    )
    axes.set_xlim(0, edges[-1])
    tops = np.maximum(on + np.sqrt(on), background + error)
    right = tops[edges[1:] > 0.5 * edges[-1]].max()  # below the legend
    axes.set_ylim(0, max(1.08 * tops.max(), 1.65 * right, 1.0))
    axes.set_xlabel(r"$\theta^2$  [deg$^2$]")
    axes.set_ylabel("Events per bin")
    style_axes(axes, title)
    put_legend(axes, loc="upper right")
    return figure


def _draw_counts(axes: Any, edges: Any, on: Any, expected: tuple[Any, Any], label: str) -> None:
    """Draw ON counts, and the expected background with its error."""
    import numpy as np

    background, error = expected
    color = COLORS[1]
    axes.stairs(
        background + error,
        edges,
        baseline=np.maximum(background - error, 0),
        fill=True,
        color=color,
        alpha=0.25,
        linewidth=0,
    )
    axes.errorbar(
        (edges[1:] + edges[:-1]) / 2,
        on,
        xerr=np.diff(edges) / 2,
        yerr=np.sqrt(on),
        linestyle="none",
        marker="o",
        markersize=marker_size(len(on)),
        linewidth=1.2,
        color=COLORS[0],
        zorder=3,
        label="ON",
    )
    axes.stairs(background, edges, baseline=None, color=color, linewidth=1.5, label=label)


def _off_label(alpha: float) -> str:
    return "OFF" if alpha == 1 else rf"OFF $\times$ {alpha:.3g}"


def _cut_label(cut: Mapping[str, Any]) -> str:
    """Return counts and significance within the cut."""
    lines = [
        rf"$\theta <$ {cut['theta_cut']:.3g} deg:",
        f"ON {cut['counts']:.0f}, OFF {cut['counts_off']:.0f}, "
        rf"$\alpha$ = {cut['alpha']:.3g}",
        f"excess {cut['excess']:.1f}".replace("-", "\N{MINUS SIGN}"),
    ]
    if math.isfinite(cut["sqrt_ts"]):
        sigma = f"{cut['sqrt_ts']:.1f}".replace("-", "\N{MINUS SIGN}")
        lines[-1] += rf", {sigma} $\sigma$ (Li & Ma)"
    return "\n".join(lines)
