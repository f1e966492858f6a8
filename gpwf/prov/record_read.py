"""PROV-JSON for pictures: read line by line where a record has a line of its own.

Records of gpwf do (`gpwf.prov.json_sections`), which keeps a record of 100 000 tasks out of memory
and lets the whole lines of a torn one be read. Every other PROV-JSON file is read as a whole.

References
----------
PROV-JSON, https://www.w3.org/submissions/prov-json/
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from gpwf.errors import ProvenanceError

__all__ = ["Entry", "RecordFile", "entries_of"]

#: A record: section, identifier, attributes, and where its line begins (-1 where it has none).
Entry = tuple[str, str, dict[str, Any], int]

_SECTION = re.compile(rb'"([A-Za-z]+)":\{\s*\Z')
_ELEMENTS = ("entity", "activity", "agent")
_BLOCK = 1000  # lines that are decoded at a time
_HINT = "expected PROV-JSON; `gpwf prov export` writes the record of a run again"


_LARGE = 1 << 26  # bytes from which a file stays where it is


class _LineError(Exception):
    """The file is not one record per line, or not to its end."""


class RecordFile:
    """A PROV-JSON file.

    Parameters
    ----------
    path : Path
        File to read.

    Attributes
    ----------
    note : str
        What a reader has to know, empty as a rule: of a torn file a part is missing.

    Raises
    ------
    ProvenanceError
        Where there is no such file, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note = ""
        try:
            self._data = _content(path)
        except OSError as error:
            raise ProvenanceError(
                f"cannot read {path}: {error.strerror}",
                hint="expected a PROV-JSON file, prov.json of a run",
            ) from error

    def entries(self, skip: Collection[str] = ()) -> Iterator[Entry]:
        """Yield the records, those of bundles included; ``prefix`` is a section as well.

        Parameters
        ----------
        skip : collection of str
            Sections that need not be decoded.

        Raises
        ------
        ProvenanceError
            Where the file is no PROV-JSON, or torn before the first record.
        """
        self.note = ""
        n_read = 0
        try:
            for entry in self._by_line(skip):
                n_read += entry[0] != "prefix"
                yield entry
        except _LineError as error:
            if n_read:
                # Its lines were those of a record so far: it was cut off, or somebody edited it.
                line = sum(1 for _ in re.finditer(rb"\n", self._data[: error.args[0]])) + 1
                self.note = (
                    f"{self.path} is damaged at line {line}: only what stands before is here"
                )
                return
            yield from entries_of(self._whole())

    def at(self, place: int) -> dict[str, Any]:
        """Return the attributes of the record whose line begins at a place."""
        end = self._data.find(b"\n", place)
        line = self._data[place : end if end >= 0 else None]
        (attributes,) = json.loads(b"{" + line.rstrip(b",\r ") + b"}").values()
        return _mapping(attributes)

    def _by_line(self, skip: Collection[str]) -> Iterator[Entry]:
        data, place, section = self._data, 0, ""
        first, place = self._line(place)
        if first != b"{":
            raise _LineError(0)
        block: list[tuple[int, bytes]] = []
        while place < len(data):
            start = place
            line, place = self._line(place)
            if not section:
                if line in (b"}", b""):
                    continue
                found = _SECTION.match(line)
                if found is None:
                    raise _LineError(start)
                section = found[1].decode()
            elif line in (b"}", b"},"):
                yield from _decoded(section, block)
                block, section = [], ""
            elif section not in skip:
                block.append((start, line))
                if len(block) >= _BLOCK:
                    yield from _decoded(section, block)
                    block = []
        yield from _decoded(section, block)
        if section or not data[-100:].rstrip().endswith(b"}"):
            raise _LineError(len(data))

    def _line(self, place: int) -> tuple[bytes, int]:
        end = self._data.find(b"\n", place)
        end = end if end >= 0 else len(self._data)
        return self._data[place:end].strip(), end + 1

    def _whole(self) -> Mapping[str, Any]:
        path = self.path
        try:
            data = json.loads(bytes(self._data).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ProvenanceError(
                f"cannot read {path}: it is not a text file", hint=_HINT
            ) from error
        except json.JSONDecodeError as error:
            what = "is torn" if error.pos >= len(error.doc.rstrip()) - 1 else "is not JSON"
            raise ProvenanceError(
                f"{path}:{error.lineno}:{error.colno}: the file {what}: {error.msg}", hint=_HINT
            ) from error
        except RecursionError as error:
            raise ProvenanceError(f"{path}: too deeply nested", hint=_HINT) from error
        if not isinstance(data, dict) or not any(isinstance(data.get(k), dict) for k in _ELEMENTS):
            raise ProvenanceError(
                f"{path} is JSON but holds no entity, activity or agent: not PROV-JSON", hint=_HINT
            )
        return data


def _content(path: Path) -> bytes | mmap.mmap:
    if not path.is_file() or path.stat().st_size < _LARGE:
        return path.read_bytes()
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _decoded(section: str, block: list[tuple[int, bytes]]) -> Iterator[Entry]:
    """Yield the records of some lines; the keys of many lines decoded at once share memory."""
    if not block:
        return
    if section == "bundle":
        raise _LineError(block[0][0])
    text = b",".join(line.rstrip(b",") for _, line in block)
    try:
        found = json.loads(b"{" + text + b"}")
    except (ValueError, RecursionError):
        found = {}
    if len(found) == len(block):
        for (start, _), (name, attributes) in zip(block, found.items(), strict=True):
            yield from _entry(section, name, attributes, start)
        return
    for start, line in block:
        try:
            ((name, attributes),) = json.loads(b"{" + line.rstrip(b",") + b"}").items()
        except (ValueError, RecursionError) as error:
            raise _LineError(start) from error
        yield from _entry(section, name, attributes, start)


def _entry(section: str, name: str, attributes: Any, start: int) -> Iterator[Entry]:
    if section == "prefix":
        yield section, name, {"": attributes}, -1
    elif isinstance(attributes, list):  # one identifier, several records
        for part in attributes:
            yield section, name, _mapping(part), -1
    else:
        yield section, name, _mapping(attributes), start


def entries_of(data: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the records of a PROV-JSON document that is in memory, those of bundles included."""
    for section, records in data.items():
        if not isinstance(records, Mapping):
            continue
        for name, attributes in records.items():
            if section == "bundle":
                yield from entries_of(_mapping(attributes))
            else:
                yield from _entry(section, name, attributes, -1)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
