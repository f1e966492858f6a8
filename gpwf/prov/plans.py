"""Plans of a run as provenance: the workflow, those that it includes, steps, documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpwf.core.plan import Plan, PlannedStep, Task
from gpwf.core.redact import REDACTED, looks_secret, redact_text
from gpwf.core.spec import IncludedWorkflow, StepCondition
from gpwf.prov.context import RunContext
from gpwf.prov.entities import record_file
from gpwf.prov.recorder import Recorder, Ref, json_text
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = [
    "condition_facts",
    "record_documents",
    "record_included",
    "record_plans",
    "record_step",
]


def record_step(recorder: Recorder, step: PlannedStep, task: Task | None) -> str:
    """Record a declared step, with any of its tasks, as a plan identified by what it says."""
    how = dict(task.implementation) if task is not None else {}
    version = task.version if task is not None else ""
    decided = list(_condition(step.condition))
    return recorder.entity(
        hashed_id(
            "step",
            step.name,
            step.tag,
            version,
            step.description,
            how,
            *([decided] if decided else []),
        ),
        ("prov:Plan", "wfdesc:Process"),
        [
            ("prov:label", step.name),
            ("name", step.name),
            ("tag", step.tag),
            ("version", version),
            ("title", step.title),
            ("description", step.description),
            *(("axis", f"{axis}={length}") for axis, length in step.axes.items()),
            *(("gather", axis) for axis in step.gather),
            ("places", step.n_points if step.axes or step.n_points != 1 else None),
            *decided,
            ("module", how.get("module")),
            ("package", how.get("package")),
            ("packageVersion", how.get("version")),
            ("sourceDigest", how.get("source")),
            *((name, how.get(name)) for name in ("callable", "callableSource", "callablePackage")),
        ],
    )


def record_documents(recorder: Recorder, plan: Plan) -> dict[str, str]:
    """Record every document that was read, with its text; return their local names by path.

    The text of the workflow itself is with its plan, see `record_plans`.
    """
    found = {}
    for path, digest in sorted(plan.sources.items()):
        text = plan.documents.get(digest)
        notes = recorder.prepare([("prov:value", redact_text(text))]) if text else None
        found[path] = record_file(
            recorder, path, path.rpartition("/")[2], digest, None, notes=notes
        )
    return found


def record_included(
    recorder: Recorder,
    workflows: tuple[IncludedWorkflow, ...],
    steps: Mapping[str, str],
    documents: Mapping[str, str],
) -> dict[str, str]:
    """Record the workflows that are steps as plans; return their local names by step."""
    found: dict[str, str] = {}
    for item in reversed(workflows):  # the inner ones first: an outer one names them
        parts = [Ref(local) for local in _children(f"{item.name}/", {**steps, **found})]
        decided = list(_condition(item.condition))
        local = found[item.name] = recorder.entity(
            hashed_id("workflow", item.name, item.digest, item.description, decided, parts),
            ("prov:Plan", "wfdesc:Workflow", "wfdesc:Process"),
            [
                ("prov:label", item.name),
                ("name", item.name),
                ("title", item.title),
                ("sha256", item.digest),
                ("description", item.description),
                *(("axis", f"{axis}={length}") for axis, length in item.axes.items()),
                ("places", item.n_points if item.axes or item.n_points != 1 else None),
                ("place", item.place),
                *decided,
                *(("wfdesc:hasSubProcess", part) for part in parts),
            ],
        )
        if item.path in documents:
            recorder.derived(local, documents[item.path])
    return found


def record_plans(context: RunContext, plan_digest: str, text: str | None) -> str:
    """Record the workflow as given and the plan made from it; return the workflow."""
    plan, recorder = context.plan, context.recorder
    known = {**context.steps, **context.included}
    parts = [("wfdesc:hasSubProcess", Ref(local)) for local in _children("", known)]
    workflow = recorder.entity(
        local_id("plan-sha256", plan.workflow_digest),
        ("prov:Plan", "wfdesc:Workflow"),
        [
            ("prov:label", plan.name),
            ("name", plan.name),
            ("sha256", plan.workflow_digest),
            ("language", plan.language),
            ("description", plan.description),
            ("metadata", plan.metadata),
            ("prov:value", redact_text(text) if text else None),
            *parts,
        ],
    )
    resolved = recorder.entity(
        local_id("plan-sha256", plan_digest),
        ("prov:Plan", "gpwf:ResolvedPlan"),
        [
            ("prov:label", f"{plan.name} (resolved)"),
            ("name", plan.name),
            ("sha256", plan_digest),
            ("overrides", redact_text(json_text(plan.overrides)) if plan.overrides else None),
            *parts,
        ],
    )
    if resolved != workflow:
        recorder.derived(resolved, workflow)
    return workflow


def condition_facts(condition: StepCondition) -> dict[str, Any]:
    """Return a condition with what decided it as plain data without secrets.

    Returns
    -------
    dict
        ``when``, the text; ``decisions``, a list of ``holds``, ``values``, ``coordinates``.
    """
    return {
        "when": redact_text(condition.text),
        "decisions": [
            {
                "holds": case.holds,
                "values": {name: _shown(name, value) for name, value in case.values.items()},
                "coordinates": dict(case.coordinates),
            }
            for case in condition.cases
        ],
    }


def _condition(condition: StepCondition | None) -> Iterator[tuple[str, Any]]:
    """Yield what is recorded of a condition with the step that it belongs to."""
    if condition is None:
        return
    facts = condition_facts(condition)
    yield "when", facts["when"]
    for item in facts["decisions"]:
        yield "decision", json_text(item)
    yield "placesLeftOut", condition.n_false


def _shown(name: str, value: Any) -> Any:
    """Return a value that decided a condition; of a list or mapping, the beginning."""
    if looks_secret(name, value if isinstance(value, str) else ""):
        return REDACTED
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return redact_text(value if isinstance(value, str) else json_text(value))[:200]


def _children(prefix: str, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the local names of what lies directly below a prefix, steps and workflows."""
    for name, local in names.items():
        if name.startswith(prefix) and "/" not in name[len(prefix) :]:
            yield local
