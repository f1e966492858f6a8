"""From the settings in a document to settled settings, or to problems with their places."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gpwf.core.catalog import SettingProblem, Settled
from gpwf.steps.base import Step
from gpwf.steps.settings import StepSettings
from gpwf.steps.shapes import Shape, fields_of, leaf_types, shape_of
from gpwf.steps.texts import kind_of

__all__ = ["plain", "restore", "settle", "settled_model"]

_Path = tuple[str | int, ...]
_SCALARS = frozenset({str, int, float, bool, type(None)})
_FIELDS: dict[type[BaseModel], tuple[str, ...]] = {}  # names of the fields of every model met


def settle(step: Step, config: Mapping[str, Any], *, base: Path) -> Settled:
    """Fill in defaults and check the settings of a step; see `settled_model`."""
    return settled_model(step, config, base=base)[0]


def settled_model(
    step: Step, config: Mapping[str, Any], *, base: Path
) -> tuple[Settled, StepSettings | None]:
    """Fill in defaults and check the settings of a step.

    Parameters
    ----------
    step : Step
        Step type.
    config : mapping
        Settings as given, plain data.
    base : Path
        Folder that relative paths count from.

    Returns
    -------
    settled : Settled
        Plain data, and what is wrong.
    settings : StepSettings or None
        The same as the step takes them; None where they have the wrong types.
    """
    model = type(step).Settings
    config = step.completed(config)
    problems: Sequence[SettingProblem]
    try:
        settings = model.model_validate(dict(config), context={"base": base})
    except ValidationError as error:
        problems = _problems(model, config, error)
        return Settled(settings={}, types={}, problems=problems), None
    settled = plain(settings)
    strange = [] if _is_plain(settled) else _not_plain(settled, ())
    problems = [*strange, *step.check(settings)]
    types = leaf_types(shape_of(model), settled)
    return Settled(settings=settled, types=types, problems=tuple(problems)), settings


def restore(step: Step, settings: Mapping[str, Any]) -> StepSettings:
    """Return the settings model of settled settings."""
    return type(step).Settings.model_validate(dict(settings))


def plain(value: Any) -> Any:
    """Return a settings model, or a part of one, as plain data: dict, list, str, numbers."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, BaseModel):
        held = value.__dict__  # faster than an attribute of a frozen model each
        names = _FIELDS.get(kind)
        if names is None:
            names = _FIELDS[kind] = tuple(kind.model_fields)
        return {name: plain(held[name]) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _is_plain(value: Any) -> bool:
    """Return True for data that have a canonical form; `_not_plain` says what has none."""
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    if type(value) is list:
        return all(map(_is_plain, value))
    return type(value) in _SCALARS and (type(value) is not float or math.isfinite(value))


def _not_plain(value: Any, at: _Path) -> list[SettingProblem]:
    """Return a problem for everything that has no canonical form."""
    if isinstance(value, dict):
        return [p for key, item in value.items() for p in _not_plain(item, (*at, key))]
    if isinstance(value, list):
        return [p for n, item in enumerate(value) for p in _not_plain(item, (*at, n))]
    if isinstance(value, float) and not math.isfinite(value):
        return [SettingProblem(path=at, message=f"{value} is not a finite number", code="GP304")]
    if value is None or isinstance(value, (bool, int, float, str)):
        return []
    return [SettingProblem(path=at, message=f"expected plain data, not {value!r}", code="GP302")]


def _problems(
    model: type[BaseModel], config: Mapping[str, Any], error: ValidationError
) -> tuple[SettingProblem, ...]:
    """Return the problems of a failed validation, one per place."""
    found: dict[_Path, list[SettingProblem]] = {}
    unions: dict[_Path, Shape] = {}
    unlike: set[SettingProblem] = set()  # words that are near to no choice
    for item in error.errors(include_url=False):
        if _is_counted_wrong(item):
            continue
        path, shape, union = _follow(shape_of(model), item["loc"])
        problem = _problem(path, shape, item)
        if union is None:
            found.setdefault(path, []).append(problem)
        else:
            unions[union[0]] = union[1]
            if item["type"] == "literal_error" and problem.hint is None:
                unlike.add(problem)
            found.setdefault(union[0], []).append(problem)
    problems: list[SettingProblem] = []
    for path, items in found.items():
        merged = items
        if path in unions:
            merged = _union_problems(path, unions[path], config, items, unlike)
        problems.extend(_as_written(item, config) for item in merged)
    return tuple(dict.fromkeys(problems))


def _is_counted_wrong(item: Any) -> bool:
    """Tell whether a list is too short for pydantic alone, which counts valid items only."""
    if item["type"] != "too_short" or not isinstance(item["input"], (list, tuple)):
        return False
    return bool(len(item["input"]) >= item["ctx"]["min_length"])


def _follow(
    shape: Shape, loc: Sequence[str | int]
) -> tuple[_Path, Shape, tuple[_Path, Shape] | None]:
    """Follow pydantic's way to an error; it names the options of a union, which no document has."""
    path: list[str | int] = []
    union: tuple[_Path, Shape] | None = None
    for part in loc:
        if shape.kind == "union":
            union = union or (tuple(path), shape)
            shape = _option(shape, str(part))
            continue
        child = _child(shape, part)
        path.append(part)
        if child is None:
            break
        shape = child
    return tuple(path), shape, union


def _option(union: Shape, name: str) -> Shape:
    """Return the option of a union that pydantic calls by this name."""
    kinds = {"tuple": "list", "list": "list", "literal": "choice", "dict": "map"}
    wanted = kinds.get(name.partition("[")[0])
    for option in union.options:
        if option.kind == wanted or getattr(option.annotation, "__name__", "") == name:
            return option
    return Shape(kind="free", type_name="any")


def _child(shape: Shape, part: str | int) -> Shape | None:
    if shape.kind == "section":
        return next((f.shape for f in fields_of(shape.annotation) if f.name == part), None)
    return shape.item if shape.kind in ("list", "map") else None


def _problem(path: _Path, shape: Shape, item: Any) -> SettingProblem:
    """Translate one error of pydantic."""
    kind, context = item["type"], item.get("ctx", {})
    name = str(path[-1]) if path else ""
    if kind.startswith("GP"):
        hint = context.get("hint") or None
        return SettingProblem(path=path, message=item["msg"], code=kind, hint=hint)
    if kind == "missing" and isinstance(path[-1], int):
        message = f"the list is too short: item {path[-1] + 1} is missing"
        return SettingProblem(path=path[:-1], message=message, code="GP304")
    if kind == "missing":
        wanted = f" ({shape.type_name})" if shape.kind == "leaf" else ""
        message = f"missing required setting {name!r}{wanted}"
        return SettingProblem(path=path, message=message, code="GP305")
    if kind == "extra_forbidden":
        return _unknown_key(path, shape)
    if kind == "literal_error":
        return _wrong_choice(path, shape, item["input"])
    if kind in _RANGE:
        bound = context.get(_RANGE[kind][1])
        message = f"{item['input']!r} is out of range; it must be {_RANGE[kind][0]} {bound}"
        return SettingProblem(path=path, message=message, code="GP304")
    if kind in ("too_short", "too_long"):
        word = "at least" if kind == "too_short" else "at most"
        bound = context.get("min_length" if kind == "too_short" else "max_length")
        message = f"a list of {word} {bound} items is expected, not {context['actual_length']}"
        return SettingProblem(path=path, message=message, code="GP304")
    if kind == "finite_number":
        message = f"{item['input']} is not a finite number"
        return SettingProblem(path=path, message=message, code="GP304")
    if kind.endswith("_type"):
        message = f"expected {_words(shape)}, not {_shown(item['input'])}"
        return SettingProblem(path=path, message=message, code="GP302")
    return SettingProblem(path=path, message=item["msg"], code="GP304")


_RANGE = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
    "string_too_short": ("a text of a length of at least", "min_length"),
    "string_too_long": ("a text of a length of at most", "max_length"),
}


def _unknown_key(path: _Path, section: Shape) -> SettingProblem:
    names = [item.name for item in fields_of(section.annotation)]
    near = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(names)}"
    message = f"unknown setting {str(path[-1])!r}"
    return SettingProblem(path=path, message=message, code="GP301", hint=hint)


def _wrong_choice(path: _Path, shape: Shape, value: Any) -> SettingProblem:
    if type(value) not in {type(item) for item in shape.choices}:
        message = f"expected {_words(shape)}, not {_shown(value)}"
        return SettingProblem(path=path, message=message, code="GP302")
    choices = [str(item) for item in shape.choices]
    near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.6)
    return SettingProblem(
        path=path,
        message=f"{value!r} is not one of {', '.join(choices)}",
        code="GP304",
        hint=f"did you mean {near[0]!r}?" if near else None,
    )


def _union_problems(
    path: _Path,
    shape: Shape,
    config: Mapping[str, Any],
    items: list[SettingProblem],
    unlike: set[SettingProblem],
) -> list[SettingProblem]:
    """Return the problems of a value that fits no option of a union.

    A quantity that is out of range or of another unit is no misspelt choice: the problems in
    ``unlike`` count only where there are no others.
    """
    value: Any = config
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return items[:1]
    inside = [item for item in items if len(item.path) > len(path)]
    if inside:  # of the right kind, wrong in a part of it
        return inside
    telling = [item for item in items if item.code in ("GP303", "GP304")]
    if len(telling) > 1:
        telling = [item for item in telling if item not in unlike]
    if len(telling) == 1 and isinstance(value, (str, int, float)):
        return telling
    message = f"expected {_words(shape)}, not {_shown(value)}"
    return [SettingProblem(path=path, message=message, code="GP302")]


def _words(shape: Shape) -> str:
    """Return a type in words, with its article."""
    if shape.kind == "union":
        return " or ".join(_words(option) for option in shape.options)
    if shape.kind == "choice":
        return shape.type_name
    words = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "str": "a text",
        "section": "a mapping",
    }
    fallback = f"{'an' if shape.type_name[0] in 'aei' else 'a'} {shape.type_name}"
    return words.get(shape.type_name, fallback)


def _shown(value: Any) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return f"{kind_of(value)} ({str(value)[:40]!r})"
    return kind_of(value)


def _as_written(problem: SettingProblem, config: Mapping[str, Any]) -> SettingProblem:
    """Return the problem with the path that the document has.

    ``{lon, lat, radius}`` is gathered under ``center`` before it is checked: the key that the
    document lacks is left out of the way again.
    """
    value: Any = config
    for position, part in enumerate(problem.path):
        present = isinstance(value, Mapping) and part in value
        if part == "center" and isinstance(value, Mapping) and not present and len(value):
            rest = problem.path[position + 1 :]
            path = (*problem.path[:position], *rest)
            if rest:
                return SettingProblem(
                    path=path, message=problem.message, code=problem.code, hint=problem.hint
                )
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    return problem
