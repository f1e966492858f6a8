"""The step ``asmooth-map``: counts smoothed as far as each place needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges
from gpwf.steps.estimators import EstimatorParameters, estimator_problems, make_estimator
from gpwf.steps.off_counts import keep_acceptance
from gpwf.steps.settings import EnergyEdges, Field, Radius, Section, StepSettings, problem
from gpwf.steps.summed import map_datasets, sum_maps

__all__ = ["AsmoothMapStep"]


class Scales(Section):
    """Widths of the kernels, evenly spaced in the logarithm or one by one."""

    min: Radius = Field(Radius("0.05 deg"), description="Smallest width")
    max: Radius = Field(Radius("0.5 deg"), description="Largest width")
    n_scales: int = Field(10, ge=1, le=200, description="Number of widths")
    values: tuple[Radius, ...] | None = Field(
        None, description="Every width, instead of min, max and n_scales"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        values = [item.value for item in self.values or (self.min, self.max)]
        if not values[0] > 0:
            raise problem("GP304", "a width must be greater than 0")
        if self.values is None:
            if values[0] > values[1]:
                raise problem("GP306", f"min ({self.min}) must not be more than max ({self.max})")
        elif any(a >= b for a, b in pairwise(values)):
            raise problem("GP306", "'values' needs widths in rising order")
        return self

    @property
    def widths_deg(self) -> list[float]:
        """Every width in deg, rising."""
        if self.values is not None:
            return [item.value for item in self.values]
        low, high = self.min.value, self.max.value
        if self.n_scales == 1:
            return [low]
        ratio = (high / low) ** (1 / (self.n_scales - 1))
        return [low * ratio**number for number in range(self.n_scales)]


class AsmoothMapSettings(StepSettings):
    """Settings of the step."""

    scales: Scales = Field(Scales.model_validate({}), description="Widths of the kernels")
    kernel: Literal["gauss", "disk"] = Field(
        "gauss", description="Shape of the kernels; the width is sigma or radius"
    )
    threshold: float = Field(
        5.0, gt=0, description="Significance that a kernel must reach; the smallest one that does"
    )
    method: Literal["lima", "asmooth"] = Field(
        "lima", description="Significance after Li & Ma (1983) or after Ebeling et al. (2006)"
    )
    energy_edges: EnergyEdges | None = Field(
        None, description="Energy bins, a map for each; left out: one map of all energies"
    )
    spectral_index: float = Field(
        2.0, description="Index of the power law with which excess becomes flux"
    )
    parameters: EstimatorParameters = Field(
        {}, description="Other parameters of `gammapy.estimators.ASmoothMapEstimator`, by name"
    )


class AsmoothMapStep(Step):
    """Smooth counts adaptively: little where there are many, far where there are few.

    Each pixel gets the smallest kernel with which it is significant
    (`gammapy.estimators.ASmoothMapEstimator`); pixels that no kernel makes so get the mean of all
    such pixels. The maps are ``counts``, ``background``, ``scale`` (the width that was taken, NaN
    where none), ``sqrt_ts`` and, with an exposure, ``flux``. Datasets of several observations are
    added up first, inside their safe masks; they have to share pixels and energy bins.

    References
    ----------
    Ebeling, White & Rangarajan (2006), MNRAS 368, 65.
    """

    tag: ClassVar[str] = "asmooth-map"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Smooth counts adaptively"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = AsmoothMapSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(
            name="datasets",
            kind="datasets",
            multiple=True,
            help="Maps; those of several products are added",
        ),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="maps", kind="maps", help="Smoothed counts, background, flux; widths"),
    )

    def check(self, settings: AsmoothMapSettings) -> Sequence[SettingProblem]:
        """Check ``parameters`` against the estimator of the installed gammapy."""
        own = {"spectral_model": "write 'spectral_index' beside 'parameters'"}
        return estimator_problems("gammapy.estimators.ASmoothMapEstimator", settings, own=own)

    def run(
        self, settings: AsmoothMapSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``maps``: `gammapy.maps.Maps`."""
        import numpy as np
        from astropy import units as u
        from astropy.convolution import Gaussian2DKernel, Tophat2DKernel
        from gammapy.estimators import ASmoothMapEstimator
        from gammapy.modeling.models import PowerLawSpectralModel

        datasets = map_datasets(inputs["datasets"], None, ctx.step)
        dataset = keep_acceptance(sum_maps(datasets, None, ctx.step))
        widths = settings.scales.widths_deg
        _check_widths(widths, dataset, ctx.step)
        edges = None
        if settings.energy_edges is not None:
            axis = dataset.counts.geom.axes["energy"]
            edges = align_edges(settings.energy_edges.quantity, axis, ctx.step, "energy_edges")
        estimator = make_estimator(
            ASmoothMapEstimator,
            ctx.step,
            settings.parameters,
            scales=widths * u.deg,
            kernel=Gaussian2DKernel if settings.kernel == "gauss" else Tophat2DKernel,
            method=settings.method,
            threshold=settings.threshold,
            energy_edges=edges,
            spectral_model=PowerLawSpectralModel(index=settings.spectral_index),
        )
        if not dataset.counts.data.any():
            raise NoDataError(f"{ctx.step}: the datasets have no counts")
        with np.errstate(invalid="ignore", divide="ignore"):  # beyond the safe range
            return {"maps": estimator.run(dataset)}


def _check_widths(widths: Sequence[float], dataset: Any, step: str) -> None:
    """Refuse kernels that do not fit on the map.

    Raises
    ------
    StepError
        Where the largest is wider than the map.
    """
    geom = dataset.counts.geom
    extent = float(geom.width.to_value("deg").min())
    if widths[-1] > extent / 2:
        raise StepError(
            f"{step}: a kernel of {widths[-1]:.4g} deg is too wide for maps of {extent:.4g} deg",
            hint="lower 'scales.max'",
        )
