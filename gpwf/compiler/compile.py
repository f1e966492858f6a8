"""WorkflowSpec → Plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from gpwf.compiler import graph
from gpwf.compiler.inputs import FileDigests, external_files, located
from gpwf.compiler.scatter import Scatter, Shape
from gpwf.compiler.sealing import Sealing
from gpwf.core.catalog import StepCatalog
from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.core.digests import Digest, digest_bytes
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task
from gpwf.core.redact import Redactor, redact_text, without_secrets
from gpwf.core.spec import Origin, StepSpec, Variant, WorkflowSpec
from gpwf.errors import DocumentError, PlanError, StepInputError

__all__ = ["compile_plan"]

_MOST_PROBLEMS = 100  # of missing files: nobody reads more at once
_LONGEST_DOCUMENT = 256 * 1024  # characters of a document whose text goes into the plan
_MOST_DOCUMENTS = 4 * 1024 * 1024  # characters of all of them


def compile_plan(
    spec: WorkflowSpec,
    catalog: StepCatalog,
    files: FileDigests,
    *,
    version_of: Callable[[str], str] = metadata.version,
    identify: Callable[[Path, Digest], Mapping[str, Any] | None] | None = None,
    seal: Callable[[Any], str] | None = None,
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
    identify : callable, optional
        Returns what an external file with this digest says of itself, None where it says nothing.
    seal : callable, optional
        Returns what stands in task keys for a setting that must not be recorded; see
        `gpwf.compiler.sealing.Sealing`.

    Raises
    ------
    DocumentError
        External files or observations that are not there, each with its place.
    PlanError
        The steps form a cycle.
    """
    steps = {step.name: step for step in spec.steps}
    edges = {name: _upstream(step) for name, step in steps.items()}
    try:
        order = graph.topological_order(edges)
    except ValueError as error:
        raise PlanError(f"{spec.path or spec.name}: {error}") from None
    scatter = Scatter(spec.axes)
    sealing = Sealing(seal, spec.secrets)
    shapes = _Shapes(catalog, files, version_of, scatter, sealing)
    for name in order:
        step = steps[name]
        shape_of = shapes.of(step)
        if not shapes.problems:
            scatter.add(step, shape_of)
    if shapes.problems:
        clean = Redactor(spec.secrets)
        found = [without_secrets(item, clean) for item in shapes.problems]
        raise DocumentError(sorted(found, key=lambda item: item.sort_key))
    outputs = {name: scatter.outputs(ref) for name, ref in spec.outputs.items()}
    return Plan(
        name=spec.name,
        workflow_digest=digest_bytes(spec.text.encode()),
        tasks=tuple(scatter.tasks),
        aliases=tuple(scatter.aliases),
        steps=tuple(_planned(step, catalog) for step in spec.steps),
        outputs={name: refs for name, refs in outputs.items() if refs},
        params=spec.params,
        overrides=spec.overrides,
        sources=spec.sources,
        documents=_documents(spec),
        workflows=spec.workflows,
        identities=_identities(scatter.tasks, identify) if identify is not None else {},
        metadata=spec.metadata,
        description=spec.description,
        language=spec.language,
        execution=spec.execution,
        secrets=frozenset(spec.secrets | sealing.values),
    )


def _documents(spec: WorkflowSpec) -> dict[str, str]:
    """Return the texts that a plan keeps: not the workflow's own, and none that is too long."""
    own = digest_bytes(spec.text.encode())
    found: dict[str, str] = {}
    left = _MOST_DOCUMENTS
    for digest in spec.sources.values():
        text = spec.texts.get(digest)
        if text is None or digest == own or len(text) > min(_LONGEST_DOCUMENT, left):
            continue
        if digest not in found:
            found[digest] = redact_text(text)
            left -= len(text)
    return found


def _identities(
    tasks: Sequence[Task], identify: Callable[[Path, Digest], Mapping[str, Any] | None]
) -> dict[str, Mapping[str, Any]]:
    """Return what the external files of tasks say of themselves, by their digests."""
    shared = {id(task.files): task.files for task in tasks}
    paths = {item.digest: item.path for files in shared.values() for item in files}
    found = ((digest, identify(Path(path), digest)) for digest, path in paths.items())
    return {digest: identity for digest, identity in found if identity is not None}


def _planned(step: StepSpec, catalog: StepCatalog) -> PlannedStep:
    """Return a step as the plan shows it."""
    sizes = {
        name: len({row[n] for row in step.points}) if step.points else 0
        for n, name in enumerate(step.axes)
    }
    return PlannedStep(
        name=step.name,
        tag=step.tag,
        title=catalog.title(step.tag),
        description=step.description,
        axes=sizes,
        n_points=len(step.points),
        gather=step.gather,
        condition=step.condition,
    )


def _upstream(step: StepSpec) -> list[str]:
    used = [ref.step for refs in step.inputs.values() for ref in refs]
    return list(dict.fromkeys([*used, *step.after]))


class _Shapes:
    """What the tasks of a step have in common, for every variant of its settings."""

    def __init__(
        self,
        catalog: StepCatalog,
        files: FileDigests,
        version_of: Callable[[str], str],
        scatter: Scatter,
        sealing: Sealing,
    ) -> None:
        self.catalog = catalog
        self.files = files
        self.version_of = version_of
        self.scatter = scatter
        self.sealing = sealing
        self.problems: list[Diagnostic] = []
        self._versions: dict[str, str] = {}
        self._same: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._found: dict[str, tuple[PlannedFile, ...]] = {}

    def of(self, step: StepSpec) -> Callable[[int], Shape]:
        """Return what gives the common part by the number of the variant.

        Files that are not there are among the problems afterwards.
        """
        catalog = self.catalog
        first = step.first
        common = {
            "step": step.name,
            "tag": step.tag,
            "version": catalog.version(step.tag),
            "input_ports": tuple(catalog.inputs(step.tag, first.settings)) if step.points else (),
            "output_ports": tuple(catalog.outputs(step.tag, first.settings)) if step.points else (),
            "policy": step.policy,
            "place": _place(step.span),
        }
        origins = _Origins()
        planned = [self._files(step, variant) for variant in step.variants]
        return lambda number: self._shape(step, number, common, planned[number], origins)

    def _packages(self, tag: str, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return the versions of the distributions that can change the result."""
        names = self.catalog.packages(tag, settings)
        for name in names:
            if name not in self._versions:
                self._versions[name] = self.version_of(name)
        return self._shared({name: self._versions[name] for name in names})

    def _shared(self, found: Mapping[str, str]) -> dict[str, str]:
        """Return the same object for the same content: variants differ little."""
        return self._same.setdefault(tuple(found.items()), dict(found))

    def _files(self, step: StepSpec, variant: Variant) -> tuple[PlannedFile, ...]:
        """Return the external files of a variant; what is missing is kept as a problem."""
        key = self.catalog.files_key(step.tag, variant.settings, variant.types)
        if key is None or len(self.problems) >= _MOST_PROBLEMS:
            return ()
        if key not in self._found:
            try:
                self._found[key] = external_files(step, variant, self.catalog, self.files)
            except StepInputError as error:
                self.problems.append(located(step, variant, error))
                self._found[key] = ()
        return self._found[key]

    def _shape(
        self,
        step: StepSpec,
        number: int,
        common: Mapping[str, Any],
        files: tuple[PlannedFile, ...],
        origins: _Origins,
    ) -> Shape:
        variant = step.variants[number]
        fixed = {
            **common,
            "settings": variant.settings,
            "types": variant.types,
            "origins": origins.of(variant.origins),
            "sealed": self.sealing.of(variant),
            "files": files,
            "packages": self._packages(step.tag, variant.settings),
            "implementation": self._shared(self.catalog.implementation(step.tag, variant.settings)),
        }
        identity = self.scatter.identity(step.tag, common["version"], variant.settings, files)
        seed = variant.settings.get("seed") if isinstance(variant.settings, Mapping) else None
        return Shape(fixed=fixed, identity=identity, seeded=isinstance(seed, int))


class _Origins:
    """Origins as the plan has them; variants that share theirs share the result."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Mapping[str, Origin], dict[str, tuple[str, str]]]] = {}

    def of(self, origins: Mapping[str, Origin]) -> dict[str, tuple[str, str]]:
        found = self._known.get(id(origins))
        if found is None:
            made = {path: _origin(origin) for path, origin in origins.items()}
            found = self._known[id(origins)] = (origins, made)  # kept alive: ids are reused
        return found[1]


def _origin(origin: Origin) -> tuple[str, str]:
    source = f"{origin.source} {origin.detail}".strip()
    return (source, _place(origin.span))


def _place(span: Span | None) -> str:
    return str(span) if span else ""
