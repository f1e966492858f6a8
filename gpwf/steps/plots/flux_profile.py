"""Profiles of the flux: brightness over distance, one panel per energy band."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.plots.style import (
    COLORS,
    GREY,
    draw_limits,
    error_label,
    marker_size,
    new_figure,
    power_of_ten,
    put_legend,
    style_axes,
)

__all__ = ["draw_flux_profile", "flux_profile"]

_MAX_BANDS = 8
_SR_DEG2 = 3282.806350011744  # square degrees in a steradian


def flux_profile(
    settings: Any,
    inputs: Mapping[str, Any],
    ctx: StepContext,  # noqa: ARG001  (all kinds are called alike)
) -> Any:
    """Draw what the step ``plot`` draws as ``flux-profile``."""
    return draw_flux_profile(inputs["flux_profile"], title=settings.title)


def draw_flux_profile(profile: Any, *, title: str) -> Any:
    """Draw the flux per solid angle over the distance.

    Where the profile does not know the size of its regions, it is the flux of the regions.

    Parameters
    ----------
    profile : `gammapy.estimators.FluxPoints`
        With an axis of distance and an energy axis.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    n_bands = min(profile.geom.axes["energy"].nbin, _MAX_BANDS)
    figure = new_figure(height=3.6 if n_bands == 1 else 1.0 + 1.9 * n_bands)
    panels = figure.subplots(n_bands, 1, sharex=True, squeeze=False)[:, 0]
    for band, axes in enumerate(panels):
        _draw_band(axes, profile, band)
        style_axes(axes, title if band == 0 else "")
    where = "the centre" if profile.meta.get("regions") == "rings" else "the first region"
    panels[-1].set_xlabel(f"Distance from {where} [deg]")
    figure.align_ylabels(list(panels))
    put_legend(panels[0], beside=panels[1:], ncols=2, loc="best")
    return figure


def _columns(profile: Any, band: int) -> dict[str, Any]:
    """Return fluxes per square degree, or of the regions, shape (n,)."""
    import numpy as np

    count = profile.geom.axes["projected-distance"].nbin
    angles = profile.meta.get("solid_angle_sr")
    area = np.asarray(angles) * _SR_DEG2 if angles else np.ones(count)

    def column(name: str) -> Any:
        if f"norm{name}" not in profile._data:
            return np.full(count, np.nan)
        values = getattr(profile, f"flux{name}").quantity[:, band, 0, 0]
        return values.to_value("cm-2 s-1") / area

    found = {name: column(name) for name in ("", "_err", "_ul")}
    for name in ("_errn", "_errp"):
        found[name] = column(name) if f"norm{name}" in profile._data else found["_err"]
    below = profile.is_ul.data[:, band, 0, 0].astype(bool)
    limit = found["_ul"]
    found["is_limit"] = np.isfinite(limit) & (limit > 0) & (below | ~np.isfinite(found[""]))
    found["is_flux"] = np.isfinite(found[""]) & ~found["is_limit"]
    return found


def _draw_band(axes: Any, profile: Any, band: int) -> None:
    """Draw the points of one energy band."""
    import numpy as np

    axis = profile.geom.axes["projected-distance"]
    x, half = axis.center.to_value("deg"), axis.bin_width.to_value("deg") / 2
    data = _columns(profile, band)
    use, limit = data["is_flux"], data["is_limit"]
    drawn = np.concatenate([data[""][use], data["_ul"][limit], [0.0]])
    exponent = power_of_ten(float(np.abs(drawn).max()))
    scale, size = 10.0**-exponent, marker_size(len(x))
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
    if use.any():
        axes.errorbar(
            x[use],
            data[""][use] * scale,
            xerr=half[use],
            yerr=np.nan_to_num([data["_errn"][use], data["_errp"][use]]) * scale,
            marker="o",
            markersize=size,
            label=f"flux{error_label(profile)}",
            color=COLORS[0],
            linestyle="none",
            linewidth=1.2,
            zorder=3,
        )
    if limit.any():
        span = float(drawn.max() - min(0.0, drawn.min())) * scale
        draw_limits(
            axes,
            x[limit],
            data["_ul"][limit] * scale,
            xerr=half[limit],
            length=np.full(int(limit.sum()), 0.12 * span),
            size=size,
            label=f"upper limits ({profile.n_sigma_ul or 2:g}$\\sigma$)",
        )
    axes.set_xlim(x[0] - 1.4 * half[0], x[-1] + 1.4 * half[-1])
    axes.set_ylim(top=axes.get_ylim()[1] * 1.18)  # room for the legend
    axes.set_ylabel(_label(profile, band, exponent))


def _label(profile: Any, band: int, exponent: int) -> str:
    """Return the label of a panel: energy band and unit."""
    edges = profile.geom.axes["energy"].edges.to_value("TeV")
    parts = [f"10^{{{exponent}}}"] if exponent else []
    parts += [r"\mathrm{cm}^{-2}", r"\mathrm{s}^{-1}"]
    if profile.meta.get("solid_angle_sr"):
        parts.append(r"\mathrm{deg}^{-2}")
    unit = r"\,".join(parts)
    return f"Flux ({edges[band]:.3g}\N{EN DASH}{edges[band + 1]:.3g} TeV)\n$[{unit}]$"
