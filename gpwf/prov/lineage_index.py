"""An index of one PROV-JSON file: who caused what, and where in the file each record stands.

It is a database of SQLite, from the standard library, beside the record
(``prov/index-prov.sqlite``). It holds identifiers, relations and the words that things are looked
up by; attributes stay in the record and are read from there. It can be thrown away: it is made
again whenever it does not fit its record. It is opened as immutable, so that no lock is needed, on
a network file system either.

Things are known by 64 bits of a digest of their identifier. Building needs no table of names in
memory then, and the same thing has the same key in the records of all runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from gpwf.errors import ProvenanceError
from gpwf.prov.lineage_build import (
    FORMAT,
    Kind,
    Relation,
    build,
    key_of,
    plain_attributes,
    stamp_of,
)
from gpwf.prov.vocabulary import RECORD_FORMAT

__all__ = ["Edge", "LineageIndex", "Thing", "index_path"]

_SMALL = 1 << 20  # bytes of a record whose index is made in memory, which takes 30 ms
_LARGE = 50 << 20  # bytes of a record whose index takes more than two seconds
_CHUNK = 500  # keys in one question; SQLite allows a thousand
_CACHE_KIB = 32 << 10  # pages that SQLite may keep while it builds


class Edge(NamedTuple):
    """A relation, from the effect to its cause, by keys; ``record`` knows the rest of it."""

    effect: int
    cause: int
    relation: Relation
    role: str
    record: LineageIndex
    at: int
    size: int

    def attributes(self) -> dict[str, list[str]]:
        """Return its attributes as text."""
        return self.record.read(self.at, self.size)


@dataclass(slots=True, kw_only=True)
class Thing:
    """An entity, activity or agent.

    Parameters
    ----------
    key : int
        Its key in every index.
    id : str
        Its identifier.
    kind : Kind
        What it is.
    values : dict
        Its attributes as text; ``gpwf:`` terms go without their prefix.
    """

    key: int
    id: str
    kind: Kind
    values: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of an attribute."""
        found = self.values.get(name)
        return found[0] if found else default

    @property
    def start(self) -> str:
        """Begin of an activity, ISO 8601."""
        return self.get("prov:startTime")

    @property
    def end(self) -> str:
        """End of an activity, ISO 8601; empty where there is none."""
        return self.get("prov:endTime")


def index_path(record: Path) -> Path:
    """Return where the index of a record lies."""
    return record.with_name(f"index-{record.stem}.sqlite")


class LineageIndex:
    """The index of one record, made where it is not there.

    Of a torn record of ours it has what stands before the damage; ``is_torn`` says so.

    Parameters
    ----------
    record : Path
        A PROV-JSON file.
    keep : bool
        True where the index of a large record may be written beside it; it is kept in memory
        otherwise, as where the folder cannot be written.
    tell : callable, optional
        Told in a sentence that a record is indexed that takes a while.

    Raises
    ------
    ProvenanceError
        Where the file cannot be read, or is no PROV-JSON.
    """

    def __init__(
        self, record: Path, *, keep: bool = True, tell: Callable[[str], None] | None = None
    ) -> None:
        self.record = record
        self._tell = tell
        try:
            self._stream = record.open("rb")
        except OSError as error:
            raise ProvenanceError(f"cannot read {record}: {error.strerror or error}") from None
        try:
            self._database = self._open(keep)
        except BaseException:
            self._stream.close()
            raise
        meta = dict(self._database.execute("SELECT name, value FROM meta"))
        self._inline, self.is_torn = meta["inline"] == "1", meta["torn"] == "1"
        self._roles: dict[int, str] = dict(self._database.execute("SELECT id, text FROM role"))

    def _open(self, keep: bool) -> sqlite3.Connection:
        try:
            size = os.fstat(self._stream.fileno()).st_size
            if keep and size > _SMALL:
                path = index_path(self.record)
                found = _open_kept(path, stamp_of(self.record))
                if found is not None:
                    return found
                self._say(size)
                with contextlib.suppress(OSError, sqlite3.Error):  # read-only, or a full disk
                    _write(path, self.record)
                    found = _open_kept(path, stamp_of(self.record))
                    if found is not None:
                        return found
            else:
                self._say(size)
            database = sqlite3.connect(":memory:")
            build(database, self.record)
            return database
        except (OSError, sqlite3.Error) as error:
            raise ProvenanceError(f"cannot read {self.record}: {error}") from None

    def _say(self, size: int) -> None:
        if self._tell is not None and size > _LARGE:
            self._tell(f"indexing {self.record}, {size / 1e6:.0f} MB")

    def newer_format(self) -> str:
        """Return the format of a record that is newer than what this gpwf writes; mostly empty."""
        for run in self.things(self.of_kind(Kind.RUN)):
            number = run.get("format")
            if number.isdecimal() and len(number) < 10 and int(number) > RECORD_FORMAT:
                return number
        return ""

    def close(self) -> None:
        """Close the files."""
        self._database.close()
        self._stream.close()

    def read(self, at: int, size: int) -> dict[str, list[str]]:
        """Return the attributes of the record at a place."""
        if self._inline:
            rows = self._database.execute("SELECT text FROM body WHERE at = ?", (at,))
            text: Any = rows.fetchone()[0]
        else:
            text = os.pread(self._stream.fileno(), size, at)
        try:
            return plain_attributes(json.loads(text))
        except ValueError:
            raise ProvenanceError(
                f"{self.record} was changed while it was read", hint="ask again"
            ) from None

    def things(self, keys: Collection[int]) -> Iterator[Thing]:
        """Yield what this record declares of some things."""
        for key, name, kind, at, size in self._in("SELECT * FROM node WHERE key IN", keys):
            yield Thing(key=key, id=name, kind=Kind(kind), values=self.read(at, size))

    def kinds(self, keys: Collection[int]) -> dict[int, Kind]:
        """Return what things are, as far as this record declares them."""
        rows = self._in("SELECT key, kind FROM node WHERE key IN", keys)
        return {key: Kind(kind) for key, kind in rows}

    def of_kind(self, *kinds: Kind) -> list[int]:
        """Return the keys of all things of some kinds, in the order of the record."""
        marks = ",".join("?" * len(kinds))
        rows = self._database.execute(
            f"SELECT key FROM node WHERE kind IN ({marks}) ORDER BY rowid",
            kinds,
        )
        return list(dict.fromkeys(row[0] for row in rows))

    def edges(
        self, keys: Collection[int], relations: Sequence[Relation], *, up: bool
    ) -> Iterator[Edge]:
        """Yield the relations of some effects to their causes, or the other way.

        Parameters
        ----------
        keys : collection of int
            The effects with ``up``, the causes without.
        relations : sequence of Relation
            Those that count.
        up : bool
            True for the causes of the effects.
        """
        end = "effect" if up else "cause"
        wanted = ",".join(str(int(item)) for item in relations)
        question = f"SELECT * FROM edge WHERE relation IN ({wanted}) AND {end} IN"
        for effect, cause, relation, role, at, size in self._in(question, keys):
            yield Edge(effect, cause, Relation(relation), self._roles[role], self, at, size)

    def named(self, name: str) -> list[int]:
        """Return the things with an identifier; one of gpwf may be given without its prefix."""
        keys = (key_of(name), key_of(f"gpwf:{name}"))
        return list(
            dict.fromkeys(row[0] for row in self._in("SELECT * FROM node WHERE key IN", keys))
        )

    def begun(self, name: str) -> bool:
        """Return whether a run is told of in full here, and not only named as an earlier one."""
        return any("command" in item.values or item.start for item in self.things(self.named(name)))

    def beginning(self, column: str, text: str, *, most: int = 0) -> list[tuple[str, int]]:
        """Return names or words that begin with a text, with their things.

        Parameters
        ----------
        column : str
            ``name`` for identifiers, ``word`` for words.
        text : str
            How they begin.
        most : int
            How many to return; all with 0.
        """
        table = "node" if column == "name" else "word"
        end = text[:-1] + chr(ord(text[-1]) + 1)
        rows = self._database.execute(
            f"SELECT {column}, key FROM {table} WHERE {column} >= ? AND {column} < ? LIMIT ?",
            (text, end, most or -1),
        )
        return list(rows)

    def spelled(self, word: str) -> list[int]:
        """Return the things with a word."""
        rows = self._database.execute("SELECT key FROM word WHERE word = ?", (word,))
        return list(dict.fromkeys(row[0] for row in rows))

    def _in(self, question: str, keys: Collection[int]) -> Iterator[tuple[Any, ...]]:
        every = list(keys)
        for begin in range(0, len(every), _CHUNK):
            part = every[begin : begin + _CHUNK]
            yield from self._database.execute(f"{question} ({','.join('?' * len(part))})", part)


def _open_kept(path: Path, stamp: str) -> sqlite3.Connection | None:
    """Return the index that is there, None where it is of another record or damaged."""
    if not path.is_file():
        return None
    try:
        database = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True
        )
    except sqlite3.Error:
        return None
    try:
        meta = dict(database.execute("SELECT name, value FROM meta"))
        if meta.get("format") == FORMAT and meta.get("stamp") == stamp:
            return database
    except sqlite3.Error:
        pass
    database.close()
    return None


def _write(path: Path, record: Path) -> None:
    """Write the index beside the record, whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        database = sqlite3.connect(draft)
        try:
            database.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            build(database, record)
        finally:
            database.close()
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
