"""Light curves: one panel per energy band, time as date below and as MJD above."""

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

__all__ = ["draw_band", "draw_light_curve", "light_curve", "time_axes", "times_of"]

_MAX_BANDS = 8


def light_curve(
    settings: Any,
    inputs: Mapping[str, Any],
    ctx: StepContext,  # noqa: ARG001  (all kinds are called alike)
) -> Any:
    """Draw what the step ``plot`` draws as ``light-curve``."""
    return draw_light_curve(inputs["light_curve"], title=settings.title)


def draw_light_curve(light_curve: Any, *, title: str) -> Any:
    """Draw integral fluxes over time.

    Parameters
    ----------
    light_curve : `gammapy.estimators.FluxPoints`
        With a time axis and an energy axis.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    n_bands = min(light_curve.geom.axes["energy"].nbin, _MAX_BANDS)
    figure = new_figure(height=3.6 if n_bands == 1 else 1.0 + 1.9 * n_bands)
    panels = figure.subplots(n_bands, 1, sharex=True, squeeze=False)[:, 0]
    times = times_of(light_curve.geom.axes["time"])
    for band, axes in enumerate(panels):
        draw_band(axes, light_curve, band, times)
        style_axes(axes, title if band == 0 else "")
    time_axes(figure, panels, times)
    put_legend(panels[0], beside=panels[1:], ncols=3, loc="best")
    return figure


def times_of(axis: Any) -> dict[str, Any]:
    """Return what matplotlib needs of a `gammapy.maps.TimeMapAxis`.

    Returns
    -------
    times : dict of array of float, shape (n,)
        ``center``, ``half`` width, ``start`` and ``stop`` as matplotlib dates: days, UTC.
    """
    import matplotlib.dates as mdates

    start = mdates.date2num(axis.time_min.utc.to_datetime())
    stop = mdates.date2num(axis.time_max.utc.to_datetime())
    return {"center": (start + stop) / 2, "half": (stop - start) / 2, "start": start, "stop": stop}


def draw_band(axes: Any, light_curve: Any, band: int, times: dict[str, Any]) -> int:
    """Draw the points of one energy band of a light curve.

    Parameters
    ----------
    axes : `matplotlib.axes.Axes`
        Where to.
    light_curve : `gammapy.estimators.FluxPoints`
        With a time axis and an energy axis.
    band : int
        Number of the band.
    times : dict
        Of `times_of`.

    Returns
    -------
    exponent : int
        Power of ten that the fluxes were divided by.
    """
    import numpy as np

    def column(name: str) -> Any:
        if f"norm{name}" not in light_curve._data:
            return np.full(len(times["center"]), np.nan)
        return getattr(light_curve, f"flux{name}").quantity[:, band, 0, 0].to_value("cm-2 s-1")

    flux, error, limit = column(""), column("_err"), column("_ul")
    errn = column("_errn") if "norm_errn" in light_curve._data else error
    errp = column("_errp") if "norm_errp" in light_curve._data else error
    below = light_curve.is_ul.data[:, band, 0, 0].astype(bool)
    is_limit = np.isfinite(limit) & (below | ~np.isfinite(flux))
    is_flux = np.isfinite(flux) & ~is_limit
    reference = float(light_curve.flux_ref[band].to_value("cm-2 s-1").item())
    drawn = np.concatenate([flux[is_flux], limit[is_limit], [reference]])
    exponent = power_of_ten(float(np.abs(drawn).max()))
    scale = 10.0**-exponent
    size = marker_size(len(flux))
    axes.axhline(
        reference * scale, color=GREY, linestyle="--", linewidth=1, zorder=1, label="model"
    )
    axes.errorbar(
        times["center"][is_flux],
        flux[is_flux] * scale,
        xerr=times["half"][is_flux],
        yerr=np.nan_to_num([errn[is_flux], errp[is_flux]]) * scale,
        marker="o",
        markersize=size,
        label=f"flux{error_label(light_curve)}",
        color=COLORS[0],
        linestyle="none",
        linewidth=1.2,
        zorder=3,
    )
    bottom = 0.0
    if is_limit.any():
        span = (np.nanmax(drawn) - min(0.0, np.nanmin(drawn))) * scale
        lowest = float(limit[is_limit].min()) * scale - 0.16 * span
        bottom = min(0.0, lowest)  # the heads of arrows from limits near 0 stay inside
        draw_limits(
            axes,
            times["center"][is_limit],
            limit[is_limit] * scale,
            xerr=times["half"][is_limit],
            length=np.full(int(is_limit.sum()), 0.12 * span),
            size=size,
            label=f"upper limits ({light_curve.n_sigma_ul or 2:g}$\\sigma$)",
        )
    if (flux[is_flux] - np.nan_to_num(errn[is_flux]) >= 0).all():
        axes.set_ylim(bottom=bottom)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.18)  # room for the legend
    axes.set_ylabel(_label(light_curve, band, exponent))
    return exponent


def _label(light_curve: Any, band: int, exponent: int) -> str:
    """Return the label of a panel: energy band and unit."""
    edges = light_curve.geom.axes["energy"].edges.to_value("TeV")
    power = rf"10^{{{exponent}}}\," if exponent else ""
    return (
        f"Flux ({edges[band]:.3g}\N{EN DASH}{edges[band + 1]:.3g} TeV)\n"
        rf"$[{power}\mathrm{{cm}}^{{-2}}\,\mathrm{{s}}^{{-1}}]$"
    )


def time_axes(figure: Any, panels: Any, times: dict[str, Any]) -> None:
    """Put dates below the last panel and MJD above the first.

    Parameters
    ----------
    figure : `matplotlib.figure.Figure`
        With the panels.
    panels : sequence of `matplotlib.axes.Axes`
        One above the other.
    times : dict
        Of `times_of`.
    """
    import matplotlib.dates as mdates
    from astropy.time import Time
    from matplotlib.ticker import MaxNLocator

    first, last = float(times["start"].min()), float(times["stop"].max())
    margin = 0.06 * (last - first)
    bottom = panels[-1]
    bottom.set_xlim(first - margin, last + margin)
    locator = mdates.AutoDateLocator(minticks=3, maxticks=8)
    bottom.xaxis.set_major_locator(locator)
    bottom.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    bottom.set_xlabel("Time (UTC)")
    offset = float(Time(mdates.num2date(first), scale="utc").mjd) - first
    top = panels[0].secondary_xaxis(
        "top", functions=(lambda day: day + offset, lambda mjd: mjd - offset)
    )
    top.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    top.ticklabel_format(useOffset=False)
    top.tick_params(direction="in", labelsize=9)
    top.set_xlabel("MJD", fontsize=9.5)
    for axes in panels:
        axes.tick_params(which="both", top=False)
    figure.align_ylabels(list(panels))
