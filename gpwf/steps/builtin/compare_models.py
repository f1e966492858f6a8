"""The step ``compare-models``: does a larger model describe the data better than a smaller one?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from gpwf.core.contents import Need
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.fit_inputs import model_need
from gpwf.steps.likelihood_ratio import p_value, sigma_of
from gpwf.steps.likelihoods import Likelihood, open_likelihood
from gpwf.steps.nesting import NotNestedError, Restriction, apply_null, fix, restrictions
from gpwf.steps.parameter_names import find_free_parameter, parameter_labels, parameter_value
from gpwf.steps.settings import AnyQuantity, EnergyRange, Field, StepSettings

__all__ = ["CompareModelsStep"]

# how far the fit statistics of two descriptions of the null hypothesis may differ
_AGREE = 0.05
_DATASETS = Port(name="datasets", kind="datasets", multiple=True, help="What is described")
_ALTERNATIVE = Port(name="alternative_models", kind="models", help="The larger models")
_NULL = Port(name="null_models", kind="models", help="The smaller models: the null hypothesis")


class CompareModelsSettings(StepSettings):
    """Settings of the step."""

    null_values: dict[str, float | AnyQuantity] = Field(
        {},
        description="Values of parameters of the alternative that make it the null hypothesis, "
        "such as `crab.beta: 0`, instead of 'null_models'",
    )
    nested: Literal["check", "assume", "skip"] = Field(
        "check",
        description="Whether the alternative contains the null hypothesis: check it, assume it "
        "without a check, or skip the likelihood ratio: AIC and BIC alone",
    )
    fit_range: EnergyRange | None = Field(
        None, description="Energies in which both are fitted; left out: all of the safe range"
    )


class CompareModelsStep(Step):
    """Compare two hypotheses by the likelihood ratio, AIC and BIC.

    Both are fitted to the same datasets, each from the values it brings. The null hypothesis is
    the input `null_models`, or the alternative with parameters fixed by `null_values`.

    The table has one row: `ts` is the fit statistic of the null hypothesis minus that of the
    alternative, `n_dof` the number of additional free parameters, `p_value` the chance of such a
    `ts` under the null hypothesis, `sigma` the same for a normal distribution, both sides of it.
    `delta_aic` and `delta_bic` are the alternative's minus the null's: negative ones favour the
    alternative. gammapy's `gammapy.modeling.select_nested_models` gives the same `ts`.

    Wilks' theorem needs nested models. That they are is checked: the alternative with the
    additional parameters fixed has to fit as well as the null hypothesis. With one parameter at its
    bound under the null hypothesis (an extension of zero) `p_value` is that of the mixture of chi
    squares. Where the theorem does not hold (several bounds, or parameters that mean nothing under
    the null hypothesis, such as the index of a source that is not there), `caveats` of the metadata
    say so: find the distribution of `ts` with `simulate` then.
    """

    tag: ClassVar[str] = "compare-models"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Compare models by their likelihood"
    group: ClassVar[str] = "fit"
    Settings: ClassVar[type[StepSettings]] = CompareModelsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (_DATASETS, _NULL, _ALTERNATIVE)
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="comparison", kind="table", help="One row: statistics of both, and their ratio"),
    )

    def inputs(self, settings: CompareModelsSettings) -> tuple[Port, ...]:
        """Return the inputs: no models of the null hypothesis where values make them."""
        return (_DATASETS, _ALTERNATIVE) if settings.null_values else self.input_ports

    def requires(self, settings: CompareModelsSettings) -> Any:
        """Return the models of the parameters that are fixed, and the energies."""
        needs = [
            Need(port="alternative_models", path=need.path, model=need.model)
            for name in settings.null_values
            for need in model_need(name, ("null_values", name))
        ]
        return [*super().requires(settings), *needs]

    def run(
        self, settings: CompareModelsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``comparison``: `astropy.table.Table`."""
        alternative = open_likelihood(
            inputs, settings.fit_range, ctx.step, port="alternative_models"
        )
        if settings.null_values:
            null = open_likelihood(inputs, settings.fit_range, ctx.step, port="alternative_models")
            fixed = _fix(null, settings.null_values, ctx.step)
        else:
            null = open_likelihood(inputs, settings.fit_range, ctx.step, port="null_models")
            fixed = _restrictions(null, alternative, settings.nested, ctx.step)
        null.minimise("the fit of the null hypothesis")
        alternative.minimise("the fit of the alternative")
        if settings.null_values:
            _start_again(null, alternative)
        n_dof = len(alternative.free) - len(null.free)
        if settings.nested != "skip":
            if n_dof < 1:
                raise _not_nested(
                    ctx.step,
                    f"the alternative has {len(alternative.free)} free parameters, the null "
                    f"hypothesis {len(null.free)}",
                )
            how = _nest(null, alternative, fixed, check=settings.nested == "check", step=ctx.step)
            how = [] if settings.null_values else how  # nested by construction
        else:
            how = ["the models are not nested: there is no likelihood ratio test"]
        table = _table(null, alternative, fixed, nested=settings.nested != "skip")
        table.meta["caveats"] = [*how, *_caveats(fixed)]
        return {"comparison": table}


def _fix(null: Likelihood, values: Mapping[str, Any], step: str) -> list[Restriction]:
    """Fix parameters at their values under the null hypothesis.

    Raises
    ------
    StepError
        Where there is no such free parameter, or the value is beyond its bounds.
    """
    fixed = []
    for name, value in values.items():
        setting = f"null_values.{name}"
        label, parameter = find_free_parameter(null.models, name, step, setting)
        number = parameter_value(value, label, parameter, step, setting)
        low, high = float(parameter.min), float(parameter.max)
        if number < low or number > high:
            raise StepError(
                f"{step}: '{setting}': {number:g} lies outside the bounds of {label}",
                hint="change the value, or the bounds in the models",
            )
        parameter.value, parameter.frozen = number, True
        model, _, short = label.partition(".")
        fixed.append(
            Restriction(
                model=model,
                part="",
                name=short,
                value=number,
                boundary=number in (low, high),
            )
        )
    null.keep()
    return fixed


def _start_again(null: Likelihood, alternative: Likelihood) -> None:
    """Fit the null hypothesis from the best fit of the alternative, too; the better one counts."""
    before = null.stat
    values = parameter_labels(alternative.models)
    for label, parameter in parameter_labels(null.models).items():
        if not parameter.frozen:
            parameter.value = values[label].value
    null.datasets.models = null.models
    if null.optimize("the fit of the null hypothesis") < before:
        null.keep()
    null.reset()


def _restrictions(
    null: Likelihood, alternative: Likelihood, nested: str, step: str
) -> list[Restriction]:
    """Return what the null hypothesis fixes; nothing where nobody wants to know.

    Raises
    ------
    StepError
        Where the models are not nested.
    """
    try:
        return restrictions(null.models, alternative.models)
    except NotNestedError as error:
        if nested == "check":
            raise _not_nested(step, str(error)) from error
        return []


def _not_nested(step: str, text: str) -> StepError:
    """Return the error for models that are not nested."""
    return StepError(
        f"{step}: the models are not nested: {text}",
        hint="set 'nested: skip' to compare them by AIC and BIC alone, 'nested: assume' if you "
        "know that the alternative contains the null hypothesis, or exchange the two",
    )


def _nest(
    null: Likelihood, alternative: Likelihood, fixed: list[Restriction], *, check: bool, step: str
) -> list[str]:
    """Check with the data that the alternative contains the null hypothesis.

    The fit of an alternative that ended in another minimum, above that of the null hypothesis, is
    made again from there.

    Returns
    -------
    caveats : list of str
        What was not checked: an extension of zero cannot be evaluated, and parameters that are
        linked in the null hypothesis alone have no value at which they are fixed.

    Raises
    ------
    StepError
        Where it does not, or where the alternative fits worse in spite of all.
    """
    n_dof = len(alternative.free) - len(null.free)
    testable = len(fixed) == n_dof and all(item.exact and item.part for item in fixed)
    if check and testable:
        _check_with_data(null, alternative, fixed, step)
        if alternative.stat > null.stat:  # from there, with the additional parameters free again
            for item in fixed:
                part = getattr(alternative.models[item.model], f"{item.part}_model")
                part.parameters[item.name].frozen = False
            if alternative.optimize("the fit of the alternative") < alternative.stat:
                alternative.keep()
        alternative.reset()
    if alternative.stat - null.stat > _AGREE:
        raise StepError(
            f"{step}: the alternative fits worse (fit statistic {alternative.stat:.6g}) than the "
            f"null hypothesis ({null.stat:.6g}), which it contains: its fit has ended in another "
            "minimum",
            hint="start the alternative closer to the null hypothesis, or exchange the two",
        )
    if not check:
        return ["that the models are nested was assumed"]
    return [] if testable else ["that the models are nested was not checked with the data"]


def _check_with_data(
    null: Likelihood, alternative: Likelihood, fixed: list[Restriction], step: str
) -> None:
    """Check that the alternative fits as the null hypothesis where its parameters are fixed.

    It starts from its own best fit, and then from that of the null hypothesis, where it stays.

    Raises
    ------
    StepError
        Where it does not.
    """
    what = "the fit of the alternative with the additional parameters fixed"
    fix(alternative.models, fixed)
    alternative.datasets.models = alternative.models
    own = alternative.optimize(what)
    alternative.reset()
    apply_null(null.models, alternative.models, fixed)
    alternative.datasets.models = alternative.models
    stat = alternative.optimize(what)
    if stat - null.stat > _AGREE:
        raise _not_nested(
            step,
            f"with {_names(fixed)} fixed, the alternative has the fit statistic {stat:.6g}, the "
            f"null hypothesis {null.stat:.6g}",
        )
    if null.stat - min(own, stat) > _AGREE:
        raise StepError(
            f"{step}: with {_names(fixed)} fixed, the alternative fits better (fit statistic "
            f"{min(own, stat):.6g}) than the null hypothesis ({null.stat:.6g}): either the fit of "
            "the null hypothesis has ended in another minimum, or the models are not nested",
            hint="start the null hypothesis closer to its minimum, with models that 'fit' made",
        )


def _names(fixed: list[Restriction]) -> str:
    return ", ".join(f"{item.label} = {item.value:.4g}" for item in fixed)


def _table(
    null: Likelihood, alternative: Likelihood, fixed: list[Restriction], *, nested: bool
) -> Any:
    """Return the row, see `CompareModelsStep`.

    References
    ----------
    Akaike (1974), IEEE Trans. Autom. Control 19, 716; Schwarz (1978), Ann. Statist. 6, 461.
    """
    from astropy.table import Table

    ts = max(0.0, null.stat - alternative.stat) if nested else null.stat - alternative.stat
    free = (len(null.free), len(alternative.free))
    n_dof = free[1] - free[0]
    n_boundary = sum(item.boundary for item in fixed)
    chance = p_value(ts, n_dof, n_boundary) if nested else math.nan
    aic = [item.stat + 2 * n for item, n in zip((null, alternative), free, strict=True)]
    weight = math.log(null.n_bins)
    bic = [item.stat + weight * n for item, n in zip((null, alternative), free, strict=True)]
    row = {
        "ts": ts,
        "n_dof": n_dof,
        "p_value": chance,
        "sigma": sigma_of(ts, n_dof, n_boundary) if nested else math.nan,
        "delta_aic": aic[1] - aic[0],
        "delta_bic": bic[1] - bic[0],
        "null_stat": null.stat,
        "null_n_free": free[0],
        "null_aic": aic[0],
        "null_bic": bic[0],
        "alternative_stat": alternative.stat,
        "alternative_n_free": free[1],
        "alternative_aic": aic[1],
        "alternative_bic": bic[1],
        "n_bins": null.n_bins,
        "nested": nested,
    }
    table = Table([row])
    table.meta = {
        "product": "model-comparison",
        "fixed_in_null": {item.label: item.value for item in fixed},
        "null_values": null.values(),
        "alternative_values": alternative.values(),
    }
    return table


def _caveats(fixed: list[Restriction]) -> list[str]:
    """Return why the chance is not, or not exactly, that of Wilks' theorem."""
    found = []
    bounds = [item.label for item in fixed if item.boundary]
    nameless = [item.label for item in fixed if item.meaningless]
    if len(bounds) == 1:
        found.append(
            f"{bounds[0]} is at its bound under the null hypothesis: p_value is that of a mixture "
            "of chi squares (Self & Liang 1987)"
        )
    elif bounds:
        found.append(
            f"{', '.join(bounds)} are at their bounds under the null hypothesis: p_value is too "
            "large; simulate for the right one"
        )
    if nameless:
        found.append(
            f"nothing under the null hypothesis depends on {', '.join(nameless)}, so Wilks' "
            "theorem does not hold (Protassov et al. 2002): simulate for the right p_value"
        )
    return found
