"""What is wrong with a function and its arguments, told from its source before anything runs."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gpwf.core.catalog import SettingProblem
from gpwf.steps.callables.calling import CONTEXT, RANDOM
from gpwf.steps.callables.definitions import definition, syntax_error
from gpwf.steps.callables.modules import ModuleNotThereError
from gpwf.steps.callables.source import split_target
from gpwf.steps.signatures import Signature, signature
from gpwf.steps.texts import TextType, kind_of, problem

__all__ = ["CallableName", "Target", "argument_problems", "is_target", "look_up", "name_problems"]

_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_LONGEST = 500
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)

# decorators behind which a function takes what its definition says
_KEEPING = frozenset(
    {"cache", "lru_cache", "wraps", "quantity_input", "jit", "njit", "array_function_dispatch"}
)


class CallableName(TextType):
    """A function by the name of its module and its own: ``package.module:function``."""

    __slots__ = ()
    type_name = "callable"
    examples = ("package.module:function",)

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the name; refuse one that is not of this form."""
        if not isinstance(value, str):
            raise problem("GP302", f"expected package.module:function, not {kind_of(value)}")
        text = value.strip()
        if not is_target(text):
            message = f"{value[:80]!r} is not of the form package.module:function"
            raise problem("GP304", message, _form_hint(text))
        return cls(text)


def is_target(text: str) -> bool:
    """Tell whether a text is of the form ``package.module:function``."""
    return len(text) <= _LONGEST and ".py:" not in text and _TARGET.fullmatch(text) is not None


def _form_hint(text: str) -> str:
    """Return what to write instead of something that is no name of a function."""
    if "/" in text or text.endswith(".py") or ".py:" in text:
        return "name a module that Python finds (installed, or on PYTHONPATH), not a file"
    dotted, _, last = text.rpartition(".")
    if ":" not in text and dotted and _TARGET.fullmatch(f"{dotted}:{last}"):
        return f"did you mean '{dotted}:{last}'?"
    return "a module, a colon, the name of a function in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is known of a function.

    Parameters
    ----------
    problem : SettingProblem or None
        Why it cannot be used.
    signature : Signature or None
        What it takes; None where only Python could tell.
    """

    problem: SettingProblem | None = None
    signature: Signature | None = None

    def has_default(self, name: str) -> bool:
        """Tell whether an argument may be left out."""
        found = self.signature.parameters.get(name) if self.signature is not None else None
        return found is not None and not found.required


def look_up(target: str) -> Target:
    """Return what the source tells of a function; nothing is imported."""
    module, name = split_target(target)
    try:
        found = definition(module, name)
    except ModuleNotThereError as error:
        near = error.near()
        hint = f"did you mean {near!r}?" if near else ""
        if error.parent is None:
            more = "install its package beside gpwf, or put its folder on PYTHONPATH"
            hint = f"{hint} Otherwise {more}" if hint else more
        elif not hint:
            hint = f"{error.parent.name} has no module of this name"
        return Target(problem=_not_there(f"there is no module {error.name!r}", hint))
    if found.exists is False:
        near_names = difflib.get_close_matches(name, found.names, n=1)
        public = [item for item in found.names if not item.startswith("_")]
        hint = f"did you mean {near_names[0]!r}?" if near_names else f"it has {_listed(public)}"
        return Target(problem=_not_there(f"{module!r} has no function {name!r}", hint))
    broken = syntax_error(module) if not found.names else ""
    if broken:
        return Target(problem=_not_there(f"{module!r} cannot be read: {broken}", "repair it"))
    if not found.module or not set(found.decorators) <= _KEEPING:
        return Target()
    try:
        return Target(signature=signature(f"{module}.{name}"))
    except LookupError:
        return Target()


def _not_there(message: str, hint: str) -> SettingProblem:
    return SettingProblem(path=("callable",), message=message, code="GP307", hint=hint)


def _listed(names: Iterable[str], most: int = 8) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return (", ".join(found[:most]) or "none") + more


def name_problems(groups: Mapping[str, Iterable[str]]) -> Iterator[SettingProblem]:
    """Yield what is wrong with names of arguments and outputs.

    Parameters
    ----------
    groups : mapping of str to iterable of str
        Names by the setting that they are written under; those of ``outputs`` are apart.
    """
    taken: dict[str, str] = {}
    for group, names in groups.items():
        for name in names:
            path = (group, name)
            if _NAME.fullmatch(name) is None or keyword.iskeyword(name):
                message = f"{name!r} is no name: a letter, then letters, digits and _"
                yield SettingProblem(path=path, message=message, code="GP304")
            elif group != "outputs" and taken.setdefault(name, group) != group:
                message = f"{name!r} is under {taken[name]!r} as well"
                hint = "an argument has one value"
                yield SettingProblem(path=path, message=message, code="GP306", hint=hint)


def argument_problems(
    target: str, known: Signature, groups: Mapping[str, Iterable[str]], *, seeded: bool
) -> Iterator[SettingProblem]:
    """Yield what a function does not take, and what it needs besides.

    Parameters
    ----------
    target : str
        The function.
    known : Signature
        What it takes.
    groups : mapping of str to iterable of str
        Names of arguments by the setting that they are written under.
    seeded : bool
        True where there is a seed.
    """
    offered = _offered(known, seeded)
    given = {name: group for group, names in groups.items() for name in names}
    for name, group in given.items():
        yield from _given_problems(target, known, name, group, offered)
    if seeded and not set(RANDOM) & known.parameters.keys() and not known.takes_any:
        message = f"{target} takes no random numbers"
        hint = f"leave `seed` out, or give the function one of the parameters {', '.join(RANDOM)}"
        yield SettingProblem(path=("seed",), message=message, code="GP306", hint=hint)
    for name, parameter in known.parameters.items():
        if not parameter.required or name in given or name in offered:
            continue
        if not parameter.by_name:
            message = f"{target} takes {name!r} by its position only"
            hint = "write a function around it: arguments are given by name"
            yield SettingProblem(path=("callable",), message=message, code="GP306", hint=hint)
        elif name in RANDOM:
            message = f"missing required setting 'seed': {target} takes {name!r}"
            yield SettingProblem(path=("seed",), message=message, code="GP305")
        else:
            message = f"missing argument {name!r} of {target}"
            hint = f"write it under `inputs` (a product), `files` or `arguments`: {name}: …"
            path = ("arguments", name)
            yield SettingProblem(path=path, message=message, code="GP305", hint=hint)


def _offered(known: Signature, seeded: bool) -> tuple[str, ...]:
    """Return the parameters that gpwf gives by itself."""
    found = [CONTEXT] if CONTEXT in known.parameters else []
    found += [name for name in RANDOM if seeded and name in known.parameters][:1]
    return tuple(found)


def _given_problems(
    target: str, known: Signature, name: str, group: str, offered: tuple[str, ...]
) -> Iterator[SettingProblem]:
    """Yield what is wrong with one argument."""
    path = (group, name)
    parameter = known.parameters.get(name)
    if name in offered:
        message = f"{name!r} is given by gpwf"
        yield SettingProblem(path=path, message=message, code="GP306", hint="leave it out")
    elif parameter is None and not known.takes_any:
        near = difflib.get_close_matches(name, list(known.parameters), n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"it takes {_listed(known.parameters, 20)}"
        message = f"{target} has no parameter {name!r}"
        yield SettingProblem(path=path, message=message, code="GP301", hint=hint)
    elif parameter is not None and not parameter.by_name:
        message = f"{target} takes {name!r} by its position only"
        hint = "write a function around it: arguments are given by name"
        yield SettingProblem(path=path, message=message, code="GP306", hint=hint)
    elif group == "arguments" and name in RANDOM and parameter is not None:
        message = f"{name!r} among the arguments would be the same in every task of a scatter"
        hint = "write `seed: NUMBER` beside `arguments`: each task has a stream of its own"
        yield SettingProblem(path=path, message=message, code="GP306", hint=hint)
