"""The journal of a run: append-only JSON Lines, one writer, every line checked and chained.

A line is ``{"sum": "<sha256>", "v": 1, "seq": 7, "prev": "<sum of line 6>", "event": {…}}``. The
sum is the SHA-256 of the rest of the line, from the comma behind it to the closing brace, so any
changed, lost or reordered byte shows. What follows the first bad line was torn by a crash: the
reader passes it over, the writer sets it aside before it goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from gpwf.core.codec import event_from_plain
from gpwf.core.event_text import event_text
from gpwf.core.runs import AttemptFinished, RunEvent, RunFinished, RunStarted
from gpwf.errors import RunError
from gpwf.store.atomic import sync_folder

__all__ = [
    "JOURNAL_VERSION",
    "Journal",
    "JournalScan",
    "JournalTail",
    "read_journal",
    "scan_journal",
]

#: Version of the line format; a journal with a higher one is refused.
JOURNAL_VERSION = 1

_FIRST = "0" * 64
_HEAD = b'{"sum": "'
_SUM_END = len(_HEAD) + 64 + 1
#: Events that are on the disk at once.
_DURABLE = (RunStarted, RunFinished)
_SYNC_EVERY_S = 0.1
_PART = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalScan:
    """What a journal holds.

    Parameters
    ----------
    events : tuple of RunEvent
        Up to the first bad line.
    good_bytes, total_bytes : int
        Length of the good part and of the file.
    last_sum : str
        Sum of the last good line: the end of the chain.
    """

    events: tuple[RunEvent, ...]
    good_bytes: int
    total_bytes: int
    last_sum: str

    @property
    def is_torn(self) -> bool:
        """True where something follows the good part."""
        return self.good_bytes < self.total_bytes


def _encode(seq: int, prev: str, event: RunEvent) -> tuple[bytes, str]:
    text = event_text(event)
    rest = f', "v": {JOURNAL_VERSION}, "seq": {seq}, "prev": "{prev}", "event": {text}}}'.encode()
    checksum = hashlib.sha256(rest).hexdigest()
    return _HEAD + checksum.encode() + b'"' + rest + b"\n", checksum


def _decode(line: bytes, seq: int, prev: str) -> tuple[dict[str, Any], str] | None:
    """Return the event and the sum of a line, None where the line is not the next of the chain."""
    checksum = hashlib.sha256(line[_SUM_END:]).hexdigest()
    if line[:_SUM_END] != _HEAD + checksum.encode() + b'"':
        return None
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("seq") != seq or document["prev"] != prev:
        return None
    if document["v"] > JOURNAL_VERSION:
        raise RunError(
            f"the journal has version {document['v']}; this gpwf knows {JOURNAL_VERSION}",
            hint="use the gpwf that wrote it, or a newer one",
        )
    event = document["event"]
    return (event, checksum) if isinstance(event, dict) else None


def scan_journal(path: Path) -> JournalScan:
    """Return what a journal holds, up to its first bad line.

    Raises
    ------
    RunError
        Where the file cannot be read or was written by a newer gpwf.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(
            f"cannot read the journal {path}: {error.strerror or error}",
            hint="is this a run directory? `gpwf runs` lists them",
        ) from None
    events: list[RunEvent] = []
    good, prev = 0, _FIRST
    while (end := data.find(b"\n", good)) >= 0:
        found = _decode(data[good:end], len(events), prev)
        if found is None:
            break
        events.append(_event(path, len(events), found[0]))
        good, prev = end + 1, found[1]
    return JournalScan(events=tuple(events), good_bytes=good, total_bytes=len(data), last_sum=prev)


def _event(path: Path, seq: int, data: dict[str, Any]) -> RunEvent:
    try:
        return event_from_plain(data)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path}, line {seq + 1}: an event that this gpwf does not know ({error})",
            hint="use the gpwf that wrote it, or a newer one",
        ) from None


class JournalTail:
    """Reader of a journal that grows; usable as a context manager.

    Parameters
    ----------
    path : Path
        The journal; read from its beginning.

    Raises
    ------
    OSError
        Where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open("rb", buffering=0)
        self._rest = b""
        self._seq = 0
        self._prev = _FIRST

    def read(self) -> Iterator[RunEvent]:
        """Yield the events that were written since the last time.

        Raises
        ------
        RunError
            Where a line is not the next of the chain, or was written by a newer gpwf.
        """
        while part := self._stream.read(_PART):
            lines = (self._rest + part).split(b"\n")
            self._rest = lines.pop()  # a line that has no end yet
            for line in lines:
                found = _decode(line, self._seq, self._prev)
                if found is None:
                    raise RunError(
                        f"{self._path}, line {self._seq + 1} is damaged",
                        hint="`gpwf run` again goes on with what lies before it",
                    )
                yield _event(self._path, self._seq, found[0])
                self._seq += 1
                self._prev = found[1]

    def __enter__(self) -> JournalTail:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()


def read_journal(path: Path) -> list[RunEvent]:
    """Return the events of a journal; a torn end, of a live or a dead driver, is passed over.

    Raises
    ------
    RunError
        Where the file cannot be read or was written by a newer gpwf.
    """
    return list(scan_journal(path).events)


class Journal:
    """Writer of a journal; usable as a context manager.

    The caller holds the lock of the run directory. A torn end is moved to
    ``journal.jsonl.torn-<n>`` first.

    Parameters
    ----------
    path : Path
        File to make, or to go on with.

    Attributes
    ----------
    events : tuple of RunEvent
        What was there before.
    last_sum : str
        End of the chain so far; changes with every event.

    Raises
    ------
    RunError
        Where the file cannot be written or was written by a newer gpwf.
    """

    def __init__(self, path: Path) -> None:
        self._handle = -1
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            sync_folder(path.parent)  # the name of a new file
            scan = scan_journal(path)
            if scan.is_torn:
                self._set_tail_aside(path, scan)
            os.lseek(self._handle, 0, os.SEEK_END)
        except OSError as error:
            self.close()
            raise RunError(
                f"cannot write the journal {path}: {error.strerror or error}",
                hint="choose another folder with --run-dir",
            ) from None
        except BaseException:
            self.close()
            raise
        self.events = scan.events
        self.last_sum = scan.last_sum
        self._seq = len(scan.events)
        self._end = scan.good_bytes
        self._synced_s = -math.inf
        self._is_due = False

    def append(self, event: RunEvent) -> None:
        """Write one event; the first and the last of a run are on the disk when this returns.

        Ends of attempts are soon: see `sync_if_due`. What a power cut takes of them the store
        still knows.

        Raises
        ------
        RunError
            Where the disk is full or gone.
        """
        line, checksum = _encode(self._seq, self.last_sum, event)
        try:
            _write_all(self._handle, line)
            if isinstance(event, _DURABLE):
                self._sync()
        except OSError as error:
            self._take_back(self._end)
            raise RunError(
                f"cannot write the journal: {error.strerror or error}",
                hint="make room and run again: finished tasks are kept",
            ) from None
        self._seq += 1
        self._end += len(line)
        self.last_sum = checksum
        self._is_due = self._is_due or isinstance(event, AttemptFinished)

    @property
    def due_s(self) -> float:
        """In how many seconds something should be on the disk; infinite where all of it is."""
        if not self._is_due:
            return math.inf
        return max(0.0, self._synced_s + _SYNC_EVERY_S - time.monotonic())

    def sync_if_due(self) -> None:
        """Bring ends of attempts to the disk, ten times a second at most.

        Raises
        ------
        RunError
            Where the disk is gone.
        """
        if self.due_s > 0.0:
            return
        try:
            self._sync()
        except OSError as error:
            raise RunError(
                f"cannot write the journal: {error.strerror or error}",
                hint="make room and run again: finished tasks are kept",
            ) from None

    def extend(self, events: Iterable[RunEvent]) -> None:
        """Write several events in order."""
        for event in events:
            self.append(event)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _sync(self) -> None:
        # macOS has no fdatasync
        getattr(os, "fdatasync", os.fsync)(self._handle)
        self._synced_s = time.monotonic()
        self._is_due = False

    def _take_back(self, begin: int) -> None:
        """Remove a part of a line, behind which nothing could be read any more."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, begin)
            os.lseek(self._handle, begin, os.SEEK_SET)

    def _set_tail_aside(self, path: Path, scan: JournalScan) -> None:
        number = 1
        while (target := path.with_name(f"{path.name}.torn-{number}")).exists():
            number += 1
        os.lseek(self._handle, scan.good_bytes, os.SEEK_SET)
        with target.open("xb") as stream:
            while chunk := os.read(self._handle, 1 << 20):
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        os.ftruncate(self._handle, scan.good_bytes)
        os.fsync(self._handle)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
