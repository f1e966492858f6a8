"""Frozen dataclasses of core ↔ plain data for JSON.

The field types are the schema: what is written by `to_plain` is read back equal by `from_plain`.
Unknown keys are passed over, so that a record from a newer minor version can still be read;
missing keys take the field's default.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from gpwf.core import runs

__all__ = ["event_from_plain", "event_to_plain", "from_plain", "is_written", "to_plain"]

_T = TypeVar("_T")
_Converter = Callable[[Any], Any]

_EVENT_NAMES: dict[str, type[runs.RunEvent]] = {
    "run.started": runs.RunStarted,
    "task.cached": runs.TaskCached,
    "attempt.started": runs.AttemptStarted,
    "attempt.finished": runs.AttemptFinished,
    "task.not-run": runs.TaskNotRun,
    "run.finished": runs.RunFinished,
}
_NAMES_OF_EVENTS = {cls: name for name, cls in _EVENT_NAMES.items()}


def is_written(field: dataclasses.Field[Any]) -> bool:
    """Tell whether a field becomes plain data: not one with the metadata ``written: False``."""
    return field.init and bool(field.metadata.get("written", True))


def to_plain(value: Any) -> Any:
    """Return plain data (dict, list, str, int, float, bool, None) for a value of core.

    Raises
    ------
    TypeError
        For a type that has no plain form.
    """
    return _writer(type(value))(value)


def from_plain(cls: type[_T], data: Any) -> _T:
    """Return the dataclass ``cls`` made from plain data.

    Raises
    ------
    TypeError, ValueError, KeyError
        Where the data does not fit the class.
    """
    value: _T = _reader(cls)(data)
    return value


def event_to_plain(event: runs.RunEvent) -> dict[str, Any]:
    """Return an event as plain data, with its name under ``event``."""
    return {"event": _NAMES_OF_EVENTS[type(event)], **to_plain(event)}


def event_from_plain(data: Mapping[str, Any]) -> runs.RunEvent:
    """Return the event that `event_to_plain` wrote.

    Raises
    ------
    KeyError
        For an event name of a newer version.
    """
    return from_plain(_EVENT_NAMES[data["event"]], data)


def _as_it_is(value: Any) -> Any:
    return value


def _make_writer(kind: type) -> _Converter:
    """Return what makes plain data of the values of a class."""
    if kind in (type(None), bool, int, float, str):
        return _as_it_is
    if issubclass(kind, Enum):
        return _value_of
    if issubclass(kind, (str, Path)):
        return str
    if issubclass(kind, (bool, int, float)):
        return _as_it_is
    if dataclasses.is_dataclass(kind):
        return _dataclass_writer(kind)
    if issubclass(kind, Mapping):
        return lambda value: {str(key): _writer(type(item))(item) for key, item in value.items()}
    if issubclass(kind, (list, tuple)):
        return lambda value: [_writer(type(item))(item) for item in value]
    raise TypeError(f"{kind.__name__} has no plain form")


_writer: Callable[[Any], _Converter] = cache(_make_writer)


def _value_of(value: Any) -> Any:
    return value.value


def _dataclass_writer(kind: type) -> _Converter:
    names = tuple(item.name for item in dataclasses.fields(kind) if is_written(item))
    if len(names) < 2:  # attrgetter gives no tuple then
        return lambda value: {name: to_plain(getattr(value, name)) for name in names}
    values_of = attrgetter(*names)

    def write(value: Any) -> dict[str, Any]:
        return {
            name: item if type(item) is str else _writer(type(item))(item)
            for name, item in zip(names, values_of(value), strict=True)
        }

    return write


def _make_reader(hint: Any) -> _Converter:
    """Return what reads an annotated type; the annotations of core are all that is handled."""
    if hint is Any:
        return _as_it_is
    if isinstance(hint, typing.NewType):
        return _reader(hint.__supertype__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return _class_reader(hint)
    if origin in (typing.Union, types.UnionType):
        return _reader(next(item for item in args if item is not type(None)))
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        one = _reader(args[0])
        return lambda data: data if data is None else tuple([one(item) for item in data])
    if origin is tuple:
        several = [_reader(item) for item in args]
        return lambda data: (
            data
            if data is None
            else tuple([read(part) for read, part in zip(several, data, strict=True)])
        )
    if isinstance(origin, type) and issubclass(origin, Mapping):
        of_value = _reader(args[1])
        return lambda data: (
            data if data is None else {key: of_value(item) for key, item in data.items()}
        )
    if isinstance(origin, type) and issubclass(origin, Sequence):
        of_item = _reader(args[0])
        return lambda data: data if data is None else [of_item(item) for item in data]
    raise TypeError(f"no reader for {hint}")


_reader: Callable[[Any], _Converter] = cache(_make_reader)


def _class_reader(hint: Any) -> _Converter:
    """Return the reader of a class without parameters; None stays None."""
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(typing.cast(type, hint))
    if hint is float:
        return lambda data: data if data is None else float(data)
    if issubclass(hint, (Enum, Path)):
        return lambda data: data if data is None else hint(data)

    def check(data: Any) -> Any:
        if data is not None and not isinstance(data, hint):
            raise TypeError(f"expected {hint.__name__}, got {type(data).__name__}")
        return data

    return check


def _dataclass_reader(cls: type) -> _Converter:
    # name, the class whose values are taken as they are, what reads any other value
    fields: list[tuple[str, type | None, _Converter]] = []

    def read(data: Any) -> Any:
        if data is None:
            return None
        if not isinstance(data, Mapping):
            raise TypeError(f"{cls.__name__} needs a mapping, got {type(data).__name__}")
        if not fields:  # not before: a class may hold itself
            hints = typing.get_type_hints(cls)
            written = {item.name for item in dataclasses.fields(cls) if is_written(item)}
            fields.extend(
                (name, _taken(hint), _reader(hint))
                for name, hint in hints.items()
                if name in written
            )
        found = {}
        for name, taken, one in fields:
            if name in data:
                value = data[name]
                found[name] = value if type(value) is taken else one(value)
        return cls(**found)

    return read


def _taken(hint: Any) -> type | None:
    """Return the class of plain values that are of an annotated type as they are."""
    if isinstance(hint, typing.NewType):
        return _taken(hint.__supertype__)
    return hint if hint in (bool, int, float, str) else None
