"""A record together with what was ingested, as one file: streamed, so that its size matters little.

The documents beside the record are small and are held in memory. The record goes by, record after
record, and takes in what they say of the same things.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gpwf.errors import ProvenanceError
from gpwf.prov.ingest import companions, merge_into, read_companion
from gpwf.prov.validation.json_stream import Damage, Member, members

__all__ = ["companion_sections", "with_ingested", "write_whole"]

_ELEMENTS = ("entity", "activity", "agent")
_ORDER = ("prefix", *_ELEMENTS)

Sections = dict[str, dict[str, Any]]


@contextmanager
def with_ingested(record: Path, documents: Sequence[Path] | None = None) -> Iterator[Path]:
    """Give a file with the record and all that belongs to it; the record itself where that is all.

    A record that is not PROV-JSON, or torn, is given as it is.

    Parameters
    ----------
    record : Path
        The record.
    documents : sequence of Path, optional
        What belongs to it; what lies beside it by default.

    Raises
    ------
    ProvenanceError
        Where an ingested document cannot be read.
    """
    documents = companions(record) if documents is None else documents
    if not documents:
        yield record
        return
    with tempfile.TemporaryDirectory(prefix="gpwf-record-") as folder:
        path = Path(folder) / record.name
        with path.open("wb") as stream:
            is_whole = write_whole(record, documents, stream)
        yield path if is_whole else record


def companion_sections(documents: Sequence[Path]) -> Sections:
    """Return what several documents say, as one PROV-JSON document.

    Raises
    ------
    ProvenanceError
        Where one of them cannot be read.
    """
    whole: Sections = {}
    for number, path in enumerate(documents, start=1):
        for section, records in read_companion(path).items():
            into = whole.setdefault(section, {})
            for name, value in records.items():
                merge_into(into, section, name, value, number)
    return whole


def write_whole(record: Path, documents: Sequence[Path], stream: IO[bytes]) -> bool:
    """Write a record with documents that belong to it, one record in a line.

    Returns
    -------
    bool
        False where the record is torn or no PROV-JSON: what was written is worth nothing then.

    Raises
    ------
    ProvenanceError
        Where an ingested document cannot be read.
    """
    rest = companion_sections(documents)
    texts = {name: {_plain(value) for value in found.values()} for name, found in rest.items()}
    section, is_first, sections = "", True, 0
    try:
        for item in members(record):
            if isinstance(item, Damage):
                return False
            if _begins(item):
                if section:
                    _end(stream, rest.pop(section, {}), is_first)
                section, is_first = item.section, True
                _begin(stream, section, sections)
                sections += 1
                continue
            value = _together(rest.get(section), texts.get(section, set()), item)
            _line(stream, item.name, value, is_first)
            is_first = False
    except ProvenanceError:  # a record in another format
        return False
    if section:
        _end(stream, rest.pop(section, {}), is_first)
    for name in sorted(rest, key=lambda name: (_rank(name), name)):
        _begin(stream, name, sections)
        _end(stream, rest[name], True)
        sections += 1
    stream.write(b"}\n")
    return bool(section)


def _rank(section: str) -> int:
    return _ORDER.index(section) if section in _ORDER else len(_ORDER)


def _begins(item: Member) -> bool:
    return not item.name and item.value is None


def _together(more: dict[str, Any] | None, texts: set[str], item: Member) -> Any:
    """Return a record with what the documents say of it; that is taken out of them."""
    if not more:
        return item.value
    section, name, value = item
    if name in more:
        into = {name: value}
        merge_into(into, section, name, more.pop(name), 1)
        return into[name]
    if section not in _ORDER and _plain(value) in texts:  # the same without a name
        for other in [key for key, found in more.items() if key.startswith("_:")]:
            if more[other] == value:
                del more[other]
    return value


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _begin(stream: IO[bytes], section: str, count: int) -> None:
    stream.write(f"{',' if count else '{'}\n{json.dumps(section)}:{{\n".encode("ascii"))


def _line(stream: IO[bytes], name: str, value: Any, is_first: bool) -> None:
    text = json.dumps(value, separators=(",", ":"))
    stream.write(f"{'' if is_first else ',' + chr(10)}{json.dumps(name)}:{text}".encode("ascii"))


def _end(stream: IO[bytes], rest: Mapping[str, Any], is_first: bool) -> None:
    """Write what the documents have more, and the end of the section."""
    for name, value in rest.items():
        _line(stream, name, value, is_first)
        is_first = False
    stream.write(b"\n}\n")
