"""The runs that use a store: ``runs/<run id>.json``, one small entry each.

An entry says where the run directory is. Whether it is still there, and what the run needs, is
found out when somebody wants to know: the run's own journal is the truth.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from gpwf.core.codec import from_plain, to_plain
from gpwf.core.digests import digest_bytes
from gpwf.errors import StoreError
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic
from gpwf.store.clock import ClockReading, read_clock

__all__ = ["Presence", "RegisteredRun", "RunRegistry"]

_FORMAT = "gpwf-run/1"
_PLAIN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Presence(StrEnum):
    """Whether a run directory is where its entry says."""

    HERE = "here"
    GONE = "gone"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredRun:
    """An entry.

    Parameters
    ----------
    run_id : str
        Id of the run, as in its journal.
    path : str
        The run directory, absolute.
    relative : str
        The same, seen from the store: both may have been moved together.
    mount : str
        Where the file system of the run directory was mounted: a folder that is missing because
        its disk is, is not gone.
    workflow : str
        Name of the workflow.
    registered : str
        When, ISO 8601 in UTC.
    clock : ClockReading
        The clocks then.
    """

    run_id: str
    path: str
    relative: str
    mount: str
    workflow: str
    registered: str
    clock: ClockReading

    def places(self, store: Path) -> tuple[Path, ...]:
        """Return where the run directory may be."""
        moved = Path(os.path.normpath(store / self.relative))
        return tuple(dict.fromkeys((Path(self.path), moved)))

    def presence(self, store: Path) -> tuple[Presence, Path]:
        """Return whether a run directory is there, and where.

        Unreachable is what may come back: a disk that is not mounted, a folder that this user
        may not enter.
        """
        for place in self.places(store):
            try:
                if place.is_dir() and os.access(place, os.R_OK | os.X_OK):
                    return Presence.HERE, place
                place.stat()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    return Presence.UNREACHABLE, place
                continue
            if place.is_dir():
                return Presence.UNREACHABLE, place
        away = self.mount not in ("", os.sep) and not os.path.ismount(self.mount)
        return Presence.UNREACHABLE if away else Presence.GONE, Path(self.path)


class RunRegistry:
    """The entries of a store.

    Parameters
    ----------
    root : Path
        Folder of the store; ``runs`` lies in it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entries = root / "runs"

    def path(self, run_id: str) -> Path:
        """Return where the entry of a run is, or would be."""
        plain = _PLAIN_ID.fullmatch(run_id) is not None
        return self._entries / f"{run_id if plain else digest_bytes(run_id.encode())}.json"

    def add(self, path: Path, run_id: str, *, workflow: str = "") -> None:
        """Make a run known; it is on the disk when this returns.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        place = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        entry = RegisteredRun(
            run_id=run_id,
            path=str(place),
            relative=os.path.relpath(os.path.realpath(place), os.path.realpath(self._root)),
            mount=_mount_of(place),
            workflow=workflow,
            registered=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            clock=read_clock(),
        )
        document = {"format": _FORMAT, **to_plain(entry)}
        try:
            self._entries.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            write_atomic(self.path(run_id), (json.dumps(document) + "\n").encode())
        except OSError as error:
            raise StoreError(
                f"the store {self._root} cannot be written: {error.strerror or error}",
                hint="make room, or choose another folder with --store or GPWF_STORE",
            ) from None

    def get(self, run_id: str) -> RegisteredRun | None:
        """Return the entry of a run, None where there is none that can be read."""
        try:
            return _read(self.path(run_id).read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def entries(self) -> Iterator[tuple[RegisteredRun, int]]:
        """Yield every entry with the file system's time of it, in nanoseconds.

        Raises
        ------
        StoreError
            For an entry that cannot be read: the run that it stands for may need anything.
        """
        if not self._entries.is_dir():
            return
        for path in sorted(self._entries.glob("*.json")):
            if path.name.startswith("."):
                continue
            try:
                stamp = path.stat().st_mtime_ns
                yield _read(path.read_bytes()), stamp
            except FileNotFoundError:  # somebody cleans up
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"{path}: the entry of a run cannot be read ({error})",
                    hint="remove the file if that run is not needed any more",
                ) from None

    def remove(self, run_id: str) -> None:
        """Forget a run."""
        with contextlib.suppress(FileNotFoundError):
            self.path(run_id).unlink()


def _read(data: bytes) -> RegisteredRun:
    document: Any = json.loads(data)
    if document["format"] != _FORMAT:
        raise ValueError(f"format {document['format']}")
    return from_plain(RegisteredRun, document)


def _mount_of(path: Path) -> str:
    """Return where the file system of a path is mounted."""
    place = Path(os.path.realpath(path))
    while not os.path.ismount(place):
        place = place.parent
    return str(place)
