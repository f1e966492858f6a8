"""Limits on dark matter over its mass: cross section or lifetime, a curve per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.base import StepContext
from gpwf.steps.plots.sensitivity import curve_look
from gpwf.steps.plots.style import (
    GREY,
    energy_axis,
    marker_size,
    new_figure,
    put_legend,
    style_axes,
)
from gpwf.steps.plots.tables import labels, made_by

__all__ = ["dark_matter_limits", "draw_dark_matter_limits"]

_THERMAL = 3e-26  # cm3 s-1, as in gammapy
_CHANNELS = {
    "b": r"$b\bar{b}$",
    "t": r"$t\bar{t}$",
    "c": r"$c\bar{c}$",
    "q": r"$q\bar{q}$",
    "W": r"$W^+W^-$",
    "Z": r"$ZZ$",
    "h": r"$hh$",
    "g": r"$gg$",
    "gamma": r"$\gamma\gamma$",
    "e": r"$e^+e^-$",
    "mu": r"$\mu^+\mu^-$",
    "tau": r"$\tau^+\tau^-$",
    "nu_e": r"$\nu_e\bar{\nu}_e$",
    "nu_mu": r"$\nu_\mu\bar{\nu}_\mu$",
    "nu_tau": r"$\nu_\tau\bar{\nu}_\tau$",
}


def dark_matter_limits(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``dark-matter-limits``."""
    tables = made_by("dark-matter-limits", "dark-matter-limits", inputs["limits"], ctx.step)
    if len({table.meta["process"] for table in tables}) > 1:
        raise StepError(
            f"{ctx.step}: limits of annihilation and of decay do not fit into one figure",
            hint="draw a figure of each",
        )
    names = labels(ctx, "limits", len(tables))
    return draw_dark_matter_limits(tables, names, title=settings.title)


def draw_dark_matter_limits(tables: Sequence[Any], names: Sequence[str], *, title: str) -> Any:
    """Draw limits over the mass.

    Parameters
    ----------
    tables : sequence of `astropy.table.Table`
        What `dark-matter-limits` made, all of one process. Masses without a limit leave a gap.
    names : sequence of str
        What tells the tables apart; empty texts for one.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    import numpy as np

    is_decay = tables[0].meta["process"] == "decay"
    column = "lifetime_ll" if is_decay else "sigma_v_ul"
    figure = new_figure()
    axes = figure.add_subplot()
    curves = [
        (table[np.asarray(table["channel"]) == channel], channel, name)
        for table, name in zip(tables, names, strict=True)
        for channel in dict.fromkeys(str(item) for item in table["channel"])
    ]
    masses, values = [], []
    for number, (part, channel, name) in enumerate(curves):
        x, y = np.asarray(part["mass"], dtype=float), np.asarray(part[column], dtype=float)
        text = " ".join(item for item in (_CHANNELS.get(channel, channel), _plain(name)) if item)
        axes.plot(
            x, y, marker="o", markersize=0.7 * marker_size(len(x)), label=text, **curve_look(number)
        )
        found = np.isfinite(y)
        masses.append(x[found])
        values.append(y[found])
    x, y = np.concatenate(masses), np.concatenate(values)
    if not is_decay:
        axes.axhline(_THERMAL, color=GREY, linestyle=":", linewidth=1.2, label="thermal relic")
        y = np.append(y, _THERMAL)
    energy_axis(axes, x.min() / 1.25, x.max() * 1.25)
    axes.set_xlabel("Mass [TeV]")
    axes.set_yscale("log")
    axes.set_ylim(y.min() / 2.5, y.max() * 4)
    axes.set_ylabel(_label(tables[0], is_decay))
    style_axes(axes, title)
    put_legend(axes, ncols=2 if len(curves) > 3 else 1)
    return figure


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def _label(table: Any, is_decay: bool) -> str:
    """Return the label of the y axis: quantity, confidence and unit."""
    percent = f"{100 * table.meta['confidence']:.3g}%"
    if is_decay:
        return rf"Lifetime, lower limit ({percent})  $[\mathrm{{s}}]$"
    unit = r"[\mathrm{cm}^3\,\mathrm{s}^{-1}]"
    return rf"$\langle\sigma v\rangle$, upper limit ({percent})  ${unit}$"
