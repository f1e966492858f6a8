"""Selections of events as plain data, and back: cuts, good time, and whose part it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpwf.core.selections import (
    ColumnCut,
    ConeCut,
    Cut,
    EnergyCut,
    EventSelection,
    IdCut,
    OffsetCut,
    RegionCut,
    TimeCut,
)
from gpwf.errors import StoreError
from gpwf.store.formats._fits import (
    exact_gti,
    gti_to_plain,
    time_from_plain,
    time_to_plain,
)

__all__ = ["parent_id", "selection_from_plain", "selection_of", "selection_to_plain"]

_RANGES = {"energy": EnergyCut, "offset": OffsetCut}


def parent_id(observation: Any) -> int:
    """Return the id under which a datastore has an observation, or what it is a part of.

    Raises
    ------
    StoreError
        Where it is no number.
    """
    selection = getattr(observation, "obs_filter", None)
    if isinstance(selection, EventSelection):
        return selection.parent
    try:
        return int(observation.obs_id)
    except (TypeError, ValueError):
        raise StoreError(
            f"observation {observation.obs_id!r} has no number for an id, and no parent that has"
        ) from None


def selection_of(observation: Any) -> EventSelection | None:
    """Return the selection of an observation; None where it is all there.

    Parameters
    ----------
    observation : `gammapy.data.Observation`
        Its filter is an `EventSelection` or gammapy's own.

    Raises
    ------
    StoreError
        For a filter that cannot be written.
    """
    selection = getattr(observation, "obs_filter", None)
    if selection is None:
        return None
    if isinstance(selection, EventSelection):
        if selection.time_filter is None:
            return selection
        cuts: tuple[Cut, ...] = (*selection.cuts, _time_cut(selection))
    else:
        cuts = tuple(_cut_of(item, observation) for item in selection.event_filters)
        if selection.time_filter is not None:
            cuts = (_time_cut(selection), *cuts)
        if not cuts:
            return None
    parent, name = parent_id(observation), getattr(selection, "name", "")
    if selection.time_filter is None:
        return EventSelection(parent=parent, name=name, cuts=cuts)
    # gammapy's own filter would lose the good time around an interval that is left out
    whole = observation._gti
    asked = EventSelection(
        parent=parent,
        gti=getattr(selection, "gti", None),
        time_filter=selection.time_filter,
        inverted_time=selection.inverted_time,
    )
    return EventSelection(parent=parent, name=name, cuts=cuts, gti=asked.filter_gti(whole))


def _time_cut(selection: Any) -> TimeCut:
    start, stop = selection.time_filter
    if selection.inverted_time:
        return TimeCut(intervals=((None, start), (stop, None)))
    return TimeCut(intervals=((start, stop),))


def _cut_of(item: Mapping[str, Any], observation: Any) -> Cut:
    """Return an event filter of gammapy as a cut."""
    options = dict(item["opts"])
    if item["type"] == "custom" and "values" in options:
        column, values = options["parameter"], options["values"]
        if options.get("is_range", True):
            return ColumnCut(column=column, min=values[0], max=values[1])
        if column == "EVENT_ID":
            return IdCut(ids=tuple(int(value) for value in values))
    if item["type"] == "sky_region" and options.get("wcs") is None:
        return RegionCut(region=_ds9(options["regions"]))
    raise StoreError(
        f"observation {observation.obs_id}: the event filter {dict(item)!r} cannot be stored"
    )


def _ds9(regions: Any) -> str:
    from regions import Region, Regions

    if isinstance(regions, str):
        return regions
    several = [regions] if isinstance(regions, Region) else list(regions)
    text: str = Regions(several).serialize(format="ds9", precision=17)
    return text


def selection_to_plain(selection: EventSelection | None) -> dict[str, Any]:
    """Return a selection as plain data without any loss."""
    if selection is None:
        return {}
    found: dict[str, Any] = {
        "name": selection.name,
        "cuts": [_to_plain(cut) for cut in selection.cuts],
    }
    if selection.gti is not None:
        found["gti"] = gti_to_plain(selection.gti)
    return found


def selection_from_plain(data: Mapping[str, Any], parent: int) -> EventSelection | None:
    """Return the selection of `selection_to_plain`.

    Raises
    ------
    StoreError
        For a cut that this version does not know.
    """
    if "cuts" not in data:
        return None
    cuts = tuple(_from_plain(item) for item in data["cuts"])
    gti = exact_gti(data.get("gti"))
    return EventSelection(parent=parent, name=data["name"], cuts=cuts, gti=gti)


def _to_plain(cut: Cut) -> dict[str, Any]:
    if isinstance(cut, TimeCut):
        intervals = [[time and time_to_plain(time) for time in pair] for pair in cut.intervals]
        return {"type": "time", "intervals": intervals}
    for name, kind in _RANGES.items():
        if isinstance(cut, kind):
            return {"type": name, **_bounds(cut)}
    if isinstance(cut, ColumnCut):
        bounds = _bounds(cut)
        return {"type": "column", "column": cut.column, **bounds, "inverted": cut.inverted}
    if isinstance(cut, ConeCut):
        center = cut.center
        return {
            "type": "cone",
            "frame": center.frame.name,
            "lon_deg": float(center.spherical.lon.deg),
            "lat_deg": float(center.spherical.lat.deg),
            "radius_deg": float(cut.radius.to_value("deg")),
            "inverted": cut.inverted,
        }
    if isinstance(cut, RegionCut):
        return {"type": "region", "region": cut.region}
    if isinstance(cut, IdCut):
        return {"type": "ids", "ids": list(cut.ids)}
    raise StoreError(f"no format for a cut of type {type(cut).__name__}")


def _bounds(cut: Any) -> dict[str, Any]:
    return {"min": _bound_to_plain(cut.min), "max": _bound_to_plain(cut.max)}


def _bound_to_plain(bound: Any) -> Any:
    if bound is None:
        return None
    if hasattr(bound, "unit"):
        return {"value": float(bound.value), "unit": bound.unit.to_string()}
    return float(bound)


def _from_plain(data: Mapping[str, Any]) -> Cut:
    try:
        read = _READERS[data["type"]]
    except KeyError:
        raise StoreError(f"a cut of type {data.get('type')!r} is not known") from None
    return read(data)


def _read_time(data: Mapping[str, Any]) -> Cut:
    pairs = [tuple(time and time_from_plain(time) for time in pair) for pair in data["intervals"]]
    return TimeCut(intervals=tuple((start, stop) for start, stop in pairs))


def _read_cone(data: Mapping[str, Any]) -> Cut:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    center = SkyCoord(data["lon_deg"], data["lat_deg"], unit="deg", frame=data["frame"])
    radius = Quantity(data["radius_deg"], "deg")
    return ConeCut(center=center, radius=radius, inverted=data["inverted"])


def _read_column(data: Mapping[str, Any]) -> Cut:
    low, high = _read_bound(data["min"]), _read_bound(data["max"])
    return ColumnCut(column=data["column"], min=low, max=high, inverted=data["inverted"])


def _read_bound(data: Any) -> Any:
    from astropy.units import Quantity

    return Quantity(data["value"], data["unit"]) if isinstance(data, Mapping) else data


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Cut]] = {
    "time": _read_time,
    "energy": lambda data: EnergyCut(min=_read_bound(data["min"]), max=_read_bound(data["max"])),
    "offset": lambda data: OffsetCut(min=_read_bound(data["min"]), max=_read_bound(data["max"])),
    "cone": _read_cone,
    "region": lambda data: RegionCut(region=data["region"]),
    "column": _read_column,
    "ids": lambda data: IdCut(ids=tuple(data["ids"])),
}
