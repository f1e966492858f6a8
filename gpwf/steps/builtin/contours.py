"""The step ``contours``: regions of confidence of two parameters together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.fit_inputs import FIT_INPUTS, model_need
from gpwf.steps.likelihoods import Likelihood, check_minimum, open_likelihood, quiet_numbers
from gpwf.steps.parameter_names import find_free_parameter
from gpwf.steps.settings import EnergyRange, Field, Section, StepSettings

__all__ = ["ContoursStep"]

# how far from its level a contour may be, as a part of the level, and besides
_TOLERANCE = (0.1, 0.05)
_N_CHECKED = 4
# what iminuit and gammapy raise where there is no contour
_NO_CONTOUR = (RuntimeError, ValueError, IndexError)
_ADVICE = "use a smaller 'n_sigma', widen the bounds in the models and fit again, or scan instead"


class ParameterPair(Section):
    """Two parameters."""

    x: str = Field(description="Name of the first parameter, `crab.index` or `index`", min_length=1)
    y: str = Field(description="Name of the second parameter", min_length=1)


class ContoursSettings(StepSettings):
    """Settings of the step."""

    pairs: tuple[ParameterPair, ...] = Field(
        description="Pairs of parameters, as a list of {x: …, y: …}", min_length=1, max_length=100
    )
    n_sigma: tuple[Annotated[float, Field(gt=0, le=5)], ...] = Field(
        (1.0, 2.0), min_length=1, description="Confidence of the contours, in sigma"
    )
    joint: bool = Field(
        True,
        description="Confidence of both parameters together: 1 sigma holds both in 68.3% of the "
        "cases; false for that of each alone, whose contour ends where its error ends",
    )
    n_points: int = Field(40, ge=8, le=1000, description="Points on each contour")
    fit_range: EnergyRange | None = Field(
        None, description="Energies to use; left out: those of the fit"
    )


class ContoursStep(Step):
    """Find contours of the fit statistic over pairs of parameters.

    The other free parameters are fitted again at every point: `gammapy.modeling.Fit.stat_contour`,
    which is MINUIT's `mncontour`. A region of 1 sigma of two parameters together is where the fit
    statistic is less than 2.30 above its minimum, and of 2 sigma 6.18 (chi square with 2 degrees of
    freedom); with `joint: false`, 1 and 4. gammapy's own `sigma` is the root of that difference.

    The table has one row per point: `pair` (from 1), `n_sigma`, `point`, and a column for every
    parameter, NaN where it is not of the pair. The first point of a contour is its last one, too.
    Metadata tell the pairs with best values, errors and correlations, and the levels. A contour
    that does not close, or runs into the bounds of a parameter, is an error.
    """

    tag: ClassVar[str] = "contours"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Find contours of pairs of parameters"
    group: ClassVar[str] = "fit"
    Settings: ClassVar[type[StepSettings]] = ContoursSettings
    input_ports: ClassVar[tuple[Port, ...]] = FIT_INPUTS
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="contours", kind="table", help="Points of every contour"),
    )

    def check(self, settings: ContoursSettings) -> Sequence[SettingProblem]:
        """Refuse a pair of one parameter, and a level that is there twice."""
        problems = [
            SettingProblem(
                path=("pairs", number, "y"),
                message=f"'x' and 'y' are both {pair.x!r}",
                code="GP306",
                hint="name two parameters",
            )
            for number, pair in enumerate(settings.pairs)
            if pair.x == pair.y
        ]
        return problems + [
            SettingProblem(
                path=("n_sigma", number), message=f"{value:g} is listed twice", code="GP306"
            )
            for number, value in enumerate(settings.n_sigma)
            if value in settings.n_sigma[:number]
        ]

    def requires(self, settings: ContoursSettings) -> Any:
        """Return the models and the energies that are asked for."""
        needs = [
            need
            for number, pair in enumerate(settings.pairs)
            for axis in ("x", "y")
            for need in model_need(getattr(pair, axis), ("pairs", number, axis))
        ]
        return [*super().requires(settings), *needs]

    def run(
        self, settings: ContoursSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``contours``: `astropy.table.Table`."""
        likelihood = open_likelihood(inputs, settings.fit_range, ctx.step)
        pairs = [
            _pair(likelihood, pair, number, ctx.step) for number, pair in enumerate(settings.pairs)
        ]
        check_minimum(likelihood)
        work = [
            (pair, n_sigma, delta_stat(n_sigma, joint=settings.joint))
            for pair in pairs
            for n_sigma in sorted(settings.n_sigma)
        ]

        def contour(item: tuple[_Pair, float, float]) -> Any:
            pair, n_sigma, delta = item
            return _contour(likelihood, pair, n_sigma, delta, settings.n_points)

        found = ctx.map(contour, work, label="contours")
        likelihood.reset()
        return {"contours": _table(likelihood, work, found, settings)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two parameters with their names."""

    number: int
    labels: tuple[str, str]
    parameters: tuple[Any, Any]


def delta_stat(n_sigma: float, *, joint: bool) -> float:
    """Return how far above its minimum the fit statistic is on a contour.

    Parameters
    ----------
    n_sigma : float
        Confidence, as that of a normal distribution between plus and minus so many sigma.
    joint : bool
        True where it is that of both parameters together.

    References
    ----------
    Wilks (1938); James (2006), *Statistical Methods in Experimental Physics*, section 9.3, table
    9.5: 2.30, 6.18 and 11.83 for 1, 2 and 3 sigma of two parameters.
    """
    from scipy.stats import chi2

    return float(chi2.isf(chi2.sf(n_sigma**2, 1), 2)) if joint else n_sigma**2


def _pair(likelihood: Likelihood, pair: ParameterPair, number: int, step: str) -> _Pair:
    """Return the parameters of a pair.

    Raises
    ------
    StepError
        Where one is not there or frozen, or both are one.
    """
    (x, first), (y, second) = (
        find_free_parameter(likelihood.models, name, step, f"pairs.{number}.{axis}")
        for axis, name in (("x", pair.x), ("y", pair.y))
    )
    if first is second:
        raise StepError(
            f"{step}: 'pairs.{number}': {pair.x} and {pair.y} are one parameter",
            hint="name two parameters that are not linked",
        )
    return _Pair(number=number + 1, labels=(x, y), parameters=(first, second))


def _contour(
    likelihood: Likelihood, pair: _Pair, n_sigma: float, delta: float, n_points: int
) -> Any:
    """Return the points of one contour, shape (n_points + 1, 2), in the parameters' units.

    Raises
    ------
    StepError
        Where there is none, where it does not close, or leaves the bounds.
    """
    import numpy as np
    from gammapy.modeling import Fit

    likelihood.reset()
    what = f"the contour of {n_sigma:g} sigma of {' and '.join(pair.labels)}"
    try:
        # gammapy names the columns, and gives a level in roots of the difference
        with quiet_numbers():
            result = Fit().stat_contour(
                likelihood.datasets, *pair.parameters, numpoints=n_points, sigma=math.sqrt(delta)
            )
    except _NO_CONTOUR as error:
        # minuit returns an empty list where it finds not even two points
        text = "minuit finds no point of it" if isinstance(error, IndexError) else str(error)
        raise StepError(
            f"{likelihood.step}: {what} does not close: {text}", hint=_ADVICE
        ) from error
    likelihood.reset()
    x, y = (np.asarray(values, dtype=float) for name, values in result.items() if name != "success")
    points = np.stack([x, y], axis=1)
    finite = bool(np.isfinite(points).all())
    if not result["success"] or len(points) < n_points + 1 or not finite:
        raise StepError(
            f"{likelihood.step}: {what} does not close: minuit found {len(points) - 1} points of "
            f"{n_points}",
            hint=_ADVICE,
        )
    _check_bounds(points, pair, likelihood.step, what)
    if not _encloses(points, [item.value for item in pair.parameters]):
        raise StepError(f"{likelihood.step}: {what} does not go around the best fit", hint=_ADVICE)
    _check_level(points, likelihood, pair, delta, what)
    return points


def _check_bounds(points: Any, pair: _Pair, step: str, what: str) -> None:
    """Check that a contour keeps off the bounds of its parameters.

    Raises
    ------
    StepError
        Where it does not: it would be cut there.
    """
    for label, parameter, values in zip(pair.labels, pair.parameters, points.T, strict=True):
        width = values.max() - values.min()
        for word, bound in (("min", parameter.min), ("max", parameter.max)):
            # false for NaN, which stands for no bound
            if abs(values - bound).min() <= 1e-3 * width:
                raise StepError(
                    f"{step}: {what} runs into the {word} of {label}, {bound:.6g}", hint=_ADVICE
                )


def _encloses(points: Any, best: list[float]) -> bool:
    """Tell whether a closed polygon goes once around a point."""
    import numpy as np

    scale = np.ptp(points, axis=0)
    if not (scale > 0).all():
        return False
    x, y = ((points - best) / scale).T
    angles = np.unwrap(np.arctan2(y, x))
    return bool(round(abs(angles[-1] - angles[0]) / (2 * math.pi)) == 1)


def _check_level(points: Any, likelihood: Likelihood, pair: _Pair, delta: float, what: str) -> None:
    """Check at some points that the fit statistic has the level of the contour.

    Raises
    ------
    StepError
        Where it has not.
    """
    for place in range(0, len(points) - 1, max(1, (len(points) - 1) // _N_CHECKED)):
        likelihood.reset()
        for parameter, value in zip(pair.parameters, points[place], strict=True):
            parameter.value, parameter.frozen = float(value), True
        found = likelihood.optimize(f"{what}: the fit of the other parameters") - likelihood.stat
        if abs(found - delta) > _TOLERANCE[0] * delta + _TOLERANCE[1]:
            raise StepError(
                f"{likelihood.step}: {what} is not one: the fit statistic there is {found:.3g} "
                f"above its minimum, not {delta:.3g}",
                hint=_ADVICE,
            )


def _table(likelihood: Likelihood, work: Any, found: Any, settings: ContoursSettings) -> Any:
    """Return the table, see `ContoursStep`."""
    import numpy as np
    from astropy import units as u
    from astropy.table import Column, Table

    length = settings.n_points + 1
    table = Table(
        {
            "pair": np.repeat([pair.number for pair, _, _ in work], length),
            "n_sigma": np.repeat([float(n_sigma) for _, n_sigma, _ in work], length),
            "point": np.tile(np.arange(length), len(work)),
        }
    )
    for place, ((pair, _, _), points) in enumerate(zip(work, found, strict=True)):
        rows = slice(place * length, (place + 1) * length)
        for label, parameter, values in zip(pair.labels, pair.parameters, points.T, strict=True):
            if label not in table.colnames:
                unit = None if parameter.unit == u.dimensionless_unscaled else parameter.unit
                table[label] = Column(np.full(len(table), np.nan), unit=unit)
            table[label][rows] = values
    covariance = likelihood.models.covariance
    pairs = {pair.number: pair for pair, _, _ in work}
    table.meta = {
        "product": "contours",
        "stat_min": likelihood.stat,
        "joint": settings.joint,
        "levels": [_level(n_sigma, joint=settings.joint) for n_sigma in sorted(settings.n_sigma)],
        "pairs": [_facts(pair, covariance) for pair in pairs.values()],
    }
    return table


def _level(n_sigma: float, *, joint: bool) -> dict[str, float]:
    """Return what a contour means."""
    return {
        "n_sigma": float(n_sigma),
        "confidence": math.erf(n_sigma / math.sqrt(2)),
        "delta_stat": delta_stat(n_sigma, joint=joint),
    }


def _facts(pair: _Pair, covariance: Any) -> dict[str, Any]:
    """Return what the fit says of a pair."""
    x, y = pair.parameters
    shared = float(covariance.get_subcovariance([x, y]).data[0, 1])
    return {
        "pair": pair.number,
        "x": pair.labels[0],
        "y": pair.labels[1],
        "x_best": float(x.value),
        "y_best": float(y.value),
        "x_error": float(x.error),
        "y_error": float(y.error),
        "correlation": shared / float(x.error * y.error),
    }
