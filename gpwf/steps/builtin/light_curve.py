"""The step ``light-curve``: the flux of a source over time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Need
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import attach_models, join_datasets, measured_source
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges, common_energy_axis, require_overlap, usable_edges
from gpwf.steps.estimators import (
    EstimatorParameters,
    estimator_problems,
    make_estimator,
    reoptimized,
)
from gpwf.steps.fluxes import settle_flux
from gpwf.steps.settings import (
    Duration,
    EnergyEdges,
    Field,
    Instant,
    Section,
    StepSettings,
    problem,
)
from gpwf.steps.spreading import spread_estimators

__all__ = ["LightCurveStep"]

# runs of one night are less than this apart; days are longer
_SAME_NIGHT_H = 8.0
# gammapy's own tolerance when it compares times of different scales
_TOLERANCE_S = 1e-6


class TimeIntervals(Section):
    """Time intervals: by run or night, of one width, or one by one."""

    by: Literal["run", "night"] = Field(
        "run", description="One interval per observation, or per night (runs less than 8 h apart)"
    )
    width: Duration | None = Field(
        None, description="Width of equal intervals from the first start on, instead of 'by'"
    )
    start: tuple[Instant, ...] | None = Field(
        None, description="Start of each interval in UTC, instead of 'by'"
    )
    stop: tuple[Instant, ...] | None = Field(None, description="Stop of each interval in UTC")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.start is None) != (self.stop is None):
            raise problem("GP306", "'start' and 'stop' belong together")
        if self.start is None or self.stop is None:
            return self
        if self.width is not None:
            raise problem("GP306", "give either 'width' or 'start' and 'stop', not both")
        if len(self.start) != len(self.stop) or not self.start:
            raise problem("GP306", "'start' and 'stop' need the same number of times")
        for number, (start, stop) in enumerate(zip(self.start, self.stop, strict=True)):
            if start >= stop:  # settled times sort as text
                raise problem("GP306", f"interval {number + 1} stops before it starts")
            if number and start < self.stop[number - 1]:
                raise problem("GP306", f"interval {number + 1} starts before the one before ends")
        return self


class LightCurveSettings(StepSettings):
    """Settings of the step."""

    source: str | None = Field(
        None,
        description="Name of the model whose flux is measured; left out: the only source there is",
        json_schema_extra={"usual": True},
    )
    energy_edges: EnergyEdges | None = Field(
        None,
        description="Energy bands, one light curve each; left out: one, the datasets' safe range",
        json_schema_extra={"usual": True},
    )
    time_intervals: TimeIntervals = Field(
        TimeIntervals.model_validate({}), description="Time bins; one per observation by default"
    )
    selection_optional: tuple[Literal["errn-errp", "ul", "scan"], ...] = Field(
        ("ul",),
        description="What to compute besides: asymmetric errors, upper limits, likelihood profiles",
    )
    n_sigma: float = Field(1.0, gt=0, description="Confidence of asymmetric errors, in sigma")
    n_sigma_ul: float = Field(2.0, gt=0, description="Confidence of upper limits, in sigma")
    sqrt_ts_threshold_ul: float = Field(
        2.0, ge=0, description="Significance below which a point counts as an upper limit"
    )
    reoptimize: bool = Field(
        False, description="Fit the other models again in every interval instead of keeping them"
    )
    parameters: EstimatorParameters = Field(
        {}, description="Other parameters of `gammapy.estimators.LightCurveEstimator`, by name"
    )


class LightCurveStep(Step):
    """Measure the flux of a source in time intervals.

    In each interval and energy band the normalisation of the source's spectrum is fitted to the
    observations that lie inside as a whole. Needs datasets that are not stacked. Without settings
    it measures the only source of the models, in one band of energy, per observation.
    """

    tag: ClassVar[str] = "light-curve"
    version: ClassVar[str] = "4"
    title: ClassVar[str] = "Measure fluxes in time intervals"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = LightCurveSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(
            name="datasets",
            kind="datasets",
            multiple=True,
            help="One dataset per observation, not stacked",
        ),
        Port(name="models", kind="models", help="Models at their best fit"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="light_curve", kind="light-curve", help="Flux per time interval and energy band"),
    )

    def check(self, settings: LightCurveSettings) -> Sequence[SettingProblem]:
        """Check ``parameters`` against the estimator of the installed gammapy."""
        return estimator_problems("gammapy.estimators.LightCurveEstimator", settings)

    def requires(self, settings: LightCurveSettings) -> Sequence[Need]:
        """Return the models and energies that are asked for; one source where none is named."""
        alone = Need(port="models", path=("source",), one_source=True)
        return [*super().requires(settings), *([alone] if settings.source is None else [])]

    def run(
        self, settings: LightCurveSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``light_curve``: `gammapy.estimators.FluxPoints` with a time axis."""
        from gammapy.estimators import LightCurveEstimator

        source = measured_source(settings.source, inputs["models"], ctx.step)
        found = join_datasets(inputs["datasets"], ctx.step)
        datasets, _ = attach_models(found, inputs["models"], ctx.step)
        spans = _spans(datasets, ctx.step)
        intervals = _intervals(settings.time_intervals, spans)
        _check_coverage(intervals, spans, ctx.step)
        axis = common_energy_axis(datasets, ctx.step)
        if settings.energy_edges is None:
            edges = usable_edges(datasets, axis, ctx.step)[[0, -1]]
        else:
            edges = align_edges(settings.energy_edges.quantity, axis, ctx.step, "energy_edges")
            require_overlap(edges, datasets, axis, ctx.step, "energy_edges")
        estimator = make_estimator(
            LightCurveEstimator,
            ctx.step,
            settings.parameters,
            source=source,
            time_intervals=intervals,
            energy_edges=edges,
            selection_optional=list(settings.selection_optional),
            n_sigma=settings.n_sigma,
            n_sigma_ul=settings.n_sigma_ul,
            reoptimize=reoptimized(settings.reoptimize, datasets, source, ctx.step),
            n_jobs=2,  # more than 1: gammapy hands over all intervals at once
        )
        with spread_estimators(ctx):
            light_curve = estimator.run(datasets)
        light_curve.meta["sqrt_ts_threshold_ul"] = settings.sqrt_ts_threshold_ul
        settle_flux(light_curve, source, ctx.step, datasets)
        return {"light_curve": light_curve}


def _spans(datasets: Any, step: str) -> list[tuple[str, Any, Any]]:
    """Return (name, start, stop) of each dataset, by start.

    Raises
    ------
    StepError
        Where a dataset has no times, or is several observations in one.
    """
    spans = []
    for dataset in datasets:
        if dataset.gti is None or not len(dataset.gti.table):
            raise StepError(f"{step}: dataset '{dataset.name}' has no good time intervals")
        if _is_stacked(dataset):
            raise StepError(
                f"{step}: dataset '{dataset.name}' is stacked from several observations, which "
                "leaves one point in time",
                hint="set 'stack: false' in the step that makes the datasets",
            )
        spans.append((dataset.name, dataset.gti.time_start.min(), dataset.gti.time_stop.max()))
    return sorted(spans, key=lambda span: (span[1].tt.mjd, span[0]))


def _is_stacked(dataset: Any) -> bool:
    """Tell whether a dataset is made of several observations."""
    import numpy as np

    table = dataset.meta_table
    if table is not None and "OBS_ID" in table.colnames:
        return bool(np.unique(np.asarray(table["OBS_ID"]).ravel()).size > 1)
    gaps = dataset.gti.time_start[1:] - dataset.gti.time_stop[:-1]
    return bool(np.any(gaps.to_value("h") > 1)) if len(gaps) else False


def _intervals(wanted: TimeIntervals, spans: Sequence[tuple[str, Any, Any]]) -> list[Any]:
    """Return time intervals as pairs of `astropy.time.Time`, without those that hold no data."""
    from astropy.time import Time

    if wanted.start is not None and wanted.stop is not None:
        pairs = [
            Time([start.time, stop.time])
            for start, stop in zip(wanted.start, wanted.stop, strict=True)
        ]
    elif wanted.width is not None:
        pairs = _equal_intervals(wanted.width.quantity, spans)
    else:
        gap = _SAME_NIGHT_H if wanted.by == "night" else 0.0
        pairs = [Time(pair) for pair in _groups(spans, gap)]
    return pairs


def _groups(spans: Sequence[tuple[str, Any, Any]], gap_h: float) -> list[list[Any]]:
    """Return (start, stop) of runs that overlap or are less than a gap apart.

    Pieces of one run touch, apart from rounding; without a gap they are different groups.
    """
    groups: list[list[Any]] = []
    for _, start, stop in spans:
        if groups and (start - groups[-1][1]).to_value("s") < 3600 * gap_h - _TOLERANCE_S:
            groups[-1][1] = max(groups[-1][1], stop)
        else:  # gammapy refuses intervals that overlap, by however little
            groups.append([max(start, groups[-1][1]) if groups else start, stop])
    return groups


def _equal_intervals(width: Any, spans: Sequence[tuple[str, Any, Any]]) -> list[Any]:
    """Return intervals of one width from the first start on; empty ones are left out."""
    from astropy.time import Time

    first = spans[0][1]
    # a run that starts on an edge, apart from rounding, belongs to what follows
    edge = _TOLERANCE_S / width.to_value("s")
    numbers = {int(((start - first) / width).to_value("") + edge) for _, start, _ in spans}
    return [Time([first + n * width, first + (n + 1) * width]) for n in sorted(numbers)]


def _check_coverage(
    intervals: Sequence[Any], spans: Sequence[tuple[str, Any, Any]], step: str
) -> None:
    """Warn of datasets that lie in no interval as a whole, and of intervals that hold none.

    gammapy leaves out both silently.

    Raises
    ------
    NoDataError
        Where that is all of them.
    """
    from astropy import units as u

    margin = _TOLERANCE_S * u.s
    inside = [
        [start >= low - margin and stop <= high + margin for low, high in intervals]
        for _, start, stop in spans
    ]
    left_out = [name for (name, _, _), found in zip(spans, inside, strict=True) if not any(found)]
    if len(left_out) == len(spans):
        raise NoDataError(
            f"{step}: no dataset lies inside a time interval as a whole",
            hint="use longer intervals or 'time_intervals: {by: run}', or split the observations "
            "with the step 'split-time'",
        )
    if left_out:
        warnings.warn(
            f"{step}: left out, because no time interval holds them as a whole: "
            f"{', '.join(left_out)}",
            stacklevel=2,
        )
    empty = [
        f"{low.utc.isot} to {high.utc.isot}"
        for (low, high), found in zip(intervals, zip(*inside, strict=True), strict=True)
        if not any(found)
    ]
    if empty:
        shown = ", ".join(empty[:5]) + (f" … ({len(empty)} in all)" if empty[5:] else "")
        warnings.warn(
            f"{step}: no point for time intervals that hold no dataset as a whole: {shown}",
            stacklevel=2,
        )
