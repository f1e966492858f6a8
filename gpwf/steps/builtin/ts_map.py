"""The step ``ts-map``: how significant a source would be at every pixel."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Need
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import require_source
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges
from gpwf.steps.estimators import EstimatorParameters, estimator_problems, make_estimator
from gpwf.steps.settings import EnergyEdges, Field, Radius, Section, StepSettings
from gpwf.steps.spreading import spread_estimators
from gpwf.steps.summed import map_datasets, sum_maps

__all__ = ["TsMapStep"]

_DATASETS = Port(
    name="datasets",
    kind="datasets",
    multiple=True,
    help="Maps with known background",
)
_MODELS = Port(name="models", kind="models", help="Sources to subtract, or the one to look for")
_INDEX = 2.0
# what gammapy says where there is nothing to work on
_NOTHING = ("No valid positions", "No valid exposure")


class TemplateSettings(Section):
    """The source that is looked for: its shape on the sky and its spectrum."""

    source: str | None = Field(
        None, description="Name of a model whose shape and spectrum to take; instead of the others"
    )
    spectral_index: float = Field(_INDEX, description="Index of its power law")
    shape: Literal["point", "gauss", "disk"] = Field("point", description="Its shape on the sky")
    size: Radius | None = Field(
        None, description="Its size: sigma of a Gaussian, radius of a disk; a point has none"
    )


class TSMapSettings(StepSettings):
    """Settings of the step."""

    template: TemplateSettings = Field(
        TemplateSettings.model_validate({}), description="The source that is looked for"
    )
    kernel_width: Radius | None = Field(
        Radius("0.5 deg"),
        description="Width of the square around each pixel that is fitted; null for the whole map, "
        "which is slow",
    )
    energy_edges: EnergyEdges | None = Field(
        None, description="Energy bins, a map for each; left out: one map of all energies"
    )
    sum_over_energy_groups: bool = Field(
        True, description="Add up the energy bins of the datasets before the fit: quicker"
    )
    combine: Literal["stack", "joint"] = Field(
        "stack",
        description="Several datasets: add them up, or fit all together (instruments differ)",
    )
    subtract_models: bool = Field(
        False, description="Count sources in 'models' as background, to see what is left"
    )
    downsampling_factor: Literal[2, 4, 8] | None = Field(
        None, description="Fit on pixels so many times larger, and interpolate"
    )
    threshold: float | None = Field(
        None,
        ge=0,
        description="Test statistic of the first estimate below which no fit is made: quicker",
    )
    rtol: float = Field(0.01, gt=0, lt=1, description="Relative precision of the flux")
    selection_optional: tuple[Literal["errn-errp", "ul"], ...] = Field(
        (), description="Maps to compute besides: asymmetric errors, upper limits"
    )
    n_sigma: float = Field(1.0, gt=0, description="Confidence of errors, in sigma")
    n_sigma_ul: float = Field(2.0, gt=0, description="Confidence of upper limits, in sigma")
    parameters: EstimatorParameters = Field(
        {}, description="Other parameters of `gammapy.estimators.TSMapEstimator`, by name"
    )


class TsMapStep(Step):
    """Fit a source at every pixel: test statistic, significance and flux.

    At each pixel the flux of one source of known shape and spectrum, the template, is fitted
    (`gammapy.estimators.TSMapEstimator`) over a background that is known: that of the datasets,
    each with its background model, and the sources of ``models`` where ``subtract_models`` is set.
    It uses more of what is known of a point than counting in circles does (``excess-map``).

    Datasets of several observations are added up first, inside their safe masks, or fitted together
    (``combine: joint``), for which they have to share pixels. Datasets with measured OFF counts
    cannot be used. Pixels whose fit failed have no flux and no significance, and are warned of.
    Where ``template.source`` names a model, it is the template, and is not subtracted.
    """

    tag: ClassVar[str] = "ts-map"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Fit a source at every pixel"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = TSMapSettings
    input_ports: ClassVar[tuple[Port, ...]] = (_DATASETS,)
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="flux_maps", kind="flux-maps", help="Maps of test statistic and flux"),
    )

    def inputs(self, settings: TSMapSettings) -> tuple[Port, ...]:
        """Return the ports; models that are not used are not asked for."""
        uses_models = settings.subtract_models or settings.template.source is not None
        return (_DATASETS, _MODELS) if uses_models else (_DATASETS,)

    def requires(self, settings: TSMapSettings) -> Sequence[Need]:
        """Return the energies, and the model that is the template."""
        name = settings.template.source
        found = list(super().requires(settings))
        if name is not None:
            found.append(Need(port="models", path=("template", "source"), model=name))
        return found

    def check(self, settings: TSMapSettings) -> Sequence[SettingProblem]:
        """Check the template, and ``parameters`` against the estimator of the installed gammapy."""
        own = {
            "kernel_model": "write 'template' beside 'parameters'",
            "n_sigma_sensitivity": "",  # gammapy 2.1 takes it and does not use it
        }
        problems = estimator_problems("gammapy.estimators.TSMapEstimator", settings, own=own)
        return [*problems, *_template_problems(settings)]

    def run(
        self, settings: TSMapSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``flux_maps``: `gammapy.estimators.FluxMaps`."""
        from gammapy.estimators import FluxMaps, TSMapEstimator

        models = inputs.get("models")
        template = _template(settings.template, models, ctx.step)
        datasets = _datasets(settings, inputs["datasets"], models, ctx.step)
        edges = None
        if settings.energy_edges is not None:
            axis = datasets[0].counts.geom.axes["energy"]
            edges = align_edges(settings.energy_edges.quantity, axis, ctx.step, "energy_edges")
        width = settings.kernel_width
        estimator = make_estimator(
            TSMapEstimator,
            ctx.step,
            settings.parameters,
            kernel_model=template,
            kernel_width=None if width is None else width.quantity,
            energy_edges=edges,
            sum_over_energy_groups=settings.sum_over_energy_groups,
            downsampling_factor=settings.downsampling_factor,
            threshold=settings.threshold,
            rtol=settings.rtol,
            selection_optional=list(settings.selection_optional),
            n_sigma=settings.n_sigma,
            n_sigma_ul=settings.n_sigma_ul,
        )
        found = _estimated(estimator, datasets, ctx)
        return {"flux_maps": FluxMaps(dict(found._data), template, meta=found.meta, gti=found.gti)}


def _template_problems(settings: TSMapSettings) -> list[SettingProblem]:
    """Return what does not fit together in the template."""
    template, found = settings.template, []

    def tell(name: str, message: str) -> None:
        path = ("template", name)
        found.append(SettingProblem(path=path, message=message, code="GP306"))

    if template.source is not None and (template.shape != "point" or template.size is not None):
        tell("source", "give either 'source' or 'shape' and 'size', not both")
    elif template.source is not None and template.spectral_index != _INDEX:
        tell("spectral_index", "the spectrum is that of 'source'; leave 'spectral_index' out")
    elif template.shape == "point" and template.size is not None:
        tell("size", "a point has no size; set 'shape: gauss' or 'shape: disk'")
    elif template.shape != "point" and (template.size is None or not template.size.value > 0):
        tell("shape", f"the shape '{template.shape}' needs a 'size' above 0")
    width = settings.kernel_width
    size = 0.0 if template.size is None else template.size.value
    if width is not None and not width.value > 2 * size:
        message = f"the width {width} is too small for a source of {template.size or 'any size'}"
        found.append(
            SettingProblem(
                path=("kernel_width",),
                message=message,
                code="GP306",
                hint="take four times the size, and what the instrument blurs",
            )
        )
    return found


def _template(settings: TemplateSettings, models: Any, step: str) -> Any:
    """Return the model that is fitted at every pixel.

    Raises
    ------
    StepError
        Where the named one is not there, or has no shape on the sky.
    """
    from gammapy.modeling.models import (
        DiskSpatialModel,
        GaussianSpatialModel,
        PointSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )

    if settings.source is None:
        shape: Any = PointSpatialModel()
        if settings.size is not None and settings.shape == "gauss":
            shape = GaussianSpatialModel(sigma=settings.size.quantity)
        elif settings.size is not None:
            shape = DiskSpatialModel(r_0=settings.size.quantity)
        spectrum = PowerLawSpectralModel(index=settings.spectral_index)
        return SkyModel(spectrum, shape, name="template")
    require_source(settings.source, models.names, step)
    model = models[settings.source]
    shape = getattr(model, "spatial_model", None)
    if shape is None or "lon_0" not in shape.parameters.names:
        raise StepError(
            f"{step}: model '{model.name}' cannot be looked for at every pixel: its shape on the "
            "sky has no position",
            hint="take a model with a position, or leave 'template.source' out",
        )
    return SkyModel(model.spectral_model.copy(), shape.copy(), name=model.name)


def _datasets(settings: TSMapSettings, products: Any, models: Any, step: str) -> Any:
    """Return the datasets to fit at every pixel, with everything set on them but the template.

    Raises
    ------
    StepError
        Where they have OFF counts, do not share pixels, or lack exposure.
    """
    from gammapy.datasets import Datasets

    found = map_datasets(products, models, step)
    for dataset in found:
        dataset.models = [model for model in dataset.models or () if _is_kept(model, settings)]
    if any(dataset.stat_type != "cash" for dataset in found):
        raise StepError(
            f"{step}: the datasets have measured OFF counts; a source cannot be fitted over them",
            hint="reduce with 'background.method: fov_background', or use the step 'excess-map'",
        )
    if any(dataset.exposure is None for dataset in found):
        raise StepError(
            f"{step}: the datasets have no exposure", hint="leave 'map_selection' out of 'datasets'"
        )
    if settings.combine == "stack":
        return Datasets([sum_maps(found, models, step)])
    geom = found[0].counts.geom.to_image()
    if any(dataset.counts.geom.to_image() != geom for dataset in found[1:]):
        raise StepError(
            f"{step}: datasets on different pixels cannot be fitted together",
            hint="set 'combine: stack', or make them with the same 'geom.wcs'",
        )
    return Datasets(found)


def _is_kept(model: Any, settings: TSMapSettings) -> bool:
    """Tell whether a model is part of what the template is fitted over."""
    from gammapy.modeling.models import SkyModel

    is_subtracted = settings.subtract_models and model.name != settings.template.source
    return is_subtracted or not isinstance(model, SkyModel)


def _estimated(estimator: Any, datasets: Any, ctx: StepContext) -> Any:
    """Return gammapy's maps.

    Raises
    ------
    NoDataError
        Where no pixel can be fitted.
    StepError
        Where gammapy refuses the datasets, or every fit failed.
    """
    import numpy as np

    try:
        with spread_estimators(ctx), _iterations_set():
            found = estimator.run(datasets)
    except ValueError as error:
        if str(error).startswith(_NOTHING):
            raise NoDataError(
                f"{ctx.step}: no pixel can be fitted: there is no exposure, no background, or "
                "everything is masked",
                hint="check the safe range of the datasets, and 'energy_edges'",
            ) from error
        raise StepError(
            f"{ctx.step}: gammapy cannot fit a source at every pixel: {error}",
            hint="check 'kernel_width' and 'downsampling_factor' against the size of the maps",
        ) from error
    done = np.isfinite(found._data["ts"].data)
    if not done.any():
        raise StepError(
            f"{ctx.step}: the fit failed at every pixel",
            hint="check 'template' and 'kernel_width', and the exposure of the datasets",
        )
    success = found._data["success"].data
    success &= done  # gammapy takes a pixel that was not fitted for one whose fit went well
    failed = int((done & ~success).sum())
    if failed:
        warnings.warn(
            f"{ctx.step}: the fit failed at {failed} of {int(done.sum())} pixels", stacklevel=2
        )
    return found


@contextmanager
def _iterations_set() -> Iterator[None]:
    """Have scipy's root finder say how often it iterated where it did not.

    Where a bound is the root already it leaves the number open, which then is what was in memory
    before: the only thing in the maps of gammapy that differs from run to run.
    """
    import scipy.optimize

    before = scipy.optimize.brentq

    def brentq(*args: Any, **kwargs: Any) -> Any:
        found = before(*args, **kwargs)
        if kwargs.get("full_output") and found[1].function_calls <= 2:  # the bounds alone
            found[1].iterations = 0
        return found

    scipy.optimize.brentq = brentq
    try:
        yield
    finally:
        scipy.optimize.brentq = before
