"""Any map on the sky: significance, flux, counts, masks; with sources, peaks, circles, contours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.map_quantities import energy_plane, quantity_map, quantity_names
from gpwf.steps.plots.overlay import Overlay, draw_legend, draw_names, draw_overlay
from gpwf.steps.plots.sky import (
    Palette,
    bin_labels,
    grid_of,
    label_axes,
    name_axes,
    note_style,
    palette,
    quantity_label,
)
from gpwf.steps.plots.style import new_figure, put_title

__all__ = [
    "Overlay",
    "draw_colorbar",
    "draw_image",
    "draw_maps",
    "map_",
    "one_bin",
    "overlay_of",
    "smoothed",
]

_MOST = 100  # images in a figure


def map_(settings: Any, inputs: Mapping[str, Any], ctx: Any) -> Any:
    """Draw the map that the settings of a step ``plot`` name, see `draw_maps`."""
    maps = inputs["maps"]
    name = settings.quantity or _usual(maps, ctx.step)
    item = quantity_map(maps, name, ctx.step)
    if settings.energy is not None:
        item = one_bin(item, settings.energy.quantity, ctx.step)
    if settings.smooth is not None:
        item = smoothed(item, settings.smooth.quantity)
    return draw_maps(
        item,
        name,
        overlay_of(settings, inputs, ctx.step, item),
        title=settings.title,
        stretch=settings.stretch,
        limits=settings.limits,
        step=ctx.step,
    )


def _usual(maps: Any, step: str) -> str:
    """Return the map to draw where none is named: the significance, or the only one.

    Raises
    ------
    StepError
        Where there are several.
    """
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Map, Maps

    if not isinstance(maps, (FluxMaps, Maps, Map)):
        raise StepError(
            f"{step}: maps are to be drawn, not {type(maps).__name__}",
            hint="connect a product of kind 'flux-maps', 'maps' or 'map' as 'maps'",
        )
    names = quantity_names(maps)
    if "sqrt_ts" in names:
        return "sqrt_ts"
    if len(names) > 1:
        raise StepError(
            f"{step}: which of the maps is drawn? there are {', '.join(names)}",
            hint="set 'quantity' to one of them",
        )
    return names[0] if names else ""


def one_bin(item: Any, energy: Any, step: str) -> Any:
    """Return the bin of a map with an energy, as a map with this one bin."""
    if item.geom.is_image:
        return item
    _, index = energy_plane(item, energy, step)
    return item.slice_by_idx({item.geom.axes[0].name: slice(index, index + 1)})


def smoothed(item: Any, width: Any) -> Any:
    """Return a map smoothed with a Gaussian; what has no value counts as zero, and has none."""
    import numpy as np

    known = np.isfinite(item.data)
    copy = item.copy(data=np.where(known, item.data, 0.0))
    smooth = copy.smooth(width, kernel="gauss")
    smooth.data[~known] = np.nan
    return smooth


def overlay_of(settings: Any, inputs: Mapping[str, Any], step: str, item: Any = None) -> Overlay:
    """Return what the settings and inputs of a step ``plot`` put on maps, of which one is drawn."""
    from regions import CircleSkyRegion

    other = inputs.get("contours")
    contours = item if other is None else quantity_map(other, _usual(other, step), step)
    peaks = inputs.get("peaks")
    if peaks is not None and not {"lon", "lat", "frame"} <= set(getattr(peaks, "colnames", ())):
        raise StepError(
            f"{step}: the peaks to draw have no columns 'frame', 'lon' and 'lat'",
            hint="connect the table 'peaks' of a step 'find-peaks'",
        )
    return Overlay(
        models=inputs.get("models"),
        peaks=peaks,
        regions=[
            CircleSkyRegion(circle.center.skycoord, circle.radius.quantity)
            for circle in settings.regions
        ],
        contours=contours if settings.levels else None,
        levels=sorted(set(settings.levels)),
    )


def draw_maps(
    item: Any,
    name: str,
    overlay: Overlay,
    *,
    title: str,
    stretch: str = "linear",
    limits: tuple[float, float] | None = None,
    step: str = "plot",
) -> Any:
    """Draw every image of a map in the same colours.

    Parameters
    ----------
    item : `gammapy.maps.WcsNDMap`
        An image, or one for each bin of energy.
    name : str
        What it holds: ``sqrt_ts``, ``flux`` …
    overlay : Overlay
        Sources, circles, contours.
    title : str
        Title above the first image, may be empty.
    stretch, limits
        See `gpwf.steps.plots.sky.palette`.
    step : str
        Name of the step, for messages.

    Returns
    -------
    figure : `matplotlib.figure.Figure`

    Raises
    ------
    StepError
        Where there are too many images to see anything.
    """
    images = item.data.reshape(-1, *item.data.shape[-2:])
    if len(images) > _MOST:
        raise StepError(
            f"{step}: {len(images)} maps in one figure cannot be seen",
            hint="set 'energy' to draw one, or make maps with fewer bins",
        )
    look = palette(item.data, name, stretch=stretch, limits=limits)
    rows, columns = grid_of(len(images))
    shape = min(max(images.shape[-2] / images.shape[-1], 0.35), 1.6)
    width = 6.4 if columns < 5 else 10.0
    size = 5.2 * shape if columns == 1 else 0.4 + (width - 0.8) / columns * rows * shape
    figure = new_figure(height=max(2.6, size if columns < 5 else size + 0.3 * rows))
    figure.set_figwidth(width)
    wcs = item.geom.to_image().wcs
    all_axes = []
    for number in range(len(images)):
        axes = figure.add_subplot(rows, columns, number + 1, projection=wcs)
        edge = (number % columns == 0, number + columns >= len(images))
        shown = draw_image(axes, item, number, look, overlay, edge, columns=columns)
        all_axes.append(axes)
    draw_colorbar(figure, shown, all_axes, look, name, item.unit)
    if columns < 5:
        draw_legend(all_axes[0], overlay)
    else:
        name_axes(figure, item.geom.frame)
    if title:
        put_title(all_axes[0], title)
    draw_names(figure, all_axes, overlay, item.geom, columns=columns)
    return figure


def draw_image(
    axes: Any,
    item: Any,
    number: int,
    look: Palette,
    overlay: Overlay,
    edge: tuple[bool, bool],
    *,
    columns: int,
) -> Any:
    """Draw one image of a map, with what lies on it.

    Parameters
    ----------
    axes : `astropy.visualization.wcsaxes.WCSAxes`
        Where to.
    item : `gammapy.maps.WcsNDMap`
        The map.
    number : int
        Which of its images.
    look : Palette
        Colours of the values.
    overlay : Overlay
        Sources, circles, contours.
    edge : tuple of bool
        Whether the image is at the left and at the lower edge of the figure.
    columns : int
        Images beside each other; with many, texts are smaller.

    Returns
    -------
    shown : `matplotlib.image.AxesImage`
    """
    image = item.data.reshape(-1, *item.data.shape[-2:])[number]
    values = image.astype(float) / look.scale
    shown = axes.imshow(values, norm=look.norm, cmap=look.colors, origin="lower")
    label_axes(axes, item.geom.frame, left=edge[0], low=edge[1], columns=columns)
    draw_overlay(axes, overlay, number, item.geom, columns)
    text = bin_labels(item.geom)[number]
    if columns >= 5:
        axes.set_title(text, fontsize=6.5, pad=2)
    elif text:
        axes.text(
            0.03,
            0.97,
            text,
            transform=axes.transAxes,
            va="top",
            fontsize=9 if columns < 3 else 7.5,
            bbox=note_style(),
            zorder=6,
        )
    return shown


def draw_colorbar(
    figure: Any,
    shown: Any,
    all_axes: list[Any],
    look: Palette,
    name: str,
    unit: Any,
    *,
    below: bool = False,
) -> None:
    """Draw the bar of colours, with quantity and unit."""
    is_mask = shown.get_cmap().N == 2
    bar = figure.colorbar(
        shown,
        ax=all_axes,
        shrink=0.85,
        pad=0.02,
        extend=look.extend,
        aspect=25,
        location="bottom" if below else "right",
    )
    bar.ax.tick_params(labelsize=8 if below else 9)
    label = quantity_label(name, unit, look.power, short=below)
    bar.set_label(label, fontsize=8.5 if below else 10)
    if is_mask:
        bar.set_ticks([0, 1], labels=["false", "true"])
        bar.set_label("Mask")
