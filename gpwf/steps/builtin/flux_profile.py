"""The step ``flux-profile``: the flux along a line, or with the distance from a point."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import attach_models, copy_datasets, join_datasets
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges, common_energy_axis, usable_edges
from gpwf.steps.dataset_parts import require_counts
from gpwf.steps.estimators import EstimatorParameters, estimator_problems, make_estimator
from gpwf.steps.fluxes import settle_flux
from gpwf.steps.map_regions import covered_sr, require_region
from gpwf.steps.settings import (
    EnergyEdges,
    Field,
    Radius,
    Section,
    SkyPosition,
    StepSettings,
    problem,
)
from gpwf.steps.spreading import spread_estimators

__all__ = ["FluxProfileStep"]

_DATASETS = Port(name="datasets", kind="datasets", multiple=True, help="Maps to measure in")
_MODELS = Port(name="models", kind="models", help="Sources to subtract, and backgrounds")
_SOURCE = "profile"  # name of the reference model
_INNERMOST_DEG = 1e-5  # the hole of the innermost ring, as gammapy has it


class ProfileLine(Section):
    """Rectangles side by side along a line."""

    start: SkyPosition = Field(description="Where the line starts")
    stop: SkyPosition = Field(description="Where it ends")
    height: Radius = Field(description="Extent of the rectangles across the line")
    nbins: int = Field(11, ge=2, le=1000, description="Number of rectangles")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start == self.stop:
            raise problem("GP306", "'start' and 'stop' are the same position")
        return self


class ProfileRings(Section):
    """Rings around a point, one outside the other."""

    center: SkyPosition = Field(description="Centre of the rings")
    radius_max: Radius = Field(description="Outer radius of the outermost ring")
    radius_min: Radius | None = Field(
        None, description="Inner radius of the innermost ring; left out: it is a disc"
    )
    nbins: int = Field(10, ge=2, le=1000, description="Number of rings, of equal width")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.radius_min is not None and self.radius_min.value >= self.radius_max.value:
            raise problem("GP306", "'radius_min' must be less than 'radius_max'")
        return self


class FluxProfileSettings(StepSettings):
    """Settings of the step."""

    line: ProfileLine | None = Field(
        None, description="Measure in rectangles along a line", json_schema_extra={"usual": True}
    )
    rings: ProfileRings | None = Field(
        None, description="Measure in rings around a point, instead of 'line'"
    )
    energy_edges: EnergyEdges | None = Field(
        None, description="Energy bands, a profile each; left out: one, the datasets' safe range"
    )
    spectral_index: float = Field(
        2.0, description="Index of the power law with which excess becomes flux"
    )
    subtract_models: bool = Field(
        False, description="Count sources in 'models' as background, to see what is left"
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
    parameters: EstimatorParameters = Field(
        {}, description="Other parameters of `gammapy.estimators.FluxProfileEstimator`, by name"
    )


class FluxProfileStep(Step):
    """Measure the flux in regions side by side: along a line, or in rings around a point.

    In each region and energy band the normalisation of a power law is fitted to the counts inside,
    as a spectrum of its own; the background is that of the maps
    (`gammapy.estimators.FluxProfileEstimator`). The flux is that from the region as a whole, the
    size of the regions is kept beside it. What the PSF carries from one region into the next is not
    corrected for. Distances are those of the middle of the regions: from the first rectangle, or
    from the centre of the rings.
    """

    tag: ClassVar[str] = "flux-profile"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Measure a profile of the flux"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = FluxProfileSettings
    input_ports: ClassVar[tuple[Port, ...]] = (_DATASETS,)
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="flux_profile", kind="flux-profile", help="Flux per region and energy band"),
    )

    def inputs(self, settings: FluxProfileSettings) -> tuple[Port, ...]:
        """Return the ports; models that are not subtracted are not asked for."""
        return (_DATASETS, _MODELS) if settings.subtract_models else (_DATASETS,)

    def check(self, settings: FluxProfileSettings) -> Sequence[SettingProblem]:
        """Check that the regions are given once, and ``parameters`` against gammapy."""
        own = {"spectral_model": "write 'spectral_index' beside 'parameters'"}
        own |= {"regions": "write 'line' or 'rings' beside 'parameters'", "source": ""}
        own |= {"reoptimize": "nothing else is fitted"}
        found = estimator_problems("gammapy.estimators.FluxProfileEstimator", settings, own=own)
        if settings.line is None and settings.rings is None:
            message = "missing required setting 'line' (or 'rings')"
            found.append(SettingProblem(path=("line",), message=message, code="GP305"))
        if settings.line is not None and settings.rings is not None:
            message = "give either 'line' or 'rings', not both"
            found.append(SettingProblem(path=("rings",), message=message, code="GP306"))
        return found

    def run(
        self, settings: FluxProfileSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``flux_profile``: `gammapy.estimators.FluxPoints` with an axis of distance."""
        from gammapy.estimators import FluxProfileEstimator
        from gammapy.modeling.models import PowerLawSpectralModel

        datasets = _datasets(inputs, ctx.step)
        geom = datasets[0].counts.geom.to_image()
        regions = _line(settings.line, geom) if settings.line else _rings(settings.rings)
        solid_angles = [
            _solid_angles(regions, dataset.counts.geom.to_image(), ctx.step) for dataset in datasets
        ]
        for dataset in datasets:
            for number, region in enumerate(regions):
                require_region(dataset, region, f"region {number + 1} of {len(regions)}", ctx.step)
        _warn_uneven(solid_angles, regions, ctx.step)
        axis = common_energy_axis(datasets, ctx.step)
        if settings.energy_edges is None:
            edges = usable_edges(datasets, axis, ctx.step)[[0, -1]]
        else:
            edges = align_edges(settings.energy_edges.quantity, axis, ctx.step, "energy_edges")
        estimator = make_estimator(
            FluxProfileEstimator,
            ctx.step,
            settings.parameters,
            regions=regions,
            spectral_model=PowerLawSpectralModel(index=settings.spectral_index),
            energy_edges=edges,
            selection_optional=list(settings.selection_optional),
            n_sigma=settings.n_sigma,
            n_sigma_ul=settings.n_sigma_ul,
            reoptimize=False,
        )
        with spread_estimators(ctx):
            profile = estimator.run(datasets)
        profile.meta["sqrt_ts_threshold_ul"] = settings.sqrt_ts_threshold_ul
        profile.meta["solid_angle_sr"] = [
            sum(item) / len(item) for item in zip(*solid_angles, strict=True)
        ]
        profile.meta["regions"] = "line" if settings.line else "rings"
        profile.gti = datasets.gti  # gammapy adds that of every region up
        settle_flux(profile, _SOURCE, ctx.step, datasets)
        return {"flux_profile": profile}


def _datasets(inputs: Mapping[str, Any], step: str) -> Any:
    """Return maps whose models are background.

    Raises
    ------
    NoDataError
        Where there is none.
    StepError
        Where one is no map with a background.
    """
    found = join_datasets(inputs["datasets"], step)
    if not len(found):
        raise NoDataError(f"{step}: there are no datasets")
    require_counts(found, step)
    for dataset in found:
        if dataset.counts is None or dataset.counts.geom.is_region:
            raise StepError(
                f"{step}: dataset '{dataset.name}' is a spectrum of a region, not a map",
                hint="reduce the observations with 'type: 3d'",
            )
        if dataset.tag == "MapDatasetOnOff" or dataset.background is None:
            raise StepError(
                f"{step}: dataset '{dataset.name}' has no background of its own in every pixel "
                "and energy bin",
                hint="reduce the observations with 'background.method: fov_background'",
            )
    if inputs.get("models") is None:
        return copy_datasets(found)
    return attach_models(found, inputs["models"], step)[0]


def _line(line: ProfileLine, geom: Any) -> list[Any]:
    """Return rectangles along a line."""
    from gammapy.utils.regions import make_orthogonal_rectangle_sky_regions

    start, stop = (item.skycoord.transform_to(geom.frame) for item in (line.start, line.stop))
    regions: list[Any] = make_orthogonal_rectangle_sky_regions(
        start, stop, geom.wcs, line.height.quantity, nbin=line.nbins
    )
    return regions


def _rings(rings: ProfileRings | None) -> list[Any]:
    """Return rings around a point."""
    from astropy import units as u
    from gammapy.utils.regions import make_concentric_annulus_sky_regions

    assert rings is not None  # checked with the settings
    low = _INNERMOST_DEG * u.deg if rings.radius_min is None else rings.radius_min.quantity
    regions: list[Any] = make_concentric_annulus_sky_regions(
        rings.center.skycoord, rings.radius_max.quantity, low, nbin=rings.nbins + 1
    )
    return regions


def _solid_angles(regions: Sequence[Any], geom: Any, step: str) -> list[float]:
    """Return the solid angle of the pixels in each region, in sr.

    Raises
    ------
    StepError
        Where a region has no pixel: too narrow, or outside the map.
    """
    found = []
    for number, region in enumerate(regions):
        found.append(covered_sr(geom, region))
        if not found[-1] > 0:
            raise StepError(
                f"{step}: region {number + 1} of {len(regions)} holds no pixel of the map",
                hint="move the regions into the map, or make them wider: fewer 'nbins', more "
                "'height'",
            )
    return found


def _warn_uneven(solid_angles: list[list[float]], regions: Sequence[Any], step: str) -> None:
    """Warn of regions that pixels cannot follow."""
    small = [
        str(number + 1)
        for number, region in enumerate(regions)
        if not all(math.isclose(one[number], _area_sr(region), rel_tol=0.3) for one in solid_angles)
    ]
    if small:
        warnings.warn(
            f"{step}: the pixels in the regions {', '.join(small)} cover less than 70% or more "
            "than 130% of them, which are hardly wider than a pixel; fluxes per solid angle count "
            "the pixels",
            stacklevel=3,
        )


def _area_sr(region: Any) -> float:
    """Return the solid angle of a region."""
    if hasattr(region, "outer_radius"):
        inner, outer = (item.to_value("rad") for item in (region.inner_radius, region.outer_radius))
        return float(math.pi * (outer**2 - inner**2))
    return float((region.width * region.height).to_value("sr"))
