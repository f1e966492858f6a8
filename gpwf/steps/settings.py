"""Settings of steps: the base class, and the groups that several steps share.

A step's settings are one frozen pydantic model. Every field has a type with its unit, a default
unless it must be given, and a one-line ``description``; schema, documentation and messages are
generated from it.

    class Settings(StepSettings):
        source: str = Field(description="Name of the model to measure")
        radius: Radius = Field(Radius("0.11 deg"), description="Radius of the ON region")

Field types: ``bool``, ``int``, ``float``, ``str``, ``Literal[...]``, ``X | None``,
``tuple[X, ...]``, ``dict[str, X]``, ``dict[str, Any]`` for data of others, a `Section`, and the
text types of `gpwf.steps.quantities` and `gpwf.steps.texts`. Bounds are given as ``Field(ge=0)``;
a rule between fields is a ``model_validator`` or `Step.check`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gpwf.steps.quantities import (
    Angle,
    AnyQuantity,
    Area,
    DiffFlux,
    Duration,
    Energy,
    EnergyFlux,
    Flux,
    Frequency,
    Length,
    Quantity,
    Radius,
)
from gpwf.steps.shapes import tupled
from gpwf.steps.texts import InputPath, Instant, problem

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity as AstropyQuantity

__all__ = [
    "Angle",
    "AnyQuantity",
    "Area",
    "Centered",
    "DiffFlux",
    "Duration",
    "Energy",
    "EnergyAxis",
    "EnergyEdges",
    "EnergyFlux",
    "EnergyRange",
    "Field",
    "Flux",
    "Fraction",
    "Frequency",
    "InputPath",
    "Instant",
    "Length",
    "Quantity",
    "Radius",
    "Section",
    "SkyCircle",
    "SkyPosition",
    "StepSettings",
    "problem",
]

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A number between 0 and 1."""


class Section(BaseModel):
    """A group of settings: frozen, unknown keys refused, no silent conversion of types.

    Lists are declared as tuples; a list from a document becomes one.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _lists_to_tuples(cls, data: Any) -> Any:
        return tupled(cls, data)


class StepSettings(Section):
    """Base of the settings of a step."""


class SkyPosition(Section):
    """A position on the sky."""

    frame: Literal["icrs", "galactic"] = Field("icrs", description="Coordinate frame")
    lon: Angle = Field(description="Longitude: right ascension or galactic longitude")
    lat: Angle = Field(description="Latitude: declination or galactic latitude")

    @model_validator(mode="after")
    def _check_latitude(self) -> Self:
        if abs(self.lat.value) > 90:
            raise problem("GP304", f"latitude {str(self.lat)!r} is beyond ±90 deg")
        return self

    @property
    def skycoord(self) -> SkyCoord:
        """The same as an `astropy.coordinates.SkyCoord`."""
        from astropy.coordinates import SkyCoord

        return SkyCoord(self.lon.quantity, self.lat.quantity, frame=self.frame)


class Centered(Section):
    """A region around a position: what has ``frame``, ``lon`` and ``lat`` gets a ``center``."""

    center: SkyPosition = Field(description="Centre of the circle")

    @model_validator(mode="before")
    @classmethod
    def _gather_center(cls, data: Any) -> Any:
        loose = {"frame", "lon", "lat"}
        if not isinstance(data, dict) or not loose & data.keys():
            return data
        if "center" in data:
            raise problem("GP306", "give either 'center' or 'frame', 'lon' and 'lat', not both")
        rest = {key: value for key, value in data.items() if key not in loose}
        return rest | {"center": {key: data[key] for key in data if key in loose}}


class SkyCircle(Centered):
    """A circle on the sky, as ``{frame, lon, lat, radius}`` or ``{center: {...}, radius}``.

    Settled with ``center``.
    """

    radius: Radius = Field(description="Radius of the circle")


def _check_order(low: Energy | None, high: Energy | None) -> None:
    if low is not None and high is not None and low.value >= high.value:
        raise problem("GP306", f"min ({low}) must be less than max ({high})")


class EnergyRange(Section):
    """A range of energy; a bound left out does not limit."""

    min: Energy | None = Field(None, description="Lower bound")
    max: Energy | None = Field(None, description="Upper bound")

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_order(self.min, self.max)
        return self


class EnergyAxis(Section):
    """An energy axis with bins of equal width in the logarithm."""

    min: Energy = Field(description="Lower edge")
    max: Energy = Field(description="Upper edge")
    nbins: int = Field(description="Number of bins", ge=1, le=100_000)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_order(self.min, self.max)
        return self

    @property
    def edges(self) -> AstropyQuantity:
        """Bin edges, shape (nbins + 1,), in TeV."""
        import numpy as np

        low, high = math.log10(self.min.value), math.log10(self.max.value)
        values = np.logspace(low, high, self.nbins + 1)
        values[0], values[-1] = self.min.value, self.max.value
        import astropy.units as u

        return u.Quantity(values, "TeV")


class EnergyEdges(Section):
    """Energy edges, either evenly spaced in the logarithm or one by one."""

    min: Energy | None = Field(None, description="Lower edge")
    max: Energy | None = Field(None, description="Upper edge")
    nbins: int | None = Field(None, description="Number of bins", ge=1, le=100_000)
    edges: tuple[Energy, ...] | None = Field(
        None, description="Every edge, instead of min, max and nbins"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        even = (self.min, self.max, self.nbins)
        if self.edges is not None:
            if any(item is not None for item in even):
                raise problem("GP306", "give either 'edges' or 'min', 'max' and 'nbins', not both")
            values = [edge.value for edge in self.edges]
            if len(values) < 2 or any(a >= b for a, b in pairwise(values)):
                raise problem("GP306", "'edges' needs two or more energies in rising order")
        elif any(item is None for item in even):
            raise problem("GP306", "'min', 'max' and 'nbins' (or 'edges') are needed")
        _check_order(self.min, self.max)
        return self

    @property
    def quantity(self) -> AstropyQuantity:
        """Bin edges, one more than bins, in TeV."""
        import astropy.units as u

        if self.edges is not None:
            return u.Quantity([edge.value for edge in self.edges], "TeV")
        assert self.min is not None
        assert self.max is not None
        assert self.nbins is not None
        return EnergyAxis(min=self.min, max=self.max, nbins=self.nbins).edges
