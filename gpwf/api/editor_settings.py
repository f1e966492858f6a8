"""Settings of Visual Studio Code that tie a schema to workflows, put beside those there are.

The file is JSON with comments. It is changed as text, so that comments, order and layout of what is
in it stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["tie_schema"]

_KEY = "yaml.schemas"
_TEXT = r'"(?:\\.|[^"\\])*"'
_COMMENT = re.compile(rf"{_TEXT}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(rf"{_TEXT}|,(?=\s*[}}\]])")
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A member of an object: its name, its value, and where the text of the value is."""

    name: str
    value: Any
    start: int
    end: int


def tie_schema(text: str, schema: str, pattern: str) -> str:
    """Return editor settings in which a schema is tied to names of files.

    Parameters
    ----------
    text : str
        The settings there are; empty for none.
    schema : str
        Path of the schema, relative to the folder that is opened.
    pattern : str
        Names of files, ``*.gpwf.yaml`` for example. Where any schema is tied to it already, the
        settings stay as they are: that was somebody's choice.

    Returns
    -------
    str
        The same text with one entry more, or the same text.

    Raises
    ------
    ValueError
        Where the text is no JSON object, with or without comments, or its schemas are none.
    """
    if not text.strip("\ufeff \t\r\n"):
        return json.dumps({_KEY: {schema: [pattern]}}, indent=2) + "\n"
    plain = _without_comments(text)
    begin = len(plain) - len(plain.lstrip("\ufeff \t\r\n"))
    root = list(_members(plain, begin))
    ties = [member for member in root if member.name == _KEY]
    if not ties:
        entry = f"{json.dumps(_KEY)}: {{{json.dumps(schema)}: {json.dumps([pattern])}}}"
        return _insert(text, begin, entry, more=bool(root))
    known = list(_members(plain, ties[-1].start))
    if any(pattern in _patterns(member.value) for member in known):
        return text
    for member in known:
        if member.name == schema:
            wanted = json.dumps([*_patterns(member.value), pattern])
            return text[: member.start] + wanted + text[member.end :]
    entry = f"{json.dumps(schema)}: {json.dumps([pattern])}"
    return _insert(text, ties[-1].start, entry, more=bool(known))


def _patterns(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _without_comments(text: str) -> str:
    """Return strict JSON in which every value is where it was."""

    def blank(match: re.Match[str]) -> str:
        return match[0] if match[0].startswith('"') else re.sub(r"[^\n]", " ", match[0])

    return _LAST_COMMA.sub(blank, _COMMENT.sub(blank, text))


def _members(plain: str, start: int) -> Iterator[_Member]:
    """Yield the members of the object that starts at a place.

    Raises
    ------
    ValueError
        Where there is no object.
    """
    whole, _ = _DECODER.raw_decode(plain, start)
    if not isinstance(whole, dict):
        raise ValueError("not a JSON object")
    at = _skip(plain, start + 1)
    while plain[at] != "}":
        name, at = _DECODER.raw_decode(plain, at)
        at = _skip(plain, _skip(plain, at) + 1)  # the colon
        value, end = _DECODER.raw_decode(plain, at)
        yield _Member(name=name, value=value, start=at, end=end)
        at = _skip(plain, end)
        at = _skip(plain, at + 1) if plain[at] == "," else at


def _skip(plain: str, at: int) -> int:
    """Return the place of the next sign that is no space."""
    while plain[at].isspace():
        at += 1
    return at


def _insert(text: str, brace: int, entry: str, *, more: bool) -> str:
    """Return the text with a first member in the object whose brace is at a place."""
    head, tail = text[: brace + 1], text[brace + 1 :]
    feed = "\r\n" if "\r\n" in text else "\n"
    first = re.match(r"(?:[ \t]*//[^\n]*)?\s*\n([ \t]+)\S", tail)
    line = re.search(r"[^\n]*$", head)
    assert line is not None
    around = line[0][: len(line[0]) - len(line[0].lstrip())]
    indent = first[1] if first else f"{around}  "
    if more:
        return f"{head}{feed}{indent}{entry},{tail}"
    return f"{head}{feed}{indent}{entry}{feed}{around}{tail.lstrip()}"
