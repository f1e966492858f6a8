"""The step ``filter-events``: observations with a part of their events."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import model_validator

from gpwf.core.catalog import SettingProblem
from gpwf.core.selections import (
    ColumnCut,
    ConeCut,
    Cut,
    EnergyCut,
    IdCut,
    OffsetCut,
    RegionCut,
    TimeCut,
)
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.selecting import Interval, cut_gti, good_time, parent_of, part_of
from gpwf.steps.settings import (
    Angle,
    AnyQuantity,
    EnergyRange,
    Field,
    InputPath,
    Instant,
    Section,
    SkyCircle,
    StepSettings,
    problem,
)

__all__ = ["FilterEventsSettings", "FilterEventsStep"]

log = logging.getLogger(__name__)

_PHASE = "PHASE"


class TimeSelection(Section):
    """Intervals of time, one by one."""

    start: tuple[Instant, ...] = Field(
        min_length=1, description="Start of each interval in UTC, rising"
    )
    stop: tuple[Instant, ...] = Field(min_length=1, description="Stop of each interval in UTC")
    inverted: bool = Field(False, description="Keep what lies outside the intervals")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.start) != len(self.stop):
            raise problem("GP306", "'start' and 'stop' need the same number of times")
        for number, (start, stop) in enumerate(zip(self.start, self.stop, strict=True)):
            if start >= stop:  # settled times sort as text
                raise problem("GP306", f"interval {number + 1} stops before it starts")
            if number and start < self.stop[number - 1]:
                raise problem("GP306", f"interval {number + 1} starts before the one before ends")
        return self


class OffsetRange(Section):
    """A range of separations from the pointing; a bound left out does not limit."""

    min: Angle | None = Field(None, description="Lower bound")
    max: Angle | None = Field(None, description="Upper bound")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is not None and self.max is not None and self.min.value >= self.max.value:
            raise problem("GP306", f"min ({self.min}) must be less than max ({self.max})")
        return self


class ColumnRange(Section):
    """A range of values of a column of the event list."""

    min: float | AnyQuantity | None = Field(
        None, description="Lower bound: a number in the unit of the column, or with a unit"
    )
    max: float | AnyQuantity | None = Field(None, description="Upper bound; events are below it")
    inverted: bool = Field(False, description="Keep what lies outside the range")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is None and self.max is None:
            raise problem("GP306", "'min' or 'max' is needed")
        low, high = _number_and_unit(self.min), _number_and_unit(self.max)
        if low and high and low[1] == high[1] and low[0] >= high[0]:
            raise problem("GP306", f"min ({self.min}) must be less than max ({self.max})")
        return self


def _number_and_unit(bound: float | AnyQuantity | None) -> tuple[float, str] | None:
    """Return a settled bound in parts: the same physical type has the same unit."""
    if bound is None or isinstance(bound, float):
        return None if bound is None else (bound, "")
    number, _, unit = bound.partition(" ")
    return float(number), unit


class FilterEventsSettings(StepSettings):
    """Settings of the step."""

    time: TimeSelection | None = Field(
        None, description="Keep these times; the good time, and with it the exposure, shrinks"
    )
    energy: EnergyRange | None = Field(None, description="Keep these reconstructed energies")
    offset: OffsetRange | None = Field(
        None, description="Keep these separations from the pointing of the observation"
    )
    cone: SkyCircle | None = Field(None, description="Keep this circle on the sky")
    outside_cone: bool = Field(False, description="Keep what lies outside 'cone' instead")
    region: str | None = Field(
        None,
        description="Keep this region of the sky, in the format of DS9: 'icrs;box(83.6,22,2,1,0)'",
    )
    columns: dict[str, ColumnRange] = Field(
        {}, description="Ranges of columns of the event list, by name: GAMMANESS, PHASE …"
    )
    event_ids: InputPath | None = Field(
        None,
        description="Table (CSV or ECSV) of the events to keep: columns OBS_ID and EVENT_ID",
    )


class FilterEventsStep(Step):
    """Keep a part of the events of observations: by time, energy, place or any column.

    An event has to fulfil all cuts; ranges hold their lower bound and not their upper one. The
    product refers to the files of the whole observations (see `gammapy.data.ObservationFilter`),
    so it takes no space, and a filter after a filter keeps what both keep.

    Only `time` changes the livetime and with it every flux: the good time intervals are cut, and
    observations without any left are left out. The column PHASE counts as time too, if it runs from
    0 to 1. **All other cuts leave the instrument response as it is**: it stays that of the whole
    observation, so a cut that gamma rays do not pass in full (gammaness, offset …) makes fluxes too
    low by what it removes, unless the response was made for this cut. For energies and offsets use
    the axes and the `safe_mask` of the reduction.
    """

    tag: ClassVar[str] = "filter-events"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Keep a part of the events"
    group: ClassVar[str] = "data"
    Settings: ClassVar[type[StepSettings]] = FilterEventsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="What to filter"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="observations", kind="observations", help="The same with fewer events"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy", "regions")
    replaces: ClassVar[Mapping[str, str]] = {"observations": "observations"}

    def check(self, settings: FilterEventsSettings) -> Sequence[SettingProblem]:
        """Refuse a filter that keeps everything."""
        found = []
        asked = (settings.time, settings.cone, settings.region, settings.event_ids)
        ranges = (settings.energy, settings.offset)
        limits = any(item and (item.min is not None or item.max is not None) for item in ranges)
        if not any(item is not None for item in asked) and not limits and not settings.columns:
            message = "there is nothing to filter by: set 'time', 'energy', 'cone' or another one"
            found.append(SettingProblem(path=(), message=message, code="GP306"))
        if settings.outside_cone and settings.cone is None:
            message = "'outside_cone' needs a 'cone'"
            found.append(SettingProblem(path=("outside_cone",), message=message, code="GP306"))
        if "TIME" in settings.columns:  # events would be cut, and not their exposure
            message = "times are cut with 'time', which cuts the exposure as well"
            found.append(SettingProblem(path=("columns", "TIME"), message=message, code="GP306"))
        return found

    def run(
        self, settings: FilterEventsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``observations``: `gammapy.data.Observations`, with filters."""
        from gammapy.data import Observations

        cuts = list(_cuts(settings))
        ids = None if settings.event_ids is None else _read_ids(settings.event_ids, ctx.step)
        intervals = None if settings.time is None else _intervals(settings.time)
        if intervals is not None:
            cuts.insert(0, TimeCut(intervals=tuple(intervals)))
        if not len(inputs["observations"]):
            raise NoDataError(f"{ctx.step}: there is no observation")
        _warn_of_response(settings, ctx.step)
        _warn_of_ids(ids or {}, inputs["observations"], ctx.step)
        kept = []
        for observation in inputs["observations"]:
            own = [] if ids is None else [IdCut(ids=ids.get(parent_of(observation), ()))]
            part = _part(observation, [*cuts, *own], intervals, ctx.step)
            if part is None:
                log.info("%s: no good time is left of %s", ctx.step, observation.obs_id)
            else:
                kept.append(part)
        if not kept:
            raise NoDataError(
                f"{ctx.step}: no observation has good time inside 'time'",
                hint="times are UTC; 'gpwf steps check-data' tells how to list those of the data",
            )
        _count(kept, settings, ctx)
        return {"observations": Observations(kept)}


def _part(
    observation: Any, cuts: Sequence[Cut], intervals: Sequence[Interval] | None, step: str
) -> Any:
    """Return what is left of an observation; None where that is no time."""
    gti = None
    if intervals is not None:
        gti = cut_gti(good_time(observation, step), intervals)
        if gti is None:
            return None
    return part_of(observation, step, cuts=cuts, gti=gti)


def _intervals(wanted: TimeSelection) -> list[Interval]:
    """Return the intervals that are kept, in order."""
    pairs = [(start.time, stop.time) for start, stop in zip(wanted.start, wanted.stop, strict=True)]
    if not wanted.inverted:
        return pairs
    edges = [None, *(time for pair in pairs for time in pair), None]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _cuts(settings: FilterEventsSettings) -> Iterator[Cut]:
    """Yield the cuts that are the same for all observations."""
    energy, offset = settings.energy, settings.offset
    if energy is not None:
        yield EnergyCut(**_bounds(energy))
    if offset is not None:
        yield OffsetCut(**_bounds(offset))
    if settings.cone is not None:
        yield ConeCut(
            center=settings.cone.center.skycoord,
            radius=settings.cone.radius.quantity,
            inverted=settings.outside_cone,
        )
    if settings.region is not None:
        yield RegionCut(region=settings.region)
    for name, band in sorted(settings.columns.items()):
        yield ColumnCut(column=name, **_bounds(band), inverted=band.inverted)


def _bounds(band: EnergyRange | OffsetRange | ColumnRange) -> dict[str, Any]:
    return {name: getattr(item, "quantity", item) for name, item in _sides(band)}


def _sides(band: EnergyRange | OffsetRange | ColumnRange) -> list[tuple[str, Any]]:
    return [("min", band.min), ("max", band.max)]


def _warn_of_response(settings: FilterEventsSettings, step: str) -> None:
    """Warn of cuts that gamma rays do not pass in full: the response knows nothing of them."""
    names = sorted(set(settings.columns) - {_PHASE})
    cuts = [f"column{'s' if len(names) > 1 else ''} {', '.join(names)}"] if names else []
    cuts += ["event ids"] if settings.event_ids is not None else []
    if cuts:
        warnings.warn(
            f"{step}: the cut of {' and '.join(cuts)} does not change the instrument response: "
            "fluxes are too low by the gamma rays that it removes, unless the response was made "
            "for this cut",
            stacklevel=2,
        )


def _warn_of_ids(ids: Mapping[int, Any], observations: Any, step: str) -> None:
    """Warn of listed events whose observations are not among those that are filtered."""
    absent = sorted(set(ids) - {parent_of(observation) for observation in observations})
    if absent:
        shown = ", ".join(map(str, absent[:5])) + (" …" if absent[5:] else "")
        warnings.warn(
            f"{step}: event_ids: events are listed of observations that are not there: {shown}",
            stacklevel=2,
        )


def _read_ids(path: InputPath, step: str) -> dict[int, tuple[int, ...]]:
    """Return the ids of events by observation.

    Raises
    ------
    StepError
        Where the file is no table with the two columns.
    """
    from astropy.io.ascii import InconsistentTableError
    from astropy.table import Table

    kind = "ascii.ecsv" if path.path.suffix == ".ecsv" else "ascii.csv"
    try:
        table = Table.read(path.path, format=kind)
        rows = [(int(row["OBS_ID"]), int(row["EVENT_ID"])) for row in table]
    except (OSError, ValueError, KeyError, TypeError, InconsistentTableError) as error:
        raise StepError(
            f"{step}: event_ids: {path} is no table of events: {error}",
            hint="write a CSV table with the columns OBS_ID and EVENT_ID, whole numbers",
        ) from error
    found: dict[int, list[int]] = {}
    for obs_id, event_id in rows:
        found.setdefault(obs_id, []).append(event_id)
    return {obs_id: tuple(sorted(set(ids))) for obs_id, ids in found.items()}


def _count(observations: Sequence[Any], settings: FilterEventsSettings, ctx: StepContext) -> None:
    """Count the events that are left, which tries every cut once.

    Raises
    ------
    StepError
        Where a column is not there, or a region is none.
    NoDataError
        Where no event is left at all.
    """
    counts = ctx.map(
        lambda item: _number(item, settings, ctx.step), observations, label="observations"
    )
    for observation, number in zip(observations, counts, strict=True):
        log.info("%s: observation %s: %d events", ctx.step, observation.obs_id, number)
    if not sum(counts):
        raise NoDataError(f"{ctx.step}: no event fulfils the cuts", hint="loosen the cuts")


def _number(observation: Any, settings: FilterEventsSettings, step: str) -> int:
    from astropy.units import UnitConversionError

    at = f"{step}: observation {observation.obs_id}"
    if observation._events is None:  # gammapy's word for what is damaged
        raise StepError(
            f"{at}: its events cannot be read",
            hint="leave it out; the step 'check-data' does so",
        )
    columns = observation._events.table.colnames
    missing = [name for name in settings.columns if name not in columns]
    if settings.event_ids is not None and "EVENT_ID" not in columns:
        missing.append("EVENT_ID")
    if missing:
        raise StepError(
            f"{at}: the event list has no column {', '.join(missing)}",
            hint=f"its columns are {', '.join(columns)}",
        )
    if _PHASE in settings.columns:
        _require_phases(observation._events.table[_PHASE], at)
    try:
        return len(observation.events.table)
    except UnitConversionError as error:
        raise StepError(f"{at}: 'columns': {error}", hint="use the unit of the column") from error
    except KeyError as error:
        raise StepError(
            f"{at}: its event list has no {error}", hint="leave it out, or leave out the cut"
        ) from error
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        what = "'region' or 'columns'"
        raise StepError(f"{at}: {what} cannot be applied: {error}", hint=_REGION_HINT) from error


def _require_phases(phases: Any, at: str) -> None:
    """Refuse phases of another range: the part of the time that a cut leaves would be wrong.

    Raises
    ------
    StepError
        With the range that was found.
    """
    import numpy as np

    values = np.asarray(phases, dtype=float)
    known = values[np.isfinite(values)]
    if known.size and (known.min() < 0 or known.max() > 1):
        raise StepError(
            f"{at}: the column {_PHASE} runs from {known.min():.4g} to {known.max():.4g}, not from "
            "0 to 1: how much time the cut leaves is not known",
            hint="write phases from 0 to 1 into the event list",
        )


_REGION_HINT = (
    "a region is written as in DS9, 'icrs;circle(83.63,22.01,0.5)' for example; columns that are "
    "cut have one number per event"
)
