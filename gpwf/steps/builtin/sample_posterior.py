"""The step ``sample-posterior``: samples of the posterior of the free parameters."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.fit_inputs import FIT_INPUTS
from gpwf.steps.likelihoods import Likelihood, open_likelihood, quiet_numbers
from gpwf.steps.parameter_names import parameter_labels
from gpwf.steps.settings import EnergyRange, Field, StepSettings

__all__ = ["SamplePosteriorStep"]

# what UltraNest raises for a likelihood or a prior that it cannot use
_SAMPLER_ERRORS = (ValueError, RuntimeError, AssertionError, FloatingPointError)
_QUANTILES = (0.05, 0.16, 0.5, 0.84, 0.95)


class SamplePosteriorSettings(StepSettings):
    """Settings of the step."""

    n_live: int = Field(400, ge=40, le=100_000, description="Live points: more are more precise")
    seed: int = Field(0, ge=0, description="Seed of the random numbers")
    prior_width: float = Field(
        10.0,
        gt=0,
        description="Half width in errors of the uniform prior of a parameter that has neither a "
        "prior nor both bounds",
    )
    frac_remain: float = Field(
        0.5, gt=0, lt=1, description="Share of the evidence that may remain where sampling ends"
    )
    step_sampler: bool = Field(
        False, description="Walk in steps, which is better for more than ten parameters"
    )
    n_steps: int = Field(10, ge=1, description="Steps in each direction, for 'step_sampler'")
    fit_range: EnergyRange | None = Field(
        None, description="Energies to use; left out: those of the fit"
    )


class SamplePosteriorStep(Step):
    """Sample the posterior of the free parameters by nested sampling.

    `gammapy.modeling.Sampler` with UltraNest, which is not installed with gpwf and needs a C
    compiler: `pip install "ultranest>=4.4,<5"`. Cite Buchner (2021), JOSS 6, 3001, for it.

    A parameter has the prior that the models give it (`prior` in gammapy's YAML), otherwise a
    uniform one between its bounds, otherwise a uniform one of `prior_width` errors around the best
    fit. The evidence depends on the priors.

    `samples` has a column per free parameter, its rows equally weighted. `summary` has a row per
    parameter: mean, standard deviation, quantiles, and the value at the highest likelihood. Its
    metadata have the evidence `log_z` with its error, and the priors.
    """

    tag: ClassVar[str] = "sample-posterior"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Sample the posterior of the parameters"
    group: ClassVar[str] = "fit"
    Settings: ClassVar[type[StepSettings]] = SamplePosteriorSettings
    input_ports: ClassVar[tuple[Port, ...]] = FIT_INPUTS
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="samples", kind="table", help="Equally weighted samples of the posterior"),
        Port(name="summary", kind="table", help="Mean, spread and quantiles of every parameter"),
    )

    def distributions(self, settings: SamplePosteriorSettings) -> tuple[str, ...]:  # noqa: ARG002
        """Return the usual ones, and the sampler where it is installed."""
        return (*self.packages, *(("ultranest",) if _is_installed() else ()))

    def run(
        self, settings: SamplePosteriorSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``samples`` and ``summary``: `astropy.table.Table`."""
        if not _is_installed():
            raise StepError(
                f"{ctx.step}: the sampler needs the package ultranest, which is not installed",
                hint='pip install "ultranest>=4.4,<5" (it compiles some C: it needs a compiler)',
            )
        likelihood = open_likelihood(inputs, settings.fit_range, ctx.step)
        if not likelihood.free:
            raise StepError(
                f"{ctx.step}: every parameter of the models is frozen",
                hint="set 'frozen: false' for the parameters to sample",
            )
        priors = _set_priors(likelihood, settings.prior_width)
        result = _sample(likelihood, settings, ctx)
        return {
            "samples": _samples(likelihood, result),
            "summary": _summary(likelihood, result, priors),
        }


def _is_installed() -> bool:
    return importlib.util.find_spec("ultranest") is not None


def _set_priors(likelihood: Likelihood, width: float) -> dict[str, str]:
    """Give every free parameter a prior; return what they are.

    Raises
    ------
    StepError
        Where nothing says how wide one is.
    """
    from gammapy.modeling.models import UniformPrior

    labels = parameter_labels(likelihood.models)
    told: dict[str, str] = {}
    for label in likelihood.values():
        item = labels[label]
        if item.prior is not None:
            told[label] = type(item.prior).__name__
            continue
        reach = width * item.error
        known = math.isfinite(reach) and reach > 0
        low = item.min if math.isfinite(item.min) else item.value - reach
        high = item.max if math.isfinite(item.max) else item.value + reach
        bounded = math.isfinite(item.min) and math.isfinite(item.max)
        if not (bounded or known) or not low < high:
            raise StepError(
                f"{likelihood.step}: {label} has no prior, no bounds and no error",
                hint="connect the 'models' of the step 'fit', or give it 'min' and 'max'",
            )
        # bounds of gammapy's prior have no unit: that of the parameter is meant
        item.prior = UniformPrior(min=float(low), max=float(high))
        told[label] = f"uniform from {low:.6g} to {high:.6g}"
    return told


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed numpy's own generator, which UltraNest uses, and restore it."""
    import numpy as np

    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def _sample(likelihood: Likelihood, settings: SamplePosteriorSettings, ctx: StepContext) -> Any:
    """Return gammapy's result.

    Raises
    ------
    StepError
        Where the sampler stops, or says that it has not converged.
    """
    from gammapy.modeling import Sampler

    sampler = Sampler(
        backend="ultranest",
        sampler_opts={
            "live_points": settings.n_live,
            "frac_remain": settings.frac_remain,
            "step_sampler": settings.step_sampler,
            "nsteps": settings.n_steps,
        },
        run_opts={"show_status": False, "viz_callback": False},
    )
    seed = int(ctx.seed_sequence(settings.seed).generate_state(1)[0])
    # it prints its results
    try:
        with _seeded(seed), quiet_numbers(), contextlib.redirect_stdout(io.StringIO()):
            result = sampler.run(likelihood.datasets)
    except _SAMPLER_ERRORS as error:
        raise StepError(
            f"{ctx.step}: the sampler stopped: {' '.join(str(error).split())[:300]}",
            hint="narrow the priors or bounds to where the models can be evaluated",
        ) from error
    likelihood.reset()
    if not result.success:
        raise StepError(
            f"{ctx.step}: the sampler did not converge: its insertion order is not uniform",
            hint="use more live points ('n_live'), or 'step_sampler: true' with more 'n_steps'",
        )
    return result


def _samples(likelihood: Likelihood, result: Any) -> Any:
    """Return the samples, a column for each parameter in its unit."""
    import numpy as np
    from astropy import units as u
    from astropy.table import Column, Table

    labels = parameter_labels(likelihood.models)
    table = Table()
    for place, label in enumerate(likelihood.values()):
        unit = labels[label].unit
        values = np.asarray(result.samples)[:, place]
        table[label] = Column(values, unit=None if unit == u.dimensionless_unscaled else unit)
    table.meta = {"product": "posterior-samples"}
    return table


def _summary(likelihood: Likelihood, result: Any, priors: dict[str, str]) -> Any:
    """Return what the samples say of every parameter."""
    import numpy as np
    from astropy.table import Table

    found = result.sampler_results
    labels = parameter_labels(likelihood.models)
    samples = np.asarray(result.samples)
    rows = []
    for place, label in enumerate(likelihood.values()):
        values = samples[:, place]
        row = {
            "parameter": label,
            "unit": labels[label].unit.to_string("fits"),
            "mean": float(values.mean()),
            "std": float(values.std(ddof=1)),
            "best": float(found["maximum_likelihood"]["point"][place]),
        }
        quantiles = np.quantile(values, _QUANTILES)
        rows.append(
            row
            | {
                f"q{100 * share:02.0f}": float(value)
                for share, value in zip(_QUANTILES, quantiles, strict=True)
            }
        )
    table = Table(rows)
    table.meta = {
        "product": "posterior",
        "log_z": float(found["logz"]),
        "log_z_error": float(found["logzerr"]),
        "n_evaluations": int(result.nfev),
        "n_effective": float(found["ess"]),
        "priors": priors,
    }
    return table
