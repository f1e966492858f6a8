"""Steps on their way from the document to the specification: names, settings, ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.core.spec import Origin, Port, SettingProblem, Settled, StepCatalog, StepPolicy
from gpwf.lang.codes import Code
from gpwf.lang.policy import read_policy
from gpwf.lang.report import Report
from gpwf.lang.schema import SchemaProblem
from gpwf.lang.scope import Scope
from gpwf.lang.tree import COMMAND_LINE, Node, Path, Place, overlay, walk, with_source

__all__ = ["Draft", "by_name", "draft_steps"]


@dataclass(slots=True, kw_only=True)
class Draft:
    """A step whose settings are settled and whose inputs are not connected yet.

    Parameters
    ----------
    name, tag : str
        Name and type.
    node : Node
        The step in the document.
    config : Node
        Merged settings with every expression evaluated.
    settled : Settled or None
        What the catalogue made of them; None where the step cannot be understood.
    ports, products : tuple of Port, or None
        Inputs and outputs; None where the settings are wrong and nobody knows.
    policy : StepPolicy
        How the step is run.
    """

    name: str
    tag: str
    node: Node
    config: Node
    settled: Settled | None = None
    ports: tuple[Port, ...] | None = None
    products: tuple[Port, ...] | None = None
    policy: StepPolicy = field(default_factory=StepPolicy)

    @property
    def place(self) -> Place:
        """Where the step's name, or its tag, is written."""
        named = self.node.child("name") or self.node.child("tag") or self.node
        return Place.of_value(named)

    def origins(self) -> dict[str, Origin]:
        """Return where every leaf of the settled settings came from."""
        found: dict[str, Origin] = {}
        for dotted in self.settled.types if self.settled is not None else ():
            node, rest = self.config.nearest(dotted.split("."))
            default = bool(rest) and node.is_mapping
            found[dotted] = Origin(source="step default") if default else node.origin
        return found

    def spans(self) -> dict[str, Span]:
        """Return where every written setting is; the empty path is the step."""
        found: dict[str, Span] = {}
        if self.node.span is not None:
            found[""] = self.node.span
        for path, node in walk(self.config):
            if path and node.span is not None:
                found[".".join(str(part) for part in path)] = node.span
        return found


def draft_steps(
    root: Node,
    catalog: StepCatalog,
    scope: Scope,
    report: Report,
    *,
    base: FilePath,
    schema: Sequence[SchemaProblem] = (),
) -> list[Draft]:
    """Return every step that has a name and a type, with settled settings.

    Parameters
    ----------
    root : Node
        The document after profile and command line.
    schema : sequence of SchemaProblem
        What the schema found; what it found in settings is reported here, unless the settings'
        own checks say it better.
    """
    drafts: list[Draft] = []
    seen: dict[str, Node] = {}
    tags = set(catalog.tags())
    steps = root.child("steps")
    for index, node in enumerate(steps.entries() if steps is not None else ()):
        tag, name = node.child("tag"), node.child("name") or node.child("tag")
        mine = [item for item in schema if item.path[:2] == ("steps", index)]
        config_only = [item for item in mine if item.path[2:3] == ("config",) and item.path[3:]]
        if name is None or not isinstance(name.value, str):
            report.extend(item.diagnostic for item in config_only)
            continue
        _check_name(name, tag, seen, report)
        draft = Draft(
            name=name.value,
            tag=str(tag.value) if tag is not None else "",
            node=node,
            config=Node(value={}, span=node.span, source="step default"),
        )
        drafts.append(draft)
        if len(config_only) == len(mine):
            draft.policy = read_policy(node, report, draft.name)
        if draft.tag in tags and not any(_hides_settings(item) for item in mine):
            _settle(draft, root, catalog, scope, report, base, config_only)
        else:
            report.extend(item.diagnostic for item in config_only)
    return drafts


def _hides_settings(problem: SchemaProblem) -> bool:
    """Return True where a problem of a step makes a look at its settings pointless.

    An unknown key may be a misspelt ``config``; a key of a later version changes what expressions
    see; ``config`` itself may be no mapping.
    """
    unclear = problem.diagnostic.code in (Code.UNKNOWN_KEY, Code.NOT_YET)
    return unclear or problem.path[2:] == ("config",)


def _check_name(name: Node, tag: Node | None, seen: dict[str, Node], report: Report) -> None:
    """Refuse a second step of one name."""
    text = str(name.value)
    first = seen.setdefault(text, name)
    if first is name:
        return
    hint = "give one of them a `name`" if tag is name else "names of steps are unique"
    related = ((first.span, "the first one"),) if first.span is not None else ()
    message = f"two steps have the name {text!r}"
    report.add(Code.STEP_TWICE, message, name, hint=hint, step=text, related=related)


def _settle(
    draft: Draft,
    root: Node,
    catalog: StepCatalog,
    scope: Scope,
    report: Report,
    base: FilePath,
    schema: Sequence[SchemaProblem],
) -> None:
    """Merge, evaluate and settle the settings of a step, and find its ports."""
    defaults = root.get("defaults", draft.tag)
    if defaults is not None:
        defaults = with_source(defaults, "defaults")
    merged = overlay(defaults, draft.node.child("config"))
    if merged is None or not merged.is_mapping:
        merged = draft.config
    resolved = scope.resolve(merged, step=draft.name)
    draft.config = resolved.node
    settled = catalog.settle(draft.tag, resolved.node.plain(), base=base)
    problems = [item for item in settled.problems if not _covered(item.path, resolved.failed)]
    for problem in problems:
        report.extend([_locate(draft, problem)])
    remaining = [
        item.diagnostic
        for item in schema
        if not _covered(item.path[3:], [p.path for p in problems])
    ]
    report.extend(remaining)
    draft.settled = settled
    if not settled.problems and not remaining and not resolved.failed:
        draft.ports = tuple(catalog.inputs(draft.tag, settled.settings))
        draft.products = tuple(catalog.outputs(draft.tag, settled.settings))


def _covered(path: Sequence[str | int], others: Sequence[Sequence[str | int]]) -> bool:
    """Return True where a path leads to, into or around one of the others."""
    return any(tuple(path[: len(other)]) == tuple(other[: len(path)]) for other in others)


def _locate(draft: Draft, problem: SettingProblem) -> Diagnostic:
    """Give a problem its place: the value, its key, or the nearest thing that is written."""
    node, rest = draft.config.nearest(problem.path)
    if rest or node is draft.config:
        place = _place_of_missing(draft, node)
    elif problem.code == Code.SETTING_UNKNOWN:
        place = Place.of_key(node)
    else:
        place = Place.of_value(node)
    name = ".".join(str(part) for part in problem.path)
    message = problem.message
    if name and not _mentions(message, problem.path):
        message = f"{name}: {message}"
    related: tuple[tuple[Span, str], ...] = ()
    step_span = draft.place.span
    if step_span is not None and node.source in ("defaults", "profile"):
        related = ((step_span, f"used by the step {draft.name!r}"),)
    hint = problem.hint
    if node.source == COMMAND_LINE and node.span is not None and "; " in node.detail:
        given = f"the value comes from {node.detail.split('; ', 1)[1]}"
        hint = f"{hint}; {given}" if hint else given
    return Report.make(problem.code, message, place, hint=hint, step=draft.name, related=related)


def _mentions(message: str, path: Path) -> bool:
    """Return True where a message names the setting itself."""
    return isinstance(path[-1], str) and path[-1] in message


def _place_of_missing(draft: Draft, node: Node) -> Place:
    """Return the place for a setting that is not written."""
    if node.key_span is not None or (node.span is None and node.detail):
        return Place.of_key(node)
    if node is not draft.config and node.span is not None:
        return Place.of_value(node)
    return draft.place


def by_name(drafts: Sequence[Draft]) -> Mapping[str, Draft]:
    """Return the drafts by name, the first of each."""
    found: dict[str, Draft] = {}
    for draft in drafts:
        found.setdefault(draft.name, draft)
    return found
