"""Parts of observations: cuts on events, good time inside intervals."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from gpwf.core.selections import Cut, EventSelection
from gpwf.errors import StepError

__all__ = ["Interval", "cut_gti", "good_time", "parent_of", "part_of"]

Interval = tuple[Any, Any]
"""Start and stop, `astropy.time.Time`, or None for a side that does not limit."""

# instants of different scales that mean the same differ by some ns: gammapy's tolerance for GTIs
_SAME_S = 1e-6


def parent_of(observation: Any) -> int:
    """Return the id of an observation, or of the one that it is a part of."""
    selection = observation.obs_filter
    return selection.parent if isinstance(selection, EventSelection) else int(observation.obs_id)


def part_of(
    observation: Any,
    step: str,
    *,
    cuts: Sequence[Cut] = (),
    gti: Any = None,
    number: tuple[int, int] | None = None,
) -> Any:
    """Return a part of an observation; the files stay those of the whole one.

    Parameters
    ----------
    observation : `gammapy.data.Observation`
        May be a part already: what it left out stays left out.
    step : str
        Name of the step, for the message.
    cuts : sequence of Cut
        That events have to fulfil, besides those of before.
    gti : `gammapy.data.GTI`, optional
        Good time that is left, inside that of before; None for the same.
    number : tuple of (int, int), optional
        Which piece of the observation it is, and the number of digits for that: both become part of
        its id and its name. None for the same id.

    Returns
    -------
    observation : `gammapy.data.Observation`
        A new one.

    Raises
    ------
    StepError
        Where it has a filter of gammapy's that was not stored.
    """
    before = observation.obs_filter
    known: tuple[Cut, ...] = ()
    name = ""
    if isinstance(before, EventSelection):
        known, gti, name = before.cuts, before.gti if gti is None else gti, before.name
    if before.time_filter is not None or getattr(before, "event_filters", None):
        raise StepError(f"{step}: observation {observation.obs_id} has a filter that is not stored")
    part = copy.copy(observation)
    if number is not None:
        count, digits = number
        name = f"{name or observation.obs_id}-{count:0{digits}d}"
        part.obs_id = int(observation.obs_id) * 10**digits + count  # gammapy wants a whole number
    part.obs_filter = EventSelection(
        parent=parent_of(observation), name=name, cuts=(*known, *cuts), gti=gti
    )
    return part


def good_time(observation: Any, step: str) -> Any:
    """Return the good time of an observation, `gammapy.data.GTI`.

    Raises
    ------
    StepError
        Where there is none: gammapy gives None for what is damaged.
    """
    gti = observation.gti
    if gti is None or not len(gti.table):
        raise StepError(
            f"{step}: observation {observation.obs_id} has no good time that can be read",
            hint="leave it out; the step 'check-data' does so",
        )
    return gti


def cut_gti(gti: Any, intervals: Sequence[Interval]) -> Any:
    """Return the good time that lies in intervals; None where none does.

    Parameters
    ----------
    gti : `gammapy.data.GTI`
        In order of time.
    intervals : sequence of (`astropy.time.Time` or None, `astropy.time.Time` or None)
        In order of time, without overlap.

    Returns
    -------
    gti : `gammapy.data.GTI` or None
        On the scale and with the reference of the given one. Edges inside are those of the
        intervals to the last bit, so that neighbours touch. What is shorter than 1 us is rounding:
        an interval that ends where good time begins has none.
    """
    from astropy.table import Table
    from astropy.time import Time
    from gammapy.data import GTI

    starts, stops = [], []
    for start, stop in zip(gti.time_start, gti.time_stop, strict=True):
        for low, high in intervals:
            first = start if low is None or low <= start else getattr(low, start.scale)
            last = stop if high is None or high >= stop else getattr(high, stop.scale)
            if (last - first).to_value("s") > _SAME_S:
                starts.append(first)
                stops.append(last)
    if not starts:
        return None
    table = Table()
    for name, times in (("START", starts), ("STOP", stops)):
        table[name] = Time(times)
        table[name].format = gti.table[name].format
    return GTI(table, reference_time=gti.time_ref)
