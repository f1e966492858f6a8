"""The step ``scan-parameter``: the fit statistic along one parameter."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.fit_inputs import FIT_INPUTS, model_need
from gpwf.steps.likelihoods import Likelihood, check_minimum, open_likelihood, quiet_numbers
from gpwf.steps.parameter_names import find_free_parameter, parameter_labels, parameter_value
from gpwf.steps.settings import AnyQuantity, EnergyRange, Field, StepSettings

__all__ = ["ScanParameterStep"]

# how far below the minimum a point of a profile may lie
_TOLERANCE = 0.05
_INTERVALS = (1.0, 2.0, 3.0)  # sigma


class ScanParameterSettings(StepSettings):
    """Settings of the step."""

    parameter: str = Field(
        description="Name of the parameter, `crab.index`, or `index` where one model has it",
        min_length=1,
        examples=["crab.index"],
    )
    min: float | AnyQuantity | None = Field(
        None, description="Lowest value, with its unit; left out: 'n_sigma' errors below the best"
    )
    max: float | AnyQuantity | None = Field(
        None, description="Highest value, with its unit; left out: 'n_sigma' errors above the best"
    )
    n_values: int = Field(29, ge=3, le=10_000, description="Number of values")
    n_sigma: float = Field(
        3.5, gt=0, le=20, description="Half width of the scan in errors, where no bound is given"
    )
    spacing: Literal["lin", "log"] = Field("lin", description="How the values are spaced")
    reoptimize: bool = Field(
        True, description="Fit the other parameters again at every value instead of keeping them"
    )
    fit_range: EnergyRange | None = Field(
        None, description="Energies to use; left out: those of the fit"
    )


class ScanParameterStep(Step):
    """Scan the fit statistic along one parameter: its profile likelihood.

    At every value the other free parameters are fitted again, or kept where `reoptimize` is false
    (the curve is then too narrow wherever parameters are correlated). `gammapy.modeling.Fit`'s
    `stat_profile` does it, each value on its own from the best fit, on every free core.

    The table has the columns `value`, `stat`, `delta_stat` (the difference to the minimum) and the
    other free parameters at each value. Its metadata have the best value, its error, and in
    `intervals` where `delta_stat` is 1, 4 and 9: confidence intervals of 1, 2 and 3 sigma, which
    need not be symmetric. An end that the scan does not reach is null.

    Models that are not at the minimum are refused: connect those of `fit`, with its result.
    """

    tag: ClassVar[str] = "scan-parameter"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Scan the fit statistic along a parameter"
    group: ClassVar[str] = "fit"
    Settings: ClassVar[type[StepSettings]] = ScanParameterSettings
    input_ports: ClassVar[tuple[Port, ...]] = FIT_INPUTS
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="profile", kind="table", help="Fit statistic at every value"),
    )

    def check(self, settings: ScanParameterSettings) -> Sequence[SettingProblem]:
        """Refuse bounds in the wrong order, and a logarithm of what is not positive."""
        low, high = settings.min, settings.max
        if isinstance(low, float) and isinstance(high, float) and low >= high:
            message = f"min ({low:g}) must be less than max ({high:g})"
            return [SettingProblem(path=("min",), message=message, code="GP306")]
        if settings.spacing == "log" and isinstance(low, float) and low <= 0:
            message = f"'min' ({low:g}) must be positive where the values are spaced 'log'"
            return [SettingProblem(path=("min",), message=message, code="GP306")]
        return []

    def requires(self, settings: ScanParameterSettings) -> Any:
        """Return the model and the energies that are asked for."""
        return [*super().requires(settings), *model_need(settings.parameter, ("parameter",))]

    def run(
        self, settings: ScanParameterSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``profile``: `astropy.table.QTable`."""
        likelihood = open_likelihood(inputs, settings.fit_range, ctx.step)
        label, parameter = find_free_parameter(
            likelihood.models, settings.parameter, ctx.step, "parameter"
        )
        check_minimum(likelihood)
        values = _values(settings, label, parameter, ctx.step)
        # a parameter that is alone has no others to fit
        reoptimize = settings.reoptimize and len(likelihood.free) > 1

        def point(value: float) -> dict[str, float]:
            return _point(likelihood, label, parameter, value, reoptimize)

        points = ctx.map(point, values, label="values")
        likelihood.reset()
        _check_minimum(points, likelihood, label, parameter, ctx.step)
        return {"profile": _table(points, likelihood, label, parameter, reoptimize)}


def _values(settings: ScanParameterSettings, label: str, parameter: Any, step: str) -> list[float]:
    """Return the values to scan, in the parameter's unit.

    Raises
    ------
    StepError
        Where the bounds make no range, or lie outside those of the parameter.
    """
    import numpy as np

    best, reach = parameter.value, settings.n_sigma * parameter.error
    bounds = []
    for name, own, default in (
        ("min", parameter.min, best - reach),
        ("max", parameter.max, best + reach),
    ):
        asked = getattr(settings, name)
        value = default
        if asked is not None:
            value = parameter_value(asked, label, parameter, step, name)
        beyond = value < own if name == "min" else value > own  # false for NaN, no bound
        if beyond and asked is not None:
            raise StepError(
                f"{step}: '{name}' ({value:.6g}) lies outside the bounds of {label}, whose {name} "
                f"is {own:.6g}",
                hint=f"change '{name}', or the bounds in the models, and fit again",
            )
        if beyond:
            warnings.warn(
                f"{step}: the scan ends at the {name} of {label}, {own:.6g}", stacklevel=2
            )
        bounds.append(float(own) if beyond else value)
    low, high = bounds
    if not low < high:
        raise StepError(
            f"{step}: there is nothing between {low:.6g} and {high:.6g} to scan {label}",
            hint="give 'min' less than 'max'",
        )
    if settings.spacing == "log":
        if low <= 0:
            raise StepError(
                f"{step}: the scan of {label} begins at {low:.6g}, which has no logarithm",
                hint="give a positive 'min', or 'spacing: lin'",
            )
        return [float(value) for value in np.geomspace(low, high, settings.n_values)]
    return [float(value) for value in np.linspace(low, high, settings.n_values)]


def _point(
    likelihood: Likelihood, label: str, parameter: Any, value: float, reoptimize: bool
) -> dict[str, float]:
    """Return statistic and parameters at one value.

    Raises
    ------
    StepError
        Where the fit of the others does not converge, or the statistic is not finite.
    """
    from gammapy.modeling import Fit

    likelihood.reset()
    parameter.scan_values = [value]
    with quiet_numbers():
        result = Fit().stat_profile(likelihood.datasets, parameter, reoptimize=reoptimize)
    stat = float(result["stat_scan"][0])
    fits = result["fit_results"]
    if not math.isfinite(stat) or not all(fit.success for fit in fits):
        text = fits[0].message if fits else f"the fit statistic is {stat}"
        raise StepError(
            f"{likelihood.step}: at {label} = {value:.6g} the fit did not converge: {text}",
            hint="narrow the scan ('min', 'max', 'n_sigma'), or give parameters bounds",
        )
    found = {"value": value, "stat": stat}
    if fits:
        labels = parameter_labels(fits[0].models)
        found |= {name: float(labels[name].value) for name in likelihood.values() if name != label}
    return found


def _check_minimum(
    points: list[dict[str, float]], likelihood: Likelihood, label: str, parameter: Any, step: str
) -> None:
    """Check that no point lies below the minimum.

    Raises
    ------
    StepError
        Where one does: the fit has ended in another minimum.
    """
    lowest = min(points, key=lambda point: point["stat"])
    if likelihood.stat - lowest["stat"] > _TOLERANCE:
        raise StepError(
            f"{step}: the fit statistic is {lowest['stat']:.6g} at {label} = "
            f"{lowest['value']:.6g}, lower than at the best fit ({likelihood.stat:.6g} at "
            f"{parameter.value:.6g}): the fit has ended in another minimum",
            hint=f"start the fit at {label} = {lowest['value']:.6g}",
        )


def _table(
    points: list[dict[str, float]],
    likelihood: Likelihood,
    label: str,
    parameter: Any,
    reoptimize: bool,
) -> Any:
    """Return the table, see `ScanParameterStep`."""
    import numpy as np
    from astropy.table import Column, Table

    labels = parameter_labels(likelihood.models)
    stat = np.array([point["stat"] for point in points])
    values = np.array([point["value"] for point in points])
    delta = stat - likelihood.stat
    table = Table([_column("value", values, parameter), Column(stat, "stat")])
    table["delta_stat"] = delta
    for name in points[0]:
        if name not in ("value", "stat"):
            table.add_column(_column(name, [point[name] for point in points], labels[name]))
    best, error = float(parameter.value), float(parameter.error)
    table.meta = {
        "product": "stat-profile",
        "parameter": label,
        "best": best,
        "error": error,
        "stat_min": likelihood.stat,
        "reoptimized": reoptimize,
        "intervals": [
            {"n_sigma": n_sigma} | _interval(values, delta, best, n_sigma) for n_sigma in _INTERVALS
        ],
    }
    return table


def _column(name: str, values: Any, parameter: Any) -> Any:
    """Return a column in the unit of a parameter."""
    from astropy import units as u
    from astropy.table import Column

    unit = parameter.unit
    return Column(values, name, unit=None if unit == u.dimensionless_unscaled else unit)


def _interval(values: Any, delta: Any, best: float, n_sigma: float) -> dict[str, float | None]:
    """Return where a profile crosses the square of a number of sigma, on both sides.

    Parameters
    ----------
    values, delta : array of float, shape (n,)
        Rising values, and the differences of the fit statistic to its minimum.
    best : float
        Value at the minimum.
    n_sigma : float
        Confidence of the interval.

    Returns
    -------
    interval : dict
        ``min`` and ``max``; None where the profile ends before.

    Notes
    -----
    The signed root of the difference is a straight line where the profile is a parabola, and is
    interpolated linearly.
    """
    import numpy as np

    found: dict[str, float | None] = {}
    for name, side, sign in (("min", values < best, -1), ("max", values > best, 1)):
        # outwards from the best value
        x = np.concatenate([[best], values[side][::sign]])
        root = np.concatenate([[0.0], np.sqrt(np.maximum(delta[side][::sign], 0))])
        above = np.flatnonzero(root >= n_sigma)
        if not above.size:
            found[name] = None
            continue
        last = int(above[0])
        share = (n_sigma - root[last - 1]) / (root[last] - root[last - 1])
        found[name] = float(x[last - 1] + share * (x[last] - x[last - 1]))
    return found
