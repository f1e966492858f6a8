"""The step ``upper-limit``: how large a parameter, or a flux, may be at most."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Need
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.fit_inputs import FIT_INPUTS, model_need
from gpwf.steps.likelihoods import Likelihood, open_likelihood
from gpwf.steps.parameter_names import find_free_parameter, norm_parameters
from gpwf.steps.settings import EnergyRange, Field, StepSettings

__all__ = ["UpperLimitStep"]

_MAX_DOUBLINGS = 40
_PRECISION = 1e-4  # of the distance between best value and limit


class UpperLimitSettings(StepSettings):
    """Settings of the step."""

    parameter: str = Field(
        description="Name of the parameter, `crab.amplitude`, or `amplitude` where one has it",
        min_length=1,
        examples=["crab.amplitude"],
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Confidence of the limit, of one side: 0.95 for 95%"
    )
    energy: EnergyRange | None = Field(
        None,
        description="Energies of a limit of the flux, both bounds; the parameter is an amplitude, "
        "and the shape of the spectrum is kept",
    )
    fit_range: EnergyRange | None = Field(
        None, description="Energies to use; left out: those of the fit"
    )


class UpperLimitStep(Step):
    """Find the upper limit of a parameter, or of a flux, from its profile likelihood.

    The value above the best one at which the fit statistic, minimised over all other free
    parameters, has risen by the square of the one-sided number of sigma: 2.71 for 95% (Rolke et al.
    2005). `gammapy.modeling.Fit.confidence` gives the same for a sigma of 1.645. The models need
    not be fitted before: a source that is not there has no useful fit.

    With `energy`, the limit of an amplitude is given as integral photon flux and energy flux
    between two energies, too; the other parameters of the source's spectrum are kept where they
    are at the best fit, so that the flux is proportional to the amplitude.

    An amplitude whose best value is negative gives limits that are too low: set its `min: 0` in the
    models, and the rise is counted from there. The table has one row.
    """

    tag: ClassVar[str] = "upper-limit"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Find the upper limit of a parameter or flux"
    group: ClassVar[str] = "fit"
    Settings: ClassVar[type[StepSettings]] = UpperLimitSettings
    input_ports: ClassVar[tuple[Port, ...]] = FIT_INPUTS
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="limit", kind="table", help="One row: best value and limit"),
    )

    def check(self, settings: UpperLimitSettings) -> Any:
        """Ask for both bounds of the energies of a flux."""
        energy = settings.energy
        if energy is None or (energy.min is not None and energy.max is not None):
            return []
        missing = "min" if energy.min is None else "max"
        message = f"a flux needs both bounds, and '{missing}' is missing"
        return [SettingProblem(path=("energy", missing), message=message, code="GP306")]

    def requires(self, settings: UpperLimitSettings) -> list[Need]:
        """Return the model; energies of the flux may lie outside those of the data."""
        energies = [need for need in super().requires(settings) if need.path[0] != "energy"]
        return [*energies, *model_need(settings.parameter, ("parameter",))]

    def run(
        self, settings: UpperLimitSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``limit``: `astropy.table.Table`."""
        likelihood = open_likelihood(inputs, settings.fit_range, ctx.step)
        label, parameter = find_free_parameter(
            likelihood.models, settings.parameter, ctx.step, "parameter"
        )
        model = None
        if settings.energy is not None:
            model = _source_of(likelihood, label, parameter, ctx.step)
        start = abs(float(parameter.value))
        likelihood.minimise()
        if model is not None:
            for item in model.spectral_model.parameters:
                item.frozen = item is not parameter
            likelihood.keep()
        norms = norm_parameters(likelihood.models[_model_name(likelihood, parameter)])
        if any(item is parameter for item in norms):
            _warn_negative(parameter, label, ctx.step)
        delta = one_sided_delta(settings.confidence)
        best = float(parameter.value)
        limit = _limit(likelihood, parameter, label, delta, start)
        return {"limit": _table(likelihood, label, parameter, best, limit, delta, settings, model)}


def one_sided_delta(confidence: float) -> float:
    """Return how far the fit statistic rises from its minimum to a limit of one side.

    Parameters
    ----------
    confidence : float
        Of one side, more than 0.5.

    References
    ----------
    Rolke, López & Conrad (2005), Nucl. Instrum. Methods A 551, 493, section 3.
    """
    from scipy.stats import norm

    return float(norm.isf(1 - confidence) ** 2)


def _model_name(likelihood: Likelihood, parameter: Any) -> str:
    """Return the name of the first model that has a parameter."""
    return str(
        next(
            model.name
            for model in likelihood.models
            if any(item is parameter for item in model.parameters)
        )
    )


def _source_of(likelihood: Likelihood, label: str, parameter: Any, step: str) -> Any:
    """Return the model whose flux is proportional to a parameter.

    Raises
    ------
    StepError
        Where there is none.
    """
    model = likelihood.models[_model_name(likelihood, parameter)]
    norms = norm_parameters(model)
    if any(item is parameter for item in norms) and hasattr(model.spectral_model, "integral"):
        return model
    known = [
        f"{item.name}.{norm.name}" for item in likelihood.models for norm in norm_parameters(item)
    ]
    raise StepError(
        f"{step}: the flux is not proportional to {label}, so that 'energy' means nothing for it",
        hint=f"leave 'energy' out, or set 'parameter' to {' or '.join(known)}",
    )


def _warn_negative(parameter: Any, label: str, step: str) -> None:
    if parameter.value < 0:
        warnings.warn(
            f"{step}: the best value of {label} is negative ({parameter.value:.4g}), and the limit "
            "counts from there; set 'min: 0' for it in the models if it cannot be",
            stacklevel=3,
        )


def _limit(likelihood: Likelihood, parameter: Any, label: str, delta: float, start: float) -> float:
    """Return where the profile has risen by ``delta``, in the parameter's unit.

    ``start`` is the size of the value in the models, for a first step where there is no error.

    Raises
    ------
    StepError
        Where it does not rise that far, or a fit on the way fails.
    """
    from scipy.optimize import brentq

    best, low = float(parameter.value), likelihood.stat

    def above(value: float) -> float:
        likelihood.reset()
        parameter.value, parameter.frozen = value, True
        found = likelihood.optimize(f"the fit of the other parameters at {label} = {value:.6g}")
        return float(found) - low - delta

    step = parameter.error if math.isfinite(parameter.error) and parameter.error > 0 else 0.0
    step = step or 0.1 * max(abs(best), start) or 1.0
    inner, outer = best, best + step
    bound = math.inf if math.isnan(parameter.max) else float(parameter.max)
    for _ in range(_MAX_DOUBLINGS):
        outer = min(outer, bound)
        if above(outer) > 0:
            break
        if outer >= bound:
            raise StepError(
                f"{likelihood.step}: {label} reaches its max, {bound:.6g}, before the limit",
                hint="widen the bounds in the models",
            )
        inner, outer = outer, best + 2 * (outer - best)
    else:
        raise StepError(
            f"{likelihood.step}: the data do not limit {label}: the fit statistic has not risen by "
            f"{delta:.3g} at {outer:.4g}",
            hint="use more data, or fix other parameters",
        )
    tolerance = _PRECISION * (outer - best)
    found = float(brentq(above, inner, outer, xtol=tolerance, rtol=1e-12))
    likelihood.reset()
    return found


def _table(
    likelihood: Likelihood,
    label: str,
    parameter: Any,
    best: float,
    limit: float,
    delta: float,
    settings: UpperLimitSettings,
    model: Any,
) -> Any:
    """Return the row, see `UpperLimitStep`."""
    from astropy import units as u
    from astropy.table import Column, Table

    unit = None if parameter.unit == u.dimensionless_unscaled else parameter.unit
    table = Table()
    table["best"] = Column([best], unit=unit)
    table["limit"] = Column([limit], unit=unit)
    if model is not None and settings.energy is not None:
        assert settings.energy.min is not None
        assert settings.energy.max is not None
        bounds = (settings.energy.min.quantity, settings.energy.max.quantity)
        for value, suffix in ((best, ""), (limit, "_ul")):
            parameter.value = value
            spectrum = model.spectral_model
            table[f"flux{suffix}"] = Column(
                [spectrum.integral(*bounds).to_value("cm-2 s-1")], unit="cm-2 s-1"
            )
            table[f"eflux{suffix}"] = Column(
                [spectrum.energy_flux(*bounds).to_value("TeV cm-2 s-1")], unit="TeV cm-2 s-1"
            )
        likelihood.reset()
    table["confidence"] = [settings.confidence]
    table["delta_stat"] = [delta]
    table["stat_min"] = [likelihood.stat]
    table.meta = {"product": "upper-limit", "parameter": label, "values": likelihood.values()}
    if settings.energy is not None and model is not None:
        table.meta["energy"] = [str(settings.energy.min), str(settings.energy.max)]
    return table
