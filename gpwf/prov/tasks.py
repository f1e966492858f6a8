"""The tasks of a run as provenance: attempts and cached results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpwf.core.plan import Task
from gpwf.core.redact import redact_text
from gpwf.core.runs import AttemptFinished, TaskCached, TaskState
from gpwf.core.view import AttemptView, TaskView
from gpwf.prov.entities import record_content
from gpwf.prov.flows import (
    Made,
    RunContext,
    Span,
    Used,
    record_product,
    use_files,
    use_inputs,
    use_settings,
)
from gpwf.prov.recorder import json_text, parse_time
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = ["record_tasks"]


def record_tasks(context: RunContext) -> None:
    """Record every task, upstream first: the order of the plan."""
    own = {
        attempt.started_event.attempt_id
        for view in context.view.tasks.values()
        for attempt in view.attempts
    }
    for view in context.view.tasks.values():
        for number, attempt in enumerate(view.attempts):
            earlier = view.attempts[number - 1] if number else None
            _record_attempt(context, view.task, attempt, earlier)
        if view.cached_event is not None:
            if view.cached_event.made_by_attempt not in own:
                _record_original(context, view.task, view.cached_event)
            _record_cached(context, view, view.cached_event)


# ---- attempts -------------------------------------------------------------------------------


def _record_attempt(
    context: RunContext, task: Task, attempt: AttemptView, earlier: AttemptView | None
) -> None:
    recorder, begun, ended = context.recorder, attempt.started_event, attempt.finished_event
    start = parse_time(ended.started) if ended else None
    start = start or parse_time(begun.time)
    end = (parse_time(ended.ended) or parse_time(ended.time)) if ended else None
    back = (start - end).total_seconds() if start and end and end < start else 0.0
    if back:
        end = start  # the wall clock was set back; the attribute says by how much
    local = local_id("act", begun.attempt_id)
    retry_of = local_id("act", earlier.started_event.attempt_id) if earlier else None
    recorder.activity(
        local,
        start,
        end,
        ["wfprov:ProcessRun"],
        [
            ("prov:label", f"{task.id}, attempt {begun.attempt}"),
            *_task_attributes(context, task),
            ("attempt", begun.attempt),
            ("state", _state_of(context, ended)),
            ("retryOf", recorder.ref(retry_of) if retry_of else None),
            ("taskKey", begun.key),
            ("worker", begun.worker),
            ("clockStep", back or None),
            *_end_attributes(ended),
        ],
    )
    recorder.started(local, context.run, start)
    for step in context.steps_of(task):
        recorder.associated(local, context.engine, context.steps[step])
    span = Span(activity=local, start=start, end=end)
    use_settings(context, task, span, with_origin=True)
    use_inputs(context, task, span, begun.inputs)
    use_files(context, task, span)
    for port, product in (ended.products if ended else {}).items():
        made = record_product(context, task, span, begun.attempt_id, port, product)
        if ended and ended.state is TaskState.OK:
            context.made[task.id, port] = made
        else:  # what a failed attempt left behind is no result
            recorder.invalidated(made.entity, local, end)


def _state_of(context: RunContext, ended: AttemptFinished | None) -> TaskState:
    if ended is not None:
        return ended.state
    return TaskState.RUNNING if context.live else TaskState.LOST


def _task_attributes(context: RunContext, task: Task) -> Iterator[tuple[str, Any]]:
    yield "wfprov:wasPartOfWorkflowRun", context.recorder.ref(context.run)
    for step in context.steps_of(task):
        yield "wfprov:describedByProcess", context.recorder.ref(context.steps[step])
    yield "task", task.id
    yield "step", task.step
    yield from _type_attributes(task)
    yield "place", task.place
    for axis, value in task.coordinates.items():
        yield "coordinate", f"{axis}={value if isinstance(value, str) else json_text(value)}"
    for alias in context.aliases.get(task.id, ()):
        yield "otherName", alias.id


def _type_attributes(task: Task) -> Iterator[tuple[str, Any]]:
    """Yield what the task key holds of the code, so that it also holds of a cached result."""
    yield "tag", task.tag
    yield "version", task.version
    for name, version in sorted(task.packages.items()):
        yield "software", f"{name}=={version}"
    yield "stream", list(task.stream)


def _end_attributes(ended: AttemptFinished | None) -> Iterator[tuple[str, Any]]:
    if ended is None:
        yield "reason", "the journal has no end for this attempt"
        return
    resources, failure = ended.resources, ended.failure
    yield "willRetry", ended.retry or None
    yield "wallTime_s", resources.wall_s
    yield "cpuTime_s", resources.cpu_s or None  # unknown where the worker was killed
    yield "peakMemory_B", resources.peak_rss_bytes or None
    yield "host", resources.host
    yield "pid", resources.pid or None
    if failure is not None:
        yield "errorKind", failure.kind
        yield "errorMessage", redact_text(failure.message)
        yield "errorHint", redact_text(failure.hint or "")
        yield "exitCode", failure.exit_code
        yield "signal", failure.signal


# ---- cached results -------------------------------------------------------------------------


def _record_original(context: RunContext, task: Task, event: TaskCached) -> None:
    """Record the attempt of an earlier run that made a cached result, with its own times.

    Of its settings only what the task key holds is known to be the same: paths may have been
    other ones, and so may the origins. The inputs are known by content.
    """
    recorder = context.recorder
    local = local_id("act", event.made_by_attempt)
    if recorder.has(local):  # one result serves two identical tasks
        return
    start, end = parse_time(event.made_started), parse_time(event.made_ended)
    run = local_id("run", event.made_by_run)
    recorder.activity(
        run,
        None,
        None,
        ["wfprov:WorkflowRun"],
        [("prov:label", f"earlier run {event.made_by_run[:8]}"), ("runId", event.made_by_run)],
    )
    recorder.activity(
        local,
        start,
        end,
        ["wfprov:ProcessRun"],
        [
            ("prov:label", f"{task.id}, made by an earlier run"),
            ("wfprov:wasPartOfWorkflowRun", recorder.ref(run)),
            *_type_attributes(task),
            ("state", TaskState.OK),
            ("taskKey", event.key),
        ],
    )
    recorder.started(local, run, start)
    span = Span(activity=local, start=start, end=end)
    use_settings(context, task, span, with_origin=False)
    use_inputs(context, task, span, event.inputs)
    for item in task.files:
        content = record_content(recorder, item.digest, item.size)
        usage = recorder.used(local, content, f"in.{item.setting}", start)
        span.used.append(Used(entity=content, usage=usage))
    for port, product in event.products.items():
        record_product(context, task, span, event.made_by_attempt, port, product)


def _record_cached(context: RunContext, view: TaskView, event: TaskCached) -> None:
    """Record that this run took a result instead of running the task."""
    recorder, task = context.recorder, view.task
    local = local_id("act", event.attempt_id)
    moment, made_at = parse_time(event.time), parse_time(event.made_ended)
    ahead = (made_at - moment).total_seconds() if made_at and moment else 0.0
    if ahead > 0.0:
        moment = made_at  # the clock of who made it goes ahead of ours
    recorder.activity(
        local,
        moment,
        moment,
        ["wfprov:ProcessRun", "gpwf:CacheHit"],
        [
            ("prov:label", f"{task.id}, cached"),
            *_task_attributes(context, task),
            ("state", TaskState.CACHED),
            ("taskKey", event.key),
            ("clockStep", ahead if ahead > 0.0 else None),
        ],
    )
    original = local_id("act", event.made_by_attempt)
    recorder.started(local, context.run, moment)
    for step in context.steps_of(task):
        recorder.associated(local, context.engine, context.steps[step])
    recorder.informed(local, original)
    span = Span(activity=local, start=moment, end=moment)
    use_settings(context, task, span, with_origin=True)
    use_files(context, task, span)
    for port, product in event.products.items():
        entity = local_id("product", event.made_by_attempt, port)
        recorder.used(local, entity, f"cached.{port}", moment)
        context.made[task.id, port] = Made(
            entity=entity,
            generation=hashed_id("gen", entity, original),
            digest=product.digest,
            time=made_at,
        )
