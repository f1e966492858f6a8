"""(Plan, journal) → W3C PROV document.

A pure fold: the same plan and the same events give the same document, after a crash as well as
after a regular end. The run itself is recorded here, its tasks in `gpwf.prov.tasks`. The mapping
is explained in ``docs/reference/provenance.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gpwf.core.digests import tagged_digest
from gpwf.core.plan import Plan, PlannedStep, Task, TaskAlias
from gpwf.core.redact import redact_text
from gpwf.core.runs import RunEvent, RunStarted, RunState, TaskState
from gpwf.core.view import RunView, fold
from gpwf.errors import ProvenanceError
from gpwf.prov.entities import record_file, record_parameter
from gpwf.prov.flows import RunContext
from gpwf.prov.parameters import parameters
from gpwf.prov.recorder import Attributes, Recorder, json_text, parse_time
from gpwf.prov.tasks import record_tasks
from gpwf.prov.vocabulary import hashed_id, local_id

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = ["build_document"]

_NOWHERE = "left out: its condition holds nowhere, or an axis has no values"


def build_document(
    plan: Plan,
    events: Sequence[RunEvent],
    *,
    workflow_text: str | None = None,
    plan_digest: str | None = None,
    log_digests: Mapping[str, str] | None = None,
    live: bool = False,
) -> ProvDocument:
    """Return the provenance record of a run.

    Parameters
    ----------
    plan : Plan
        The frozen plan of the run.
    events : sequence of RunEvent
        The journal, in its order; it may stop anywhere.
    workflow_text : str, optional
        The document as given; kept in the record without what looks like a secret.
    plan_digest : str, optional
        SHA-256 of ``plan.json``; the one in the journal by default.
    log_digests : mapping of str to str, optional
        SHA-256 of the log and of the journal, by file name.
    live : bool
        True where a driver still works on the run. Otherwise a journal without an end says that
        the run was interrupted.

    Returns
    -------
    prov.model.ProvDocument
        Valid under PROV-CONSTRAINTS also for a run that failed or was killed.

    Raises
    ------
    ProvenanceError
        Where the journal does not say that the run started, or belongs to another plan.
    """
    try:
        view = fold(plan, events)
    except KeyError as error:
        raise ProvenanceError(
            f"the journal tells of task {error}, which is not in the plan",
            hint="plan and journal must come from the same run directory",
        ) from None
    if view.started_event is None:
        raise ProvenanceError(
            "the journal does not say that the run started, so there is nothing to record",
            hint="look into journal.jsonl of the run directory; run the workflow again",
        )
    recorder = Recorder()
    examples = {task.step: task for task in reversed(plan.tasks)}
    for alias in plan.aliases:
        examples.setdefault(alias.step, plan.task(alias.task))
    context = RunContext(
        recorder=recorder,
        view=view,
        run=local_id("run", view.run_id),
        engine=_record_engine(recorder, view.started_event),
        steps={
            step.name: _record_step(recorder, step, examples.get(step.name)) for step in plan.steps
        },
        live=live,
        outputs=_results(plan),
        aliases=_aliases(plan),
    )
    digest = plan_digest or view.started_event.plan_digest
    workflow = _record_plans(context, digest, workflow_text)
    start, end, back_s = _span_of_run(view)
    recorder.activity(
        context.run,
        start,
        end,
        ["wfprov:WorkflowRun"],
        [*_run_attributes(context, workflow), ("clockStep", back_s or None)],
    )
    recorder.associated(context.run, context.engine, workflow)
    _record_user(context, view.started_event)
    _record_run_usage(context, workflow, local_id("plan-sha256", digest), start)
    for name, value in sorted((log_digests or {}).items()):
        _record_log(context, name, value, end)
    record_tasks(context)
    return recorder.document


def _results(plan: Plan) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the names of results that every product is."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, refs in plan.outputs.items():
        for at in dict.fromkeys((ref.task, ref.product) for ref in refs):
            found[at] = (*found.get(at, ()), name)
    return found


def _aliases(plan: Plan) -> dict[str, tuple[TaskAlias, ...]]:
    """Return the further names of every task that has some."""
    found: dict[str, list[TaskAlias]] = {}
    for alias in plan.aliases:
        found.setdefault(alias.task, []).append(alias)
    return {task: tuple(aliases) for task, aliases in found.items()}


def _record_engine(recorder: Recorder, started: RunStarted) -> str:
    name = str(started.agent.get("engine", "gpwf"))
    version = str(started.agent.get("version", ""))
    return recorder.agent(
        local_id("agent", name, *([version] if version else [])),
        ["prov:SoftwareAgent", "wfprov:WorkflowEngine"],
        [("prov:label", f"{name} {version}".strip()), ("name", name), ("version", version)],
    )


def _record_user(context: RunContext, started: RunStarted) -> None:
    user = str(started.agent.get("user", ""))
    if not user:
        return
    host = str(started.agent.get("host", ""))
    person = context.recorder.agent(
        local_id("user", user, *([host] if host else [])),
        ["prov:Person"],
        [("prov:label", user), ("user", user), ("host", host)],
    )
    context.recorder.on_behalf(context.engine, person, context.run)


def _record_step(recorder: Recorder, step: PlannedStep, task: Task | None) -> str:
    """Record a declared step, with any of its tasks, as a plan identified by what it says."""
    how = dict(task.implementation) if task is not None else {}
    version = task.version if task is not None else ""
    return recorder.entity(
        hashed_id("step", step.name, step.tag, version, step.description, how),
        ["prov:Plan", "wfdesc:Process"],
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
            ("module", how.get("module")),
            ("package", how.get("package")),
            ("packageVersion", how.get("version")),
            ("sourceDigest", how.get("source")),
            *((name, how.get(name)) for name in ("callable", "callableSource", "callablePackage")),
        ],
    )


def _record_plans(context: RunContext, plan_digest: str, text: str | None) -> str:
    """Record the workflow as given and the plan made from it; return the workflow."""
    plan, recorder = context.view.plan, context.recorder
    parts: Attributes = [
        ("wfdesc:hasSubProcess", recorder.ref(local)) for local in context.steps.values()
    ]
    workflow = recorder.entity(
        local_id("plan-sha256", plan.workflow_digest),
        ["prov:Plan", "wfdesc:Workflow"],
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
        ["prov:Plan", "gpwf:ResolvedPlan"],
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


def _span_of_run(view: RunView) -> tuple[datetime | None, datetime | None, float]:
    """Return start and end of a run, and by how many seconds its clock was set back.

    A run starts its tasks, so it cannot have begun after one of them.
    """
    start, end = parse_time(view.started), parse_time(view.ended)
    moments = [end]
    for task in view.tasks.values():
        moments += [parse_time(item.started_event.time) for item in task.attempts]
        ends = [item.finished_event for item in task.attempts if item.finished_event]
        moments += [parse_time(item.started) for item in ends]
        if task.cached_event is not None:
            moments.append(parse_time(task.cached_event.time))
    earliest = min((item for item in moments if item is not None), default=None)
    if start is None or earliest is None or earliest >= start:
        return start, end, 0.0
    return earliest, end, (start - earliest).total_seconds()


def _run_attributes(context: RunContext, workflow: str) -> Iterator[tuple[str, Any]]:
    view, started = context.view, context.view.started_event
    assert started is not None  # build_document has checked
    state = view.state
    if state is RunState.RUNNING and not context.live:
        state = RunState.INTERRUPTED
    yield "prov:label", f"run of {view.plan.name}"
    yield "wfprov:describedByWorkflow", context.recorder.ref(workflow)
    yield "runId", view.run_id
    yield "name", view.plan.name
    yield "state", state
    yield "reason", redact_text(view.reason)
    yield "jobs", started.jobs
    yield "store", started.store
    yield "host", started.agent.get("host")
    yield "command", list(started.command)
    counts = Counter(view.counts())
    if not context.live:  # as the attempts are recorded
        counts[TaskState.LOST] += counts.pop(TaskState.RUNNING, 0)
    for name, count in sorted((+counts).items()):
        yield "count", f"{name}={count}"
    yield from _not_run(context)


def _not_run(context: RunContext) -> Iterator[tuple[str, Any]]:
    """List the tasks without an activity: blocked, skipped, cancelled, or never come to."""
    for task_id, task in context.view.tasks.items():
        if task.attempts or task.cached_event is not None:
            continue
        reason = task.reason
        if task.state is TaskState.WAITING and not reason:
            reason = "the run has not come to it" if context.live else "the run ended before"
        yield (
            "notRun",
            json_text(
                {
                    "task": task_id,
                    "step": task.task.step,
                    "state": task.state,
                    "reason": redact_text(reason),
                    "upstream": list(task.task.upstream),
                    **_other_names(context, task_id),
                }
            ),
        )
    for step in context.view.plan.steps:
        if step.n_points == 0:
            entry = {"task": step.name, "step": step.name, "state": TaskState.SKIPPED}
            yield "notRun", json_text({**entry, "reason": _NOWHERE, "upstream": []})


def _other_names(context: RunContext, task_id: str) -> dict[str, list[str]]:
    names = [alias.id for alias in context.aliases.get(task_id, ())]
    return {"otherNames": names} if names else {}


def _record_run_usage(
    context: RunContext, workflow: str, resolved: str, start: datetime | None
) -> None:
    recorder, plan, run = context.recorder, context.view.plan, context.run
    recorder.used(run, workflow, "in.workflow", start)
    recorder.used(run, resolved, "in.plan", start)
    # the workflow, those that it includes, tables and files of parameters
    for path, digest in sorted(plan.sources.items()):
        document = record_file(recorder, path, path.rpartition("/")[2], digest, None)
        recorder.used(run, document, "in.document", start)
        recorder.derived(resolved, document)
    for item in parameters(plan.params, {}):
        entity = record_parameter(recorder, item)
        recorder.used(run, entity, f"in.params.{item.name}", start)
    environment = _record_environment(context)
    if environment is not None:
        recorder.used(run, environment, "in.environment", start)


def _record_environment(context: RunContext) -> str | None:
    started = context.view.started_event
    if started is None or not started.environment:
        return None
    facts = dict(started.environment)
    distributions = facts.pop("distributions", None) or {}
    python = facts.get("python")
    python = python.get("version") if isinstance(python, Mapping) else python
    return context.recorder.entity(
        f"env-{tagged_digest('gpwf-environment/1', json_text(started.environment))}",
        ["gpwf:Environment"],
        [
            ("prov:label", f"environment, Python {python}" if python else "environment"),
            *(("environment", fact) for fact in _facts(facts, "")),
            *(("distribution", f"{name}=={distributions[name]}") for name in sorted(distributions)),
        ],
    )


def _facts(value: Any, at: str) -> Iterator[str]:
    """Yield ``name=value`` for every leaf of nested plain data."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _facts(value[key], f"{at}.{key}" if at else str(key))
    else:
        yield f"{at}={value if isinstance(value, str) else json_text(value)}"


def _record_log(context: RunContext, name: str, digest: str, end: datetime | None) -> None:
    recorder = context.recorder
    log = recorder.entity(
        hashed_id("log", context.view.run_id, name),
        ["gpwf:Log"],
        [("prov:label", name), ("name", name), ("sha256", digest)],
    )
    recorder.generated(log, context.run, f"out.{name}", end)
