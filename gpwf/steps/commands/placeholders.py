"""``${inputs.NAME}`` and ``${outputs.NAME}`` in the arguments of a command.

The language has replaced every other expression and leaves these as they are: only a running
command knows where its files are. ``$${`` stands for the two characters ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gpwf.core.expressions import Expression, ExpressionError, Lookup, Template, evaluate
from gpwf.steps.texts import TextType, kind_of, problem

__all__ = ["GROUPS", "NAME", "Argument", "arguments", "parse", "references"]

GROUPS = ("inputs", "outputs")
"""What can be looked up."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*", re.ASCII)
"""A name of an input or output: that of a port, and a key in an expression."""

_OPENING = re.compile(r"\$(\$?)\{")
_REFERENCE = re.compile(rf"[ \t]*({'|'.join(GROUPS)})\.({NAME.pattern})[ \t]*\}}", re.ASCII)


class Argument(TextType):
    """An argument of a program; the value of an expression may be a number.

    A number that is written as such is refused by the schema: ``3.10`` would become ``3.1``.
    """

    __slots__ = ()
    type_name = "text"
    examples = ("ctselect", "${inputs.events}")
    may_be_empty = True

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the argument as text, as `gpwf.core.expressions` writes it into a text."""
        if isinstance(value, bool):
            return cls("true" if value else "false")
        if isinstance(value, (str, int, float)):
            return cls(str(value))
        raise problem("GP302", f"expected a text or a number, not {kind_of(value)}")


def parse(text: str) -> Template:
    """Return the placeholders of a text.

    Raises
    ------
    ExpressionError
        Where a ``${`` begins something else.
    """
    parts: list[str | Expression] = []
    piece, position = "", 0
    while (opening := _OPENING.search(text, position)) is not None:
        piece += text[position : opening.start()]
        position = opening.end()
        if opening[1]:
            piece += "${"
            continue
        found = _REFERENCE.match(text, position)
        if found is None:
            shown = text[opening.start() : opening.start() + 24]
            raise ExpressionError(
                f"{shown!r}: ${{inputs.NAME}} or ${{outputs.NAME}} is expected; "
                "$${ stands for the characters ${"
            )
        lookup = Lookup(parts=(found[1], found[2]))
        parts += [piece] if piece else []
        parts.append(Expression(lookup=lookup, start=opening.start(), end=found.end()))
        piece, position = "", found.end()
    piece += text[position:]
    return Template(parts=(*parts, piece) if piece else tuple(parts))


def references(texts: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield (position of the text, ``inputs`` or ``outputs``, name) of every placeholder.

    Texts that are malformed are passed over.
    """
    for number, text in enumerate(texts):
        try:
            template = parse(text)
        except ExpressionError:
            continue
        for expression in template.expressions:
            group, name = expression.lookup.parts
            yield number, str(group), str(name)


def arguments(texts: Sequence[str], scope: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the arguments of a command.

    Parameters
    ----------
    texts : sequence of str
        As in the settings.
    scope : mapping
        ``inputs`` and ``outputs`` by name: a path as text, or a list of them. An argument that is
        nothing but a list becomes as many arguments.

    Raises
    ------
    ExpressionError
        For a name that does not exist, and for a list inside a text.
    """
    made: list[str] = []
    for text in texts:
        value = evaluate(parse(text), scope)
        made += value if isinstance(value, list) else [str(value)]
    return made
