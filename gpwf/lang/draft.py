"""Steps on their way from the document to the specification: names, settings, ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gpwf.core.catalog import SettingProblem, Settled
from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.core.points import Points
from gpwf.core.spec import Origin, Port, StepCondition, StepPolicy
from gpwf.lang.codes import Code
from gpwf.lang.frame import Frame
from gpwf.lang.policy import read_policy
from gpwf.lang.report import Report
from gpwf.lang.schema import SchemaProblem
from gpwf.lang.scope import Resolved
from gpwf.lang.tree import COMMAND_LINE, Node, Path, Place, overlay, walk, with_source

__all__ = ["WORKFLOW_TAG", "Draft", "by_name", "draft_steps", "locate", "origins", "spans"]

WORKFLOW_TAG = "workflow"
"""Tag of a step that is another workflow."""

_SAMPLES = 10  # values of an axis that are tried to learn the ports of a step


@dataclass(slots=True, kw_only=True)
class Draft:
    """A step whose settings are settled and whose inputs are not connected yet.

    Parameters
    ----------
    name, tag : str
        Name in its document, and type.
    frame : Frame
        Its document.
    node : Node
        The step in the document.
    config : Node
        Merged settings with every expression evaluated; those that depend on axes at the first
        value of each.
    resolved : Resolved
        The same with the texts that depend on axes as they are.
    settled : Settled or None
        What the catalogue made of ``config``; None where the step cannot be understood.
    ports, products : tuple of Port, or None
        Inputs and outputs; None where the settings are wrong and nobody knows.
    policy : StepPolicy
        How the step is run.
    inner : Frame or None
        The document that the step includes.
    runs : Points or None
        Where the step runs, once that is known.
    condition : StepCondition or None
        Its ``when``, once it has been decided.
    """

    name: str
    tag: str
    frame: Frame
    node: Node
    config: Node
    resolved: Resolved
    settled: Settled | None = None
    ports: tuple[Port, ...] | None = None
    products: tuple[Port, ...] | None = None
    policy: StepPolicy = field(default_factory=StepPolicy)
    inner: Frame | None = None
    runs: Points | None = None
    condition: StepCondition | None = None

    @property
    def full_name(self) -> str:
        """The name in the specification."""
        return self.frame.prefix + self.name

    @property
    def place(self) -> Place:
        """Where the step's name, or its tag, is written."""
        named = self.node.child("name") or self.node.child("tag") or self.node
        return Place.of_value(named)


def origins(config: Node, settled: Settled) -> dict[str, Origin]:
    """Return where every leaf of settled settings came from."""
    found: dict[str, Origin] = {}
    for dotted in settled.types:
        node, rest = config.nearest(dotted.split("."))
        if len(rest) == 2:
            node, rest = _gathered(node, dotted, rest, settled)
        default = bool(rest) and node.is_mapping
        found[dotted] = Origin(source="step default") if default else node.origin
    return found


def _gathered(node: Node, dotted: str, rest: Path, settled: Settled) -> tuple[Node, Path]:
    """Return where a setting was written that the step put into a section of its own.

    ``{lon, lat, radius}`` is settled with ``center.lon``: there is a key, which is no setting.
    """
    section, last = rest
    written = node.child(last)
    beside = f"{dotted.removesuffix(f'{section}.{last}')}{last}"
    if written is None or any(f"{key}.".startswith(f"{beside}.") for key in settled.types):
        return node, rest
    return written, ()


def spans(step: Node, config: Node) -> dict[str, Span]:
    """Return where every written setting is; the empty path is the step."""
    found: dict[str, Span] = {}
    if step.span is not None:
        found[""] = step.span
    for path, node in walk(config):
        if path and node.span is not None:
            found[".".join(str(part) for part in path)] = node.span
    return found


def draft_steps(frame: Frame, schema: Sequence[SchemaProblem] = ()) -> list[Draft]:
    """Return every step of a document that has a name and a type, with settled settings.

    Parameters
    ----------
    frame : Frame
        The document, its axes declared.
    schema : sequence of SchemaProblem
        What the schema found; what it found in settings is reported here, unless the settings'
        own checks say it better.
    """
    report = frame.reading.report
    drafts: list[Draft] = []
    seen: dict[str, Node] = {}
    tags = {*frame.reading.catalog.tags(), WORKFLOW_TAG}
    steps = frame.root.child("steps")
    for index, node in enumerate(steps.entries() if steps is not None else ()):
        tag, name = node.child("tag"), node.child("name") or node.child("tag")
        mine = [item for item in schema if item.path[:2] == ("steps", index)]
        config_only = [item for item in mine if item.path[2:3] == ("config",) and item.path[3:]]
        if name is None or not isinstance(name.value, str):
            report.extend(item.diagnostic for item in config_only)
            continue
        _check_name(name, tag, seen, report)
        empty = Node(value={}, span=node.span, source="step default")
        draft = Draft(
            name=name.value,
            tag=str(tag.value) if tag is not None else "",
            frame=frame,
            node=node,
            config=empty,
            resolved=Resolved(node=empty),
        )
        drafts.append(draft)
        if len(config_only) == len(mine):
            draft.policy = read_policy(node, report, draft.full_name)
        if draft.tag in tags and not any(_hides_settings(item) for item in mine):
            _settle(draft, config_only)
        else:
            report.extend(item.diagnostic for item in config_only)
    return drafts


def _hides_settings(problem: SchemaProblem) -> bool:
    """Return True where a problem of a step makes a look at its settings pointless.

    An unknown key may be a misspelt ``config`` or ``foreach``; ``config`` itself may be no
    mapping.
    """
    unclear = problem.diagnostic.code in (Code.UNKNOWN_KEY, Code.NOT_YET)
    return unclear or problem.path[2:] in (("config",), ("foreach",))


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


def _settle(draft: Draft, schema: Sequence[SchemaProblem]) -> None:
    """Merge, evaluate and settle the settings of a step, and find its ports."""
    frame, catalog, report = draft.frame, draft.frame.reading.catalog, draft.frame.reading.report
    defaults = frame.root.get("defaults", draft.tag)
    if defaults is not None:
        defaults = with_source(defaults, "defaults")
    merged = overlay(defaults, draft.node.child("config"))
    if merged is None or not merged.is_mapping:
        merged = draft.config
    if draft.tag == WORKFLOW_TAG:  # included when all axes are declared
        draft.config = merged
        report.extend(item.diagnostic for item in schema)
        return
    deferred = catalog.deferred(draft.tag)
    scope = frame.scope()
    draft.resolved = scope.resolve(merged, step=draft.full_name, deferred=deferred)
    if draft.resolved.slots:
        resolved, settled = _sampled(draft, merged, deferred)
    else:
        resolved = draft.resolved
        settled = catalog.settle(draft.tag, _without(resolved), base=frame.base)
    draft.config, draft.settled = resolved.node, settled
    problems = [item for item in settled.problems if not _covered(item.path, resolved.failed)]
    report.extend(locate(draft, draft.config, item, draft.full_name) for item in problems)
    skipped = [*(p.path for p in problems), *(slot.path for slot in draft.resolved.slots)]
    remaining = [item.diagnostic for item in schema if not _covered(item.path[3:], skipped)]
    report.extend(remaining)
    if not settled.problems and not remaining and not resolved.failed:
        draft.ports = tuple(catalog.inputs(draft.tag, settled.settings))
        draft.products = tuple(catalog.outputs(draft.tag, settled.settings))


def _sampled(draft: Draft, merged: Node, deferred: tuple[str, ...]) -> tuple[Resolved, Settled]:
    """Settle settings that depend on axes for one value of each: they tell the ports.

    The first values that give no problem are taken, of a few: a condition may exclude others.
    """
    catalog, base = draft.frame.reading.catalog, draft.frame.base
    first: tuple[Resolved, Settled] | None = None
    silent = Report()
    for which in range(_SAMPLES):
        resolved = _at(draft, merged, which, deferred, silent)
        settled = catalog.settle(draft.tag, _without(resolved), base=base)
        if not settled.problems and not resolved.failed:
            return resolved, settled
        first = first or (resolved, settled)
    assert first is not None
    draft.frame.reading.report.extend(silent.items[:1])
    return first


def _at(
    draft: Draft, merged: Node, which: int, deferred: tuple[str, ...], report: Report
) -> Resolved:
    """Evaluate settings at one value of each axis."""
    frame = draft.frame
    needed = dict.fromkeys(name for slot in draft.resolved.slots for name in slot.axes)
    sampled = {name: frame.reading.registry.sample(name, which) for name in needed}
    known = {name: number for name, number in sampled.items() if number is not None}
    if len(known) < len(sampled):  # an axis without values: its problem is told there
        failed = (*draft.resolved.failed, *(slot.path for slot in draft.resolved.slots))
        return Resolved(node=draft.resolved.node, failed=failed)
    outer = {name: known[name] for name in frame.outer if name in known}
    scope = frame.scope(outer if len(outer) == len(frame.outer) else None)
    # all axes of the document are seen here; whether the step has them is checked later
    return replace(scope, report=report).resolve(
        merged, step=draft.full_name, values=frame.values(known), deferred=deferred
    )


def _without(resolved: Resolved) -> dict[str, Any]:
    """Return settings as plain data without the texts whose expressions failed."""

    def plain(node: Node, path: Path) -> Any:
        if isinstance(node.value, dict):
            return {
                key: plain(item, (*path, key))
                for key, item in node.value.items()
                if (*path, key) not in failed
            }
        if isinstance(node.value, list):
            return [plain(item, (*path, index)) for index, item in enumerate(node.value)]
        return node.value

    failed = set(resolved.failed)
    found: dict[str, Any] = plain(resolved.node, ())
    return found


def _covered(path: Sequence[str | int], others: Sequence[Sequence[str | int]]) -> bool:
    """Return True where a path leads to, into or around one of the others."""
    return any(tuple(path[: len(other)]) == tuple(other[: len(path)]) for other in others)


def locate(draft: Draft, config: Node, problem: SettingProblem, step: str) -> Diagnostic:
    """Give a problem its place: the value, its key, or the nearest thing that is written.

    Parameters
    ----------
    draft : Draft
        The step.
    config : Node
        Its evaluated settings.
    problem : SettingProblem
        What is wrong with them.
    step : str
        The step, with coordinates, as the message names it.
    """
    node, rest = config.nearest(problem.path)
    if rest or node is config:
        place = _place_of_missing(draft, config, node)
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
    return Report.make(problem.code, message, place, hint=hint, step=step, related=related)


def _mentions(message: str, path: Path) -> bool:
    """Return True where a message names the setting itself."""
    return isinstance(path[-1], str) and path[-1] in message


def _place_of_missing(draft: Draft, config: Node, node: Node) -> Place:
    """Return the place for a setting that is not written."""
    if node.key_span is not None or (node.span is None and node.detail):
        return Place.of_key(node)
    if node is not config and node.span is not None:
        return Place.of_value(node)
    return draft.place


def by_name(drafts: Sequence[Draft]) -> Mapping[str, Draft]:
    """Return the drafts by name, the first of each."""
    found: dict[str, Draft] = {}
    for draft in drafts:
        found.setdefault(draft.name, draft)
    return found
