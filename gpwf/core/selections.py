"""Part of an observation: which of its events, and its good time.

An `EventSelection` takes the place of a `gammapy.data.ObservationFilter` on an observation. That
one cannot be used for all that analysts cut on: it has one interval of time, which a second
selection replaces; outside of an interval it gives the wrong good time; and in gammapy 2.1 it fails
on a cut of the column PHASE. Nothing is imported here: values are those of astropy and gammapy, and
so are the operations on them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = [
    "ColumnCut",
    "ConeCut",
    "Cut",
    "EnergyCut",
    "EventSelection",
    "IdCut",
    "OffsetCut",
    "RegionCut",
    "TimeCut",
    "phase_fraction",
]

_PHASE = "PHASE"


class Cut(Protocol):
    """What decides on an event."""

    def apply(self, events: Any) -> Any:
        """Return the `gammapy.data.EventList` of the events that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeCut:
    """Keep what lies in one of several intervals.

    Parameters
    ----------
    intervals : tuple of (`astropy.time.Time` or None, `astropy.time.Time` or None)
        Start (inclusive) and stop (exclusive); None does not limit.
    """

    intervals: tuple[tuple[Any, Any], ...]

    def apply(self, events: Any) -> Any:
        """Return the events inside."""
        time = events.time
        kept = [_between(time, start, stop) for start, stop in self.intervals]
        return _selected(events, _any_of(kept, len(time)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyCut:
    """Keep reconstructed energies from ``min`` to below ``max``, quantities or None."""

    min: Any = None
    max: Any = None

    def apply(self, events: Any) -> Any:
        """Return the events inside."""
        return _selected(events, _between(events.energy, self.min, self.max))


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetCut:
    """Keep separations from the pointing from ``min`` to below ``max``, quantities or None."""

    min: Any = None
    max: Any = None

    def apply(self, events: Any) -> Any:
        """Return the events inside."""
        return _selected(events, _between(events.offset, self.min, self.max))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConeCut:
    """Keep what lies less than ``radius`` from ``center``, or what does not.

    Parameters
    ----------
    center : `astropy.coordinates.SkyCoord`
    radius : `astropy.units.Quantity`
    inverted : bool
        True for what lies outside.
    """

    center: Any
    radius: Any
    inverted: bool = False

    def apply(self, events: Any) -> Any:
        """Return the events inside, or those outside."""
        inside = events.radec.separation(self.center) < self.radius
        return _selected(events, ~inside if self.inverted else inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionCut:
    """Keep what lies in a region of the sky.

    Parameters
    ----------
    region : str
        In the format of DS9, as `gammapy.data.EventList.select_region` takes it.
    """

    region: str

    def apply(self, events: Any) -> Any:
        """Return the events inside."""
        return events.select_region(self.region)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCut:
    """Keep values of a column from ``min`` to below ``max``, or what lies outside.

    Parameters
    ----------
    column : str
        Name in the event list.
    min, max : float, `astropy.units.Quantity` or None
        Bounds; a number is in the unit of the column.
    inverted : bool
        True for what lies outside; values that are not a number are never kept.
    """

    column: str
    min: Any = None
    max: Any = None
    inverted: bool = False

    def apply(self, events: Any) -> Any:
        """Return the events inside, or those outside."""
        column = events.table[self.column]
        unit = getattr(column, "unit", None)
        low, high = (_plain(bound, unit) for bound in (self.min, self.max))
        values = getattr(column, "data", column)
        inside = _between(values, low, high)
        if self.inverted:
            inside = ~inside & (values == values)  # not a number is not equal to itself
        return _selected(events, inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdCut:
    """Keep the events of the given ids.

    Parameters
    ----------
    ids : tuple of int
        Values of the column EVENT_ID.
    """

    ids: tuple[int, ...]

    def apply(self, events: Any) -> Any:
        """Return the events that are listed."""
        wanted = frozenset(self.ids)
        found = events.table["EVENT_ID"].tolist()
        return _selected(events, [number for number, item in enumerate(found) if item in wanted])


@dataclass(slots=True, kw_only=True)
class EventSelection:
    """Which events of an observation count, and when it counted.

    It has what `gammapy.data.Observation` asks of its ``obs_filter``; it is not frozen, because
    ``Observation.select_time`` sets two attributes of a copy.

    Parameters
    ----------
    parent : int
        Id of the observation that this is a part of, as the datastore knows it.
    cuts : tuple of Cut
        All have to be fulfilled.
    gti : `gammapy.data.GTI`, optional
        Good time that is left; None for that of the observation.
    name : str
        What a person calls the part, ``33787-01``: gammapy wants whole numbers for ids. Empty for
        one that has the id of its parent.
    time_filter : `astropy.time.Time`, optional
        Start and stop that somebody has set beyond ``cuts`` and ``gti``.
    inverted_time : bool
        True for what lies outside ``time_filter``.
    """

    parent: int
    cuts: tuple[Cut, ...] = ()
    gti: Any = None
    name: str = ""
    time_filter: Any = None
    inverted_time: bool = False

    def filter_events(self, events: Any) -> Any:
        """Return the `gammapy.data.EventList` of the events that are kept."""
        for cut in self.cuts:
            events = cut.apply(events)
        if self.time_filter is not None:
            events = events.select_time(self.time_filter, self.inverted_time)
        return events

    def filter_gti(self, gti: Any) -> Any:
        """Return the `gammapy.data.GTI` that is left."""
        kept = gti if self.gti is None else self.gti
        if self.time_filter is None:
            return kept
        if self.inverted_time:  # GTI.select_time drops every interval that the cut touches
            return kept.delete_interval(self.time_filter)
        return kept.select_time(self.time_filter)

    @property
    def livetime_fraction(self) -> float:
        """Part of the time that is left by cuts of the column PHASE, from 0 to 1."""
        cuts = [cut for cut in self.cuts if isinstance(cut, ColumnCut)]
        return phase_fraction([cut for cut in cuts if cut.column == _PHASE])

    def copy(self) -> EventSelection:
        """Return a deep copy."""
        return copy.deepcopy(self)


def phase_fraction(cuts: Sequence[ColumnCut]) -> float:
    """Return the part of a period that all cuts of a phase between 0 and 1 leave."""
    left = [(0.0, 1.0)]
    for cut in cuts:
        low = 0.0 if cut.min is None else min(max(float(cut.min), 0.0), 1.0)
        high = 1.0 if cut.max is None else min(max(float(cut.max), 0.0), 1.0)
        bands = [(0.0, low), (high, 1.0)] if cut.inverted else [(low, high)]
        left = [
            (max(start, one), min(stop, other))
            for start, stop in left
            for one, other in bands
            if max(start, one) < min(stop, other)
        ]
    return sum(stop - start for start, stop in left)


def _between(values: Any, low: Any, high: Any) -> Any:
    """Return where values are at least ``low`` and less than ``high``."""
    kept = values == values  # true for all numbers
    if low is not None:
        kept = kept & (values >= low)
    if high is not None:
        kept = kept & (values < high)
    return kept


def _any_of(masks: Sequence[Any], length: int) -> Any:
    if not masks:
        return [] if length else slice(None)
    found = masks[0]
    for mask in masks[1:]:
        found = found | mask
    return found


def _selected(events: Any, rows: Any) -> Any:
    return events.select_row_subset(rows)


def _plain(bound: Any, unit: Any) -> Any:
    """Return a bound as a number in the unit of a column."""
    return bound.to_value(unit or "") if hasattr(bound, "to_value") else bound
