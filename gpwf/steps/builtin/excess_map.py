"""The step ``excess-map``: excess, significance and flux around every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges
from gpwf.steps.estimators import EstimatorParameters, estimator_problems, make_estimator
from gpwf.steps.off_counts import drop_unknown, keep_acceptance, warn_of_rings
from gpwf.steps.settings import EnergyEdges, Field, Radius, StepSettings
from gpwf.steps.significances import (
    significance_histogram,
    significance_summary,
    usable_pixels,
)
from gpwf.steps.summed import map_datasets, sum_maps

__all__ = ["ExcessMapStep"]

_DATASETS = Port(
    name="datasets",
    kind="datasets",
    multiple=True,
    help="Maps; those of several products are added",
)
_MODELS = Port(name="models", kind="models", help="Sources to subtract")
_MASK = Port(
    name="exclusion_mask",
    kind="map",
    optional=True,
    help="Boolean, false in sources; for the distribution of significances off them",
)
_FLUX_MAPS = Port(name="flux_maps", kind="flux-maps", help="Maps of excess, significance and flux")
_TABLES = (
    Port(
        name="distribution",
        kind="table",
        help="With 'distribution': number of pixels in bins of significance",
    ),
    Port(
        name="summary",
        kind="table",
        help="With 'distribution': mean and standard deviation of the significance, per energy bin",
    ),
)
_FEW = 5  # counts
_OFF_MAPS = {"alpha", "acceptance_on", "acceptance_off"}


class ExcessMapSettings(StepSettings):
    """Settings of the step."""

    correlation_radius: Radius = Field(
        Radius("0.1 deg"), description="Radius of the circle around each pixel that is added up"
    )
    energy_edges: EnergyEdges | None = Field(
        None, description="Energy bins, a map for each; left out: one map of all energies"
    )
    selection_optional: tuple[
        Literal["errn-errp", "ul", "sensitivity", "alpha", "acceptance_on", "acceptance_off"], ...
    ] = Field(
        (),
        description="Maps to compute besides: asymmetric errors, upper limits, sensitivity; with "
        "OFF counts also their ratio and the acceptances",
    )
    n_sigma: float = Field(1.0, gt=0, description="Confidence of errors, in sigma")
    n_sigma_ul: float = Field(2.0, gt=0, description="Confidence of upper limits, in sigma")
    correlate_off: bool = Field(
        True,
        description="Add up OFF counts in the circle, too; set false where they come from a ring, "
        "which did that already",
    )
    spectral_index: float = Field(
        2.0, description="Index of the power law with which excess becomes flux"
    )
    subtract_models: bool = Field(
        False, description="Count sources in 'models' as background, to see what is left"
    )
    distribution: bool = Field(
        False,
        description="Make tables of how the significance of the pixels is distributed, inside and "
        "outside of the sources of the input 'exclusion_mask'",
    )
    parameters: EstimatorParameters = Field(
        {}, description="Other parameters of `gammapy.estimators.ExcessMapEstimator`, by name"
    )


class ExcessMapStep(Step):
    """Compute maps of excess, significance and flux, in a circle around every pixel.

    Significance after Li & Ma (1983), with known background (Cash) or measured one (WStat). The
    background is that of the datasets, each with its own background model. Datasets of several
    observations, instruments or reductions are added up first, inside their safe masks; they have
    to share pixels and energy bins.

    Away from sources the significance is distributed normally around 0 with a standard deviation
    of 1, if the background is right. With `distribution: true`, `summary` has mean and standard
    deviation of the pixels outside of the `exclusion_mask`, per energy bin, and `distribution` is a
    histogram of all pixels. Circles in which nothing was counted or expected say nothing and are
    left out. With `correlate_off`, circles without OFF counts have no significance.
    """

    tag: ClassVar[str] = "excess-map"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Compute maps of excess and significance"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = ExcessMapSettings
    input_ports: ClassVar[tuple[Port, ...]] = (_DATASETS,)
    output_ports: ClassVar[tuple[Port, ...]] = (_FLUX_MAPS,)

    def inputs(self, settings: ExcessMapSettings) -> tuple[Port, ...]:
        """Return the ports; what is not used is not asked for."""
        models = (_MODELS,) if settings.subtract_models else ()
        return (_DATASETS, *models, *((_MASK,) if settings.distribution else ()))

    def outputs(self, settings: ExcessMapSettings) -> tuple[Port, ...]:
        """Return the maps, and the tables that are asked for."""
        return (_FLUX_MAPS, *(_TABLES if settings.distribution else ()))

    def check(self, settings: ExcessMapSettings) -> Sequence[SettingProblem]:
        """Check ``parameters`` against the estimator of the installed gammapy."""
        own = {"spectral_model": "write 'spectral_index' beside 'parameters'"}
        return estimator_problems("gammapy.estimators.ExcessMapEstimator", settings, own=own)

    def run(
        self, settings: ExcessMapSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``flux_maps`` and tables: `gammapy.estimators.FluxMaps`, `astropy.table.Table`."""
        import numpy as np
        from gammapy.estimators import ExcessMapEstimator, FluxMaps
        from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

        models = inputs.get("models")
        datasets = map_datasets(inputs["datasets"], models, ctx.step)
        dataset = keep_acceptance(sum_maps(datasets, models, ctx.step))
        _check_selection(dataset, settings, ctx.step)
        warn_of_rings(dataset, correlate_off=settings.correlate_off, step=ctx.step)
        edges = None
        if settings.energy_edges is not None:
            axis = dataset.counts.geom.axes["energy"]
            edges = align_edges(settings.energy_edges.quantity, axis, ctx.step, "energy_edges")
        spectrum = PowerLawSpectralModel(index=settings.spectral_index)
        estimator = make_estimator(
            ExcessMapEstimator,
            ctx.step,
            settings.parameters,
            correlation_radius=settings.correlation_radius.quantity,
            energy_edges=edges,
            selection_optional=list(settings.selection_optional),
            n_sigma=settings.n_sigma,
            n_sigma_ul=settings.n_sigma_ul,
            correlate_off=settings.correlate_off,
            spectral_model=spectrum,
        )
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN where nothing is known
            found = estimator.run(dataset)
        drop_unknown(found._data, estimator, dataset, ctx.step)
        # gammapy gives the reference model a random name
        reference = SkyModel(spectrum, name="reference")
        maps = {name: found._data[name] for name in sorted(found._data, key=_order(found._data))}
        flux_maps = FluxMaps(maps, reference, meta=found.meta, gti=dataset.gti)
        if not settings.distribution:
            return {"flux_maps": flux_maps}
        return {"flux_maps": flux_maps, **_tables(flux_maps, settings, inputs, ctx.step)}


def _tables(
    flux_maps: Any, settings: ExcessMapSettings, inputs: Mapping[str, Any], step: str
) -> dict[str, Any]:
    """Return how significances are distributed, with the reasons why not normally."""
    import numpy as np

    significance = flux_maps.sqrt_ts.copy()
    counts = flux_maps.counts.data
    # nothing over nothing is a significance of zero, which would make the distribution narrow
    significance.data[(counts == 0) & (flux_maps.npred_excess.data == 0)] = np.nan
    usable = usable_pixels(significance, inputs.get("exclusion_mask"), step)
    summary = significance_summary(
        significance, usable, correlation_radius_deg=settings.correlation_radius.value
    )
    few = [
        f"{row['e_min']:.3g} to {row['e_max']:.3g} TeV: half of the circles hold "
        f"{np.median(plane[use]):g} counts or less, and the significance of few counts is not "
        "distributed normally"
        for row, plane, use in zip(summary, counts, usable, strict=True)
        if use.any() and np.median(plane[use]) < _FEW
    ]
    summary.meta["caveats"] = few
    return {"distribution": significance_histogram(significance, usable), "summary": summary}


def _order(names: Mapping[str, Any]) -> Any:
    """Return a sort key: gammapy's order, except that it takes some names from a set."""
    fixed = [name for name in names if name not in _OFF_MAPS]
    return lambda name: (fixed.index(name), "") if name in fixed else (len(fixed), name)


def _check_selection(dataset: Any, settings: ExcessMapSettings, step: str) -> None:
    """Refuse maps of OFF counts where there are none; gammapy leaves them out without a word."""
    wanted = sorted(_OFF_MAPS.intersection(settings.selection_optional))
    if wanted and dataset.tag != "MapDatasetOnOff":
        raise StepError(
            f"{step}: {', '.join(wanted)} of 'selection_optional' need maps with OFF counts",
            hint="reduce the observations with 'background.method: ring', or leave them out",
        )
