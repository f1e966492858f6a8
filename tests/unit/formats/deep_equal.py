"""Tell where two values differ, field by field and bit for bit.

gammapy's own comparisons have tolerances and leave fields out. Here everything that an object holds
is compared: types, numbers with their bits and number types, units, axes, regions, coordinates,
times with both doubles, tables with their columns and metadata, and the attributes of all other
objects, private ones too.
"""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["differences"]

# what is being compared, by identity; kept alive, so that no other object gets the same identity
_Seen = dict[tuple[int, int], tuple[Any, Any]]
_PLAIN = (str, bytes, int, complex, Path, enum.Enum, type(None), type(...), slice)
_CODE = (type, FunctionType, BuiltinFunctionType, ModuleType, functools.partial)
_WHEN = {"CreatorMetaData": {"date"}}  # when an object was made is no part of what it is


def differences(one: Any, two: Any) -> list[str]:
    """Return where two values differ; nothing where they are equal."""
    return list(_compare(one, two, "value", {}))


def _compare(one: Any, two: Any, where: str, seen: _Seen) -> Iterator[str]:
    if type(one) is not type(two):
        yield f"{where}: {_kind(one)} is not {_kind(two)}"
        return
    if one is two or (id(one), id(two)) in seen:
        return
    seen[id(one), id(two)] = (one, two)
    if isinstance(one, float):
        if struct.pack("d", one) != struct.pack("d", two):
            yield f"{where}: {one!r} is not {two!r}"
    elif isinstance(one, _PLAIN):
        if one != two:
            yield f"{where}: {one!r} is not {two!r}"
    elif isinstance(one, _CODE):
        if getattr(one, "__qualname__", repr(one)) != getattr(two, "__qualname__", repr(two)):
            yield f"{where}: {one!r} is not {two!r}"
    elif isinstance(one, MethodType):
        yield from _compare(one.__func__, two.__func__, where, seen)
    else:
        yield from _compare_objects(one, two, where, seen)


def _compare_objects(one: Any, two: Any, where: str, seen: _Seen) -> Iterator[str]:
    parts = _parts(one), _parts(two)
    names = [list(item) for item in parts]
    if names[0] != names[1]:
        yield f"{where}: it has {names[0]}, not {names[1]}"
        return
    for name in names[0]:
        yield from _compare(parts[0][name], parts[1][name], f"{where}.{name}", seen)


def _parts(value: Any) -> dict[Any, Any]:
    """Return what a value consists of, by name."""
    import numpy as np
    from astropy.coordinates import SkyCoord
    from astropy.table import Column, Table
    from astropy.time import TimeBase
    from astropy.units import Quantity, UnitBase
    from astropy.wcs import WCS

    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return dict(enumerate(value))
    if isinstance(value, Set):
        return dict.fromkeys(sorted(value, key=repr))
    if isinstance(value, UnitBase):
        return {"text": value.to_string(), "scale": value.decompose().scale}
    if isinstance(value, TimeBase):
        names = ("scale", "format", "jd1", "jd2", "masked")
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    if isinstance(value, SkyCoord):
        data = value.data
        names = {name: getattr(value, name) for name in value.frame.frame_attributes}
        return {"frame": value.frame.name, "data": _arrays(data), "type": type(data), **names}
    if isinstance(value, WCS):
        return _wcs_parts(value)
    if isinstance(value, Table):
        columns = {name: value[name] for name in value.colnames}
        return {"columns": columns, "names": list(value.colnames), "meta": dict(value.meta)}
    if isinstance(value, Column):
        names = {name: getattr(value, name) for name in ("name", "unit", "format", "description")}
        mask = np.ma.getmaskarray(value) if hasattr(value, "mask") else None
        content = value.filled() if hasattr(value, "filled") else value
        return {**names, "meta": dict(value.meta), "mask": mask, "data": np.array(content)}
    if isinstance(value, Quantity):
        return {"value": np.asarray(value.value), "unit": value.unit}
    if isinstance(value, np.ma.MaskedArray):
        return {"data": np.asarray(value.data), "mask": np.ma.getmaskarray(value)}
    if isinstance(value, np.ndarray):
        return _array_parts(value)
    if isinstance(value, np.generic):
        return {"dtype": value.dtype.str, "bits": value.tobytes()}
    return _attributes(value)


def _arrays(representation: Any) -> dict[str, Any]:
    return {name: getattr(representation, name) for name in representation.components}


def _array_parts(value: Any) -> dict[str, Any]:
    if value.dtype.hasobject:
        return {"shape": value.shape, "items": list(value.ravel())}
    return {
        "dtype": value.dtype.str,
        "shape": value.shape,
        "writeable": value.flags.writeable,
        "bits": value.tobytes(),
    }


def _wcs_parts(value: Any) -> dict[str, Any]:
    """Return what `wcslib` computes with; the text of a header has 14 digits only."""
    names = ("crval", "crpix", "cdelt", "lonpole", "latpole", "restfrq", "restwav", "radesys")
    header = value.to_header_string(relax=True)
    exact = {name: getattr(value.wcs, name) for name in names}
    frame = {name: getattr(value, name) for name in ("array_shape", "pixel_bounds", "naxis")}
    return {"header": header, "matrix": value.wcs.get_pc(), **exact, **frame}


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes of an object, without what it computed and keeps for later."""
    from astropy.utils import lazyproperty

    names = list(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    ignored = _WHEN.get(type(value).__name__, set()) | {"__weakref__", "__dict__"}
    found = {}
    for name in sorted(set(names) - ignored):
        of_class = getattr(type(value), name, None)
        if isinstance(of_class, (lazyproperty, functools.cached_property)):
            continue
        own = f"_{type(value).__name__.lstrip('_')}{name}" if name.startswith("__") else name
        if name in getattr(value, "__dict__", {}):
            found[name] = vars(value)[name]
        elif hasattr(value, own):
            found[name] = getattr(value, own)
    if not found and not isinstance(value, object.__class__) and not names:
        found["repr"] = "" if " at 0x" in repr(value) else repr(value)
    return found


def _kind(value: Any) -> str:
    shown = repr(value)
    if len(shown) > 60 or " at 0x" in shown:
        shown = ""
    return f"{type(value).__module__}.{type(value).__qualname__} {shown}".rstrip()
