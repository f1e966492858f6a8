"""Validate a document against the bundled schema, with a good message for every problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from jsonschema.exceptions import ValidationError
from jsonschema.validators import Draft7Validator, extend

from gpwf.core.catalog import StepCatalog
from gpwf.core.diagnostics import Diagnostic
from gpwf.lang.bundle import bundle_schema
from gpwf.lang.codes import Code
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.tree import Node, Path, Place

__all__ = ["SchemaProblem", "config_start", "is_structure", "schema_problems", "shown"]

_MAX_PROBLEMS = 200  # nobody reads more at once
_LATER_TAGS = {
    "notebook": "steps that run a notebook",
    "python": "steps that call a Python function",
}
_LATER_EXECUTORS = ("dask", "ray")
_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
_SIZES = {"Items": "item(s)", "Length": "character(s)", "Properties": "key(s)"}
_TYPE_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaProblem:
    """A problem with the path of the value (or missing or unknown key) that has it."""

    path: Path
    diagnostic: Diagnostic


def config_start(path: Path) -> int | None:
    """Return how many leading parts of a path lead to the settings of a step; None outside."""
    match path:
        case ("steps", int(), "config", *_):
            return 3
        case ("defaults", str(), *_):
            return 2
        case ("profiles", str(), "steps", str(), "config", *_):
            return 5
        case ("profiles", str(), "defaults", str(), *_):
            return 4
    return None


def is_structure(problem: SchemaProblem) -> bool:
    """Return False for a problem in settings, which is weighed against the step's own checks."""
    start = config_start(problem.path)
    return start is None or (start == 3 and len(problem.path) == 3)


def schema_problems(root: Node, catalog: StepCatalog) -> list[SchemaProblem]:
    """Return what the schema has to say against a document.

    Parameters
    ----------
    root : Node
        The document.
    catalog : StepCatalog
        The step types; their schemas are part of the bundle.
    """
    validator = _Validator(_by_step_type(bundle_schema(catalog)))
    errors = validator.iter_errors(root.plain())
    found = chain.from_iterable(_explain(root, error) for error in errors)
    return list(islice(chain(_version(root), found), _MAX_PROBLEMS))


def _by_step_type(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that says the same, and looks at one branch for each step.

    The bundle has an ``if`` for every step type, for the sake of editors; to try them all for
    every step takes longer than everything else.
    """
    steps = bundle["properties"]["steps"]
    item = dict(steps["items"])
    branches: dict[str, Any] = {}
    others: list[Any] = []
    for branch in item.pop("allOf", ()):
        match branch:
            case {"if": {"properties": {"tag": {"const": str(tag)}, **rest}}, "then": then} if (
                not rest and "else" not in branch
            ):
                branches[tag] = then
            case _:
                others.append(branch)
    item[_BRANCHES] = branches
    if others:
        item["allOf"] = others
    properties = {**bundle["properties"], "steps": {**steps, "items": item}}
    return {**bundle, "properties": properties}


def _branch(
    validator: Any, branches: Mapping[str, Any], instance: Any, _: Any
) -> Iterator[ValidationError]:
    """Validate a step against what its type adds."""
    tag = instance.get("tag") if isinstance(instance, Mapping) else None
    if isinstance(tag, str) and tag in branches:
        yield from validator.descend(instance, branches[tag])


def _items(validator: Any, items: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    """Validate the items of a list; numbers that need no more than a type at once."""
    if not isinstance(instance, list):
        return
    skipped: tuple[type, ...] = ()
    if isinstance(items, Mapping) and items.keys() <= _NOT_FOR_NUMBERS:
        words = items.get("type", ("integer", "number"))
        names = (words,) if isinstance(words, str) else words
        skipped = (int, float) if "number" in names else (int,) if "integer" in names else ()
    for index, item in enumerate(instance):
        if type(item) not in skipped:  # a bool is no number
            yield from validator.descend(item, items, path=index)


_NOT_FOR_NUMBERS = frozenset(
    (
        *("type", "title", "description", "markdownDescription", "examples"),
        *("pattern", "patternErrorMessage", "format", "minLength", "maxLength"),
    )
)
_BRANCHES = "gpwf-step-types"
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft7Validator, {_BRANCHES: _branch, "items": _items}
)


def _version(root: Node) -> Iterator[SchemaProblem]:
    """Refuse ``gpwf: 1.0``, which JSON Schema takes for 1."""
    node = root.child("gpwf")
    if node is not None and isinstance(node.value, float) and node.value == 1:
        message = f"this gpwf reads version 1 of the language, not {shown(node.value)}"
        yield _problem(root, ("gpwf",), Code.VERSION, message, hint="write `gpwf: 1`")


def _explain(root: Node, error: ValidationError) -> Iterator[SchemaProblem]:
    """Turn one error of jsonschema into problems."""
    path: Path = tuple(error.absolute_path)
    explainer = _EXPLAINERS.get(str(error.validator), _other)
    if "propertyNames" in error.absolute_schema_path:
        explainer = _bad_name
    yield from explainer(root, path, error)


def _problem(
    root: Node,
    path: Path,
    code: Code,
    message: str,
    *,
    hint: str | None = None,
    key: bool = False,
) -> SchemaProblem:
    """Return a problem at the value of a path, or at its key."""
    node, rest = root.nearest(path)
    at_key = key or bool(rest)
    place = Place.of_key(node) if at_key else Place.of_value(node)
    diagnostic = Report.make(code, message, place, hint=hint, step=_step_name(root, path))
    return SchemaProblem(path=path, diagnostic=diagnostic)


def _step_name(root: Node, path: Path) -> str | None:
    """Return the name of the step that a path leads into."""
    if len(path) < 2 or path[0] != "steps":
        return None
    for key in ("name", "tag"):
        node = root.get(*path[:2], key)
        if node is not None and isinstance(node.value, str):
            return node.value
    return None


def _code(path: Path, structure: Code, setting: Code) -> Code:
    """Return the code for a place inside or outside the settings of a step."""
    return structure if config_start(path) is None else setting


def _unknown_keys(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain ``additionalProperties: false``."""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    known = list(schema.get("properties", {}))
    instance = error.instance if isinstance(error.instance, Mapping) else {}
    for key in (key for key in instance if key not in known):
        where = (*path, key)
        if path in (("defaults",),) or path[2:] == ("defaults",):
            yield _unknown_tag_at(root, where, key, known, key=True)
        else:
            code = _code(path, Code.UNKNOWN_KEY, Code.SETTING_UNKNOWN)
            word = "key" if code is Code.UNKNOWN_KEY else "setting"
            hint = near_miss(key, known) or (f"known here: {listed(known)}" if known else None)
            yield _problem(root, where, code, f"unknown {word} {key!r}", hint=hint, key=True)


def _missing_key(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain ``required``; jsonschema gives one error per key."""
    wanted = error.validator_value if isinstance(error.validator_value, list) else []
    instance = error.instance if isinstance(error.instance, Mapping) else {}
    for key in wanted:
        if key in instance or f"'{key}'" not in error.message:
            continue
        hint = {
            "gpwf": "begin the document with `gpwf: 1`",
            "tag": "a step begins with `- tag: ...`; `gpwf steps` lists the types",
            "steps": "add `steps:` with a list of steps",
        }.get(str(key))
        near = near_miss(str(key), [name for name in instance if isinstance(name, str)])
        is_step = len(path) == 2 and path[0] == "steps"
        what = "the document" if not path else "the step" if is_step else path[-1]
        node = root.get(*path) or root
        diagnostic = Report.make(
            Code.MISSING_KEY,
            f"{what} has no {key!r}",
            Place.of_value(node),
            hint=hint if near is None else None,
            step=_step_name(root, path),
        )
        yield SchemaProblem(path=path, diagnostic=diagnostic)


def _wrong_type(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain ``type``."""
    wanted = error.validator_value
    names = wanted if isinstance(wanted, list) else [wanted]
    words = " or ".join(_TYPE_WORDS.get(str(name), str(name)) for name in names)
    code = _code(path, Code.WRONG_TYPE, Code.SETTING_TYPE)
    message = f"{_where(path)}expected {words}, not {shown(error.instance)}"
    yield _problem(root, path, code, message, hint=_type_hint(names, error))


def _type_hint(names: list[Any], error: ValidationError) -> str | None:
    """Return what to write instead, where that is clear."""
    if "string" in names and isinstance(error.instance, (bool, int, float)):
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        if str(schema.get("format", "")).startswith("gpwf-"):
            return "a quantity needs a unit"
        if "pattern" in schema and schema.get("examples"):
            return f"for example {schema['examples'][0]}"
        return "write it in quotes if text is meant"
    return None


def _not_allowed(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain ``enum`` and ``const``."""
    if path == ("gpwf",):
        message = f"this gpwf reads version 1 of the language, not {shown(error.instance)}"
        yield _problem(root, path, Code.VERSION, message, hint="write `gpwf: 1`")
        return
    value = error.validator_value
    allowed = [str(item) for item in (value if isinstance(value, list) else [value])]
    if path[-1:] == ("executor",) and error.instance in _LATER_EXECUTORS:
        message = f"the executor {error.instance!r} is not supported by this version of gpwf yet"
        yield _problem(root, path, Code.NOT_YET, message)
        return
    if path[:1] == ("params",) and path[-1:] == ("type",):
        message = f"unknown type of parameter {shown(error.instance)}"
        hint = near_miss(str(error.instance), allowed) or f"types: {listed(allowed, limit=20)}"
        yield _problem(root, path, Code.PARAM_DECLARATION, message, hint=hint)
        return
    code = _code(path, Code.NOT_ALLOWED, Code.SETTING_VALUE)
    message = f"{_where(path)}{shown(error.instance)} is not one of {listed(allowed)}"
    yield _problem(root, path, code, message, hint=near_miss(str(error.instance), allowed))


def _alternatives(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain ``anyOf`` and ``oneOf``: the tag of a step, or alternatives of a plug-in."""
    options = error.validator_value if isinstance(error.validator_value, list) else []
    known = [str(item["const"]) for item in options if isinstance(item, dict) and "const" in item]
    if path[-1:] == ("tag",) and len(path) == 3:
        yield _unknown_tag_at(root, path, error.instance, known)
        return
    if known:
        code = _code(path, Code.NOT_ALLOWED, Code.SETTING_VALUE)
        message = f"{_where(path)}{shown(error.instance)} is not one of {listed(known)}"
        yield _problem(root, path, code, message, hint=near_miss(str(error.instance), known))
        return
    branches: dict[int, list[ValidationError]] = {}
    for item in error.context or ():
        branches.setdefault(int(item.schema_path[0]), []).append(item)
    deepest = max(branches.values(), key=lambda items: len(items[0].absolute_path), default=[])
    for item in deepest:
        yield from _explain(root, item)


def _unknown_tag_at(
    root: Node, path: Path, tag: object, known: list[str], *, key: bool = False
) -> SchemaProblem:
    """Return the problem of a step type that does not exist."""
    if not isinstance(tag, str):
        message = f"the tag of a step is text, not {shown(tag)}"
        return _problem(root, path, Code.WRONG_TYPE, message, key=key)
    if tag in _LATER_TAGS:
        message = f"{_LATER_TAGS[tag]} (tag {tag!r}) are not supported by this version of gpwf yet"
        return _problem(root, path, Code.NOT_YET, message, key=key)
    hint = near_miss(tag, known) or f"step types: {listed(known)}"
    return _problem(root, path, Code.UNKNOWN_TAG, f"unknown step type {tag!r}", hint=hint, key=key)


def _pattern(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain ``pattern`` with the message that the schema gives for it."""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    wanted = str(schema.get("patternErrorMessage") or f"expected text like {schema['pattern']}")
    examples = [str(item) for item in schema.get("examples", ())]
    is_choice = bool(examples) and "format" not in schema
    fallback = Code.SETTING_VALUE if is_choice else Code.SETTING_TYPE
    code = _code(path, Code.NOT_ALLOWED, fallback)
    message = f"{_where(path)}{wanted[0].lower()}{wanted[1:]}, not {shown(error.instance)}"
    hint = (
        near_miss(str(error.instance), examples) if is_choice and path[:1] == ("steps",) else None
    )
    yield _problem(root, path, code, message, hint=hint if config_start(path) else None)


def _bad_name(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain ``propertyNames``."""
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    reason = schema.get("patternErrorMessage", "the name is not allowed")
    message = f"{shown(error.instance)} is not a name here: {reason}"
    yield _problem(root, (*path, str(error.instance)), Code.NOT_ALLOWED, message, key=True)


def _bounds(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain limits of numbers and lengths."""
    keyword = str(error.validator)
    code = _code(path, Code.NOT_ALLOWED, Code.SETTING_VALUE)
    if keyword in _LIMITS:
        words, found = f"{_LIMITS[keyword]} {error.validator_value}", shown(error.instance)
    else:
        unit = next(word for end, word in _SIZES.items() if keyword.endswith(end))
        most = "at least" if keyword.startswith("min") else "at most"
        words, found = f"{most} {error.validator_value} {unit}", str(len(error.instance))  # type: ignore[arg-type]
    yield _problem(root, path, code, f"{_where(path)}expected {words}, not {found}")


def _other(root: Node, path: Path, error: ValidationError) -> Iterator[SchemaProblem]:
    """Explain a keyword that only a plug-in's schema uses."""
    code = _code(path, Code.NOT_ALLOWED, Code.SETTING_VALUE)
    yield _problem(root, path, code, f"{_where(path)}{error.message[:300]}")


def _where(path: Path) -> str:
    """Return the name of the value, for the beginning of a message."""
    names = [str(part) for part in path if isinstance(part, str)]
    return f"{names[-1]}: " if names else ""


def shown(value: object) -> str:
    """Return words for a value in a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_Explainer = Callable[[Node, Path, ValidationError], Iterator[SchemaProblem]]

_EXPLAINERS: dict[str, _Explainer] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_key,
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_allowed,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
    "pattern": _pattern,
    **dict.fromkeys(
        (
            *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
            *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
        ),
        _bounds,
    ),
}
