"""Tell where two values hold something else, whatever gammapy keeps them in.

`deep_equal` compares every bit of the inside. What a step makes and what is read of it differ
there in ways that mean nothing: gammapy computes energies from logarithms, keeps a centre that it
computed, has numbers of numpy or of Python. Here numbers are equal to 1e-12, whole numbers and
booleans exactly, and the attributes of `REMARKS` are left out, each for its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from deep_equal import _CODE, _PLAIN, _parts

__all__ = ["REMARKS", "different_fields"]

_NEAR = 1e-12

REMARKS: Mapping[str, str] = {
    r"_center": "computed from the region when the geometry is made of one",
    r"_raw_meta": "left by the parser of regions",
    r"_region\.visual\.default_style": "how regions are drawn",
    r"_n_spatial_axes": "computed from the axes",
    r"array_shape": "(x, y) in a WCS that gammapy made, (y, x) in one that it read",
    r"writeable": "a flag of the array, not its content",
    r"_reference_model\._name": "made up at random for the reference model of fluxes",
    r"_meta\.(obs_info|pointing)": "gammapy puts an empty one in when it reads",
    r"_meta\.creation": "when gammapy made the object",
    r"_background(_parameters)?_cached": "computed, and kept by gammapy for later",
    r"_(spectral|spatial)_model\._covariance\._data": "of a part; that of the model is compared",
    r"_link_label_io": "a label for files, not the link itself, which is compared",
    r"_spatial_model\.filename": "where a template was; its map travels along and is compared",
    r"^value\._data\.[a-z_]+\._meta\.\w+": "the one mapping of the fluxes, in each of its maps",
}
"""Attributes that are not compared, by the end of the way to them, and why."""

_LEFT_OUT = re.compile("|".join(f"(?:{text})$" for text in REMARKS))


def different_fields(one: Any, two: Any) -> list[str]:
    """Return where two values hold something else; nothing where they are equal."""
    return list(_compare(one, two, "value", set(), []))


def _compare(
    one: Any, two: Any, where: str, seen: set[tuple[int, int]], kept: list[Any]
) -> Iterator[str]:
    if one is two or (id(one), id(two)) in seen:
        return
    seen.add((id(one), id(two)))
    kept.append((one, two))  # so that no other object gets the same identity
    if _are_quantities(one, two):
        same = one.unit.is_equivalent(two.unit) and one.shape == two.shape
        if not same or not _near(one.value, two.to_value(one.unit)):
            yield f"{where}: {one!r} is not {two!r}"
    elif _are_units(one, two):
        if one != two:
            yield f"{where}: {one!r} is not {two!r}"
    elif _is_number(one) and _is_number(two):
        if not _near(one, two):
            yield f"{where}: {one!r} is not {two!r}"
    elif isinstance(one, np.ndarray) and isinstance(two, np.ndarray) and _is_plain(one):
        if one.shape != two.shape or _letter(one) != _letter(two) or not _near(one, two):
            yield f"{where}: {one!r} is not {two!r}"
    elif isinstance(one, _PLAIN) or isinstance(two, _PLAIN):
        if type(one) is not type(two) or one != two:
            yield f"{where}: {one!r} is not {two!r}"
    elif isinstance(one, _CODE):
        if repr(one) != repr(two):
            yield f"{where}: {one!r} is not {two!r}"
    elif type(one) is not type(two) and not isinstance(one, Mapping):
        yield f"{where}: {type(one).__name__} is not {type(two).__name__}"
    else:
        parts = [_without_remarks(item, where) for item in (one, two)]
        if sorted(map(str, parts[0])) != sorted(map(str, parts[1])):
            yield f"{where}: it has {list(parts[0])}, not {list(parts[1])}"
            return
        for name in parts[0]:
            yield from _compare(parts[0][name], parts[1][name], f"{where}.{name}", seen, kept)


def _are_quantities(one: Any, two: Any) -> bool:
    """Return True for two quantities; an angle is one."""
    from astropy.units import Quantity

    return isinstance(one, Quantity) and isinstance(two, Quantity)


def _are_units(one: Any, two: Any) -> bool:
    from astropy.units import UnitBase

    return isinstance(one, UnitBase) and isinstance(two, UnitBase)


def _without_remarks(value: Any, where: str) -> dict[Any, Any]:
    parts = _parts(value)
    return {name: item for name, item in parts.items() if not _LEFT_OUT.search(f"{where}.{name}")}


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.generic)) and not isinstance(
        value, (np.str_, np.bytes_, np.void)
    )


def _is_plain(array: Any) -> bool:
    return type(array) is np.ndarray and array.dtype.kind in "biufc"


def _letter(array: Any) -> str:
    """Return the kind and size of the numbers, without the order of their bytes."""
    return f"{array.dtype.kind}{array.dtype.itemsize}"


def _near(one: Any, two: Any) -> bool:
    if np.asarray(one).dtype.kind in "biu" and np.asarray(two).dtype.kind in "biu":
        return bool(np.array_equal(one, two))
    return bool(np.allclose(one, two, rtol=_NEAR, atol=0, equal_nan=True))
