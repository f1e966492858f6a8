"""Settings as parameters: one per leaf, with its value, unit and type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from gpwf.core.redact import REDACTED, looks_secret, redact_text
from gpwf.prov.recorder import json_text
from gpwf.prov.vocabulary import hashed_id

__all__ = ["Parameter", "leaves", "parameters"]

#: Types whose text is never a number with a unit, even where it looks like one.
_NO_QUANTITY = frozenset(("bool", "int", "float", "str", "string", "path", "null", "choice"))
_QUANTITY = re.compile(r"(?P<value>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s+(?P<unit>\S.*)\Z")


class Parameter(NamedTuple):  # a frozen dataclass takes three times as long to make
    """One leaf of the settings.

    Parameters
    ----------
    name : str
        Dotted path of the leaf; list positions are numbers in it.
    value : bool, int, float, str or None
        Number of a quantity, or the plain value.
    unit : str
        Unit of a quantity, empty where there is none.
    type : str
        ``int float bool str path energy angle time …``.
    """

    name: str
    value: bool | int | float | str | None
    unit: str
    type: str

    @property
    def local_id(self) -> str:
        """Identifier by content, shared by all that use the same value under the same name."""
        return hashed_id("param", self.name, self.value, self.unit, self.type)

    @property
    def text(self) -> str:
        """The value as people write it."""
        value = "null" if self.value is None else str(self.value)
        return f"{value} {self.unit}" if self.unit else value


def parameters(settings: Mapping[str, Any], types: Mapping[str, str]) -> Iterator[Parameter]:
    """Yield every leaf of settled settings.

    Parameters
    ----------
    settings : mapping
        Plain data.
    types : mapping of str to str
        Type of every leaf by dotted path; a leaf without one is typed by its value.
    """
    for key, value in settings.items():
        yield from leaves(str(key), value, types)


def leaves(name: str, value: Any, types: Mapping[str, str]) -> Iterator[Parameter]:
    """Yield every leaf of one setting, which may be a leaf itself.

    Parameters
    ----------
    name : str
        Dotted path of the setting.
    value : plain data
        What it is.
    types : mapping of str to str
        As for `parameters`.
    """
    if name not in types and value:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from leaves(f"{name}.{key}", item, types)
            return
        if isinstance(value, (list, tuple)):
            for n, item in enumerate(value):
                yield from leaves(f"{name}.{n}", item, types)
            return
    yield _parameter(name, value, types.get(name) or _type_of(value))


def _parameter(name: str, value: Any, kind: str) -> Parameter:
    if isinstance(value, str):
        if looks_secret(name, value):
            return Parameter(name=name, value=REDACTED, unit="", type=kind)
        match = None if kind in _NO_QUANTITY else _QUANTITY.match(value)
        if match:
            return Parameter(name=name, value=float(match["value"]), unit=match["unit"], type=kind)
        return Parameter(name=name, value=redact_text(value), unit="", type=kind)
    if value is None or isinstance(value, (bool, int, float)):
        secret = value is not None and _is_secret_name(name)
        return Parameter(name=name, value=REDACTED if secret else value, unit="", type=kind)
    # An empty list or mapping, or one that the step type treats as a single value.
    return Parameter(name=name, value=json_text(value), unit="", type=kind)


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    return looks_secret(name)


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "mapping"
    return {"list": "list", "tuple": "list"}.get(type(value).__name__, type(value).__name__)
