"""The step ``goodness-of-fit``: do the models describe the data at all?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.dataset_parts import require_counts
from gpwf.steps.deviances import bins_of, deviance, drawn
from gpwf.steps.fit_inputs import FIT_INPUTS
from gpwf.steps.likelihoods import Likelihood, check_minimum, open_likelihood
from gpwf.steps.settings import EnergyRange, Field, StepSettings

__all__ = ["GoodnessOfFitStep"]

_FEW = 5.0  # counts below which a bin is not nearly normal
_MAX_FAILED = 0.05  # share of simulations whose fit may fail


class GoodnessOfFitSettings(StepSettings):
    """Settings of the step."""

    n_simulations: int = Field(
        0, ge=0, le=10_000, description="Simulations of the best fit, for a p-value without chi2"
    )
    seed: int = Field(0, ge=0, description="Seed of the simulations")
    refit: bool = Field(
        True, description="Fit every simulation, as the data were; without, p-values are too small"
    )
    fit_range: EnergyRange | None = Field(
        None, description="Energies to use; left out: those of the fit"
    )


class GoodnessOfFitStep(Step):
    """Compare counts with what the best fit predicts, bin by bin and as a whole.

    The deviance is the fit statistic above that of a model which predicts every bin exactly:
    gammapy's WStat (`gammapy.stats.wstat`) is one already; from its Cash statistic that of such a
    model is subtracted. For many counts in every bin it is distributed as chi square with as many
    degrees of freedom as there are bins, less the free parameters.

    For few counts it is not, and caveats in the metadata say so: `n_simulations` then draws counts
    from the best fit, ON and OFF, fits each, and gives as `p_simulated` the share with a deviance
    as large as that of the data.

    `bins` has a row per dataset and energy bin, maps summed over their pixels; `summary` has one
    row.
    """

    tag: ClassVar[str] = "goodness-of-fit"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Test how well models describe the data"
    group: ClassVar[str] = "fit"
    Settings: ClassVar[type[StepSettings]] = GoodnessOfFitSettings
    input_ports: ClassVar[tuple[Port, ...]] = FIT_INPUTS
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="summary", kind="table", help="One row: deviance, degrees of freedom, p-values"),
        Port(name="bins", kind="table", help="Counts and predicted counts per energy bin"),
    )

    def run(
        self, settings: GoodnessOfFitSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``summary`` and ``bins``: `astropy.table.Table`."""
        likelihood = open_likelihood(inputs, settings.fit_range, ctx.step)
        require_counts(likelihood.datasets, ctx.step)
        check_minimum(likelihood, with_errors=False)
        n_dof = likelihood.n_bins - len(likelihood.free)
        if n_dof < 1:
            raise StepError(
                f"{ctx.step}: {likelihood.n_bins} bins and {len(likelihood.free)} free parameters "
                "leave nothing to test",
                hint="use more bins, or freeze parameters and fit again",
            )
        bins = bins_of(likelihood.datasets)
        simulated = _simulate(likelihood, settings, ctx) if settings.n_simulations else []
        return {"summary": _summary(likelihood, n_dof, bins, simulated, settings), "bins": bins}


def _simulate(
    likelihood: Likelihood, settings: GoodnessOfFitSettings, ctx: StepContext
) -> list[float]:
    """Return the deviances of simulations of the best fit.

    Raises
    ------
    StepError
        Where datasets cannot be drawn, or too many fits fail.
    """
    for dataset in likelihood.datasets:
        if dataset.tag.endswith("OnOff") and not dataset.counts.geom.is_region:
            raise StepError(
                f"{ctx.step}: dataset '{dataset.name}' is a map with a measured OFF background; "
                "its OFF counts cannot be drawn pixel by pixel, neighbours share most events",
                hint="leave 'n_simulations' out, or use a modelled background (fov_background)",
            )
    order = {name: number for number, name in enumerate(sorted(likelihood.datasets.names))}

    def simulation(number: int) -> float | None:
        import numpy as np

        likelihood.reset()
        randoms = {
            name: np.random.RandomState(
                np.random.PCG64(ctx.seed_sequence(settings.seed, number, place))
            )
            for name, place in order.items()
        }
        with drawn(likelihood.datasets, randoms):
            if settings.refit:
                try:
                    likelihood.optimize()
                except StepError:
                    return None
            return deviance(likelihood.datasets)

    found = ctx.map(simulation, range(settings.n_simulations), label="simulations")
    likelihood.reset()
    good = [value for value in found if value is not None]
    n_failed = len(found) - len(good)
    if n_failed > _MAX_FAILED * len(found):
        raise StepError(
            f"{ctx.step}: the fits of {n_failed} of {len(found)} simulations did not converge",
            hint="give parameters 'min' and 'max', freeze one, or set 'refit: false'",
        )
    if n_failed:
        warnings.warn(
            f"{ctx.step}: the fits of {n_failed} of {len(found)} simulations did not converge; "
            "they are left out",
            stacklevel=2,
        )
    return good


def _summary(
    likelihood: Likelihood,
    n_dof: int,
    bins: Any,
    simulated: list[float],
    settings: GoodnessOfFitSettings,
) -> Any:
    """Return the row, see `GoodnessOfFitStep`.

    References
    ----------
    Davison & Hinkley (1997), *Bootstrap Methods and their Application*, section 4.2.1: of
    simulations and data together, the share with a deviance as large.
    """
    import numpy as np
    from astropy.table import Table
    from scipy.stats import chi2

    total = deviance(likelihood.datasets)
    n_larger = sum(value >= total for value in simulated)
    table = Table(
        [
            {
                "deviance": total,
                "n_bins": likelihood.n_bins,
                "n_free": len(likelihood.free),
                "n_dof": n_dof,
                "reduced": total / n_dof,
                "p_chi2": float(chi2.sf(total, n_dof)),
                "n_simulations": len(simulated),
                "p_simulated": (1 + n_larger) / (1 + len(simulated)) if simulated else np.nan,
                "stat": likelihood.stat,
                "counts": float(np.sum(bins["counts"])),
                "npred": float(np.sum(bins["npred"])),
            }
        ]
    )
    few = sum(
        int(((dataset.npred().data < _FEW) & _mask(dataset)).sum())
        for dataset in likelihood.datasets
    )
    caveats = []
    if few:
        caveats.append(
            f"{few} of {likelihood.n_bins} bins have less than {_FEW:g} predicted counts: p_chi2 "
            "is not reliable" + ("" if simulated else "; set n_simulations")
        )
    if simulated and not settings.refit:
        caveats.append("the simulations were not fitted: p_simulated is too small")
    table.meta = {
        "product": "goodness-of-fit",
        "caveats": caveats,
        "simulated_deviances": [float(value) for value in simulated],
    }
    return table


def _mask(dataset: Any) -> Any:
    """Return which bins are used."""
    return True if dataset.mask is None else dataset.mask.data.astype(bool)
