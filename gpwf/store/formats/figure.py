"""Figures: PNG to look at, SVG and PDF to publish, the same bytes from the same data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest

__all__ = ["read", "write"]

_STEM = "figure"
_DPI = 150
# ids in SVG are hashes of this salt; without it they are random
_SETTINGS = {"svg.hashsalt": "gpwf", "svg.fonttype": "path", "pdf.fonttype": 42}


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write a `matplotlib.figure.Figure`, see `gpwf.store.formats.write`."""
    import matplotlib as mpl

    note = "; ".join(f"{name}={text}" for name, text in card.items()) or None
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None, **card},
        "svg": {"Date": None, "Creator": None, "Description": note},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None, "Keywords": note},
    }
    with mpl.rc_context(_SETTINGS):
        for ending, entries in metadata.items():
            path = directory / f"{_STEM}.{ending}"
            value.savefig(path, format=ending, dpi=_DPI, metadata=entries)
    title = value.axes[0].get_title(loc="left") or value.axes[0].get_title() if value.axes else ""
    return {"title": title, "files": [f"{_STEM}.{ending}" for ending in metadata]}


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Return a `matplotlib.figure.Figure` that shows the stored picture.

    What was drawn is not stored as data (that is what the other products are for), so the figure
    has one picture in it and no axes to change.
    """
    from matplotlib.figure import Figure
    from matplotlib.image import imread

    picture = imread(directory / f"{_STEM}.png")
    height, width = picture.shape[:2]
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(picture)
    return figure
