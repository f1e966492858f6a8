"""Read a YAML document with the place of every key and value.

The text is read as YAML 1.2 core through PyYAML's stream of events, never through its loaders:
these follow YAML 1.1, lose duplicate keys and positions, and can be made to hang. Every size is
bounded, and every problem becomes a `Diagnostic`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.lang.builder import Limits, StopReading, TreeBuilder
from gpwf.lang.codes import Code
from gpwf.lang.scalars import BAD_CHARACTER
from gpwf.lang.tree import Node

__all__ = ["Document", "Limits", "read_document", "read_text"]

_LONGEST_SHOWN_LINE = 1000
_BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text that was read, with whatever was wrong with it.

    Parameters
    ----------
    file : str
        The file as the user gave it.
    text : str
        The text, without a byte order mark.
    digest : str
        SHA-256 of the bytes.
    root : Node or None
        The value; None where nothing could be read.
    diagnostics : tuple of Diagnostic
        Problems; where there are any, ``root`` may be incomplete.
    """

    file: str
    text: str
    digest: str
    root: Node | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    source: str = field(default="workflow")

    @cached_property
    def _line_starts(self) -> list[int]:
        return _line_starts(self.text)

    def source_line(self, line: int) -> str | None:
        """Return a line of the text, counted from 1; None for a line too long to show."""
        if not 1 <= line <= len(self._line_starts):
            return None
        start = self._line_starts[line - 1]
        end = self._line_starts[line] if line < len(self._line_starts) else len(self.text)
        text = self.text[start:end].rstrip("\r\n")
        return text if len(text) <= _LONGEST_SHOWN_LINE else None

    def span(self, start: int, end: int) -> Span:
        """Return the span between two character positions."""
        return _span(self.file, self._line_starts, start, end)

    def with_source_lines(self, diagnostics: list[Diagnostic]) -> list[Diagnostic]:
        """Return diagnostics with the line of text filled in where they lie in this document."""
        return [
            replace(item, source_line=self.source_line(item.span.line))
            if item.span is not None and item.span.file == self.file and item.source_line is None
            else item
            for item in diagnostics
        ]


def read_document(
    data: bytes | str, *, file: str, source: str = "workflow", limits: Limits | None = None
) -> Document:
    """Read one YAML document.

    Parameters
    ----------
    data : bytes or str
        The document. Bytes must be UTF-8, with or without a byte order mark.
    file : str
        Name for messages.
    source : str
        Source that every value gets.
    limits : Limits, optional
        Bounds on size, depth, nodes and expanded aliases.

    Returns
    -------
    Document
        Always; what is wrong is in its ``diagnostics``.
    """
    limits = limits or Limits()
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(raw).hexdigest()
    text, problem = _decode(raw, file, limits)
    document = Document(file=file, text=text, digest=digest, source=source)
    if problem is not None:
        return replace(document, diagnostics=tuple(document.with_source_lines([problem])))
    builder = TreeBuilder(limits=limits, source=source, span=document.span)
    _feed(document, builder)
    if builder.root is None and not builder.diagnostics:
        builder.report(Code.EMPTY, "the document is empty", 0, 0, hint="begin with `gpwf: 1`")
    found = tuple(document.with_source_lines(builder.diagnostics))
    return replace(document, root=builder.root, diagnostics=found)


def read_text(
    data: bytes | str, *, file: str, source: str = "workflow", limits: Limits | None = None
) -> Document:
    """Decode a text that is not YAML; see `read_document`. Its ``root`` is None."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    text, problem = _decode(raw, file, limits or Limits())
    digest = hashlib.sha256(raw).hexdigest()
    document = Document(file=file, text=text, digest=digest, source=source)
    found = document.with_source_lines([problem] if problem is not None else [])
    return replace(document, diagnostics=tuple(found))


def _decode(raw: bytes, file: str, limits: Limits) -> tuple[str, Diagnostic | None]:
    """Return the text, or what of it can be shown and the problem."""

    def problem(code: Code, message: str, text: str, at: int, hint: str = "") -> Diagnostic:
        span = _span(file, _line_starts(text), at, at + 1)
        return Diagnostic(code=code, message=message, span=span, hint=hint or None)

    if len(raw) > limits.max_bytes:
        message = f"the file has more than the {limits.max_bytes} bytes that are read"
        return "", problem(Code.TOO_LARGE, message, "", 0, "put large tables into their own files")
    for mark, name in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            message = f"the text is {name}, not UTF-8"
            return "", problem(Code.ENCODING, message, "", 0, "save the file as UTF-8")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        shown = before + raw[error.start : error.start + 200].decode("utf-8", "replace")
        return shown, problem(Code.ENCODING, message, shown, len(before), "save the file as UTF-8")
    text = text.removeprefix("\ufeff")
    bad = BAD_CHARACTER.search(text)
    if bad is not None:
        message = f"character U+{ord(bad[0]):04X} must not occur in a text"
        hint = "the file looks like UTF-16; save it as UTF-8" if "\0" in text[:4] else ""
        return text, problem(Code.CHARACTER, message, text, bad.start(), hint)
    return text, None


class _Events(Reader, Scanner, Parser):
    """PyYAML's parser alone: no composer, no constructor, no resolver."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def position(self) -> int:
        """Return how far the text has been read."""
        return int(self.index)

    def events(self) -> Iterator[Event]:
        """Yield every event up to the end."""
        while self.check_event():
            yield cast(Event, self.get_event())  # type: ignore[no-untyped-call]


def _feed(document: Document, builder: TreeBuilder) -> None:
    """Let the builder see every event of the text; stop at what cannot be read on."""
    events = _Events(document.text)
    try:
        for event in events.events():
            if isinstance(event, DocumentStartEvent):
                builder.document(_index(event.start_mark))
            elif isinstance(event, NodeEvent):
                _feed_node(builder, event)
            elif isinstance(event, yaml.CollectionEndEvent):
                builder.close()
    except StopReading:
        return
    except yaml.MarkedYAMLError as error:
        _report_syntax(document.text, builder, error, events.position())
    except (ValueError, OverflowError):  # an escape such as "\U00110000"
        at = events.position()
        builder.report(Code.CHARACTER, "the escape names no character", at, at + 1)


def _index(mark: Any) -> int:
    """Return the character position of a mark."""
    return int(mark.index)


def _feed_node(builder: TreeBuilder, event: NodeEvent) -> None:
    """Pass one value or key on."""
    start, end = _index(event.start_mark), _index(event.end_mark)
    if isinstance(event, AliasEvent):
        builder.alias(event.anchor or "", start, end)
        return
    if isinstance(event, ScalarEvent):
        if event.tag is not None:
            builder.report_tag(event.tag, start, end)
        builder.scalar(event.value, event.style is None, event.anchor, start, end)
    elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
        if event.tag is not None:
            builder.report_tag(event.tag, start, end)
        builder.open(isinstance(event, MappingStartEvent), event.anchor, start, end)


_SYNTAX_HINTS = (
    ("mapping values are not allowed", "a second `: ` in one line: put the value into quotes"),
    ("could not find expected ':'", "every key is followed by a colon and a space"),
    ("expected <block end>", "check the indentation: keys of one mapping begin in one column"),
    ("expected the node content", "a value is missing, or begins with a reserved character"),
    ("found unexpected end of stream", "a quote or a bracket is never closed"),
    ("cannot start any token", "put the value into quotes"),
    ("unknown escape", "write `\\\\` for a backslash, or use single quotes"),
)


def _report_syntax(
    text: str, builder: TreeBuilder, error: yaml.MarkedYAMLError, position: int
) -> None:
    """Turn PyYAML's error into a diagnostic with a hint."""
    mark = error.problem_mark or error.context_mark
    at = min(mark.index if mark is not None else position, len(text))
    problem = str(error.problem or error.context or "cannot be read")
    line_start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    if "\t" in text[line_start : at + 1] and not text[line_start:at].strip(" \t-"):
        tab = text.index("\t", line_start)
        hint = "indent with spaces"
        builder.report(Code.TAB, "a tab cannot be used as indentation", tab, tab + 1, hint=hint)
        return
    hint = next((words for part, words in _SYNTAX_HINTS if part in problem), "")
    if text[at - 1 : at + 1] == "${" or text[at : at + 2] == "${":
        hint = 'inside { } and [ ] an expression needs quotes: "${...}"'
    context = f" {error.context}" if error.context and error.context != problem else ""
    message = f"not valid YAML{context}: {problem}".replace("\n", " ")
    related = []
    if error.context_mark is not None and error.context_mark.index != at:
        begin = error.context_mark.index
        related.append((builder.span(begin, begin + 1), "it begins here"))
    builder.report(Code.SYNTAX, message, at, at + 1, hint=hint, related=tuple(related))


def _line_starts(text: str) -> list[int]:
    """Return where every line begins; line ends are LF, CRLF and CR, as editors count them."""
    starts = [0]
    position = 0
    while True:
        feed = text.find("\n", position)
        stop = feed if feed >= 0 else len(text)
        back = text.find("\r", position, stop)
        if back >= 0 and back + 1 != stop:
            position = back + 1
        elif feed >= 0:
            position = feed + 1
        elif back >= 0:
            position = back + 1
        else:
            return starts
        starts.append(position)


def _span(file: str, starts: list[int], start: int, end: int) -> Span:
    """Return the span between two character positions."""
    line = bisect_right(starts, start)
    last = bisect_right(starts, max(end, start))
    return Span(
        file=file,
        line=line,
        column=start - starts[line - 1] + 1,
        end_line=last,
        end_column=max(end, start) - starts[last - 1] + 1,
    )
