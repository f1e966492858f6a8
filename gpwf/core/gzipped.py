"""gzip without compression: the same bytes everywhere.

What deflate makes of its input differs between zlib implementations and versions; a product must
not. Index files that gammapy expects under a name ending in ``.gz`` are therefore stored.
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["stored_gzip"]

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no name, no time, no system
_BLOCK = 65535


def stored_gzip(data: bytes) -> bytes:
    """Return ``data`` in the gzip format, in stored blocks, without name and time.

    References
    ----------
    RFC 1951, section 3.2.4 (stored blocks); RFC 1952 (gzip).
    """
    blocks = [data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK)] or [b""]
    parts = [_HEADER]
    for number, block in enumerate(blocks, start=1):
        size = len(block)
        parts.append(struct.pack("<BHH", number == len(blocks), size, size ^ 0xFFFF))
        parts.append(block)
    parts.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)
