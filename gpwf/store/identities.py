"""What input files say of themselves, remembered by their content.

The cache is disposable: without it the headers are read again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.store.atomic import write_atomic
from gpwf.store.fits_headers import FORMAT, read_fits_identity

__all__ = ["Identities"]

_SCALARS = (str, int, float, bool)
#: Size from which on only what this process asked for is kept: some 80 000 files.
_MOST_BYTES = 32 * 1024 * 1024


class Identities:
    """Identities of FITS files by SHA-256, in one JSON Lines file.

    Parameters
    ----------
    path : Path
        File of the cache; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = {}
        self._new: dict[str, dict[str, Any]] = {}
        self._asked: set[str] = set()
        self._loaded = False

    def of(self, path: Path, digest: Digest) -> Mapping[str, Any] | None:
        """Return what a file says of itself, None where it is no FITS file or cannot be read.

        Parameters
        ----------
        path : Path
            The file.
        digest : Digest
            Its SHA-256.
        """
        self._load()
        found = self._known.get(digest)
        self._asked.add(digest)
        if found is None:
            try:
                read = read_fits_identity(path)
            except OSError:
                read = None
            if read is None:
                self._asked.discard(digest)
                return None
            found = self._known[digest] = self._new[digest] = read.plain()
        return found

    def forget(self, digest: Digest) -> None:
        """Forget what was read of a file: it changed meanwhile."""
        self._known.pop(digest, None)
        self._new.pop(digest, None)
        self._asked.discard(digest)

    def flush(self) -> None:
        """Save what is new, where that is possible: it is only slower next time."""
        if not self._new:
            return
        with contextlib.suppress(OSError):  # a full disk, a store for reading only
            if self._path.exists() and self._path.stat().st_size > _MOST_BYTES:
                kept = {digest: self._known[digest] for digest in self._asked}
                write_atomic(self._path, _lines(kept).encode(), durable=False)
            else:
                with self._path.open("a", encoding="utf-8") as stream:
                    stream.write(_lines(self._new))  # a line that is torn is passed over
            self._new.clear()

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        try:
            data = self._path.read_bytes()
        except OSError:
            return
        for line in data.splitlines():
            try:
                form, digest, item = json.loads(line)
            except (ValueError, TypeError, RecursionError):
                continue
            if form == FORMAT and isinstance(digest, str) and _is_identity(item):
                self._known[digest] = item


def _lines(items: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps([FORMAT, digest, item])}\n" for digest, item in items.items())


def _is_identity(item: Any) -> bool:
    """Return True for what `FitsIdentity.plain` returns; the file may be damaged."""
    if not isinstance(item, dict) or not isinstance(item.get("digest"), str):
        return False
    cards = item.get("cards")
    return isinstance(cards, dict) and all(
        isinstance(values, list) and all(isinstance(value, _SCALARS) for value in values)
        for values in cards.values()
    )
