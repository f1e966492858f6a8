"""PROV documents that somebody else wrote: kept as they are, and linked to our inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpwf.errors import ProvenanceError
from gpwf.prov.ingest_links import ForeignDocument, path_of
from gpwf.prov.vocabulary import NAMESPACES

__all__ = ["read_prov"]

_TIMES = ("prov:time", "prov:startTime", "prov:endTime")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")
_PLACES = ("prov:location", "prov:atLocation")
_ELEMENTS = ("entity", "activity", "agent")


def read_prov(path: Path, into: ForeignDocument) -> None:
    """Take a PROV document in.

    Identifiers and attributes stay as they are. Times without a zone are taken for UTC, which
    ``gpwf:assumedZone`` says. An entity is one of our inputs where an attribute is its SHA-256,
    where its location is its path, or where its location ends with its file name.

    Raises
    ------
    ProvenanceError
        Where the file is no PROV, or uses a prefix of ours for something else.
    """
    from gpwf.prov.export import serialise
    from gpwf.prov.reading import read_document

    data: dict[str, Any] = json.loads(serialise(read_document(path)))
    prefixes = data.pop("prefix", {})
    for prefix, uri in {**NAMESPACES, "foreign": into.data["prefix"]["foreign"]}.items():
        if prefixes.get(prefix, uri) != uri:
            raise ProvenanceError(
                f"{path}: the prefix {prefix} stands for {prefixes[prefix]}, not for {uri}",
                hint="give it another prefix in the document",
            )
    if not any(data.get(section) for section in _ELEMENTS):
        raise ProvenanceError(f"{path} holds no entity, activity or agent", hint="not PROV")
    into.data["prefix"] = {**prefixes, **into.data["prefix"]}
    for section, records in data.items():
        into.data.setdefault(section, {}).update(_zoned(section, records))
    for name, record in list(into.data.get("entity", {}).items()):
        into.match(name, _location(record), _digests(record, name))


def _zoned(section: str, records: Mapping[str, Any]) -> dict[str, Any]:
    """Return records whose times have a zone."""
    found: dict[str, Any] = {}
    for name, value in records.items():
        if section == "bundle":
            found[name] = {part: _zoned(part, item) for part, item in value.items()}
        elif isinstance(value, list):
            found[name] = [_with_zone(section, item) for item in value]
        else:
            found[name] = _with_zone(section, value)
    return found


def _with_zone(section: str, record: Any) -> Any:
    if not isinstance(record, Mapping):
        return record
    changed = {}
    for key in _TIMES:
        text = record.get(key)
        if isinstance(text, str):
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            if moment.tzinfo is None:
                changed[key] = moment.replace(tzinfo=UTC).isoformat()
    if not changed:
        return record
    note = {"gpwf:assumedZone": "UTC"} if section != "bundle" else {}
    return {**record, **changed, **note}


def _texts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        for item in value if isinstance(value, list) else [value]:
            yield key, str(item.get("$", "")) if isinstance(item, Mapping) else str(item)


def _location(record: Any) -> str:
    for item in record if isinstance(record, list) else [record]:
        for key, text in _texts(item) if isinstance(item, Mapping) else ():
            if key in _PLACES:
                return path_of(text)
    return ""


def _digests(record: Any, name: str) -> list[str]:
    """Return what may be a SHA-256: values of 64 hexadecimal digits, or a name that ends so."""
    found = [name[-64:]] if _SHA256.match(name[-64:]) else []
    for item in record if isinstance(record, list) else [record]:
        if isinstance(item, Mapping):
            found += [text for _, text in _texts(item) if _SHA256.match(text)]
    return found
