"""One map: FITS that `gammapy.maps.Map.read` reads, and what FITS does not keep beside.

A mask is boolean again when it is read with our own reader; FITS has no boolean images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.store.formats.maps import map_size, read_named, write_named

__all__ = ["read", "write"]

_STEM = "map"


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write a `gammapy.maps.Map`, see `gpwf.store.formats.write`."""
    write_named({_STEM: value}, directory, card, stem=_STEM)
    summary = map_size(value.geom)
    if value.data.dtype.kind == "b":
        summary["true_fraction"] = round(float(value.data.mean()), 4)
    elif value.unit.to_string():
        summary["unit"] = value.unit.to_string()
    return summary


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read a `gammapy.maps.Map`, see `gpwf.store.formats.read`."""
    return read_named(directory, stem=_STEM)[_STEM]
