"""The run itself as provenance: its activity, its plans, people, software and logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gpwf.core.digests import tagged_digest
from gpwf.core.plan import Plan, PlannedStep
from gpwf.core.redact import redact_text
from gpwf.core.runs import RunStarted, RunState, TaskNotRun, TaskState
from gpwf.prov.context import RunContext
from gpwf.prov.entities import record_parameter
from gpwf.prov.included import record_child_runs
from gpwf.prov.parameters import parameters
from gpwf.prov.plans import condition_facts, record_plans
from gpwf.prov.recorder import Recorder, Ref, json_text, parse_time
from gpwf.prov.vocabulary import RECORD_FORMAT, hashed_id, local_id

__all__ = ["RunEnd", "record_engine", "record_run"]

_NOWHERE = "left out: its condition holds nowhere, or an axis or what it needs has no values"


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

    def all_states(self, plan: Plan) -> dict[str, TaskState]:
        """Return the state of every task of the plan."""
        found = dict.fromkeys((task.id for task in plan.tasks), TaskState.WAITING)
        found.update((task, item.state) for task, item in self.left.items())
        found.update(self.states)
        return found

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
    journal_sum: str = "",
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
    journal_sum : str
        Last sum of the chain of the journal.
    """
    workflow = record_plans(context, plan_digest, text)
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
        chain = journal_sum if name == "journal.jsonl" else ""
        _record_log(context, end.started.run_id, name, value, chain, ended)
    record_child_runs(context, end.all_states(context.plan), is_finished=bool(end.ended))


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
            yield "notRun", json_text({**entry, "upstream": [], **_why_nowhere(context.plan, step)})


def _why_nowhere(plan: Plan, step: PlannedStep) -> dict[str, Any]:
    """Return why a step runs nowhere, with the condition that says so, where it is one."""
    conditions = [(step.name, step.condition)]
    for item in plan.workflows:
        if step.name.startswith(f"{item.name}/"):
            conditions.append((item.name, item.condition))
    for name, condition in conditions:
        if condition is not None and condition.n_true == 0 < condition.n_false:
            facts = condition_facts(condition)
            whose = "its condition" if name == step.name else f"the condition of {name}"
            return {"reason": f"{whose} holds nowhere: {facts['when']}", **facts}
    return {"reason": _NOWHERE}


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
    # the workflow, those that it includes, tables, files of parameters
    for document in context.documents.values():
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
    context: RunContext, run_id: str, name: str, digest: str, chain: str, end: datetime | None
) -> None:
    recorder = context.recorder
    log = recorder.entity(
        hashed_id("log", run_id, name),
        ("gpwf:Log",),
        [("prov:label", name), ("name", name), ("sha256", digest), ("journalSum", chain)],
    )
    recorder.generated(log, context.run, f"out.{name}", end)
