"""Put values in the place of ``${...}``, and keep track of what was looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpwf.core.expressions import (
    Expression,
    ExpressionError,
    Template,
    UnknownNameError,
    evaluate,
    lookups,
)
from gpwf.core.units import UnitFallback
from gpwf.lang.builder import Limits
from gpwf.lang.codes import Code
from gpwf.lang.environment import Environment
from gpwf.lang.refs import ReferenceSyntaxError, parse_template
from gpwf.lang.report import Report, listed, near_miss
from gpwf.lang.tree import Node, Path, from_plain

__all__ = ["FailedParamError", "Resolved", "Scope", "Slot", "root_names"]

_RANK = ("step default", "defaults", "workflow", "profile", "params file", "command line")


class FailedParamError(ExpressionError):
    """A parameter has no usable value; the reason has been reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A text whose value depends on where in the scatter it is looked at.

    Parameters
    ----------
    path : tuple of (str or int)
        Where it stands in its tree.
    node : Node
        The text.
    template : Template
        Its expressions.
    axes : tuple of str
        Full names of the axes that decide.
    """

    path: Path
    node: Node
    template: Template
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A tree without expressions, and the paths whose expressions failed or depend on axes."""

    node: Node
    failed: tuple[Path, ...] = ()
    slots: tuple[Slot, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Walk:
    """State while the texts of one tree are evaluated."""

    step: str | None
    values: Mapping[str, Any] | None
    deferred: tuple[str, ...]
    failed: list[Path] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Scope:
    """What the expressions of one document can see.

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
    tables : mapping of str to Node
        Tables by name, each a mapping of row names to rows.
    axes : mapping of str to str
        Axes that the document declares: their names here, and their full names.
    varying, varying_tables : frozenset of str
        Parameters and tables whose values depend on the axes ``outer``.
    outer : tuple of str
        Full names of the axes around the document that its parameters depend on.
    steps : tuple of str
        Names of the steps, for a hint.
    lost_tables : frozenset of str
        Tables that cannot be used; the reason has been reported.
    hidden_tables : frozenset of str
        Tables that become visible with `set_tables`.
    """

    report: Report
    params: Mapping[str, Any]
    param_nodes: Mapping[str, Node]
    environment: Environment
    workflow: Mapping[str, Any]
    tables: Mapping[str, Node] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    varying: frozenset[str] = frozenset()
    varying_tables: frozenset[str] = frozenset()
    outer: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    lost_tables: frozenset[str] = frozenset()
    hidden_tables: frozenset[str] = frozenset()
    fallback: UnitFallback | None = None
    used_params: set[str] = field(default_factory=set)
    used_tables: set[str] = field(default_factory=set)
    limits: Limits = field(default_factory=Limits)
    expanded: int = 0
    _plain_tables: dict[str, Any] | None = None
    _privacy: dict[int, tuple[Node, frozenset[str]]] = field(default_factory=dict)

    def names(self) -> dict[str, Any]:
        """Return what can be looked up, without axes."""
        if self._plain_tables is None:
            self._plain_tables = {name: node.plain() for name, node in self.tables.items()}
        return {
            "params": self.params,
            "tables": self._plain_tables,
            "env": self.environment,
            "workflow": self.workflow,
        }

    def set_tables(self, tables: Mapping[str, Node]) -> None:
        """Make tables visible: their own values could not see them yet."""
        self.tables, self._plain_tables = tables, None
        self.hidden_tables = frozenset()

    def needs(self, found: Iterable[Expression]) -> tuple[str, ...]:
        """Return the full names of the axes that expressions depend on."""
        axes: dict[str, None] = {}
        for lookup in (item for expression in found for item in lookups(expression)):
            root = str(lookup.parts[0])
            if root in self.axes:
                axes[self.axes[root]] = None
            elif root in ("params", "tables") and len(lookup.parts) > 1 and self.outer:
                part = lookup.parts[1]
                varying = self.varying if root == "params" else self.varying_tables
                if part in varying or not isinstance(part, str):
                    axes |= dict.fromkeys(self.outer)
        return tuple(axes)

    def resolve(
        self,
        node: Node,
        *,
        step: str | None = None,
        values: Mapping[str, Any] | None = None,
        deferred: tuple[str, ...] = (),
    ) -> Resolved:
        """Return a tree with every expression replaced by its value.

        Parameters
        ----------
        node : Node
            The tree.
        step : str, optional
            Name of the step, for messages.
        values : mapping, optional
            Values of the axes by their names in the document. Without it, texts that depend on
            axes are left as they are and returned as slots.
        deferred : tuple of str
            Names that the step looks up itself while it runs; they are left as they are.
        """
        walk = _Walk(step=step, values=values, deferred=deferred)
        made = self._walk(node, (), walk)
        return Resolved(node=made, failed=tuple(walk.failed), slots=tuple(walk.slots))

    def _walk(self, node: Node, path: Path, walk: _Walk) -> Node:
        if isinstance(node.value, dict):
            made: dict[str, Node] = {}
            for key, item in node.value.items():
                count = len(walk.failed)
                found = self._walk(item, (*path, key), walk)
                if (*path, key) not in walk.failed[count:]:
                    made[key] = found
            return replace(node, value=made)
        if isinstance(node.value, list):
            items = [
                self._walk(item, (*path, index), walk) for index, item in enumerate(node.value)
            ]
            return replace(node, value=items)
        if isinstance(node.value, str):
            found_node = self._text(node, path, walk)
            if found_node is None:
                walk.failed.append(path)
            return found_node or node
        return node

    def _text(self, node: Node, path: Path, walk: _Walk) -> Node | None:
        """Evaluate one text; return None where that is not possible."""
        template = self.template(node, walk.step)
        if template is None:
            return node if "${" not in node.value else None
        if walk.deferred:
            for part in template.expressions:
                if part.lookup.parts[0] in walk.deferred and (part.unit or part.default):
                    message = f"${{{part.lookup}}} is filled in by the step: no `as`, no `??`"
                    self.report.add(Code.EXPRESSION, message, node, step=walk.step)
                    return None
            template = _kept(template, walk.deferred)
        axes = self.needs(template.expressions)
        if axes and walk.values is None:
            walk.slots.append(Slot(path=path, node=node, template=template, axes=axes))
            return node
        return self.value(template, node, walk.step, values=walk.values or {}, depth=len(path))

    def template(self, node: Node, step: str | None) -> Template | None:
        """Return the expressions of a text; None for none, and for a malformed text, reported."""
        try:
            template = parse_template(node.value)
        except ReferenceSyntaxError as error:
            hint = "an expression is ${params.NAME}; write $${ for the two characters"
            shown = node.value if len(node.value) < 60 else node.value[:57] + "..."
            message = f"malformed expression in {shown!r}: {error}"
            self.report.add(Code.EXPRESSION, message, node, hint=hint, step=step)
            return None
        self.environment.note_variables(_fixed(node.value, template))
        if template is not None:
            self.used_params |= root_names(template.expressions, "params")
            self.used_tables |= root_names(template.expressions, "tables")
        return template

    def value(
        self,
        template: Template,
        node: Node,
        step: str | None,
        *,
        values: Mapping[str, Any],
        depth: int = 0,
    ) -> Node | None:
        """Return the value of a text; None where it has none, which is reported."""
        try:
            value = evaluate(template, {**self.names(), **values}, fallback=self.fallback)
        except FailedParamError:
            return None
        except ExpressionError as error:
            self.refuse(error, node, step)
            return None
        if isinstance(value, (Environment, type(self.params))) and not isinstance(value, dict):
            message = f"{node.value[:60]!r} is all that can be looked up there, which is no value"
            hint = "write ${params.NAME} or ${env.NAME}"
            self.report.add(Code.EXPRESSION_VALUE, message, node, hint=hint, step=step)
            return None
        if not self._bounded(value, depth):
            message = "the values of the expressions, written out, are too large or too deep"
            self.report.add(Code.TOO_LARGE, message, node, step=step)
            return None
        return from_plain(value, self._origin(node, template))

    def refuse(self, error: ExpressionError, node: Node, step: str | None) -> None:
        """Report an expression that has no usable value."""
        if isinstance(error, UnknownNameError):
            self._unknown(error, node, step)
        else:
            self.report.add(Code.EXPRESSION_VALUE, str(error), node, step=step)

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
        names = sorted(root_names(template.expressions, "params") & self.param_nodes.keys())
        behind = [(name, self.param_nodes[name]) for name in names]
        sources = [node.source, *(item.source for _, item in behind)]
        related = tuple(
            (item.span, f"value of the parameter {name!r}")
            for name, item in behind
            if item.span is not None
        )
        for name in sorted(root_names(template.expressions, "tables") & self.tables.keys()):
            span = self.tables[name].span
            related += ((span, f"the table {name!r}"),) if span is not None else ()
        given = "".join(item.given for _, item in behind)
        return replace(
            node,
            source=max(sources, key=_RANK.index) if behind else node.source,
            detail=(node.detail if node.span is None else str(node.value)) + given,
            related=(*node.related, *related),
            private=node.private | self.private(template.expressions),
        )

    def private(self, found: Iterable[Expression]) -> frozenset[str]:
        """Return what expressions look up that must not be recorded."""
        private: frozenset[str] = frozenset()
        for lookup in (item for part in found for item in lookups(part)):
            root, name = lookup.parts[0], lookup.parts[1] if len(lookup.parts) > 1 else None
            if root == "env":
                if not isinstance(name, str):  # looked up itself: which one it is nobody asks
                    private |= {"env"}
                elif self.environment.is_private(name):
                    private |= {f"env.{name}"}
            elif root in ("params", "tables"):
                nodes = self.param_nodes if root == "params" else self.tables
                known = [nodes[name]] if isinstance(name, str) and name in nodes else ()
                for node in nodes.values() if not isinstance(name, str) else known:
                    private |= self._private_in(node)
        return private

    def _private_in(self, node: Node) -> frozenset[str]:
        """Return what must not be recorded of a parameter or a table, found out once."""
        known = self._privacy.get(id(node))
        if known is None:
            known = self._privacy[id(node)] = node, node.all_private  # kept: ids are used again
        return known[1]

    def _unknown(self, error: UnknownNameError, node: Node, step: str | None) -> None:
        """Report a name that does not exist."""
        first = str(error.path[0])
        table = str(error.path[1]) if first == "tables" and len(error.path) > 1 else None
        if table in self.lost_tables:
            return
        hint = near_miss(str(error.path[-1]), error.known)
        if first == "env" and len(error.path) == 2:
            message = f"the environment variable {error.path[1]} is not set"
            hint = f"set it, or give a value: ${{env.{error.path[1]} ?? value}}"
            self.report.add(Code.ENVIRONMENT, message, node, hint=hint, step=step)
            return
        message = f"unknown name in {node.value[:60]!r}: {error}"
        if table in self.hidden_tables:
            message = f"the table {table!r} is not seen here"
            hint = "parameters and tables are not made of tables; look it up where it is used"
        elif len(error.path) == 1 and first in self.params:
            hint = f"write ${{params.{first}}}"
        elif len(error.path) == 1 and first in self.steps:
            hint = "settings do not see other steps; connect products with `required_products`"
        elif hint is None and error.known:
            hint = f"known here: {listed(sorted(error.known))}"
        self.report.add(Code.UNKNOWN_NAME, message, node, hint=hint, step=step)


def root_names(found: Iterable[Expression], root: str) -> set[str]:
    """Return what expressions look up below a root: names of parameters, of tables."""
    names: set[str] = set()
    for expression in found:
        for lookup in lookups(expression):
            if lookup.parts[0] == root and len(lookup.parts) > 1:
                names.add(str(lookup.parts[1]))
    return names


def _kept(template: Template, deferred: tuple[str, ...]) -> Template:
    """Return a text whose deferred expressions are plain text.

    The result is parsed again by the step: ``${`` that means the two characters stays escaped.
    """
    parts: list[str | Expression] = []
    for part in template.parts:
        if isinstance(part, str):
            parts.append(part.replace("${", "$${"))
        elif part.lookup.parts[0] in deferred:
            parts.append(f"${{{part.lookup}}}")
        else:
            parts.append(part)
    return Template(parts=tuple(parts), read_again=True)


def _fixed(text: str, template: Template | None) -> str:
    """Return a text without its expressions."""
    if template is None:
        return text
    return " ".join(part for part in template.parts if isinstance(part, str))
