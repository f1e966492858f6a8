"""What the text of a notebook tells before it is executed: its language, parameters, imports.

A notebook is JSON of the format `nbformat 4`; nothing is imported for reading it.

References
----------
https://nbformat.readthedocs.io/en/latest/format_description.html
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.callables.imports import imported_names

__all__ = ["Notebook", "read_notebook"]

_MOST_BYTES = 200 * 2**20
# `name = value`, `name: int = value`; what follows need not be Python that can be parsed
_ASSIGNED = re.compile(r"^([A-Za-z_]\w*)\s*(?::[^=\n]+)?=(?!=)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """A notebook, as far as its text tells.

    Parameters
    ----------
    language : str
        In lower case; ``python`` where it does not say.
    parameters : tuple of str or None
        Names that the cell with the tag ``parameters`` gives values to; None where there is no
        such cell, or where it is not written in Python.
    imports : tuple of str
        Top-level modules that cells import.
    """

    language: str
    parameters: tuple[str, ...] | None
    imports: tuple[str, ...]


def read_notebook(path: Path) -> Notebook:
    """Read a notebook.

    Raises
    ------
    StepError
        For what is no notebook of nbformat 4.
    OSError
        Where it cannot be read.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise StepError(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
    try:
        content = json.loads(path.read_bytes())
        cells = list(_cells(content, path))
    except (ValueError, RecursionError) as error:
        raise StepError(f"{path} is no notebook: {error}", hint="give an .ipynb file") from None
    metadata = _mapping(content.get("metadata"))
    told = _mapping(metadata.get("kernelspec")).get("language")
    told = told or _mapping(metadata.get("language_info")).get("name") or "python"
    language = str(told).lower()
    if language != "python":
        return Notebook(language=language, parameters=None, imports=())
    sources = [_source(cell) for cell in cells if cell.get("cell_type") == "code"]
    tagged = next((cell for cell in cells if "parameters" in _tags(cell)), None)
    return Notebook(
        language=language,
        parameters=None if tagged is None else _assigned(_source(tagged)),
        imports=tuple(sorted({name for source in sources for name in _imported(source)})),
    )


def _cells(content: Any, path: Path) -> Iterator[dict[str, Any]]:
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        old = isinstance(content, dict) and "worksheets" in content
        hint = f"convert it: jupyter nbconvert --to notebook {path.name}" if old else None
        what = "a notebook of nbformat 3" if old else "no notebook: it has no list of cells"
        raise StepError(f"{path} is {what}", hint=hint or "give an .ipynb file")
    for cell in content["cells"]:
        if not isinstance(cell, dict):
            raise ValueError("a cell is no mapping")
        yield cell


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tags(cell: dict[str, Any]) -> list[Any]:
    found = _mapping(cell.get("metadata")).get("tags")
    return found if isinstance(found, list) else []


def _source(cell: dict[str, Any]) -> str:
    found = cell.get("source")
    return "".join(map(str, found)) if isinstance(found, list) else str(found or "")


def _assigned(source: str) -> tuple[str, ...]:
    """Return the names that a cell gives values to, at its top level."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):  # magics of IPython
        return tuple(dict.fromkeys(_ASSIGNED.findall(source)))
    found: list[str] = []
    for node in body:
        targets: list[Any] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            items = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
            found += [item.id for item in items if isinstance(item, ast.Name)]
    return tuple(dict.fromkeys(found))


def _imported(source: str) -> Iterator[str]:
    text = source.encode(errors="replace")
    for module, _ in imported_names(text, "__main__", is_package=False):
        yield module.partition(".")[0]
