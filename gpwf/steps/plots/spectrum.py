"""Spectral energy distribution: flux points, the model, and the model's error band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.steps.attach import require_source
from gpwf.steps.base import StepContext
from gpwf.steps.plots.style import (
    BAND,
    COLORS,
    GREY,
    MARKERS,
    draw_limits,
    energy_axis,
    error_label,
    marker_size,
    new_figure,
    put_legend,
    style_axes,
)
from gpwf.steps.plots.tables import labels

__all__ = ["dnde_label", "draw_points", "draw_sed", "limit_y", "points_of", "scaled", "sed"]

_N_CURVE = 200
_MARGIN = 1.25  # the curve goes on beyond the points by this factor
_DEPTH = 30.0  # a curve that falls steeply is cut this factor below the lowest point


def sed(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``sed``."""
    found, models = inputs["flux_points"], inputs.get("models")
    flux_points = list(found) if isinstance(found, (list, tuple)) else [found]
    model = None
    if models is not None:
        name = settings.source or flux_points[0].reference_model.name
        require_source(name, models.names, ctx.step)
        model = models[name]
    return draw_sed(
        flux_points,
        model,
        names=labels(ctx, "flux_points", len(flux_points), settings.names),
        energy_power=settings.energy_power,
        title=settings.title,
    )


def draw_sed(
    flux_points: Sequence[Any], model: Any, *, names: Sequence[str], energy_power: float, title: str
) -> Any:
    """Draw a spectral energy distribution.

    Parameters
    ----------
    flux_points : sequence of `gammapy.estimators.FluxPoints`
        With an energy axis alone; each in a colour and with a marker of its own.
    model : `gammapy.modeling.models.SkyModel` or None
        Drawn as a line, with its error band where it has a covariance.
    names : sequence of str
        What the points are of, for the legend; not used for one.
    energy_power : float
        The flux is multiplied by this power of the energy.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    import numpy as np

    several = len(flux_points) > 1
    figure = new_figure(height=5.2 if several else 4.5)
    axes = figure.add_subplot()
    points = [points_of(item, energy_power) for item in flux_points]
    everything = {key: np.concatenate([item[key] for item in points]) for key in points[0]}
    low, high = everything["low"].min() / _MARGIN, everything["high"].max() * _MARGIN
    curve = []
    if model is not None:
        color = GREY if several else COLORS[1]
        curve = _draw_model(axes, model, low, high, energy_power, color)
    for number, (item, flux) in enumerate(zip(points, flux_points, strict=True)):
        draw_points(axes, item, flux, names[number] if several else "", number)
    if several and everything["is_limit"].any():
        axes.plot([], [], ls="none", marker=r"$\downarrow$", ms=9, color=GREY, label="upper limits")
    energy_axis(axes, low, high)
    axes.set_yscale("log")
    limit_y(axes, everything, curve)
    axes.set_ylabel(dnde_label(energy_power))
    style_axes(axes, title)
    put_legend(axes, ncols=2 if len(flux_points) > 3 else 1)
    return figure


def dnde_label(power: float) -> str:
    """Return the label of an axis of differential flux times a power of the energy, with unit."""
    quantity = r"\mathrm{d}N/\mathrm{d}E"
    if power:
        quantity = (f"E^{{{power:g}}}\\," if power != 1 else "E\\,") + quantity
    rest = power - 1
    energy = (
        "" if rest == 0 else r"\mathrm{TeV}\," if rest == 1 else rf"\mathrm{{TeV}}^{{{rest:g}}}\,"
    )
    return rf"${quantity}$  $[{energy}\mathrm{{cm}}^{{-2}}\,\mathrm{{s}}^{{-1}}]$"


def scaled(values: Any, energy: Any, power: float) -> Any:
    """Return a differential flux times a power of the energy as numbers, with TeV, cm and s."""
    return (values * energy**power).to_value(_unit(power))


def _unit(power: float) -> Any:
    """Return the unit of a differential flux times a power of the energy."""
    from astropy import units as u

    return u.TeV ** (power - 1) / (u.cm**2 * u.s)


def points_of(flux: Any, power: float) -> dict[str, Any]:
    """Return flux points as numbers.

    Parameters
    ----------
    flux : `gammapy.estimators.FluxPoints`
        With an energy axis alone.
    power : float
        The flux is multiplied by this power of the energy.

    Returns
    -------
    points : dict of array, shape (n,)
        ``energy``, ``low`` and ``high`` end of the bin in TeV; ``flux``, ``errn``, ``errp`` and
        ``limit`` with TeV, cm and s; ``is_limit`` and ``is_flux``, which of the two to draw.
    """
    import numpy as np

    energy = flux.energy_ref
    axis = flux.geom.axes["energy"]

    def column(name: str) -> Any:
        if f"norm{name}" not in flux._data:
            return np.full(axis.nbin, np.nan)
        return scaled(getattr(flux, f"dnde{name}").quantity[..., 0, 0], energy, power)

    symmetric = column("_err")
    points = {
        "energy": energy.to_value("TeV"),
        "low": axis.edges_min.to_value("TeV"),
        "high": axis.edges_max.to_value("TeV"),
        "flux": column(""),
        "errn": column("_errn") if "norm_errn" in flux._data else symmetric,
        "errp": column("_errp") if "norm_errp" in flux._data else symmetric,
        "limit": column("_ul"),
    }
    below = flux.is_ul.data[..., 0, 0].astype(bool)
    no_flux = ~(points["flux"] > 0)
    points["is_limit"] = np.isfinite(points["limit"]) & (points["limit"] > 0) & (below | no_flux)
    points["is_flux"] = ~points["is_limit"] & ~no_flux
    return points


def draw_points(
    axes: Any, points: dict[str, Any], flux: Any, name: str = "", number: int = 0
) -> None:
    """Draw fluxes with errors, and upper limits as arrows.

    Parameters
    ----------
    axes : `matplotlib.axes.Axes`
        Where to.
    points : dict
        Of `points_of`.
    flux : `gammapy.estimators.FluxPoints`
        That they are of.
    name : str
        What the legend calls them, where there are others.
    number : int
        Of the colour and the marker.
    """
    import numpy as np

    color = COLORS[number % len(COLORS)]
    size = marker_size(len(points["energy"]))
    use = points["is_flux"]
    if use.any():
        # an error that reaches zero has no end on a logarithmic axis: let it run out of the frame
        down = np.minimum(points["errn"], points["flux"] * (1 - 1e-6))
        axes.errorbar(
            points["energy"][use],
            points["flux"][use],
            xerr=_widths(points, use),
            yerr=np.nan_to_num([down[use], points["errp"][use]]),
            marker=MARKERS[number % len(MARKERS)],
            markersize=size,
            label=f"{_text(name) or 'flux points'}{error_label(flux)}",
            color=color,
            linestyle="none",
            linewidth=1.2,
            zorder=3,
        )
    use = points["is_limit"]
    if use.any():
        draw_limits(
            axes,
            points["energy"][use],
            points["limit"][use],
            xerr=_widths(points, use),
            length=0.4 * points["limit"][use],
            size=size,
            label="" if name else f"upper limits ({flux.n_sigma_ul or 2:g}$\\sigma$)",
            color=color,
        )


def _widths(points: dict[str, Any], use: Any) -> Any:
    """Return distances from the energy to the ends of its bin, shape (2, n)."""
    energy = points["energy"]
    return [(energy - points["low"])[use], (points["high"] - energy)[use]]


def _draw_model(
    axes: Any, model: Any, low: float, high: float, power: float, color: str
) -> list[float]:
    """Draw the model and its band; return the lowest and highest value of the line."""
    import numpy as np
    from astropy import units as u

    band_color = BAND if color == COLORS[1] else color  # points may have the colour of the band
    energy = np.geomspace(low, high, _N_CURVE) * u.TeV
    spectrum = model.spectral_model
    dnde, error = spectrum.evaluate_error(energy)[:2]
    line = scaled(dnde, energy, power)
    band = scaled(error, energy, power)
    if np.isfinite(band).all() and (band > 0).any():
        floor = line * 1e-3  # keeps the band on the logarithmic axis
        axes.fill_between(
            energy.value,
            np.maximum(line - band, floor),
            line + band,
            color=band_color,
            alpha=0.35,
            linewidth=0,
            zorder=1,
            label=r"68% confidence",
        )
    axes.plot(energy.value, line, color=color, linewidth=1.4, zorder=2, label=_name(model))
    positive = line[line > 0]
    return [float(positive.min()), float(positive.max())] if positive.size else []


def _name(model: Any) -> str:
    """Return what a model is in the words of its author: name and spectral type."""
    spectrum = type(model.spectral_model).__name__.removesuffix("SpectralModel")
    words = "".join(f" {char.lower()}" if char.isupper() else char for char in spectrum).strip()
    return f"{_text(model.name)} ({words})"


def _text(name: str) -> str:
    """Return a name for the legend, in which it is no formula."""
    return name.replace("$", r"\$")


def limit_y(axes: Any, points: dict[str, Any], curve: list[float]) -> None:
    """Choose the range of the y axis from what is drawn, not from errors that reach zero.

    Parameters
    ----------
    axes : `matplotlib.axes.Axes`
        With a logarithmic y axis.
    points : dict
        Of `points_of`.
    curve : list of float
        Lowest and highest value of a curve; may be empty.
    """
    import numpy as np

    use, limit = points["is_flux"], points["is_limit"]
    low = np.maximum(points["flux"] - points["errn"], 0.3 * points["flux"])[use]
    high = (points["flux"] + np.nan_to_num(points["errp"]))[use]
    limits = points["limit"][limit]
    values = np.concatenate([low, high, 0.5 * limits, limits])
    values = values[np.isfinite(values) & (values > 0)]
    if values.size:
        curve = [value for value in curve if np.isfinite(value)]
        values = np.concatenate([values, np.clip(curve, values.min() / _DEPTH, None)])
        axes.set_ylim(values.min() / 1.6, values.max() * 2.0)
