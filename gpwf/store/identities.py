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
from gpwf.store.fits_headers import FORMAT, read_fits_identity

__all__ = ["Identities"]

_SCALARS = (str, int, float, bool)


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
        if found is None:
            try:
                read = read_fits_identity(path)
            except OSError:
                return None
            if read is None:
                return None
            found = self._known[digest] = self._new[digest] = read.plain()
        return found

    def forget(self, digest: Digest) -> None:
        """Forget what was read of a file: it changed meanwhile."""
        self._known.pop(digest, None)
        self._new.pop(digest, None)

    def flush(self) -> None:
        """Save what is new, where that is possible: it is only slower next time."""
        if not self._new:
            return
        lines = [json.dumps([FORMAT, digest, item]) + "\n" for digest, item in self._new.items()]
        with contextlib.suppress(OSError):  # a full disk, a store for reading only
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write("".join(lines))  # a line that is torn is passed over
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


def _is_identity(item: Any) -> bool:
    """Return True for what `FitsIdentity.plain` returns; the file may be damaged."""
    if not isinstance(item, dict) or not isinstance(item.get("digest"), str):
        return False
    cards = item.get("cards")
    return isinstance(cards, dict) and all(
        isinstance(values, list) and all(isinstance(value, _SCALARS) for value in values)
        for values in cards.values()
    )
