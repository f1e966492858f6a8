"""What all figures share: size, colours that colour-blind readers tell apart, axes with units."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

__all__ = [
    "BAND",
    "COLORS",
    "GREY",
    "MARKERS",
    "draw_limits",
    "energy_axis",
    "error_label",
    "marker_size",
    "new_figure",
    "power_of_ten",
    "put_legend",
    "put_title",
    "style_axes",
]

# Okabe & Ito, Color Universal Design (2008): blue, vermilion, green, purple, orange, sky blue
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# none looks like the head of an arrow; fewer than colours, so that 30 pairs of them differ
MARKERS = "os^DP"
GREY = "#555555"
BAND = "#E69F00"

_WIDTH = 6.4
_FONT = 10.5
_TITLE_WIDTH = 66  # characters that fit above the axes


def new_figure(height: float = 4.5) -> Any:
    """Return an empty `matplotlib.figure.Figure`, one text column wide; ``height`` in inches.

    It is not registered with pyplot, so nothing has to close it.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH, height), layout="constrained")


def style_axes(axes: Any, title: str = "") -> None:
    """Give axes ticks on all sides, readable labels and a title on the left."""
    axes.tick_params(which="both", direction="in", top=True, right=True, labelsize=_FONT - 1)
    axes.tick_params(which="major", length=5)
    axes.tick_params(which="minor", length=3)
    axes.xaxis.label.set_size(_FONT)
    axes.yaxis.label.set_size(_FONT)
    for spine in axes.spines.values():
        spine.set_linewidth(0.8)
    if title:
        put_title(axes, title)


def put_title(axes: Any, title: str) -> None:
    """Write a title above axes, on the left, in as many lines as it needs."""
    lines = textwrap.fill(title, _TITLE_WIDTH)
    text = axes.set_title(lines, loc="left", fontsize=_FONT + 0.5)
    text.set_parse_math(_is_math(lines))


def _is_math(text: str) -> bool:
    """Tell whether matplotlib can draw what is between dollars in every line of a text."""
    from matplotlib.mathtext import MathTextParser

    parser = MathTextParser("path")
    try:
        for line in text.split("\n"):
            if line.count("$") % 2 == 0:
                parser.parse(line)
    except ValueError:
        return False
    return True


def energy_axis(axes: Any, low: float, high: float) -> None:
    """Make the x axis logarithmic in TeV, with plain numbers where they fit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xlabel("Energy [TeV]")
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(_plain_number))
    axes.xaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=12))
    # over few decades, label more than the powers of ten
    digits = "235" if high / low < 50 else "25" if high / low < 200 else ""

    def some_numbers(value: float, position: int) -> str:
        return _plain_number(value, position) if f"{value:e}"[0] in digits else ""

    axes.xaxis.set_minor_formatter(FuncFormatter(some_numbers) if digits else NullFormatter())
    axes.tick_params(axis="x", which="minor", labelsize=_FONT - 1)


def _plain_number(value: float, position: int) -> str:  # noqa: ARG001  (matplotlib's signature)
    return f"{value:g}" if 1e-3 <= value < 1e5 else f"$10^{{{power_of_ten(value * 1.01)}}}$"


def power_of_ten(value: float) -> int:
    """Return the exponent that makes a positive number one digit before the point, 0 for others."""
    import math

    return math.floor(math.log10(value)) if value > 0 and math.isfinite(value) else 0


def draw_limits(
    axes: Any,
    x: Any,
    y: Any,
    *,
    xerr: Any,
    length: Any,
    size: float,
    label: str,
    color: str = COLORS[0],
) -> None:
    """Draw upper limits: a bar over the bin, and an arrow down from its middle.

    Parameters
    ----------
    axes : `matplotlib.axes.Axes`
        Where to.
    x, y : array of float, shape (n,)
        Middle of the bins, and limits.
    xerr : array of float, shape (n,) or (2, n)
        Half widths of the bins.
    length : array of float, shape (n,)
        Length of the arrows in units of y.
    size : float
        Size of markers.
    label : str
        For the legend; empty for none.
    color : str
        Of all of it.
    """
    look = {"color": color, "linestyle": "none", "linewidth": 1.2, "zorder": 3}
    axes.errorbar(x, y, xerr=xerr, marker="none", **look)
    axes.errorbar(x, y, yerr=length, uplims=True, marker="none", capsize=0.55 * size, **look)
    if label:  # the legend shows an arrow, which matplotlib's own handle does not
        axes.plot(
            [], [], linestyle="none", marker=r"$\downarrow$", markersize=9, color=color, label=label
        )


def marker_size(n_points: int) -> float:
    """Return a size of markers, smaller where there are many."""
    return 6.0 if n_points <= 15 else 4.5 if n_points <= 40 else 3.0


def error_label(flux: Any) -> str:
    """Return what the legend says of asymmetric errors that are not those of one sigma.

    Parameters
    ----------
    flux : `gammapy.estimators.FluxPoints`
        Symmetric errors are always those of one sigma.
    """
    n_sigma = flux.n_sigma or 1
    if n_sigma == 1 or "norm_errn" not in flux._data:
        return ""
    return f" ({n_sigma:g}$\\sigma$ errors)"


def put_legend(axes: Any, *, beside: Sequence[Any] = (), **options: Any) -> None:
    """Add a legend where something has a label.

    Parameters
    ----------
    axes : `matplotlib.axes.Axes`
        Where to.
    beside : sequence of `matplotlib.axes.Axes`
        Other panels, whose labels are explained here as well.
    **options
        Of `matplotlib.axes.Axes.legend`.
    """
    found: dict[str, Any] = {}
    for panel in (axes, *beside):
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        axes.legend(
            handles=list(found.values()),
            labels=list(found),
            **{"fontsize": _FONT - 1.5, "frameon": False, "handlelength": 1.8, **options},
        )
