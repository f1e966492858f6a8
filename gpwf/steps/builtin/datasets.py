"""The step ``datasets``: counts, background and instrument response, binned for a fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.exclusion import read_exclusion
from gpwf.steps.settings import (
    Angle,
    EnergyAxis,
    Field,
    InputPath,
    Radius,
    Section,
    SkyCircle,
    SkyPosition,
    StepSettings,
    problem,
)

__all__ = ["DatasetsStep"]

# without an axis in true energy: this factor beyond both ends, this many bins per decade
_TRUE_FACTOR = 2.0
_TRUE_PER_DECADE = 20


class BinnedAxis(EnergyAxis):
    """An energy axis with bins of equal width in the logarithm."""

    per_decade: bool = Field(False, description="Count 'nbins' per decade instead of in total")


class Axes(Section):
    """Energy axes."""

    energy: BinnedAxis = Field(description="Axis in reconstructed energy, of the counts")
    energy_true: BinnedAxis | None = Field(
        None,
        description="Axis in true energy, of the response; left out: from half the lowest to twice "
        "the highest reconstructed energy, 20 bins per decade",
    )


class Geom(Section):
    """Binning."""

    axes: Axes = Field(description="Energy axes")


class ReflectedParameters(Section):
    """Parameters of `gammapy.makers.ReflectedRegionsFinder`."""

    angle_increment: Radius = Field(
        Radius("0.1 rad"), description="Rotation where a region touches an excluded one"
    )
    min_distance: Angle = Field(
        Angle("0 rad"), description="Least rotation between two reflected regions"
    )
    min_distance_input: Angle = Field(
        Angle("0.1 rad"), description="Least rotation between the ON region and the first one"
    )
    max_region_number: int = Field(10000, ge=1, description="Most regions to use")
    binsz: Radius = Field(Radius("0.01 deg"), description="Pixel in which regions are searched")


class Background(Section):
    """Background estimate."""

    method: Literal["reflected"] = Field(
        "reflected", description="How the background is measured: from reflected OFF regions"
    )
    exclusion: InputPath | None = Field(
        None, description="Where not to measure it: FITS mask (0 is excluded) or file of regions"
    )
    parameters: ReflectedParameters = Field(
        ReflectedParameters.model_validate({}), description="Parameters of the method"
    )


SafeMethod = Literal["aeff-default", "aeff-max", "edisp-bias", "offset-max", "bkg-peak"]


class SafeMaskParameters(Section):
    """Parameters of `gammapy.makers.SafeMaskMaker`."""

    aeff_percent: float = Field(
        10.0, ge=0, le=100, description="'aeff-max': threshold in percent of the largest area"
    )
    bias_percent: float = Field(
        10.0, ge=0, description="'edisp-bias': largest bias of the energy, in percent"
    )
    position: SkyPosition | None = Field(
        None, description="Where on the sky the threshold is computed; left out: the ON region"
    )
    fixed_offset: Radius | None = Field(
        None, description="Offset from the pointing at which it is computed, instead of 'position'"
    )
    offset_max: Radius = Field(
        Radius("3 deg"), description="'offset-max': largest offset from the pointing"
    )
    irfs: Literal["DL4", "DL3"] = Field(
        "DL4", description="Use the projected response (DL4) or that of the files (DL3)"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.position is not None and self.fixed_offset is not None:
            raise problem("GP306", "give either 'position' or 'fixed_offset', not both")
        return self


class SafeMask(Section):
    """Range of the data that can be trusted."""

    methods: tuple[SafeMethod, ...] = Field(
        ("aeff-default",), description="Criteria that bins must all meet; an empty list for none"
    )
    parameters: SafeMaskParameters = Field(
        SafeMaskParameters.model_validate({}), description="Parameters of the criteria"
    )


class DatasetsSettings(StepSettings):
    """Settings of the step."""

    type: Literal["1d"] = Field("1d", description="Kind of datasets: 1d, spectra of one region")
    stack: bool = Field(True, description="Add all observations up into one dataset")
    geom: Geom = Field(description="Binning")
    on_region: SkyCircle = Field(description="Region of the source")
    background: Background = Field(Background.model_validate({}), description="Background estimate")
    safe_mask: SafeMask = Field(
        SafeMask.model_validate({}), description="Range of the data that can be trusted"
    )
    containment_correction: bool = Field(
        False, description="Correct the exposure for the part of the PSF outside the ON region"
    )
    prefix: str | None = Field(
        None,
        description="First part of the datasets' names; left out: name of the telescope",
        min_length=1,
        max_length=40,
    )

    @field_validator("type", mode="before")
    @classmethod
    def _check_type(cls, value: Any) -> Any:
        if value == "3d":
            raise problem("GP304", "datasets of type '3d' are not supported by this version", "1d")
        return value


class DatasetsStep(Step):
    """Reduce observations to ON/OFF spectra with their instrument response.

    Counts of a circular ON region, background from reflected OFF regions, exposure and energy
    dispersion, and the range of energies that is safe to use. One dataset per observation, or
    all of them stacked. Datasets are named after telescope and observation (``hess-23523``,
    ``hess-stacked``) and sorted by observation.
    """

    tag: ClassVar[str] = "datasets"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Reduce observations to datasets"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = DatasetsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="Events and instrument response"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="Binned counts, background and response"),
    )

    def run(
        self, settings: DatasetsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`."""
        from gammapy.datasets import Datasets

        observations = sorted(inputs["observations"], key=_order)
        if not observations:
            raise NoDataError(f"{ctx.step}: there is no observation")
        seen = [item for item in observations if _in_view(item, settings, ctx.step)]
        if not seen:
            center = settings.on_region.center
            raise NoDataError(
                f"{ctx.step}: the ON region at {center.lon}, {center.lat} ({center.frame}) is "
                "outside the field of view of every observation",
                hint="check 'on_region', or choose observations that point at it",
            )
        reduction = _Reduction(settings, ctx)
        names = _names(seen, settings.prefix)
        datasets = Datasets()
        for number, (observation, name) in enumerate(zip(seen, names, strict=True)):
            ctx.progress(number, len(seen), f"observation {observation.obs_id}")
            dataset = reduction.run(observation, name)
            if dataset is not None:
                datasets.append(dataset)
        ctx.progress(len(seen), len(seen), "reduced")
        _check(datasets, settings, ctx.step)
        if settings.stack:
            prefix = settings.prefix or "-".join(sorted({_telescope(item) for item in seen}))
            datasets = Datasets([datasets.stack_reduce(name=f"{prefix}-stacked")])
        return {"datasets": datasets}


class _Reduction:
    """gammapy's makers for these settings."""

    def __init__(self, settings: DatasetsSettings, ctx: StepContext) -> None:
        from gammapy.makers import (
            ReflectedRegionsBackgroundMaker,
            SafeMaskMaker,
            SpectrumDatasetMaker,
        )

        self._step = ctx.step
        self._empty = _empty_dataset(settings)
        self._counts = SpectrumDatasetMaker(
            selection=["counts", "exposure", "edisp"],
            containment_correction=settings.containment_correction,
        )
        background = settings.background
        exclusion = None
        if background.exclusion is not None:
            center = settings.on_region.center.skycoord
            exclusion = read_exclusion(background.exclusion.path, center, ctx.step)
        self._background = ReflectedRegionsBackgroundMaker(
            exclusion_mask=exclusion, **_arguments(background.parameters)
        )
        self._safe = None
        if settings.safe_mask.methods:
            arguments = _arguments(settings.safe_mask.parameters)
            self._safe = SafeMaskMaker(methods=list(settings.safe_mask.methods), **arguments)

    def run(self, observation: Any, name: str) -> Any:
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


def _empty_dataset(settings: DatasetsSettings) -> Any:
    """Return a dataset without counts that has the wanted axes and region."""
    from gammapy.datasets import SpectrumDataset
    from gammapy.maps import RegionGeom
    from regions import CircleSkyRegion

    region = CircleSkyRegion(settings.on_region.center.skycoord, settings.on_region.radius.quantity)
    axes = settings.geom.axes
    energy = _map_axis(axes.energy, "energy")
    if axes.energy_true is not None:
        energy_true = _map_axis(axes.energy_true, "energy_true")
    else:
        energy_true = type(energy).from_energy_bounds(
            axes.energy.min.quantity / _TRUE_FACTOR,
            axes.energy.max.quantity * _TRUE_FACTOR,
            _TRUE_PER_DECADE,
            per_decade=True,
            name="energy_true",
        )
    geom = RegionGeom.create(region, axes=[energy])
    return SpectrumDataset.create(geom, energy_axis_true=energy_true)


def _map_axis(axis: BinnedAxis, name: str) -> Any:
    from gammapy.maps import MapAxis

    return MapAxis.from_energy_bounds(
        axis.min.quantity,
        axis.max.quantity,
        axis.nbins,
        per_decade=axis.per_decade,
        name=name,
    )


def _arguments(section: Section) -> dict[str, Any]:
    """Return a section as arguments of a gammapy maker."""
    arguments = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, SkyPosition):
            value = value.skycoord
        elif isinstance(value, Angle):
            value = value.quantity
        arguments[name] = value
    return arguments


def _order(observation: Any) -> tuple[int, str]:
    """Sort by number where the id is one, then by text."""
    text = str(observation.obs_id)
    return (int(text) if text.isdigit() else -1, text)


def _telescope(observation: Any) -> str:
    """Return the telescope's name as the first part of dataset names."""
    info = observation.meta.obs_info
    text = str(getattr(info, "telescope", None) or getattr(info, "instrument", None) or "obs")
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "obs"


def _names(observations: list[Any], prefix: str | None) -> list[str]:
    """Return one name per observation; an id that comes again gets a number."""
    names: list[str] = []
    for observation in observations:
        name = f"{prefix or _telescope(observation)}-{observation.obs_id}"
        again = sum(item == name or item.startswith(f"{name}-part") for item in names)
        names.append(f"{name}-part{again + 1}" if again else name)
    return names


def _in_view(observation: Any, settings: DatasetsSettings, step: str) -> bool:
    """Tell whether the ON region's centre is where the effective area is known."""
    center = settings.on_region.center.skycoord
    pointing = observation.get_pointing_icrs(observation.tmid)
    offset = pointing.separation(center)
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
