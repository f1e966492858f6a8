"""Parse the conditions of ``when``.

The grammar, with white space between the parts::

    when       = or
    or         = and {"or" and}
    and        = not {"and" not}
    not        = "not" not | "(" or ")" | comparison
    comparison = value [("==" | "!=" | "<" | "<=" | ">" | ">=") value]
    value      = EXPR | number | quantity | quoted or bare text | true | false | null
"""

from __future__ import annotations

import re

from gpwf.core.conditions import Both, Comparison, Condition, Not, Operand, Truth
from gpwf.core.expressions import Expression, Literal
from gpwf.lang.refs import ReferenceSyntaxError, parse_expression
from gpwf.lang.scalars import NotFiniteError, resolve_scalar

__all__ = ["parse_condition"]

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"(and|or|not)(?![\w.-])")
_OPERATOR = re.compile(r"==|!=|<=|>=|<|>")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"\\]*)\"")
_BARE = re.compile(r"[^\s()<>=!$'\"]+")
_LOOKUP = re.compile(r"(params|tables|env|workflow)[.\[]")
_SIGNS = {"&&": "`and`", "&": "`and`", "||": "`or`", "|": "`or`"}
_MAX_NESTING = 50


def parse_condition(text: str) -> Condition:
    """Return the condition that a text is.

    Raises
    ------
    ReferenceSyntaxError
        Where it does not follow the grammar.
    """
    parser = _Parser(text)
    found = parser.any_of(0)
    parser.end()
    return found


class _Parser:
    """Recursive descent over one condition."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def any_of(self, depth: int) -> Condition:
        """Parse conditions joined by ``or``."""
        if depth > _MAX_NESTING:
            raise self._error("fewer brackets within brackets")
        parts = [self._all_of(depth)]
        while self._word("or"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else Both(word="or", parts=tuple(parts))

    def _all_of(self, depth: int) -> Condition:
        """Parse conditions joined by ``and``."""
        parts = [self._not(depth)]
        while self._word("and"):
            parts.append(self._not(depth))
        return parts[0] if len(parts) == 1 else Both(word="and", parts=tuple(parts))

    def _not(self, depth: int) -> Condition:
        """Parse ``not``, a bracket or a comparison."""
        if depth > _MAX_NESTING:
            raise self._error("fewer brackets within brackets")
        if self._word("not"):
            return Not(part=self._not(depth + 1))
        self._space()
        if self.text.startswith("(", self.position):
            self.position += 1
            found = self.any_of(depth + 1)
            self._space()
            if not self.text.startswith(")", self.position):
                raise self._error("`)`")
            self.position += 1
            return found
        return self._comparison()

    def _comparison(self) -> Condition:
        """Parse a value, or two with an operator between them."""
        left = self._value()
        self._space()
        operator = _OPERATOR.match(self.text, self.position)
        if operator is None:
            return Truth(operand=left)
        self.position = operator.end()
        right = self._value()
        self._space()
        if _OPERATOR.match(self.text, self.position):
            raise self._error("`and`, `or` or the end after a comparison")
        return Comparison(left=left, operator=operator[0], right=right)

    def _value(self) -> Operand:
        """Parse an expression or a literal."""
        self._space()
        if self.text.startswith("${", self.position):
            found: Expression = parse_expression(self.text, self.position)
            self.position = found.end
            return found
        quoted = _QUOTED.match(self.text, self.position)
        if quoted is not None:
            self.position = quoted.end()
            return Literal(value=quoted[1] if quoted[1] is not None else quoted[2])
        return self._bare()

    def _bare(self) -> Literal:
        """Parse words up to an operator, a bracket, ``and`` or ``or``: ``1 TeV`` is one value."""
        start, words = self.position, []
        while True:
            self._space()
            if _WORD.match(self.text, self.position):
                break
            match = _BARE.match(self.text, self.position)
            if match is None:
                break
            if match[0] in _SIGNS:
                raise self._error(_SIGNS[match[0]])
            if _LOOKUP.match(match[0]):
                raise self._error(f"${{{match[0]}}}")
            words.append(match[0])
            self.position = match.end()
        if not words:
            raise self._error("a value such as ${params.NAME}")
        try:
            return Literal(value=resolve_scalar(" ".join(words)))
        except NotFiniteError as error:
            raise ReferenceSyntaxError(str(error), start) from None

    def end(self) -> None:
        """Make sure that nothing is left."""
        self._space()
        if self.position < len(self.text):
            single = self.text.startswith("=", self.position)
            raise self._error("`==`" if single else "`and`, `or`, a comparison or the end")

    def _word(self, word: str) -> bool:
        """Take a word of the grammar where it stands next."""
        self._space()
        match = _WORD.match(self.text, self.position)
        if match is None or match[1] != word:
            return False
        self.position = match.end()
        return True

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.position)
        self.position = match.end() if match is not None else self.position

    def _error(self, expected: str) -> ReferenceSyntaxError:
        rest = self.text[self.position : self.position + 12]
        found = f"{rest!r}" if rest else "the end of the text"
        return ReferenceSyntaxError(f"expected {expected}, found {found}", self.position)
