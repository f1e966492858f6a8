"""What a FITS file says it is, read from its cards without astropy.

The cards of an input tell which observation it is, which telescope, and who made it. Reading them
with astropy would cost an import of a second, and trust the file; here every size is bounded, and
a file that breaks the rules only says less.

References
----------
FITS Standard 4.0, https://fits.gsfc.nasa.gov/fits_standard.html (sections 3.3, 4.1, 4.2, 4.4); the
convention HIERARCH, https://fits.gsfc.nasa.gov/registry/hierarch_keyword.html; the names of the
reference metadata of ctapipe, https://ctapipe.readthedocs.io (``ctapipe.io.metadata``).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

__all__ = ["FORMAT", "IDENTITY_CARDS", "VOLATILE_CARDS", "FitsIdentity", "read_fits_identity"]

#: Cards that tell what an input is.
IDENTITY_CARDS = ("OBS_ID", "INSTRUME", "TELESCOP", "ORIGIN", "CREATOR")
#: Cards that change whenever a file is written, which the digest leaves out.
VOLATILE_CARDS = frozenset((b"CHECKSUM", b"DATASUM ", b"DATE    "))

#: Identifiers that producers of files give: ctapipe and CTAO, this program, general ones.
_PRODUCER = re.compile(
    r"CTAO?[ _](?:PRODUCT|ACTIVITY|PROCESS|INSTRUMENT)[ _]ID|GPWFKEY|(?:FILE|HDU)?UUID|PROV_?ID"
)
#: Changes with what is read; what an older version remembered is read again.
FORMAT = "gpwf-fits/1"
_CARD, _BLOCK = 80, 2880
_CHUNK = 1 << 20
_MOST_BYTES = 1 << 30  # decompressed; whoever has larger inputs has their SHA-256
_MOST_BLOCKS = 4000  # of headers, in the whole file: 144 000 cards
_MOST_HDUS = 1000
_MOST_VALUES = 8  # of one card, over all parts of the file
_MOST_TEXT = 200
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+)?\Z")
_STRING = re.compile(r"'((?:[^']|'')*)'")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

Value = str | int | float | bool


class _Broken(Exception):  # noqa: N818  (no error: what was read until then counts)
    """The file does not follow the rules from here on, or is larger than it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitsIdentity:
    """What a FITS file says it is.

    Parameters
    ----------
    cards : dict of str to list
        Distinct values of `IDENTITY_CARDS` and of the producer's own identifiers, in the order of
        the file.
    digest : str
        SHA-256 of the decompressed content but for `VOLATILE_CARDS` and padding; empty where the
        file is damaged or larger than a gigabyte.
    """

    cards: dict[str, list[Value]] = field(default_factory=dict)
    digest: str = ""

    def plain(self) -> dict[str, Any]:
        """Return plain data: ``cards`` and ``digest``."""
        return {"cards": self.cards, "digest": self.digest}


def read_fits_identity(path: Path) -> FitsIdentity | None:
    """Return what a FITS file says it is, None for any other file.

    Parameters
    ----------
    path : Path
        The file, compressed by gzip or not; its name does not count.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    with path.open("rb") as raw:
        head = raw.read(9)
        raw.seek(0)
        if head[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
                return _read(io.BufferedReader(stream, _CHUNK))
        return _read(raw) if head[:9] == b"SIMPLE  =" else None


def _read(stream: IO[bytes]) -> FitsIdentity | None:
    """Read a decompressed file, part by part."""
    reader = _Reader(stream)
    cards: dict[str, list[Value]] = {}
    digest = ""
    is_fits = False
    try:
        is_fits = reader.peek() == b"SIMPLE  ="
        for _ in range(_MOST_HDUS if is_fits else 0):
            header = reader.header(cards)
            if header is None:
                digest = reader.hash.hexdigest()
                break
            reader.data(header.data_bytes)
    except (_Broken, EOFError, zlib.error, gzip.BadGzipFile):
        pass  # what was read until then counts
    return FitsIdentity(cards=cards, digest=digest) if is_fits else None


@dataclass(slots=True)
class _Header:
    """The header of one part of a file: what it says, and how many bytes of data follow."""

    cards: dict[str, list[Value]]
    sizes: dict[str, Value] = field(default_factory=dict)

    @property
    def data_bytes(self) -> int:
        """Size of the data in bytes, after equations 1, 2 and 4 of the standard."""

        def number(name: str, default: int) -> int:
            value = self.sizes.get(name, default)
            if isinstance(value, bool) or not isinstance(value, int):
                raise _Broken
            return value

        n_axes = number("NAXIS", 0)
        if not 0 <= n_axes <= 999:
            raise _Broken
        lengths = [number(f"NAXIS{n}", 0) for n in range(1, n_axes + 1)]
        if self.sizes.get("GROUPS") is True and lengths and lengths[0] == 0:
            lengths = lengths[1:]  # random groups
        size = 1 if lengths else 0
        for length in lengths:
            size *= length
            if not 0 <= size <= _MOST_BYTES:
                raise _Broken
        size = abs(number("BITPIX", 8)) // 8 * number("GCOUNT", 1) * (number("PCOUNT", 0) + size)
        if not 0 <= size <= _MOST_BYTES:
            raise _Broken
        return size


class _Reader:
    """Reads blocks, and hashes what is neither volatile nor padding."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _MOST_BYTES
        self._blocks = 0
        self._ahead = b""
        self.hash = hashlib.sha256(FORMAT.encode())

    def peek(self) -> bytes:
        """Return the first bytes of the file."""
        self._ahead = self._take(_BLOCK)
        return self._ahead[:9]

    def _take(self, size: int) -> bytes:
        """Return so many bytes, fewer only at the end of the file."""
        self._left -= size
        if self._left < 0:
            raise _Broken
        return self._stream.read(size)

    def header(self, cards: dict[str, list[Value]]) -> _Header | None:
        """Return the next header; None at the end of the file."""
        header = _Header(cards)
        first = True
        while True:
            block, self._ahead = self._ahead or self._take(_BLOCK), b""
            if first and not block.strip(b"\x00 "):
                return None  # nothing, or what tapes were filled up with
            first = False
            self._blocks += 1
            if len(block) < _BLOCK or self._blocks > _MOST_BLOCKS:
                raise _Broken
            if self._cards(block, header):
                return header

    def _cards(self, block: bytes, header: _Header) -> bool:
        """Take in the cards of a block; return True where it has the last one."""
        kept: list[bytes] = []
        for start in range(0, _BLOCK, _CARD):
            card = block[start : start + _CARD]
            name = card[:8]
            if name == b"END     " and not card[8:].strip():
                self.hash.update(b"".join(kept) + card)
                return True
            if name in VOLATILE_CARDS:
                continue
            kept.append(card)
            if card[8:10] == b"= ":
                key = name.decode("latin-1").rstrip()
            elif name == b"HIERARCH":
                key = card[8:].partition(b"=")[0].decode("latin-1").strip().upper()
            else:
                continue
            _note(key, card, header)
        self.hash.update(b"".join(kept))
        return False

    def data(self, size: int) -> None:
        """Pass over data and what fills up its last block."""
        left = size
        while left:
            chunk = self._take(min(left, _CHUNK))
            if not chunk:
                raise _Broken
            self.hash.update(chunk)
            left -= len(chunk)
        self._take(-size % _BLOCK)


def _note(key: str, card: bytes, header: _Header) -> None:
    """Keep a card that says what the file is, or how large its data are."""
    if key in IDENTITY_CARDS or _PRODUCER.fullmatch(key):
        value = _value(card)
        if value is not None and value != "":
            known = header.cards.setdefault(key, [])
            if value not in known and len(known) < _MOST_VALUES:
                known.append(value)
    elif key in ("BITPIX", "PCOUNT", "GCOUNT", "GROUPS") or key.startswith("NAXIS"):
        value = _value(card)
        if value is not None:
            header.sizes.setdefault(key, value)


def _value(card: bytes) -> Value | None:
    """Return the value of a card, None where it has none that can be understood."""
    text = card.partition(b"=")[2].decode("latin-1").strip()
    if text.startswith("'"):
        match = _STRING.match(text)
        if match is None:
            return None
        return _UNPRINTABLE.sub("?", match[1].replace("''", "'")).rstrip()[:_MOST_TEXT]
    text = text.partition("/")[0].strip()
    if text in ("T", "F"):
        return text == "T"
    if not _NUMBER.match(text):
        return None
    try:
        return int(text)
    except ValueError:
        found = float(text.upper().replace("D", "E"))
        return found if abs(found) < float("inf") else None
