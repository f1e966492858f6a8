"""Reduction to maps in energy bins (3d)."""

from __future__ import annotations

import math
import warnings
from typing import Any

from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import StepContext
from gpwf.steps.reduction.backgrounds import METHODS, ON_OFF_MAPS
from gpwf.steps.reduction.center import map_center
from gpwf.steps.reduction.common import (
    arguments,
    dataset_names,
    energy_axes,
    held,
    safe_mask_maker,
    stacked_name,
)
from gpwf.steps.reduction.exclusions import check_map_cover, exclusion_mask, mask_on_map
from gpwf.steps.reduction.phases import PhaseBackground
from gpwf.steps.reduction.responses import (
    check_irfs,
    check_map_exposure,
    covers_energies,
    safe_irfs,
)
from gpwf.steps.reduction.rings import RingBackground
from gpwf.steps.reduction.settings import DatasetsSettings, Wcs
from gpwf.steps.settings import SkyPosition

__all__ = ["reduce_maps", "scale_background"]

# the response that a map is made of
_IRFS = {"exposure": "aeff", "background": "bkg", "psf": "psf", "edisp": "edisp"}


def reduce_maps(
    settings: DatasetsSettings, observations: list[Any], ctx: StepContext, exclusion: Any = None
) -> Any:
    """Return maps, one dataset per observation or their sum.

    The makers run in the order of gammapy's ``Analysis``: maps, safe mask, background; each
    observation fills a cutout around its pointing.

    Parameters
    ----------
    settings : DatasetsSettings
        With ``type: 3d``.
    observations : list of `gammapy.data.Observation`
        At least one, in the order in which they are stacked.
    ctx : StepContext
        For messages and progress.
    exclusion : `gammapy.maps.Map`, optional
        Where the background may be measured; instead of ``background.exclusion``.

    Returns
    -------
    datasets : `gammapy.datasets.Datasets`
        Of `gammapy.datasets.MapDataset`, each with a background model of its own set on it, or of
        `gammapy.datasets.MapDatasetOnOff` where the background was measured as OFF counts, in rings
        or in phases.

    Raises
    ------
    NoDataError
        Where no observation overlaps with the map, or nothing was counted.
    StepError
        Where the pointings lie too far apart to have a map around their mean, an observation lacks
        a response, gammapy refuses it, or nothing safe is left.
    """
    from gammapy.datasets import Datasets

    assert settings.geom.wcs is not None  # checked with the settings
    center = map_center(settings.geom.wcs, observations, ctx.step)
    extent = settings.geom.wcs.width
    width = math.hypot(extent.width.value, extent.height.value)  # the corners are on it, too
    mask = exclusion_mask(settings, exclusion, center.skycoord, ctx.step, width_deg=width)
    reduction = _Reduction(settings, settings.geom.wcs, center, mask, ctx.step)
    names = dataset_names(observations, settings.prefix)
    total = reduction.empty(stacked_name(observations, settings.prefix)) if settings.stack else None
    datasets = Datasets()
    overlaps = used = 0
    has_counts = False
    pairs = list(zip(observations, names, strict=True))
    reduced = ctx.each(lambda pair: reduction.run(*pair), pairs, label="observations")
    for observation, dataset in zip(observations, reduced, strict=True):
        if dataset is None:
            continue
        overlaps += 1
        has_counts |= bool(dataset.counts.data.any())
        if not dataset.mask_safe.data.any():
            _warn_left_out(observation, settings, ctx.step)
            continue
        used += 1
        if total is None:
            datasets.append(dataset)
        else:
            total.stack(dataset)
    _check_overlap(overlaps, center, ctx.step)
    _check_counts(has_counts, settings, ctx.step)  # without, the template cannot be scaled
    _check_used(used, ctx.step)
    if mask is not None:
        check_map_cover(mask, reduction.image, ctx.step)
    if total is not None:
        datasets.append(reduction.with_background_model(total))
    _check_counts(any(item.counts.data.any() for item in datasets), settings, ctx.step)
    return datasets


class _Reduction:
    """gammapy's makers for these settings."""

    def __init__(
        self, settings: DatasetsSettings, wcs: Wcs, center: SkyPosition, mask: Any, step: str
    ) -> None:
        from gammapy.makers import MapDatasetMaker

        assert settings.geom.selection is not None
        assert settings.map_selection is not None
        self._step = step
        self._selection = settings.map_selection
        self._width = 2 * settings.geom.selection.offset_max.quantity
        self._settings = settings
        self._is_on_off = settings.background.method in ON_OFF_MAPS
        self._geoms = _geoms(settings, wcs, center)
        self._empty = self._create("MapDataset", "reference")
        self._maps = MapDatasetMaker(selection=list(settings.map_selection))
        self._safe = safe_mask_maker(settings)
        self._background = self._background_maker(settings, mask)
        self._irfs = {_IRFS[name] for name in self._selection if name in _IRFS} | {"aeff"}
        self._irfs |= safe_irfs(settings)

    def _create(self, kind: str, name: str) -> Any:
        from gammapy import datasets

        return getattr(datasets, kind).create(**self._geoms, name=name)

    def _background_maker(self, settings: DatasetsSettings, mask: Any) -> Any:
        """Return what measures the background."""
        from gammapy.makers import (
            AdaptiveRingBackgroundMaker,
            FoVBackgroundMaker,
            RingBackgroundMaker,
        )

        method = str(settings.background.method)
        given = arguments(settings.background.parameters, tuple(METHODS[method]))
        if method == "phase":
            return PhaseBackground(**given, step=self._step)
        if mask is not None:
            mask = mask_on_map(mask, self.image, self._step)
        if method == "fov_background":
            return FoVBackgroundMaker(exclusion_mask=mask, **given)
        if method == "ring":
            return RingBackground(RingBackgroundMaker(exclusion_mask=mask, **given))
        _warn_theta(settings, self._step)
        return RingBackground(AdaptiveRingBackgroundMaker(exclusion_mask=mask, **given))

    @property
    def image(self) -> Any:
        """Pixels of the map, `gammapy.maps.WcsGeom` without axes."""
        return self._geoms["geom"].to_image()

    def empty(self, name: str) -> Any:
        """Return the dataset to which the others are added."""
        total = self._create("MapDatasetOnOff" if self._is_on_off else "MapDataset", name)
        for part in ("exposure", "psf", "edisp"):
            if part not in self._selection:
                setattr(total, part, None)  # a PSF of zeros would be used, and give NaN
        return total

    def with_background_model(self, dataset: Any) -> Any:
        """Return a dataset whose background template has a model, as gammapy's makers set one."""
        from gammapy.modeling.models import FoVBackgroundModel

        if not self._is_on_off:
            dataset.models = FoVBackgroundModel(dataset_name=dataset.name)
        return dataset

    def run(self, observation: Any, name: str) -> Any:
        """Return the dataset of one observation; None where it does not overlap with the map.

        Raises
        ------
        StepError
            Where the observation lacks a response, or gammapy refuses it.
        """
        from astropy.nddata import NoOverlapError

        observation = held(observation)
        hint = (
            "maps need the full-enclosure response: set 'required_irf: full-enclosure' of the "
            "observations, or leave the map out of 'map_selection'"
        )
        check_irfs(observation, self._irfs, hint, self._step)
        if not covers_energies(observation, self._settings, self._step):
            return None
        if "exposure" in self._selection:
            check_map_exposure(observation, self._step)
        pointing = observation.get_pointing_icrs(observation.tmid)
        try:
            # gammapy's DatasetsMaker cuts in galactic coordinates; the last bit may round a pixel
            dataset = self._empty.cutout(position=pointing.galactic, width=self._width, name=name)
        except NoOverlapError:
            warnings.warn(
                f"{self._step}: observation {observation.obs_id} is left out: it is pointed at "
                f"{pointing.to_string('decimal')} deg, {self._width / 2:.3g} around that do not "
                "overlap with the map",
                stacklevel=2,
            )
            return None
        try:
            dataset = self._maps.run(dataset, observation)
            scale_background(dataset, observation)
            if self._safe is not None:
                dataset = self._safe.run(dataset, observation)
            return self._background.run(dataset, observation)
        except ValueError as error:
            raise StepError(f"{self._step}: observation {observation.obs_id}: {error}") from error


def scale_background(dataset: Any, observation: Any) -> None:
    """Bring the background to the phases that a filter of the observation leaves.

    gammapy's maker does so for the exposure alone, and takes the background of all of the time.

    Parameters
    ----------
    dataset : `gammapy.datasets.MapDataset`
        Is changed.
    observation : `gammapy.data.Observation`
    """
    fraction = observation.obs_filter.livetime_fraction
    if fraction != 1 and dataset.background is not None:
        dataset.background.data *= fraction


def _geoms(settings: DatasetsSettings, wcs: Wcs, center: SkyPosition) -> dict[str, Any]:
    """Return the geometry of the maps, as gammapy's ``create`` takes it."""
    from gammapy.maps import WcsGeom

    energy, energy_true = energy_axes(settings.geom.axes)
    geom = WcsGeom.create(
        skydir=center.skycoord,
        frame=center.frame,
        binsz=wcs.binsize.value,
        width=(wcs.width.width.value, wcs.width.height.value),
        axes=[energy],
    )
    return {"geom": geom, "energy_axis_true": energy_true, "binsz_irf": wcs.binsize_irf.value}


def _warn_theta(settings: DatasetsSettings, step: str) -> None:
    """Warn of a parameter that does nothing."""
    theta = settings.background.parameters.theta
    if theta != METHODS["adaptive_ring"]["theta"]:
        warnings.warn(
            f"{step}: 'theta' ({theta}) has no effect: gammapy 2.1 takes the background of one "
            "pixel whatever is given, and compares it with 'threshold_alpha'",
            stacklevel=4,
        )


def _warn_left_out(observation: Any, settings: DatasetsSettings, step: str) -> None:
    """Warn of an observation of which nothing can be used."""
    methods = ", ".join(settings.safe_mask.methods) or "none"
    warnings.warn(
        f"{step}: observation {observation.obs_id} is left out: no bin is left by the safe mask "
        f"({methods}) and the background method '{settings.background.method}'",
        stacklevel=2,
    )


def _check_overlap(overlaps: int, center: SkyPosition, step: str) -> None:
    """Refuse a reduction of nothing.

    Raises
    ------
    NoDataError
        Where no observation overlaps with the map.
    """
    if not overlaps:
        raise NoDataError(
            f"{step}: the map around {center.lon}, {center.lat} ({center.frame}) overlaps with no "
            "observation, or none has a response at its energies",
            hint="check 'geom.wcs.skydir' and 'geom.axes.energy', or choose observations that "
            "point at it",
        )


def _check_used(used: int, step: str) -> None:
    """Refuse a reduction of which nothing is left.

    Raises
    ------
    StepError
        Where no observation has a safe bin.
    """
    if not used:
        raise StepError(
            f"{step}: no observation has a bin left that is safe and has a background",
            hint="change 'safe_mask', 'background' or the range of 'geom.axes.energy'",
        )


def _check_counts(has_counts: bool, settings: DatasetsSettings, step: str) -> None:
    """Refuse maps without events.

    Raises
    ------
    NoDataError
        Where there are no counts.
    """
    if not has_counts:
        energy = settings.geom.axes.energy
        raise NoDataError(
            f"{step}: no event in the map between {energy.min} and {energy.max}",
            hint="check 'geom.wcs' and 'geom.axes.energy'",
        )
