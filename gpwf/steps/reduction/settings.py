"""Settings of the reduction, spelt as gammapy's ``AnalysisConfig`` spells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

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

__all__ = [
    "METHODS",
    "Axes",
    "Background",
    "BackgroundParameters",
    "BinnedAxis",
    "DatasetsSettings",
    "Geom",
    "SafeMask",
    "Wcs",
]

METHODS: Mapping[str, Mapping[str, Any]] = {
    "reflected": {
        "angle_increment": Radius("0.1 rad"),
        "min_distance": Angle("0 rad"),
        "min_distance_input": Angle("0.1 rad"),
        "max_region_number": 10000,
        "binsz": Radius("0.01 deg"),
    },
    "fov_background": {"method": "scale", "min_counts": 0, "min_npred_background": 0.0},
    "ring": {"r_in": None, "width": None},
}
"""Parameters of each background method with their defaults; None for one that must be given."""

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


class BackgroundParameters(Section):
    """Parameters of the background methods; each belongs to one of them.

    Those of the chosen method are settled with the defaults of `METHODS`, the others stay None.
    """

    angle_increment: Radius | None = Field(
        None,
        examples=["0.1 rad"],
        description="reflected: rotation where a region touches an excluded one; left out: 0.1 rad",
    )
    min_distance: Angle | None = Field(
        None,
        examples=["0 rad"],
        description="reflected: least rotation between two reflected regions; left out: 0 rad",
    )
    min_distance_input: Angle | None = Field(
        None,
        examples=["0.1 rad"],
        description="reflected: least rotation between the ON region and the first one; "
        "left out: 0.1 rad",
    )
    max_region_number: int | None = Field(
        None, examples=[10000], ge=1, description="reflected: most regions to use; left out: 10000"
    )
    binsz: Radius | None = Field(
        None,
        examples=["0.01 deg"],
        description="reflected: pixel in which regions are searched; left out: 0.01 deg",
    )
    method: Literal["scale", "fit"] | None = Field(
        None,
        examples=["scale"],
        description="fov_background: scale the background to the counts outside the exclusion, or "
        "fit its norm there; left out: scale",
    )
    min_counts: int | None = Field(
        None,
        examples=[0],
        ge=0,
        description="fov_background: an observation without more counts outside the exclusion is "
        "left out; left out: 0",
    )
    min_npred_background: float | None = Field(
        None,
        examples=[0.0],
        ge=0,
        description="fov_background: an observation without more expected background outside the "
        "exclusion is left out; left out: 0",
    )
    r_in: Radius | None = Field(
        None,
        examples=["0.5 deg"],
        description="ring: inner radius of the ring; must be given there",
    )
    width: Radius | None = Field(
        None, examples=["0.3 deg"], description="ring: width of the ring; must be given there"
    )


class Background(Section):
    """Background estimate."""

    method: Literal["reflected", "fov_background", "ring"] | None = Field(
        None,
        description="How the background is measured: in reflected OFF regions (1d), by the "
        "template of the response scaled to the field of view, or in a ring around every "
        "pixel (3d); left out: reflected in 1d, fov_background in 3d",
    )
    exclusion: InputPath | None = Field(
        None, description="Where not to measure it: FITS mask (0 is excluded) or file of regions"
    )
    parameters: BackgroundParameters = Field(
        BackgroundParameters.model_validate({}), description="Parameters of the method"
    )


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
    on_region: SkyCircle | None = Field(
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
        filled["background"] = _with_method(filled.get("background", {}), kind)
        if kind == "3d":
            if filled.get("map_selection") is None:
                filled["map_selection"] = _MAPS
            geom = filled.get("geom", {})
            if isinstance(geom, Mapping):
                missing = [name for name in ("wcs", "selection") if geom.get(name) is None]
                filled["geom"] = {**geom, **{name: {} for name in missing}}
        return filled

    @classmethod
    def _kind(cls, data: Mapping[str, Any]) -> str:  # noqa: ARG003
        """Return the type where none is given."""
        return "1d"


def _with_method(background: Any, kind: str) -> Any:
    """Return the background's settings with its method and the defaults of the parameters."""
    if not isinstance(background, Mapping):
        return background
    filled = dict(background)
    if filled.get("method") is None:
        filled["method"] = "reflected" if kind == "1d" else "fov_background"
    parameters = filled.get("parameters", {})
    if isinstance(parameters, Mapping) and isinstance(filled["method"], str):
        defaults = METHODS.get(filled["method"], {})
        missing = {name: value for name, value in defaults.items() if parameters.get(name) is None}
        filled["parameters"] = {**parameters, **missing}
    return filled
