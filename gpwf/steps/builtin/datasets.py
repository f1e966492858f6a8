"""The step ``datasets``: counts, background and instrument response, binned for a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Contents
from gpwf.core.spec import Port
from gpwf.steps.base import Step, StepContext
from gpwf.steps.reduction.checks import declared_datasets, reduction_problems
from gpwf.steps.reduction.run import EXCLUSION, exclusion_ports, reduce_observations
from gpwf.steps.reduction.settings import DatasetsSettings
from gpwf.steps.settings import StepSettings

__all__ = ["DatasetsStep"]


class DatasetsStep(Step):
    """Reduce observations to spectra of a region (1d) or to maps (3d), with instrument response.

    1d (`gammapy.makers.SpectrumDatasetMaker`): counts of an ON region, background from OFF regions,
    exposure and energy dispersion. The region is a circle, or has the radius of a point-like
    response (`radius: rad_max`), which may change with energy. OFF regions are as many as there is
    room for (`reflected`, `gammapy.makers.ReflectedRegionsBackgroundMaker`) or a number of them,
    evenly spaced (`wobble`, `gammapy.makers.WobbleRegionsFinder`).

    3d (`gammapy.makers.MapDatasetMaker`): maps of counts, exposure, background, PSF and energy
    dispersion in energy bins; the background is the template of the response scaled to the counts
    of the field of view (`fov_background`, `gammapy.makers.FoVBackgroundMaker`), or is measured in
    a ring around every pixel (`ring`, `gammapy.makers.RingBackgroundMaker`), which grows where it
    is short of background (`adaptive_ring`, `gammapy.makers.AdaptiveRingBackgroundMaker`, one
    energy bin).

    Both can take the background from the phases in which a pulsar is off (`phase`,
    `gammapy.makers.PhaseBackgroundMaker`); the events need a column with the phase. Both have the
    range that is safe to use (`gammapy.makers.SafeMaskMaker`).

    Where the background is not measured is a file (`background.exclusion`) or the product of
    another step (the input `exclusion_mask`).

    One dataset per observation, or all of them stacked. Datasets are named after telescope and
    observation (`hess-23523`, `hess-stacked`) and sorted by observation.

    Every map dataset with `fov_background` carries a background model of its own
    (`hess-stacked-bkg`), whose norm a fit may change. The steps below put it beside the models that
    they are given, unless those have one for this dataset; after a fit it is one of the fitted
    models.
    """

    tag: ClassVar[str] = "datasets"
    version: ClassVar[str] = "3"
    title: ClassVar[str] = "Reduce observations to datasets"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = DatasetsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="Events and instrument response"),
        EXCLUSION,
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="Binned counts, background and response"),
    )

    def inputs(self, settings: DatasetsSettings) -> tuple[Port, ...]:
        """Return the observations, and the exclusion mask where there is no file of one."""
        return (*self.input_ports[:1], *exclusion_ports(settings))

    def check(self, settings: DatasetsSettings) -> Sequence[SettingProblem]:
        """Return what is inconsistent: a ring in 1d, reflected regions in 3d, a map without …"""
        return reduction_problems(settings)

    def declares(self, settings: DatasetsSettings) -> Mapping[str, Contents]:
        """Return the energies of the datasets."""
        return {"datasets": declared_datasets(settings)}

    def run(
        self, settings: DatasetsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`."""
        mask = inputs.get("exclusion_mask")
        return {"datasets": reduce_observations(settings, inputs["observations"], ctx, mask)}
