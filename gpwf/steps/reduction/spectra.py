"""Reduction to spectra of one region (1d)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import StepContext
from gpwf.steps.exclusion import read_exclusion
from gpwf.steps.reduction.common import (
    arguments,
    dataset_names,
    energy_axes,
    held,
    safe_mask_maker,
    stacked_name,
)
from gpwf.steps.reduction.settings import METHODS, DatasetsSettings
from gpwf.steps.settings import SkyCircle

__all__ = ["reduce_spectra"]


def reduce_spectra(settings: DatasetsSettings, observations: list[Any], ctx: StepContext) -> Any:
    """Return ON/OFF spectra, one per observation or their sum.

    Parameters
    ----------
    settings : DatasetsSettings
        With ``type: 1d``.
    observations : list of `gammapy.data.Observation`
        At least one, in the order in which they are stacked.
    ctx : StepContext
        For messages and progress.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
        Of `gammapy.datasets.SpectrumDatasetOnOff`.

    Raises
    ------
    NoDataError
        Where no observation sees the region, or nothing was counted.
    StepError
        Where no OFF region or no safe bin is left, or gammapy refuses an observation.
    """
    from gammapy.datasets import Datasets

    region = settings.on_region
    assert region is not None  # checked with the settings
    reduction = _Reduction(settings, region, ctx.step)
    names = dataset_names(observations, settings.prefix)
    pairs = list(zip(observations, names, strict=True))
    reduced = ctx.map(lambda pair: reduction.run(*pair), pairs, label="observations")
    seen = [
        observation
        for observation, result in zip(observations, reduced, strict=True)
        if result.is_in_view
    ]
    if not seen:
        center = region.center
        raise NoDataError(
            f"{ctx.step}: the ON region at {center.lon}, {center.lat} ({center.frame}) is "
            "outside the field of view of every observation",
            hint="check 'on_region', or choose observations that point at it",
        )
    datasets = Datasets([result.dataset for result in reduced if result.dataset is not None])
    _check(datasets, settings, ctx.step)
    if settings.stack:
        name = stacked_name(seen, settings.prefix)
        datasets = Datasets([datasets.stack_reduce(name=name)])
    return datasets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reduced:
    """What became of an observation: whether it sees the region, and its dataset, if any."""

    is_in_view: bool
    dataset: Any = None


class _Reduction:
    """gammapy's makers for these settings."""

    def __init__(self, settings: DatasetsSettings, region: SkyCircle, step: str) -> None:
        from gammapy.makers import ReflectedRegionsBackgroundMaker, SpectrumDatasetMaker

        self._step = step
        self._region = region
        self._empty = _empty_dataset(settings, region)
        self._counts = SpectrumDatasetMaker(
            selection=["counts", "exposure", "edisp"],
            containment_correction=settings.containment_correction,
        )
        background = settings.background
        exclusion = None
        if background.exclusion is not None:
            exclusion = read_exclusion(background.exclusion.path, region.center.skycoord, step)
        self._background = ReflectedRegionsBackgroundMaker(
            exclusion_mask=exclusion,
            **arguments(background.parameters, tuple(METHODS["reflected"])),
        )
        self._safe = safe_mask_maker(settings)

    def run(self, observation: Any, name: str) -> _Reduced:
        """Reduce one observation."""
        observation = held(observation)
        if not _in_view(observation, self._region, self._step):
            return _Reduced(is_in_view=False)
        return _Reduced(is_in_view=True, dataset=self._dataset(observation, name))

    def _dataset(self, observation: Any, name: str) -> Any:
        """Return the dataset of one observation; None where it has no OFF region."""
        try:
            dataset = self._counts.run(self._empty.copy(name=name), observation)
            dataset = self._background.run(dataset, observation)
            if dataset.counts_off is None:
                warnings.warn(
                    f"{self._step}: observation {observation.obs_id} is left out: it has no OFF "
                    "region outside the exclusion mask, or its pointing lies inside the ON region",
                    stacklevel=2,
                )
                return None
            return self._safe.run(dataset, observation) if self._safe else dataset
        except ValueError as error:
            raise StepError(
                f"{self._step}: observation {observation.obs_id}: {error}",
                hint=_point_like_hint(observation),
            ) from error


def _point_like_hint(observation: Any) -> str | None:
    """Return what to change where the response is that of one ON radius; None for others."""
    if not observation.aeff.is_pointlike:
        return None
    radius = observation.rad_max
    if radius is not None and not radius.is_fixed_rad_max:
        return (
            "the response is point-like, its ON radius (RAD_MAX) changes with energy: this version "
            "needs one radius, so leave the observation out"
        )
    text = (
        f"'on_region.radius: {radius.data.flat[0]:.4g} {radius.unit}'" if radius else "its radius"
    )
    return f"the response is point-like: set {text} and 'containment_correction: false'"


def _empty_dataset(settings: DatasetsSettings, region: SkyCircle) -> Any:
    """Return a dataset without counts that has the wanted axes and region."""
    from gammapy.datasets import SpectrumDataset
    from gammapy.maps import RegionGeom
    from regions import CircleSkyRegion

    energy, energy_true = energy_axes(settings.geom.axes)
    circle = CircleSkyRegion(region.center.skycoord, region.radius.quantity)
    geom = RegionGeom.create(circle, axes=[energy])
    return SpectrumDataset.create(geom, energy_axis_true=energy_true)


def _in_view(observation: Any, region: SkyCircle, step: str) -> bool:
    """Tell whether the ON region's centre is where the effective area is known."""
    pointing = observation.get_pointing_icrs(observation.tmid)
    offset = pointing.separation(region.center.skycoord)
    largest = observation.aeff.axes["offset"].edges.max()
    if offset <= largest:
        return True
    warnings.warn(
        f"{step}: observation {observation.obs_id} is left out: the ON region is "
        f"{offset.deg:.2f} deg from its pointing, its response ends at "
        f"{largest.to_value('deg'):.2f} deg",
        stacklevel=2,
    )
    return False


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
        raise StepError(
            f"{step}: no observation has an OFF region",
            hint="the exclusion mask covers every reflected region, or the telescopes point at the "
            "source: change 'background.exclusion', 'on_region.radius' or the observations",
        )
    if not any(dataset.mask_safe is None or dataset.mask_safe.data.any() for dataset in datasets):
        methods = ", ".join(settings.safe_mask.methods)
        raise StepError(
            f"{step}: no energy bin is left by the safe mask ({methods})",
            hint="change 'safe_mask' or the range of 'geom.axes.energy'",
        )
    counts = sum(item.counts.data.sum() + item.counts_off.data.sum() for item in datasets)
    if counts == 0:
        energy = settings.geom.axes.energy
        raise NoDataError(
            f"{step}: no event in the ON and OFF regions between {energy.min} and {energy.max}",
            hint="check 'on_region' and 'geom.axes.energy'",
        )
