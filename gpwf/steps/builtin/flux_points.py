"""The step ``flux-points``: the flux of a source in energy bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Need
from gpwf.core.spec import Port
from gpwf.steps.attach import attach_models, join_datasets, measured_source
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges, common_energy_axis, require_overlap, usable_edges
from gpwf.steps.estimators import (
    EstimatorParameters,
    estimator_problems,
    make_estimator,
    reoptimized,
)
from gpwf.steps.fluxes import settle_flux
from gpwf.steps.settings import EnergyEdges, Field, StepSettings
from gpwf.steps.spreading import spread_estimators

__all__ = ["FluxPointsStep"]


class FluxPointsSettings(StepSettings):
    """Settings of the step."""

    source: str | None = Field(
        None,
        description="Name of the model whose flux is measured; left out: the only source there is",
        json_schema_extra={"usual": True},
    )
    energy: EnergyEdges | None = Field(
        None,
        description="Energy bins of the points; left out: those of the datasets in the safe range",
        json_schema_extra={"usual": True},
    )
    selection_optional: tuple[Literal["errn-errp", "ul", "scan"], ...] = Field(
        ("ul",),
        description="What to compute besides: asymmetric errors, upper limits, likelihood profiles",
    )
    n_sigma: float = Field(1.0, gt=0, description="Confidence of asymmetric errors, in sigma")
    n_sigma_ul: float = Field(2.0, gt=0, description="Confidence of upper limits, in sigma")
    sqrt_ts_threshold_ul: float = Field(
        2.0, ge=0, description="Significance below which a point counts as an upper limit"
    )
    reoptimize: bool = Field(
        False, description="Fit the other models again in every bin instead of keeping them"
    )
    parameters: EstimatorParameters = Field(
        {}, description="Other parameters of `gammapy.estimators.FluxPointsEstimator`, by name"
    )


class FluxPointsStep(Step):
    """Measure the flux of a source in energy bins.

    In each bin the normalisation of the source's spectrum is fitted, its shape kept. The edges of
    the bins move to the nearest ones of the datasets, with a warning. The whole safe range of the
    datasets is used, whatever range the fit had. A bin without counts gives no flux, only an upper
    limit. Without settings it measures the only source of the models, in every bin of the datasets.
    """

    tag: ClassVar[str] = "flux-points"
    version: ClassVar[str] = "4"
    title: ClassVar[str] = "Measure fluxes in energy bins"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = FluxPointsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", multiple=True, help="What to measure in"),
        Port(name="models", kind="models", help="Models at their best fit"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="flux_points", kind="flux-points", help="Flux per energy bin"),
    )

    def check(self, settings: FluxPointsSettings) -> Sequence[SettingProblem]:
        """Check ``parameters`` against the estimator of the installed gammapy."""
        own = {"energy_edges": "write 'energy' beside 'parameters'"}
        return estimator_problems("gammapy.estimators.FluxPointsEstimator", settings, own=own)

    def requires(self, settings: FluxPointsSettings) -> Sequence[Need]:
        """Return the models and energies that are asked for; one source where none is named."""
        alone = Need(port="models", path=("source",), one_source=True)
        return [*super().requires(settings), *([alone] if settings.source is None else [])]

    def run(
        self, settings: FluxPointsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``flux_points``: `gammapy.estimators.FluxPoints`."""
        from gammapy.estimators import FluxPointsEstimator

        source = measured_source(settings.source, inputs["models"], ctx.step)
        found = join_datasets(inputs["datasets"], ctx.step)
        datasets, _ = attach_models(found, inputs["models"], ctx.step)
        axis = common_energy_axis(datasets, ctx.step)
        if settings.energy is None:
            edges = usable_edges(datasets, axis, ctx.step)
        else:
            edges = align_edges(settings.energy.quantity, axis, ctx.step, "energy")
            require_overlap(edges, datasets, axis, ctx.step, "energy")
        estimator = make_estimator(
            FluxPointsEstimator,
            ctx.step,
            settings.parameters,
            source=source,
            energy_edges=edges,
            selection_optional=list(settings.selection_optional),
            n_sigma=settings.n_sigma,
            n_sigma_ul=settings.n_sigma_ul,
            reoptimize=reoptimized(settings.reoptimize, datasets, source, ctx.step),
        )
        with spread_estimators(ctx):
            flux_points = estimator.run(datasets)
        flux_points.meta["sqrt_ts_threshold_ul"] = settings.sqrt_ts_threshold_ul
        settle_flux(flux_points, source, ctx.step, datasets)
        return {"flux_points": flux_points}
