"""PROV-JSON record by record: in bounded memory, and past damage as far as can be.

A file is read in portions and decoded where a record ends, however it is laid out; a record of
100 000 activities never is in memory as a whole. What cannot be decoded is told, and the next
record that begins a line is looked for, so that the readable part of a torn or edited file is
still seen.

References
----------
PROV-JSON, https://www.w3.org/submissions/prov-json/
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from gpwf.errors import ProvenanceError

__all__ = ["Damage", "Member", "members"]

_PORTION = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
_NEXT_RECORD = re.compile(r'\n[ \t]*(?="|\})')
_decode = json.JSONDecoder().raw_decode
#: Damaged places of one file after which nobody looks further.
_MOST_DAMAGE = 100


class Member(NamedTuple):
    """A record: the section that it is in, its identifier, its value."""

    section: str
    name: str
    value: Any


class Damage(NamedTuple):
    """A place that cannot be read: where, and why."""

    line: int
    message: str


class _EndError(Exception):
    """The text ends here."""


class _FormError(Exception):
    """The text is no JSON here."""


class _Reader:
    """The text of a file, of which a part is in memory."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.text = ""
        self.place = 0
        self.line = 1
        self.is_over = False

    def more(self) -> None:
        """Read a portion, and forget what is done with."""
        if self.is_over:
            raise _EndError
        self.line += self.text.count("\n", 0, self.place)
        rest = self.text[self.place :]
        # a record that is longer than a portion: twice as much each time, or it would take for ever
        found = self.stream.read(max(_PORTION, len(rest)))
        self.is_over = not found
        self.text, self.place = rest + found, 0

    def here(self) -> int:
        """Return the number of the line."""
        return self.line + self.text.count("\n", 0, self.place)

    def peek(self) -> str:
        """Return the next sign that is no space."""
        while True:
            self.place = _SPACE.match(self.text, self.place).end()  # type: ignore[union-attr]
            if self.place < len(self.text):
                return self.text[self.place]
            self.more()

    def take(self, sign: str) -> None:
        """Go past a sign."""
        if self.peek() != sign:
            raise _FormError(f"{sign!r} was expected")
        self.place += 1

    def value(self) -> Any:
        """Return the next value."""
        self.peek()
        while True:
            try:
                found, end = _decode(self.text, self.place)
            except ValueError as error:
                message = getattr(error, "msg", str(error))
            except RecursionError:
                raise _FormError("it is too deeply nested") from None
            else:
                if end < len(self.text) or self.is_over:  # else a number may go on
                    self.place = end
                    return found
                message = ""
            if self.is_over:
                if "\n" in self.text[self.place :].rstrip():
                    raise _FormError(message or "it ends too soon")
                raise _EndError
            self.more()

    def skip(self) -> bool:
        """Go to the next record that begins a line; tell whether there is one."""
        while True:
            found = _NEXT_RECORD.search(self.text, self.place)
            if found:
                self.place = found.end()
                return True
            try:
                self.place = max(self.place, len(self.text) - 1)
                self.more()
            except _EndError:
                return False


def members(path: Path) -> Iterator[Member | Damage]:
    """Yield the records of a PROV-JSON file, and what of it cannot be read.

    Parameters
    ----------
    path : Path
        File to read. A prefix comes with its namespace, a bundle with all that is in it.

    Raises
    ------
    ProvenanceError
        Where there is no such file, or it does not begin like PROV-JSON.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            yield from _members(_Reader(stream))
    except OSError as error:
        raise ProvenanceError(
            f"cannot read {path}: {error.strerror}",
            hint="expected a record: a run directory, prov.json of a run, or PROV from elsewhere",
        ) from error
    except _FormError as error:
        raise ProvenanceError(
            f"{path} is not PROV-JSON: {error}", hint="`gpwf prov export` writes that of a run"
        ) from error


def _members(reader: _Reader) -> Iterator[Member | Damage]:
    try:
        reader.take("{")
    except _EndError:
        yield Damage(1, "the file is empty")
        return
    damages = 0
    section = ""
    while damages < _MOST_DAMAGE:
        try:
            if section:
                section = yield from _section(reader, section)
            else:
                found = _next_section(reader)
                if found is None:
                    return
                section = found
                yield Member(section, "", None)
        except _EndError:
            where = f", in {section}" if section else ""
            yield Damage(reader.here(), f"the file is torn: it ends here{where}")
            return
        except _FormError as error:
            damages += 1
            yield Damage(reader.here(), f"cannot be read: {error}")
            if not reader.skip():
                return
    yield Damage(reader.here(), f"{_MOST_DAMAGE} damaged places: the rest is not looked at")


def _next_section(reader: _Reader) -> str | None:
    """Return the name of the next section; None at the end of the document."""
    if reader.peek() == ",":
        reader.place += 1
        reader.peek()
    if reader.peek() == "}":
        reader.place += 1
        try:
            reader.peek()
        except _EndError:
            return None
        raise _FormError("something follows the document")
    name = reader.value()
    if not isinstance(name, str):
        raise _FormError("the name of a section was expected")
    reader.take(":")
    if reader.peek() != "{":
        reader.value()
        raise _FormError(f"section {name} holds no records")
    reader.place += 1
    return name


def _section(reader: _Reader, section: str) -> Generator[Member, None, str]:
    """Yield the records of a section; return nothing's name at its end."""
    while True:
        sign = reader.peek()
        if sign == ",":
            reader.place += 1
            sign = reader.peek()
        if sign == "}":
            reader.place += 1
            return ""
        name = reader.value()
        if not isinstance(name, str):
            raise _FormError("the identifier of a record was expected")
        reader.take(":")
        yield Member(section, name, reader.value())
