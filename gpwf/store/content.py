"""The digest of a file, and the digest of what is in it whichever task made it."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator

from gpwf.core.digests import Digest

__all__ = ["digests_of"]

_CHUNK = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS = (b"tEXt", b"iTXt")
_PNG_MOST = 100  # chunks of a picture that are looked at
_PNG_LONGEST = 1 << 16  # bytes of a text that is looked at
_GZIP = b"\x1f\x8b"

_Range = tuple[int, int]


def digests_of(handle: int, mark: bytes) -> tuple[Digest, str]:
    """Return the SHA-256 of the bytes, and of the bytes with ``mark`` blanked.

    Blanked with the mark are the checksums that a format keeps of the text around it.

    Parameters
    ----------
    handle : int
        Descriptor of an open regular file, at its beginning.
    mark : bytes
        Text that the file may carry and that is no part of its content.

    Returns
    -------
    digest : Digest
        Of the bytes.
    data_digest : str
        Of the blanked bytes; empty where the mark does not occur.
    """
    whole, data = hashlib.sha256(), hashlib.sha256()
    blank, keep = b"0" * len(mark), max(0, len(mark) - 1)
    sums = tuple(_own_checksums(handle)) if mark else ()
    rest, found, at = b"", False, 0
    while chunk := os.read(handle, _CHUNK):
        whole.update(chunk)
        if mark:
            rest += _without(chunk, at, sums)
            at += len(chunk)
            found = found or mark in rest
            rest = rest.replace(mark, blank)
            # a mark may begin in this chunk and end in the next
            cut = max(0, len(rest) - keep)
            data.update(rest[:cut])
            rest = rest[cut:]
    data.update(rest)
    return Digest(whole.hexdigest()), data.hexdigest() if found else ""


def _own_checksums(handle: int) -> Iterator[_Range]:
    """Yield where the format of a file keeps checksums of text that may hold the mark.

    References
    ----------
    RFC 1952, section 2.3.1 (gzip); Portable Network Graphics, third edition, section 5.3 (chunks).
    """
    head = os.pread(handle, len(_PNG), 0)
    if head.startswith(_GZIP):
        size = os.fstat(handle).st_size
        yield max(0, size - 8), max(0, size - 4)
    if head != _PNG:
        return
    at = len(_PNG)
    for _ in range(_PNG_MOST):
        header = os.pread(handle, 8, at)
        if len(header) < 8:
            return
        length, kind = struct.unpack(">I4s", header)
        if kind == b"IDAT":  # texts come before the picture
            return
        end = at + 8 + length
        if kind in _PNG_TEXTS and length <= _PNG_LONGEST:
            found = os.pread(handle, length + 8, at + 4)
            if found[-4:] == struct.pack(">I", zlib.crc32(found[:-4])):  # else it is damage
                yield end, end + 4
        at = end + 4


def _without(chunk: bytes, at: int, ranges: tuple[_Range, ...]) -> bytes:
    """Return a part of a file that begins at ``at``, with zeros in these ranges of the file."""
    for start, stop in ranges:
        low, high = max(start - at, 0), min(stop - at, len(chunk))
        if low < high:
            chunk = chunk[:low] + bytes(high - low) + chunk[high:]
    return chunk
