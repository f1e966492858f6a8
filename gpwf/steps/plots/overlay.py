"""What lies on maps: sources, peaks, circles, contours, and the legend that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpwf.steps.plots.names import Name, write_names
from gpwf.steps.plots.sky import outlined

__all__ = ["Overlay", "draw_legend", "draw_names", "draw_overlay"]

_NAMED = 25  # with more sources, no names are written
_NAMED_IN_SMALL = 5  # images, of which there are many
_LINE = {"linewidth": 1.2, "fill": False, "edgecolor": "black"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What is drawn on maps.

    ``models`` and ``peaks`` are marked with their names, ``regions`` are circles on the sky,
    ``contours`` is a map whose ``levels`` are lines.
    """

    models: Any = None
    peaks: Any = None
    regions: Sequence[Any] = ()
    contours: Any = None
    levels: Sequence[float] = ()


def draw_overlay(axes: Any, overlay: Overlay, number: int, geom: Any, columns: int) -> None:
    """Draw contours, circles, sources and peaks on one image; they do not change its limits."""
    limits = axes.get_xlim(), axes.get_ylim()
    image = geom.to_image()
    if overlay.contours is not None:
        _draw_contours(axes, overlay, number)
    for region in overlay.regions:
        _draw_region(axes, region, image.wcs, "--")
    for place, _ in _peaks(overlay, image):
        _mark(axes, place, "v", columns)
    for model in _inside(overlay, image):  # after the peaks, whose outlines would hide them
        _draw_model(axes, model, image, columns)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def _draw_contours(axes: Any, overlay: Overlay, number: int) -> None:
    """Draw lines of equal value, of the bin with the same number or of the only one."""
    import numpy as np

    contours = overlay.contours
    images = contours.data.reshape(-1, *contours.data.shape[-2:])
    data = images[number] if number < len(images) else images[0]
    finite = data[np.isfinite(data)]
    levels = [x for x in overlay.levels if finite.size and finite.min() < x < finite.max()]
    if not levels:
        return
    drawn = axes.contour(
        data.astype(float),
        levels=levels,
        colors="black",
        linewidths=1.0,
        transform=axes.get_transform(contours.geom.to_image().wcs),
    )
    drawn.set_path_effects(outlined(2.2))


def _draw_region(axes: Any, region: Any, wcs: Any, style: str) -> None:
    """Draw the outline of a region on the sky."""
    artist = region.to_pixel(wcs).as_artist(**_LINE, linestyle=style)
    artist.set_path_effects(outlined())
    axes.add_artist(artist)


def _draw_model(axes: Any, model: Any, image: Any, columns: int) -> None:
    """Mark the position of a source, and outline it where it is extended."""
    if model.spatial_model.tag[0] != "PointSpatialModel":
        _draw_region(axes, model.spatial_model.to_region(), image.wcs, "-")
    _mark(axes, _position(model), "+", columns)


def _position(model: Any) -> Any:
    """Return the position of a model; None for one that has none."""
    spatial: Any = getattr(model, "spatial_model", None)
    if spatial is None or "lon_0" not in spatial.parameters.names:
        return None
    return spatial.position


def _inside(overlay: Overlay, image: Any) -> list[Any]:
    """Return the models whose position is on an image."""
    found = [(model, _position(model)) for model in overlay.models or ()]
    return [model for model, place in found if place is not None and image.contains(place).all()]


def _peaks(overlay: Overlay, image: Any) -> list[tuple[Any, str]]:
    """Return positions and names of the peaks on an image."""
    from astropy.coordinates import SkyCoord

    if overlay.peaks is None:
        return []
    named = "name" in overlay.peaks.colnames
    found = [
        (
            SkyCoord(peak["lon"], peak["lat"], unit="deg", frame=str(peak["frame"])),
            str(peak["name"]) if named else "",
        )
        for peak in overlay.peaks
    ]
    return [(place, name) for place, name in found if image.contains(place).all()]


def _mark(axes: Any, place: Any, marker: str, columns: int) -> None:
    """Draw a marker: a cross that is seen where it lies on a peak."""
    size = 70 if columns < 3 else 30 if columns < 5 else 12
    axes.scatter(
        place.data.lon.deg,
        place.data.lat.deg,
        transform=axes.get_transform(place.frame.name),
        marker=marker,
        s=1.6 * size if marker == "+" else size,
        facecolors="black" if marker == "+" else "none",
        edgecolors=None if marker == "+" else "black",
        linewidths=1.2,
        path_effects=outlined(3 if marker == "v" else 2.4),
        zorder=5,
    )


def draw_names(
    figure: Any, panels: Sequence[Any], overlay: Overlay, geom: Any, *, columns: int
) -> None:
    """Write the names of sources and peaks, unless they are too many, when all else is drawn.

    Parameters
    ----------
    figure : `matplotlib.figure.Figure`
    panels : sequence of `astropy.visualization.wcsaxes.WCSAxes`
        Images of the same pixels.
    overlay : Overlay
        What `draw_overlay` drew on them.
    geom : `gammapy.maps.WcsGeom`
        Of the images.
    columns : int
        Images beside each other.
    """
    most = _NAMED if columns < 5 else _NAMED_IN_SMALL
    image = geom.to_image()
    models = [(_position(model), model.name, False) for model in _inside(overlay, image)]
    peaks = [(place, name, True) for place, name in _peaks(overlay, image) if name]
    names = []
    for place, text, above in (
        *(models if len(models) <= most else ()),
        *(peaks if len(peaks) <= most else ()),
    ):
        x, y = image.wcs.world_to_pixel(place)
        names.append(Name(text=text, x=float(x), y=float(y), above=above))
    write_names(figure, panels, names, small=columns > 2)


def draw_legend(axes: Any, overlay: Overlay) -> None:
    """Say what marks and lines are."""
    from matplotlib.lines import Line2D

    def line(text: str, **look: Any) -> Any:
        return Line2D([], [], color="black", label=text, **look)

    handles = []
    if any(_position(model) is not None for model in overlay.models or ()):
        handles.append(line("model", marker="+", linestyle="none", markersize=8))
    if overlay.peaks is not None:
        handles.append(
            line("peak", marker="v", linestyle="none", markersize=7, markerfacecolor="none")
        )
    if overlay.regions:
        handles.append(line("region", linestyle="--", linewidth=1.2))
    if overlay.contours is not None:
        levels = ", ".join(f"{level:g}" for level in overlay.levels)
        handles.append(line(f"contours at {levels}", linewidth=1.0))
    if handles:
        legend = axes.legend(handles=handles, fontsize=8, loc="lower right", framealpha=0.85)
        legend.set_zorder(7)
