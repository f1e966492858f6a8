"""Read the text of a ``--set`` by the type that the schema has at its path."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gpwf.core.catalog import StepCatalog
from gpwf.lang.tree import Node

__all__ = ["schema_at", "yaml_source"]

_TEXT: Mapping[str, Any] = {"type": "string"}
_NULL = ("", "~", "null")


def schema_at(root: Node, path: Sequence[str | int], catalog: StepCatalog) -> Mapping[str, Any]:
    """Return the schema of what stands at a path of a document; an empty one where any value may.

    Parameters
    ----------
    root : Node
        The document.
    path : sequence of (str or int)
        Where to look; a step is given by its number.
    catalog : StepCatalog
        The step types.
    """
    match tuple(path):
        case ("name" | "description",) | ("steps", _, "description"):
            return _TEXT
        case ("steps", index, "config", *rest):
            tag = root.get("steps", index, "tag")
        case ("defaults", written, *rest):
            tag = Node(value=written)
        case _:
            return {}
    if tag is None or tag.value not in list(catalog.tags()):  # perhaps a list, which has no hash
        return {}
    return _below(catalog.schema(tag.value), rest)


def _below(schema: Any, path: Sequence[str | int]) -> Mapping[str, Any]:
    """Return the schema at a path below one."""
    for part in path:
        if not isinstance(schema, Mapping):
            return {}
        known = schema.get("properties", {})
        if part in known:
            schema = known[part]
        elif "array" in _kinds(schema):
            schema = schema.get("items")
        else:
            schema = schema.get("additionalProperties")
    return schema if isinstance(schema, Mapping) else {}


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    found = schema.get("type", ())
    return {found} if isinstance(found, str) else set(found)


def yaml_source(text: str, schema: Mapping[str, Any]) -> str:
    """Return a text from the command line as the YAML of a value of a schema.

    Where text is wanted all of it is the text: ``12``, ``true`` and ``a: b`` need no quotes. A list
    needs no brackets. Text in quotes or brackets, and an expression, are read as they are.

    Examples
    --------
    >>> yaml_source("023523", {"type": "string"})
    '"023523"'
    >>> yaml_source("23523, 23526", {"type": ["array", "string"], "pattern": "^x$"})
    '[23523, 23526]'
    """
    kinds, plain = _kinds(schema), text.strip()
    if plain[:1] in ("'", '"') or ("null" in kinds and plain in _NULL):
        return text
    pattern = schema.get("pattern")
    if "array" in kinds:
        is_word = pattern is not None and re.search(pattern, plain) is not None
        return text if plain[:1] == "[" or is_word or "object" in kinds else f"[{text}]"
    if kinds in ({"string"}, {"string", "null"}) and pattern is None:
        return json.dumps(text, ensure_ascii=False)
    return text
