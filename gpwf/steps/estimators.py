"""The setting ``parameters`` of estimator steps: what gammapy's estimator takes besides."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from gpwf.core.catalog import SettingProblem
from gpwf.errors import StepError
from gpwf.steps.arguments import argument_problems
from gpwf.steps.settings import StepSettings

__all__ = ["EstimatorParameters", "estimator_problems", "make_estimator", "reoptimized"]

EstimatorParameters = dict[str, Any]
"""Type of the setting; the names are those of the estimator's parameters."""

# what every estimator step gives itself
_OWN = {
    "n_jobs": "write 'n_jobs' under 'resources' of the step",
    "parallel_backend": "",
    "fit": "",
}
# what gammapy sets before it reads the mapping ``norm``
_OWN_NORM = {"name": "", "prior": ""}


def estimator_problems(
    target: str, settings: StepSettings, *, own: Mapping[str, str] | None = None
) -> list[SettingProblem]:
    """Return what is wrong with the setting ``parameters`` of an estimator step.

    Parameters
    ----------
    target : str
        Estimator that takes them, ``gammapy.estimators.FluxPointsEstimator``.
    settings : StepSettings
        With the field ``parameters``. Parameters with the name of another field are given there.
    own : mapping of str to str, optional
        More parameters that the step gives itself, with what to write instead.
    """
    given: EstimatorParameters = settings.parameters  # type: ignore[attr-defined]
    if not given:
        return []
    at = ("parameters",)
    fields = {
        name: f"write '{name}' beside 'parameters', not below it"
        for name in type(settings).model_fields
        if name != "parameters"
    }
    problems = argument_problems(
        target, given, at, own={**_OWN, **fields, **(own or {})}, partial=True
    )
    norm = given.get("norm")
    if isinstance(norm, Mapping):
        problems += argument_problems(
            "gammapy.modeling.Parameter", norm, (*at, "norm"), own=_OWN_NORM, partial=True
        )
    return problems


def make_estimator(kind: type, step: str, parameters: EstimatorParameters, **arguments: Any) -> Any:
    """Return an estimator of gammapy.

    Parameters
    ----------
    kind : type
        Class of the estimator.
    step : str
        Name of the step, for the message.
    parameters : mapping
        The setting ``parameters``.
    **arguments
        What the step gives itself.

    Raises
    ------
    StepError
        Where gammapy refuses a value.
    """
    try:
        return kind(**parameters, **arguments)
    except (TypeError, ValueError) as error:
        if not parameters:
            raise
        raise StepError(
            f"{step}: {kind.__name__} refuses its parameters: {error}", hint="check 'parameters'"
        ) from error


def reoptimized(wanted: bool, datasets: Any, source: str, step: str) -> bool:
    """Return whether other models are to be fitted again for every flux.

    Where nothing is free beside the source, gammapy would find no parameters to fit: that is told,
    and the result is the same without.

    Parameters
    ----------
    wanted : bool
        The setting ``reoptimize``.
    datasets : gammapy.datasets.Datasets
        With their models.
    source : str
        Name of the model whose flux is measured; of it only the normalisation is fitted.
    step : str
        Name of the step, for the warning.
    """
    others = [model for model in datasets.models or [] if model.name != source]
    if not wanted or any(model.parameters.free_parameters for model in others):
        return wanted
    warnings.warn(
        f"{step}: 'reoptimize' has nothing to fit again: no parameter beside those of "
        f"'{source}' is free",
        stacklevel=2,
    )
    return False
