"""Datasets with models at their best fit, for what walks around it: profiles, contours, limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import attach_models, join_datasets
from gpwf.steps.dataset_parts import has_counts, mask_of
from gpwf.steps.fit_ranges import inherited_fit_range, set_fit_range
from gpwf.steps.parameter_names import parameter_labels
from gpwf.steps.positions import bound_positions

if TYPE_CHECKING:
    from gpwf.core.products import FitSummary
    from gpwf.steps.settings import EnergyRange

__all__ = ["Likelihood", "check_minimum", "open_likelihood", "quiet_numbers"]

# how far below that of the models the minimum may be: minuit's own tolerance leaves about 1e-4
_AT_MINIMUM = 0.02
_GAIN = 1e-2
_MAX_RESTARTS = 5
_MARGIN_DEG = 0.5  # as far as `fit` lets positions move


def quiet_numbers() -> Any:
    """Return a context without numpy's warnings: far from a minimum, models overflow.

    What comes out of it is checked to be finite.
    """
    import numpy as np

    return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


class Likelihood:
    """Datasets with models, a starting point, and the way back to it.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        With their masks; this object's own.
    models : `gammapy.modeling.models.Models`
        On the datasets.
    step : str
        Name of the step, for messages.

    Attributes
    ----------
    stat : float
        Fit statistic at the starting point: at the minimum after `minimise`.
    """

    def __init__(self, datasets: Any, models: Any, step: str) -> None:
        self.datasets, self.models, self.step = datasets, models, step
        self.keep()

    @property
    def free(self) -> list[Any]:
        """Free parameters, linked ones once."""
        return list(self.models.parameters.free_parameters.unique_parameters)

    @property
    def n_bins(self) -> int:
        """Bins that enter the statistic."""
        return sum(_n_bins(dataset) for dataset in self.datasets)

    def keep(self) -> None:
        """Make the present values the starting point."""
        self._start = [
            (item, item.value, item.error, item.frozen) for item in self.models.parameters
        ]
        self._covariance = self.models.covariance.data.copy()
        self.stat = self._stat()

    def reset(self) -> None:
        """Go back to the starting point: the same numbers follow, whatever was done before."""
        for parameter, value, error, frozen in self._start:
            parameter.value, parameter.frozen = value, frozen
            parameter.error = error
        self.models.covariance = self._covariance.copy()
        # maps keep parts of their predictions, so that the statistic depends on what was before
        self.datasets.models = self.models

    def _stat(self) -> float:
        self.datasets.models = self.models
        return float(self.datasets.stat_sum())

    def optimize(self, what: str = "the fit") -> float:
        """Minimise over the free parameters; without any, nothing moves.

        Parameters
        ----------
        what : str
            What is done, for the message.

        Returns
        -------
        stat : float
            Fit statistic at the minimum.

        Raises
        ------
        StepError
            Where it does not converge.
        """
        from gammapy.modeling import Fit

        if not self.free:
            return float(self.datasets.stat_sum())
        with quiet_numbers():
            result = Fit().optimize(self.datasets)
        if not (result.success and math.isfinite(result.total_stat)):
            raise StepError(
                f"{self.step}: {what} did not converge: {result.message}",
                hint="give parameters 'min' and 'max', freeze one, or use more data",
            )
        return float(result.total_stat)

    def minimise(self, what: str = "the fit") -> None:
        """Go to the minimum, and make it the starting point.

        From far away minuit may say that it has converged where it has not: it starts again from
        where it ended until nothing is gained any more.
        """
        self.reset()
        stat = self.optimize(what)
        for _ in range(_MAX_RESTARTS):
            before, stat = stat, self.optimize(what)
            if before - stat < _GAIN:
                break
        self.keep()

    def values(self) -> dict[str, float]:
        """Return the value of every free parameter by its name, in the parameter's unit."""
        free = {id(item) for item in self.free}
        found: dict[str, float] = {}
        for label, item in parameter_labels(self.models).items():
            if id(item) in free:
                free.remove(id(item))
                found[label] = float(item.value)
        return found


def open_likelihood(
    inputs: Mapping[str, Any],
    fit_range: EnergyRange | None,
    step: str,
    *,
    port: str = "models",
) -> Likelihood:
    """Return what the inputs of a step say, at the values that the models have.

    Parameters
    ----------
    inputs : mapping
        Inputs ``datasets``, those of the models, and ``fit_result`` where it is connected.
    fit_range : EnergyRange, optional
        Setting of the step; the range of the fit where it is None.
    step : str
        Name of the step.
    port : str
        Which input are the models.

    Raises
    ------
    NoDataError
        Where there are no counts, neither in the source's region nor outside.
    StepError
        Where models and datasets do not belong together, or no bin is left.
    """
    found = join_datasets(inputs["datasets"], step)
    datasets, models = attach_models(found, inputs[port], step)
    summary = inputs.get("fit_result")
    set_fit_range(datasets, inherited_fit_range(fit_range, summary), step)
    if not any(_has_counts(dataset) for dataset in datasets):
        raise NoDataError(
            f"{step}: the datasets have no counts in the range of the fit",
            hint="check the region, 'fit_range', and the safe range of the datasets",
        )
    bound_positions(models, _MARGIN_DEG)
    likelihood = Likelihood(datasets, models, step)
    if not math.isfinite(likelihood.stat):
        raise StepError(
            f"{step}: the fit statistic of the models is {likelihood.stat}",
            hint="check the values of the models' parameters",
        )
    if summary is not None:
        _check_summary(summary, likelihood, asked=fit_range is not None)
    return likelihood


def check_minimum(likelihood: Likelihood, *, with_errors: bool = True) -> None:
    """Check that the models are at the minimum, up to the tolerance of a fit; they stay there.

    Parameters
    ----------
    likelihood : Likelihood
        With the models as they came.
    with_errors : bool
        True where errors are needed, so that something has to be free.

    Raises
    ------
    StepError
        Where nothing is free, the models have no covariance, or are not at the minimum.
    """
    step = likelihood.step
    if with_errors and not likelihood.free:
        raise StepError(
            f"{step}: every parameter of the models is frozen",
            hint="set 'frozen: false' for the parameters to fit",
        )
    bad = _without_error(likelihood)
    if with_errors and bad:
        raise StepError(
            f"{step}: the models have no covariance: no error of {', '.join(bad)}",
            hint="connect the 'models' of the step 'fit', not those before it",
        )
    lowest = likelihood.optimize("the fit from the values of the models")
    likelihood.reset()
    if likelihood.stat - lowest > _AT_MINIMUM:
        raise StepError(
            f"{step}: the models are not at the minimum for these datasets and energies: the fit "
            f"statistic falls from {likelihood.stat:.6g} to {lowest:.6g}",
            hint="connect the 'models' and the 'fit_result' of the fit to the same datasets, or "
            "give its 'fit_range'",
        )


def _without_error(likelihood: Likelihood) -> list[str]:
    """Return the names of free parameters without an error."""
    labels = parameter_labels(likelihood.models)
    return [
        next(label for label, item in labels.items() if item is parameter)
        for parameter in likelihood.free
        if not (math.isfinite(parameter.error) and parameter.error > 0)
    ]


def _check_summary(summary: FitSummary, likelihood: Likelihood, *, asked: bool) -> None:
    """Check that a fit result is that of the models, of these datasets and these bins.

    Raises
    ------
    StepError
        Where it is not.
    """
    step = likelihood.step
    own = {
        (model.name, item.name): item for model in likelihood.models for item in model.parameters
    }
    for item in summary.parameters:
        parameter = own.get((item.model, item.name))
        if parameter is None or not math.isclose(parameter.value, item.value, rel_tol=1e-9):
            raise StepError(
                f"{step}: 'fit_result' is not of the fit that the models are of: it has "
                f"{item.model}.{item.name} = {item.value:.6g}, the models have "
                f"{'none' if parameter is None else format(parameter.value, '.6g')}",
                hint="connect 'models' and 'fit_result' of the same step",
            )
    bins = {item.name: item.n_bins for item in summary.datasets}
    here = {dataset.name: _n_bins(dataset) for dataset in likelihood.datasets}
    if bins and bins != here:
        what = "'fit_range' is not that of the fit" if asked else "the datasets are others"
        raise StepError(
            f"{step}: {what}: the fit used {sum(bins.values())} bins of {', '.join(bins)}; here "
            f"are {sum(here.values())} of {', '.join(here)}",
            hint="connect the datasets of the fit"
            + (", and leave 'fit_range' out" if asked else ""),
        )


def _n_bins(dataset: Any) -> int:
    return int(mask_of(dataset).sum())


def _has_counts(dataset: Any) -> bool:
    """Tell whether anything was counted where it counts; flux points have been."""
    if not has_counts(dataset):
        return bool(mask_of(dataset).any())
    maps = [dataset.counts, getattr(dataset, "counts_off", None)]
    masked = mask_of(dataset)
    return any(bool(item.data[masked].any()) for item in maps if item is not None)
