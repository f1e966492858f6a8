"""Significance on the sky."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.plots.style import GREY, new_figure, put_title

__all__ = ["draw_significance", "significance_map"]

_COLUMNS = 3
_REACH = 5.0  # the colours reach so far on both sides, in standard deviations


def significance_map(
    settings: Any,
    inputs: Mapping[str, Any],
    ctx: StepContext,  # noqa: ARG001  (all kinds are called alike)
) -> Any:
    """Draw what the step ``plot`` draws as ``significance-map``."""
    return draw_significance(inputs["flux_maps"], title=settings.title)


def draw_significance(flux_maps: Any, *, title: str) -> Any:
    """Draw a map of the significance per energy bin, all in the same colours.

    White is no excess; blue is less than the background, red is more, up to five standard
    deviations. Pixels without a value are grey.

    Parameters
    ----------
    flux_maps : `gammapy.estimators.FluxMaps`
        With pixels of equal size on the sky (`gammapy.maps.WcsGeom`).
    title : str
        Title above the first map, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    significance = flux_maps.sqrt_ts
    edges = flux_maps.geom.axes["energy"].edges.to_value("TeV")
    count = len(edges) - 1
    columns = min(math.ceil(math.sqrt(count)), _COLUMNS)
    rows = math.ceil(count / columns)
    figure = new_figure(height=5.2 if columns == 1 else 0.4 + 5.6 / columns * rows)
    wcs = flux_maps.geom.to_image().wcs
    colors = _colors()
    all_axes = []
    for number in range(count):
        axes = figure.add_subplot(rows, columns, number + 1, projection=wcs)
        image = axes.imshow(
            significance.data[number], vmin=-_REACH, vmax=_REACH, cmap=colors, origin="lower"
        )
        _label(
            axes, flux_maps.geom.frame, left=number % columns == 0, low=number + columns >= count
        )
        text = f"{edges[number]:.3g}\N{EN DASH}{edges[number + 1]:.3g} TeV"
        axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=9, bbox=_box())
        all_axes.append(axes)
    bar = figure.colorbar(image, ax=all_axes, shrink=0.85, pad=0.02, extend="both")
    bar.set_label("Significance [standard deviations]")
    if title:
        put_title(all_axes[0], title)
    return figure


def _colors() -> Any:
    """Return the colours, with grey for pixels without a value."""
    import matplotlib as mpl

    return mpl.colormaps["RdBu_r"].with_extremes(bad="0.8")


def _label(axes: Any, frame: str, *, left: bool, low: bool) -> None:
    """Name the coordinates, at the outer maps only."""
    names = {
        "galactic": ("Galactic longitude", "Galactic latitude"),
        "icrs": ("Right ascension", "Declination"),
    }.get(frame, ("Longitude", "Latitude"))
    for coordinate, name, shown in zip(axes.coords, names, (low, left), strict=True):
        coordinate.set_axislabel(name if shown else " ")
        coordinate.set_ticklabel_visible(shown)
        coordinate.set_major_formatter("d.d")
        coordinate.set_ticklabel(size=9)
        coordinate.set_ticks(color=GREY, number=4)


def _box() -> dict[str, Any]:
    return {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}
