"""Arguments for gammapy, checked against the installed version before anything runs.

gammapy fails late on an argument that it does not know, and ignores one that the chosen method
does not use: both are problems with a place here. gammapy itself is not imported.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from typing import Any

from gpwf.core.catalog import SettingProblem
from gpwf.steps.settings import Section
from gpwf.steps.signatures import Parameter, Signature, signature
from gpwf.steps.texts import kind_of

__all__ = ["argument_problems", "section_problems", "unused_problems"]

_Path = tuple[str | int, ...]
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
}


def argument_problems(
    target: str,
    given: Mapping[str, Any],
    at: _Path,
    *,
    own: Mapping[str, str] | None = None,
    partial: bool = False,
) -> list[SettingProblem]:
    """Return what is wrong with arguments that reach gammapy as they are.

    Parameters
    ----------
    target : str
        Class or function that takes them, ``gammapy.estimators.FluxPointsEstimator``.
    given : mapping
        Plain data by name.
    at : tuple
        Way to the mapping inside ``config``.
    own : mapping of str to str, optional
        Parameters that the step gives itself, with what to write instead; the text may be empty.
    partial : bool
        True where the step gives what is required.

    Returns
    -------
    problems : list of SettingProblem
        ``GP301`` unknown, ``GP302`` wrong type, ``GP304`` no choice, ``GP305`` missing, ``GP306``
        given by the step. Empty where the installed version has no such class: the run says so.
    """
    try:
        known = signature(target)
    except LookupError:
        return []
    mine = own or {}
    free = {name: item for name, item in known.parameters.items() if name not in mine}
    problems: list[SettingProblem] = []
    for name, value in given.items():
        if name in mine:
            message = f"{name!r} cannot be given among the parameters"
            hint = mine[name] or "the step sets it itself"
            problems.append(
                SettingProblem(path=(*at, name), message=message, code="GP306", hint=hint)
            )
        elif name in free:
            problems += _value_problems(free[name], value, (*at, name))
        elif not known.takes_any:
            problems.append(_unknown(known, name, list(free), at))
    for name, parameter in free.items():
        if parameter.required and not partial and name not in given:
            message = f"missing parameter {name!r} of {_class(known)}"
            problems.append(SettingProblem(path=(*at, name), message=message, code="GP305"))
    return problems


def section_problems(target: str, section: Section, at: _Path) -> list[SettingProblem]:
    """Return the settings of a section that the installed gammapy does not know.

    For sections whose settings have the names of gammapy's parameters. Types and ranges are those
    of the settings; only what the document gives is looked at.
    """
    if not section.model_fields_set:
        return []
    try:
        known = signature(target)
    except LookupError:
        return []
    if known.takes_any:
        return []
    names = list(known.parameters)
    unknown = sorted(section.model_fields_set - set(names))
    return [_unknown(known, name, names, at) for name in unknown]


def unused_problems(
    given: Mapping[str, Any],
    at: _Path,
    *,
    users: Mapping[str, tuple[str, ...]],
    chosen: tuple[str, ...],
    setting: str,
) -> list[SettingProblem]:
    """Return the parameters that none of the chosen methods uses; gammapy ignores them silently.

    Parameters
    ----------
    given : mapping
        Parameters that the document gives; null counts as not given.
    at : tuple
        Way to them inside ``config``.
    users : mapping of str to tuple of str
        Methods that use a parameter; one that is absent is not judged.
    chosen : tuple of str
        The methods of the step.
    setting : str
        Setting that chooses them, for the hint.
    """
    problems = []
    without = f"for '{', '.join(chosen)}'" if chosen else "without a method"
    for name, value in given.items():
        methods = users.get(name)
        if value is None or methods is None or set(methods) & set(chosen):
            continue
        words = " or ".join(f"'{method}'" for method in methods)
        problems.append(
            SettingProblem(
                path=(*at, name),
                message=f"{name!r} has no meaning {without}, only for {words}",
                code="GP306",
                hint=f"leave it out, or put {words} into '{setting}'",
            )
        )
    return problems


def _class(known: Signature) -> str:
    return known.target.rpartition(".")[2]


def _unknown(known: Signature, name: str, names: list[str], at: _Path) -> SettingProblem:
    """Return the problem of a parameter that does not exist."""
    package = known.target.partition(".")[0]
    with suppress(metadata.PackageNotFoundError):  # run from a source tree
        package = f"{package} {metadata.version(package)}"
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return SettingProblem(
        path=(*at, name),
        message=f"unknown parameter {name!r} of {_class(known)} ({package})",
        code="GP301",
        hint=f"did you mean {near[0]!r}?" if near else f"parameters: {', '.join(names) or 'none'}",
    )


def _value_problems(parameter: Parameter, value: Any, path: _Path) -> list[SettingProblem]:
    """Return what is wrong with a value, as far as gammapy's default and docstring tell."""
    if not parameter.types or (value is None and parameter.nullable):
        return []
    kind = list if isinstance(value, (list, tuple)) else type(value)
    kind = str if isinstance(value, str) else dict if isinstance(value, Mapping) else kind
    if kind not in parameter.types:
        words = [_WORDS[item] for item in parameter.types if item in _WORDS]
        if float in parameter.types:
            words.remove(_WORDS[int])
        message = f"expected {' or '.join(words)}, not {kind_of(value)}"
        return [SettingProblem(path=path, message=message, code="GP302")]
    if kind is str and parameter.choices and value not in parameter.choices:
        near = difflib.get_close_matches(value, parameter.choices, n=1, cutoff=0.6)
        message = f"{value!r} is not one of {', '.join(parameter.choices)}"
        hint = f"did you mean {near[0]!r}?" if near else None
        return [SettingProblem(path=path, message=message, code="GP304", hint=hint)]
    return []
