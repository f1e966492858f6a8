"""Read a YAML document with the place of every key and value.

The text is read as YAML 1.2 core from a parser's stream of events, never through PyYAML's loaders:
these follow YAML 1.1, lose duplicate keys and positions, and can be made to hang. Every size is
bounded, and every problem becomes a `Diagnostic`.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.lang.builder import Limits, StopReading, TreeBuilder
from gpwf.lang.codes import Code
from gpwf.lang.events import SyntaxProblem, find_bad_escape, parse_events
from gpwf.lang.lines import Lines
from gpwf.lang.scalars import BAD_CHARACTER
from gpwf.lang.tree import Node

__all__ = ["Document", "Limits", "read_document", "read_text"]

_EXPRESSION = re.compile(r"\$\{")
_SAVE = "save the file as UTF-8"
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
    source: str = "workflow"

    @cached_property
    def lines(self) -> Lines:
        """The lines of the text."""
        return Lines(self.text, self.file)

    def source_line(self, line: int) -> str | None:
        """Return a line of the text, counted from 1; None where there is nothing to show."""
        return self.lines.source_line(line) if self.text else None

    def span(self, start: int, end: int) -> Span:
        """Return the span between two character positions."""
        return self.lines.span(start, end)

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
    blank = read_text(data, file=file, source=source, limits=limits)
    if blank.diagnostics:
        return blank
    builder = TreeBuilder(limits=limits, source=source, span=blank.span)
    with suppress(StopReading):
        _check_expressions(blank.text, builder)
        _feed(blank.text, builder)
    if builder.root is None and not builder.diagnostics:
        builder.report(Code.EMPTY, "the document is empty", 0, 0, hint="begin with `gpwf: 1`")
    found = tuple(blank.with_source_lines(builder.diagnostics))
    return _with(blank, root=builder.root, diagnostics=found)


def read_text(
    data: bytes | str, *, file: str, source: str = "workflow", limits: Limits | None = None
) -> Document:
    """Decode a text that is not YAML; see `read_document`. Its ``root`` is None."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    text, problem = _decode(raw, limits or Limits())
    digest = hashlib.sha256(raw).hexdigest()
    document = Document(file=file, text=text, digest=digest, source=source)
    if problem is None:
        return document
    span = document.span(problem.at, min(problem.at + 1, len(text)))
    found = Diagnostic(
        code=problem.code, message=problem.message, span=span, hint=problem.hint or None
    )
    return _with(document, diagnostics=tuple(document.with_source_lines([found])))


def _with(document: Document, **changes: Any) -> Document:
    """Return a changed document that keeps what is known of the lines: texts may be long."""
    changed = replace(document, **changes)
    changed.__dict__["lines"] = document.lines
    return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class _BadText:
    """Why bytes are no text that can be read, and at which character."""

    code: Code
    message: str
    at: int = 0
    hint: str = ""


def _decode(raw: bytes, limits: Limits) -> tuple[str, _BadText | None]:
    """Return the text, or what of it can be shown and the problem."""
    if len(raw) > limits.max_bytes:
        message = f"the file has more than the {limits.max_bytes} bytes that are read"
        hint = "put large tables into their own files"
        return "", _BadText(code=Code.TOO_LARGE, message=message, hint=hint)
    for mark, name in _BYTE_ORDER_MARKS.items():
        if raw.startswith(mark):
            return "", _BadText(
                code=Code.ENCODING, message=f"the text is {name}, not UTF-8", hint=_SAVE
            )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8").removeprefix("\ufeff")
        shown = before + raw[error.start : error.start + 200].decode("utf-8", "replace")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        return shown, _BadText(code=Code.ENCODING, message=message, at=len(before), hint=_SAVE)
    text = text.removeprefix("\ufeff")
    bad = BAD_CHARACTER.search(text)
    if bad is None:
        return text, None
    message = f"character U+{ord(bad[0]):04X} must not occur in a text"
    hint = "the file looks like UTF-16; " + _SAVE if "\0" in text[:4] else ""
    return text, _BadText(code=Code.CHARACTER, message=message, at=bad.start(), hint=hint)


def _check_expressions(text: str, builder: TreeBuilder) -> None:
    """Stop where a text has more expressions than can be evaluated while somebody waits."""
    limit = builder.limits.max_expressions
    if text.count("${") > limit:
        at = [match.start() for match in islice(_EXPRESSION.finditer(text), limit + 1)][-1]
        message = f"the document has more than {limit} expressions"
        builder.report(Code.TOO_LARGE, message, at, at + 2, hint="put large tables into files")
        raise StopReading


def _feed(text: str, builder: TreeBuilder) -> None:
    """Let the builder see every event of the text; stop at what cannot be read on."""
    try:
        for event in parse_events(text):
            _feed_event(builder, event, text)
    except SyntaxProblem as problem:
        begin = problem.begin
        related = ((builder.span(begin, begin + 1), "it begins here"),) if begin is not None else ()
        builder.report(
            problem.code,
            str(problem),
            problem.start,
            problem.end,
            hint=problem.hint,
            related=related,
        )


def _feed_event(builder: TreeBuilder, event: Event, text: str) -> None:
    """Pass one value, key, or end of a list or mapping on."""
    start, end = _index(event.start_mark), _index(event.end_mark)
    if isinstance(event, ScalarEvent):
        if event.tag is not None:
            builder.report_tag(event.tag, start, end)
        style = event.style or ""  # plain: libyaml says "", the parser in Python None
        if not style and not event.value:
            start = end = _before_blanks(text, start)
        value = event.value
        if style == '"' and BAD_CHARACTER.search(value):
            builder.report_character(*find_bad_escape(text, start, end))
            value = BAD_CHARACTER.sub("\ufffd", value)
        builder.scalar(value, style, event.anchor, start, end)
    elif isinstance(event, CollectionEndEvent):
        builder.close()
    elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
        if event.tag is not None:
            builder.report_tag(event.tag, start, end)
        builder.open(isinstance(event, MappingStartEvent), event.anchor, start, end)
    elif isinstance(event, AliasEvent):
        builder.alias(event.anchor or "", start, end)
    elif isinstance(event, DocumentStartEvent):
        builder.document(start)


def _index(mark: Any) -> int:
    """Return the character position of a mark."""
    return int(mark.index)


def _before_blanks(text: str, at: int) -> int:
    """Return where the blanks before a position begin: a value that is missing was due there.

    The parsers do not agree on the place of a missing value.
    """
    while at > 0 and text[at - 1] in " \t":
        at -= 1
    return at
