"""From a document to the validated specification of a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpwf.core.diagnostics import Diagnostic, Severity
from gpwf.core.spec import StepCatalog, StepSpec, WorkflowSpec
from gpwf.errors import DocumentError
from gpwf.lang.builder import StopReading
from gpwf.lang.codes import Code
from gpwf.lang.document import Document, read_document
from gpwf.lang.draft import Draft, draft_steps
from gpwf.lang.overrides import (
    apply_profile,
    apply_sets,
    check_profiles,
    command_line_params,
    read_file,
    read_params_file,
)
from gpwf.lang.params import Params, declare
from gpwf.lang.policy import read_execution
from gpwf.lang.report import Report
from gpwf.lang.schema import SchemaProblem, config_start, schema_problems
from gpwf.lang.scope import Environment, Scope
from gpwf.lang.tree import Node, Place
from gpwf.lang.wiring import Wiring, wire

__all__ = ["check_document", "check_workflow", "read_workflow"]

_SUFFIXES = (".gpwf.yaml", ".gpwf.yml", ".yaml", ".yml")


def read_workflow(
    path: Path,
    catalog: StepCatalog,
    *,
    params: Mapping[str, str] | None = None,
    sets: Sequence[tuple[str, str]] = (),
    profile: str | None = None,
    params_files: Sequence[Path] = (),
) -> WorkflowSpec:
    """Read, check and wire a workflow file.

    Parameters
    ----------
    path : Path
        The file.
    catalog : StepCatalog
        The step types.
    params : mapping of str to str, optional
        Values of parameters as text, as ``-p NAME=VALUE`` gives them.
    sets : sequence of (str, str)
        Paths and values of ``--set PATH=VALUE``, in order.
    profile : str, optional
        Name of a profile of the workflow.
    params_files : sequence of Path
        Files with values of parameters; a later one is stronger.

    Raises
    ------
    DocumentError
        With every problem that was found.
    """
    spec, diagnostics = check_workflow(
        path, catalog, params=params, sets=sets, profile=profile, params_files=params_files
    )
    if spec is None:
        raise DocumentError(diagnostics)
    return spec


def check_workflow(
    path: Path,
    catalog: StepCatalog,
    *,
    params: Mapping[str, str] | None = None,
    sets: Sequence[tuple[str, str]] = (),
    profile: str | None = None,
    params_files: Sequence[Path] = (),
) -> tuple[WorkflowSpec | None, list[Diagnostic]]:
    """Read, check and wire a workflow file; see `read_workflow`.

    Returns
    -------
    spec : WorkflowSpec or None
        None where there is an error.
    diagnostics : list of Diagnostic
        Errors and warnings, in the order of the text.
    """
    document = read_file(Path(path), source="workflow")
    return check_document(
        document,
        catalog,
        path=Path(path),
        params=params,
        sets=sets,
        profile=profile,
        params_files=params_files,
    )


def check_document(
    document: Document | str | bytes,
    catalog: StepCatalog,
    *,
    path: Path | None = None,
    base: Path | None = None,
    params: Mapping[str, str] | None = None,
    sets: Sequence[tuple[str, str]] = (),
    profile: str | None = None,
    params_files: Sequence[Path] = (),
) -> tuple[WorkflowSpec | None, list[Diagnostic]]:
    """Check and wire a document that has been read, or a text; see `check_workflow`.

    Parameters
    ----------
    document : Document, str or bytes
        The document.
    path : Path, optional
        Its file.
    base : Path, optional
        Folder that relative paths count from; that of the file by default.
    """
    if not isinstance(document, Document):
        document = read_document(document, file=str(path or "<text>"))
    if base is None:
        base = path.absolute().parent if path is not None else Path.cwd()
    reading = _Reading(
        document=document, catalog=catalog, path=path, base=base, params=dict(params or {})
    )
    reading.report.documents.append(document)
    reading.report.extend(document.diagnostics)
    spec = None
    with suppress(StopReading):  # more problems than anybody would read: they are in the report
        spec = reading.read(sets, profile, params_files)
    return (None if reading.report.has_errors else spec), reading.report.finished()


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One reading of a document."""

    document: Document
    catalog: StepCatalog
    path: Path | None
    base: Path
    params: dict[str, str]
    report: Report = field(default_factory=Report)
    sources: dict[str, str] = field(default_factory=dict)

    def read(
        self, sets: Sequence[tuple[str, str]], profile: str | None, params_files: Sequence[Path]
    ) -> WorkflowSpec | None:
        """Go through every stage; return a specification where one can be made."""
        root = self.document.root
        if root is None:
            return None
        if not root.is_mapping:
            message = "a workflow is a mapping that begins with `gpwf: 1`"
            self.report.add(Code.WRONG_TYPE, message, root)
            return None
        problems = schema_problems(root, self.catalog)
        check_profiles(root, self.report)
        given: dict[str, Node] = {}
        merged = root
        if profile is not None:
            merged, given = apply_profile(root, profile, self.report)
        for file in params_files:
            values, read = read_params_file(file, self.report)
            given |= values
            if read.digest:
                self.sources[str(file.absolute())] = read.digest
        merged = apply_sets(merged, sets, self.report)
        given |= command_line_params(self.params, sets, self.report)
        if merged is not root:
            problems = [*_elsewhere(problems), *schema_problems(merged, self.catalog)]
        self.report.extend(item.diagnostic for item in problems if _is_structure(item))
        return self._build(merged, problems, given, sets, profile)

    def _build(
        self,
        root: Node,
        problems: Sequence[SchemaProblem],
        given: Mapping[str, Node],
        sets: Sequence[tuple[str, str]],
        profile: str | None,
    ) -> WorkflowSpec | None:
        """Settle parameters and steps, wire them, put the specification together."""
        fallback = self.catalog.unit_fallback
        declared = root.child("params") or Node(value={})
        params = Params(
            report=self.report,
            declarations={name: declare(name, node) for name, node in declared.items()},
            given=given,
            command_base=Path.cwd(),
            fallback=fallback,
        )
        environment = Environment()
        scope = Scope(
            report=self.report,
            params=params,
            param_nodes=params.nodes,
            environment=environment,
            workflow=self._about(root),
            steps=_names(root),
            fallback=fallback,
        )
        params.scope = scope
        values, origins = params.settle_all()
        params.check_given()
        drafts = draft_steps(
            root, self.catalog, scope, self.report, base=self.base, schema=problems
        )
        self._add_settings_elsewhere(problems)
        wiring = wire(root, drafts, self.catalog, self.report)
        if not self.report.has_errors:
            params.check_used(scope.used_params)
        self._check_defaults(root, drafts)
        if self.report.has_errors:
            return None
        about = scope.workflow
        if self.path is not None:
            self.sources = {str(self.path.absolute()): self.document.digest, **self.sources}
        return WorkflowSpec(
            name=str(about["name"]),
            path=self.path,
            text=self.document.text,
            sources=self.sources,
            environment=dict(sorted(environment.asked.items())),
            params=values,
            param_origins=origins,
            steps=tuple(_spec(draft, wiring) for draft in drafts),
            outputs=wiring.outputs,
            execution=read_execution(root),
            overrides=_overrides(self.params, sets, profile),
            metadata=about["metadata"],
            description=str(about["description"]),
        )

    def _add_settings_elsewhere(self, problems: Sequence[SchemaProblem]) -> None:
        """Report settings in ``defaults`` and ``profiles`` that no step has complained about."""
        known = {item.span for item in self.report.items if item.code.startswith("GP3")}
        for item in problems:
            if config_start(item.path) not in (None, 3) and item.diagnostic.span not in known:
                self.report.extend([item.diagnostic])

    def _about(self, root: Node) -> dict[str, Any]:
        """Return name, description and metadata of the workflow."""
        found = {key: node.plain() for key, node in root.items() if key in _ABOUT}
        name = found.get("name")
        metadata = found.get("metadata")
        return {
            "name": name if isinstance(name, str) else _file_name(self.path),
            "description": found.get("description") or "",
            "metadata": metadata if isinstance(metadata, dict) else {},
        }

    def _check_defaults(self, root: Node, drafts: Sequence[Draft]) -> None:
        """Warn of defaults for a type that no step has."""
        defaults = root.child("defaults") or Node(value={})
        tags = {draft.tag for draft in drafts}
        for tag, node in defaults.items():
            if tag not in tags and tag in self.catalog.tags():
                message = f"no step has the type {tag!r}"
                place = Place.of_key(node)
                self.report.add(Code.UNUSED_DEFAULTS, message, place, severity=Severity.WARNING)


_ABOUT = ("name", "description", "metadata")


def _elsewhere(problems: Sequence[SchemaProblem]) -> list[SchemaProblem]:
    """Return the problems that a validation of the merged document would not find again.

    The settings of steps are judged as they are after merging. The rest loses its path, which
    need not mean the same step in the merged document.
    """
    return [
        replace(item, path=()) if _is_structure(item) else item
        for item in problems
        if _is_structure(item) or config_start(item.path) != 3
    ]


def _is_structure(problem: SchemaProblem) -> bool:
    """Return False for a problem in settings, which is weighed against the step's own checks."""
    start = config_start(problem.path)
    return start is None or (start == 3 and len(problem.path) == 3)


def _names(root: Node) -> tuple[str, ...]:
    """Return the names of the steps."""
    steps = root.child("steps")
    nodes = [
        step.child("name") or step.child("tag")
        for step in (steps.entries() if steps is not None else ())
    ]
    return tuple(str(node.value) for node in nodes if node is not None)


def _file_name(path: Path | None) -> str:
    """Return the name of a file without its suffixes."""
    if path is None:
        return "workflow"
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix)
    return path.stem


def _spec(draft: Draft, wiring: Wiring) -> StepSpec:
    """Return the specification of a step without problems."""
    settled = draft.settled
    assert settled is not None  # otherwise there is a problem, and no specification
    description = draft.node.child("description")
    return StepSpec(
        name=draft.name,
        tag=draft.tag,
        settings=settled.settings,
        types=settled.types,
        origins=draft.origins(),
        spans=draft.spans(),
        inputs=wiring.inputs.get(draft.name, {}),
        outputs={port.name: port.kind for port in draft.products or ()},
        after=wiring.after.get(draft.name, ()),
        policy=draft.policy,
        description=str(description.value) if description is not None else "",
    )


def _overrides(
    params: Mapping[str, str], sets: Sequence[tuple[str, str]], profile: str | None
) -> dict[str, Any]:
    """Return what the caller changed, as plain data; empty where nothing was."""
    found: dict[str, Any] = {}
    if params:
        found["params"] = dict(params)
    if sets:
        found["set"] = [list(item) for item in sets]
    if profile is not None:
        found["profile"] = profile
    return found
