"""Significance on the sky: the kind ``map`` with nothing to choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.plots.map import Overlay, draw_maps

__all__ = ["draw_significance", "significance_map"]


def significance_map(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``significance-map``."""
    return draw_significance(inputs["flux_maps"], title=settings.title, step=ctx.step)


def draw_significance(flux_maps: Any, *, title: str, step: str = "plot") -> Any:
    """Draw a map of the significance per energy bin, all in the same colours.

    White is no excess; blue is less than the background, red is more, up to five standard
    deviations. Pixels without a value are grey.

    Parameters
    ----------
    flux_maps : `gammapy.estimators.FluxMaps`
        With pixels of equal size on the sky (`gammapy.maps.WcsGeom`).
    title : str
        Title above the first map, may be empty.
    step : str
        Name of the step, for messages.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    return draw_maps(flux_maps.sqrt_ts, "sqrt_ts", Overlay(), title=title, step=step)
