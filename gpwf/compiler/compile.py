"""WorkflowSpec → Plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata

from gpwf.compiler import graph
from gpwf.compiler.inputs import FileDigests, external_files, located
from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.core.digests import digest_bytes
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskOutput
from gpwf.core.spec import Origin, StepCatalog, StepSpec, WorkflowSpec
from gpwf.errors import DocumentError, PlanError, StepInputError

__all__ = ["compile_plan"]


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
            planned = external_files(step, catalog, files)
        except StepInputError as error:
            problems.append(located(step, error))
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
        execution=spec.execution,
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
