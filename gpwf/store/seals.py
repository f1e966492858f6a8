"""A random key that never leaves the store, for digests of what must not be found out."""

from __future__ import annotations

import os
import secrets
from functools import cached_property
from pathlib import Path

from gpwf.store.atomic import PRIVATE_FILE

__all__ = ["SealKey"]

_NAME = "seal.key"
_BYTES = 32


class SealKey:
    """The key of a store; made when it is first needed.

    Parameters
    ----------
    root : Path
        Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "cache" / _NAME

    @cached_property
    def value(self) -> bytes:
        """The key: 32 bytes.

        Where none can be kept, one that is good for this process alone: what a seal decides is
        not found again then, and runs again.
        """
        try:
            return self._read() or self._made()
        except OSError:
            return secrets.token_bytes(_BYTES)

    def _read(self) -> bytes | None:
        try:
            found = self._path.read_bytes()
        except FileNotFoundError:
            return None
        return found if len(found) == _BYTES else None

    def _made(self) -> bytes:
        """Make the key; of two who do so at once the first one wins."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = self._path.with_name(f".{_NAME}.{secrets.token_hex(6)}.part")
        key = secrets.token_bytes(_BYTES)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(key)
                stream.flush()
                os.fsync(stream.fileno())
            if self._path.exists() and self._read() is None:
                draft.replace(self._path)  # a torn one
            else:
                try:
                    os.link(draft, self._path)
                except FileExistsError:
                    pass
                except OSError:  # a file system without hard links
                    draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)
        return self._read() or key
