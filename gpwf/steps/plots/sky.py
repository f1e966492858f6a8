"""Axes on the sky, colours of maps, and what is marked on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gpwf.steps.plots.style import GREY, power_of_ten

__all__ = [
    "Palette",
    "bin_labels",
    "grid_of",
    "label_axes",
    "name_axes",
    "note_style",
    "outlined",
    "palette",
    "quantity_label",
]

SIGNIFICANCE_REACH = 5.0  # colours of significance reach so far on both sides

# maps with a zero in the middle: white is nothing, red is more, blue is less
_SIGNED = frozenset(
    ("sqrt_ts", "diff", "diff_sqrt_model", "diff_model", "npred_excess", "excess", "residuals")
)
_LABELS = {
    "sqrt_ts": "Significance [standard deviations]",
    "ts": "Test statistic",
    "counts": "Counts",
    "counts_off": "OFF counts",
    "npred": "Predicted counts",
    "npred_excess": "Excess counts",
    "excess": "Excess counts",
    "background": "Background counts",
    "exposure": "Exposure",
    "alpha": "OFF to ON ratio",
    "flux": "Flux",
    "flux_err": "Error of the flux",
    "flux_ul": "Upper limit of the flux",
    "dnde": "Differential flux",
    "eflux": "Energy flux",
    "scale": "Width of the kernel",
    "diff": "Data \N{MINUS SIGN} model",
    "diff_sqrt_model": "(data \N{MINUS SIGN} model) / $\\sqrt{\\mathrm{model}}$",
    "diff_model": "(data \N{MINUS SIGN} model) / model",
    "": "Value",
}
_FRAMES = {
    "galactic": ("Galactic longitude", "Galactic latitude"),
    "icrs": ("Right ascension", "Declination"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """How values become colours.

    ``scale`` divides the values, so that the numbers at the bar are readable; ``power`` is its
    exponent. ``extend`` is matplotlib's word for values beyond the ends.
    """

    colors: Any
    norm: Any
    scale: float = 1.0
    power: int = 0
    extend: str = "neither"


def palette(
    data: Any, name: str, *, stretch: str = "linear", limits: tuple[float, float] | None = None
) -> Palette:
    """Return colours for the values of a map that colour-blind readers tell apart.

    Parameters
    ----------
    data : array
        All values that are drawn; NaN is drawn in grey.
    name : str
        What they are; significance and residuals are white at zero.
    stretch : str
        ``linear``, ``sqrt``, ``asinh`` or ``log``.
    limits : tuple of float, optional
        Values of the first and the last colour.
    """
    import matplotlib as mpl
    import numpy as np
    from matplotlib import colors

    if data.dtype.kind == "b":
        return Palette(
            colors=colors.ListedColormap(["0.55", "white"]),
            norm=colors.BoundaryNorm([-0.5, 0.5, 1.5], 2),
        )
    finite = data[np.isfinite(data)]
    lowest = float(finite.min()) if finite.size else 0.0
    highest = float(finite.max()) if finite.size else 1.0
    signed = name in _SIGNED and stretch in ("linear", "asinh")
    low, high = limits or _range(finite, lowest, highest, name, signed, stretch)
    if not high > low:
        high = low + (abs(low) or 1.0)
    power = power_of_ten(max(abs(low), abs(high)))
    power = power if stretch != "log" and not -2 <= power <= 4 else 0
    scale = 10.0**power
    tops = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    return Palette(
        colors=mpl.colormaps["RdBu_r" if signed else "viridis"].with_extremes(bad="0.8"),
        norm=_norm(stretch, low / scale, high / scale),
        scale=scale,
        power=power,
        extend=tops.get((lowest < low, highest > high), "both"),
    )


def _range(
    finite: Any, lowest: float, highest: float, name: str, signed: bool, stretch: str
) -> tuple[float, float]:
    """Return the values of the first and the last colour."""
    if name == "sqrt_ts" and signed:
        return -SIGNIFICANCE_REACH, SIGNIFICANCE_REACH
    if signed:
        reach = max(abs(lowest), abs(highest)) or 1.0
        return -reach, reach
    if stretch == "log":
        positive = finite[finite > 0]
        top = float(positive.max()) if positive.size else 1.0
        return max(float(positive.min()) if positive.size else 0.1, top * 1e-4), top
    return lowest, highest


def _norm(stretch: str, low: float, high: float) -> Any:
    """Return matplotlib's norm."""
    from matplotlib import colors

    if stretch == "log":
        low = low if low > 0 else abs(high) * 1e-4 or 1e-4
        return colors.LogNorm(low, high if high > low else 10 * low)
    if stretch == "sqrt":
        return colors.PowerNorm(0.5, low, high)
    if stretch == "asinh":
        return colors.AsinhNorm(0.1 * max(abs(low), abs(high)), low, high)
    return colors.Normalize(low, high)


def quantity_label(name: str, unit: Any, power: int, *, short: bool = False) -> str:
    """Return what the bar of colours says: quantity, and unit with its power of ten."""
    text = _LABELS.get(name, name.replace("_", " "))
    if short:
        text = text.replace("standard deviations", "$\\sigma$")
    words = [f"$10^{{{power}}}$"] if power else []
    if str(unit):
        words.append(unit.to_string("latex_inline"))
    return f"{text} [{' '.join(words)}]" if words else text


def grid_of(count: int) -> tuple[int, int]:
    """Return rows and columns for a number of maps."""
    columns = 1
    for least, wide in ((2, 2), (5, 3), (13, 5), (31, 7)):
        columns = wide if count >= least else columns
    columns = min(columns, count)
    return math.ceil(count / columns), columns


def bin_labels(geom: Any) -> list[str]:
    """Return what is written in each image of a map: the edges of its bin."""
    if not geom.axes:
        return [""]
    if len(geom.axes) > 1:
        return [str(number) for number in range(math.prod(axis.nbin for axis in geom.axes))]
    axis = geom.axes[0]
    if axis.name in ("energy", "energy_true"):
        edges, unit = axis.edges.to_value("TeV"), "TeV"
    elif getattr(axis, "node_type", "") == "edges" and hasattr(axis, "edges"):
        edges, unit = axis.edges.value, f"{axis.unit}"
    else:
        return [f"{axis.name} {number + 1}" for number in range(axis.nbin)]
    return [f"{low:.3g}\N{EN DASH}{high:.3g} {unit}".strip() for low, high in pairwise(edges)]


def label_axes(axes: Any, frame: str, *, left: bool, low: bool, columns: int = 1) -> None:
    """Name the coordinates, at the outer maps only; with five columns or more see `name_axes`."""
    for coordinate, name, shown in zip(axes.coords, _names(frame), (low, left), strict=True):
        coordinate.set_axislabel(name if shown and columns < 5 else " ", fontsize=9.5)
        coordinate.set_ticklabel_visible(shown)
        coordinate.set_major_formatter("d.d")
        coordinate.set_ticklabel(size=9 if columns < 5 else 6.5)
        coordinate.set_ticks(color=GREY, number=4 if columns < 3 else 3 if columns < 5 else 2)


def name_axes(figure: Any, frame: str) -> None:
    """Name the coordinates of many small maps, once."""
    longitude, latitude = _names(frame)
    figure.supxlabel(longitude, fontsize=9.5)
    figure.supylabel(latitude, fontsize=9.5)


def _names(frame: str) -> tuple[str, str]:
    return _FRAMES.get(frame, ("Longitude", "Latitude"))


def note_style() -> dict[str, Any]:
    """Return the box behind text on a map."""
    return {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}


def outlined(width: float = 2.5) -> list[Any]:
    """Return path effects with which black lines and text are seen on any colour."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=width, foreground="white")]
