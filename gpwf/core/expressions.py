"""The ``${...}`` expressions of the language as frozen nodes, and their pure evaluation.

An expression looks something up; nothing is computed and nothing is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpwf.core.units import UnitError, UnitFallback, convert, parse_quantity

__all__ = [
    "MAX_TEXT",
    "Expression",
    "ExpressionError",
    "Literal",
    "Lookup",
    "Template",
    "UnknownNameError",
    "evaluate",
    "lookups",
]

MAX_TEXT = 1_000_000
"""Longest text that a template may become: texts of texts grow without end otherwise."""


class ExpressionError(ValueError):
    """The value of an expression cannot be used where the expression stands."""


class UnknownNameError(ExpressionError):
    """An expression names something that does not exist.

    Parameters
    ----------
    message : str
        What is not there.
    path : tuple of (str or int)
        The way up to and including the part that is missing.
    known : tuple of str
        Names that exist in its place.
    """

    def __init__(
        self, message: str, *, path: tuple[str | int, ...], known: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.path = path
        self.known = known


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A path into the scope; a part in brackets may itself be a path.

    ``params.targets[member.name].radius`` has the parts ``"params"``, ``"targets"``, a `Lookup`,
    ``"radius"``.
    """

    parts: tuple[str | int | Lookup, ...]

    def __str__(self) -> str:
        text = ""
        for part in self.parts:
            text += f".{part}" if isinstance(part, str) and text else ""
            text += part if isinstance(part, str) and not text else ""
            text += "" if isinstance(part, str) else f"[{part}]"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A fixed value, used after ``??`` where the look-up finds nothing."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """One ``${...}``.

    Parameters
    ----------
    lookup : Lookup
        What is looked up.
    unit : str, optional
        After ``as``: the value is the bare number in this unit.
    default : Literal, optional
        After ``??``: the value where the look-up finds nothing or null.
    start, end : int
        Position in the text, ``$`` and ``}`` included; end exclusive.
    """

    lookup: Lookup
    unit: str | None = None
    default: Literal | None = None
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text with expressions in it, as fixed pieces and expressions in turn.

    Parameters
    ----------
    parts : tuple of str or Expression
        The pieces.
    read_again : bool
        The result is read for expressions once more: ``${`` in a value becomes ``$${``.
    """

    parts: tuple[str | Expression, ...]
    read_again: bool = False

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The expressions, in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def whole(self) -> Expression | None:
        """The expression that is the whole text, None where there is more or nothing."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only if isinstance(only, Expression) else None


def lookups(expression: Expression) -> Iterator[Lookup]:
    """Yield every look-up of an expression, the nested ones too."""
    waiting = [expression.lookup]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(part for part in found.parts if isinstance(part, Lookup))


def evaluate(
    node: Template | Expression | Literal,
    scope: Mapping[str, Any],
    *,
    fallback: UnitFallback | None = None,
) -> Any:
    """Return the value of a text with expressions, or of one expression.

    Parameters
    ----------
    node : Template, Expression or Literal
        What to evaluate. A template that is one expression keeps the type of its value; any other
        becomes text.
    scope : mapping
        Names that can be looked up: ``params``, ``env``, ``workflow`` ...
    fallback : callable, optional
        Knows units that `gpwf.core.units` does not.

    Raises
    ------
    UnknownNameError
        Where a name does not exist and there is no ``??``.
    ExpressionError
        Where the value is no quantity for ``as``, or a list or mapping inside a text.
    """
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Expression):
        return _value(node, scope, fallback)
    whole = node.whole
    if whole is not None:
        value = _value(whole, scope, fallback)
        return _escaped(value) if node.read_again and isinstance(value, str) else value
    pieces: list[str] = []
    length = 0
    for part in node.parts:
        text = part if isinstance(part, str) else _text(part, _value(part, scope, fallback))
        if node.read_again and not isinstance(part, str):
            text = _escaped(text)
        length += len(text)
        if length > MAX_TEXT:
            raise ExpressionError(f"the text would have more than {MAX_TEXT} characters")
        pieces.append(text)
    return "".join(pieces)


def _escaped(text: str) -> str:
    return text.replace("${", "$${")


def _value(expression: Expression, scope: Mapping[str, Any], fallback: UnitFallback | None) -> Any:
    """Return the value of one expression."""
    try:
        value = _find(expression.lookup, scope)
    except UnknownNameError:
        if expression.default is None:
            raise
        value = None
    if value is None and expression.default is not None:
        value = expression.default.value
    if expression.unit is None:
        return value
    try:
        number, unit = parse_quantity(value if isinstance(value, str) else "", fallback)
        return convert(number, unit, expression.unit, fallback)
    except UnitError as error:
        reason = str(error) if isinstance(value, str) else f"{_shown(value)} has no unit"
        raise ExpressionError(f"{expression.lookup} as {expression.unit}: {reason}") from None


def _find(lookup: Lookup, scope: Mapping[str, Any]) -> Any:
    """Follow a path through mappings and lists."""
    value: Any = scope
    done: list[str | int] = []
    for part in lookup.parts:
        key = _find(part, scope) if isinstance(part, Lookup) else part
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise ExpressionError(f"{part} is {_shown(key)}: neither a key nor a position")
        value = _step(value, key, tuple(done))
        done.append(key)
    return value


def _step(value: Any, key: str | int, done: tuple[str | int, ...]) -> Any:
    """Go one step down."""
    place = ".".join(str(part) for part in done)
    if isinstance(value, Mapping):
        if str(key) in value:
            return value[str(key)]
        known = tuple(str(name) for name in value)
        message = f"{place} has no {str(key)!r}" if done else f"there is no {str(key)!r} here"
        raise UnknownNameError(message, path=(*done, key), known=known)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if isinstance(key, int) and key < len(value):
            return value[key]
        message = f"{place} is a list of {len(value)} values and has no {str(key)!r}"
        raise UnknownNameError(message, path=(*done, key))
    message = f"{place} is {_shown(value)} and has no {str(key)!r}"
    raise UnknownNameError(message, path=(*done, key))


def _text(expression: Expression, value: Any) -> str:
    """Return a value as part of a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, (Mapping, list, tuple)):
        raise ExpressionError(
            f"{expression.lookup} is {_shown(value)} and cannot be part of a text"
        )
    return str(value)


def _shown(value: Any) -> str:
    """Return words for a value in a message."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return repr(value)[:60]
