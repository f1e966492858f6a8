"""Reduction to spectra of one region (1d)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import StepContext
from gpwf.steps.reduction.backgrounds import METHODS
from gpwf.steps.reduction.common import (
    arguments,
    dataset_names,
    energy_axes,
    held,
    safe_mask_maker,
    stacked_name,
)
from gpwf.steps.reduction.exclusions import check_off_cover, exclusion_mask
from gpwf.steps.reduction.off_regions import off_problem
from gpwf.steps.reduction.phases import PhaseBackground
from gpwf.steps.reduction.responses import (
    check_irfs,
    check_on_radius,
    covers_energies,
    safe_irfs,
)
from gpwf.steps.reduction.settings import DatasetsSettings, OnRegion
from gpwf.steps.settings import Radius

__all__ = ["reduce_spectra"]

_WIDEST_DEG = 10.0  # no telescope sees further from its pointing
_MARGIN_DEG = 2.0


def reduce_spectra(
    settings: DatasetsSettings, observations: list[Any], ctx: StepContext, exclusion: Any = None
) -> Any:
    """Return ON/OFF spectra, one per observation or their sum.

    Parameters
    ----------
    settings : DatasetsSettings
        With ``type: 1d``.
    observations : list of `gammapy.data.Observation`
        At least one, in the order in which they are stacked.
    ctx : StepContext
        For messages and progress.
    exclusion : `gammapy.maps.Map`, optional
        Where the background may be measured; instead of ``background.exclusion``.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
        Of `gammapy.datasets.SpectrumDatasetOnOff`.

    Raises
    ------
    NoDataError
        Where no observation sees the region, or nothing was counted.
    StepError
        Where no OFF region or no safe bin is left, or the response is not for these settings.
    """
    from gammapy.datasets import Datasets

    region = settings.on_region
    assert region is not None  # checked with the settings
    center = region.center.skycoord
    mask = exclusion_mask(
        settings, exclusion, center, ctx.step, width_deg=_off_width(center, observations)
    )
    reduction = _Reduction(settings, region, mask, ctx.step)
    names = dataset_names(observations, settings.prefix)
    pairs = list(zip(observations, names, strict=True))
    reduced = ctx.map(lambda pair: reduction.run(*pair), pairs, label="observations")
    _check_seen(reduced, settings, ctx.step)
    seen = [item for item, result in zip(observations, reduced, strict=True) if result.is_seen]
    if mask is not None:
        check_off_cover(mask, center, seen, ctx.step)
    datasets = Datasets([item.dataset for item in reduced if item.dataset is not None])
    _check(datasets, settings, ctx.step)
    datasets = _safe_ones(datasets, settings, ctx.step)
    if settings.stack:
        name = stacked_name(seen, settings.prefix)
        datasets = Datasets([datasets.stack_reduce(name=name)])
    return datasets


def _off_width(center: Any, observations: list[Any]) -> float:
    """Return how wide a map around the ON region holds all OFF regions, in deg.

    They are up to twice as far from it as the pointing.
    """
    offsets = [item.get_pointing_icrs(item.tmid).separation(center).deg for item in observations]
    return 4 * float(max([0, *(deg for deg in offsets if deg < _WIDEST_DEG)])) + _MARGIN_DEG


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reduced:
    """What became of an observation, and its dataset, if any."""

    is_in_view: bool = True
    is_in_range: bool = True
    dataset: Any = None

    @property
    def is_seen(self) -> bool:
        """True where the response is for the region and the energies."""
        return self.is_in_view and self.is_in_range


class _Reduction:
    """gammapy's makers for these settings."""

    def __init__(self, settings: DatasetsSettings, region: OnRegion, mask: Any, step: str) -> None:
        from gammapy.makers import SpectrumDatasetMaker

        self._step = step
        self._settings = settings
        self._region = region
        self._mask = mask
        self._empty = _empty_dataset(settings, region)
        self._counts = SpectrumDatasetMaker(
            selection=["counts", "exposure", "edisp"],
            containment_correction=settings.containment_correction,
            use_region_center=settings.use_region_center,
        )
        self._background = _background_maker(settings, mask, step)
        self._safe = safe_mask_maker(settings)
        psf = {"psf"} if settings.containment_correction else set()
        self._irfs = {"aeff", "edisp"} | psf | safe_irfs(settings)

    def run(self, observation: Any, name: str) -> _Reduced:
        """Reduce one observation.

        Raises
        ------
        StepError
            Where the response is not for these settings, or gammapy refuses the observation.
        """
        observation = held(observation)
        hint = (
            f"these settings need {', '.join(sorted(self._irfs))}: select observations with them "
            "('required_irf'), or change 'containment_correction' or 'safe_mask'"
        )
        check_irfs(observation, self._irfs, hint, self._step)
        if not _in_view(observation, self._region, self._step):
            return _Reduced(is_in_view=False)
        if not covers_energies(observation, self._settings, self._step):
            return _Reduced(is_in_range=False)
        check_on_radius(observation, self._region, self._settings, self._step)
        return _Reduced(dataset=self._dataset(observation, name))

    def _dataset(self, observation: Any, name: str) -> Any:
        """Return the dataset of one observation; None where it has no OFF counts or no safe bin."""
        try:
            dataset = self._counts.run(self._empty.copy(name=name), observation)
            dataset = self._background.run(dataset, observation)
            why = off_problem(dataset, observation, self._settings, self._mask, self._step)
            if why is not None:
                self._leave_out(observation, why)
                return None
            return self._safe.run(dataset, observation) if self._safe else dataset
        except ValueError as error:
            raise StepError(
                f"{self._step}: observation {observation.obs_id}: {error}",
                hint=_hint(self._settings),
            ) from error

    def _leave_out(self, observation: Any, why: str) -> None:
        warnings.warn(
            f"{self._step}: observation {observation.obs_id} is left out: {why}", stacklevel=3
        )


def _background_maker(settings: DatasetsSettings, mask: Any, step: str) -> Any:
    """Return what makes the OFF counts."""
    from gammapy.makers import ReflectedRegionsBackgroundMaker, WobbleRegionsFinder

    method = str(settings.background.method)
    given = arguments(settings.background.parameters, tuple(METHODS[method]))
    if method == "phase":
        return PhaseBackground(**given, step=step)
    if method == "wobble":
        finder = WobbleRegionsFinder(**given)
        return ReflectedRegionsBackgroundMaker(region_finder=finder, exclusion_mask=mask)
    return ReflectedRegionsBackgroundMaker(exclusion_mask=mask, **given)


def _hint(settings: DatasetsSettings) -> str | None:
    """Return what may help where gammapy refuses an observation."""
    parameters = settings.safe_mask.parameters
    if parameters.irfs == "DL3" and parameters.position is None and parameters.fixed_offset is None:
        return (
            "with 'irfs: DL3' the safe mask is computed for a source on axis; give "
            "'safe_mask.parameters.position' or 'fixed_offset'"
        )
    return None


def _empty_dataset(settings: DatasetsSettings, region: OnRegion) -> Any:
    """Return a dataset without counts that has the wanted axes and region."""
    from gammapy.datasets import SpectrumDataset
    from gammapy.maps import RegionGeom
    from regions import CircleSkyRegion, PointSkyRegion

    energy, energy_true = energy_axes(settings.geom.axes)
    center = region.center.skycoord
    shape = PointSkyRegion(center)  # stands for the radius of the response, in gammapy
    if isinstance(region.radius, Radius):
        shape = CircleSkyRegion(center, region.radius.quantity)
    geom = RegionGeom.create(shape, axes=[energy])
    return SpectrumDataset.create(geom, energy_axis_true=energy_true)


def _in_view(observation: Any, region: OnRegion, step: str) -> bool:
    """Tell whether the ON region's centre is where the effective area is known."""
    pointing = observation.get_pointing_icrs(observation.tmid)
    offset = pointing.separation(region.center.skycoord).deg
    edges = observation.aeff.axes["offset"].edges.to_value("deg")
    if edges.min() <= offset <= edges.max():
        return True
    known = f"ends at {edges.max():.2f}" if offset > edges.max() else f"begins at {edges.min():.2f}"
    warnings.warn(
        f"{step}: observation {observation.obs_id} is left out: the ON region is "
        f"{offset:.2f} deg from its pointing, its response {known} deg",
        stacklevel=2,
    )
    return False


def _check_seen(reduced: list[_Reduced], settings: DatasetsSettings, step: str) -> None:
    """Refuse a region or energies that are beyond the response of every observation.

    Raises
    ------
    NoDataError
        Where no observation sees the region, or has these energies.
    """
    region, energy = settings.on_region, settings.geom.axes.energy
    assert region is not None
    if not any(item.is_in_view for item in reduced):
        center = region.center
        raise NoDataError(
            f"{step}: the ON region at {center.lon}, {center.lat} ({center.frame}) is "
            "outside the field of view of every observation",
            hint="check 'on_region', or choose observations that point at it",
        )
    if not any(item.is_seen for item in reduced):
        raise NoDataError(
            f"{step}: no observation has a response between {energy.min} and {energy.max}",
            hint="change 'geom.axes.energy', or the observations",
        )


def _safe_ones(datasets: Any, settings: DatasetsSettings, step: str) -> Any:
    """Return the datasets that have a safe bin."""
    kept = [item for item in datasets if item.mask_safe is None or item.mask_safe.data.any()]
    methods = ", ".join(settings.safe_mask.methods)
    for name in sorted(set(datasets.names) - {item.name for item in kept}):
        warnings.warn(
            f"{step}: {name} is left out: no energy bin is left by the safe mask ({methods})",
            stacklevel=3,
        )
    return type(datasets)(kept)


def _check(datasets: Any, settings: DatasetsSettings, step: str) -> None:
    """Refuse datasets that no fit can use.

    Raises
    ------
    StepError
        Where no OFF region or no safe bin is left.
    NoDataError
        Where there are no counts.
    """
    if not len(datasets):
        ways = {
            "reflected": "the exclusion mask covers every reflected region, or the telescopes "
            "point at the source: change 'background.exclusion', 'on_region.radius' or the "
            "observations",
            "wobble": "the regions overlap, or the exclusion mask covers them: change "
            "'background.parameters.n_off_regions', 'background.exclusion' or the observations",
        }
        method = str(settings.background.method)
        raise StepError(f"{step}: no observation has an OFF region", hint=ways.get(method))
    if not any(dataset.mask_safe is None or dataset.mask_safe.data.any() for dataset in datasets):
        methods = ", ".join(settings.safe_mask.methods)
        raise StepError(
            f"{step}: no energy bin is left by the safe mask ({methods})",
            hint="change 'safe_mask' or the range of 'geom.axes.energy'",
        )
    energy = settings.geom.axes.energy
    on = sum(int(item.counts.data.sum()) for item in datasets)
    if on + sum(item.counts_off.data.sum() for item in datasets) == 0:
        raise NoDataError(
            f"{step}: no event in the ON and OFF regions between {energy.min} and {energy.max}",
            hint="check 'on_region' and 'geom.axes.energy'",
        )
    if on == 0:
        warnings.warn(
            f"{step}: no event in the ON region between {energy.min} and {energy.max}: there is "
            "no more than an upper limit in these data",
            stacklevel=3,
        )
