"""Build the tree of a document from the events of a YAML parser, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.lang.codes import Code
from gpwf.lang.scalars import NotFiniteError, resolve_scalar
from gpwf.lang.tree import Node

__all__ = ["Limits", "StopReading", "TreeBuilder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a document.

    Parameters
    ----------
    max_bytes : int
        Size of the file.
    max_depth : int
        Nesting of lists and mappings, aliases followed.
    max_nodes : int
        Number of keys and values with every alias expanded.
    max_diagnostics : int
        Number of problems after which reading stops.
    max_expressions : int
        Number of ``${`` in the text.
    max_steps : int
        Number of steps; a workflow that needs more scatters them.
    """

    max_bytes: int = 4_000_000
    max_depth: int = 100
    max_nodes: int = 100_000
    max_diagnostics: int = 200
    max_expressions: int = 5_000
    max_steps: int = 1000


class StopReading(Exception):  # noqa: N818  (no error: the problem has been reported)
    """Reading on makes no sense; the reason is among the diagnostics."""


@dataclass(slots=True, kw_only=True)
class _Frame:
    """A list or mapping that is still open."""

    mapping: dict[str, Node] | None
    items: list[Node]
    anchor: str | None
    start: int
    end: int
    key: str | None = None
    key_span: Span | None = None
    expects_key: bool = True
    skipped: bool = False  # the key was refused: read the value, keep nothing
    size: int = 1
    height: int = 1


@dataclass(slots=True, kw_only=True)
class _Anchored:
    """A value that aliases may repeat, with the size and height of its tree."""

    node: Node
    size: int
    height: int


@dataclass(slots=True, kw_only=True)
class TreeBuilder:
    """State of a document that is being read.

    Parameters
    ----------
    limits : Limits
        Bounds.
    source : str
        Source that every value gets.
    span : callable
        Turns two character positions into a `Span`.
    """

    limits: Limits
    source: str
    span: Callable[[int, int], Span]
    root: Node | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _stack: list[_Frame] = field(default_factory=list)
    _anchors: dict[str, _Anchored] = field(default_factory=dict)
    _nodes: int = 0
    _documents: int = 0

    def report(
        self,
        code: Code,
        message: str,
        start: int,
        end: int,
        *,
        hint: str = "",
        related: tuple[tuple[Span, str], ...] = (),
    ) -> None:
        """Keep a problem; stop where there are too many."""
        place = self.span(start, end)
        self.diagnostics.append(
            Diagnostic(code=code, message=message, span=place, hint=hint or None, related=related)
        )
        if len(self.diagnostics) >= self.limits.max_diagnostics:
            raise StopReading

    def report_tag(self, tag: str, start: int, end: int) -> None:
        """Refuse a YAML tag."""
        shown = tag.replace("tag:yaml.org,2002:", "!!")
        hint = "remove the tag; a value in quotes is text"
        self.report(
            Code.TAG,
            f"YAML tags are not part of the language: {shown[:60]!r}",
            start,
            end,
            hint=hint,
        )

    def report_character(self, start: int, end: int) -> None:
        """Refuse an escape that stands for a character that no text may contain."""
        message = "the escape stands for a character that must not occur in a text"
        self.report(Code.CHARACTER, message, start, end)

    def document(self, start: int) -> None:
        """See the beginning of a document."""
        self._documents += 1
        if self._documents > 1:
            hint = "one file holds one workflow: remove the line `---`"
            self.report(
                Code.DOCUMENTS, "a second document begins here", start, start + 3, hint=hint
            )
            raise StopReading

    def scalar(self, text: str, style: str, anchor: str | None, start: int, end: int) -> None:
        """See a text, number, boolean or null; a key where a key is due.

        Parameters
        ----------
        text : str
            What was written, escapes resolved.
        style : str
            The quote; empty for a plain scalar, whose value may be a number.
        anchor : str or None
            Its anchor.
        start, end : int
            Character positions.
        """
        value: Any = text
        if not style:
            try:
                value = resolve_scalar(text)
            except NotFiniteError as error:
                hint = "write it in quotes if text is meant"
                self.report(Code.NOT_FINITE, str(error), start, end, hint=hint)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.mapping is not None and frame.expects_key:
            if anchor is not None:
                node = Node(value=value, span=self.span(start, end), source=self.source)
                self._anchors[anchor] = _Anchored(node=node, size=1, height=0)
            self._key(frame, text, value, not style, start, end)
            return
        self._count(1, start, end)
        key_span = frame.key_span if frame is not None else None
        node = Node(value=value, span=self.span(start, end), key_span=key_span, source=self.source)
        self._add(node, anchor, end, size=1, height=0)

    def open(self, mapping: bool, anchor: str | None, start: int, end: int) -> None:
        """See the beginning of a list or mapping."""
        if self._at_key():
            kind = "mapping" if mapping else "list"
            hint = 'put an expression that begins a value into quotes: "${...}"'
            self.report(Code.KEY_NOT_TEXT, f"a {kind} cannot be a key", start, end, hint=hint)
        if len(self._stack) >= self.limits.max_depth:
            self._too_deep(start, end)
        self._count(1, start, end)
        self._count_steps(start, end)
        items: dict[str, Node] | None = {} if mapping else None
        self._stack.append(_Frame(mapping=items, items=[], anchor=anchor, start=start, end=end))

    def close(self) -> None:
        """See the end of a list or mapping."""
        frame = self._stack.pop()
        value: Any = frame.items if frame.mapping is None else frame.mapping
        node = Node(
            value=value,
            span=self.span(frame.start, frame.end),
            key_span=self._stack[-1].key_span if self._stack else None,
            source=self.source,
        )
        self._add(node, frame.anchor, frame.end, size=frame.size, height=frame.height)

    def alias(self, name: str, start: int, end: int) -> None:
        """See an alias."""
        found = self._anchors.get(name)
        if found is None:
            inside = any(frame.anchor == name for frame in self._stack)
            reason = "stands inside its own anchor" if inside else "has no anchor above it"
            self.report(Code.ALIAS, f"the alias *{name[:60]} {reason}", start, end)
            found = _Anchored(node=Node(value=None, source=self.source), size=1, height=0)
        if self._at_key():
            value = found.node.value
            text = "..." if isinstance(value, (dict, list)) else str(value)
            self._key(self._stack[-1], text, value, True, start, end)
            return
        self._count(found.size, start, end)
        if len(self._stack) + found.height > self.limits.max_depth:
            self._too_deep(start, end)
        key_span = self._stack[-1].key_span if self._stack else None
        node = replace(found.node, span=self.span(start, end), key_span=key_span)
        self._add(node, None, end, size=found.size, height=found.height)

    def _at_key(self) -> bool:
        """Return True where the next value is a key of a mapping."""
        return (
            bool(self._stack)
            and self._stack[-1].mapping is not None
            and self._stack[-1].expects_key
        )

    def _key(self, frame: _Frame, text: str, value: Any, plain: bool, start: int, end: int) -> None:
        """Take a key, or refuse it and skip its value."""
        span = self.span(start, end)
        frame.expects_key, frame.skipped, frame.end = False, False, end
        frame.size += 1
        self._count(1, start, end)
        if plain and text == "<<":
            hint = "write the keys out, or use `defaults`"
            self.report(
                Code.MERGE_KEY, "merge keys are not part of the language", start, end, hint=hint
            )
            frame.skipped = True
        elif not isinstance(value, str):
            shown = text or "null"
            self.report(
                Code.KEY_NOT_TEXT,
                f"the key {shown[:60]} is not text",
                start,
                end,
                hint=f'write "{shown[:60]}"',
            )
            frame.skipped = True
        elif frame.mapping is not None and value in frame.mapping:
            first = frame.mapping[value].key_span
            related = ((first, "first given here"),) if first is not None else ()
            self.report(
                Code.DUPLICATE_KEY,
                f"the key {value[:60]!r} is given twice",
                start,
                end,
                related=related,
            )
            frame.skipped = True
        frame.key, frame.key_span = str(value), span

    def _add(self, node: Node, anchor: str | None, end: int, *, size: int, height: int) -> None:
        """Put a finished value into the list or mapping that is open."""
        if anchor is not None:
            self._anchors[anchor] = _Anchored(node=node, size=size, height=height)
        if not self._stack:
            if self.root is None:
                self.root = node
            return
        frame = self._stack[-1]
        frame.end = end if end > frame.end else frame.end
        frame.size += size
        frame.height = height + 1 if height >= frame.height else frame.height
        if frame.mapping is None:
            frame.items.append(node)
        elif frame.expects_key:  # a list or mapping as key: reported when it was opened
            frame.expects_key, frame.skipped = False, True
        else:
            frame.expects_key = True
            if not frame.skipped and frame.key is not None:
                frame.mapping[frame.key] = node

    def _count(self, size: int, start: int, end: int) -> None:
        """Count values; stop where there are too many."""
        self._nodes += size
        if self._nodes > self.limits.max_nodes:
            message = f"the document has more than {self.limits.max_nodes} keys and values"
            self.report(Code.TOO_LARGE, message, start, end)
            raise StopReading

    def _count_steps(self, start: int, end: int) -> None:
        """Stop where the list ``steps`` at the top has too many entries."""
        if len(self._stack) != 2 or self._stack[0].key != "steps":
            return
        if len(self._stack[1].items) >= self.limits.max_steps:
            message = f"the workflow has more than {self.limits.max_steps} steps"
            hint = "scatter one step over many values: `foreach`"
            self.report(Code.TOO_LARGE, message, start, end, hint=hint)
            raise StopReading

    def _too_deep(self, start: int, end: int) -> None:
        """Stop: the nesting is too deep."""
        message = f"lists and mappings are nested more than {self.limits.max_depth} deep"
        self.report(Code.TOO_LARGE, message, start, end)
        raise StopReading
