"""Maps as HDUs: the bytes that gammapy writes and the maps that it reads, in less time.

The layout is gammapy's: an HDU with the values, one with the axes (``…_BANDS``), and for maps of
regions one with the region (``…_REGION``). gammapy and astropy make and read each of these once;
after that the same bytes, or the same geometry to the last bit, have the same result. What this
module does itself is to place the values of a map behind a header that is known, and to take them
from there. Where it would do that differently it leaves the map to gammapy.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gpwf.errors import StoreError
from gpwf.store.formats._fits import native, without_dates
from gpwf.store.formats._hdus import Hdu, Memo, hdus_of, named, opened
from gpwf.store.formats._map_keys import axes_key, image_key

__all__ = ["map_hdus", "read_map"]

_ANY = "MAP"  # the name in headers that are kept
_BANDS, _REGION = "_BANDS", "_REGION"
_BLOCK = 2880
_TRUE, _FALSE = ord("T"), ord("F")
_NUMBERS = frozenset(("int16", "int32", "int64", "float32", "float64"))  # FITS has no unsigned ones
_CHANNEL = ">i2"
_LOGICAL = "u1"
_FORMS = {"I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "L": _LOGICAL}
_SCALES = frozenset(("BZERO", "BSCALE", "TZERO2", "TSCAL2", "ZIMAGE"))

# gives a geometry that is the caller's own, but for what is shared
_Copy = Callable[[dict[int, Any]], Any]

_headers = Memo(64)
_axes = Memo(64)
_regions = Memo(64)
_known = Memo(64)
_read_axes = Memo(64)
_read_regions = Memo(64)


def map_hdus(item: Any, name: str, extra: Mapping[str, Any]) -> list[Hdu]:
    """Return the HDUs of a map.

    Parameters
    ----------
    item : `gammapy.maps.Map`
        A map; it is left alone.
    name : str
        Of the HDU with the values.
    extra : mapping
        Cards that go into every header.
    """
    from gammapy.maps import RegionNDMap, WcsNDMap

    name = name.upper()
    if type(item) not in (RegionNDMap, WcsNDMap) or not _can_encode(item):
        return hdus_of(item.to_hdulist(hdu=name), extra)[1:]
    common = tuple(extra.items())
    axes, image = axes_key(item.geom.axes), image_key(item.geom)
    meta = _meta_json(item)
    key = (type(item), axes, image, item.data.dtype.str, item.unit.to_string(), meta, common)
    known = _headers.get(key, lambda: _header(item, extra))
    if known is None:
        return hdus_of(item.to_hdulist(hdu=name), extra)[1:]
    header, kind = known
    found = [Hdu(name=name, header=named(header, name), data=_encoded(item, kind))]
    for suffix, hdu in _geometry_hdus(item.geom, axes, image, common):
        found.append(
            Hdu(name=name + suffix, header=named(hdu.header, name + suffix), data=hdu.data)
        )
    return found


def read_map(
    hdus: Mapping[str, Hdu],
    name: str,
    dtype: str | None = None,
    shared: dict[int, Any] | None = None,
) -> Any:
    """Return the map of an HDU, with its metadata as they are in the header.

    Parameters
    ----------
    hdus : mapping of str to Hdu
        All HDUs of a file by name.
    name : str
        Of the HDU with the values.
    dtype : str, optional
        Number type of the map; that of the file where it is not given.
    shared : dict, optional
        Maps that are read with the same one, empty at first, share equal axes, regions and
        coordinate systems, as the maps of a dataset do that gammapy made.
    """
    from gammapy.maps import Map

    name = name.upper()
    found = [hdus[name]]
    found += [hdus[name + suffix] for suffix in (_BANDS, _REGION) if name + suffix in hdus]
    known = _known.get(_digest(*found), lambda: _understood(found, name))
    if known is None:
        item = Map.from_hdulist(opened(found), hdu=name, format="gadf")
        data = native(item.data)
        item.data = data.astype(dtype or data.dtype, copy=False)
        return item
    unit, geom = known
    geom = geom({} if shared is None else shared)
    return Map.from_geom(geom, data=_decoded(found[0], geom, dtype), unit=unit)


def _can_encode(item: Any) -> bool:
    return item.data.dtype.name in _NUMBERS or item.data.dtype.kind == "b"


def _meta_json(item: Any) -> str:
    """Return the metadata that are in the header."""
    import json

    from gammapy.utils.types import JsonQuantityEncoder

    return "" if item.geom.is_region else json.dumps(item.meta, cls=JsonQuantityEncoder)


def _header(item: Any, extra: Mapping[str, Any]) -> tuple[bytes, str] | None:
    """Return the header of a map's values and their type in the file.

    None where the values are not as `_encoded` has them.
    """
    made = _region_header(item, extra) if item.geom.is_region else _pixel_header(item, extra)
    try:
        return made, _kind(_cards(made))
    except StoreError:
        return None


def _region_header(item: Any, extra: Mapping[str, Any]) -> bytes:
    from astropy.io import fits

    table = item.to_table(format="gadf")
    table.meta.update(item.geom.axes.to_header())
    hdu = fits.BinTableHDU(table, name=_ANY)
    return hdus_of(fits.HDUList([fits.PrimaryHDU(), hdu]), extra)[1].header


def _pixel_header(item: Any, extra: Mapping[str, Any]) -> bytes:
    import numpy as np
    from astropy.io import fits

    empty = copy.copy(item)  # of the same shape and type: they decide, and no values are copied
    empty.data = np.broadcast_to(np.zeros((), dtype=item.data.dtype), item.data.shape)
    hdu = empty.to_hdu(hdu=_ANY, hdu_bands=f"{_ANY}{_BANDS}" if item.geom.axes else None)
    hdu.header["META"] = _meta_json(item)
    hdu.header["BUNIT"] = item.unit.to_string("fits")
    hdu.header.update(extra)
    without_dates(fits.HDUList([fits.PrimaryHDU(), hdu]))
    text: str = hdu.header.tostring()
    return text.encode("ascii")


def _geometry_hdus(
    geom: Any, axes: Any, image: Any, common: tuple[tuple[str, Any], ...]
) -> Sequence[tuple[str, Hdu]]:
    """Return the HDUs of axes and region with the ends of their names."""
    from astropy.io import fits

    extra = dict(common)
    bands, region = f"{_ANY}{_BANDS}", f"{_ANY}{_REGION}"

    def make_axes() -> Hdu:
        if geom.is_region:
            hdu = geom.axes.to_table_hdu(format="gadf", hdu_bands=bands)
        else:
            hdu = geom.to_bands_hdu(hdu_bands=bands, format="gadf")
        return hdus_of(fits.HDUList([fits.PrimaryHDU(), hdu]), extra)[1]

    def make_region() -> Hdu:
        hdu = fits.BinTableHDU(geom._to_region_table(), name=region)
        return hdus_of(fits.HDUList([fits.PrimaryHDU(), hdu]), extra)[1]

    found = []
    if geom.is_region or geom.axes:
        # bins of a map of pixels may have sizes of their own
        own = None if geom.is_region or geom.is_regular else image
        found.append((_BANDS, _axes.get((geom.is_region, axes, own, common), make_axes)))
    if geom.is_region and geom.region is not None:
        found.append((_REGION, _regions.get((image, common), make_region)))
    return found


def _encoded(item: Any, kind: str) -> memoryview:
    """Return the values of a map as FITS has them, filled up to a whole block."""
    import numpy as np

    data = item.data
    if not item.geom.is_region:
        layout: Any = np.dtype(kind)
    else:
        layout = np.dtype([("channel", _CHANNEL), ("data", kind, data.shape[1:])])
    count = len(data) if item.geom.is_region else data.size
    size = count * layout.itemsize
    content = np.zeros(size + -size % _BLOCK, dtype="u1")
    rows = content[:size].view(layout)
    if not item.geom.is_region:
        rows.reshape(data.shape)[...] = data
    else:
        rows["channel"] = np.arange(count, dtype=np.int16)
        rows["data"] = np.where(data, _TRUE, _FALSE) if kind == _LOGICAL else data
    return content.data


def _digest(values: Hdu | None, *others: Hdu) -> bytes:
    """Return what tells HDUs apart, but for their names and the values of a map."""
    digest = hashlib.sha256()
    if values is not None:
        digest.update(named(values.header, _ANY))
    for hdu in others:
        digest.update(named(hdu.header, _ANY))
        digest.update(hdu.data)
    return digest.digest()


def _understood(found: Sequence[Hdu], name: str) -> tuple[Any, _Copy] | None:
    """Read a map as gammapy does.

    Returns
    -------
    tuple
        Its unit, and a function that gives its geometry anew; None where `_decoded` would not find
        the values that gammapy finds.
    """
    from astropy.units import Unit

    cards = _cards(found[0].header)
    try:
        _kind(cards)
        if cards["XTENSION"] == "BINTABLE" and len(found) > 1:
            unit = Unit(cards.get("TUNIT2", ""), format="fits")
            return unit, _region_geometry(found[1:], name)
    except (StoreError, ValueError):  # not as gammapy writes it, or a unit that FITS does not know
        return None
    return _pixel_geometry(found)


def _pixel_geometry(found: Sequence[Hdu]) -> tuple[Any, _Copy] | None:
    """Return the unit of a map of pixels and a function that gives its geometry."""
    from astropy.io import fits
    from gammapy.maps import MapAxes, WcsGeom
    from gammapy.utils.units import unit_from_fits_image_hdu

    axes = MapAxes([])
    if len(found) > 1:
        if b"'NPIX    '" in found[1].header:  # pixels of many sizes
            return None
        axes = _axes_of(found[1])
    header = fits.Header.fromstring(found[0].header.decode("ascii"))
    image = WcsGeom.from_header(header, None, format="gadf")
    npix = (header["NAXIS1"], header["NAXIS2"])

    def make(shared: dict[int, Any]) -> Any:
        wcs, own = (copy.deepcopy(part, shared) for part in (image.wcs, axes))
        return WcsGeom(wcs, npix, axes=own)

    return unit_from_fits_image_hdu(header), make


def _axes_of(bands: Hdu) -> Any:
    """Return the axes of a map, which the caller must not change."""
    from gammapy.maps import MapAxes

    def read() -> Any:
        with opened([bands]) as hdulist:
            return MapAxes.from_table_hdu(hdulist[bands.name], format="gadf")

    return _read_axes.get(_digest(None, bands), read)


def _region_geometry(found: Sequence[Hdu], name: str) -> _Copy:
    """Return a function that gives the geometry that gammapy reads from these HDUs."""
    from gammapy.maps import RegionGeom

    def read_region() -> tuple[Any, Any]:
        with opened(list(found)) as hdulist:
            geom = RegionGeom.from_hdulist(hdulist, format="gadf", hdu=name)
        return geom.region, geom.wcs

    bands, *others = found
    axes = _axes_of(bands)
    region, wcs = _read_regions.get(_digest(None, *others), read_region) if others else (None, None)

    def make(shared: dict[int, Any]) -> Any:
        return RegionGeom(*(copy.deepcopy(part, shared) for part in (region, axes, wcs)))

    return make


def _decoded(hdu: Hdu, geom: Any, dtype: str | None) -> Any:
    """Return the values of a map from their HDU.

    Raises
    ------
    StoreError
        For values that are not as `_encoded` has them.
    """
    import numpy as np

    kind, shape = _kind(_cards(hdu.header)), geom.data_shape
    count = int(np.prod(shape))
    if not geom.is_region:
        values = np.frombuffer(hdu.data, dtype=kind, count=count)
    else:
        layout = [("channel", _CHANNEL), ("data", kind, (count // shape[0],))]
        values = np.frombuffer(hdu.data, dtype=layout, count=shape[0])["data"]
        if kind == _LOGICAL:
            values = values == _TRUE
    return values.reshape(shape).astype(dtype or values.dtype.newbyteorder("="))


def _kind(cards: Mapping[str, str]) -> str:
    """Return the type of the values of a map in their HDU, as numpy names it.

    Raises
    ------
    StoreError
        For an HDU that `_encoded` does not write.
    """
    if _SCALES.isdisjoint(cards):
        if cards["XTENSION"] == "IMAGE":
            bits = int(cards["BITPIX"])
            return f">{'f' if bits < 0 else 'i'}{abs(bits) // 8}"
        kind = _FORMS.get(cards.get("TFORM2", "").lstrip("0123456789"))
        columns = [cards.get(name) for name in ("TFIELDS", "TTYPE1", "TFORM1", "TTYPE2")]
        if kind and columns == ["2", "CHANNEL", "I", "DATA"]:
            return kind
    raise StoreError("this HDU is not a map as gammapy writes it")


def _cards(header: bytes) -> dict[str, str]:
    """Return keywords and values as text; for values without a slash or an apostrophe in them."""
    lines = [header[at : at + 80].decode("ascii") for at in range(0, len(header), 80)]
    pairs = [line.partition("= ") for line in lines]
    return {
        keyword.rstrip(): value.partition(" / ")[0].strip().strip("'").rstrip()
        for keyword, equals, value in pairs
        if equals
    }
