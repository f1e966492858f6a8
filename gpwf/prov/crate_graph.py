"""The JSON-LD graph of a research object crate, entity by entity.

References
----------
RO-Crate 1.1, https://w3id.org/ro/crate/1.1
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

__all__ = ["CONTEXT", "CrateGraph", "file_id", "fragment", "ref", "time_text"]

#: ``buildInstructions`` is not in the context of RO-Crate 1.1; the profile says how to add it.
CONTEXT: list[Any] = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
    {"buildInstructions": "https://codemeta.github.io/terms/buildInstructions"},
]


def ref(name: str) -> dict[str, str]:
    """Return a reference to an entity."""
    return {"@id": name}


def fragment(kind: str, *parts: str) -> str:
    """Return the name of an entity that is no file: ``#kind-part/part``, percent-encoded."""
    return "#" + quote(f"{kind}-{'/'.join(parts)}", safe="/-._~")


def file_id(path: str) -> str:
    """Return the name of a file in the crate: its path from the root, percent-encoded."""
    return quote(path, safe="/-._~")


def time_text(moment: datetime | None) -> str | None:
    """Return a time as the profile wants it: ISO 8601 to the millisecond, with an offset."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


class CrateGraph:
    """Entities by name; what is said twice of one is kept once."""

    def __init__(self) -> None:
        self._entities: dict[str, dict[str, Any]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._entities

    def __len__(self) -> int:
        return len(self._entities)

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._entities[name]

    def add(self, name: str, types: str | list[str], /, **properties: Any) -> str:
        """Add an entity, or properties to one that is there; return its name.

        Parameters
        ----------
        name : str
            The ``@id``.
        types : str or list of str
            The ``@type``.
        **properties
            Values, `ref` for references; None and empty ones are left out.
        """
        entity = self._entities.setdefault(name, {"@id": name, "@type": types})
        for key, value in properties.items():
            if value is not None and value != "" and value != []:
                entity[key] = value
        return name

    def link(self, name: str, key: str, target: str) -> None:
        """Add a reference to a property that may have several, unless it is there."""
        # a dict keeps the order and finds a member at once: a root has thousands of parts
        self._entities[name].setdefault(key, {})[target] = None

    def linked(self, name: str, key: str) -> list[str]:
        """Return the references that `link` gave a property."""
        return list(self._entities[name].get(key, ()))

    def document(self) -> dict[str, Any]:
        """Return the whole as JSON-LD: flat, single values without a list around them."""
        return {
            "@context": CONTEXT,
            "@graph": [
                {key: _compact(key, value) for key, value in entity.items()}
                for entity in self._entities.values()
            ],
        }


def _compact(key: str, value: Any) -> Any:
    if isinstance(value, dict) and "@id" not in value:
        value = [ref(target) for target in value]
    if isinstance(value, list) and len(value) == 1 and not key.startswith("@"):
        return value[0]
    return value
