"""Build the index of a PROV-JSON file, in one pass over it and in bounded memory."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from gpwf.errors import ProvenanceError
from gpwf.prov.lineage_reader import (
    ELEMENTS,
    RELATIONS,
    Entry,
    read_all,
    read_lines,
    read_part,
)

__all__ = ["FORMAT", "Kind", "Relation", "build", "key_of", "plain_attributes", "stamp_of"]

#: Layout of the database; an index of another layout is made again.
FORMAT = "gpwf-lineage-index/2"

_BATCH = 4096  # rows that are inserted at once
_ENDS = 1 << 16  # bytes at either end of a record that its stamp looks at


class Kind(IntEnum):
    """What a thing is."""

    ENTITY = 0
    ACTIVITY = 1
    AGENT = 2
    PRODUCT = 3
    VALUE = 4
    FILE = 5
    CONTENT = 6
    SETTING = 7
    COLLECTION = 8
    PLAN = 9
    STEP = 10
    ENVIRONMENT = 11
    LOG = 12
    RUN = 13
    ATTEMPT = 14
    CACHED = 15


class Relation(IntEnum):
    """How an effect depends on a cause; the use of a setting is told from other uses."""

    SETTING = 0
    USED = 1
    GENERATED = 2
    DERIVED = 3
    INFORMED = 4
    STARTED = 5
    ENDED = 6
    ASSOCIATED = 7
    ATTRIBUTED = 8
    DELEGATED = 9
    SPECIALIZED = 10
    ALTERNATE = 11
    MEMBER = 12
    INVALIDATED = 13
    INFLUENCED = 14


_RELATIONS = {
    "used": Relation.USED,
    "wasGeneratedBy": Relation.GENERATED,
    "wasDerivedFrom": Relation.DERIVED,
    "wasInformedBy": Relation.INFORMED,
    "wasStartedBy": Relation.STARTED,
    "wasEndedBy": Relation.ENDED,
    "wasAssociatedWith": Relation.ASSOCIATED,
    "wasAttributedTo": Relation.ATTRIBUTED,
    "actedOnBehalfOf": Relation.DELEGATED,
    "specializationOf": Relation.SPECIALIZED,
    "mentionOf": Relation.SPECIALIZED,
    "alternateOf": Relation.ALTERNATE,
    "hadMember": Relation.MEMBER,
    "wasInvalidatedBy": Relation.INVALIDATED,
    "wasInfluencedBy": Relation.INFLUENCED,
}

#: The first type of these that a thing has says what it is.
_TYPES = (
    ("gpwf:CacheHit", Kind.CACHED),
    ("wfprov:WorkflowRun", Kind.RUN),
    ("wfprov:ProcessRun", Kind.ATTEMPT),
    ("voprov:Parameter", Kind.SETTING),
    ("gpwf:Product", Kind.PRODUCT),
    ("gpwf:Value", Kind.VALUE),
    ("gpwf:File", Kind.FILE),
    ("gpwf:Content", Kind.CONTENT),
    ("gpwf:Environment", Kind.ENVIRONMENT),
    ("gpwf:Log", Kind.LOG),
    ("wfdesc:Process", Kind.STEP),
    ("prov:Plan", Kind.PLAN),
    ("prov:Collection", Kind.COLLECTION),
)
_BY_SECTION = {"entity": Kind.ENTITY, "activity": Kind.ACTIVITY, "agent": Kind.AGENT}

_TABLES = """
CREATE TABLE meta (name TEXT, value TEXT);
CREATE TABLE node (key INTEGER, name TEXT, kind INTEGER, at INTEGER, size INTEGER);
CREATE TABLE edge (
    effect INTEGER, cause INTEGER, relation INTEGER, role INTEGER, at INTEGER, size INTEGER
);
CREATE TABLE role (id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE word (word TEXT, key INTEGER);
CREATE TABLE body (at INTEGER PRIMARY KEY, text TEXT);
"""
_INDEXES = """
CREATE INDEX node_key ON node (key);
CREATE INDEX node_name ON node (name);
CREATE INDEX node_kind ON node (kind);
CREATE INDEX edge_effect ON edge (effect, relation);
CREATE INDEX edge_cause ON edge (cause, relation);
CREATE INDEX word_word ON word (word);
"""


@lru_cache(maxsize=1 << 14)
def key_of(name: str) -> int:
    """Return the key of an identifier: 64 bits of its digest, as a signed number."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def plain_attributes(body: dict[str, Any]) -> dict[str, list[str]]:
    """Return attributes of a PROV-JSON record as text; ``gpwf:`` terms go without their prefix."""
    return {
        name.removeprefix("gpwf:"): [
            _text(item) for item in (value if isinstance(value, list) else [value])
        ]
        for name, value in body.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("$", "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def stamp_of(path: Path) -> str:
    """Return what tells a record from another at its place: size, time, digest of its ends."""
    with path.open("rb") as stream:
        status = path.stat()
        head = stream.read(_ENDS)
        stream.seek(max(status.st_size - _ENDS, 0))
        digest = hashlib.sha256(head + stream.read()).hexdigest()
    return f"{status.st_size} {status.st_mtime_ns} {digest}"


def build(connection: sqlite3.Connection, path: Path) -> None:
    """Fill an empty database with the index of a PROV-JSON file.

    Raises
    ------
    ProvenanceError
        Where the file is no PROV-JSON.
    OSError, sqlite3.Error
        Where it cannot be read, or the database cannot be written.
    """
    stamp = stamp_of(path)
    connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _TABLES)
    builder, torn = _Builder(connection), False
    try:
        builder.take(read_lines(path))
    except (ValueError, KeyError, UnicodeError):
        builder = _Builder(connection, inline=True)
        try:
            builder.take(read_all(path))
        except ProvenanceError:
            builder = _Builder(connection)
            builder.take(read_part(path))
            if not builder.n_entries:
                raise
            torn = True
    builder.finish()
    connection.executescript(_INDEXES)
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [
            ("format", FORMAT),
            ("stamp", stamp),
            ("inline", str(int(builder.inline))),
            ("torn", str(int(torn))),
        ],
    )
    connection.commit()


class _Builder:
    """Takes records in; ``inline`` keeps their bodies, of files that have no lines."""

    def __init__(self, connection: sqlite3.Connection, *, inline: bool = False) -> None:
        connection.executescript(
            "DELETE FROM node; DELETE FROM edge; DELETE FROM word; DELETE FROM body;"
        )
        self.connection = connection
        self.inline = inline
        self.n_entries = 0
        self._settings: set[int] = set()
        self._declared: set[int] = set()  # only where a file is read whole
        self._named: dict[str, str] = {}  # what relations name, likewise
        self._roles: dict[str, int] = {"": 0}
        self._nodes: list[tuple[Any, ...]] = []
        self._edges: list[tuple[Any, ...]] = []
        self._words: list[tuple[str, int]] = []
        self._bodies: list[tuple[int, str]] = []
        self._n_bodies = 0

    def take(self, entries: Iterable[Entry]) -> None:
        """Take records in, things before relations."""
        for entry in entries:
            self.n_entries += 1
            at, size = entry.at, entry.size
            if self.inline:
                at, size = self._keep(entry.body), 0
            if entry.section in ELEMENTS:
                self._element(entry, at, size)
            elif entry.section in RELATIONS:
                self._relation(entry, at, size)

    def finish(self) -> None:
        """Write what is left."""
        for name, section in self._named.items():
            if key_of(name) not in self._declared:
                kind = _BY_SECTION[section]
                self._nodes.append((key_of(name), name, kind, self._keep({}), 0))
        self._flush()
        self.connection.executemany(
            "INSERT INTO role VALUES (?, ?)", [(id, text) for text, id in self._roles.items()]
        )

    def _keep(self, body: dict[str, Any]) -> int:
        self._n_bodies += 1
        self._bodies.append((self._n_bodies, json.dumps(body)))
        return self._n_bodies

    def _element(self, entry: Entry, at: int, size: int) -> None:
        values = plain_attributes(entry.body)
        kind = _kind(entry.section, values.get("prov:type", ()))
        key = key_of(entry.name)
        if kind is Kind.SETTING:
            self._settings.add(key)
        if self.inline:
            self._declared.add(key)
        self._nodes.append((key, entry.name, kind, at, size))
        self._words += [(word, key) for word in _words(kind, values)]
        if len(self._nodes) >= _BATCH:
            self._flush()

    def _relation(self, entry: Entry, at: int, size: int) -> None:
        first, others = RELATIONS[entry.section]
        body = entry.body
        effect = body.get(first)
        cause = next((body[name] for name in others if body.get(name)), None)
        if not isinstance(effect, str) or not isinstance(cause, str):
            return  # PROV lets a relation leave out one of its ends
        relation = _RELATIONS[entry.section]
        if relation is Relation.DERIVED and "prov:generation" in body and "prov:usage" in body:
            return  # generation and usage are there and say it
        if self.inline:
            self._named.setdefault(effect, _section_of(first))
            self._named.setdefault(cause, _section_of(others[0]))
        source = key_of(cause)
        if relation is Relation.USED and source in self._settings:
            relation = Relation.SETTING
        found = body.get("prov:role")
        role = _text(found[0] if isinstance(found, list) else found) if found else ""
        number = self._roles.setdefault(role, len(self._roles))
        self._edges.append((key_of(effect), source, relation, number, at, size))
        if len(self._edges) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        run = self.connection.executemany
        run("INSERT INTO node VALUES (?,?,?,?,?)", self._nodes)
        run("INSERT INTO edge VALUES (?,?,?,?,?,?)", self._edges)
        run("INSERT INTO word VALUES (?,?)", self._words)
        run("INSERT INTO body VALUES (?,?)", self._bodies)
        for rows in (self._nodes, self._edges, self._words, self._bodies):
            rows.clear()


def _section_of(attribute: str) -> str:
    """Return what an attribute of a relation names."""
    if attribute in ("prov:activity", "prov:informed", "prov:informant", "prov:starter"):
        return "activity"
    return "agent" if attribute in ("prov:agent", "prov:delegate") else "entity"


def _kind(section: str, types: Iterable[str]) -> Kind:
    found = set(types)
    return next((kind for name, kind in _TYPES if name in found), _BY_SECTION[section])


def _words(kind: Kind, values: dict[str, list[str]]) -> Iterator[str]:
    """Yield what a thing is looked up by; the letter in front says what kind of word it is."""
    if kind in (Kind.ATTEMPT, Kind.CACHED):
        for name in (*values.get("task", ()), *values.get("otherName", ())):
            yield f"t:{name}"
        for name in dict.fromkeys(
            (
                *values.get("step", ()),
                *(name.partition("[")[0] for name in values.get("otherName", ())),
            )
        ):
            yield f"s:{name}"
        yield from (f"d:{key}" for key in values.get("taskKey", ()))
    elif kind is Kind.SETTING:
        name = "".join(values.get("voprov:name", ()))
        value = "".join(values.get("prov:value", ()))
        unit = "".join(values.get("voprov:unit", ()))
        yield f"n:{name}={value} {unit}".rstrip() if unit else f"n:{name}={value}"
    elif kind is Kind.PRODUCT:
        yield from (f"o:{name}" for name in values.get("output", ()))
    elif kind is Kind.FILE:
        yield from (f"d:{digest}" for digest in values.get("dataDigest", ()))
        for place in values.get("prov:location", ()):
            yield f"f:{place.rstrip('/').rpartition('/')[2]}"
    elif kind is Kind.RUN:
        yield from (f"r:{name}" for name in values.get("runId", ()))
    elif kind in (Kind.ENTITY, Kind.ACTIVITY, Kind.COLLECTION):
        yield from (f"l:{label}" for label in values.get("prov:label", ()))
        for place in values.get("prov:location", ()):
            yield f"f:{place.rstrip('/').rpartition('/')[2]}"
