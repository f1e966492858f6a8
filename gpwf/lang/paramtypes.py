"""The types of parameters: inference from a value, reading from text, checks."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from gpwf.core.units import (
    Unit,
    UnitError,
    UnitFallback,
    canonical,
    parse_quantity,
    resolve_unit,
    split_quantity,
)
from gpwf.lang.codes import Code
from gpwf.lang.document import read_document
from gpwf.lang.schema import shown

__all__ = ["ParamProblem", "check_value", "compare", "infer_type", "read_text", "type_words"]

_PHYSICAL = {"energy": "energy", "angle": "angle", "duration": "time", "length": "length"}
_EXAMPLES = {
    "energy": "1 TeV",
    "angle": "0.1 deg",
    "duration": "28 min",
    "length": "10 m",
    "flux": "1e-12 TeV-1 cm-2 s-1",
    "quantity": "1 TeV",
}
_PATH = re.compile(r"(?:\$\w+|~|\.{1,2})?/\S+|\$\w+|[^\s:$]+/[^\s:]+")
_LONGEST_PATH = 4096
_FRAMES = ("icrs", "galactic")


class ParamProblem(ValueError):  # noqa: N818  (a reason for a diagnostic, not an error)
    """A value does not fit its parameter.

    Parameters
    ----------
    message : str
        What was expected.
    code : Code
        Code of the diagnostic.
    hint : str, optional
        What to write.
    """

    def __init__(self, message: str, code: Code, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def infer_type(value: Any) -> str:
    """Return the type of a bare value; ``any`` for null."""
    if value is None:
        return "any"
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (list, "list")):
        if isinstance(value, kind):
            return name
    if isinstance(value, dict):
        return (
            "skycoord" if {"lon", "lat"} <= value.keys() <= {"frame", "lon", "lat"} else "mapping"
        )
    unit = _unit_of(value, None)  # no fallback: any text may come here
    if unit is not None:
        names = {physical: name for name, physical in _PHYSICAL.items()}
        if unit.physical_type.endswith("flux"):
            return "flux"
        return names.get(unit.physical_type, "quantity")
    is_path = len(value) <= _LONGEST_PATH and _PATH.fullmatch(value)
    return "path" if is_path else "string"


def _unit_of(text: str, fallback: UnitFallback | None) -> Unit | None:
    """Return the unit of a quantity; None for a text that is none."""
    parts = split_quantity(text)
    if parts is None or not parts[1]:
        return None
    try:
        return resolve_unit(parts[1], fallback)
    except UnitError:
        return None


def type_words(kind: str) -> str:
    """Return words for a type in a message."""
    if kind in _EXAMPLES:
        article = "an" if kind[0] in "ae" else "a"
        return f"{article} {kind} such as '{_EXAMPLES[kind]}'"
    return {
        "bool": "true or false",
        "int": "a whole number",
        "float": "a number",
        "string": "text",
        "path": "a path",
        "time": "an instant such as '2019-12-01T22:00:00'",
        "skycoord": "a position {frame, lon, lat}",
        "list": "a list",
        "mapping": "a mapping",
        "table": "a table",
    }.get(kind, "a value")


def read_text(kind: str, text: str, *, base: Path) -> Any:
    """Return the value that a text from the command line has.

    Parameters
    ----------
    kind : str
        Type of the parameter.
    text : str
        What was given after ``NAME=``.
    base : Path
        Folder that a relative path counts from: where the command was typed.

    Raises
    ------
    ParamProblem
        Where the text has no such value.
    """
    if kind == "path":
        plain = text.strip()
        return plain if plain[:1] in ("$", "~") else str(base / plain) if plain else plain
    if kind in ("string", "time") or kind in _EXAMPLES:
        return text if kind == "string" else text.strip()
    source = text.strip()
    if kind == "list" and not source.startswith("["):
        source = f"[{source}]"
    document = read_document(source, file="value")
    if document.root is None or document.diagnostics:
        reason = document.diagnostics[0].message if document.diagnostics else "nothing is given"
        raise ParamProblem(f"expected {type_words(kind)}: {reason}", Code.PARAM_TYPE)
    return document.root.plain()


def check_value(kind: str, value: Any, fallback: UnitFallback | None = None) -> Any:
    """Return the value in the form that its type has, or say what is wrong with it.

    Raises
    ------
    ParamProblem
        Where the value does not have the type.
    """
    if kind == "any":
        return value
    if kind in _EXAMPLES:
        return _check_quantity(kind, value, fallback)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "time":
        return _check_time(value)
    if kind == "skycoord":
        return _check_skycoord(value, fallback)
    if kind == "table":
        return _check_table(value)
    wanted: type = {
        "bool": bool,
        "int": int,
        "float": float,
        "list": list,
        "mapping": dict,
    }.get(kind, str)
    if isinstance(value, wanted) and not (wanted is int and isinstance(value, bool)):
        return value
    hint = "write it in quotes if text is meant" if wanted is str else None
    raise ParamProblem(f"expected {type_words(kind)}, not {shown(value)}", Code.PARAM_TYPE, hint)


def _check_quantity(kind: str, value: Any, fallback: UnitFallback | None) -> str:
    """Check a number with a unit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        hint = f"write it with its unit: {_EXAMPLES[kind]}"
        raise ParamProblem(f"expected {type_words(kind)}, not {value!r}", Code.PARAM_UNIT, hint)
    if not isinstance(value, str):
        raise ParamProblem(f"expected {type_words(kind)}, not {shown(value)}", Code.PARAM_TYPE)
    if split_quantity(value) is None:
        raise ParamProblem(f"expected {type_words(kind)}, not {shown(value)}", Code.PARAM_TYPE)
    try:
        _, unit = parse_quantity(value, fallback)
    except UnitError as error:
        raise ParamProblem(str(error), Code.PARAM_UNIT, f"for example {_EXAMPLES[kind]}") from None
    physical = resolve_unit(unit, fallback).physical_type
    fits = kind == "quantity" or physical == _PHYSICAL.get(kind)
    if kind == "flux":
        fits = physical.endswith("flux")
    if not fits:
        what = f"unit {unit!r} is not a unit of {_PHYSICAL.get(kind, kind)}" if unit else "no unit"
        hint = f"for example {_EXAMPLES[kind]}"
        raise ParamProblem(f"{shown(value)}: {what}", Code.PARAM_UNIT, hint)
    return value.strip()


def _check_time(value: Any) -> str:
    """Check an instant, ISO 8601."""
    hint = "write 2019-12-01T22:00:00, in UTC; a length of time is a `duration`"
    if isinstance(value, str):
        text = value.strip()
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return text
    message = f"expected {type_words('time')}, not {shown(value)}"
    raise ParamProblem(message, Code.PARAM_TYPE, hint)


def _check_table(value: Any) -> dict[str, Any]:
    """Check the rows of a table; return them by their names, as `tables` has them."""
    hint = "write a list of rows that have a `name`, or a mapping of names to rows"
    if not isinstance(value, (dict, list)):
        message = f"expected {type_words('table')}, not {shown(value)}"
        raise ParamProblem(message, Code.PARAM_TYPE, hint)
    rows: dict[str, Any] = {}
    for key, row in value.items() if isinstance(value, dict) else [(None, row) for row in value]:
        found = {} if row is None and key is not None else row
        if not isinstance(found, dict):
            what = "a row" if key is None else f"the row {key!r}"
            raise ParamProblem(f"{what} is {shown(row)}, not a mapping", Code.PARAM_TYPE, hint)
        name = found.get("name", key)
        if isinstance(name, (dict, list, type(None))):
            raise ParamProblem("a row has no `name`", Code.PARAM_TYPE, hint)
        if key is not None and str(name) != key:
            raise ParamProblem(f"the row {key!r} has another `name`", Code.PARAM_TYPE, hint)
        if str(name) in rows:
            raise ParamProblem(f"two rows have the name {str(name)!r}", Code.PARAM_VALUE)
        rows[str(name)] = {**found, "name": name}
    return rows


def _check_skycoord(value: Any, fallback: UnitFallback | None) -> dict[str, Any]:
    """Check a position on the sky."""
    hint = "write {frame: icrs, lon: 83.633 deg, lat: 22.014 deg}"
    if not isinstance(value, dict):
        message = f"expected {type_words('skycoord')}, not {shown(value)}"
        raise ParamProblem(message, Code.PARAM_TYPE, hint)
    wrong = [key for key in value if key not in ("frame", "lon", "lat")]
    missing = [key for key in ("lon", "lat") if key not in value]
    if wrong or missing:
        what = f"has no {missing[0]!r}" if missing else f"has an unknown key {wrong[0]!r}"
        raise ParamProblem(f"the position {what}", Code.PARAM_TYPE, hint)
    if value.get("frame", "icrs") not in _FRAMES:
        message = f"unknown frame {shown(value['frame'])}"
        raise ParamProblem(message, Code.PARAM_VALUE, f"frames: {' and '.join(_FRAMES)}")
    for key in ("lon", "lat"):
        unit = _unit_of(value[key], fallback) if isinstance(value[key], str) else None
        if isinstance(value[key], (int, float)) or (unit and unit.physical_type != "angle"):
            message = f"{key}: expected an angle, not {shown(value[key])}"
            raise ParamProblem(message, Code.PARAM_UNIT, hint)
    return value


def compare(kind: str, value: Any, bound: Any, fallback: UnitFallback | None = None) -> int:
    """Return -1, 0 or 1 as ``value`` is less than, equal to or more than ``bound``.

    Raises
    ------
    ParamProblem
        Where the two cannot be compared.
    """
    try:
        left, right = _number(kind, value, fallback), _number(kind, bound, fallback)
        return int(left > right) - int(left < right)
    except (TypeError, ValueError):
        message = f"{shown(value)} cannot be compared with {shown(bound)}"
        raise ParamProblem(message, Code.PARAM_DECLARATION) from None


def _number(kind: str, value: Any, fallback: UnitFallback | None) -> Any:
    """Return what a value is compared by."""
    if kind in _EXAMPLES and isinstance(value, str):
        return canonical(*parse_quantity(value, fallback), fallback)[0]
    if kind == "time" and isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=None).timestamp()
    return value
