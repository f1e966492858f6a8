"""Free positions of sources before a fit: bounds and a first step that stay on the map.

Without bounds the first step of minuit is so long that a source leaves the map: the statistic is
then NaN or flat, and the fit fails or ends anywhere. Bounds also halve the time of a fit.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["bound_positions"]

_FIRST_STEP_DEG = 0.01
_POLE_DEG = 90.0


def bound_positions(models: Any, margin_deg: float) -> None:
    """Bound free positions around where they start, in place.

    Bounds and errors that a parameter has already are kept; gammapy's bounds of a latitude at the
    poles do not count as such.

    Parameters
    ----------
    models : `gammapy.modeling.models.Models`
        Sources with a spatial model that has the parameters ``lon_0`` and ``lat_0`` are changed.
    margin_deg : float
        How far a position may move from its start, in deg on the sky.
    """
    for model in models:
        spatial: Any = getattr(model, "spatial_model", None)
        if spatial is None or not {"lon_0", "lat_0"} <= set(spatial.parameters.names):
            continue
        latitude = spatial.parameters["lat_0"].quantity.to_value("rad")
        # a step in longitude is shorter on the sky by the cosine of the latitude
        stretch = 1 / max(math.cos(latitude), 1e-3)
        _bound(spatial.parameters["lon_0"], margin_deg * stretch, _FIRST_STEP_DEG * stretch)
        _bound(spatial.parameters["lat_0"], margin_deg, _FIRST_STEP_DEG, pole_deg=_POLE_DEG)


def _bound(
    parameter: Any, margin_deg: float, step_deg: float, pole_deg: float | None = None
) -> None:
    """Bound one parameter, and give minuit its first step; numbers in deg."""
    from astropy import units as u

    if parameter.frozen:
        return
    scale = (1 * u.deg).to_value(parameter.unit)
    end = math.inf if pole_deg is None else pole_deg * scale
    pole = end * (1 - 1e-12)
    start, margin = parameter.value, margin_deg * scale
    # there is nothing beyond a pole: astropy refuses such a latitude, in the midst of a fit
    if math.isnan(parameter.min) or parameter.min <= -pole:
        parameter.min = max(start - margin, -end)
    if math.isnan(parameter.max) or parameter.max >= pole:
        parameter.max = min(start + margin, end)
    if not parameter.error > 0:
        parameter.error = step_deg * scale
