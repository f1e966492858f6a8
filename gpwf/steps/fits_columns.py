"""Headers of FITS files and columns of plain binary tables, read with the standard library alone.

A plan has to know which files a datastore's index or a spectrum names, and importing astropy for
that takes longer than everything else that `gpwf validate` does. This reads the simple tables that
GADF index files are; whatever is not simple (scaled columns, arrays, compressed tables) it leaves
to astropy.

References
----------
FITS standard 4.0, sections 3.3 and 7.3.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

__all__ = ["read_columns", "read_headers"]

_BLOCK = 2880
_CARD = 80
#: Index files of the largest public releases are below 10 MB; a bomb is not worth the memory.
_MAX_BYTES = 1 << 28
_MAX_HEADERS = 1000
_MAX_HEADER_BYTES = 1 << 24
_FORMAT = re.compile(r"(\d*)([A-Z])")
#: struct code and size of the scalar types
_CODES = {"B": ("B", 1), "I": ("h", 2), "J": ("i", 4), "K": ("q", 8), "E": ("f", 4), "D": ("d", 8)}
_SIZES = {"L": 1, "X": 1, "A": 1, "C": 8, "M": 16, "P": 8, "Q": 16} | {
    name: size for name, (_, size) in _CODES.items()
}

_Header = dict[str, str | int]


def read_columns(path: Path, names: Sequence[str]) -> list[tuple[Any, ...]] | None:
    """Return the rows of some columns of the first table of a FITS file.

    Parameters
    ----------
    path : Path
        File, may be gzipped.
    names : sequence of str
        Columns of numbers or text.

    Returns
    -------
    list of tuple or None
        A tuple per row, text without trailing blanks; None where the file is not of the simple
        kind that this function knows, or lacks one of the columns.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    data = _bytes(path)
    if data is None or not data.startswith(b"SIMPLE  ="):
        return None
    try:
        primary, start = _header(data, 0)
        table, start = _header(data, start + _padded(_size(primary)))
        return _rows(table, data[start : start + _size(table)], names)
    except (ValueError, KeyError, TypeError, struct.error, UnicodeDecodeError):
        return None  # not a simple table: astropy says what it is


def read_headers(path: Path) -> list[dict[str, str | int]] | None:
    """Return the headers of a FITS file; the data are passed over.

    Parameters
    ----------
    path : Path
        File, may be gzipped.

    Returns
    -------
    list of dict or None
        For each HDU the values by keyword: text without trailing blanks, whole numbers, and the
        text of everything else; None where the file is no FITS file, or damaged.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        try:
            with gzip.open(stream) if zipped else nullcontext(stream) as source:
                return _headers(source)
        except (EOFError, gzip.BadGzipFile, zlib.error, ValueError, KeyError, TypeError):
            return None


def _headers(source: Any) -> list[_Header] | None:
    headers: list[_Header] = []
    end = 0  # of the data of the last HDU
    while len(headers) < _MAX_HEADERS:
        text = block = source.read(_BLOCK)
        if not text.startswith(b"XTENSION=" if headers else b"SIMPLE  ="):
            if not text and _length(source) < end:
                return None
            return headers or None  # the standard allows other records after the last HDU
        while not any(block[at : at + 8] == b"END     " for at in range(0, len(block), _CARD)):
            block = source.read(_BLOCK)
            text += block
            if len(block) < _BLOCK or len(text) > _MAX_HEADER_BYTES:
                return None
        cards, _ = _header(text, 0)
        headers.append(cards)
        end = source.tell() + _size(cards)
        source.seek(_padded(_size(cards)), 1)
    return None


def _length(source: Any) -> int:
    """Return the length of a stream; of a zipped one, which was read to its end, in full."""
    if isinstance(source, gzip.GzipFile):
        return source.tell()
    return os.fstat(source.fileno()).st_size


def _bytes(path: Path) -> bytes | None:
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        try:
            with gzip.open(stream) if zipped else nullcontext(stream) as source:
                data = source.read(_MAX_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return None
    return data if len(data) <= _MAX_BYTES else None


def _header(data: bytes, start: int) -> tuple[_Header, int]:
    """Return the cards of the header at ``start``, and where its data begin."""
    cards: _Header = {}
    for at in range(start, len(data), _CARD):
        card = data[at : at + _CARD].decode("ascii")
        name = card[:8].rstrip()
        if name == "END":
            return cards, start + _padded(at + _CARD - start)
        if card[8:10] == "= ":
            cards.setdefault(name, _value(card[10:]))
    raise ValueError("a header without an end")


def _value(text: str) -> str | int:
    text = text.strip()
    if text.startswith("'"):
        return text[1 : text.index("'", 1)].rstrip()
    text = text.partition("/")[0].strip()
    return int(text) if text.lstrip("+-").isdigit() else text


def _number(cards: _Header, name: str, default: int | None = None) -> int:
    value = cards[name] if default is None else cards.get(name, default)
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value}")
    return value


def _size(cards: _Header) -> int:
    """Return the bytes of data that belong to a header."""
    axes = [_number(cards, f"NAXIS{n + 1}") for n in range(_number(cards, "NAXIS"))]
    size = abs(int(cards["BITPIX"])) // 8 if axes else 0
    for axis in axes:
        size *= axis
    return size + (_number(cards, "PCOUNT", 0) if axes else 0)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _rows(cards: _Header, data: bytes, names: Sequence[str]) -> list[tuple[Any, ...]] | None:
    if cards["XTENSION"] != "BINTABLE" or "ZTABLE" in cards:
        return None
    width, n_rows = _number(cards, "NAXIS1"), _number(cards, "NAXIS2")
    readers = _readers(cards)
    if not set(names) <= set(readers) or len(data) < width * n_rows:
        return None
    layout = struct.Struct(">" + "".join(code for code, _ in readers.values()))
    if layout.size != width:
        return None
    columns = list(readers)
    wanted = [(columns.index(name), readers[name][1]) for name in names]
    if not all(usable for _, usable in wanted):
        return None
    return [
        tuple(_plain(row[position]) for position, _ in wanted)
        for row in layout.iter_unpack(data[: width * n_rows])
    ]


def _readers(cards: _Header) -> dict[str, tuple[str, bool]]:
    """Return the struct code of every column, and whether it is a plain scalar or text."""
    readers: dict[str, tuple[str, bool]] = {}
    for number in range(1, _number(cards, "TFIELDS") + 1):
        found = _FORMAT.match(str(cards[f"TFORM{number}"]))
        if found is None:
            raise ValueError(f"TFORM{number}")
        repeat, kind = int(found[1] or 1), found[2]
        scaled = f"TSCAL{number}" in cards or f"TZERO{number}" in cards or f"TNULL{number}" in cards
        if kind == "A":
            reader = (f"{repeat}s", True)
        elif kind in _CODES and repeat == 1 and not scaled:
            reader = (_CODES[kind][0], True)
        else:
            size = -(-repeat // 8) if kind == "X" else repeat * _SIZES[kind]
            reader = (f"{size}s", False)
        readers[str(cards[f"TTYPE{number}"])] = reader
    return readers


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.partition(b"\0")[0].decode("ascii").rstrip(" ")
    return value
