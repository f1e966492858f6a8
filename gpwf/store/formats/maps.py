"""Several maps of one geometry by name: FITS with an HDU each, and what FITS does not keep beside.

``gammapy.maps.Maps.read("maps.fits")`` gives the maps, too, their names in small letters. Our own
reader gives back the names as they were, number types (FITS has no boolean images, so that a mask
comes back from gammapy as whole numbers), and metadata.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.errors import StoreError
from gpwf.store.formats._fits import plain, read_json, write_json
from gpwf.store.formats._hdus import hdus_of, split, write_hdus
from gpwf.store.formats._maps import map_hdus, read_map

__all__ = ["map_size", "read", "read_named", "write", "write_named"]

_STEM = "maps"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write `gammapy.maps.Maps`, see `gpwf.store.formats.write`.

    Raises
    ------
    StoreError
        Where there is no map, or a name cannot be one of an HDU.
    """
    if not value or any(item is None for item in value.values()):
        raise StoreError("there are no maps to store, or one of them is None")
    write_named(value, directory, card, stem=_STEM)
    first = next(iter(value.values()))
    return {"maps": list(value), **map_size(first.geom)}


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read `gammapy.maps.Maps`, see `gpwf.store.formats.read`."""
    from gammapy.maps import Maps

    maps = Maps()
    for name, item in read_named(directory, stem=_STEM).items():
        maps[name] = item
    return maps


def write_named(
    maps: Mapping[str, Any], directory: Path, card: Mapping[str, str], *, stem: str
) -> None:
    """Write maps by name into ``<stem>.fits``, and their number types and metadata beside.

    Raises
    ------
    StoreError
        For a name that cannot be one of an HDU, or two that differ in letter case only.
    """
    from astropy.io import fits

    _check_names(list(maps))
    hdus = hdus_of(fits.HDUList([fits.PrimaryHDU()]), {}, card)
    for name, item in maps.items():
        hdus += map_hdus(item, name, {})
    write_hdus(hdus, directory / f"{stem}.fits")
    details = {
        "format": "gpwf-maps/1",
        "maps": {
            name: {"dtype": item.data.dtype.name, "meta": plain(item.meta)}
            for name, item in maps.items()
        },
    }
    write_json(details, directory / f"{stem}.json", card)


def read_named(directory: Path, *, stem: str) -> dict[str, Any]:
    """Read what `write_named` wrote."""
    details = read_json(directory / f"{stem}.json")["maps"]
    hdus = {hdu.name: hdu for hdu in split((directory / f"{stem}.fits").read_bytes())}
    shared: dict[int, Any] = {}
    maps = {}
    for name, detail in details.items():
        maps[name] = read_map(hdus, name, detail["dtype"], shared)
        maps[name].meta = detail["meta"]
    return maps


def _check_names(names: list[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise StoreError(
                f"{name!r} cannot be the name of a map: a letter, then letters, digits, '_' or '-'"
            )
    if len({name.upper() for name in names}) < len(names):
        raise StoreError(f"names of maps must differ in more than letter case: {', '.join(names)}")


def map_size(geom: Any) -> dict[str, Any]:
    """Return the number of pixels, the extent of the axes and the frame."""
    size: dict[str, Any] = {axis.name: int(axis.nbin) for axis in geom.axes}
    if not geom.is_region:
        height, width = geom.data_shape[-2:]
        size |= {"n_lon": int(width), "n_lat": int(height), "frame": geom.frame}
    return size
