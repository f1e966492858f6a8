"""WorkflowSpec → Plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from gpwf.compiler import graph
from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.core.digests import Digest, digest_bytes, tagged_digest
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskOutput
from gpwf.core.spec import ExternalFile, Origin, StepCatalog, StepSpec, WorkflowSpec
from gpwf.errors import DocumentError, PlanError, StepInputError

__all__ = ["MISSING_INPUT", "FileDigests", "compile_plan"]

#: Code of the diagnostic for an external file, or an item in it, that is not there.
MISSING_INPUT = "GP601"


class FileDigests(Protocol):
    """What the compiler needs from the store: digests of files, and a small memory."""

    def digest(self, path: Path) -> tuple[Digest, int]:
        """Return SHA-256 and size of a file."""

    def memo(self, key: str) -> Any | None:
        """Return what was remembered under a key."""

    def remember(self, key: str, value: Any) -> None:
        """Remember plain data; it may be forgotten."""


def compile_plan(
    spec: WorkflowSpec,
    catalog: StepCatalog,
    files: FileDigests,
    *,
    version_of: Callable[[str], str] = metadata.version,
) -> Plan:
    """Return the plan of a workflow.

    Parameters
    ----------
    spec : WorkflowSpec
        Validated workflow.
    catalog : StepCatalog
        Step types.
    files : FileDigests
        Digests of external files.
    version_of : callable, optional
        Version of an installed distribution by name.

    Raises
    ------
    DocumentError
        External files or observations that are not there, all of them, each with its place.
    PlanError
        The steps form a cycle.
    """
    edges = {step.name: _upstream(step) for step in spec.steps}
    try:
        order = graph.topological_order(edges)
    except ValueError as error:
        raise PlanError(f"{spec.path or spec.name}: {error}") from None
    problems: list[Diagnostic] = []
    tasks: list[Task] = []
    versions: dict[str, str] = {}
    for name in order:
        step = spec.step(name)
        try:
            planned = _external_files(step, catalog, files)
        except StepInputError as error:
            problems.append(_located(step, error))
            continue
        for package in catalog.packages(step.tag):
            versions.setdefault(package, version_of(package))
        tasks.append(_task(step, catalog, planned, versions))
    if problems:
        raise DocumentError(sorted(problems, key=lambda item: item.sort_key))
    return Plan(
        name=spec.name,
        workflow_digest=digest_bytes(spec.text.encode()),
        tasks=tuple(tasks),
        steps=tuple(
            PlannedStep(
                name=step.name,
                tag=step.tag,
                title=catalog.title(step.tag),
                description=step.description,
            )
            for step in spec.steps
        ),
        outputs={
            name: (TaskOutput(task=ref.step, product=ref.product),)
            for name, ref in spec.outputs.items()
        },
        params=spec.params,
        overrides=spec.overrides,
        sources=spec.sources,
        metadata=spec.metadata,
        description=spec.description,
        language=spec.language,
    )


def _upstream(step: StepSpec) -> list[str]:
    used = [ref.step for refs in step.inputs.values() for ref in refs]
    return list(dict.fromkeys([*used, *step.after]))


def _task(
    step: StepSpec,
    catalog: StepCatalog,
    files: tuple[PlannedFile, ...],
    versions: Mapping[str, str],
) -> Task:
    return Task(
        id=step.name,
        step=step.name,
        tag=step.tag,
        version=catalog.version(step.tag),
        settings=step.settings,
        types=step.types,
        origins={path: _origin(origin) for path, origin in step.origins.items()},
        inputs={
            port: tuple(TaskOutput(task=ref.step, product=ref.product) for ref in refs)
            for port, refs in step.inputs.items()
        },
        input_ports=tuple(catalog.inputs(step.tag, step.settings)),
        output_ports=tuple(catalog.outputs(step.tag, step.settings)),
        after=step.after,
        files=files,
        packages={name: versions[name] for name in catalog.packages(step.tag)},
        implementation=dict(catalog.implementation(step.tag)),
        policy=step.policy,
        place=_place(step.spans.get("")),
    )


def _origin(origin: Origin) -> tuple[str, str]:
    source = f"{origin.source} {origin.detail}".strip()
    return (source, _place(origin.span))


def _place(span: Span | None) -> str:
    return str(span) if span else ""


def _external_files(
    step: StepSpec, catalog: StepCatalog, files: FileDigests
) -> tuple[PlannedFile, ...]:
    """Return the files that a step reads, with digests.

    Which files these are may take an import of astropy to find out (a datastore's index), so the
    answer is remembered under the settings and the content of the index files.
    """
    index = _digested(step, catalog.index_files(step.tag, step.settings), files)
    memo_key = tagged_digest(
        "gpwf-files/1",
        catalog.implementation(step.tag).get("source", ""),
        step.tag,
        catalog.version(step.tag),
        dict(step.settings),
        [[item.path, item.digest] for item in index],
    )
    known = files.memo(memo_key)
    if known is not None and all(Path(item["path"]).is_file() for item in known):
        found = [
            ExternalFile(setting=item["setting"], path=Path(item["path"]), name=item["name"])
            for item in known
        ]
    else:
        found = list(catalog.external_files(step.tag, step.settings))
        files.remember(
            memo_key,
            [
                {"setting": item.setting, "path": str(item.path), "name": item.name}
                for item in found
            ],
        )
    return tuple(_digested(step, found, files))


def _digested(step: StepSpec, found: Any, files: FileDigests) -> list[PlannedFile]:
    planned = []
    for item in found:
        try:
            digest, size = files.digest(item.path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StepInputError(
                f"cannot read {item.path}: {reason}",
                setting=item.setting,
                hint=f"step {step.name} needs this file; correct the path or its permissions",
            ) from None
        planned.append(
            PlannedFile(
                setting=item.setting,
                name=item.name,
                path=str(item.path),
                digest=digest,
                size=size,
            )
        )
    return sorted(planned, key=lambda item: (item.setting, item.name, item.path))


def _located(step: StepSpec, error: StepInputError) -> Diagnostic:
    """Return the problem at the place of the setting, or of the nearest written one around it."""
    path = error.setting
    while path and path not in step.spans:
        path = path.rpartition(".")[0]
    return Diagnostic(
        code=MISSING_INPUT,
        message=f"step {step.name}: {error.message}",
        span=step.spans.get(path) or step.spans.get(""),
        hint=error.hint,
        step=step.name,
    )
