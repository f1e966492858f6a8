"""A store: objects, results, digests of external files, under one folder with a format marker.

Any number of runs share a store. Everything in it is either content-addressed or can be made
again, so a run can be stopped at any instant.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.runs import Product
from gpwf.errors import StoreError
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic
from gpwf.store.inputs import InputDigests, StatCache
from gpwf.store.objects import ObjectStore
from gpwf.store.results import ResultStore

__all__ = ["STORE_FORMAT", "Store"]

#: Version of the layout; a store with a higher one is refused.
STORE_FORMAT = 1

_MARKER = "gpwf-store.json"
_FOLDERS = ("objects", "results", "damaged", "cache", "tmp")
_HINT = "choose another folder with --store or GPWF_STORE"


class Store:
    """Open a store, or make a new one.

    Parameters
    ----------
    root : Path
        Folder of the store.
    create : bool
        Make the folder where it is missing, and check that it can be written. False opens an
        existing store for reading.

    Attributes
    ----------
    objects : ObjectStore
        Bytes by content.
    results : ResultStore
        Results by task key.
    inputs : InputDigests
        Digests of external files.

    Raises
    ------
    StoreError
        Where the folder is missing, cannot be written, is no store or is of a newer version.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
        _check_folder(self.root, create=create)
        if create:
            _make(self.root)
        _check_marker(self.root)
        self.objects = ObjectStore(self.root)
        self.results = ResultStore(self.root)
        self.inputs = InputDigests(self.root, objects=self.objects)
        self._trusted = StatCache(self.root / "cache" / "objects.jsonl")

    def damage(self, product: Product) -> list[Digest]:
        """Return the digests of files of a product that are missing or not what they were.

        Bytes are read where the file has changed since they were last read; a worker that uses
        a file reads them in any case.
        """
        bad = []
        for item in product.files:
            path = self.objects.path(item.digest)
            try:
                found = self._trusted.digest(path)
            except OSError:
                bad.append(item.digest)
                continue
            if found != (item.digest, item.size):
                bad.append(item.digest)
        return bad

    def flush(self) -> None:
        """Save the caches; what is not saved is only slower next time."""
        self.inputs.flush()
        self._trusted.flush()


def _check_folder(root: Path, *, create: bool) -> None:
    if root.exists() and not root.is_dir():
        raise StoreError(f"the store {root} is a file, not a folder", hint=_HINT)
    if not create and not (root / _MARKER).is_file():
        raise StoreError(
            f"there is no store at {root}", hint="a first `gpwf run` makes it, or " + _HINT
        )
    if root.is_dir() and not (root / _MARKER).exists():
        # a store in the making by another driver has nothing but our own names in it
        strange = [item.name for item in root.iterdir() if not _is_ours(item.name)]
        if strange:
            raise StoreError(
                f"{root} is not a store: it holds {min(strange)} and no {_MARKER}", hint=_HINT
            )


def _is_ours(name: str) -> bool:
    return name in _FOLDERS or name.startswith(".")


def _make(root: Path) -> None:
    try:
        root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        for name in _FOLDERS:
            (root / name).mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        probe = root / "tmp" / f"probe-{secrets.token_hex(6)}"
        probe.touch()
        probe.unlink()
        if not (root / _MARKER).exists():
            marker = {"format": "gpwf-store", "version": STORE_FORMAT}
            write_atomic(root / _MARKER, (json.dumps(marker) + "\n").encode())
    except OSError as error:
        raise StoreError(
            f"the store {root} cannot be written: {error.strerror or error}", hint=_HINT
        ) from None


def _check_marker(root: Path) -> None:
    try:
        marker: Any = json.loads((root / _MARKER).read_bytes())
        version = int(marker["version"])
    except OSError as error:
        raise StoreError(
            f"the store {root} cannot be read: {error.strerror or error}", hint=_HINT
        ) from None
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{root / _MARKER} is not the marker of a store", hint=_HINT) from None
    if version > STORE_FORMAT:
        raise StoreError(
            f"the store {root} has version {version}; this gpwf knows {STORE_FORMAT}",
            hint="use the newer gpwf, or " + _HINT,
        )
