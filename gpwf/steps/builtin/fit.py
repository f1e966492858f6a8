"""The step ``fit``: parameters of models from datasets, by maximum likelihood."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.products import DatasetStat, FitSummary, FittedParameter
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import attach_models, join_datasets
from gpwf.steps.base import Step, StepContext
from gpwf.steps.dataset_parts import energy_geom, has_counts, mask_of
from gpwf.steps.fit_ranges import bounds_tev, set_fit_range
from gpwf.steps.positions import bound_positions
from gpwf.steps.settings import EnergyRange, Field, Radius, Section, StepSettings

__all__ = ["FitStep"]

# what scipy calls the most evaluations; methods that are not here count iterations
_SCIPY_LIMITS = {"nelder-mead": "maxfev", "powell": "maxfev", "l-bfgs-b": "maxfun", "tnc": "maxfun"}
# a parameter as near to its bound as this, in units of the bound or of the range, sits on it
_AT_BOUND = 1e-6

_ADVICE = (
    "start closer to the solution, give parameters 'min' and 'max', freeze one, or use more data "
    "(a wider 'fit_range', more observations, 'stack: true')"
)


class FitOptions(Section):
    """Options of the minimiser."""

    strategy: Literal[0, 1, 2] = Field(1, description="minuit: 0 fast, 1 default, 2 careful")
    tolerance: float = Field(0.1, gt=0, description="minuit: tolerance of the convergence (EDM)")
    max_calls: int | None = Field(
        None, ge=1, description="Most evaluations of the statistic; left out: the minimiser's own"
    )
    method: Literal[
        "Nelder-Mead",
        "Powell",
        "CG",
        "BFGS",
        "L-BFGS-B",
        "TNC",
        "COBYLA",
        "COBYQA",
        "SLSQP",
        "trust-constr",
    ] = Field("Nelder-Mead", description="scipy: method of `scipy.optimize.minimize`")


class FitSettings(StepSettings):
    """Settings of the step."""

    fit_range: EnergyRange = Field(
        EnergyRange.model_validate({}),
        description="Energies to fit; bins that lie inside as a whole are used",
    )
    backend: Literal["minuit", "scipy"] = Field(
        "minuit", description="What minimises; errors always come from minuit"
    )
    options: FitOptions = Field(
        FitOptions.model_validate({}), description="Options of the minimiser"
    )
    position_margin: Radius | None = Field(
        Radius("0.5 deg"),
        description="How far a free position without bounds may move from its start; null for any "
        "distance, with which fits of maps often fail",
    )


class FitStep(Step):
    """Fit models to datasets.

    Minimises the fit statistic of all datasets together, inside the safe range and ``fit_range``,
    and computes the covariance. A fit that does not converge is a failed step. A model without
    ``datasets_names`` acts on all datasets; names that match nothing are errors.

    Map datasets bring background models of their own: they are fitted together with the models, and
    are part of the fitted ones. Free positions are bound around where they start.
    """

    tag: ClassVar[str] = "fit"
    version: ClassVar[str] = "3"
    title: ClassVar[str] = "Fit models to datasets"
    group: ClassVar[str] = "fit"
    Settings: ClassVar[type[StepSettings]] = FitSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", multiple=True, help="What to fit to, all together"),
        Port(name="models", kind="models", help="Models with their start values"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="models", kind="models", help="Models at the best fit, with covariance"),
        Port(name="fit_result", kind="fit-result", help="Statistic, parameters, covariance"),
    )
    replaces: ClassVar[Mapping[str, str]] = {"models": "models"}

    def check(self, settings: FitSettings) -> Sequence[SettingProblem]:
        """Refuse a method of scipy for minuit, which has none."""
        if settings.backend == "scipy" or settings.options.method == "Nelder-Mead":
            return []
        message = f"'method' has no meaning for the backend '{settings.backend}', only for 'scipy'"
        hint = "set 'backend: scipy', or leave 'method' out"
        return [
            SettingProblem(path=("options", "method"), message=message, code="GP306", hint=hint)
        ]

    def run(
        self, settings: FitSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``models`` (`gammapy.modeling.models.Models`) and ``fit_result``."""
        found = join_datasets(inputs["datasets"], ctx.step)
        datasets, models = attach_models(found, inputs["models"], ctx.step)
        set_fit_range(datasets, settings.fit_range, ctx.step)
        _require_counts(datasets, ctx.step)
        if settings.position_margin is not None:
            bound_positions(models, settings.position_margin.value)
        if not len(models.parameters.free_parameters):
            raise StepError(
                f"{ctx.step}: every parameter of the models is frozen",
                hint="set 'frozen: false' for the parameters to fit",
            )
        try:
            result = _fit(settings).run(datasets)
        except ValueError as error:  # scipy, of a method that it does not have
            raise StepError(
                f"{ctx.step}: {settings.backend} cannot minimise: {error}",
                hint="check 'backend' and 'options'",
            ) from error
        _check_result(result, models, ctx.step)
        _warn_bounds(models, ctx.step)
        _set_covariance(models, result.models)
        # maps keep parts of the predictions made on the way to the minimum, so their statistic
        # depends on that way; with models set anew it depends on the parameters alone
        datasets.models = models
        summary = _summary(result, datasets, models, bounds_tev(settings.fit_range))
        return {"models": models, "fit_result": summary}


def _require_counts(datasets: Any, step: str) -> None:
    """Refuse to fit where nothing was counted: the minimum is an edge, or everywhere.

    Raises
    ------
    NoDataError
        Where no dataset has a count in its masks, and none holds flux points.
    """
    if all(has_counts(item) and not item.counts.data[mask_of(item)].any() for item in datasets):
        raise NoDataError(
            f"{step}: there are no counts in the bins to fit",
            hint="check the region and the energy range; where OFF events were counted, the step "
            "'upper-limit' gives a limit of an amplitude with 'min: 0'",
        )


def _fit(settings: FitSettings) -> Any:
    """Return gammapy's fit for these settings."""
    from gammapy.modeling import Fit

    options = settings.options
    minuit: dict[str, Any] = {"strategy": options.strategy, "tol": options.tolerance}
    optimize: dict[str, Any] = {"backend": settings.backend}
    if settings.backend == "minuit":
        optimize |= minuit
        if options.max_calls is not None:
            optimize["migrad_opts"] = {"ncall": options.max_calls}
    else:
        optimize["method"] = options.method
        if options.max_calls is not None:
            limit = _SCIPY_LIMITS.get(options.method.lower(), "maxiter")
            optimize["options"] = {limit: options.max_calls}
    return Fit(
        backend="minuit", optimize_opts=optimize, covariance_opts={"backend": "minuit", **minuit}
    )


def _check_result(result: Any, models: Any, step: str) -> None:
    """Refuse a fit that is no result.

    Raises
    ------
    StepError
        Where the minimiser or the covariance failed, or a number is not finite.
    """
    import numpy as np

    optimum, covariance = result.optimize_result, result.covariance_result
    if not optimum.success:
        raise StepError(f"{step}: the fit did not converge: {optimum.message}", hint=_ADVICE)
    if covariance is None or not covariance.success:
        text = covariance.message if covariance is not None else "not computed"
        raise StepError(f"{step}: the errors of the fit are unknown: {text}", hint=_ADVICE)
    if not np.isfinite(optimum.total_stat):
        raise StepError(f"{step}: the fit statistic is {optimum.total_stat}", hint=_ADVICE)
    bad = [
        f"{model.name}.{parameter.name}"
        for model in models
        for parameter in model.parameters.free_parameters
        if not (np.isfinite(parameter.value) and np.isfinite(parameter.error))
    ]
    if bad:
        raise StepError(f"{step}: no finite value or error for {', '.join(bad)}", hint=_ADVICE)


def _warn_bounds(models: Any, step: str) -> None:
    """Warn of parameters that ended at their bound: minuit's errors mean nothing there."""
    import math

    at_bound = []
    for model in models:
        for parameter in model.parameters.free_parameters:
            value, low, high = parameter.value, parameter.min, parameter.max
            reach = high - low if math.isfinite(high - low) else math.nan
            for word, bound in (("min", low), ("max", high)):
                scale = abs(bound) if math.isnan(reach) else reach
                if math.isfinite(bound) and abs(value - bound) <= _AT_BOUND * scale:
                    at_bound.append(f"{model.name}.{parameter.name} ({word} {bound:.4g})")
    if at_bound:
        warnings.warn(
            f"{step}: the fit ended at a bound of {', '.join(at_bound)}: the values and errors "
            "are not those of a minimum; widen the bounds, or freeze the parameter",
            stacklevel=2,
        )


def _set_covariance(models: Any, fitted: Any) -> None:
    """Copy the covariance to our models, whose order may differ from that of the fit."""
    import numpy as np

    starts = np.cumsum([0, *(len(model.parameters) for model in fitted)])
    indices = np.concatenate(
        [
            starts[fitted.names.index(model.name)] + np.arange(len(model.parameters))
            for model in models
        ]
    )
    models.covariance = fitted.covariance.data[np.ix_(indices, indices)].copy()


def _summary(
    result: Any, datasets: Any, models: Any, fit_range: tuple[float | None, float | None]
) -> FitSummary:
    """Return the result as plain data."""
    optimum = result.optimize_result
    has_maps = any(not energy_geom(dataset).is_region for dataset in datasets)
    return FitSummary(
        total_stat=float(datasets.stat_sum() if has_maps else optimum.total_stat),
        success=bool(optimum.success),
        message=str(optimum.message),
        nfev=int(optimum.nfev),
        backend=str(optimum.backend),
        method=str(optimum.method),
        n_free=len(models.parameters.free_parameters.unique_parameters),
        parameters=tuple(
            _parameter(parameter, model.name) for model in models for parameter in model.parameters
        ),
        covariance=tuple(tuple(float(x) for x in row) for row in models.covariance.data),
        datasets=tuple(_dataset(dataset) for dataset in datasets),
        fit_range=fit_range,
    )


def _parameter(parameter: Any, model: str) -> FittedParameter:
    """Return one parameter as plain data."""

    def bound(value: float) -> float | None:
        return None if value != value else float(value)  # NaN stands for no bound

    return FittedParameter(
        name=parameter.name,
        model=model,
        value=float(parameter.value),
        error=float(parameter.error),
        unit=parameter.unit.to_string("fits"),
        min=bound(parameter.min),
        max=bound(parameter.max),
        frozen=bool(parameter.frozen),
    )


def _dataset(dataset: Any) -> DatasetStat:
    """Return what a dataset contributes, inside its mask; flux points have no counts."""
    mask, counted = mask_of(dataset), has_counts(dataset)
    return DatasetStat(
        name=dataset.name,
        stat=float(dataset.stat_sum()),
        n_bins=int(mask.sum()),
        counts=float(dataset.counts.data[mask].sum()) if counted else 0.0,
        npred=float(dataset.npred().data[mask].sum()) if counted else 0.0,
    )
