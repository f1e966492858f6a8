"""A workflow with everything settled, as a document that makes the same plan.

Parameters, tables, defaults, profiles and the values of the command line are filled in, and every
input is written out. Only what depends on the axes of a scatter stays an expression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpwf.core import conditions
from gpwf.core.catalog import StepCatalog
from gpwf.core.expressions import Expression
from gpwf.core.spec import InputRef, StepSpec, Variant, WorkflowSpec
from gpwf.errors import UsageError
from gpwf.lang.build import check_document, open_workflow
from gpwf.lang.conditions import parse_condition
from gpwf.lang.draft import WORKFLOW_TAG, Draft
from gpwf.lang.frame import Frame
from gpwf.lang.include import Opened, expanded
from gpwf.lang.params import ParamDeclaration, declare
from gpwf.lang.refs import ReferenceSyntaxError, parse_template
from gpwf.lang.scope import root_names
from gpwf.lang.settled_text import settled_text
from gpwf.lang.tree import Node

__all__ = ["differences", "settled_document"]

_COPIED = ("gather", "after", "resources", "retries", "timeout", "on_error", "cache")
_NOT_THERE = object()


def settled_document(
    path: Path,
    catalog: StepCatalog,
    *,
    folder: Path,
    params: Mapping[str, str] | None = None,
    sets: Sequence[tuple[str, str]] = (),
    profile: str | None = None,
    params_files: Sequence[Path] = (),
) -> str:
    """Return a workflow as a settled document.

    It is read again before it is returned, so that it surely says the same.

    Parameters
    ----------
    path, catalog, params, sets, profile, params_files
        See `gpwf.lang.build.read_workflow`.
    folder : Path
        Where the document is to lie: relative paths that depend on axes count from there.

    Returns
    -------
    str
        YAML. A workflow that is a step stays one, named by its absolute path. Values that must
        not be recorded stay expressions; a secret parameter of the command line has no value.

    Raises
    ------
    DocumentError
        With every problem of the workflow.
    UsageError
        Where the document would not say the same in this folder.
    """
    spec, opened = open_workflow(
        path, catalog, params=params, sets=sets, profile=profile, params_files=params_files
    )
    made = _Settled(spec, opened, catalog)
    remark = f"{path.name}, settled: only what depends on axes is left as an expression"
    text = settled_text(made.document(), remark)
    secret = {name: item for name, item in (params or {}).items() if name in made.withheld}
    again, problems = check_document(text, catalog, base=folder.absolute(), params=secret)
    reason = problems[0].message if again is None else next(iter(differences(spec, again)), "")
    if reason:
        raise UsageError(
            f"{path}: the settled document would not say the same: {reason}",
            hint=f"relative paths that depend on an axis need it in {path.absolute().parent}",
        )
    return text


def differences(one: WorkflowSpec, two: WorkflowSpec) -> list[str]:
    """Return how the plans of two workflows would differ, a line for each difference."""
    found = []
    if [step.name for step in one.steps] != [step.name for step in two.steps]:
        return ["the steps have other names"]
    if _targets(one.outputs) != _targets(two.outputs):
        found.append("the outputs differ")
    if one.axes != two.axes:
        found.append("the axes differ")
    for first, second in zip(one.steps, two.steps, strict=True):
        what = _difference(first, second)
        if what:
            found.append(f"{what} of step {first.name} differ")
    return found


def _difference(one: StepSpec, two: StepSpec) -> str:
    """Return what makes two steps different; nothing where they compute the same."""
    if [_targets(one.inputs), one.after] != [_targets(two.inputs), two.after]:
        return "the inputs"
    if (one.tag, one.policy, one.axes, one.gather) != (two.tag, two.policy, two.axes, two.gather):
        return "the axes or limits"
    if list(one.points) != list(two.points):
        return "the places in the scatter"
    pairs = set(zip(one.chosen, two.chosen, strict=True))
    for first, second in sorted(pairs):
        if one.variants[first].settings != two.variants[second].settings:
            keys = {*one.variants[first].settings, *two.variants[second].settings}
            differing = sorted(
                key
                for key in keys
                if one.variants[first].settings.get(key, _NOT_THERE)
                != two.variants[second].settings.get(key, _NOT_THERE)
            )
            return f"the settings {', '.join(differing)}"
    return ""


def _targets(refs: Mapping[str, Any]) -> dict[str, Any]:
    """Return references without their places."""
    return {
        name: (found.step, found.product)
        if isinstance(found, InputRef)
        else [(ref.step, ref.product) for ref in found]
        for name, found in refs.items()
    }


class _Settled:
    """Makes the document; collects which parameters and tables its expressions still use."""

    def __init__(self, spec: WorkflowSpec, opened: Opened, catalog: StepCatalog) -> None:
        self.spec = spec
        self.opened = opened
        self.frame: Frame = opened.frame
        self.catalog = catalog
        self.specs = {step.name: step for step in spec.steps}
        self.used: dict[str, set[str]] = {"params": set(), "tables": set()}
        self.withheld: set[str] = set()  # parameters without their values

    def document(self) -> dict[str, Any]:
        """Return the document as plain data."""
        steps = [self._step(draft) for draft in self.opened.drafts]
        outputs = {
            name: f"{ref.step}.{ref.product}" for name, ref in self.opened.wiring.outputs.items()
        }
        execution = self.frame.root.child("execution")
        tables = self._tables()  # they look up parameters
        params = self._params()
        made: dict[str, Any] = {
            "gpwf": 1,
            "name": self.spec.name,
            "description": self.spec.description,
            "metadata": dict(self.spec.metadata),
            "params": params,
            "tables": tables,
            "steps": steps,
            "outputs": outputs,
            "execution": None if execution is None else execution.plain(),
        }
        return {key: value for key, value in made.items() if value not in ({}, "", None)}

    def _params(self) -> dict[str, Any]:
        """Return the parameters that remaining expressions look up, and what these look up."""
        declared = self.frame.root.child("params") or Node(value={})
        made: dict[str, Any] = {}
        while waiting := sorted(self.used["params"] & self.spec.params.keys() - made.keys()):
            for name in waiting:
                node = declared.child(name) or Node(value=None)
                item = declare(name, node)
                made[name] = self._param(name, item) | _typed(item.kind)
        return {name: made[name] for name, _ in declared.items() if name in made}

    def _param(self, name: str, declared: ParamDeclaration) -> dict[str, Any]:
        """Return the value of a parameter: as it is written where it must not be recorded."""
        if not self.spec.param_origins[name].private:
            return {"default": self.spec.params[name]}
        self.withheld.add(name)
        given = self.frame.given.get(name)
        if given is not None and given.span is None:
            return {}
        written = given or declared.default
        return {"default": self._raw(written)} if written is not None else {}

    def _tables(self) -> dict[str, Any]:
        """Return the tables that remaining expressions look up."""
        tables = self.frame.scope().tables
        return {
            name: {
                key: self._raw(self.frame.tables[name].child(key) or row)
                if row.all_private
                else _escaped(row.plain())
                for key, row in node.items()
            }
            for name, node in tables.items()
            if name in self.used["tables"]
        }

    def _step(self, draft: Draft) -> dict[str, Any]:
        """Return one step."""
        made: dict[str, Any] = {"name": draft.name, "tag": draft.tag}
        description = draft.node.child("description")
        if description is not None:
            made["description"] = description.plain()
        foreach = {name: self._axis(node) for name, node in _items(draft.node, "foreach")}
        if foreach:
            made["foreach"] = foreach
        when = draft.node.child("when")
        if when is not None:
            made["when"] = self._condition(when)
        inputs = self._inputs(draft)
        if inputs:
            made["required_products"] = inputs
        for key in _COPIED:
            node = draft.node.child(key)
            if node is not None:
                made[key] = node.plain()
        config = self._include(draft) if draft.tag == WORKFLOW_TAG else self._config(draft)
        if config:
            made["config"] = config
        return made

    def _inputs(self, draft: Draft) -> dict[str, Any]:
        """Return what every port takes; null for one that stays unconnected."""
        taken = self.opened.wiring.inputs.get(draft.name, {})
        names = [port.name for port in draft.ports or () if port.name != "*"]
        made: dict[str, Any] = {}
        for name in dict.fromkeys([*names, *taken]):
            refs = [f"{ref.step}.{ref.product}" for ref in taken.get(name, ())]
            made[name] = refs if len(refs) > 1 else refs[0] if refs else None
        return made

    def _axis(self, node: Node) -> Any:
        """Return the values of an axis; an expression where they depend on another axis."""
        resolved = self.frame.scope().resolve(node)
        if resolved.slots:
            return self._raw(node)
        value = resolved.node.plain()
        if isinstance(value, dict) and set(value) != {"range"}:
            value = [{"name": key, **(row or {})} for key, row in value.items()]
        return _escaped(value)

    def _condition(self, node: Node) -> Any:
        """Return a condition as it is written, or what it comes to without axes."""
        if not isinstance(node.value, str):
            return node.plain()
        condition = parse_condition(node.value)
        found = list(conditions.expressions(condition))
        scope = self.frame.scope()
        if not scope.needs(found):
            return conditions.holds(condition, scope.names(), fallback=scope.fallback)
        self._note(found)
        return node.value

    def _include(self, draft: Draft) -> dict[str, Any]:
        """Return the settings of a step that is another workflow."""
        scope = self.frame.scope()
        node = draft.config.child("file")
        named = scope.resolve(node).node.value if node is not None else ""
        made: dict[str, Any] = {"file": str((self.frame.base / expanded(str(named))).absolute())}
        params = draft.config.child("params")
        if params is not None:
            made["params"] = self._with_slots(scope.resolve(params).node, escape=True)
        return made

    def _config(self, draft: Draft) -> dict[str, Any]:
        """Return the settings of a step: settled ones where they are the same everywhere."""
        step = self.specs[draft.full_name]
        escape = not self.catalog.deferred(draft.tag)
        tree = draft.resolved.node
        if not step.variants:
            written: dict[str, Any] = self._with_slots(tree, escape=escape)
            return written
        first = self._pruned(draft, step.variants[0])
        made: dict[str, Any] = {}
        for key in [*tree.value, *(key for key in first if key not in tree.value)]:
            node = tree.child(key)
            if key in first and _same(key, step.variants) and not _of_environment(node):
                made[key] = _escaped(first[key]) if escape else first[key]
            elif node is not None:
                made[key] = self._with_slots(node, escape=escape, settled=first.get(key))
        return made

    def _pruned(self, draft: Draft, variant: Variant) -> Mapping[str, Any]:
        """Return settled settings without nulls that are the default anyway.

        Nothing where they would be settled otherwise when they are read again.
        """
        for settings in (_without_null(variant.settings), variant.settings):
            again = self.catalog.settle(draft.tag, settings, base=self.frame.base)
            if not again.problems and again.settings == variant.settings:
                found: Mapping[str, Any] = settings
                return found
        return {}

    def _with_slots(self, node: Node, *, escape: bool, settled: Any = None) -> Any:
        """Return an evaluated tree as plain data; texts that depend on axes as they are written."""
        if isinstance(node.value, (dict, list)):
            like = dict(enumerate(settled)) if isinstance(settled, (list, tuple)) else settled
            found = like.get if isinstance(like, Mapping) else lambda _: None
            items = enumerate(node.value) if node.is_list else node.items()
            made = {k: self._with_slots(v, escape=escape, settled=found(k)) for k, v in items}
            return list(made.values()) if node.is_list else made
        if isinstance(settled, str) and isinstance(node.value, (bool, int, float)):
            return _escaped(settled) if escape else settled  # a number where text is wanted
        if isinstance(node.value, str):
            raw = _environment_text(node) or node.value
            if "${" in raw and (raw != node.value or self._depends(raw)):
                return self._raw(Node(value=raw))
            return _escaped(node.value) if escape else node.value
        return node.value

    def _depends(self, text: str) -> bool:
        """Return whether a text still has an expression that depends on axes."""
        try:
            template = parse_template(text)
        except ReferenceSyntaxError:
            return False
        return template is not None and bool(self.frame.scope().needs(template.expressions))

    def _raw(self, node: Node) -> Any:
        """Return a tree as it is written, and note what it looks up."""
        if isinstance(node.value, dict):
            return {key: self._raw(item) for key, item in node.items()}
        if isinstance(node.value, list):
            return [self._raw(item) for item in node.entries()]
        template = parse_template(node.value) if isinstance(node.value, str) else None
        if template is not None:
            self._note(template.expressions)
        return node.value

    def _note(self, found: Sequence[Expression]) -> None:
        for root, names in self.used.items():
            names |= root_names(found, root)


def _typed(kind: str) -> dict[str, str]:
    return {} if kind == "any" else {"type": kind}


def _items(node: Node, key: str) -> Sequence[tuple[str, Node]]:
    child = node.child(key)
    return list(child.items()) if child is not None else []


def _same(key: str, variants: Sequence[Variant]) -> bool:
    """Return whether a setting has one value in all variants."""
    first = variants[0].settings.get(key, _NOT_THERE)
    return all(item.settings.get(key, _NOT_THERE) == first for item in variants)


def _environment_text(node: Node) -> str:
    """Return the written text of a value that must not be recorded, or comes from outside."""
    text = node.detail.partition("; ")[0]
    if node.span is not None and ("${env." in text or (node.private and "${" in text)):
        return text
    if node.private:
        raise UsageError(
            f"{node.detail.partition('=')[0]}: the value must not be recorded",
            hint="write the expression into the workflow instead of giving it here",
        )
    return ""


def _of_environment(node: Node | None) -> bool:
    """Return whether a tree has values that environment variables gave: they stay outside."""
    if node is None:
        return False
    if node.is_mapping or node.is_list:
        children = [item for _, item in node.items()] or list(node.entries())
        return any(map(_of_environment, children))
    return bool(_environment_text(node))


def _without_null(value: Any) -> Any:
    """Return settings without the keys that have no value."""
    if isinstance(value, Mapping):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_null(item) for item in value]
    return value


def _escaped(value: Any) -> Any:
    """Return a value in which nothing is an expression."""
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
