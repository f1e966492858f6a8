"""What a settings class looks like: the one reading of annotations that everybody shares.

Schema, documentation, record of types and the reading of lists are all made from `Shape`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gpwf.steps.texts import TextType

__all__ = ["FieldShape", "Shape", "fields_of", "leaf_types", "shape_of", "tupled"]

_LEAVES: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}
_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length", "multiple_of")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Type of a value.

    Parameters
    ----------
    kind : str
        ``leaf``, ``choice``, ``section``, ``list``, ``map``, ``union`` or ``free``.
    type_name : str
        Name for people and records: ``int``, ``energy``, ``list of energy``.
    annotation : object
        Python type of a leaf or a section.
    optional : bool
        True where null is a value.
    item : Shape, optional
        Of a list's or a map's values.
    choices : tuple
        Values of a choice.
    options : tuple of Shape
        Of a union.
    bounds : mapping
        ``ge gt le lt min_length max_length``.
    """

    kind: str
    type_name: str
    annotation: Any = None
    optional: bool = False
    item: Shape | None = None
    choices: tuple[Any, ...] = ()
    options: tuple[Shape, ...] = ()
    bounds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShape:
    """A field of a settings class.

    Parameters
    ----------
    name : str
        Key in the document.
    shape : Shape
        Type of its value.
    help : str
        One line for people.
    required : bool
        True where there is no default.
    default : object
        Default, None where required.
    usual : bool
        True for what a skeleton has although it may be left out: with ``json_schema_extra={"usual":
        True}``, where other settings decide whether it must be given.
    example : object
        First of the field's ``examples``, to show where the default says nothing; or None.
    """

    name: str
    shape: Shape
    help: str
    required: bool
    default: Any
    usual: bool = False
    example: Any = None


@lru_cache(maxsize=1024)
def fields_of(model: type[BaseModel]) -> tuple[FieldShape, ...]:
    """Return the fields of a settings class, in order."""
    return tuple(_field(name, info) for name, info in model.model_fields.items())


def _field(name: str, info: FieldInfo) -> FieldShape:
    shape = shape_of(info.annotation)
    bounds = _bounds(info.metadata)
    required = info.is_required()
    extra = info.json_schema_extra
    return FieldShape(
        name=name,
        shape=replace(shape, bounds={**shape.bounds, **bounds}) if bounds else shape,
        help=(info.description or "").strip(),
        required=required,
        default=None if required else info.get_default(call_default_factory=True),
        usual=isinstance(extra, Mapping) and extra.get("usual") is True,
        example=info.examples[0] if info.examples else None,
    )


def _bounds(metadata: Any) -> dict[str, Any]:
    """Collect the bounds from what `Field` and `Annotated` carry."""
    found: dict[str, Any] = {}
    for entry in metadata:
        for part in entry.metadata if isinstance(entry, FieldInfo) else (entry,):
            for name in _BOUNDS:
                value = getattr(part, name, None)
                if value is not None:
                    found[name] = value
    return found


def shape_of(annotation: Any) -> Shape:
    """Return the shape of an annotation.

    Raises
    ------
    TypeError
        For a type that settings cannot have.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        shape, bounds = shape_of(arguments[0]), _bounds(arguments[1:])
        return replace(shape, bounds={**shape.bounds, **bounds})
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        names = ", ".join(str(item) for item in arguments)
        return Shape(kind="choice", type_name=f"one of {names}", choices=arguments)
    if origin in (tuple, list):
        return _list(origin, arguments)
    if origin is dict:
        return _map(arguments)
    if annotation is Any or annotation is dict or annotation is list:
        return Shape(kind="free", type_name="any")
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return Shape(kind="section", type_name="section", annotation=annotation)
        if issubclass(annotation, TextType):
            return Shape(kind="leaf", type_name=annotation.type_name, annotation=annotation)
        if annotation in _LEAVES:
            return Shape(kind="leaf", type_name=_LEAVES[annotation], annotation=annotation)
    raise TypeError(f"settings cannot have the type {annotation!r}")


def _union(arguments: tuple[Any, ...]) -> Shape:
    optional = type(None) in arguments
    options = tuple(shape_of(item) for item in arguments if item is not type(None))
    if len(options) == 1:
        return replace(options[0], optional=optional)
    return Shape(
        kind="union",
        type_name=" or ".join(item.type_name for item in options),
        options=options,
        optional=optional,
    )


def _list(origin: Any, arguments: tuple[Any, ...]) -> Shape:
    item = shape_of(arguments[0])
    bounds: dict[str, Any] = {}
    if origin is tuple and Ellipsis not in arguments:
        if any(other != arguments[0] for other in arguments):
            raise TypeError("a tuple of settings has items of one type")
        bounds = {"min_length": len(arguments), "max_length": len(arguments)}
    return Shape(
        kind="list",
        type_name="list" if item.kind == "free" else f"list of {item.type_name}",
        annotation=origin,
        item=item,
        bounds=bounds,
    )


def _map(arguments: tuple[Any, ...]) -> Shape:
    item = shape_of(arguments[1])
    if item.kind == "free":
        return Shape(kind="free", type_name="mapping", annotation=dict)
    return Shape(kind="map", type_name=f"mapping of {item.type_name}", item=item)


def tupled(model: type[BaseModel], data: Any) -> Any:
    """Return data with the lists of list fields made tuples, which strict models ask for."""
    if not isinstance(data, Mapping):
        return data
    shapes = _with_lists(model)
    if not shapes:
        return data
    return {
        key: _tupled(shapes[key], value) if key in shapes else value for key, value in data.items()
    }


@lru_cache(maxsize=1024)
def _with_lists(model: type[BaseModel]) -> dict[str, Shape]:
    """Return the fields that may hold a list."""
    kinds = ("list", "map", "union")
    return {item.name: item.shape for item in fields_of(model) if item.shape.kind in kinds}


def _tupled(shape: Shape, value: Any) -> Any:
    if shape.kind == "union":
        lists = [option for option in shape.options if option.kind == "list"]
        return _tupled(lists[0], value) if lists and isinstance(value, list) else value
    if shape.kind == "list" and isinstance(value, (list, tuple)) and shape.item is not None:
        items = [_tupled(shape.item, item) for item in value]
        return items if shape.annotation is list else tuple(items)
    if shape.kind == "map" and isinstance(value, Mapping) and shape.item is not None:
        return {key: _tupled(shape.item, item) for key, item in value.items()}
    return value


def leaf_types(shape: Shape, value: Any) -> dict[str, str]:
    """Return the type name of every leaf of a settled value, by dotted path.

    Parameters
    ----------
    shape : Shape
        Type of the value.
    value : object
        Settled plain data: dict, list, text, numbers. List positions are numbers in a path.
    """
    found: dict[str, str] = {}
    _collect(shape, value, "", found)
    return found


def _collect(shape: Shape, value: Any, at: str, found: dict[str, str]) -> None:
    """Add the leaves of a value; no generator, as a scatter settles many thousand times."""
    kind = shape.kind
    if kind == "leaf":
        found[at] = shape.type_name
        return
    if kind == "union":
        shape = next((item for item in shape.options if _fits(item, value)), shape)
        kind = shape.kind
    held = type(value)
    if kind == "section" and held is dict:
        for item in fields_of(shape.annotation):
            if item.name in value:
                _collect(item.shape, value[item.name], _join(at, item.name), found)
    elif kind in ("list", "map", "free") and held in (dict, list) and value:
        inner = shape if kind == "free" or shape.item is None else shape.item
        for key, part in value.items() if held is dict else enumerate(value):
            _collect(inner, part, _join(at, str(key)), found)
    elif kind in ("choice", "free", "union"):
        found[at] = _LEAVES.get(held, "null" if value is None else "str")
    else:
        found[at] = shape.type_name


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _fits(shape: Shape, value: Any) -> bool:
    """Tell whether a settled value is of one option of a union."""
    if shape.kind in ("section", "map"):
        return isinstance(value, Mapping)
    if shape.kind == "list":
        return isinstance(value, list)
    if shape.kind == "choice":
        return not isinstance(value, (Mapping, list)) and value in shape.choices
    if shape.kind == "leaf":
        if not issubclass(shape.annotation, TextType):
            return type(value) is shape.annotation
        return isinstance(value, str) and _settles(shape.annotation, value)
    return True


def _settles(kind: type[TextType], value: str) -> bool:
    from pydantic_core import PydanticCustomError

    try:
        return kind.settle(value) == value
    except PydanticCustomError:
        return False
