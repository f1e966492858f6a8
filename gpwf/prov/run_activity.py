"""The run itself as provenance: its activity, its plans, people, software and logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gpwf.core.digests import tagged_digest
from gpwf.core.plan import PlannedStep, Task
from gpwf.core.redact import redact_text
from gpwf.core.runs import RunStarted, RunState, TaskNotRun, TaskState
from gpwf.prov.context import RunContext
from gpwf.prov.entities import record_file, record_parameter
from gpwf.prov.parameters import parameters
from gpwf.prov.recorder import Recorder, Ref, json_text, parse_time
from gpwf.prov.vocabulary import RECORD_FORMAT, hashed_id, local_id

__all__ = ["RunEnd", "record_engine", "record_run", "record_step"]

_NOWHERE = "left out: its condition holds nowhere, or an axis has no values"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run stands when it is recorded.

    Parameters
    ----------
    started : RunStarted
        Its first event.
    state : RunState
        ``running`` where no last event says otherwise.
    reason, ended : str
        Of the last event, empty where there is none.
    earliest : datetime, optional
        The earliest moment that its events tell of.
    states : mapping of str to TaskState
        Of every task with an attempt or a cached result, by id.
    left : mapping of str to TaskNotRun
        What was told of the others.
    """

    started: RunStarted
    state: RunState
    reason: str
    ended: str
    earliest: datetime | None
    states: Mapping[str, TaskState]
    left: Mapping[str, TaskNotRun]

    @property
    def span(self) -> tuple[datetime | None, datetime | None, float]:
        """Start and end, and by how many seconds the clock was set back.

        A run starts its tasks, so it cannot have begun after one of them.
        """
        start, end = parse_time(self.started.time), parse_time(self.ended)
        if start is None or self.earliest is None or self.earliest >= start:
            return start, end, 0.0
        return self.earliest, end, (start - self.earliest).total_seconds()


def record_run(
    context: RunContext,
    end: RunEnd,
    plan_digest: str,
    text: str | None,
    log_digests: Mapping[str, str],
) -> None:
    """Record a run whose tasks are recorded.

    Parameters
    ----------
    context : RunContext
        The run.
    end : RunEnd
        How it stands.
    plan_digest : str
        SHA-256 of ``plan.json``.
    text : str, optional
        The workflow as given.
    log_digests : mapping of str to str
        SHA-256 of log and journal by file name.
    """
    workflow = _record_plans(context, plan_digest, text)
    start, ended, back_s = end.span
    context.recorder.activity(
        context.run,
        start,
        ended,
        ("wfprov:WorkflowRun",),
        [*_run_attributes(context, end, workflow), ("clockStep", back_s or None)],
    )
    context.recorder.associated(context.run, context.engine, workflow)
    _record_user(context, end.started)
    _record_run_usage(context, end.started, workflow, local_id("plan-sha256", plan_digest), start)
    for name, value in sorted(log_digests.items()):
        _record_log(context, end.started.run_id, name, value, ended)


def record_engine(recorder: Recorder, started: RunStarted) -> str:
    """Record the program that runs workflows; return its local name."""
    name = str(started.agent.get("engine", "gpwf"))
    version = str(started.agent.get("version", ""))
    return recorder.agent(
        local_id("agent", name, *([version] if version else [])),
        ("prov:SoftwareAgent", "wfprov:WorkflowEngine"),
        [("prov:label", f"{name} {version}".strip()), ("name", name), ("version", version)],
    )


def _record_user(context: RunContext, started: RunStarted) -> None:
    user = str(started.agent.get("user", ""))
    if not user:
        return
    host = str(started.agent.get("host", ""))
    person = context.recorder.agent(
        local_id("user", user, *([host] if host else [])),
        ("prov:Person",),
        [("prov:label", user), ("user", user), ("host", host)],
    )
    context.recorder.on_behalf(context.engine, person, context.run)


def record_step(recorder: Recorder, step: PlannedStep, task: Task | None) -> str:
    """Record a declared step, with any of its tasks, as a plan identified by what it says."""
    how = dict(task.implementation) if task is not None else {}
    version = task.version if task is not None else ""
    return recorder.entity(
        hashed_id("step", step.name, step.tag, version, step.description, how),
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
            ("module", how.get("module")),
            ("package", how.get("package")),
            ("packageVersion", how.get("version")),
            ("sourceDigest", how.get("source")),
            *((name, how.get(name)) for name in ("callable", "callableSource", "callablePackage")),
        ],
    )


def _record_plans(context: RunContext, plan_digest: str, text: str | None) -> str:
    """Record the workflow as given and the plan made from it; return the workflow."""
    plan, recorder = context.plan, context.recorder
    parts = [("wfdesc:hasSubProcess", Ref(local)) for local in context.steps.values()]
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


def _run_attributes(context: RunContext, end: RunEnd, workflow: str) -> Iterator[tuple[str, Any]]:
    started, state = end.started, end.state
    if state is RunState.RUNNING and not context.live:
        state = RunState.INTERRUPTED
    yield "prov:label", f"run of {context.plan.name}"
    yield "wfprov:describedByWorkflow", Ref(workflow)
    yield "format", RECORD_FORMAT
    yield "runId", started.run_id
    yield "name", context.plan.name
    yield "state", state
    yield "reason", redact_text(end.reason)
    yield "jobs", started.jobs
    yield "store", started.store
    yield "host", started.agent.get("host")
    yield "command", list(started.command)
    counts = Counter(end.states.values())
    counts.update(item.state for item in end.left.values())
    counts[TaskState.WAITING] += len(context.plan.tasks) - len(end.states) - len(end.left)
    if not context.live:  # as the attempts are recorded
        counts[TaskState.LOST] += counts.pop(TaskState.RUNNING, 0)
    for name, count in sorted((+counts).items()):
        yield "count", f"{name}={count}"
    yield from _not_run(context, end)


def _not_run(context: RunContext, end: RunEnd) -> Iterator[tuple[str, Any]]:
    """List the tasks without an activity: blocked, skipped, cancelled, or never come to."""
    for task in context.plan.tasks:
        if task.id in end.states:
            continue
        told = end.left.get(task.id)
        state, reason = (told.state, told.reason) if told else (TaskState.WAITING, "")
        if state is TaskState.WAITING and not reason:
            reason = "the run has not come to it" if context.live else "the run ended before"
        yield (
            "notRun",
            json_text(
                {
                    "task": task.id,
                    "step": task.step,
                    "state": state,
                    "reason": redact_text(reason),
                    "upstream": list(task.upstream),
                    **_other_names(context, task.id),
                }
            ),
        )
    for step in context.plan.steps:
        if step.n_points == 0:
            entry = {"task": step.name, "step": step.name, "state": TaskState.SKIPPED}
            yield "notRun", json_text({**entry, "reason": _NOWHERE, "upstream": []})


def _other_names(context: RunContext, task_id: str) -> dict[str, list[str]]:
    names = [alias.id for alias in context.aliases.get(task_id, ())]
    return {"otherNames": names} if names else {}


def _record_run_usage(
    context: RunContext,
    started: RunStarted,
    workflow: str,
    resolved: str,
    start: datetime | None,
) -> None:
    recorder, plan, run = context.recorder, context.plan, context.run
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
    environment = _record_environment(context, started)
    if environment is not None:
        recorder.used(run, environment, "in.environment", start)


def _record_environment(context: RunContext, started: RunStarted) -> str | None:
    if not started.environment:
        return None
    facts = dict(started.environment)
    distributions = facts.pop("distributions", None) or {}
    python = facts.get("python")
    python = python.get("version") if isinstance(python, Mapping) else python
    return context.recorder.entity(
        f"env-{tagged_digest('gpwf-environment/1', json_text(started.environment))}",
        ("gpwf:Environment",),
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


def _record_log(
    context: RunContext, run_id: str, name: str, digest: str, end: datetime | None
) -> None:
    recorder = context.recorder
    log = recorder.entity(
        hashed_id("log", run_id, name),
        ("gpwf:Log",),
        [("prov:label", name), ("name", name), ("sha256", digest)],
    )
    recorder.generated(log, context.run, f"out.{name}", end)
