"""Profiles of the fit statistic: one panel per parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.plots.style import (
    BAND,
    COLORS,
    GREY,
    marker_size,
    new_figure,
    put_legend,
    style_axes,
)
from gpwf.steps.plots.tables import labels, made_by

__all__ = ["draw_profiles", "parameter_label", "profile"]

_LEVELS = (1, 2, 3, 4, 5)  # sigma


def profile(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``profile``."""
    tables = made_by("scan-parameter", "stat-profile", inputs["profile"], ctx.step)
    names = labels(ctx, "profile", len(tables))
    if len({table.meta["parameter"] for table in tables}) == len(tables):
        names = [""] * len(tables)  # the axes say it
    return draw_profiles(tables, names, title=settings.title)


def draw_profiles(profiles: Sequence[Any], names: Sequence[str], *, title: str) -> Any:
    """Draw the fit statistic along parameters.

    Parameters
    ----------
    profiles : sequence of `astropy.table.Table`
        What `scan-parameter` made, a panel for each.
    names : sequence of str
        What each is of, where the parameter does not say it; else empty texts.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    figure = new_figure(height=0.6 + 3.2 * len(profiles))
    panels = figure.subplots(len(profiles), 1, squeeze=False)[:, 0]
    for number, (axes, profile, name) in enumerate(zip(panels, profiles, names, strict=True)):
        _draw(axes, profile)
        axes.text(
            0.03, 0.06, name, transform=axes.transAxes, fontsize=9.5, color=GREY, parse_math=False
        )
        style_axes(axes, title if number == 0 else "")
        put_legend(axes, loc="upper center", ncols=2)
    figure.align_ylabels(list(panels))
    return figure


def _draw(axes: Any, profile: Any) -> None:
    """Draw one profile, the parabola of the covariance, and the interval of one sigma."""
    import numpy as np

    meta = profile.meta
    column = profile["value"]
    label, scale = parameter_label(meta["parameter"], column.unit, np.asarray(column))
    values = np.asarray(column, dtype=float) * scale
    delta = np.asarray(profile["delta_stat"], dtype=float)
    best, error = meta["best"] * scale, meta["error"] * scale
    top = max(float(delta.max()), 1.2) * 1.35  # room for the legend
    first = meta["intervals"][0]
    ends = [first["min"], first["max"]]
    if None not in ends:
        axes.axvspan(
            *(end * scale for end in ends),
            color=BAND,
            alpha=0.3,
            linewidth=0,
            label=r"1$\sigma$ interval",
        )
    for n_sigma in _LEVELS:
        if n_sigma**2 < 0.75 * top and (n_sigma**2 > 0.03 * top):
            axes.axhline(n_sigma**2, color=GREY, linestyle=":", linewidth=1, zorder=1)
            axes.annotate(
                rf"{n_sigma}$\sigma$",
                (1.005, n_sigma**2),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=9,
                color=GREY,
            )
    if math.isfinite(error) and error > 0:
        fine = np.linspace(values.min(), values.max(), 200)
        axes.plot(
            fine,
            ((fine - best) / error) ** 2,
            color=COLORS[1],
            linestyle="--",
            linewidth=1.2,
            zorder=2,
            label="parabola of the covariance",
        )
    axes.plot(
        values,
        delta,
        marker="o",
        markersize=0.7 * marker_size(len(values)),
        color=COLORS[0],
        linewidth=1.4,
        zorder=3,
        label="profile" if meta["reoptimized"] else "others kept",
    )
    if values.min() <= best <= values.max():
        axes.axvline(best, color=GREY, linewidth=1, zorder=1, label="best fit")
    axes.set_xlim(values.min(), values.max())
    axes.set_ylim(min(0.0, float(delta.min())), top)
    axes.set_xlabel(label)
    axes.set_ylabel(r"$\Delta$ fit statistic")


def parameter_label(name: str, unit: Any, values: Any) -> tuple[str, float]:
    """Return the label of an axis of a parameter, and what its values are multiplied by.

    Parameters
    ----------
    name : str
        Name of the parameter with its model, ``crab.amplitude``.
    unit : `astropy.units.Unit` or None
        Of the values.
    values : array of float
        What is drawn.

    Returns
    -------
    label : str
        With the power of ten that is taken out, and the unit.
    scale : float
        One over that power of ten.
    """
    import numpy as np

    from gpwf.steps.plots.style import power_of_ten

    exponent = power_of_ten(float(np.abs(values).max()))
    if -3 < exponent < 4:
        exponent = 0
    text = name.replace("$", r"\$")  # a name is no formula
    parts = [f"10^{{{exponent}}}"] if exponent else []
    if unit is not None and str(unit):
        parts.append(unit.to_string("latex_inline").strip("$"))
    unit_text = r"\,".join(parts)
    return (f"{text}  $[{unit_text}]$" if parts else text), 10.0**-exponent
