"""Steps that are other workflows, and the whole of a document with everything it includes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from gpwf.core.spec import IncludedWorkflow, InputRef, Port
from gpwf.lang.codes import Code
from gpwf.lang.document import Document
from gpwf.lang.draft import WORKFLOW_TAG, Draft, draft_steps
from gpwf.lang.expand import declare_axes, find_absent, frame_points
from gpwf.lang.files import read_file
from gpwf.lang.frame import Frame
from gpwf.lang.params import declare
from gpwf.lang.schema import SchemaProblem, config_start, is_structure, schema_problems
from gpwf.lang.tree import Node, Place
from gpwf.lang.wiring import Wiring, wire

__all__ = ["Opened", "add_settings_elsewhere", "open_frame", "step_names"]

_MAX_DEPTH = 20
_MAX_FRAMES = 500
_FOREIGN_KEYS = ("gather", "resources", "retries", "timeout", "on_error", "cache")


@dataclass(slots=True, kw_only=True)
class Opened:
    """A document whose steps are settled and connected, with those that it includes.

    Parameters
    ----------
    frame : Frame
        The document.
    drafts : list of Draft
        Its own steps; one that includes a document stands for it.
    wiring : Wiring
        Its connections, by the names that the document has.
    inner : dict of str to Opened
        Included documents by the name of the step.
    """

    frame: Frame
    drafts: list[Draft]
    wiring: Wiring
    inner: dict[str, Opened] = field(default_factory=dict)

    def all_drafts(self) -> Iterator[Draft]:
        """Yield every step that is no included document, in the order of the documents."""
        for draft in self.drafts:
            if draft.name in self.inner:
                yield from self.inner[draft.name].all_drafts()
            elif draft.tag != WORKFLOW_TAG:
                yield draft

    def workflows(self) -> Iterator[IncludedWorkflow]:
        """Yield the included documents, an outer one before those in it."""
        for draft in self.drafts:
            inner = self.inner.get(draft.name)
            if inner is None:
                continue
            frame, described = inner.frame, draft.node.child("description")
            points = frame.points
            yield IncludedWorkflow(
                name=draft.full_name,
                path=str(frame.path.absolute()) if frame.path is not None else "",
                digest=frame.document.digest,
                title=str(frame.about["name"]),
                description=str(
                    described.value if described is not None else frame.about["description"]
                ),
                axes={
                    name: len({row[n] for row in points.rows}) for n, name in enumerate(points.axes)
                },
                n_points=len(points),
                condition=draft.condition,
                place=str(draft.node.span) if draft.node.span is not None else "",
            )
            yield from inner.workflows()

    def full(self, ref: InputRef) -> InputRef | None:
        """Return a reference by full name; None where it leads nowhere, which was reported."""
        inner = self.inner.get(ref.step)
        if inner is None:
            return InputRef(step=self.frame.prefix + ref.step, product=ref.product, span=ref.span)
        found = inner.wiring.outputs.get(ref.product)
        return None if found is None else inner.full(found)

    def inputs(self, draft: Draft) -> dict[str, tuple[InputRef, ...]]:
        """Return the inputs of one of the document's own steps, by full names."""
        ports = self.wiring.inputs.get(draft.name, {})
        full = {port: tuple(map(self.full, refs)) for port, refs in ports.items()}
        return {port: tuple(ref for ref in refs if ref) for port, refs in full.items()}

    def connections(
        self, after: tuple[str, ...] = ()
    ) -> Iterator[tuple[Draft, dict[str, tuple[InputRef, ...]], tuple[str, ...]]]:
        """Yield every step with its inputs and with the steps that must end before it."""
        for draft in self.drafts:
            own = (*after, *self._after(draft))
            if draft.name in self.inner:
                yield from self.inner[draft.name].connections(own)
            elif draft.tag != WORKFLOW_TAG:
                yield draft, self.inputs(draft), own

    def _after(self, draft: Draft) -> tuple[str, ...]:
        """Return the full names of the steps that ``after`` names."""
        found: list[str] = []
        for name in self.wiring.after.get(draft.name, ()):
            if name in self.inner:
                found += [item.full_name for item in self.inner[name].all_drafts()]
            else:
                found.append(self.frame.prefix + name)
        return tuple(dict.fromkeys(found))


def step_names(root: Node) -> tuple[str, ...]:
    """Return the names of the steps of a document."""
    steps = root.child("steps")
    nodes = [
        step.child("name") or step.child("tag")
        for step in (steps.entries() if steps is not None else ())
    ]
    return tuple(str(node.value) for node in nodes if node is not None)


def open_frame(frame: Frame, problems: Sequence[SchemaProblem], depth: int = 0) -> Opened:
    """Settle and connect the steps of a document and of those that it includes.

    Parameters
    ----------
    frame : Frame
        The document.
    problems : sequence of SchemaProblem
        What the schema has to say of it.
    depth : int
        How many documents are around it.
    """
    reading = frame.reading
    params = frame.prepare(step_names(frame.root))
    params.check_given()
    declare_axes(frame)
    drafts = draft_steps(frame, problems)
    add_settings_elsewhere(frame, problems)
    inner: dict[str, Opened] = {}
    for draft in drafts:
        find_absent(draft)
        if draft.tag == WORKFLOW_TAG:
            opened = _include(draft, depth)
            if opened is not None:
                inner[draft.name] = opened
    frame.partial = any(draft.ports is None for draft in drafts)
    wiring = wire(frame.root, drafts, reading.catalog, reading.report)
    return Opened(frame=frame, drafts=drafts, wiring=wiring, inner=inner)


def add_settings_elsewhere(frame: Frame, problems: Sequence[SchemaProblem]) -> None:
    """Report settings in ``defaults`` and ``profiles`` that no step has complained about."""
    report = frame.reading.report
    known = {item.span for item in report.items if item.code.startswith("GP3")}
    for item in problems:
        if config_start(item.path) not in (None, 3) and item.diagnostic.span not in known:
            report.extend([item.diagnostic])


def _include(draft: Draft, depth: int) -> Opened | None:
    """Open the document that a step includes; None where that is not possible."""
    report, outer = draft.frame.reading.report, draft.frame
    for key in _FOREIGN_KEYS:
        node = draft.node.child(key)
        if node is not None:
            message = f"a workflow as a step has no {key!r}: its own steps have"
            report.add(Code.NOT_ALLOWED, message, Place.of_key(node), step=draft.full_name)
    path = _file(draft)
    if path is None:
        return None
    document = _read(draft, path) if _may_open(draft, path, depth) else None
    if document is None or document.root is None:
        return None
    problems = schema_problems(document.root, outer.reading.catalog)
    report.extend(item.diagnostic for item in problems if is_structure(item))
    given = draft.config.child("params")
    frame = Frame(
        reading=outer.reading,
        root=document.root,
        document=document,
        path=path,
        base=path.absolute().parent,
        given=dict(given.items()) if given is not None else {},
        prefix=f"{draft.full_name}/",
        parent=outer,
        points=frame_points(draft),
        missing=frozenset(_missing_params(draft, document.root, path)),
    )
    opened = open_frame(frame, problems, depth + 1)
    draft.inner = frame
    draft.ports = ()
    products = tuple(_ports(opened))
    named = document.root.child("outputs") or Node(value={})
    whole = len(products) == sum(1 for _ in named.items())
    draft.products = products if whole else None  # what is wrong with the others is told there
    return opened


def _read(draft: Draft, path: FilePath) -> Document | None:
    """Read the document that a step includes; None where that is not possible."""
    reading, report = draft.frame.reading, draft.frame.reading.report
    document = read_file(path, source="workflow")
    if not document.digest and document.diagnostics:  # not there: told where it is named
        node = draft.config.child("file") or draft.config
        problem = document.diagnostics[0]
        report.add(Code.INCLUDE, problem.message, node, hint=problem.hint, step=draft.full_name)
        return None
    report.documents.append(document)
    report.extend(document.diagnostics)
    reading.sources[str(path.absolute())] = document.digest
    if document.root is not None and not document.root.is_mapping:
        message = "a workflow is a mapping that begins with `gpwf: 1`"
        report.add(Code.WRONG_TYPE, message, document.root)
        return None
    return document


def _missing_params(draft: Draft, root: Node, path: FilePath) -> Iterator[str]:
    """Yield the parameters of a document that the step must give and does not; report them."""
    given = draft.config.child("params")
    for name, node in (root.child("params") or Node(value={})).items():
        if declare(name, node).default is not None or (given and given.child(name)):
            continue
        place = given or draft.config.child("file") or draft.config
        message = f"the parameter {name!r} of {path.name} has no value"
        related = ((node.key_span, f"the parameter {name!r}"),) if node.key_span else ()
        report = draft.frame.reading.report
        hint = f"give one in config: {{params: {{{name}: ...}}}}"
        report.add(
            Code.PARAM_MISSING, message, place, hint=hint, step=draft.full_name, related=related
        )
        yield name


def _ports(opened: Opened) -> Iterator[Port]:
    """Yield the named results of a document as ports of the step that includes it."""
    kinds = {
        draft.full_name: {port.name: port.kind for port in draft.products or ()}
        for draft in opened.all_drafts()
    }
    for name, ref in opened.wiring.outputs.items():
        full = opened.full(ref)
        kind = kinds.get(full.step, {}).get(full.product) if full is not None else None
        if kind is not None:
            yield Port(name=name, kind=kind)


def _file(draft: Draft) -> FilePath | None:
    """Return the file that a step names."""
    report, frame = draft.frame.reading.report, draft.frame
    node = draft.config.child("file")
    if node is None:
        message = "missing required setting 'file' (path)"
        report.add(Code.SETTING_MISSING, message, draft.place, step=draft.full_name)
        return None
    resolved = frame.scope().resolve(node, step=draft.full_name)
    if resolved.failed:
        return None
    if resolved.slots:
        message = "the file of a workflow as a step cannot depend on an axis"
        hint = "give its `params` what differs"
        report.add(Code.INCLUDE, message, node, hint=hint, step=draft.full_name)
        return None
    if not isinstance(resolved.node.value, str) or not resolved.node.value.strip():
        return None  # the schema has said so
    return frame.base / expanded(resolved.node.value)


def expanded(text: str) -> FilePath:
    """Return a path with ``~`` and ``$NAME`` filled in."""
    return FilePath(os.path.expandvars(text)).expanduser()


def _may_open(draft: Draft, path: FilePath, depth: int) -> bool:
    """Refuse documents that include each other, and too many of them."""
    report = draft.frame.reading.report
    node = draft.config.child("file") or draft.config
    chain: list[Frame] = []
    frame: Frame | None = draft.frame
    while frame is not None:
        chain.append(frame)
        frame = frame.parent
    for around in chain:
        if around.path is not None and _same_file(around.path, path):
            names = [item.path.name for item in reversed(chain) if item.path] + [path.name]
            message = f"workflows include each other: {' → '.join(names)}"
            report.add(Code.INCLUDE_CIRCLE, message, node, step=draft.full_name)
            return False
    if depth >= _MAX_DEPTH or len(report.documents) > _MAX_FRAMES:
        message = f"more than {_MAX_DEPTH} workflows in each other, or {_MAX_FRAMES} in all"
        report.add(Code.INCLUDE, message, node, step=draft.full_name)
        return False
    return True


def _same_file(one: FilePath, two: FilePath) -> bool:
    try:
        return one.resolve() == two.resolve()
    except OSError:
        return False
