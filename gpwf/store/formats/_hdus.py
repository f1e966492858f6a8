"""HDUs of FITS files as bytes, so that what many files repeat is made and understood once.

A file of a dataset holds the same axes and regions again for every map, and the datasets of one
analysis hold the same ones again. astropy takes some 4 ms to make or to read one small table.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.errors import StoreError
from gpwf.store.formats._fits import without_dates

__all__ = ["Hdu", "Memo", "hdus_of", "named", "opened", "split", "write_hdus"]

_BLOCK = 2880  # bytes, FITS standard 4.0, section 3.1
_CARD = 80
_END = b"END" + b" " * (_CARD - 3)
_VALUE = slice(10, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdu:
    """One HDU: header and data as they are in the file, each a whole number of blocks."""

    name: str
    header: bytes
    data: bytes | memoryview


class Memo:
    """Results by key, the ones used last.

    Parameters
    ----------
    size : int
        Number of results that are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gave for an equal key; the caller must not change it."""
        try:
            value = self._kept[key]
            self._kept.move_to_end(key)
        except KeyError:
            value = self._kept[key] = make()
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value


def hdus_of(
    hdulist: Any, extra: Mapping[str, Any], card: Mapping[str, str] | None = None
) -> list[Hdu]:
    """Return the HDUs of an `astropy.io.fits.HDUList` as they are in a file, without dates.

    Parameters
    ----------
    hdulist : `astropy.io.fits.HDUList`
        The first HDU is the primary one; headers are changed in place.
    extra : mapping
        Cards that go into every header.
    card : mapping of str to str, optional
        Goes into the primary header.
    """
    stream = io.BytesIO()
    for hdu in hdulist:
        hdu.header.update(extra)
    without_dates(hdulist)
    for name, value in (card or {}).items():
        hdulist[0].header[name] = value
    hdulist.writeto(stream, checksum=False)
    return split(stream.getvalue())


def write_hdus(hdus: Iterable[Hdu], path: Path) -> None:
    """Write HDUs as a new file; the first one is the primary HDU."""
    with path.open("xb") as file:
        for hdu in hdus:
            file.write(hdu.header)
            file.write(hdu.data)


def opened(hdus: list[Hdu]) -> Any:
    """Return HDUs as an `astropy.io.fits.HDUList` that has an empty primary HDU before them."""
    from astropy.io import fits

    primary = io.BytesIO()
    fits.PrimaryHDU().writeto(primary)
    parts = [primary.getvalue(), *(part for hdu in hdus for part in (hdu.header, hdu.data))]
    return fits.open(io.BytesIO(b"".join(parts)), memmap=False, lazy_load_hdus=False)


def split(content: bytes) -> list[Hdu]:
    """Return the HDUs of a FITS file; their data are views of ``content``.

    Raises
    ------
    StoreError
        For what is no FITS file or ends too early.

    References
    ----------
    FITS standard 4.0, sections 3.3, 4.4.1 and 7.
    """
    view = memoryview(content)
    found = []
    start = 0
    while start < len(content):
        end = content.find(_END, start)
        while end >= 0 and (end - start) % _CARD:
            end = content.find(_END, end + 1)
        if end < 0:
            raise StoreError(f"no FITS file: the header at byte {start} has no end")
        middle = _whole(end + _CARD)
        header = content[start:middle]
        name, size = _name_and_size(header)
        start = _whole(middle + size)
        if middle + size > len(content):
            raise StoreError(f"the FITS file ends inside its HDU '{name}'")
        found.append(Hdu(name=name, header=header, data=view[middle:start]))
    return found


def named(header: bytes, name: str) -> bytes:
    """Return the header of a map or of its axes or its region with another name.

    Raises
    ------
    StoreError
        For a name that would change the length of the header.
    """
    for keyword, value in ((b"EXTNAME ", name), (b"BANDSHDU", f"{name}_BANDS")):
        at = _find(header, keyword)
        if at < 0:
            continue
        old = header[at : at + _CARD]
        quoted = f"'{value:8}'"
        _, slash, comment = old.partition(b" / ")
        text = keyword + b"= " + f"{quoted:20}".encode("ascii")
        card = (text + slash + comment).rstrip(b" ").ljust(_CARD)
        if len(card) != _CARD or "'" in value:
            raise StoreError(f"no name for an HDU: {name!r}")
        header = header[:at] + card + header[at + _CARD :]
    return header


def _find(header: bytes, keyword: bytes) -> int:
    """Return where the card of a keyword (8 bytes) begins, -1 where there is none."""
    at = header.find(keyword)
    while at >= 0 and at % _CARD:
        at = header.find(keyword, at + 1)
    return at


def _whole(size: int) -> int:
    """Return the end of the block that holds byte number ``size``, counted from 1."""
    return -(-size // _BLOCK) * _BLOCK


def _name_and_size(header: bytes) -> tuple[str, int]:
    """Return the name of an HDU and the size of its data in bytes, without padding."""
    name, bits, pixels, extra, groups = "", 8, 0, 0, 1
    for at in range(0, len(header), _CARD):
        card = header[at : at + _CARD]
        keyword = card[:8].rstrip()
        if keyword.startswith(b"NAXIS"):
            value = _number(card)
            if keyword == b"NAXIS":
                pixels = min(value, 1)
            else:
                pixels *= value
        elif keyword == b"BITPIX":
            bits = abs(_number(card))
        elif keyword == b"PCOUNT":
            extra = _number(card)
        elif keyword == b"GCOUNT":
            groups = _number(card)
        elif keyword == b"EXTNAME":
            name = card[_VALUE].split(b"'")[1].decode("ascii").rstrip()
    return name, bits * groups * (extra + pixels) // 8


def _number(card: bytes) -> int:
    return int(card[_VALUE].partition(b"/")[0])
