"""What a product file says of itself, wherever it was copied: the cards that gpwf writes into it.

FITS files have them in the primary header, ECSV and JSON in their metadata, YAML in comments,
figures in their metadata: see `gpwf.store.formats`. All are text, so no library is needed.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

__all__ = ["read_cards"]

_LOOKED_AT = 1 << 18  # bytes at either end of a file
_HEADER = 2880 * 512  # longest primary header that is read
_CARD = re.compile(
    rb"GPWF(?P<name>KEY|PORT|TAG)[\"']?(?:\x00|\s*[:=]\s*)[\"']?(?P<value>[A-Za-z0-9_.-]+)"
)
_KEY = re.compile(r"[0-9a-f]{64}\Z")


def read_cards(path: Path) -> dict[str, str]:
    """Return the cards in a file by name: ``GPWFKEY``, ``GPWFPORT``, ``GPWFTAG``.

    Parameters
    ----------
    path : Path
        Any file, also a packed one.

    Returns
    -------
    dict
        Empty for a file that has none, or whose task key is none.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    with path.open("rb") as stream:
        data = stream.read(_LOOKED_AT)
        if data[:2] == b"\x1f\x8b":
            data = _unpacked(path)
        elif data[:9] == b"SIMPLE  =":
            stream.seek(0)
            data = stream.read(_HEADER)
        else:
            stream.seek(max(path.stat().st_size - _LOOKED_AT, len(data)))
            data += b"\n" + stream.read()
    if data[:9] == b"SIMPLE  =":
        data = _primary_header(data)
    found: dict[str, str] = {}
    for match in _CARD.finditer(data):
        found.setdefault(f"GPWF{match['name'].decode()}", match["value"].decode())
    return found if _KEY.match(found.get("GPWFKEY", "")) else {}


def _primary_header(data: bytes) -> bytes:
    """Return the cards of ours in the primary header, each in a line."""
    lines = []
    for begin in range(0, len(data), 80):
        card = data[begin : begin + 80]
        if card[:8] == b"END     ":
            break
        if card[:4] == b"GPWF":
            lines.append(card.partition(b"/")[0])
    return b"\n".join(lines)


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            return stream.read(_HEADER)
    except (OSError, EOFError, zlib.error):  # torn, or packed otherwise
        return b""
