"""A plan as it may be recorded.

A worker needs every setting as it is; the plan that lies in the run directory, and all that is
made of it (provenance, status, graphs, comparisons), must not have those that are secret. There
is one place where they are taken out: here, before anything is written.

Names of steps, tasks, axes and ports stay as they are: they hold the plan together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from gpwf.core.plan import Plan, PlannedFile, Task
from gpwf.core.redact import REDACTED, SHORTEST, Redactor, looks_secret, redact_command
from gpwf.core.spec import Origin, StepCondition, Variant, WorkflowSpec

__all__ = ["recorded_plan", "recorded_spec"]

_TEXTS = ("str", "string", "path")


def recorded_plan(plan: Plan, clean: Redactor | None = None) -> Plan:
    """Return a plan without its secrets: the same one where it has none.

    A setting that a secret went into keeps the rest of its text where the secret can be found in
    it, and is ``[redacted]`` otherwise.

    Parameters
    ----------
    plan : Plan
        As it is run.
    clean : Redactor, optional
        Knows the values to take out; those of the plan by default.
    """
    clean = Redactor(plan.secrets) if clean is None else clean
    if not plan.secrets and not clean:
        return plan
    redaction = _Redaction(clean, whole=any(len(value) < SHORTEST for value in plan.secrets))
    return replace(
        plan,
        tasks=tuple(map(redaction.task, plan.tasks)),
        steps=tuple(
            replace(
                item,
                description=clean(item.description),
                condition=_condition(item.condition, clean),
            )
            for item in plan.steps
        ),
        params=clean.data(plan.params),
        overrides=redaction.overrides(plan.overrides),
        sources={clean.known(path): digest for path, digest in plan.sources.items()},
        documents={digest: clean(text) for digest, text in plan.documents.items()},
        workflows=tuple(
            replace(
                item,
                path=clean.known(item.path),
                place=clean.known(item.place),
                description=clean(item.description),
                condition=_condition(item.condition, clean),
            )
            for item in plan.workflows
        ),
        identities=clean.known_data(plan.identities),
        metadata=clean.data(plan.metadata),
        description=clean(plan.description),
        secrets=frozenset(),
    )


def recorded_spec(spec: WorkflowSpec) -> WorkflowSpec:
    """Return a workflow without its secrets: the same one where it has none."""
    if not spec.secrets:
        return spec
    clean = Redactor(spec.secrets)
    redaction = _Redaction(clean, whole=any(len(value) < SHORTEST for value in spec.secrets))

    def origin(item: Origin) -> Origin:
        return replace(item, detail=clean(item.detail))

    def variant(item: Variant) -> Variant:
        private = {path for path, origin in item.origins.items() if origin.private}
        return replace(
            item,
            settings={
                key: redaction.setting(str(key), value, private, item.types)
                for key, value in item.settings.items()
            },
            origins={path: origin(found) for path, found in item.origins.items()},
        )

    return replace(
        spec,
        params={
            name: redaction.setting(
                name, value, {name} if spec.param_origins[name].private else (), {}
            )
            for name, value in spec.params.items()
        },
        param_origins={name: origin(item) for name, item in spec.param_origins.items()},
        steps=tuple(
            replace(step, variants=tuple(map(variant, step.variants))) for step in spec.steps
        ),
        overrides=redaction.overrides(spec.overrides),
        environment={},
        secrets=frozenset(),
    )


def _condition(condition: StepCondition | None, clean: Redactor) -> StepCondition | None:
    if condition is None:
        return None
    return replace(
        condition,
        text=clean(condition.text),
        place=clean.known(condition.place),
        cases=tuple(replace(item, values=clean.data(item.values)) for item in condition.cases),
    )


class _Redaction:
    """Takes secrets out of tasks; what they share is shared afterwards.

    Parameters
    ----------
    clean : Redactor
        Knows the values.
    whole : bool
        True where a value is too short to be found in a text: a setting that a secret went into
        is left out as a whole then.
    """

    def __init__(self, clean: Redactor, *, whole: bool) -> None:
        self._clean = clean
        self._whole = whole
        self._known: dict[tuple[str, int, int], tuple[Any, Any]] = {}

    def task(self, task: Task) -> Task:
        """Return a task as it may be recorded."""
        return replace(
            task,
            settings={
                key: self._setting(str(key), value, task.sealed, task.types)
                for key, value in task.settings.items()
            },
            origins=self._shared("origins", task.origins, self._origins),
            files=self._shared("files", task.files, self._files),
            place=self._clean.known(task.place),
        )

    def overrides(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the command line changed."""
        found: dict[str, Any] = self._clean.data(overrides)
        if isinstance(overrides.get("set"), (list, tuple)):
            found["set"] = [self._pair(item) for item in overrides["set"]]
        return found

    def _pair(self, item: Any) -> list[Any]:
        path, value = item
        return [path, self._clean.data({str(path).rpartition(".")[2]: value}).popitem()[1]]

    def _shared(self, kind: str, value: Any, make: Any) -> Any:
        """Return the same result for the same object, which is kept: ids are used again."""
        found = self._known.get((kind, id(value), 0))
        if found is None:
            found = self._known[kind, id(value), 0] = value, make(value)
        return found[1]

    def _setting(
        self, name: str, value: Any, sealed: Collection[str], types: Mapping[str, str]
    ) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            return REDACTED if name in sealed else value
        key = (name, id(value), id(sealed))
        found = self._known.get(key)
        if found is None:
            kept = (value, sealed)
            found = self._known[key] = kept, self.setting(name, value, sealed, types)
        return found[1]

    def setting(
        self, name: str, value: Any, names: Collection[str], types: Mapping[str, str]
    ) -> Any:
        """Return a setting, with its dotted path, as it may be recorded; ``names`` may not."""
        sealed = name in names
        if isinstance(value, str):
            made = self._named(name, value)
            is_text = types.get(name, "str") in _TEXTS
            return REDACTED if sealed and (self._whole or not is_text or made == value) else made
        if sealed and value is not None and not isinstance(value, bool):
            return REDACTED
        if isinstance(value, Mapping):
            return {
                key: self.setting(f"{name}.{key}", item, names, types)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            items = value
            if all(isinstance(item, str) for item in value):
                items = redact_command(value)  # an option tells what the next text is
            return [self.setting(f"{name}.{n}", item, names, types) for n, item in enumerate(items)]
        return value

    def _named(self, name: str, value: str) -> str:
        last = name.rpartition(".")[2]
        return REDACTED if value and looks_secret(last, value) else self._clean(value)

    def _origins(self, origins: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
        clean = self._clean
        return {
            path: (clean(source), clean.known(place)) for path, (source, place) in origins.items()
        }

    def _files(self, files: tuple[PlannedFile, ...]) -> tuple[PlannedFile, ...]:
        known = self._clean.known
        return tuple(replace(item, name=known(item.name), path=known(item.path)) for item in files)
