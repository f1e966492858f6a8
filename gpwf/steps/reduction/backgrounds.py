"""Settings of the background: how it is measured, and what each method takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gpwf.steps.settings import Angle, Field, InputPath, Radius, Section

__all__ = [
    "MAP_METHODS",
    "METHODS",
    "NO_EXCLUSION",
    "NO_TEMPLATE",
    "ON_OFF_MAPS",
    "SPECTRUM_METHODS",
    "Background",
    "BackgroundParameters",
    "with_method",
]

METHODS: Mapping[str, Mapping[str, Any]] = {
    "reflected": {
        "angle_increment": Radius("0.1 rad"),
        "min_distance": Angle("0 rad"),
        "min_distance_input": Angle("0.1 rad"),
        "max_region_number": 10000,
        "binsz": Radius("0.01 deg"),
    },
    "wobble": {"n_off_regions": None, "binsz": Radius("0.01 deg")},
    "phase": {"on_phase": None, "off_phase": None, "phase_column_name": "PHASE"},
    "fov_background": {"method": "scale", "min_counts": 0, "min_npred_background": 0.0},
    "ring": {"r_in": None, "width": None},
    "adaptive_ring": {
        "r_in": None,
        "r_out_max": None,
        "width": None,
        "stepsize": Radius("0.02 deg"),
        "threshold_alpha": 0.1,
        "theta": Radius("0.22 deg"),
        "method": "fixed_width",
    },
}
"""Parameters of each background method with their defaults; None for one that must be given."""

SPECTRUM_METHODS = ("reflected", "wobble", "phase")
"""Methods of ``type: 1d``."""

MAP_METHODS = ("fov_background", "ring", "adaptive_ring", "phase")
"""Methods of ``type: 3d``."""

ON_OFF_MAPS = ("ring", "adaptive_ring", "phase")
"""Those of `MAP_METHODS` that measure OFF counts: the datasets are `MapDatasetOnOff`."""

NO_TEMPLATE = ("phase",)
"""Those of `MAP_METHODS` that do not use the background of the response."""

NO_EXCLUSION = ("phase",)
"""Methods that take the background from the place of the source itself: nothing to exclude."""


class BackgroundParameters(Section):
    """Parameters of the background methods; each belongs to one or two of them.

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
        description="reflected, wobble: pixel in which regions are searched; left out: 0.01 deg",
    )
    n_off_regions: int | None = Field(
        None,
        examples=[3],
        ge=1,
        le=360,
        description="wobble: number of OFF regions, evenly spaced around the pointing; must be "
        "given there",
    )
    on_phase: tuple[tuple[float, float], ...] | None = Field(
        None,
        examples=[[[0.97, 1.05]]],
        min_length=1,
        description="phase: intervals of the phase in which the source is on, as [start, stop]; "
        "one that goes beyond 1 or below 0 is continued at the other end; must be given there",
    )
    off_phase: tuple[tuple[float, float], ...] | None = Field(
        None,
        examples=[[[0.52, 0.87]]],
        min_length=1,
        description="phase: intervals in which there is background alone; must be given there",
    )
    phase_column_name: str | None = Field(
        None,
        examples=["PHASE"],
        min_length=1,
        description="phase: column of the events with the phase, from 0 to 1; left out: PHASE",
    )
    method: Literal["scale", "fit", "fixed_width", "fixed_r_in"] | None = Field(
        None,
        examples=["scale"],
        description="fov_background: scale the background to the counts outside the exclusion, or "
        "fit its norm there; left out: scale. adaptive_ring: what stays while the ring grows, "
        "fixed_width or fixed_r_in; left out: fixed_width",
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
        description="ring, adaptive_ring: inner radius of the (first) ring; must be given there",
    )
    width: Radius | None = Field(
        None,
        examples=["0.3 deg"],
        description="ring, adaptive_ring: width of the (first) ring; must be given there",
    )
    r_out_max: Radius | None = Field(
        None,
        examples=["1.2 deg"],
        description="adaptive_ring: largest outer radius of a ring; must be given there",
    )
    stepsize: Radius | None = Field(
        None,
        examples=["0.02 deg"],
        description="adaptive_ring: how much the ring grows at a time; left out: 0.02 deg",
    )
    threshold_alpha: float | None = Field(
        None,
        examples=[0.1],
        gt=0,
        description="adaptive_ring: the ring of a pixel grows until the background expected in the "
        "pixel is at most this part of that in the ring; left out: 0.1",
    )
    theta: Radius | None = Field(
        None,
        examples=["0.22 deg"],
        description="adaptive_ring: radius of the region whose background is compared; gammapy "
        "2.1 takes that of a single pixel whatever is given here; left out: 0.22 deg",
    )


class Background(Section):
    """Background estimate."""

    method: (
        Literal["reflected", "wobble", "phase", "fov_background", "ring", "adaptive_ring"] | None
    ) = Field(
        None,
        description="How the background is measured. 1d: in OFF regions, reflected (as many as "
        "there is room for) or wobble (a given number, evenly spaced). 3d: fov_background, by the "
        "template of the response scaled to the field of view; ring or adaptive_ring, around every "
        "pixel. Both: phase, where a pulsar is off. Left out: reflected in 1d (wobble with "
        "'radius: rad_max'), fov_background in 3d",
    )
    exclusion: InputPath | None = Field(
        None, description="Where not to measure it: FITS mask (0 is excluded) or file of regions"
    )
    parameters: BackgroundParameters = Field(
        BackgroundParameters.model_validate({}), description="Parameters of the method"
    )


def with_method(background: Any, default: str) -> Any:
    """Return the background's settings with its method and the defaults of the parameters.

    Parameters
    ----------
    background : object
        As given; returned unchanged where it is no mapping.
    default : str
        Method where none is given.
    """
    if not isinstance(background, Mapping):
        return background
    filled = dict(background)
    if filled.get("method") is None:
        filled["method"] = default
    parameters = filled.get("parameters", {})
    if isinstance(parameters, Mapping) and isinstance(filled["method"], str):
        defaults = METHODS.get(filled["method"], {})
        missing = {name: value for name, value in defaults.items() if parameters.get(name) is None}
        filled["parameters"] = {**parameters, **missing}
    return filled
