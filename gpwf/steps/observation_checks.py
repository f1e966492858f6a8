"""What an analyst looks at first: facts of observations, and what is wrong with them.

gammapy 2.1 has checkers (`gammapy.data.DataStore.check`, `gammapy.data.EventList.check`); that of
event columns ends in an error for every event list, and that of times takes events in the order of
the trigger for faults, so their questions are asked here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Facts", "find_duplicates", "look_at", "robust_deviations"]

# what reading a damaged file raises in astropy and gammapy
_READ_ERRORS = (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError)
_MARGIN_S = 1.0  # H.E.S.S. headers round the ends of a run to seconds
_MOST_OUTSIDE = 0.01  # part of the events outside of good time
_SAME_POINTING_DEG = 1e-3
_FEWEST = 4  # observations from which a scatter of rates is taken
_NORMAL = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is known of an observation; not a number where it is not known.

    Parameters
    ----------
    obs_id, name, telescope, target : str or int
        As the headers say; ``name`` of a part of an observation.
    start : str
        Start of the good time, ISO 8601, UTC.
    start_mjd, stop_mjd : float
        Good time in days, terrestrial time.
    ra, dec, zenith, offset : float
        Pointing (ICRS), zenith angle, separation from the target; deg.
    ontime, livetime : float
        Seconds.
    deadtime : float
        Fraction.
    n_gti, n_events, n_outside : int
        Good time intervals, events, and events outside of good time.
    threshold, lo_thres : float
        Energies in TeV: where the effective area reaches a part of its largest value, and what the
        header of the effective area says.
    irfs : str
        Responses that there are.
    problems : list of str
        What is wrong.
    """

    obs_id: int
    name: str = ""
    telescope: str = ""
    target: str = ""
    start: str = ""
    start_mjd: float = math.nan
    stop_mjd: float = math.nan
    ra: float = math.nan
    dec: float = math.nan
    zenith: float = math.nan
    offset: float = math.nan
    ontime: float = math.nan
    livetime: float = math.nan
    deadtime: float = math.nan
    n_gti: int = 0
    n_events: int = 0
    n_outside: int = 0
    threshold: float = math.nan
    lo_thres: float = math.nan
    irfs: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Events per second of livetime."""
        return self.n_events / self.livetime if self.livetime > 0 else math.nan


def look_at(
    observation: Any, target: Any, aeff_percent: float, *, may_be_empty: bool = False
) -> Facts:
    """Return the facts of an observation; what cannot be read is a problem, not an error.

    Parameters
    ----------
    observation : `gammapy.data.Observation`
    target : `astropy.coordinates.SkyCoord` or None
        What offsets are from; None for the target that the header names.
    aeff_percent : float
        Part of the largest effective area that counts as the threshold, in per cent.
    may_be_empty : bool
        True where no events are no problem.
    """
    facts = Facts(obs_id=int(observation.obs_id), irfs=" ".join(observation.available_irfs))
    facts.name = getattr(observation.obs_filter, "name", "") or str(observation.obs_id)
    _read(facts, "header", lambda: _header(facts, observation, target))
    _read(facts, "good time", lambda: _good_time(facts, observation))
    _read(facts, "pointing", lambda: _zenith(facts, observation))
    _read(facts, "events", lambda: _events(facts, observation, may_be_empty))
    if "aeff" in observation.available_irfs:
        _read(facts, "aeff", lambda: _area(facts, observation.aeff, aeff_percent))
    for name in ("edisp", "psf", "bkg", "rad_max"):
        if name in observation.available_irfs:
            _read(facts, name, lambda name=name: _response(facts, observation, name))  # type: ignore[misc]
    return facts


def _read(facts: Facts, what: str, read: Callable[[], None]) -> None:
    try:
        read()
    except _READ_ERRORS as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if "NoneType" in text:  # gammapy gives None for what a file lacks
            text = "not there, or damaged"
        facts.problems.append(f"{what} cannot be read: {text[:200]}")


def _header(facts: Facts, observation: Any, target: Any) -> None:
    info = observation.meta.obs_info
    facts.telescope = str((info and (info.telescope or info.instrument)) or "")
    named = observation.meta.target
    facts.target = str((named and named.name) or "")
    facts.deadtime = float(observation.observation_dead_time_fraction)
    if not 0 <= facts.deadtime < 1:
        facts.problems.append(f"dead time fraction {facts.deadtime:g}")
    pointing = observation.pointing.fixed_icrs
    if pointing is None:
        return
    facts.ra, facts.dec = float(pointing.ra.deg), float(pointing.dec.deg)
    place = target if target is not None else (named and named.position)
    # simulations and surveys have no target, or zeros for one
    is_known = place is not None and math.isfinite(float(place.icrs.ra.deg))
    if is_known and (target is not None or place.icrs.ra.deg or place.icrs.dec.deg):
        facts.offset = float(pointing.separation(place).deg)


def _good_time(facts: Facts, observation: Any) -> None:
    gti = observation.gti
    facts.n_gti = len(gti.table)
    if not facts.n_gti:
        facts.problems.append("no good time")
        return
    starts, stops = gti.time_start.tt.mjd, gti.time_stop.tt.mjd
    facts.start_mjd, facts.stop_mjd = float(starts.min()), float(stops.max())
    facts.start = str(gti.time_start.min().utc.isot)
    if (stops <= starts).any():
        facts.problems.append("a good time interval stops before it starts")
    elif ((starts[1:] - stops[:-1]) * 86400 < -1e-3).any():
        facts.problems.append("good time intervals overlap or are not in order")
    facts.ontime = float(gti.time_sum.to_value("s"))
    facts.livetime = float(observation.observation_live_time_duration.to_value("s"))
    if not facts.livetime > 0:
        facts.problems.append("no livetime")


def _zenith(facts: Facts, observation: Any) -> None:
    """Take the zenith angle of the header; that at mid time for a part, or without one."""
    is_whole = facts.name == str(observation.obs_id)
    mean = observation.meta.pointing and observation.meta.pointing.altaz_mean
    if is_whole and mean is not None and math.isfinite(float(mean.alt.deg)):
        facts.zenith = 90.0 - float(mean.alt.deg)
    elif observation.observatory_earth_location is not None and facts.n_gti:
        altaz = observation.get_pointing_altaz(observation.tmid)
        facts.zenith = round(90.0 - float(altaz.alt.deg), 4)


def _events(facts: Facts, observation: Any, may_be_empty: bool) -> None:
    import numpy as np
    from astropy.table import unique

    events = observation.events
    facts.n_events = len(events.table)
    if not facts.n_events:
        if not may_be_empty:
            facts.problems.append("no events")
        return
    if facts.n_gti:
        facts.n_outside = int((~_inside(events.time, observation.gti)).sum())
        if facts.n_outside > _MOST_OUTSIDE * facts.n_events:
            facts.problems.append(f"{facts.n_outside} events outside of the good time")
    energy = events.energy.to_value("TeV")
    if not (np.isfinite(energy) & (energy > 0)).all():
        facts.problems.append("events without an energy")
    names = [name for name in ("EVENT_ID", "ENERGY", "RA", "DEC") if name in events.table.colnames]
    rows = events.table[names]
    rows["SECONDS"] = (events.time - events.time[0]).to_value("s")
    twice = facts.n_events - len(unique(rows))
    if twice:
        facts.problems.append(f"{twice} events are there twice")


def _inside(time: Any, gti: Any) -> Any:
    """Return which times are in good time, with a margin for rounding."""
    import numpy as np

    mjd, margin = time.tt.mjd, _MARGIN_S / 86400
    inside = np.zeros(len(mjd), dtype=bool)
    for start, stop in zip(gti.time_start.tt.mjd, gti.time_stop.tt.mjd, strict=True):
        inside |= (mjd >= start - margin) & (mjd <= stop + margin)
    return inside


def _area(facts: Facts, aeff: Any, percent: float) -> None:
    import numpy as np
    from astropy import units as u

    facts.lo_thres = float(aeff.meta.get("LO_THRES", math.nan))
    offset = facts.offset if math.isfinite(facts.offset) else 0.0
    energy = aeff.axes["energy_true"].center
    area = aeff.evaluate(energy_true=energy, offset=offset * u.deg).to_value("m2").ravel()
    if not np.nanmax(area) > 0:
        facts.problems.append("the effective area at the offset of the target is 0")
        return
    first = int(np.argmax(area >= percent / 100 * np.nanmax(area)))
    facts.threshold = float(energy[first].to_value("TeV"))


def _response(facts: Facts, observation: Any, name: str) -> None:
    import numpy as np

    found = getattr(observation, name).quantity  # a parametric PSF has one per parameter
    parts = list(found.values()) if isinstance(found, dict) else [found]
    if not any(np.nanmax(np.asarray(part.value)) > 0 for part in parts):
        facts.problems.append(f"{name} is 0 everywhere")


def find_duplicates(found: Sequence[Facts]) -> None:
    """Add problems to observations that are there twice, or seen by one telescope at one time.

    The first of them stays without a problem. What is left out for another reason leaves out no
    other one.
    """
    ordered = sorted(range(len(found)), key=lambda number: (found[number].start_mjd, number))
    for place, later in enumerate(ordered):
        for earlier in ordered[:place]:
            one, two = found[earlier], found[later]
            if one.problems:
                continue
            if one.obs_id == two.obs_id:
                two.problems.append(f"id {two.obs_id} is there twice")
                break
            if _overlap(one, two):
                two.problems.append(f"overlaps with observation {one.obs_id}")
                break


def _overlap(one: Facts, two: Facts) -> bool:
    """Tell whether one telescope saw one place at one time in both."""
    common = min(one.stop_mjd, two.stop_mjd) - max(one.start_mjd, two.start_mjd)
    if not common * 86400 > _MARGIN_S or one.telescope != two.telescope:
        return False
    if math.isnan(one.ra) or math.isnan(two.ra):
        return False
    apart = math.hypot((one.ra - two.ra) * math.cos(math.radians(one.dec)), one.dec - two.dec)
    return apart < _SAME_POINTING_DEG


def robust_deviations(found: Sequence[Facts]) -> list[float]:
    """Return how far rates are from the median of their telescope, in robust standard deviations.

    The deviation is 1.4826 times the median absolute deviation, of observations without a problem.
    Not a number where these are less than four, or all have one rate.

    References
    ----------
    Rousseeuw & Croux (1993), "Alternatives to the Median Absolute Deviation", JASA 88, 1273.
    """
    import numpy as np

    result = [math.nan] * len(found)
    for telescope in sorted({facts.telescope for facts in found}):
        numbers = [place for place, facts in enumerate(found) if facts.telescope == telescope]
        good = [found[place].rate for place in numbers if not found[place].problems]
        rates = np.array([rate for rate in good if math.isfinite(rate)])
        if len(rates) < _FEWEST:
            continue
        median = float(np.median(rates))
        scatter = _NORMAL * float(np.median(np.abs(rates - median)))
        if scatter > 0:
            for place in numbers:
                result[place] = (found[place].rate - median) / scatter
    return result
