"""Take user, machine and home folder out of a record that has them, for sharing it.

The record is gone through twice as text, line by line: what it says of its user and its machines
is found first, and left out everywhere then. Digests stay: they are of the files as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpwf.core.anonymity import HOME, Anonymizer
from gpwf.errors import ProvenanceError

__all__ = ["RecordNames", "anonymous_lines", "names_in", "write_anonymous"]

_TEXT = r'"((?:[^"\\]|\\.)*)"'
#: An attribute of gpwf; in a text inside the record the quotes have backslashes.
_NAMED = re.compile(rf'(?<!\\)"gpwf:(user|host)"\s*:\s*{_TEXT}')
_LEFT_OUT = re.compile(
    rf'(?<!\\),\s*"gpwf:(?:user|host)"\s*:\s*{_TEXT}|(?<!\\)"gpwf:(?:user|host)"\s*:\s*{_TEXT}\s*,?'
)
#: An attribute on a line of its own: JSON that somebody has laid out for reading.
_SPREAD = re.compile(r'\s*"gpwf:(?:user|host)"\s*:')
_PERSON = re.compile(r'"(gpwf:user-[^"\\]*)"')
_LABEL = re.compile(rf'"prov:label"\s*:\s*{_TEXT}')
_NOBODY = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordNames:
    """Who and what a record names.

    Parameters
    ----------
    users, hosts : frozenset of str
        Names of accounts and machines.
    people : tuple of str
        Identifiers of the agents that are people, in the order in which they appear.
    """

    users: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    people: tuple[str, ...] = ()


def names_in(lines: Iterable[str]) -> RecordNames:
    """Return who and what the PROV-JSON of a record names."""
    users: set[str] = set()
    hosts: set[str] = set()
    people: dict[str, None] = {}
    for line in lines:
        if "gpwf:" not in line:
            continue
        for kind, text in _NAMED.findall(line):
            (users if kind == "user" else hosts).add(_value(text))
        people |= dict.fromkeys(_PERSON.findall(line))
    return RecordNames(users=frozenset(users), hosts=frozenset(hosts), people=tuple(people))


def anonymous_lines(
    lines: Iterable[str], names: RecordNames, *, also: Callable[[str], str] | None = None
) -> Iterator[str]:
    """Yield the lines of a record in PROV-JSON without those names.

    The agent stays, as ``gpwf:user-anonymous``: somebody ran it.

    Parameters
    ----------
    lines : iterable of str
        The record, each of its statements on one line; see `names_in`.
    names : RecordNames
        What it names.
    also : callable, optional
        Takes further names out of a text.
    """
    clean = Anonymizer(users=names.users, hosts=names.hosts)
    homes = _home_pattern(names.users)
    ids = {
        name: f"gpwf:user-{_NOBODY}" + (f"-{number}" if number > 1 else "")
        for number, name in enumerate(names.people, 1)
    }
    people = _any_of(ids)
    for line in lines:
        text = line
        if people is not None:
            text = people.sub(lambda match: ids[match[0]], text)
        if '"gpwf:user"' in text:  # the agent itself
            text = _LABEL.sub(f'"prov:label":"{_NOBODY}"', text)
        text = _LEFT_OUT.sub("", text)
        if homes is not None:
            text = homes.sub(HOME, text)
        text = clean(text)
        yield text if also is None else also(text)


def write_anonymous(
    source: Path, target: Path, *, also: Callable[[str], str] | None = None
) -> RecordNames:
    """Write a record in PROV-JSON without user, machine and home folder; return what it named.

    Raises
    ------
    ProvenanceError
        Where a file cannot be read or written, or is no text.
    """
    try:
        with source.open(encoding="utf-8", newline="") as stream:
            names = names_in(stream)
            stream.seek(0)
            lines: Iterable[str] = stream
            if any(_SPREAD.match(line) for line in stream):
                lines = [json.dumps(json.loads(source.read_text(encoding="utf-8"))), "\n"]
            stream.seek(0)
            with target.open("w", encoding="utf-8", newline="") as out:
                out.writelines(anonymous_lines(lines, names, also=also))
    except OSError as error:
        raise ProvenanceError(
            f"{error.filename or source}: {error.strerror or error}",
            hint="is the folder there, and may you write to it?",
        ) from None
    except (ValueError, RecursionError):
        raise ProvenanceError(
            f"{source} is not PROV-JSON", hint="`gpwf prov validate` says what it is"
        ) from None
    return names


def _value(text: str) -> str:
    """Return what a JSON text says; as it is where it is none."""
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def _any_of(words: Iterable[str]) -> re.Pattern[str] | None:
    found = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, found))) if found else None


def _home_pattern(users: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds the home folders of users: a record does not say where these are.

    A path that ends in the name of the user, unless many have that name: then it is one of the
    usual places.
    """
    parts = []
    for user in sorted(users, key=len, reverse=True):
        if not user:
            continue
        name = re.escape(user)
        usual = rf"/(?:home|Users)/{name}" + ("|/root" if user == "root" else "")
        parts.append(rf"(?:/[\w.+@-]+)*?/{name}" if Anonymizer(users=(user,)) else usual)
    if not parts:
        return None
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(parts)})(?![\w.-])")
