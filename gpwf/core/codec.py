"""Frozen dataclasses of core ↔ plain data for JSON.

The field types are the schema: what is written by `to_plain` is read back equal by `from_plain`.
Unknown keys are passed over, so that a record from a newer minor version can still be read;
missing keys take the field's default.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from gpwf.core import runs

__all__ = ["event_from_plain", "event_to_plain", "from_plain", "to_plain"]

_T = TypeVar("_T")

_EVENT_NAMES: dict[str, type[runs.RunEvent]] = {
    "run.started": runs.RunStarted,
    "task.cached": runs.TaskCached,
    "attempt.started": runs.AttemptStarted,
    "attempt.finished": runs.AttemptFinished,
    "task.not-run": runs.TaskNotRun,
    "run.finished": runs.RunFinished,
}
_NAMES_OF_EVENTS = {cls: name for name, cls in _EVENT_NAMES.items()}


def to_plain(value: Any) -> Any:
    """Return plain data (dict, list, str, int, float, bool, None) for a value of core.

    Raises
    ------
    TypeError
        For a type that has no plain form.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (str, Path)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_plain(getattr(value, name)) for name in _field_names(type(value))}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no plain form")


def from_plain(cls: type[_T], data: Any) -> _T:
    """Return the dataclass ``cls`` made from plain data.

    Raises
    ------
    TypeError, ValueError, KeyError
        Where the data does not fit the class.
    """
    value: _T = _read(cls, data)
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


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(cls) if item.init)


@cache
def _field_types(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _read_dataclass(cls: type, data: Any) -> Any:
    if not isinstance(data, Mapping):
        raise TypeError(f"{cls.__name__} needs a mapping, got {type(data).__name__}")
    hints = _field_types(cls)
    return cls(**{name: _read(hints[name], data[name]) for name in hints if name in data})


def _read(hint: Any, data: Any) -> Any:
    """Return ``data`` as the annotated type; the annotations of core are all that is handled."""
    if hint is Any or data is None:
        return data
    if isinstance(hint, typing.NewType):
        return _read(hint.__supertype__, data)
    origin = typing.get_origin(hint)
    if origin is None:
        return _read_plain_class(hint, data)
    args = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _read(next(item for item in args if item is not type(None)), data)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_read(args[0], item) for item in data)
        return tuple(_read(item, part) for item, part in zip(args, data, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(args[1], item) for key, item in data.items()}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return [_read(args[0], item) for item in data]
    raise TypeError(f"no reader for {hint}")


def _read_plain_class(hint: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return _read_dataclass(typing.cast(type, hint), data)
    if hint is float:
        return float(data)
    if issubclass(hint, (Enum, Path)):
        return hint(data)
    if not isinstance(data, hint):
        raise TypeError(f"expected {hint.__name__}, got {type(data).__name__}")
    return data
