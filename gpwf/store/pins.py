"""Pins: what must stay in a store whatever becomes of the run that made it.

A pin lists the results and objects it keeps, so it needs no run directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.core.codec import from_plain, to_plain
from gpwf.core.digests import Digest, TaskKey, tagged_digest
from gpwf.errors import StoreError
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic

__all__ = ["Pin", "PinStore"]

_FORMAT = "gpwf-pin/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Something that stays.

    Parameters
    ----------
    name : str
        What was pinned, for people: a run directory or a product.
    run_id : str
        Id of the pinned run; empty for the pin of one product.
    workflow : str
        Name of the workflow, where known.
    since : str
        When it was pinned, ISO 8601 in UTC.
    keys : tuple of TaskKey
        Results that stay.
    digests : tuple of Digest
        Objects that stay.
    """

    name: str
    run_id: str = ""
    workflow: str = ""
    since: str = ""
    keys: tuple[TaskKey, ...] = ()
    digests: tuple[Digest, ...] = ()

    @property
    def id(self) -> str:
        """Short name of the pin in the store: of the run, or of what it keeps."""
        if self.run_id:
            return tagged_digest(_FORMAT, "run", self.run_id)[:16]
        return tagged_digest(_FORMAT, "product", sorted(self.digests))[:16]


class PinStore:
    """The pins of a store, ``pins/<id>.json``.

    Parameters
    ----------
    root : Path
        Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pins = root / "pins"

    def add(self, pin: Pin) -> None:
        """Set a pin; it is on the disk when this returns.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        document = {"format": _FORMAT, **to_plain(pin)}
        try:
            self._pins.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            write_atomic(self._path(pin.id), (json.dumps(document) + "\n").encode())
        except OSError as error:
            raise self._unwritable(error) from None

    def remove(self, pin: Pin) -> None:
        """Take a pin away; what it kept goes with the next `gpwf gc --apply`.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        try:
            self._path(pin.id).unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None

    def __iter__(self) -> Iterator[Pin]:
        """Yield the pins; StoreError for one that cannot be read, since it may keep anything."""
        if not self._pins.is_dir():
            return
        for path in sorted(self._pins.glob("*.json")):
            if path.name.startswith("."):
                continue
            try:
                document: Any = json.loads(path.read_bytes())
                if document["format"] != _FORMAT:
                    raise ValueError(f"format {document['format']}")
                yield from_plain(Pin, document)
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"{path}: a pin cannot be read ({error})",
                    hint="remove the file if what it kept is not needed any more",
                ) from None

    def _path(self, name: str) -> Path:
        return self._pins / f"{name}.json"

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"the store {self._root} cannot be written: {error.strerror or error}")
