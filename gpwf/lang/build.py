"""From a document to the validated specification of a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from gpwf.core.catalog import StepCatalog
from gpwf.core.diagnostics import Diagnostic
from gpwf.core.redact import SHORTEST, looks_secret
from gpwf.core.spec import WorkflowSpec
from gpwf.errors import DocumentError
from gpwf.lang.axes import Registry, TooManyTasksError
from gpwf.lang.builder import StopReading
from gpwf.lang.codes import Code
from gpwf.lang.document import Document, read_document
from gpwf.lang.environment import Environment
from gpwf.lang.files import read_file
from gpwf.lang.frame import Frame, Reading
from gpwf.lang.include import Opened, open_frame
from gpwf.lang.names import check_names, wired_steps
from gpwf.lang.overrides import (
    apply_profile,
    apply_sets,
    check_profiles,
    command_line_params,
    read_params_file,
)
from gpwf.lang.policy import read_execution
from gpwf.lang.report import Report
from gpwf.lang.schema import SchemaProblem, config_start, is_structure, schema_problems
from gpwf.lang.steps import check_unused, expand_steps
from gpwf.lang.tree import Node, Place, texts, walk

__all__ = ["check_document", "check_workflow", "read_workflow"]


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


def open_workflow(
    path: Path,
    catalog: StepCatalog,
    *,
    params: Mapping[str, str] | None = None,
    sets: Sequence[tuple[str, str]] = (),
    profile: str | None = None,
    params_files: Sequence[Path] = (),
) -> tuple[WorkflowSpec, Opened]:
    """Read, check and wire a workflow file, and return its documents, too; see `read_workflow`.

    Raises
    ------
    DocumentError
        With every problem that was found.
    """
    document = read_file(Path(path), source="workflow", shown=str(path))
    reading = _Reading(
        document=document,
        catalog=catalog,
        path=Path(path),
        base=Path(path).absolute().parent,
        params=dict(params or {}),
    )
    spec = reading.checked(sets, profile, params_files)
    if spec is None or reading.opened is None:
        raise DocumentError(reading.report.finished())
    return spec, reading.opened


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
    document = read_file(Path(path), source="workflow", shown=str(path))
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
    return reading.checked(sets, profile, params_files), reading.report.finished()


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
    opened: Opened | None = None

    def checked(
        self, sets: Sequence[tuple[str, str]], profile: str | None, params_files: Sequence[Path]
    ) -> WorkflowSpec | None:
        """Read the document; return a specification where it has no error."""
        self.report.documents.append(self.document)
        self.report.extend(self.document.diagnostics)
        spec = None
        with suppress(StopReading):  # more problems than anybody would read: they are in the report
            spec = self.read(sets, profile, params_files)
        return None if self.report.has_errors else spec

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
            values, read = read_params_file(file, self.base, self.report)
            given |= values
            if read.digest:
                self.sources[str(file.absolute())] = read.digest
        merged = apply_sets(merged, sets, self.catalog, self.report)
        given |= command_line_params(self.params, sets, self.report)
        if merged is not root:
            problems = [*_elsewhere(problems), *schema_problems(merged, self.catalog)]
        self.report.extend(item.diagnostic for item in problems if is_structure(item))
        return self._build(merged, problems, given, sets, profile)

    def _build(
        self,
        root: Node,
        problems: Sequence[SchemaProblem],
        given: Mapping[str, Node],
        sets: Sequence[tuple[str, str]],
        profile: str | None,
    ) -> WorkflowSpec | None:
        """Open the document and what it includes, expand it, put the specification together."""
        execution = read_execution(root)
        if self.path is not None:
            self.sources = {str(self.path.absolute()): self.document.digest, **self.sources}
        reading = Reading(
            catalog=self.catalog,
            report=self.report,
            environment=self._environment(execution.record_env, given),
            registry=Registry(self.report, execution.max_tasks),
            sources=self.sources,
        )
        frame = Frame(
            reading=reading,
            root=root,
            document=self.document,
            path=self.path,
            base=self.base,
            given=given,
        )
        try:
            opened = self.opened = open_frame(frame, problems)
            steps = expand_steps(opened)
        except TooManyTasksError as error:
            self._too_many(error, root, execution.max_tasks)
            return None
        check_names(wired_steps(opened, steps or ()), self.catalog, self.report)
        if not self.report.has_errors:
            check_unused(opened)
        if self.report.has_errors or steps is None:
            return None
        values, origins = frame.settled()
        outputs = {name: opened.full(ref) for name, ref in opened.wiring.outputs.items()}
        return WorkflowSpec(
            name=str(frame.about["name"]),
            path=self.path,
            text=self.document.text,
            sources=reading.sources,
            environment=dict(sorted(reading.environment.asked.items())),
            params=values,
            param_origins=origins,
            steps=steps,
            outputs={name: ref for name, ref in outputs.items() if ref is not None},
            axes={
                name: table.frozen()
                for name, table in reading.registry.tables.items()
                if any(name in step.axes for step in steps)
            },
            workflows=tuple(opened.workflows()),
            texts={item.digest: item.text for item in self.report.documents if item.digest},
            execution=execution,
            overrides=_overrides(self.params, sets, profile),
            metadata=frame.about["metadata"],
            description=str(frame.about["description"]),
            secrets=self._secrets(frame),
        )

    def _environment(self, listed: Sequence[str], given: Mapping[str, Node]) -> Environment:
        """Return the environment variables; from now on no message has what is secret."""
        environment = Environment(listed=listed)
        named = {text for name, node in given.items() if looks_secret(name) for text in texts(node)}
        self.report.secrets = lambda: environment.secrets | named
        return environment

    def _secrets(self, frame: Frame) -> frozenset[str]:
        """Return the values that must not be recorded, those with secret names too."""
        scope = frame.scope()
        private = [node for node in scope.param_nodes.values() if node.all_private]
        metadata = frame.root.child("metadata")
        for tree in [*scope.tables.values(), *([metadata] if metadata is not None else [])]:
            private += [node for path, node in walk(tree) if path and _has_secret_name(path[-1])]
        known = {text for text in self.report.secrets() if text}
        parts = [text for text in known if len(text) >= SHORTEST]
        found = {text for node in private for text in texts(node) if text}
        return frozenset(known | {text for text in found if not any(x in text for x in parts)})

    def _too_many(self, error: TooManyTasksError, root: Node, limit: int) -> None:
        """Report a scatter that is too large, at the first axis of the document."""
        steps = root.child("steps")
        axes = [step.child("foreach") for step in (steps.entries() if steps is not None else ())]
        place = next((Place.of_key(node) for node in axes if node is not None), None)
        message = f"the steps would run {error.size} times in all, more than the {limit} allowed"
        hint = "shorten an axis, or write execution: {max_tasks: ...}"
        self.report.add(Code.TOO_MANY_TASKS, message, place or root, hint=hint)


def _elsewhere(problems: Sequence[SchemaProblem]) -> list[SchemaProblem]:
    """Return the problems that a validation of the merged document would not find again.

    The settings of steps are judged as they are after merging. The rest loses its path, which
    need not mean the same step in the merged document.
    """
    return [
        replace(item, path=()) if is_structure(item) else item
        for item in problems
        if is_structure(item) or config_start(item.path) != 3
    ]


@lru_cache(maxsize=4096)
def _has_secret_name(key: str | int) -> bool:
    return isinstance(key, str) and looks_secret(key)


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
