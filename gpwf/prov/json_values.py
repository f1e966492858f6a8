"""Texts of PROV-JSON: names, types, values, times.

Names, roles and types come again and again and are made once; the library `prov` is the measure
of how a value is typed, which is tested.

References
----------
PROV-JSON, https://www.w3.org/submissions/prov-json/
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quote
from math import isfinite
from typing import Any, NamedTuple

from gpwf.prov.recorder import Ref, plain_value
from gpwf.prov.vocabulary import NAMESPACES, TERMS

__all__ = ["Keys", "Notes", "Quoted", "Types", "encoded", "moment", "quote", "several"]

_PREFIXES = frozenset(("prov", *NAMESPACES))
_MOST_TEXTS = 2048


class Notes(NamedTuple):
    """Attributes as JSON text with a comma in front, and their names."""

    text: str
    names: Set[str]


class Keys(dict[str, str]):
    """JSON texts ``,"prefix:name":`` by the names of attributes.

    Raises
    ------
    KeyError
        For a name that is in no vocabulary.
    """

    def __missing__(self, name: str) -> str:
        text = self[name] = f',"{_term(name)}":'
        return text


class Quoted(dict[str, str]):
    """JSON texts of strings that come again and again, such as roles."""

    def __missing__(self, text: str) -> str:
        found = quote(plain_value(text))
        if len(self) < _MOST_TEXTS:
            self[text] = found
        return found


class Types(dict[tuple[str, ...], str]):
    """JSON texts of ``prov:type`` with a comma in front; empty for no types."""

    def __missing__(self, types: tuple[str, ...]) -> str:
        found = [f'{{"$":"{_term(name)}","type":"xsd:QName"}}' for name in types]
        text = f',"prov:type":{several(found)}' if found else ""
        self[types] = text
        return text


def _term(name: str) -> str:
    """Return a term with its prefix; a bare name is one of the ``gpwf:`` vocabulary."""
    prefix, colon, local = name.partition(":")
    if not colon:
        prefix, local = "gpwf", name
    if prefix not in _PREFIXES or (prefix == "gpwf" and local not in TERMS):
        raise KeyError(f"{prefix}:{local} is not in the vocabulary")
    return f"{prefix}:{local}"


def several(texts: list[str]) -> str:
    """Return the JSON text of the values of one attribute, of which there is at least one."""
    return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"


def moment(time: datetime | None) -> str:
    """Return the JSON text of a time; empty where there is none."""
    if time is None:
        return ""
    offset = time.utcoffset()
    if offset is not None and (offset.seconds % 60 or offset.microseconds):
        time = time.astimezone(UTC)  # XML has no name for such a zone
    return f'"{time.isoformat()}"'


def encoded(value: Any) -> str:
    """Return the JSON text of a value, as the provenance library types it; empty for nothing.

    Parameters
    ----------
    value : plain data or Ref
        A list or mapping becomes its JSON text, a NaN or infinity its name.

    Raises
    ------
    TypeError
        For what is no plain data.
    """
    kind = type(value)
    if kind is int:
        # the smallest of the types of XML Schema that the number fits
        if -1 << 31 <= value < 1 << 31:
            return f'{{"$":"{value}","type":"xsd:int"}}'
        size = "long" if -1 << 63 <= value < 1 << 63 else "integer"
        return f'{{"$":"{value}","type":"xsd:{size}"}}'
    if kind is float and isfinite(value):
        return f'{{"$":"{value!r}","type":"xsd:double"}}'
    if kind is Ref:
        return f'{{"$":"gpwf:{value}","type":"xsd:QName"}}'
    if kind is bool:
        return "true" if value else "false"
    plain = plain_value(value)  # also of texts
    if plain is None or type(plain) is str:
        return quote(plain) if plain else ""
    if isinstance(plain, (int, float)):
        return encoded(int(plain) if isinstance(plain, int) else float(plain))
    raise TypeError(f"{type(value).__name__} has no place in a record")
