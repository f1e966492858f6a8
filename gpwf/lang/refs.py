"""Parse the ``${...}`` expressions in a text.

The grammar, with white space allowed between the parts::

    EXPR = "${" path ["as" unit] ["??" literal] "}"
    path = name { "." key | "[" int | "'" text "'" | path "]" }

``$${`` stands for the two characters ``${``. A ``$`` before anything else is just a ``$``.
"""

from __future__ import annotations

import re

from gpwf.core.expressions import Expression, Literal, Lookup, Template
from gpwf.lang.scalars import NotFiniteError, resolve_scalar

__all__ = ["ReferenceSyntaxError", "parse_expression", "parse_template"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
_KEY = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")
_INT = re.compile(r"\d{1,9}", re.ASCII)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"\\]*)\"")
_SPACE = re.compile(r"[ \t\r\n]*")
_AS = re.compile(r"as\b[ \t\r\n]+")
_UNIT = re.compile(r"[^?}{$]+")
_BARE = re.compile(r"[^{}]+")
_MAX_NESTING = 20


class ReferenceSyntaxError(ValueError):
    """A ``${...}`` does not follow the grammar.

    Parameters
    ----------
    message : str
        What was expected.
    position : int
        Where in the text.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


def parse_template(text: str) -> Template | None:
    """Return the expressions of a text; None for a text without any and without an escape.

    Raises
    ------
    ReferenceSyntaxError
        Where an expression does not follow the grammar.
    """
    if "${" not in text:
        return None
    parts: list[str | Expression] = []
    piece, position = "", 0
    while True:
        found = text.find("${", position)
        if found < 0:
            break
        if text[found - 1 : found] == "$" and found > position:
            piece += text[position : found - 1] + "${"
            position = found + 2
            continue
        piece += text[position:found]
        expression = _Parser(text, found).expression()
        if piece:
            parts.append(piece)
        parts.append(expression)
        piece, position = "", expression.end
    piece += text[position:]
    if piece:
        parts.append(piece)
    return Template(parts=tuple(parts))


def parse_expression(text: str, start: int = 0) -> Expression:
    """Return the expression that begins at a position of a text; what follows is not looked at.

    Raises
    ------
    ReferenceSyntaxError
        Where it does not follow the grammar.
    """
    return _Parser(text, start).expression()


class _Parser:
    """Recursive descent over one expression."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self.start = start
        self.position = start + 2

    def expression(self) -> Expression:
        """Parse from ``${`` to ``}``."""
        self._space()
        lookup = self._path(0)
        unit = default = None
        self._space()
        if (match := _AS.match(self.text, self.position)) is not None:
            self.position = match.end()
            unit = self._take(_UNIT, "a unit after `as`").strip()
        self._space()
        if self.text.startswith("??", self.position):
            self.position += 2
            default = self._literal()
        self._space()
        if not self.text.startswith("}", self.position):
            raise self._error("`}`")
        self.position += 1
        return Expression(
            lookup=lookup, unit=unit, default=default, start=self.start, end=self.position
        )

    def _path(self, depth: int) -> Lookup:
        """Parse a name with keys and brackets."""
        if depth > _MAX_NESTING:
            raise self._error("fewer brackets within brackets")
        parts: list[str | int | Lookup] = [self._take(_NAME, "a name such as params.e_min")]
        while True:
            if self.text.startswith(".", self.position):
                self.position += 1
                parts.append(self._take(_KEY, "a key after the dot"))
            elif self.text.startswith("[", self.position):
                self.position += 1
                self._space()
                parts.append(self._index(depth))
                self._space()
                if not self.text.startswith("]", self.position):
                    raise self._error("`]`")
                self.position += 1
            else:
                return Lookup(parts=tuple(parts))

    def _index(self, depth: int) -> str | int | Lookup:
        """Parse what stands in brackets."""
        if (number := _INT.match(self.text, self.position)) is not None:
            self.position = number.end()
            return int(number[0])
        if (quoted := _QUOTED.match(self.text, self.position)) is not None:
            self.position = quoted.end()
            return quoted[1] if quoted[1] is not None else quoted[2]
        return self._path(depth + 1)

    def _literal(self) -> Literal:
        """Parse what stands after ``??``."""
        self._space()
        if (quoted := _QUOTED.match(self.text, self.position)) is not None:
            self.position = quoted.end()
            return Literal(value=quoted[1] if quoted[1] is not None else quoted[2])
        start = self.position
        bare = self._take(_BARE, "a value after `??`").strip()
        try:
            return Literal(value=resolve_scalar(bare))
        except NotFiniteError as error:
            raise ReferenceSyntaxError(str(error), start) from None

    def _take(self, pattern: re.Pattern[str], expected: str) -> str:
        """Take a token."""
        match = pattern.match(self.text, self.position)
        if match is None or not match[0].strip():
            raise self._error(expected)
        self.position = match.end()
        return match[0]

    def _space(self) -> None:
        """Skip white space."""
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match is not None else self.position

    def _error(self, expected: str) -> ReferenceSyntaxError:
        """Return what to raise where something else was expected."""
        rest = self.text[self.position : self.position + 12]
        found = f"{rest!r}" if rest else "the end of the text"
        return ReferenceSyntaxError(f"expected {expected}, found {found}", self.position)
