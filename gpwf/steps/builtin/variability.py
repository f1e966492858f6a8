"""The step ``variability``: how much a light curve varies, and how fast."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.settings import Duration, Field, StepSettings
from gpwf.steps.variation import (
    Points,
    bayesian_blocks,
    constancy,
    correlation,
    excess_variance,
    fastest_change,
    point_to_point,
    structure_function,
)

__all__ = ["VariabilitySettings", "VariabilityStep"]

_FEWEST = 2
_SUMMARY = Port(name="variability", kind="table", help="A row per energy band")
_OPTIONAL = {
    "structure-function": Port(
        name="structure_function", kind="table", help="A row per energy band and time lag"
    ),
    "correlation": Port(
        name="correlation", kind="table", help="A row per pair of energy bands and time lag"
    ),
    "blocks": Port(name="blocks", kind="table", help="Intervals of constant flux per energy band"),
}
_UNITS = {"flux": "cm-2 s-1", "eflux": "TeV cm-2 s-1"}
_UNITS |= {"dnde": "cm-2 s-1 TeV-1", "e2dnde": "TeV cm-2 s-1"}
# columns in units of flux, of flux squared, of days
_FLUXES = ("mean", "weighted_mean", "weighted_mean_err", "flux", "flux_err")
_SQUARES = ("excess_variance", "sf", "noise")
_DAYS = (
    *("doubling_time", "doubling_time_err", "doubling_mjd"),
    *("halving_time", "halving_time_err", "halving_mjd"),
    *("lag", "start_mjd", "stop_mjd"),
)


class VariabilitySettings(StepSettings):
    """Settings of the step."""

    flux_quantity: Literal["flux", "eflux", "dnde", "e2dnde"] = Field(
        "flux", description="Which flux: integral, of energy, or differential"
    )
    upper_limits: Literal["use", "drop"] = Field(
        "use",
        description="Points that are shown as upper limits: use their flux and its error, or drop "
        "them, which leaves a source brighter and steadier than it is",
    )
    selection_optional: tuple[Literal["structure-function", "correlation", "blocks"], ...] = Field(
        (),
        description="Further tables: structure function, discrete correlation of bands with "
        "themselves and each other, Bayesian blocks",
    )
    min_change_sigma: float = Field(
        0.0,
        ge=0,
        description="Doubling and halving: least significance of the difference of two neighbours",
    )
    lag_width: Duration | None = Field(
        None,
        description="structure-function, correlation: width of the bins of time lag; left out: "
        "the shortest distance of points, twice the mean distance",
    )
    block_probability: float = Field(
        0.05, gt=0, lt=1, description="blocks: probability of a change that is none"
    )


class VariabilityStep(Step):
    """Measure how much the fluxes of a light curve vary, in each energy band.

    Of the points with a flux and an error: chi2 of a constant flux with p-value and significance;
    excess variance and fractional excess variance (`fvar`, `gammapy.stats.compute_fvar`) and from
    point to point (`fpp`; `gammapy.stats.compute_fpp` lacks the factor 1/2 of squared differences,
    so that it takes errors for variability); shortest times of doubling and halving
    (`gammapy.stats.compute_flux_doubling`). Where points scatter less than their errors, the excess
    variance is negative and `fvar` is 0. A time that no two neighbours give is not a number, nor is
    a fraction of a mean flux that is not positive.

    Errors are taken for Gaussian: points need enough counts. Points without flux or error are left
    out and counted (`n_left_out`); a band with less than two points has numbers of points alone,
    and where all are like that, there is no data.
    """

    tag: ClassVar[str] = "variability"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Measure variability"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = VariabilitySettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="light_curve", kind="light-curve", help="Fluxes over time"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (_SUMMARY,)
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "scipy", "astropy")

    def outputs(self, settings: VariabilitySettings) -> tuple[Port, ...]:
        """Return the tables that are asked for."""
        asked = [port for name, port in _OPTIONAL.items() if name in settings.selection_optional]
        return (_SUMMARY, *asked)

    def check(self, settings: VariabilitySettings) -> Sequence[SettingProblem]:
        """Refuse settings of tables that are not asked for."""
        asked = {"structure-function", "correlation"} & set(settings.selection_optional)
        if settings.lag_width is None or asked:
            return []
        message = "'lag_width' needs 'structure-function' or 'correlation' in 'selection_optional'"
        return [SettingProblem(path=("lag_width",), message=message, code="GP306")]

    def run(
        self, settings: VariabilitySettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return tables, `astropy.table.Table`."""
        light_curve = inputs["light_curve"]
        bands = _bands(light_curve, settings, ctx.step)
        fewest = max(band["n_points"] for band, _ in bands)
        if fewest < _FEWEST:
            what = "one point" if fewest else "no point with a flux and an error"
            raise NoDataError(
                f"{ctx.step}: the light curve has {what}: there is nothing to compare",
                hint="take shorter time intervals ('split-time'), or more observations",
            )
        found = {"variability": _summary(bands, settings)}
        usable = [(band, points) for band, points in bands if band["n_points"] >= _FEWEST]
        if "structure-function" in settings.selection_optional:
            found["structure_function"] = _structure(usable, settings, ctx.step)
        if "correlation" in settings.selection_optional:
            found["correlation"] = _correlations(usable, settings, ctx.step)
        if "blocks" in settings.selection_optional:
            found["blocks"] = _blocks(usable, settings)
        for name, table in found.items():
            table.meta["product"] = name.replace("_", "-")
            table.meta["flux_quantity"] = settings.flux_quantity
        return found


_Bands = Sequence[tuple[dict[str, Any], Points]]


def _bands(light_curve: Any, settings: VariabilitySettings, step: str) -> _Bands:
    """Return what every table says of an energy band, and its points."""
    import numpy as np

    unit = _UNITS[settings.flux_quantity]
    flux, error = (
        getattr(light_curve, settings.flux_quantity + name).quantity.to_value(unit)[..., 0, 0]
        for name in ("", "_err")
    )
    is_limit = light_curve.is_ul.data[..., 0, 0].astype(bool)
    axis = light_curve.geom.axes["time"]
    start, stop = axis.time_min.utc.mjd, axis.time_max.utc.mjd
    edges = light_curve.geom.axes["energy"].edges.to_value("TeV")
    found = []
    for band in range(flux.shape[1]):
        kept = np.isfinite(flux[:, band]) & np.isfinite(error[:, band]) & (error[:, band] > 0)
        _warn(edges[band : band + 2], int(kept.sum()), len(kept), step)
        if settings.upper_limits == "drop":
            kept &= ~is_limit[:, band]
        points = Points(
            time=(start + stop)[kept] / 2,
            start=start[kept],
            stop=stop[kept],
            flux=flux[kept, band],
            error=error[kept, band],
        )
        head = {
            "e_min": edges[band],
            "e_max": edges[band + 1],
            "n_points": int(kept.sum()),
            "n_left_out": int((~kept).sum()),
            "n_upper_limits": int((is_limit[:, band] & kept).sum()),
        }
        found.append((head, points))
    return found


def _warn(edges: Any, n_points: int, n_all: int, step: str) -> None:
    """Warn of a band that says nothing, and of points without flux or error."""
    place = f"{step}: from {edges[0]:.3g} to {edges[1]:.3g} TeV"
    if n_points < _FEWEST:
        warnings.warn(f"{place}: too few points to compare: {n_points}", stacklevel=4)
    elif n_points < n_all:
        warnings.warn(
            f"{place}: left out of {n_all} points for lack of a flux or an error: "
            f"{n_all - n_points}",
            stacklevel=4,
        )


def _summary(bands: _Bands, settings: VariabilitySettings) -> Any:
    rows: list[dict[str, Any]] = []
    for band, points in bands:
        measured = band["n_points"] >= _FEWEST
        rows.append(band | (_measure(points, settings) if measured else {}))
    longest: dict[str, Any] = max(rows, key=len)
    return _table([{name: row.get(name, math.nan) for name in longest} for row in rows], settings)


def _measure(points: Points, settings: VariabilitySettings) -> dict[str, float]:
    """Return the numbers of one band."""
    import numpy as np

    constant = constancy(points)
    changes = {
        name: fastest_change(points, rising=rising, min_sigma=settings.min_change_sigma)
        for name, rising in (("doubling", True), ("halving", False))
    }
    found: dict[str, float] = {
        "mean": float(np.mean(points.flux)),
        "weighted_mean": constant.mean,
        "weighted_mean_err": constant.mean_err,
        "chi2": constant.chi2,
        "ndf": float(constant.ndf),
        "p_value": constant.p_value,
        "significance": constant.significance,
        **excess_variance(points),
        **point_to_point(points),
    }
    for name, change in changes.items():
        found[f"{name}_time"] = change.time
        found[f"{name}_time_err"] = change.error
        found[f"{name}_mjd"] = change.at
    return found


def _structure(bands: _Bands, settings: VariabilitySettings, step: str) -> Any:
    """Return the structure functions of all bands.

    Raises
    ------
    NoDataError
        Where no two points have a flux that is positive.
    """
    import numpy as np

    rows = []
    for band, points in bands:
        width = float(np.diff(points.time).min())
        if settings.lag_width is not None:
            width = settings.lag_width.value / 86400
        edges = {name: band[name] for name in ("e_min", "e_max")}
        rows += [edges | row for row in structure_function(points, width)]
    if not rows:
        raise NoDataError(
            f"{step}: no two points of a band have a flux above 0: there is no structure function",
            hint="leave 'structure-function' out of 'selection_optional'",
        )
    return _table(rows, settings)


def _correlations(bands: _Bands, settings: VariabilitySettings, step: str) -> Any:
    """Return the correlations of all pairs of bands, each with itself first.

    Raises
    ------
    NoDataError
        Where no band varies by more than its errors.
    """
    width = None if settings.lag_width is None else settings.lag_width.value / 86400
    rows = []
    for number, (band, points) in enumerate(bands):
        for other, others in bands[number:]:
            pair = {
                "e_min": band["e_min"],
                "e_max": band["e_max"],
                "e_min_2": other["e_min"],
                "e_max_2": other["e_max"],
            }
            rows += [pair | row for row in correlation(points, others, width)]
    if not rows:
        raise NoDataError(
            f"{step}: no band varies by more than its errors: there is nothing to correlate",
            hint="leave 'correlation' out of 'selection_optional'",
        )
    return _table(rows, settings)


def _blocks(bands: _Bands, settings: VariabilitySettings) -> Any:
    rows = []
    for band, points in bands:
        edges = {name: band[name] for name in ("e_min", "e_max")}
        for row in bayesian_blocks(points, settings.block_probability):
            row = {"start_mjd": row.pop("start"), "stop_mjd": row.pop("stop"), **row}
            rows.append(edges | row)
    return _table(rows, settings)


def _table(rows: Sequence[Mapping[str, Any]], settings: VariabilitySettings) -> Any:
    """Return rows as a table with units."""
    from astropy.table import Table
    from astropy.units import Unit

    unit = Unit(_UNITS[settings.flux_quantity])
    table = Table({name: [row[name] for row in rows] for name in (rows[0] if rows else ())})
    units = dict.fromkeys(("e_min", "e_max", "e_min_2", "e_max_2"), Unit("TeV"))
    units |= dict.fromkeys(_FLUXES, unit) | dict.fromkeys(_SQUARES, unit**2)
    units |= dict.fromkeys(_DAYS, Unit("d"))
    for name in table.colnames:
        if name in units:
            table[name].unit = units[name]
    return table
