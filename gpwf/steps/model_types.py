"""gammapy's model types and their parameters, for checks before the run.

The models' parameters are made while their classes are, so they are no signatures that could be
read from the source in a moment: ``model_types.json`` holds them, made from gammapy by
``python -m gpwf.steps.model_types`` and compared with the installed gammapy by a test.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from gpwf.core.catalog import SettingProblem
from gpwf.core.units import physical_type
from gpwf.steps.model_files import component_name

__all__ = ["TABLE", "make_table", "parameter_units", "type_names", "type_problems"]

TABLE = Path(__file__).with_name("model_types.json")
"""Table of model types: kind → tag → parameters with their units; null where data decide."""

_Path = tuple[str | int, ...]
_PARTS = ("spectral", "spatial", "temporal")
_PLAIN_TYPES = {"energy", "angle", "time"}
_KEYS = (
    "name", "value", "unit", "error", "min", "max", "frozen", "link", "interp", "scale",
    "scale_method", "scale_transform", "scan_min", "scan_max", "scan_n_values", "scan_n_sigma",
    "scan_values", "prior", "is_norm",
)  # fmt: skip


def type_problems(component: Mapping[str, Any]) -> list[SettingProblem]:
    """Return what is wrong with types, parameters and units of a component of models.

    Parameters
    ----------
    component : mapping
        In gammapy's YAML format, with a name.

    Returns
    -------
    problems : list of SettingProblem
        Their paths start at the component. Empty with a gammapy of another version than the table.
    """
    found = [*_component_problems(component, _table()["types"])]
    return found if not found or _is_of_this_version() else []


def type_names(part: str) -> list[str]:
    """Return gammapy's names of the types of a part: ``spectral``, ``spatial``, ``temporal``."""
    return list(_table()["types"][part])


def parameter_units(part: str, tag: Any) -> Mapping[str, str] | None:
    """Return the units of the parameters of a type of model.

    Parameters
    ----------
    part : str
        ``spectral``, ``spatial`` or ``temporal``.
    tag : object
        gammapy's name of the type.

    Returns
    -------
    units : mapping of str to str or None
        None where data decide on the parameters, and for a type that is not known.
    """
    types: Mapping[str, Mapping[str, str] | None] = _table()["types"][part]
    return types.get(tag) if isinstance(tag, str) else None


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def _is_of_this_version() -> bool:
    """Tell whether the table is of the installed gammapy, apart from bug fixes."""
    try:
        return ".".join(metadata.version("gammapy").split(".")[:2]) == str(_table()["gammapy"])
    except metadata.PackageNotFoundError:
        return False


def _component_problems(
    component: Mapping[str, Any], types: Mapping[str, Any]
) -> Iterator[SettingProblem]:
    what = f"model '{component_name(component)}'"
    problem = _unknown_type(component, types["component"], (), what)
    if problem is not None:
        yield problem
        return
    for part in _PARTS:
        data = component.get(part)
        if isinstance(data, Mapping):
            yield from _part_problems(data, types[part], (part,), f"{what}, {part} part")
        elif data is not None:
            message = f"{what}: '{part}' is not a mapping with 'type' and 'parameters'"
            yield SettingProblem(path=(part,), message=message, code="GP302")
    if component["type"] in ("SkyModel", "sky-model") and component.get("spectral") is None:
        near = difflib.get_close_matches("spectral", [str(key) for key in component], n=1)
        hint = f"is {near[0]!r} a misspelt 'spectral'?" if near else None
        yield SettingProblem(
            path=(), message=f"{what} has no 'spectral' part", code="GP304", hint=hint
        )


def _unknown_type(
    data: Mapping[str, Any], known: Mapping[str, Any], at: _Path, what: str
) -> SettingProblem | None:
    kind = data.get("type")
    if isinstance(kind, str) and kind in known:
        return None
    if not isinstance(kind, str):
        return SettingProblem(path=at, message=f"{what} has no 'type'", code="GP304")
    near = difflib.get_close_matches(kind, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"types: {', '.join(known)}"
    return SettingProblem(
        path=(*at, "type"), message=f"{what}: unknown type {kind!r}", code="GP304", hint=hint
    )


def _part_problems(
    data: Mapping[str, Any], known: Mapping[str, Any], at: _Path, what: str
) -> Iterator[SettingProblem]:
    problem = _unknown_type(data, known, at, what)
    if problem is not None:
        yield problem
        return
    units = known[data["type"]]
    entries = data.get("parameters") or ()
    if not isinstance(entries, (list, tuple)):
        message = f"{what}: 'parameters' is not a list of mappings with 'name' and 'value'"
        yield SettingProblem(path=(*at, "parameters"), message=message, code="GP302")
        return
    for number, entry in enumerate(entries):
        path = (*at, "parameters", number)
        if not isinstance(entry, Mapping):
            message = f"{what}: parameter {number + 1} is not a mapping with 'name' and 'value'"
            yield SettingProblem(path=path, message=message, code="GP302")
        else:
            yield from _parameter_problems(entry, units, path, what)


def _parameter_problems(
    entry: Mapping[str, Any], units: Mapping[str, str] | None, at: _Path, what: str
) -> Iterator[SettingProblem]:
    """Yield what is wrong with one parameter; names and units only where data do not decide."""
    name = entry.get("name")
    for key in entry:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else None
            message = f"{what}, parameter '{name}': unknown key {str(key)!r}"
            yield SettingProblem(path=(*at, str(key)), message=message, code="GP301", hint=hint)
    message = _outside(entry)
    if message:
        path = (*at, "value") if "value" in entry else at
        yield SettingProblem(
            path=path, message=f"{what}, parameter '{name}': {message}", code="GP304"
        )
    if units is None:
        return
    if name not in units:
        near = difflib.get_close_matches(str(name), units, n=1, cutoff=0.6)
        message = f"{what} has no parameter '{name}'; it has {', '.join(units)}"
        hint = f"did you mean {near[0]!r}?" if near else None
        path = (*at, "name") if "name" in entry else at
        yield SettingProblem(path=path, message=message, code="GP304", hint=hint)
        return
    unit = entry.get("unit")
    if isinstance(unit, str):
        given, wanted = physical_type(unit), physical_type(units[str(name)])
        # units of two parts can make up for each other: an amplitude per solid angle, or of none
        free = given == "dimensionless" or "sr" in unit
        plain = {given, wanted} & _PLAIN_TYPES
        if given and wanted and given != wanted and (plain or not free):
            message = f"{what}, parameter '{name}': unit {unit!r} is not a unit of {wanted}"
            hint = f"its unit by default is {units[str(name)]!r}" if units[str(name)] else None
            yield SettingProblem(path=(*at, "unit"), message=message, code="GP303", hint=hint)


def _outside(entry: Mapping[str, Any]) -> str:
    """Return what is wrong with the bounds of a parameter: a fit would start from another value."""
    low, value, high = (
        item if isinstance(item, (int, float)) else math.nan
        for item in (entry.get("min"), entry.get("value"), entry.get("max"))
    )
    slack = 1e-9 * abs(value)  # a fit may end on a bound; nothing is true of NaN, that of no bound
    if low >= high:
        return f"'min' ({low:g}) is not less than 'max' ({high:g})"
    if value < low - slack or value > high + slack:
        return f"the value {value:g} is outside its bounds, {low:g} to {high:g}"
    return ""


def make_table() -> dict[str, Any]:
    """Return the table of the installed gammapy."""
    from gammapy.modeling import models

    registries = {
        "component": models.MODEL_REGISTRY,
        "spectral": models.SPECTRAL_MODEL_REGISTRY,
        "spatial": models.SPATIAL_MODEL_REGISTRY,
        "temporal": models.TEMPORAL_MODEL_REGISTRY,
    }
    types: dict[str, dict[str, Any]] = {}
    for kind, registry in registries.items():
        types[kind] = {}
        for cls in registry:
            if not cls.__module__.startswith("gammapy.modeling."):
                continue  # others enter the registry when somebody imports them
            tags = [cls.tag] if isinstance(cls.tag, str) else cls.tag
            types[kind] |= dict.fromkeys(tags, None if kind == "component" else _units_of(cls))
    version = ".".join(metadata.version("gammapy").split(".")[:2])
    return {"gammapy": version, "types": types}


def _units_of(cls: Any) -> dict[str, str] | None:
    """Return the units of a model's parameters; None where it needs data to be made."""
    try:
        model = cls()
    except TypeError:
        return None
    return {item.name: item.unit.to_string("fits") for item in model.parameters}


if __name__ == "__main__":
    TABLE.write_text(json.dumps(make_table(), indent=1) + "\n", encoding="utf-8")
