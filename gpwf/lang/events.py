"""Events of a YAML text, and what is wrong with one that is no YAML, in plain words.

PyYAML's parsers give the events: libyaml's where PyYAML was built with it, which the wheels and
every distribution have, else the one in Python, which reads the same but some twenty times slower.
Their composer, resolver and constructor are never used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import yaml
from yaml.events import Event
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from gpwf.lang.codes import Code
from gpwf.lang.scalars import BAD_CHARACTER

__all__ = [
    "SyntaxProblem",
    "find_bad_escape",
    "parse_events",
    "parse_with_libyaml",
    "parse_with_python",
]


class SyntaxProblem(Exception):  # noqa: N818  (a reason for a diagnostic, not an error)
    """The text is no YAML.

    Parameters
    ----------
    message : str
        What is wrong.
    code : Code
        Code of the diagnostic.
    start, end : int
        Character positions of the place.
    hint : str
        What to do, or nothing.
    begin : int, optional
        Character position where the list, mapping or text began.
    """

    def __init__(
        self,
        message: str,
        *,
        code: Code = Code.SYNTAX,
        start: int,
        end: int,
        hint: str = "",
        begin: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.start = start
        self.end = end
        self.hint = hint
        self.begin = begin


class _Python(Reader, Scanner, Parser):
    """PyYAML's parser in Python alone: no composer, no constructor, no resolver."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_to_next_token(self) -> None:
        """Skip tabs, too, where they are no indentation: YAML 1.2 and libyaml do."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()


def parse_with_python(text: str) -> Iterator[Event]:
    """Yield the events of a text, from the parser in Python; see `parse_events`."""
    parser = _Python(text)
    try:
        while parser.check_event():
            yield cast(Event, parser.get_event())  # type: ignore[no-untyped-call]
    except yaml.MarkedYAMLError as error:
        raise _explain(text, error) from None
    except (ValueError, OverflowError):  # an escape such as "\U00110000"
        raise _bad_escape(text, int(parser.index)) from None


def parse_with_libyaml(text: str) -> Iterator[Event]:
    """Yield the events of a text, from libyaml; see `parse_events`."""
    parser = yaml.cyaml.CParser(text)  # type: ignore[attr-defined]
    try:
        while (event := parser.get_event()) is not None:
            yield event
    except yaml.MarkedYAMLError as error:
        raise _explain(text, error) from None


parse_events: Callable[[str], Iterator[Event]] = (
    parse_with_libyaml if yaml.__with_libyaml__ else parse_with_python
)
"""Yield the events of a text.

Parameters
----------
text : str
    A text without characters that YAML forbids.

Raises
------
SyntaxProblem
    Where the text is no YAML; after the events of what stands before.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What to say instead of the words of a parser."""

    pattern: str
    message: str
    hint: str = ""


# both parsers' words for one problem in one pattern
_PROBLEMS = (
    _Words(
        pattern="mapping values are not allowed",
        message="a colon makes no key here",
        hint="a second `: ` in one line, or a line indented too far: put the value into quotes",
    ),
    _Words(
        pattern="could not find expected ':'",
        message="a key without a colon",
        hint="every key is followed by a colon and a space",
    ),
    _Words(
        pattern="found unexpected ':'",
        message="a colon that neither ends a key nor belongs to a text",
        hint="put a space after it, or the text into quotes",
    ),
    _Words(
        pattern="sequence entries are not allowed",
        message="a list cannot begin here",
        hint="begin every `- ` on a line of its own, or put the text into quotes",
    ),
    _Words(
        pattern="mapping keys are not allowed",
        message="`? ` cannot stand here",
        hint="put the text into quotes",
    ),
    _Words(
        pattern="expected <block end>|did not find expected (key|'-' indicator)",
        message="this belongs to nothing above it",
        hint="check the indentation: keys of one mapping, and dashes of one list, begin in one "
        "column",
    ),
    _Words(
        pattern="expected ',' or '([]}])'",
        message="a comma or a closing bracket is missing before this",
        hint="close every [ and {, and put text with brackets into quotes",
    ),
    _Words(
        pattern="the node content|expected node content",
        message="a value is missing, or begins with a reserved character",
        hint="put the value into quotes",
    ),
    _Words(
        pattern="expected '?<document start>",
        message="something follows the end of the value",
        hint="a document is one mapping: check the indentation and the brackets",
    ),
    _Words(
        pattern="found unexpected (end of stream|document separator|document indicator)",
        message="a quote is never closed",
        hint="close it, or write the quote twice inside '...'",
    ),
    _Words(
        pattern="unknown escape",
        message="no escape that YAML knows",
        hint="write `\\\\` for a backslash, or use single quotes",
    ),
    _Words(
        pattern="hexdecimal|hexadecimal numbers",
        message="an escape without its hexadecimal digits",
        hint="write `\\\\` for a backslash, or use single quotes",
    ),
    _Words(
        pattern="chomping|indentation indicator|comment or (a )?line break",
        message="text behind the | or > that begins a block of text",
        hint="begin the text on the next line, or put it into quotes",
    ),
    _Words(
        pattern="alphabetic or numeric character",
        message="an anchor or an alias without a name",
        hint="put text that begins with & or * into quotes",
    ),
)
_CONTEXTS = (
    ("flow mapping", " inside { }"),
    ("flow sequence", " inside [ ]"),
    ("block mapping", " in a mapping"),
    ("block (collection|sequence)", " in a list"),
    ("directive", " in a line that begins with %"),
    ("tag", " in a tag"),
)
_DIRECTIVE_HINT = "remove the line; a name cannot begin with %"
_TAG_HINT = "put text that begins with ! into quotes"


def _explain(text: str, error: yaml.MarkedYAMLError) -> SyntaxProblem:
    """Turn the error of a parser into a problem with a hint."""
    mark = error.problem_mark or error.context_mark
    at = min(_index(mark), len(text)) if mark is not None else len(text)
    said = str(error.problem or error.context or "")
    tab = _tab(text, at)
    if tab is not None:
        message, hint = "a tab cannot be used as indentation", "indent with spaces"
        return SyntaxProblem(message, code=Code.TAB, start=tab, end=tab + 1, hint=hint)
    if "unknown escape" in said and text[at : at + 1] != "\\":
        at -= 1  # the parser in Python points behind the backslash
    if "invalid Unicode" in said:
        return _bad_escape(text, at)
    context = str(error.context or "")
    where = next((words for part, words in _CONTEXTS if re.search(part, context)), "")
    message, hint = _words(said, text[at : at + 1], where)
    if text[at - 1 : at + 1] == "${" or text[at : at + 2] == "${":
        hint = 'inside { } and [ ] an expression needs quotes: "${...}"'
    begin = _index(error.context_mark) if error.context_mark is not None else at
    return SyntaxProblem(
        f"not valid YAML{where}: {message}",
        start=at,
        end=at + 1 if text[at : at + 1].strip("\r\n") else at,
        hint=hint,
        begin=begin if begin != at else None,
    )


def _index(mark: Any) -> int:
    """Return the character position of a mark."""
    return int(mark.index)


def _words(said: str, char: str, where: str) -> tuple[str, str]:
    """Return message and hint for what a parser said."""
    if "cannot start any token" in said:
        return f"a value cannot begin with {char!r}", "put the value into quotes"
    if where.endswith("%"):
        return "not understood", _DIRECTIVE_HINT
    if where.endswith("tag"):
        return "not understood", _TAG_HINT
    for words in _PROBLEMS:
        if re.search(words.pattern, said):
            return words.message, words.hint
    return said.replace("\n", " ")[:200] or "cannot be read", ""


def _tab(text: str, at: int) -> int | None:
    """Return the position of the tab that indents the line of a problem; None without one."""
    start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    end = start
    while end < min(at + 1, len(text)) and text[end] in " \t-":
        end += 1
    tab = text.find("\t", start, end)
    return tab if tab >= 0 and end >= at else None


_DIGITS = {"x": 2, "u": 4, "U": 8}
_ESCAPE = re.compile(r"\\(?:x(..)|u(.{4})|U(.{8})|(.))", re.DOTALL)


def _bad_escape(text: str, at: int) -> SyntaxProblem:
    """Return the problem of an escape whose digits begin at a position."""
    start = max(text.rfind("\\", 0, at + 1), 0)
    end = min(at + _DIGITS.get(text[start + 1 : start + 2], 1), len(text))
    message, hint = "the escape names no character", "write `\\\\` for a backslash"
    return SyntaxProblem(message, code=Code.CHARACTER, start=start, end=end, hint=hint)


def find_bad_escape(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the place of the first escape in a double-quoted text that YAML forbids unescaped.

    Parameters
    ----------
    text : str
        The document.
    start, end : int
        Character positions of the quoted text; returned where there is no such escape.
    """
    for match in _ESCAPE.finditer(text, start, end):
        digits = match[1] or match[2] or match[3]
        if match[4] in ("0", "a", "b", "e", "f", "v") or (
            digits and BAD_CHARACTER.match(chr(int(digits, 16)))
        ):
            return match.span()
    return start, end
