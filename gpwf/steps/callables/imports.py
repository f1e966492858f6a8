"""What a file of Python imports, read from its text.

Only the statements that begin with ``import`` or ``from`` are parsed: to parse whole files would
take some hundred times as long, and a large package has hundreds. A line of a docstring that reads
like an import counts as one, which does no harm; imports by a text that is made while the code
runs are not seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

__all__ = ["imported_names"]

# at the beginning of a line, after a colon or a semicolon
_STATEMENT = re.compile(rb"(?:^|[:;])[ \t]*((?:import|from)[ \t\\(.].*)$", re.MULTILINE)
_LONGEST = 20_000  # characters of one statement


def imported_names(text: bytes, module: str, *, is_package: bool) -> Iterator[tuple[str, str]]:
    """Yield what is imported, as often as it is.

    Parameters
    ----------
    text : bytes
        Source of the module.
    module : str
        Its dotted name, from which relative imports count.
    is_package : bool
        True for an ``__init__.py``.

    Yields
    ------
    module, name : str
        ``from module import name``; the name is empty for ``import module``.
    """
    for match in _STATEMENT.finditer(text):
        for node in _parsed(text, match.start(1)):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = _absolute(node, module, is_package)
                yield from ((source, alias.name) for alias in node.names)


def _parsed(text: bytes, start: int) -> list[ast.stmt]:
    """Return the statements of the logical line that begins at a position; none for other text."""
    end = start
    while True:
        stop = text.find(b"\n", end)
        line = text[start : len(text) if stop < 0 else stop]
        goes_on = line.endswith((b"\\", b"\\\r")) or line.count(b"(") > line.count(b")")
        if not goes_on or stop < 0 or len(line) > _LONGEST:
            break
        end = stop + 1
    try:
        return ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        return []


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """Return the module that a ``from`` imports from."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - (node.level - 1 if is_package else node.level)]
    return ".".join([*kept, node.module] if node.module else kept)
