"""Values that know where they were written: what the document reader makes and merging keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpwf.core.diagnostics import Span
from gpwf.core.spec import Origin

__all__ = [
    "COMMAND_LINE",
    "Node",
    "Path",
    "Place",
    "from_plain",
    "overlay",
    "texts",
    "walk",
    "with_source",
]

COMMAND_LINE = "command line"

Path = tuple[str | int, ...]
"""Way from a root to a value: keys as text, positions in lists as integers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value and its origin.

    Parameters
    ----------
    value : None, bool, int, float, str, dict of str to Node, or list of Node
        The value. Containers are never changed after they are made.
    span : Span, optional
        Where the value stands; None for a value from the command line.
    key_span : Span, optional
        Where its key stands, for a value in a mapping.
    source : str
        One of the sources of `gpwf.core.spec.Origin`.
    detail : str
        What it was written as where there is no span (``-p e_min=1 TeV``), or the expression that
        gave it.
    related : tuple of (Span, str)
        Other places that explain the value, the definition of a parameter for example.
    private : frozenset of str
        What must not be recorded and is in the value: ``env.NAME``, ``params.NAME``.
    """

    value: Any
    span: Span | None = None
    key_span: Span | None = None
    source: str = "workflow"
    detail: str = ""
    related: tuple[tuple[Span, str], ...] = ()
    private: frozenset[str] = frozenset()

    @property
    def is_mapping(self) -> bool:
        """True for a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """True for a list."""
        return isinstance(self.value, list)

    @property
    def origin(self) -> Origin:
        """The origin that the specification keeps."""
        return Origin(
            source=self.source, span=self.span, detail=self.detail, private=self.all_private
        )

    @property
    def all_private(self) -> frozenset[str]:
        """What must not be recorded and is anywhere in the value."""
        found = self.private
        for _, item in self.items():
            found |= item.all_private
        for item in self.entries():
            found |= item.all_private
        return found

    @property
    def given(self) -> str:
        """``; `` and where a parameter got its value, unless it has it in the workflow itself."""
        if self.span is None:
            return f"; {self.detail}" if self.detail else ""
        place = f"{self.span.file}:{self.span.line}:{self.span.column}"
        return f"; {place}" if self.source in ("profile", "params file") else ""

    def get(self, *path: str | int) -> Node | None:
        """Return the node at a path, None where there is none."""
        node, rest = self.nearest(path)
        return None if rest else node

    def nearest(self, path: Sequence[str | int]) -> tuple[Node, Path]:
        """Return the deepest node on the way to ``path``, and what is left of the way."""
        node: Node = self
        for depth, part in enumerate(path):
            child = node.child(part)
            if child is None:
                return node, tuple(path[depth:])
            node = child
        return node, ()

    def child(self, part: str | int) -> Node | None:
        """Return the value of a key or the item at a position, None where there is none."""
        if isinstance(self.value, dict):
            found = self.value.get(str(part))
            return found if isinstance(found, Node) else None
        if isinstance(self.value, list):
            text = str(part)
            index = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
            if 0 <= index < len(self.value):
                item = self.value[index]
                return item if isinstance(item, Node) else None
        return None

    def items(self) -> Iterator[tuple[str, Node]]:
        """Yield keys and values of a mapping; nothing for another value."""
        if isinstance(self.value, dict):
            yield from self.value.items()

    def entries(self) -> Iterator[Node]:
        """Yield the items of a list; nothing for another value."""
        if isinstance(self.value, list):
            yield from self.value

    def plain(self) -> Any:
        """Return the value as plain data."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a diagnostic points to: a span, or the words for a value from the command line."""

    span: Span | None
    prefix: str = ""
    related: tuple[tuple[Span, str], ...] = ()

    @classmethod
    def of_value(cls, node: Node) -> Place:
        """Return the place of a value."""
        prefix = f"{COMMAND_LINE}: {node.detail}: " if node.span is None and node.detail else ""
        return cls(span=node.span, prefix=prefix, related=node.related)

    @classmethod
    def of_key(cls, node: Node) -> Place:
        """Return the place of the key of a value, of the value itself where it has no key."""
        if node.key_span is None:
            return cls.of_value(node)
        return cls(span=node.key_span, related=node.related)


def from_plain(value: Any, like: Node) -> Node:
    """Return plain data as a tree whose every node stands where ``like`` stands."""
    made: Any = value
    if isinstance(value, dict):
        made = {str(key): from_plain(item, like) for key, item in value.items()}
        made = {key: replace(item, key_span=None) for key, item in made.items()}
    elif isinstance(value, (list, tuple)):
        made = [replace(from_plain(item, like), key_span=None) for item in value]
    return replace(like, value=made)


def with_source(node: Node, source: str) -> Node:
    """Return a tree whose every node has a source; what the command line gave keeps its own."""
    made: Any = node.value
    if isinstance(made, dict):
        made = {key: with_source(item, source) for key, item in made.items()}
    elif isinstance(made, list):
        made = [with_source(item, source) for item in made]
    kept = node.source if node.source == COMMAND_LINE else source
    return replace(node, value=made, source=kept)


def overlay(base: Node | None, top: Node | None) -> Node | None:
    """Return ``top`` laid over ``base``: mappings are merged key by key, all else is replaced."""
    if base is None or top is None:
        return top if base is None else base
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    merged = dict(base.value)
    for key, item in top.value.items():
        merged[key] = overlay(merged.get(key), item)
    return replace(base, value=merged)


def texts(node: Node) -> Iterator[str]:
    """Yield every scalar of a tree as text, without null, true and false."""
    for _, item in walk(node):
        if isinstance(item.value, (str, int, float)) and not isinstance(item.value, bool):
            yield str(item.value)


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Yield every node of a tree with its path, parents before children."""
    yield path, node
    for key, item in node.items():
        yield from walk(item, (*path, key))
    for index, item in enumerate(node.entries()):
        yield from walk(item, (*path, index))
