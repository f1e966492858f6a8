"""Parameters: what the document declares, what was given for them, and their settled values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from gpwf.core.diagnostics import Severity, Span
from gpwf.core.redact import looks_secret
from gpwf.core.spec import Origin
from gpwf.core.units import UnitFallback
from gpwf.lang.bundle import PARAM_TYPES
from gpwf.lang.codes import Code
from gpwf.lang.paramtypes import ParamProblem, check_value, compare, infer_type, read_text
from gpwf.lang.refs import ReferenceSyntaxError, parse_template
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.schema import shown
from gpwf.lang.scope import FailedParamError, Scope, root_names
from gpwf.lang.tree import Node, Place, from_plain, walk

_MAX_OPEN = 4  # look-ups whose names are looked up themselves are not ordered beforehand
_UNORDERED = ("bool", "string", "path", "skycoord", "list", "mapping", "table", "any")

__all__ = ["ParamDeclaration", "Params", "declare", "given_on_command_line"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamDeclaration:
    """A parameter of the document.

    Parameters
    ----------
    name, kind : str
        Name and type.
    node : Node
        The declaration, or the bare value.
    default : Node, optional
        Its value where nothing else is given.
    minimum, maximum, choices : Node, optional
        What a value must obey.
    """

    name: str
    kind: str
    node: Node
    default: Node | None = None
    minimum: Node | None = None
    maximum: Node | None = None
    choices: Node | None = None


def declare(name: str, node: Node) -> ParamDeclaration:
    """Return the declaration that a value under ``params`` is.

    A mapping with the key ``type`` or ``default`` is a declaration, everything else a bare value
    whose type is inferred.
    """
    if not (node.is_mapping and {"type", "default"} & node.value.keys()):
        kind = _inferred(node)
        return ParamDeclaration(name=name, kind=kind, node=node, default=node)
    default = node.child("default")
    written = node.child("type")
    if written is not None and written.plain() in list(PARAM_TYPES):  # may be a list, unhashable
        kind = str(written.value)
    elif written is not None:
        kind = "any"  # an unknown type: the schema has said so
    else:
        kind = _inferred(default) if default is not None else "any"
    return ParamDeclaration(
        name=name,
        kind=kind,
        node=node,
        default=default,
        minimum=node.child("min"),
        maximum=node.child("max"),
        choices=node.child("choices"),
    )


def _inferred(node: Node) -> str:
    """Return the type of a value; that of an expression is known when it has a value."""
    if isinstance(node.value, str) and "${" in node.value:
        with suppress(ReferenceSyntaxError):  # reported when the value is evaluated
            template = parse_template(node.value)
            if template is not None and template.whole is not None:
                return "any"
    return infer_type(node.plain())


@dataclass(slots=True, kw_only=True)
class Params(Mapping[str, Any]):
    """The parameters by name; each is settled when it is first looked up.

    Parameters
    ----------
    report : Report
        Takes the problems.
    declarations : mapping
        Declared parameters.
    given : mapping
        Values from profile, params files and command line, the strongest only.
    command_base : Path
        Folder that relative paths of the command line count from.
    lost : frozenset of str
        Parameters that were given a value which could not be found out; that is reported.
    """

    report: Report
    declarations: Mapping[str, ParamDeclaration]
    given: Mapping[str, Node]
    command_base: Path
    fallback: UnitFallback | None = None
    lost: frozenset[str] = frozenset()
    nodes: dict[str, Node] = field(default_factory=dict)
    scope: Scope | None = None
    _values: dict[str, Any] = field(default_factory=dict)
    _failed: set[str] = field(default_factory=set)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._failed |= self.lost

    def __iter__(self) -> Iterator[str]:
        return iter(self.declarations)

    def __len__(self) -> int:
        return len(self.declarations)

    def __contains__(self, name: object) -> bool:
        return name in self.declarations

    def __getitem__(self, name: str) -> Any:
        if name not in self.declarations:
            raise KeyError(name)
        if name in self._failed:
            raise FailedParamError(name)
        if name not in self._values:
            self._settle(name)
        return self._values[name]

    def settle_all(self) -> tuple[dict[str, Any], dict[str, Origin]]:
        """Settle every parameter; return values and origins of those that could be."""
        for name in self._order():
            try:
                self[name]
            except FailedParamError:
                continue
        names = [name for name in self.declarations if name in self._values]
        values = {name: self._values[name] for name in names}
        return values, {name: self.nodes[name].origin for name in names}

    def _order(self) -> list[str]:
        """Return the names so that each comes after those it is made of; report circles.

        Settled in this order, a long chain of parameters needs no deep recursion.
        """
        needs = {name: self._needs(item) for name, item in self.declarations.items()}
        while True:
            try:
                return list(TopologicalSorter(needs).static_order())
            except CycleError as error:
                circle: list[str] = list(reversed(error.args[1]))[1:]
                self._report_circle(circle)
                for name in circle:
                    del needs[name]
                    self._failed.add(name)
                needs = {name: found - set(circle) for name, found in needs.items()}

    def _needs(self, item: ParamDeclaration) -> set[str]:
        """Return the names of the parameters that a parameter is made of."""
        node = self.given.get(item.name, item.default)
        found: set[str] = set()
        for _, part in walk(node) if node is not None else ():
            if isinstance(part.value, str) and not isinstance(part.value, _Given):
                with suppress(ReferenceSyntaxError):  # reported when the value is evaluated
                    template = parse_template(part.value)
                    found |= root_names(template.expressions, "params") if template else set()
        return found & self.declarations.keys()

    def _report_circle(self, circle: Sequence[str]) -> None:
        """Report parameters that are made of each other, at the first of them."""
        order = {name: index for index, name in enumerate(self.declarations)}
        start = circle.index(min(circle, key=lambda name: order[name]))
        turned = [*circle[start:], *circle[:start], circle[start]]
        item = self.declarations[turned[0]]
        message = "parameters depend on each other: " + " → ".join(turned[:20])
        self.report.add(Code.PARAM_CIRCLE, message, item.default or item.node)

    def check_given(self) -> None:
        """Report values for parameters that the document does not have."""
        for name, node in self.given.items():
            if name in self.declarations or node.source == "profile":
                continue  # what a profile has is checked with the profiles
            hint = near_miss(name, self.declarations)
            if hint is None and self.declarations:
                hint = f"parameters: {listed(list(self.declarations))}"
            message = f"the workflow has no parameter {name!r}"
            self.report.add(
                Code.UNKNOWN_PARAM, message, Place.of_key(node), hint=hint or "it has none"
            )

    def check_used(self, used: set[str], *, all_used: bool = False) -> None:
        """Warn of parameters that nothing looks up."""
        for name, item in self.declarations.items():
            if name not in used and not all_used:
                message = f"nothing uses the parameter {name!r}"
                self.report.add(
                    Code.PARAM_UNUSED,
                    message,
                    Place.of_key(item.node),
                    hint=f"use it as ${{params.{name}}} or remove it",
                    severity=Severity.WARNING,
                )

    def _settle(self, name: str) -> None:
        """Find, evaluate and check the value of a parameter."""
        if name in self._open or len(self._open) > _MAX_OPEN:
            start = self._open.index(name) if name in self._open else 0
            self._report_circle(self._open[start:])
            self._failed.update(self._open)
            raise FailedParamError(name)
        self._open.append(name)
        try:
            found = self._value(self.declarations[name])
        finally:
            self._open.pop()
        if found is None or name in self._failed:
            self._failed.add(name)
            raise FailedParamError(name)
        self.nodes[name] = found = _marked(found, name, f"params.{name}")
        self._values[name] = found.plain()

    def _value(self, item: ParamDeclaration) -> Node | None:
        """Return the checked value of a parameter; None where there is a problem."""
        sound = self._check_declaration(item)
        node = self.given.get(item.name, item.default)
        if node is None:
            message = f"the parameter {item.name!r} has no value"
            hint = f"give one: -p {item.name}=VALUE"
            self.report.add(Code.PARAM_MISSING, message, Place.of_key(item.node), hint=hint)
            return None
        if isinstance(node.value, _Given):
            node = self._read(item, node)
        elif self.scope is not None:
            resolved = self.scope.resolve(node)
            node = None if resolved.failed else resolved.node
        if node is None:
            return None
        if node.value is None and item.default is not None and item.default.value is None:
            return node
        try:
            value = check_value(item.kind, node.plain(), self.fallback)
        except ParamProblem as problem:
            self._problem(item, node, problem)
            return None
        node = from_plain(value, node) if value != node.plain() else node
        node = replace(node, value=value) if not isinstance(value, (dict, list)) else node
        return node if sound and self._check_bounds(item, node, value) else None

    def _read(self, item: ParamDeclaration, node: Node) -> Node | None:
        """Read the text of a value from the command line by the type of its parameter."""
        text = str(node.value)
        kind = item.kind
        try:
            value = read_text(kind, text, base=self.command_base)
        except ParamProblem as problem:
            self._problem(item, replace(node, value=text), problem)
            return None
        return from_plain(value, node)

    def _problem(self, item: ParamDeclaration, node: Node, problem: ParamProblem) -> None:
        """Report a value that does not fit."""
        related: tuple[tuple[Span, str], ...] = ()
        if item.node.key_span is not None and node.span is not None:
            related = ((item.node.key_span, f"the parameter {item.name!r}"),)
        message = f"parameter {item.name!r}: {problem}"
        self.report.add(problem.code, message, node, hint=problem.hint, related=related)

    def _check_declaration(self, item: ParamDeclaration) -> bool:
        """Check the limits and choices of a declaration; return False where they are wrong."""
        sound = True
        for word, bound in (("min", item.minimum), ("max", item.maximum)):
            if bound is None:
                continue
            if item.kind in _UNORDERED:
                message = f"parameter {item.name!r}: a {item.kind} has no {word!r}"
                self.report.add(Code.PARAM_DECLARATION, message, Place.of_key(bound))
                sound = False
                continue
            sound &= self._fits(item, bound, word)
        for choice in item.choices.entries() if item.choices is not None else ():
            sound &= self._fits(item, choice, "choices")
        if sound and item.minimum is not None and item.maximum is not None:
            low, high = item.minimum.plain(), item.maximum.plain()
            if compare(item.kind, low, high, self.fallback) > 0:
                message = f"parameter {item.name!r}: min {low!r} is more than max {high!r}"
                self.report.add(Code.PARAM_DECLARATION, message, item.minimum)
                sound = False
        return sound

    def _fits(self, item: ParamDeclaration, node: Node, word: str) -> bool:
        """Check that a limit or choice has the type of its parameter."""
        try:
            check_value(item.kind, node.plain(), self.fallback)
        except ParamProblem as problem:
            message = f"parameter {item.name!r}: {word}: {problem}"
            self.report.add(Code.PARAM_DECLARATION, message, node, hint=problem.hint)
            return False
        return True

    def _check_bounds(self, item: ParamDeclaration, node: Node, value: Any) -> bool:
        """Check a value against the limits and choices."""
        try:
            if (
                item.minimum is not None
                and compare(item.kind, value, item.minimum.plain(), self.fallback) < 0
            ):
                limit = f"{shown(value)} is less than the minimum {item.minimum.plain()!r}"
                raise ParamProblem(limit, Code.PARAM_VALUE)
            if (
                item.maximum is not None
                and compare(item.kind, value, item.maximum.plain(), self.fallback) > 0
            ):
                limit = f"{shown(value)} is more than the maximum {item.maximum.plain()!r}"
                raise ParamProblem(limit, Code.PARAM_VALUE)
            self._check_choice(item, value)
        except ParamProblem as problem:
            if problem.code is not Code.PARAM_DECLARATION:  # that one has been reported
                self._problem(item, node, problem)
            return False
        return True

    def _check_choice(self, item: ParamDeclaration, value: Any) -> None:
        """Check that a value is one of the choices."""
        if item.choices is None or not item.choices.is_list:
            return
        allowed = item.choices.plain()
        if any(
            value == choice or _same(item.kind, value, choice, self.fallback) for choice in allowed
        ):
            return
        words = [str(choice) for choice in allowed]
        message = f"{shown(value)} is not one of {listed(words)}"
        raise ParamProblem(message, Code.PARAM_VALUE, near_miss(str(value), words))


def _marked(node: Node, name: str, path: str) -> Node:
    """Return a tree that knows what of it has a name that looks like a secret."""
    if looks_secret(name):
        return replace(node, private=node.private | {path})
    if node.is_mapping:
        made = {key: _marked(item, key, f"{path}.{key}") for key, item in node.items()}
        return replace(node, value=made) if made != node.value else node
    return node


class _Given(str):
    """A value as it stands on the command line, to be read by the type of its parameter."""

    __slots__ = ()


def given_on_command_line(name: str, text: str) -> Node:
    """Return the node of ``-p NAME=VALUE``."""
    return Node(value=_Given(text), source="command line", detail=f"-p {name}={text}")


def _same(kind: str, value: Any, choice: Any, fallback: UnitFallback | None) -> bool:
    """Return True where two quantities are the same in different units."""
    try:
        return isinstance(value, str) and compare(kind, value, choice, fallback) == 0
    except ParamProblem:
        return False
