"""Likelihood profiles of flux points as colours, and the points over them: a castro plot."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.base import StepContext
from gpwf.steps.plots.light_curve import draw_band, time_axes, times_of
from gpwf.steps.plots.spectrum import dnde_label, draw_points, limit_y, points_of, scaled
from gpwf.steps.plots.style import energy_axis, new_figure, put_legend, style_axes

__all__ = ["castro", "castro_light_curve", "draw_castro", "draw_castro_light_curve"]

_DEPTH = 9.0  # differences of the fit statistic up to here have a colour: three sigma
_NEAR = 1.0  # a profile whose lowest value is more than this above the minimum misses it
_ENOUGH = 3  # values with a colour: what lies between fewer is no parabola
_NARROW = 0.012  # narrower columns than this part of the axis are widened
_FINE = 400  # colours per bin
_MAX_BANDS = 8


def castro(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``castro``."""
    _check_scan(inputs["flux_points"], "flux-points", ctx.step)
    return draw_castro(
        inputs["flux_points"], energy_power=settings.energy_power, title=settings.title
    )


def castro_light_curve(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``castro-light-curve``."""
    _check_scan(inputs["light_curve"], "light-curve", ctx.step)
    return draw_castro_light_curve(inputs["light_curve"], title=settings.title)


def _check_scan(flux: Any, tag: str, step: str) -> None:
    """Check that there are profiles, and that they were scanned where it matters.

    Raises
    ------
    StepError
        Where there are none.
    """
    import numpy as np

    if not flux.has_stat_profiles:
        raise StepError(
            f"{step}: the points have no likelihood profiles",
            hint=f"add 'scan' to 'selection_optional' of the step '{tag}'",
        )
    delta = _profiles(flux)[1]
    lowest, near = _lowest(delta), (delta < _DEPTH).sum(axis=0)
    missed = int(((lowest > _NEAR) | (np.isfinite(lowest) & (near < _ENOUGH))).sum())
    if missed:
        warnings.warn(
            f"{step}: {missed} of {lowest.size} profiles were not scanned near their minimum, or "
            "in too few steps there, and have little colour, or a wrong one: set 'parameters: "
            "{norm: {scan_min: …, scan_max: …, scan_n_values: …}}' of the step "
            f"'{tag}'",
            stacklevel=3,
        )


def draw_castro(flux_points: Any, *, energy_power: float, title: str) -> Any:
    """Draw a spectral energy distribution over the likelihood profiles of its points.

    Parameters
    ----------
    flux_points : `gammapy.estimators.FluxPoints`
        With an energy axis, and with profiles (``stat_scan``).
    energy_power : float
        The flux is multiplied by this power of the energy.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    figure = new_figure()
    axes = figure.add_subplot()
    axes.set_yscale("log")
    points = points_of(flux_points, energy_power)
    reference = _reference(flux_points, energy_power)
    norm, delta = _profiles(flux_points)
    limit_y(axes, points, [])
    low, high = axes.get_ylim()
    _widen(axes, low, high, norm, delta, reference)
    for number in range(len(reference)):
        ends = (points["low"][number], points["high"][number])
        image = _draw_profile(axes, ends, norm, delta[:, number], reference[number], is_log=True)
    draw_points(axes, points, flux_points)
    energy_axis(axes, points["low"].min() / 1.1, points["high"].max() * 1.1)
    axes.set_ylabel(dnde_label(energy_power))
    style_axes(axes, title)
    put_legend(axes, loc="upper right")  # the best place is slow to find among so many cells
    _bar(figure, image, axes)
    return figure


def draw_castro_light_curve(light_curve: Any, *, title: str) -> Any:
    """Draw a light curve over the likelihood profiles of its points.

    Parameters
    ----------
    light_curve : `gammapy.estimators.FluxPoints`
        With a time axis and an energy axis, and with profiles (``stat_scan``).
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    n_bands = min(light_curve.geom.axes["energy"].nbin, _MAX_BANDS)
    figure = new_figure(height=3.8 if n_bands == 1 else 1.0 + 2.0 * n_bands)
    panels = figure.subplots(n_bands, 1, sharex=True, squeeze=False)[:, 0]
    times = times_of(light_curve.geom.axes["time"])
    norm, delta = _profiles(light_curve)
    for band, axes in enumerate(panels):
        exponent = draw_band(axes, light_curve, band, times)
        low, high = axes.get_ylim()
        reference = float(light_curve.flux_ref[band].to_value("cm-2 s-1").item()) / 10.0**exponent
        least = _NARROW / 2 * (times["stop"].max() - times["start"].min())
        for number, center in enumerate(times["center"]):
            half = max(times["half"][number], least)
            ends = (center - half, center + half)
            profile = delta[:, number, band]
            image = _draw_profile(axes, ends, norm, profile, reference, is_log=False)
        axes.set_ylim(low, high)
        style_axes(axes, title if band == 0 else "")
    time_axes(figure, panels, times)
    framed = {"frameon": True, "framealpha": 0.85, "edgecolor": "none"}  # it lies over cells
    put_legend(panels[0], beside=panels[1:], ncols=3, loc="upper right", **framed)
    _bar(figure, image, list(panels))
    return figure


def _profiles(flux: Any) -> tuple[Any, Any]:
    """Return norms, shape (n,), and differences of the fit statistic, shape (n, …).

    They count from the minimum; where there is no flux, because nothing was counted, from no flux,
    as the limit does: the minimum lies at a negative one.
    """
    import numpy as np

    scan = flux.stat_scan
    names = scan.geom.axes.names  # in the data the last axis of the geometry comes first
    place = scan.data.ndim - 1 - 2 - names.index("norm")
    values = np.moveaxis(scan.data, place, 0)[..., 0, 0]
    norm = scan.geom.axes["norm"].center.to_value("")
    has_flux = np.isfinite(flux.norm.data[..., 0, 0])
    none = flux.stat_null if "stat_null" in flux.available_quantities else flux.stat
    minimum = np.where(has_flux, flux.stat.data[..., 0, 0], none.data[..., 0, 0])
    physical = np.where(has_flux | (norm >= 0).reshape(-1, *[1] * has_flux.ndim), values, np.nan)
    return norm, values - np.fmin(_lowest(physical), minimum)


def _lowest(values: Any) -> Any:
    """Return the lowest number along the first axis; NaN where there is none."""
    import numpy as np

    lowest = np.min(np.where(np.isnan(values), np.inf, values), axis=0)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def _reference(flux: Any, power: float) -> Any:
    """Return the differential flux of the reference model, as `points_of` gives fluxes."""
    return scaled(flux.dnde_ref[..., 0, 0], flux.energy_ref, power)


def _widen(axes: Any, low: float, high: float, norm: Any, delta: Any, reference: Any) -> None:
    """Let the y axis reach to where the profiles end, or have risen by `_DEPTH`, not farther."""
    import numpy as np

    flux = norm[:, None] * reference
    seen = flux[(delta < _DEPTH) & (flux > 0)]
    if seen.size:
        low = max(min(low, float(np.min(seen)) / 1.2), low / 10)
        high = min(max(high, float(np.max(seen)) * 1.2), high * 10)
    axes.set_ylim(low, high)


def _draw_profile(
    axes: Any, ends: tuple[float, float], norm: Any, delta: Any, reference: float, *, is_log: bool
) -> Any:
    """Draw one profile as a column of colours; nothing where it was not scanned."""
    import numpy as np
    from gammapy.utils.interpolation import interpolate_profile

    low, high = norm[norm > 0].min() if is_log else norm.min(), norm.max()
    edges = (np.geomspace if is_log else np.linspace)(low, high, _FINE + 1)
    middle = np.sqrt(edges[1:] * edges[:-1]) if is_log else (edges[1:] + edges[:-1]) / 2
    finite = np.isfinite(delta)
    colors = np.full(_FINE, np.nan)
    if finite.sum() > 3:
        colors = np.clip(interpolate_profile(norm[finite], delta[finite])(middle), 0, None)
    colors[colors > _DEPTH] = np.nan
    return axes.pcolormesh(
        ends,
        edges * reference,
        colors[:, None],
        vmin=0,
        vmax=_DEPTH,
        cmap=_colors(),
        rasterized=True,
        zorder=0,
    )


def _colors() -> Any:
    """Return colours from orange at the best value to white: blue points stand out from them."""
    import matplotlib as mpl
    import numpy as np
    from matplotlib.colors import ListedColormap

    return ListedColormap(mpl.colormaps["Oranges_r"](np.linspace(0.4, 1.0, 256)))


def _bar(figure: Any, image: Any, axes: Any) -> None:
    """Add the scale of the colours."""
    bar = figure.colorbar(image, ax=axes, pad=0.02, ticks=[0, 1, 4, 9])
    bar.set_label(r"$\Delta$ fit statistic")
