"""The step ``residuals``: what models leave of the counts, on the sky and over energy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from gpwf.core.spec import Port
from gpwf.errors import NoDataError
from gpwf.steps.attach import attach_models, join_datasets
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges
from gpwf.steps.deviances import bins_of
from gpwf.steps.fit_ranges import inherited_fit_range, set_fit_range
from gpwf.steps.off_counts import drop_unknown, keep_acceptance, warn_of_rings
from gpwf.steps.settings import EnergyEdges, EnergyRange, Field, Radius, SkyCircle, StepSettings
from gpwf.steps.significances import (
    significance_histogram,
    significance_summary,
    usable_pixels,
)
from gpwf.steps.summed import map_datasets, sum_maps

__all__ = ["ResidualsStep"]

# how gammapy calls the ways to count residuals, and the names of the maps
_METHODS = {
    "diff": "diff",
    "diff/sqrt(model)": "diff_sqrt_model",
    "diff/model": "diff_model",
}


class ResidualsSettings(StepSettings):
    """Settings of the step."""

    energy_edges: EnergyEdges | None = Field(
        None, description="Energy bins, maps for each; left out: one of all energies"
    )
    fit_range: EnergyRange | None = Field(
        None, description="Energies to use; left out: those of the fit, if 'fit_result' is there"
    )
    kernel: Literal["gauss", "disk", "box"] = Field(
        "gauss", description="Shape of the kernel that smooths counts and predictions"
    )
    width: Radius | None = Field(
        Radius("0.1 deg"),
        description="Width of it: sigma, radius or side; null: no smoothing",
    )
    methods: tuple[Literal["diff", "diff/sqrt(model)", "diff/model"], ...] = Field(
        ("diff", "diff/sqrt(model)"), description="Residuals to compute, of the smoothed maps"
    )
    correlation_radius: Radius = Field(
        Radius("0.1 deg"), description="Radius of the circle of which the significance is"
    )
    correlate_off: bool = Field(
        True,
        description="Add up OFF counts in the circle, too; set false where they come from a ring, "
        "which did that already",
    )
    region: SkyCircle | None = Field(
        None, description="Circle of which the spectra are; left out: the whole maps"
    )


class ResidualsStep(Step):
    """Compare counts with what models predict: maps of residuals, their distribution, spectra.

    `maps` has counts and predictions per pixel, residuals of smoothed counts and predictions
    (`gammapy.datasets.MapDataset.residuals`): their difference (``diff``), over the root of the
    prediction (``diff_sqrt_model``), over the prediction (``diff_model``); and the significance of
    the difference in a circle around each pixel (``sqrt_ts``,
    `gammapy.estimators.ExcessMapEstimator` with all models as background).

    `summary` has a row per energy bin: counts, prediction, chi square (Pearson's, pixel by pixel),
    mean and standard deviation of the significance, 0 and 1 where the models describe the data.
    `distribution` has the histogram of the significance, `spectrum` counts, predictions and
    residuals per dataset and energy bin. An exclusion mask restricts `summary` and `distribution`.

    Datasets of several observations are added up for the maps; they have to share pixels and
    energy bins. For spectra of regions draw ``plot`` with ``kind: residuals``.
    """

    tag: ClassVar[str] = "residuals"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Compare counts with predictions, on the sky and over energy"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = ResidualsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", multiple=True, help="Maps that were fitted"),
        Port(name="models", kind="models", help="Models at their best fit"),
        Port(name="fit_result", kind="fit-result", optional=True, help="The fit: its energies"),
        Port(
            name="exclusion_mask",
            kind="map",
            optional=True,
            help="True where pixels count for the distribution",
        ),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="maps", kind="maps", help="Counts, predictions, residuals, significance"),
        Port(name="summary", kind="table", help="Mean and width of the significance, chi square"),
        Port(name="distribution", kind="table", help="Pixels in bins of significance"),
        Port(name="spectrum", kind="table", help="Residuals per dataset and energy bin"),
    )

    def run(
        self, settings: ResidualsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``maps`` (`gammapy.maps.Maps`) and three tables."""
        fit_range = inherited_fit_range(settings.fit_range, inputs.get("fit_result"))
        total = _total(inputs, fit_range, ctx.step)
        warn_of_rings(total, correlate_off=settings.correlate_off, step=ctx.step)
        spectrum = _spectrum(settings, inputs, fit_range, ctx.step)
        edges = None
        if settings.energy_edges is not None:
            axis = total.counts.geom.axes["energy"]
            edges = align_edges(settings.energy_edges.quantity, axis, ctx.step, "energy_edges")
        image = _rebinned(total, edges)
        maps = _maps(image, settings)
        maps["sqrt_ts"] = significance = _significance(total, edges, settings, ctx.step)
        usable = usable_pixels(significance, inputs.get("exclusion_mask"), ctx.step)
        summary = _summary(image, significance, usable, settings)
        return {
            "maps": maps,
            "summary": summary,
            "distribution": significance_histogram(significance, usable),
            "spectrum": spectrum,
        }


def _spectrum(
    settings: ResidualsSettings, inputs: Mapping[str, Any], fit_range: Any, step: str
) -> Any:
    """Return counts and predictions per dataset and energy bin, see `bins_of`.

    Raises
    ------
    NoDataError
        Where no pixel is in the region and the safe range.
    """
    from regions import CircleSkyRegion

    found = join_datasets(inputs["datasets"], step)
    datasets, _ = attach_models(found, inputs["models"], step)
    with warnings.catch_warnings():  # energies that moved were told for the maps
        warnings.simplefilter("ignore")
        set_fit_range(datasets, fit_range, step)
    if settings.region is not None:
        circle = CircleSkyRegion(settings.region.center.skycoord, settings.region.radius.quantity)
        for dataset in datasets:
            inside = dataset.counts.geom.region_mask([circle])
            dataset.mask_fit = inside if dataset.mask_fit is None else dataset.mask_fit & inside
    spectrum = bins_of(datasets)
    if not len(spectrum):
        raise NoDataError(
            f"{step}: no pixel is in 'region' and in the safe range of the datasets",
            hint="correct 'region', or leave it out",
        )
    spectrum.meta = {"product": "residual-spectrum"}
    return spectrum


def _total(inputs: Mapping[str, Any], fit_range: Any, step: str) -> Any:
    """Return the sum of all datasets inside their masks, with models."""
    datasets = map_datasets(inputs["datasets"], inputs["models"], step)
    set_fit_range(datasets, fit_range, step)
    for dataset in datasets:
        # adding up, and adding up energies, look at the safe range alone
        dataset.mask_safe, dataset.mask_fit = dataset.mask, None
    return keep_acceptance(sum_maps(datasets, inputs["models"], step))


def _rebinned(total: Any, edges: Any) -> Any:
    """Return a dataset in the energy bins of the maps whose prediction is that of all models."""
    from gammapy.maps import MapAxis

    axis = total.counts.geom.axes["energy"]
    axis = axis.squash() if edges is None else MapAxis.from_energy_edges(edges)
    image = total.resample_energy_axis(energy_axis=axis, name=total.name)
    if total.stat_type == "cash":
        image.background = total.npred().resample_axis(axis=axis, weights=total.mask_safe)
        image.models = None
    else:
        image.models = total.models
    return image


def _maps(image: Any, settings: ResidualsSettings) -> Any:
    """Return counts, predictions and residuals of smoothed ones."""
    import numpy as np
    from gammapy.maps import Maps

    maps = Maps()
    maps["counts"], maps["npred"] = image.counts, image.npred()
    smoothing: dict[str, Any] = {}
    if settings.width is not None:
        smoothing = {"kernel": settings.kernel, "width": settings.width.quantity}
    with np.errstate(invalid="ignore", divide="ignore"):
        for method in dict.fromkeys(settings.methods):
            maps[_METHODS[method]] = image.residuals(method=method, **smoothing)
    return maps


def _significance(total: Any, edges: Any, settings: ResidualsSettings, step: str) -> Any:
    """Return the significance of what the models leave, in a circle around each pixel."""
    import numpy as np
    from gammapy.estimators import ExcessMapEstimator

    estimator = ExcessMapEstimator(
        correlation_radius=settings.correlation_radius.quantity,
        energy_edges=edges,
        selection_optional=[],
        correlate_off=settings.correlate_off,
    )
    with np.errstate(invalid="ignore", divide="ignore"):  # NaN where nothing is known
        found = estimator.run(total)
    drop_unknown(found._data, estimator, total, step)
    return found.sqrt_ts


def _summary(image: Any, significance: Any, usable: Any, settings: ResidualsSettings) -> Any:
    """Return the row of each energy bin: significance, counts, chi square.

    References
    ----------
    Pearson's chi square has the number of pixels as its mean for Poisson numbers of any size.
    """
    import numpy as np

    table = significance_summary(
        significance, usable, correlation_radius_deg=settings.correlation_radius.value
    )
    counts, npred = image.counts.data, image.npred().data
    used = usable & (npred > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        chi2 = np.where(used, (counts - npred) ** 2 / npred, 0.0)

    def summed(data: Any) -> Any:
        return data.reshape(len(table), -1).sum(axis=1).astype(float)

    table["counts"] = summed(np.where(usable, counts, 0))
    table["npred"] = summed(np.where(usable, npred, 0))
    table["chi2"], table["n_chi2"] = summed(chi2), summed(used).astype(int)
    table.meta = {"product": "residual-summary"}
    return table
