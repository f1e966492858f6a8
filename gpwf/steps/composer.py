"""Settings class → draft-07 schema in the shape that editors complete well.

The shape was measured with several versions of yaml-language-server (docs/design): a title on each
object, no ``default`` (editors insert it as text), no ``required`` (values may come from the
document's ``defaults``), expressions allowed wherever a value is typed, patterns with their own
message instead of ``anyOf``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel

from gpwf.core import units
from gpwf.steps.quantities import Quantity
from gpwf.steps.settle import plain
from gpwf.steps.shapes import FieldShape, Shape, fields_of
from gpwf.steps.texts import TextType

__all__ = ["EXPRESSION", "config_schema", "describe_default", "describe_type"]

EXPRESSION = r"\$\{[^{}]+\}"
"""Pattern of one expression of the language, not anchored."""

_WHOLE = f"^{EXPRESSION}$"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_QUANTITY = rf"^(\s*{_NUMBER}\s*[A-Za-z%(/].*|\s*[+-]?\d+[hd].*|{EXPRESSION})$"
_SNIPPET_LIMIT = 12


def config_schema(settings: type[BaseModel], *, title: str = "") -> dict[str, Any]:
    """Return the schema of a step's ``config``.

    Parameters
    ----------
    settings : type
        Settings class.
    title : str, optional
        Title of the object; the class name otherwise.
    """
    schema = _section(settings, title or settings.__name__, expression=False)
    snippet = {
        "label": f"{title or settings.__name__}: settings",
        "description": "The settings that must be given, ready to fill in",
        "body": _snippet(settings),
    }
    return {
        **schema,
        # offered where nothing is written yet: the server adds a key of its own while it completes
        "if": {"type": "object", "maxProperties": 1},
        "then": {"type": "object", "defaultSnippets": [snippet]},
    }


def _section(model: type[BaseModel], title: str, *, expression: bool = True) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for item in fields_of(model):
        properties[item.name] = _field(item)
        if item.name == "center" and item.shape.kind == "section":  # {frame, lon, lat} beside it
            for part in fields_of(item.shape.annotation):
                properties.setdefault(part.name, _field(part))
    schema: dict[str, Any] = {"title": title, "type": "object"}
    if expression:
        schema |= {"type": ["object", "string"], "pattern": _WHOLE}
        schema["patternErrorMessage"] = "Expected a mapping or an expression such as ${params.name}"
    return schema | {"additionalProperties": False, "properties": properties}


def _field(item: FieldShape) -> dict[str, Any]:
    schema = _schema(item.shape, item.name)
    lines = [item.help, f"*Type*: {describe_type(item.shape)}"]
    lines.append(f"*Default*: {describe_default(item)}")
    return {**schema, "description": item.help, "markdownDescription": "\n\n".join(lines)}


def _schema(shape: Shape, name: str) -> dict[str, Any]:
    schema = _MAKERS[shape.kind](shape, name)
    if shape.optional and "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema = {**schema, "type": [*kinds, "null"]}
    return schema


def _leaf(shape: Shape, _name: str) -> dict[str, Any]:
    kind = shape.annotation
    if issubclass(kind, Quantity):
        return {
            "type": "string",
            "format": f"gpwf-{kind.physical_type.replace(' ', '-')}",
            "pattern": _QUANTITY,
            "patternErrorMessage": f"Expected {shape.type_name} with a unit, "
            f"such as {kind.examples[0]}",
            "examples": list(kind.examples),
        }
    if issubclass(kind, TextType):
        bounds = {} if kind.may_be_empty else {"minLength": 1}
        return {"type": "string", **bounds, "examples": list(kind.examples)}
    if kind is str:
        return {"type": "string", **_lengths(shape, "Length")}
    names = {bool: "boolean", int: "integer", float: "number"}
    return {
        "type": [names[kind], "string"],
        "pattern": _WHOLE,
        "patternErrorMessage": f"Expected {describe_type(shape)} or an expression",
        **_range(shape),
    }


def _range(shape: Shape) -> dict[str, Any]:
    words = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    return {words[key]: value for key, value in shape.bounds.items() if key in words}


def _lengths(shape: Shape, suffix: str) -> dict[str, Any]:
    words = {"min_length": f"min{suffix}", "max_length": f"max{suffix}"}
    return {words[key]: value for key, value in shape.bounds.items() if key in words}


def _choice(shape: Shape, _name: str) -> dict[str, Any]:
    texts = [str(item) for item in shape.choices]
    schema = {
        "type": "string",
        "pattern": f"^({'|'.join(re.escape(text) for text in texts)}|{EXPRESSION})$",
        "patternErrorMessage": f"Expected one of: {', '.join(texts)}",
        "examples": list(shape.choices),
    }
    if not all(isinstance(item, str) for item in shape.choices):
        schema |= {"type": ["string", "integer", "boolean"], "pattern": _WHOLE}
    return schema


def _list(shape: Shape, name: str) -> dict[str, Any]:
    assert shape.item is not None
    return {
        "type": ["array", "string"],
        "title": _title(name),
        "pattern": _WHOLE,
        "patternErrorMessage": "Expected a list or an expression such as ${params.name}",
        "items": _schema(shape.item, name),
        **_lengths(shape, "Items"),
    }


def _map(shape: Shape, name: str) -> dict[str, Any]:
    assert shape.item is not None
    return {
        "title": _title(name),
        "type": ["object", "string"],
        "pattern": _WHOLE,
        "patternErrorMessage": "Expected a mapping or an expression such as ${params.name}",
        "additionalProperties": _schema(shape.item, name),
    }


def _free(_shape: Shape, name: str) -> dict[str, Any]:
    return {"title": _title(name)}


def _union(shape: Shape, name: str) -> dict[str, Any]:
    """Join the options in one schema: ``anyOf`` gives messages that nobody understands."""
    joined: dict[str, Any] = {}
    kinds: list[str] = []
    patterns: list[str] = []
    examples: list[Any] = []
    for option in shape.options:
        schema = _schema(option, name)
        kind = schema.pop("type", [])
        kinds += [kind] if isinstance(kind, str) else kind
        texts = option.kind in ("leaf", "choice")
        pattern = schema.pop("pattern", ".*" if texts else None)
        patterns += [pattern] if pattern else []
        examples += schema.pop("examples", [])
        schema.pop("patternErrorMessage", None)
        schema.pop("format", None)
        joined |= schema
    joined["type"] = list(dict.fromkeys(kinds))
    joined["pattern"] = "|".join(dict.fromkeys(patterns))
    joined["patternErrorMessage"] = f"Expected {describe_type(shape)}"
    return joined | ({"examples": examples} if examples else {})


def _nested(shape: Shape, name: str) -> dict[str, Any]:
    return _section(shape.annotation, _title(name))


_MAKERS = {
    "leaf": _leaf,
    "choice": _choice,
    "section": _nested,
    "list": _list,
    "map": _map,
    "free": _free,
    "union": _union,
}


def _title(name: str) -> str:
    return name.replace("_", " ")


def describe_type(shape: Shape) -> str:
    """Return the type of a setting for people, with its unit and its bounds."""
    text = shape.type_name
    if shape.kind == "leaf" and issubclass(shape.annotation, Quantity):
        unit = units.CANONICAL_UNITS[shape.annotation.physical_type]
        text = f"{text}, a number with a unit ({unit} or any other of this type)"
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{signs[key]} {value}" for key, value in shape.bounds.items() if key in signs]
    return f"{text}, {', '.join(bounds)}" if bounds else text


def describe_default(item: FieldShape) -> str:
    """Return the default of a setting for people."""
    if item.required:
        return "none, must be given"
    value = plain(item.default)
    if value is None:
        return "not set"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value, ensure_ascii=False)}`"


def _snippet(model: type[BaseModel]) -> dict[str, Any]:
    """Return the settings that a step usually has, with examples for values."""
    usual = [item for item in fields_of(model) if item.required or item.usual]
    body = {item.name: _example(item.shape) for item in usual}
    if not body:
        first = [item for item in fields_of(model) if item.default is not None][:1]
        body = {item.name: plain(item.default) for item in first}
    return dict(list(body.items())[:_SNIPPET_LIMIT])


def _example(shape: Shape) -> Any:
    if shape.kind == "union":
        return _example(shape.options[0])
    if shape.kind == "section":
        return _snippet(shape.annotation)
    if shape.kind == "choice":
        return shape.choices[0]
    if shape.kind == "list" and shape.item is not None:
        return [_example(shape.item)]
    if shape.kind == "map" and shape.item is not None:
        return {"name": _example(shape.item)}
    if shape.kind == "leaf" and hasattr(shape.annotation, "examples"):
        return shape.annotation.examples[0]
    return {"bool": True, "int": 1, "float": 1.0, "str": "name"}.get(shape.type_name, {})
