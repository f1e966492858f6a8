"""Put values in the place of ``${...}``, and keep track of what was looked up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpwf.core.expressions import (
    ExpressionError,
    Template,
    UnknownNameError,
    evaluate,
    lookups,
)
from gpwf.core.units import UnitFallback
from gpwf.lang.builder import Limits
from gpwf.lang.codes import Code
from gpwf.lang.refs import ReferenceSyntaxError, parse_template
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.tree import Node, Path, from_plain

__all__ = ["Environment", "FailedParamError", "Resolved", "Scope", "param_names"]

_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_RANK = ("step default", "defaults", "workflow", "profile", "params file", "command line")


class FailedParamError(ExpressionError):
    """A parameter has no usable value; the reason has been reported."""


class Environment(Mapping[str, str]):
    """The environment variables, remembering which were asked for.

    Parameters
    ----------
    values : mapping, optional
        The variables; those of the process by default.
    """

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values
        self.asked: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        self.asked[name] = self._values.get(name)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str):
            self.asked[name] = self._values.get(name)
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(())  # the names of the environment are nobody's business

    def __len__(self) -> int:
        return 0

    def note_variables(self, text: str) -> None:
        """Remember every ``$NAME`` in a text; paths are expanded with them."""
        for match in _VARIABLE.finditer(text):
            self.asked[match[1]] = self._values.get(match[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A tree without expressions, and the paths whose expressions failed."""

    node: Node
    failed: tuple[Path, ...] = ()


@dataclass(slots=True, kw_only=True)
class Scope:
    """What expressions can see.

    Parameters
    ----------
    report : Report
        Takes the problems.
    params : mapping
        Values of the parameters by name; may raise `FailedParamError`.
    param_nodes : mapping of str to Node
        Where the value of every parameter was given; grows as parameters are settled.
    environment : Environment
        Environment variables.
    workflow : mapping
        ``name``, ``description`` and ``metadata`` of the workflow.
    steps : tuple of str
        Names of the steps, for a hint.
    """

    report: Report
    params: Mapping[str, Any]
    param_nodes: Mapping[str, Node]
    environment: Environment
    workflow: Mapping[str, Any]
    steps: tuple[str, ...] = ()
    fallback: UnitFallback | None = None
    used_params: set[str] = field(default_factory=set)
    limits: Limits = field(default_factory=Limits)
    expanded: int = 0

    def resolve(self, node: Node, *, step: str | None = None) -> Resolved:
        """Return a tree with every expression replaced by its value."""
        failed: list[Path] = []
        return Resolved(node=self._walk(node, (), failed, step), failed=tuple(failed))

    def _walk(self, node: Node, path: Path, failed: list[Path], step: str | None) -> Node:
        if isinstance(node.value, dict):
            made: dict[str, Node] = {}
            for key, item in node.value.items():
                count = len(failed)
                found = self._walk(item, (*path, key), failed, step)
                if (*path, key) not in failed[count:]:
                    made[key] = found
            return replace(node, value=made)
        if isinstance(node.value, list):
            items = [
                self._walk(item, (*path, index), failed, step)
                for index, item in enumerate(node.value)
            ]
            return replace(node, value=items)
        if isinstance(node.value, str):
            return self._text(node, path, failed, step)
        return node

    def _text(self, node: Node, path: Path, failed: list[Path], step: str | None) -> Node:
        """Evaluate one text."""
        try:
            template = parse_template(node.value)
        except ReferenceSyntaxError as error:
            hint = "an expression is ${params.NAME}; write $${ for the two characters"
            shown = node.value if len(node.value) < 60 else node.value[:57] + "..."
            message = f"malformed expression in {shown!r}: {error}"
            self.report.add(Code.EXPRESSION, message, node, hint=hint, step=step)
            failed.append(path)
            return node
        self.environment.note_variables(_fixed(node.value, template))
        if template is None:
            return node
        self.used_params |= param_names(template)
        scope = {"params": self.params, "env": self.environment, "workflow": self.workflow}
        try:
            value = evaluate(template, scope, fallback=self.fallback)
        except FailedParamError:
            failed.append(path)
            return node
        except UnknownNameError as error:
            self._unknown(error, node, step)
            failed.append(path)
            return node
        except ExpressionError as error:
            self.report.add(Code.EXPRESSION_VALUE, str(error), node, step=step)
            failed.append(path)
            return node
        if not self._bounded(value, len(path)):
            message = "the values of the expressions, written out, are too large or too deep"
            self.report.add(Code.TOO_LARGE, message, node, step=step)
            failed.append(path)
            return node
        return from_plain(value, self._origin(node, template))

    def _bounded(self, value: Any, depth: int) -> bool:
        """Count what a value adds; return False beyond the limits of a document."""
        waiting = [(value, depth)]
        while waiting:
            found, level = waiting.pop()
            self.expanded += 1
            if self.expanded > self.limits.max_nodes or level > self.limits.max_depth:
                return False
            if isinstance(found, Mapping):
                waiting.extend((item, level + 1) for item in found.values())
            elif isinstance(found, (list, tuple)):
                waiting.extend((item, level + 1) for item in found)
        return True

    def _origin(self, node: Node, template: Template) -> Node:
        """Return a node that knows the parameters behind a value."""
        names = sorted(param_names(template) & self.param_nodes.keys())
        behind = [(name, self.param_nodes[name]) for name in names]
        sources = [node.source, *(item.source for _, item in behind)]
        related = tuple(
            (item.span, f"value of the parameter {name!r}")
            for name, item in behind
            if item.span is not None
        )
        given = "".join(f"; {item.detail}" for _, item in behind if item.detail and not item.span)
        return replace(
            node,
            source=max(sources, key=_RANK.index) if behind else node.source,
            detail=(node.detail if node.span is None else str(node.value)) + given,
            related=(*node.related, *related),
        )

    def _unknown(self, error: UnknownNameError, node: Node, step: str | None) -> None:
        """Report a name that does not exist."""
        first = str(error.path[0])
        hint = near_miss(str(error.path[-1]), error.known)
        if len(error.path) == 1 and first == "tables":
            message = "tables are not supported by this version of gpwf yet"
            self.report.add(Code.NOT_YET, message, node, step=step)
            return
        if first == "env" and len(error.path) == 2:
            message = f"the environment variable {error.path[1]} is not set"
            hint = f"set it, or give a value: ${{env.{error.path[1]} ?? value}}"
            self.report.add(Code.ENVIRONMENT, message, node, hint=hint, step=step)
            return
        message = f"unknown name in {node.value[:60]!r}: {error}"
        if len(error.path) == 1 and first in self.params:
            hint = f"write ${{params.{first}}}"
        elif len(error.path) == 1 and first in self.steps:
            hint = "settings do not see other steps; connect products with `required_products`"
        elif hint is None and error.known:
            hint = f"known here: {listed(sorted(error.known))}"
        self.report.add(Code.UNKNOWN_NAME, message, node, hint=hint, step=step)


def param_names(template: Template) -> set[str]:
    """Return the names of the parameters that a text looks up."""
    names: set[str] = set()
    for expression in template.expressions:
        for lookup in lookups(expression):
            if lookup.parts[0] == "params" and len(lookup.parts) > 1:
                names.add(str(lookup.parts[1]))
    return names


def _fixed(text: str, template: Template | None) -> str:
    """Return a text without its expressions."""
    if template is None:
        return text
    return " ".join(part for part in template.parts if isinstance(part, str))
