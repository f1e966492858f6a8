"""The step ``plot``: figures of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.steps.base import Step, StepContext
from gpwf.steps.plots.kinds import PLOT_KINDS
from gpwf.steps.settings import Energy, EnergyRange, Field, Radius, SkyCircle, StepSettings

__all__ = ["PlotStep"]


class PlotSettings(StepSettings):
    """Settings of the step."""

    kind: Literal[
        "sed",
        "light-curve",
        "counts",
        "residuals",
        "profile",
        "contours",
        "significance-map",
        "map",
        "map-residuals",
        "castro",
        "castro-light-curve",
        "flux-profile",
        "sensitivity",
        "dark-matter-limits",
        "theta2",
        "significance-distribution",
    ] = Field("sed", description="What to draw; the inputs follow from it")
    title: str = Field("", description="Title above the figure", max_length=200)
    source: str | None = Field(
        None, description="sed: name of the model to draw; left out: the one of the flux points"
    )
    energy_power: float = Field(
        2.0, ge=0, le=5, description="sed, castro: power of the energy that multiplies the flux"
    )
    fit_range: EnergyRange = Field(
        EnergyRange.model_validate({}),
        description="counts, residuals: energies outside of which the figure is shaded",
    )
    quantity: str | None = Field(
        None,
        description="map: which of the maps: sqrt_ts, flux, excess …; map-residuals: the third one",
    )
    energy: Energy | None = Field(
        None, description="map: an energy in the bin to draw; left out: all bins"
    )
    stretch: Literal["linear", "sqrt", "asinh", "log"] = Field(
        "linear", description="map: how values become colours"
    )
    limits: tuple[float, float] | None = Field(
        None, description="map: values of the first and the last colour, in the unit of the map"
    )
    smooth: Radius | None = Field(
        None, description="map: sigma of a Gaussian that smooths what is drawn"
    )
    levels: tuple[float, ...] = Field(
        (), max_length=20, description="map: values at which contours are drawn"
    )
    regions: tuple[SkyCircle, ...] = Field((), description="map: circles to draw")
    names: tuple[str, ...] = Field(
        (),
        description="sed, contours: what the legend calls the items, in their order; left out: "
        "the values of the axes that are gathered",
    )


class PlotStep(Step):
    """Draw a figure: spectrum, light curve, counts, residuals, maps and others.

    Made for publication: units on the axes, colours that colour-blind readers tell apart, upper
    limits as arrows. The product is one figure in three formats, PNG, SVG and PDF.
    """

    tag: ClassVar[str] = "plot"
    version: ClassVar[str] = "4"
    title: ClassVar[str] = "Draw a figure"
    group: ClassVar[str] = "results"
    Settings: ClassVar[type[StepSettings]] = PlotSettings
    input_ports: ClassVar[tuple[Port, ...]] = PLOT_KINDS["sed"].inputs
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="figure", kind="figure", help="PNG, SVG and PDF"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy", "matplotlib")

    def inputs(self, settings: PlotSettings) -> tuple[Port, ...]:
        """Return the inputs that the kind of figure needs."""
        return PLOT_KINDS[settings.kind].inputs

    def check(self, settings: PlotSettings) -> Sequence[SettingProblem]:
        """Refuse settings that have no meaning for the kind of figure."""
        return [_no_meaning(name, settings.kind) for name in _meaningless(settings)]

    def run(
        self, settings: PlotSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``figure``: `matplotlib.figure.Figure`."""
        return {"figure": PLOT_KINDS[settings.kind].function()(settings, inputs, ctx)}


def _meaningless(settings: PlotSettings) -> list[str]:
    """Return the settings that are not as by default and that the kind has no use for."""
    own = ("kind", "title", *PLOT_KINDS[settings.kind].settings)
    return [
        name
        for name, field in PlotSettings.model_fields.items()
        if name not in own and getattr(settings, name) != field.default
    ]


def _no_meaning(name: str, kind: str) -> SettingProblem:
    users = ", ".join(f"'{item}'" for item, it in PLOT_KINDS.items() if name in it.settings)
    message = f"{name!r} has no meaning for kind '{kind}', only for {users}"
    return SettingProblem(path=(name,), message=message, code="GP306")
