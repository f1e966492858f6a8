"""The step ``plot``: figures of results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.attach import attach_models, copy_datasets, require_source
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import common_energy_axis
from gpwf.steps.settings import EnergyRange, Field, StepSettings

__all__ = ["PlotStep"]

_DATASETS = Port(name="datasets", kind="datasets", help="What was counted")
_INPUTS: Mapping[str, tuple[Port, ...]] = {
    "sed": (
        Port(name="flux_points", kind="flux-points", help="Points to draw"),
        Port(name="models", kind="models", optional=True, help="Model to draw with its error band"),
    ),
    "light-curve": (Port(name="light_curve", kind="light-curve", help="Points to draw"),),
    "counts": (
        _DATASETS,
        Port(name="models", kind="models", optional=True, help="Models of the predicted counts"),
    ),
    "residuals": (
        _DATASETS,
        Port(name="models", kind="models", help="Models that the residuals are from"),
    ),
    "profile": (
        Port(name="profile", kind="table", multiple=True, help="From scan-parameter; a panel each"),
    ),
    "contours": (
        Port(name="contours", kind="table", multiple=True, help="From contours; a colour each"),
    ),
    "significance-map": (Port(name="flux_maps", kind="flux-maps", help="Maps to draw"),),
}


class PlotSettings(StepSettings):
    """Settings of the step."""

    kind: Literal[
        "sed", "light-curve", "counts", "residuals", "profile", "contours", "significance-map"
    ] = Field("sed", description="What to draw; the inputs follow from it")
    title: str = Field("", description="Title above the figure", max_length=200)
    source: str | None = Field(
        None, description="sed: name of the model to draw; left out: the one of the flux points"
    )
    energy_power: float = Field(
        2.0, ge=0, le=5, description="sed: power of the energy that multiplies the flux"
    )
    fit_range: EnergyRange = Field(
        EnergyRange.model_validate({}),
        description="counts, residuals: energies outside of which the figure is shaded",
    )


class PlotStep(Step):
    """Draw a figure: spectrum, light curve, counts, residuals or a map of significance.

    Made for publication: units on the axes, colours that colour-blind readers tell apart, upper
    limits as arrows. The product is one figure in three formats, PNG, SVG and PDF.
    """

    tag: ClassVar[str] = "plot"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Draw a figure"
    group: ClassVar[str] = "results"
    Settings: ClassVar[type[StepSettings]] = PlotSettings
    input_ports: ClassVar[tuple[Port, ...]] = _INPUTS["sed"]
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="figure", kind="figure", help="PNG, SVG and PDF"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy", "matplotlib")

    def inputs(self, settings: PlotSettings) -> tuple[Port, ...]:
        """Return the inputs that the kind of figure needs."""
        return _INPUTS[settings.kind]

    def check(self, settings: PlotSettings) -> Sequence[SettingProblem]:
        """Refuse a source where no model of one source is drawn."""
        if settings.source is not None and settings.kind != "sed":
            message = f"'source' has no meaning for kind '{settings.kind}', only for 'sed'"
            return [SettingProblem(path=("source",), message=message, code="GP306")]
        return []

    def run(
        self, settings: PlotSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``figure``: `matplotlib.figure.Figure`."""
        draw = {
            "sed": _sed,
            "light-curve": _light_curve,
            "counts": _counts,
            "residuals": _counts,
            "profile": _profile,
            "contours": _contours,
            "significance-map": _significance,
        }[settings.kind]
        return {"figure": draw(settings, inputs, ctx)}


def _sed(settings: PlotSettings, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    from gpwf.steps.plots.spectrum import draw_sed

    flux_points, models = inputs["flux_points"], inputs.get("models")
    model = None
    if models is not None:
        name = settings.source or flux_points.reference_model.name
        require_source(name, models.names, ctx.step)
        model = models[name]
    return draw_sed(flux_points, model, energy_power=settings.energy_power, title=settings.title)


def _light_curve(
    settings: PlotSettings,
    inputs: Mapping[str, Any],
    ctx: StepContext,  # noqa: ARG001  (all drawing functions are called alike)
) -> Any:
    from gpwf.steps.plots.light_curve import draw_light_curve

    return draw_light_curve(inputs["light_curve"], title=settings.title)


def _profile(settings: PlotSettings, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    from gpwf.steps.plots.profile import draw_profiles

    tables = _made_by("scan-parameter", "stat-profile", inputs["profile"], ctx.step)
    names = _labels(ctx, "profile", len(tables))
    if len({table.meta["parameter"] for table in tables}) == len(tables):
        names = [""] * len(tables)  # the axes say it
    return draw_profiles(tables, names, title=settings.title)


def _contours(settings: PlotSettings, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    from gpwf.steps.plots.contours import draw_contours

    tables = _made_by("contours", "contours", inputs["contours"], ctx.step)
    return draw_contours(tables, _labels(ctx, "contours", len(tables)), title=settings.title)


def _labels(ctx: StepContext, port: str, number: int) -> list[str]:
    """Return what tells the items of a port apart: values of gathered axes, or numbers."""
    if number < 2:
        return [""] * number
    labels = [" ".join(item.values()) for item in ctx.labels.get(port, ())]
    if len(labels) == number == len(set(labels)):
        return labels
    return [str(place + 1) for place in range(number)]


def _made_by(tag: str, product: str, tables: Any, step: str) -> list[Any]:
    """Return the tables of an input, which are to be from one type of step.

    Raises
    ------
    StepError
        Where one is another table.
    """
    found = list(tables) if isinstance(tables, (list, tuple)) else [tables]
    if any(table.meta.get("product") != product for table in found):
        raise StepError(
            f"{step}: the table to draw is not from a step '{tag}'",
            hint=f"connect that of a step '{tag}'",
        )
    return found


def _significance(
    settings: PlotSettings,
    inputs: Mapping[str, Any],
    ctx: StepContext,  # noqa: ARG001  (all drawing functions are called alike)
) -> Any:
    from gpwf.steps.plots.significance import draw_significance

    return draw_significance(inputs["flux_maps"], title=settings.title)


def _counts(settings: PlotSettings, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    from gpwf.steps.plots.counts import draw_counts, draw_residuals

    datasets, models = inputs["datasets"], inputs.get("models")
    if models is not None:
        datasets, _ = attach_models(datasets, models, ctx.step)
    else:
        datasets = copy_datasets(datasets)
    common_energy_axis(datasets, ctx.step)
    bounds = settings.fit_range
    fit_range = None
    if bounds.min is not None or bounds.max is not None:
        fit_range = (
            bounds.min.value if bounds.min else 0.0,
            bounds.max.value if bounds.max else math.inf,
        )
    draw = draw_residuals if settings.kind == "residuals" else draw_counts
    return draw(datasets, fit_range=fit_range, title=settings.title)
