"""Settings of the reduction, spelt as gammapy's ``AnalysisConfig`` spells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from gpwf.steps.reduction.backgrounds import NO_TEMPLATE, Background, with_method
from gpwf.steps.settings import (
    Centered,
    EnergyAxis,
    Field,
    Radius,
    Section,
    SkyPosition,
    StepSettings,
    problem,
)

__all__ = [
    "Axes",
    "BinnedAxis",
    "DatasetsSettings",
    "Geom",
    "OnRegion",
    "SafeMask",
    "Wcs",
]

_MAPS = ("counts", "exposure", "background", "psf", "edisp")


class BinnedAxis(EnergyAxis):
    """An energy axis with bins of equal width in the logarithm."""

    per_decade: bool = Field(False, description="Count 'nbins' per decade instead of in total")


# the axes of gammapy's own configuration, `gammapy.analysis.config.EnergyAxesConfig`
_ENERGY = {"min": "1 TeV", "max": "10 TeV", "nbins": 5}
_ENERGY_TRUE = {"min": "0.5 TeV", "max": "20 TeV", "nbins": 16}


class Axes(Section):
    """Energy axes; where both are left out, those of gammapy's own configuration."""

    energy: BinnedAxis = Field(
        BinnedAxis.model_validate(_ENERGY),
        description="Axis in reconstructed energy, of the counts; left out: 1 to 10 TeV, 5 bins",
        json_schema_extra={"usual": True},
    )
    energy_true: BinnedAxis | None = Field(
        None,
        description="Axis in true energy, of the response; left out: from half the lowest to twice "
        "the highest reconstructed energy, 20 bins per decade; both left out: 0.5 to 20 TeV, "
        "16 bins",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "energy" in data:
            return data
        if data.get("energy_true") is not None:
            return data
        return {**data, "energy_true": _ENERGY_TRUE}


class Width(Section):
    """Extent of a map."""

    width: Radius = Field(Radius("5 deg"), description="Extent in longitude")
    height: Radius = Field(Radius("5 deg"), description="Extent in latitude")


class Wcs(Section):
    """Pixels of a map."""

    skydir: SkyPosition | None = Field(
        None,
        description="Centre of the map, its frame is that of the map; left out: the mean of the "
        "pointings, in icrs",
        json_schema_extra={"usual": True},
    )
    binsize: Radius = Field(Radius("0.02 deg"), description="Pixel of counts and exposure")
    width: Width = Field(Width.model_validate({}), description="Extent of the map")
    binsize_irf: Radius = Field(
        Radius("0.2 deg"), description="Pixel of the maps of PSF and energy dispersion"
    )


class Selection(Section):
    """What part of an observation is used."""

    offset_max: Radius = Field(
        Radius("2.5 deg"),
        description="Half the side of the square around the pointing that is filled",
    )


class Geom(Section):
    """Binning."""

    axes: Axes = Field(
        Axes.model_validate({}), description="Energy axes", json_schema_extra={"usual": True}
    )
    wcs: Wcs | None = Field(
        None,
        description="3d: pixels of the map; left out: 5 deg around the mean of the pointings",
    )
    selection: Selection | None = Field(
        None, description="3d: what part of an observation is used; left out: up to 2.5 deg"
    )


class OnRegion(Centered):
    """ON region: a circle, as ``{frame, lon, lat, radius}`` or ``{center: {...}, radius}``.

    Settled with ``center``.
    """

    radius: Radius | Literal["rad_max"] = Field(
        description="Radius of the circle; rad_max: that of the point-like response, which may "
        "change with energy (RAD_MAX_2D)"
    )

    @property
    def is_rad_max(self) -> bool:
        """True where every observation has the radius of its response."""
        return self.radius == "rad_max"


SafeMethod = Literal["aeff-default", "aeff-max", "edisp-bias", "offset-max", "bkg-peak"]
MapName = Literal["counts", "exposure", "background", "psf", "edisp"]


class SafeMaskParameters(Section):
    """Parameters of `gammapy.makers.SafeMaskMaker`."""

    aeff_percent: float = Field(
        10.0, ge=0, le=100, description="'aeff-max': threshold in percent of the largest area"
    )
    bias_percent: float = Field(
        10.0, ge=0, description="'edisp-bias': largest bias of the energy, in percent"
    )
    position: SkyPosition | None = Field(
        None,
        description="Where on the sky the threshold is computed; left out: the centre of the ON "
        "region or of the map",
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
    """Settings of a reduction.

    Where a default depends on ``type`` or on the background method, it is filled in before the
    settings are checked, so that settled settings hold what is used.
    """

    type: Literal["1d", "3d"] = Field(
        "1d", description="Kind of datasets: 1d, spectra of one region; 3d, maps in energy bins"
    )
    stack: bool = Field(True, description="Add all observations up into one dataset")
    geom: Geom = Field(
        Geom.model_validate({}), description="Binning", json_schema_extra={"usual": True}
    )
    on_region: OnRegion | None = Field(
        None,
        description="1d: region of the source; must be given there",
        json_schema_extra={"usual": True},
    )
    map_selection: tuple[MapName, ...] | None = Field(
        None, min_length=1, description="3d: which maps to make; left out: all of them"
    )
    background: Background = Field(Background.model_validate({}), description="Background estimate")
    safe_mask: SafeMask = Field(
        SafeMask.model_validate({}), description="Range of the data that can be trusted"
    )
    containment_correction: bool = Field(
        False,
        description="1d: correct the exposure for the part of the PSF outside the ON region",
    )
    use_region_center: bool = Field(
        True,
        description="1d: exposure at the centre of the ON region; false: averaged over the region, "
        "for extended sources",
    )
    prefix: str | None = Field(
        None,
        description="First part of the datasets' names; left out: name of the telescope",
        min_length=1,
        max_length=40,
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        kind = data.get("type", cls._kind(data)) if isinstance(data, Mapping) else None
        if kind not in ("1d", "3d"):
            return data
        filled = {**data, "type": kind}
        region = filled.get("on_region")
        is_rad_max = isinstance(region, Mapping) and region.get("radius") == "rad_max"
        default = "fov_background" if kind == "3d" else "wobble" if is_rad_max else "reflected"
        filled["background"] = with_method(filled.get("background", {}), default)
        if kind == "3d":
            if filled.get("map_selection") is None:
                filled["map_selection"] = _maps(filled["background"])
            geom = filled.get("geom", {})
            if isinstance(geom, Mapping):
                missing = [name for name in ("wcs", "selection") if geom.get(name) is None]
                filled["geom"] = {**geom, **{name: {} for name in missing}}
        return filled

    @classmethod
    def _kind(cls, data: Mapping[str, Any]) -> str:  # noqa: ARG003
        """Return the type where none is given."""
        return "1d"


def _maps(background: Any) -> tuple[str, ...]:
    """Return the maps that are made where none are chosen."""
    method = background.get("method") if isinstance(background, Mapping) else None
    return tuple(name for name in _MAPS if name != "background" or method not in NO_TEMPLATE)
