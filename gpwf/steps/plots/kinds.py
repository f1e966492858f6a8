"""The kinds of figures that the step ``plot`` draws, a line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from gpwf.core.spec import Port

__all__ = ["PLOT_KINDS", "PlotKind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotKind:
    """A kind of figure.

    Parameters
    ----------
    inputs : tuple of Port
        What it is drawn from.
    draw : str
        ``module:function``, the module in this package; imported when it is drawn. The function
        takes the settings of the step, its inputs and the `gpwf.steps.base.StepContext`, and
        returns a `matplotlib.figure.Figure`.
    settings : tuple of str
        The settings of the step that have a meaning for this kind, besides ``kind`` and ``title``.
    """

    inputs: tuple[Port, ...]
    draw: str
    settings: tuple[str, ...] = ()

    def function(self) -> Callable[[Any, Mapping[str, Any], Any], Any]:
        """Return the function that draws."""
        module, _, name = self.draw.partition(":")
        found: Callable[[Any, Mapping[str, Any], Any], Any] = getattr(
            import_module(f"gpwf.steps.plots.{module}"), name
        )
        return found


_DATASETS = Port(name="datasets", kind="datasets", help="What was counted")
_FLUX_MAPS = Port(name="flux_maps", kind="flux-maps", help="Maps to draw")


def _models(text: str, *, optional: bool = True) -> Port:
    return Port(name="models", kind="models", optional=optional, help=text)


PLOT_KINDS: Mapping[str, PlotKind] = {
    "sed": PlotKind(
        inputs=(
            Port(
                name="flux_points",
                kind="flux-points",
                multiple=True,
                help="Points to draw; a colour each",
            ),
            _models("Model to draw with its error band"),
        ),
        draw="spectrum:sed",
        settings=("source", "energy_power", "names"),
    ),
    "light-curve": PlotKind(
        inputs=(Port(name="light_curve", kind="light-curve", help="Points to draw"),),
        draw="light_curve:light_curve",
    ),
    "castro": PlotKind(
        inputs=(
            Port(name="flux_points", kind="flux-points", help="Points with likelihood profiles"),
        ),
        draw="castro:castro",
        settings=("energy_power",),
    ),
    "castro-light-curve": PlotKind(
        inputs=(
            Port(name="light_curve", kind="light-curve", help="Points with likelihood profiles"),
        ),
        draw="castro:castro_light_curve",
    ),
    "flux-profile": PlotKind(
        inputs=(Port(name="flux_profile", kind="flux-profile", help="Points to draw"),),
        draw="flux_profile:flux_profile",
    ),
    "sensitivity": PlotKind(
        inputs=(
            Port(
                name="sensitivity",
                kind="table",
                multiple=True,
                help="From sensitivity; a curve each",
            ),
        ),
        draw="sensitivity:sensitivity",
    ),
    "dark-matter-limits": PlotKind(
        inputs=(
            Port(
                name="limits",
                kind="table",
                multiple=True,
                help="From dark-matter-limits; a curve per channel",
            ),
        ),
        draw="dark_matter:dark_matter_limits",
    ),
    "counts": PlotKind(
        inputs=(_DATASETS, _models("Models of the predicted counts")),
        draw="counts:counts",
        settings=("fit_range",),
    ),
    "residuals": PlotKind(
        inputs=(_DATASETS, _models("Models that the residuals are from", optional=False)),
        draw="counts:residuals",
        settings=("fit_range",),
    ),
    "profile": PlotKind(
        inputs=(
            Port(
                name="profile",
                kind="table",
                multiple=True,
                help="From scan-parameter; a panel each",
            ),
        ),
        draw="profile:profile",
    ),
    "contours": PlotKind(
        inputs=(
            Port(name="contours", kind="table", multiple=True, help="From contours; a colour each"),
        ),
        draw="contours:contours",
        settings=("names",),
    ),
    "map": PlotKind(
        inputs=(
            Port(name="maps", kind="any", help="Maps to draw: flux-maps, maps or map"),
            _models("Sources to mark"),
            Port(name="peaks", kind="any", optional=True, help="From find-peaks; to mark, too"),
            Port(name="contours", kind="any", optional=True, help="Maps whose levels are lines"),
        ),
        draw="map:map_",
        settings=("quantity", "energy", "stretch", "limits", "smooth", "levels", "regions"),
    ),
    "map-residuals": PlotKind(
        inputs=(
            Port(name="maps", kind="maps", help="From residuals: counts, predictions, residuals"),
            _models("Sources to mark"),
        ),
        draw="map_residuals:map_residuals",
        settings=("quantity", "energy", "stretch", "limits", "smooth", "regions"),
    ),
    "significance-map": PlotKind(inputs=(_FLUX_MAPS,), draw="significance:significance_map"),
    "theta2": PlotKind(
        inputs=(Port(name="distribution", kind="table", help="From theta2: bins of distance"),),
        draw="theta2:theta2",
    ),
    "significance-distribution": PlotKind(
        inputs=(
            Port(
                name="distribution",
                kind="table",
                help="From excess-map or residuals: pixels in bins of significance",
            ),
            Port(name="summary", kind="table", help="From the same step: mean and deviation"),
        ),
        draw="distribution:significance_distribution",
    ),
}
"""Every kind by its name; a new one is a function in a module of this package, and a line here."""
