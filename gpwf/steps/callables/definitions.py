"""The names that a module defines, read from its source; nothing of it is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from gpwf.steps.callables.modules import ModuleNotThereError, find_module

__all__ = [
    "DefinedNames",
    "Definition",
    "Found",
    "Function",
    "definition",
    "find_definition",
    "read_names",
    "syntax_error",
]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What is known of a name in a module.

    Parameters
    ----------
    exists : bool or None
        None where it cannot be told without importing the module.
    module : str
        Where the class or the function is defined; empty where that is not known.
    line : int
        Where its definition begins, from 1; 0 where that is not known.
    decorators : tuple of str
        Names of its decorators, the innermost part of dotted ones.
    names : tuple of str
        Names that there are in the module, sorted.
    """

    exists: bool | None
    module: str = ""
    line: int = 0
    decorators: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinedNames:
    """The definitions of one file, and where the names that it imports come from.

    ``others`` are names with another value, ``stars`` the modules all of whose names are taken;
    ``is_open`` is true where the module makes names while it runs.
    """

    name: str
    is_package: bool
    defined: dict[str, ast.ClassDef | Function] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    stars: list[str] = field(default_factory=list)
    is_open: bool = False


Found = tuple[DefinedNames, ast.ClassDef | Function]
"""A definition, and the module that it is in."""


def definition(module: str, name: str) -> Definition:
    """Return what is known of a name in a module, without importing it.

    Re-exports are followed.

    Raises
    ------
    ModuleNotThereError
        Where the module is not on the Python path.
    """
    find_module(module)
    here = read_names(module)
    if here is None:
        return Definition(exists=None)
    names = tuple(sorted({*here.defined, *here.imported, *here.others}))
    found = find_definition(module, name)
    if found is not None:
        where, node = found
        decorators = tuple(_last_name(item) for item in node.decorator_list)
        return Definition(
            exists=True, module=where.name, line=node.lineno, decorators=decorators, names=names
        )
    if name in names or here.is_open or here.stars:
        return Definition(exists=True if name in names else None, names=names)
    return Definition(exists=False, names=names)


def syntax_error(module: str) -> str:
    """Return why the source of a module cannot be read, with its place; empty where it can."""
    source = find_module(module).source
    try:
        ast.parse(source.read_bytes() if source is not None else b"")
    except SyntaxError as error:
        return f"{error.msg} ({source}:{error.lineno})"
    except (OSError, ValueError) as error:
        return f"{error} ({source})"
    return ""


def _last_name(node: ast.expr) -> str:
    """Return ``cache`` of ``functools.cache(...)``."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


@lru_cache(maxsize=256)
def read_names(name: str) -> DefinedNames | None:
    """Return the definitions of a module; None where there is no readable source."""
    try:
        found = find_module(name)
    except ModuleNotThereError:
        return None
    if found.source is None:
        return None
    try:
        tree = ast.parse(found.source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    body = list(_statements(tree.body))
    defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    makes = any(isinstance(node, defined) and node.name == "__getattr__" for node in body)
    module = DefinedNames(name=name, is_package=found.is_package, is_open=makes)
    for node in body:
        if isinstance(node, defined):
            module.defined[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            for alias in node.names:
                if alias.name == "*":
                    module.stars.append(source)
                else:
                    module.imported[alias.asname or alias.name] = (source, alias.name)
        elif isinstance(node, ast.Import):
            module.others.update(item.asname or item.name.partition(".")[0] for item in node.names)
        else:
            stored = (item for item in ast.walk(node) if isinstance(item, ast.Name))
            module.others.update(n.id for n in stored if isinstance(n.ctx, ast.Store))
    return module


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those inside ``if``, ``try`` and ``with`` among them."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            for part in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, part, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _statements(handler.body)


def _absolute(module: DefinedNames, node: ast.ImportFrom) -> str:
    """Return the module that a ``from`` imports from."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - 1 if module.is_package else node.level
    kept = parts[: len(parts) - up]
    return ".".join([*kept, node.module] if node.module else kept)


def find_definition(module: str, name: str, depth: int = 0) -> Found | None:
    """Return a definition, following re-exports."""
    if depth > 10:
        return None
    here = read_names(module)
    if here is None:
        return None
    if name in here.defined:
        return here, here.defined[name]
    if name in here.imported:
        return find_definition(*here.imported[name], depth + 1)
    for source in here.stars:
        found = find_definition(source, name, depth + 1)
        if found is not None:
            return found
    return None
