"""Counts, what models predict of them, and what they leave, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.map_quantities import quantity_map
from gpwf.steps.plots.map import draw_colorbar, draw_image, one_bin, overlay_of, smoothed
from gpwf.steps.plots.overlay import draw_names
from gpwf.steps.plots.sky import palette
from gpwf.steps.plots.style import new_figure, put_title

__all__ = ["map_residuals"]

_MOST = 12  # rows
_FIRST = ("counts", "npred")
_RESIDUALS = ("sqrt_ts", "diff_sqrt_model", "diff", "diff_model")


def map_residuals(settings: Any, inputs: Mapping[str, Any], ctx: Any) -> Any:
    """Draw maps of a step ``residuals``: a row per energy bin, of counts, prediction, residuals.

    Counts and predictions have the same colours; residuals are white where nothing is left.

    Returns
    -------
    figure : `matplotlib.figure.Figure`

    Raises
    ------
    StepError
        Where the maps are others, or there are too many energy bins.
    """
    maps = inputs["maps"]
    missing = [name for name in _FIRST if name not in maps]
    if missing:
        raise StepError(
            f"{ctx.step}: the maps to draw have no {' and no '.join(missing)}",
            hint="connect the 'maps' of a step 'residuals', or draw others with 'kind: map'",
        )
    third = settings.quantity or next((name for name in _RESIDUALS if name in maps), "sqrt_ts")
    items = {name: quantity_map(maps, name, ctx.step) for name in (*_FIRST, third)}
    if settings.energy is not None:
        energy = settings.energy.quantity
        items = {name: one_bin(item, energy, ctx.step) for name, item in items.items()}
    if settings.smooth is not None:
        for name in _FIRST:
            items[name] = smoothed(items[name], settings.smooth.quantity)
    return _draw(items, third, overlay_of(settings, inputs, ctx.step), settings, ctx.step)


def _draw(items: Mapping[str, Any], third: str, overlay: Any, settings: Any, step: str) -> Any:
    """Draw the figure."""
    import numpy as np

    geom = items[third].geom
    rows = items[third].data.reshape(-1, *geom.data_shape[-2:]).shape[0]
    if rows > _MOST:
        raise StepError(
            f"{step}: maps of {rows} energy bins in one figure cannot be seen",
            hint="set 'energy' to draw one, or give 'residuals' fewer 'energy_edges'",
        )
    looks = {third: palette(items[third].data, third, limits=settings.limits)}
    both = np.concatenate([items[name].data.ravel() for name in _FIRST]).astype(float)
    for name in _FIRST:
        looks[name] = palette(both, name, stretch=settings.stretch)
    height, width = geom.data_shape[-2:]
    shape = min(max(height / width, 0.35), 1.6)
    figure = new_figure(height=1.1 + 2.05 * rows * shape)
    columns = [[], [], []]  # type: list[list[Any]]
    for row in range(rows):
        for place, name in enumerate((*_FIRST, third)):
            axes = figure.add_subplot(rows, 3, 3 * row + place + 1, projection=geom.to_image().wcs)
            edge = (place == 0, row == rows - 1)
            shown = draw_image(axes, items[name], row, looks[name], overlay, edge, columns=4)
            columns[place].append((axes, shown))
    for place, name in enumerate((*_FIRST, third)):
        all_axes = [axes for axes, _ in columns[place]]
        draw_colorbar(
            figure, columns[place][-1][1], all_axes, looks[name], name, items[name].unit, below=True
        )
    if settings.title:
        put_title(columns[0][0][0], settings.title)
    panels = [axes for column in columns for axes, _ in column]
    draw_names(figure, panels, overlay, geom, columns=3)
    return figure
