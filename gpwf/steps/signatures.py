"""What classes and functions take, read from their source: importing gammapy costs seconds.

The files of the installed version are found by path and parsed with `ast`; nothing of them is
executed, nor is a parent package imported. Only the modules on the way to a class are parsed, once
per process: some milliseconds each.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from gpwf.steps.callables.definitions import (
    DefinedNames,
    Found,
    Function,
    find_definition,
    read_names,
)

__all__ = ["Parameter", "Signature", "forget", "signature"]

# numpydoc's words for values that YAML can hold; gammapy makes quantities of texts
_WORDS: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "string": (str,),
    "dict": (dict,),
    "list": (list,),
    "tuple": (list,),
    "~astropy.units.Quantity": (str,),
    "~astropy.coordinates.Angle": (str,),
}
_CHOICES = re.compile(r"\{([^{}]*)\}")
_QUOTED = re.compile(r"""["']([^"']+)["']""")
_SEPARATOR = re.compile(r",|\s+or\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a class or a function.

    Parameters
    ----------
    name : str
        As the caller writes it.
    required : bool
        True where there is no default.
    default : object
        The default where it is a literal; None also where it is not.
    types : tuple of type
        Types of plain data that it takes, as far as default and docstring tell; empty where they
        do not. `float` comes together with `int`.
    choices : tuple of str
        The only texts that it takes; empty for any.
    nullable : bool
        True where None is a value.
    by_name : bool
        False where it can be given by its position only.
    """

    name: str
    required: bool
    default: Any = None
    types: tuple[type, ...] = ()
    choices: tuple[str, ...] = ()
    nullable: bool = False
    by_name: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a class or a function takes.

    Parameters
    ----------
    target : str
        Dotted name, ``gammapy.makers.SafeMaskMaker``.
    parameters : mapping of str to Parameter
        By name, those that ``**kwargs`` hands on to a base or another class among them.
    takes_any : bool
        True where ``**kwargs`` goes somewhere that is not known: any name may be right.
    """

    target: str
    parameters: Mapping[str, Parameter]
    takes_any: bool = False


def forget() -> None:
    """Forget what was read: files of packages under development change."""
    signature.cache_clear()
    read_names.cache_clear()


@lru_cache(maxsize=256)
def signature(target: str) -> Signature:
    """Return what a class or a function takes, without importing it.

    Parameters
    ----------
    target : str
        Dotted name as one would import it, re-exports included.

    Raises
    ------
    LookupError
        Where the installed version has no such class or function, or no source.
    """
    module, _, name = target.rpartition(".")
    found = find_definition(module, name)
    if found is None:
        raise LookupError(f"no source of {target}")
    parameters, takes_any = _parameters(*found, depth=0)
    return Signature(target=target, parameters=parameters, takes_any=takes_any)


def _parameters(
    module: DefinedNames, node: ast.ClassDef | Function, depth: int
) -> tuple[dict[str, Parameter], bool]:
    """Return the parameters of a definition, and whether it takes any others."""
    if isinstance(node, ast.ClassDef):
        found = _constructor(module, node, depth)
        if found is None:
            return {}, True
        where, owner, function = found
        documented = {**_documented(owner), **_documented(function), **_documented(node)}
    else:
        where, owner, function, documented = module, None, node, _documented(node)
    parameters = dict(_own(function, documented, method=owner is not None))
    if function.args.kwarg is None:
        return parameters, False
    takes_any = True
    for passed, callee in _forwarded(where, owner, function, depth):
        more, takes_any = _parameters(*callee, depth=depth + 1)
        for name, parameter in more.items():
            if name not in passed:
                parameters.setdefault(name, parameter)
    return parameters, takes_any


def _constructor(
    module: DefinedNames, node: ast.ClassDef, depth: int
) -> tuple[DefinedNames, ast.ClassDef, Function] | None:
    """Return the ``__init__`` that a class uses, and the class that it is defined in."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return module, node, item
    for base in _bases(module, node, depth):
        found = _constructor(*base, depth=depth + 1)
        if found is not None:
            return found
    return None


def _bases(
    module: DefinedNames, node: ast.ClassDef, depth: int
) -> Iterator[tuple[DefinedNames, ast.ClassDef]]:
    """Yield the bases that are classes with source."""
    for base in node.bases if depth < 20 else ():
        if isinstance(base, ast.Name):
            found = find_definition(module.name, base.id)
            if found is not None and isinstance(found[1], ast.ClassDef):
                yield found[0], found[1]


def _own(
    function: Function, documented: Mapping[str, str], *, method: bool
) -> Iterator[tuple[str, Parameter]]:
    """Yield the parameters that a function names itself."""
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults))
    defaults: list[ast.expr | None] = [*missing, *args.defaults, *args.kw_defaults]
    pairs = list(zip([*positional, *args.kwonlyargs], defaults, strict=True))
    for argument, default in pairs[1:] if method else pairs:
        found = _parameter(argument.arg, default, documented.get(argument.arg, ""))
        yield argument.arg, replace(found, by_name=argument not in args.posonlyargs)


def _parameter(name: str, default: ast.expr | None, text: str) -> Parameter:
    """Return a parameter from its default and the type in the docstring."""
    value: Any = None
    default_known = False
    if default is not None:
        try:
            value = ast.literal_eval(default)
            default_known = True
        except ValueError:  # a call or a name, ``0.01 * u.deg``
            pass
    types, choices = _documented_types(text)
    kind = type(value)
    if value is not None and kind not in types:  # docstrings are not always complete
        types = (*types, int, float) if kind in (int, float) else (*types, kind)
        choices = choices if kind is str else ()
    nullable = (default is not None and default_known and value is None) or "None" in choices
    return Parameter(
        name=name,
        required=default is None,
        default=value,
        types=types,
        choices=tuple(item for item in choices if item != "None"),
        nullable=nullable,
    )


def _documented_types(text: str) -> tuple[tuple[type, ...], tuple[str, ...]]:
    """Return types and choices of a numpydoc type; only those that plain data can have."""
    choices: list[str] = []
    for group in _CHOICES.findall(text):
        choices += _QUOTED.findall(group)
    types: list[type] = [str] if choices else []
    for word in _SEPARATOR.split(_CHOICES.sub("", text)):
        words = word.strip().strip("`").split()
        first = words[0].strip("`") if words else ""
        if len(words) == 1 or (len(words) > 1 and words[1] == "of"):
            types += _WORDS.get(first, ())
    return tuple(dict.fromkeys(types)), tuple(choices)


def _documented(node: ast.AST) -> dict[str, str]:
    """Return the types in the section Parameters of a numpydoc docstring."""
    if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return {}
    text = ast.get_docstring(node) or ""
    lines = text.partition("Parameters\n----------\n")[2].splitlines()
    found: dict[str, str] = {}
    for line, below in zip_longest(lines, lines[1:], fillvalue=""):
        if below.startswith("---"):
            break  # the next section
        names, colon, kind = line.partition(" : ")
        if colon and not line.startswith(" "):
            found |= {name.strip(): kind.strip() for name in names.split(",")}
    return found


def _forwarded(
    module: DefinedNames, owner: ast.ClassDef | None, function: Function, depth: int
) -> Iterator[tuple[set[str], Found]]:
    """Yield what ``**kwargs`` is handed on to, and the parameters that are given there already."""
    keywords = function.args.kwarg
    for node in ast.walk(function) if keywords is not None and depth < 20 else ():
        if not isinstance(node, ast.Call) or keywords is None:
            continue
        spread = [item.value for item in node.keywords if item.arg is None]
        if not any(isinstance(item, ast.Name) and item.id == keywords.arg for item in spread):
            continue
        callee: Found | None = None
        if _is_super(node.func) and owner is not None:
            bases = (_constructor(*base, depth=depth + 1) for base in _bases(module, owner, depth))
            callee = next(((item[0], item[1]) for item in bases if item is not None), None)
        elif isinstance(node.func, ast.Name):
            callee = find_definition(module.name, node.func.id)
        if callee is not None:
            yield {item.arg for item in node.keywords if item.arg is not None}, callee


def _is_super(node: ast.expr) -> bool:
    """Tell whether an expression is ``super().__init__``."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "__init__"
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "super"
    )
