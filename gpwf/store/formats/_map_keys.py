"""What tells geometries apart, to the last bit: keys for what is computed from them.

gammapy's own comparison of geometries is for physics: it has tolerances and leaves regions out.
"""

from __future__ import annotations

import pickle
from collections.abc import Hashable
from typing import Any

__all__ = ["axes_key", "image_key"]

_SIMPLE_FRAMES = ("icrs", "galactic")  # all others have more attributes (equinox, …)
# arrays of `wcslib` that a header has with 14 digits only
_ARRAYS = ("crval", "crpix", "cdelt")


def axes_key(axes: Any) -> Hashable:
    """Return what tells `gammapy.maps.MapAxes` from others."""
    return tuple(_axis_key(axis) for axis in axes)


def image_key(geom: Any) -> Hashable:
    """Return what tells the spatial part of a `gammapy.maps.Geom` from others."""
    if geom.is_region:
        return ("region", _region_key(geom.region), None if geom.region is None else _wcs_key(geom))
    shape = tuple(array.tobytes() for pair in (geom.npix, geom._cdelt) for array in pair)
    return (type(geom).__name__, _wcs_key(geom), shape)


def _axis_key(axis: Any) -> Hashable:
    from gammapy.maps import MapAxis

    if type(axis) is not MapAxis:
        return pickle.dumps(axis)
    nodes = axis._nodes
    unit = axis.unit.to_string()
    return (axis.name, axis.interp, axis.node_type, unit, nodes.dtype.str, nodes.tobytes())


def _wcs_key(geom: Any) -> Hashable:
    wcs = geom.wcs
    numbers = tuple(getattr(wcs.wcs, name).tobytes() for name in _ARRAYS)
    matrix = wcs.wcs.get_pc().tobytes()
    poles = (wcs.wcs.lonpole, wcs.wcs.latpole)
    return (*numbers, matrix, poles, wcs.array_shape, wcs.to_header_string(relax=True))


def _region_key(region: Any) -> Hashable:
    from regions import CompoundSkyRegion

    if region is None:
        return None
    style = (repr(sorted(region.meta.items())), repr(sorted(region.visual.items())))
    if isinstance(region, CompoundSkyRegion):
        parts = (_region_key(region.region1), _region_key(region.region2))
        return (region.operator.__name__, *parts, style)
    values = tuple(_value_key(getattr(region, name)) for name in region._params)
    return (type(region).__name__, values, style)


def _value_key(value: Any) -> Hashable:
    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    if isinstance(value, SkyCoord) and value.frame.name in _SIMPLE_FRAMES:
        lon, lat = value.data.lon, value.data.lat
        return (value.frame.name, _value_key(lon), _value_key(lat))
    if isinstance(value, Quantity):
        return (value.unit.to_string(), value.value.dtype.str, value.value.tobytes())
    return pickle.dumps(value)
