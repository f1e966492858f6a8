"""The tasks of a run as provenance: attempts and cached results."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gpwf.core.plan import Task
from gpwf.core.redact import redact_text
from gpwf.core.runs import AttemptFinished, AttemptStarted, TaskCached, TaskState
from gpwf.prov.context import Made, RunContext, Shape, Span, Used
from gpwf.prov.entities import record_content
from gpwf.prov.flows import record_leftovers, record_product, use_files, use_inputs, use_settings
from gpwf.prov.included import ChildRun, coordinates_of
from gpwf.prov.recorder import Ref, parse_time
from gpwf.prov.vocabulary import local_id

__all__ = ["record_attempt", "record_cached"]


def record_attempt(
    context: RunContext,
    task: Task,
    begun: AttemptStarted,
    ended: AttemptFinished | None,
    earlier: str | None,
) -> None:
    """Record an attempt; ``earlier`` is the id of the one before it, None for the first."""
    recorder, shape = context.recorder, context.shape(task)
    start = parse_time(ended.started) if ended else None
    start = start or parse_time(begun.time)
    end = (parse_time(ended.ended) or parse_time(ended.time)) if ended else None
    back = (start - end).total_seconds() if start and end and end < start else 0.0
    if back:
        end = start  # the wall clock was set back; the attribute says by how much
    local = local_id("act", begun.attempt_id)
    is_written = (
        recorder.quick is not None
        and ended is not None
        and start is not None
        and end is not None
        and not back
        and _is_ordinary(context, task, begun, ended, earlier)
        and recorder.quick.attempt(
            local,
            task,
            begun,
            ended,
            (start, end),
            shape.attempt,
            (context.run, context.engine, shape.plans),
        )
    )
    if not is_written:
        _record_activity(context, task, shape, begun, ended, earlier, (local, start, end, back))
    span = Span(activity=local, start=start, end=end)
    use_settings(context, task, shape, span, with_origin=True)
    use_inputs(context, task, span, begun.inputs)
    use_files(context, shape, span)
    for port, product in (ended.products if ended else {}).items():
        made = record_product(context, task, span, begun.attempt_id, port, product)
        if ended and ended.state is TaskState.OK:
            context.keep(task, port, made)
        else:  # what a failed attempt left behind is no result
            recorder.invalidated(made.entity, local, end)
    if ended and ended.failure is not None:
        record_leftovers(recorder, span, begun.attempt_id, ended.failure.left)


def _is_ordinary(
    context: RunContext,
    task: Task,
    begun: AttemptStarted,
    ended: AttemptFinished,
    earlier: str | None,
) -> bool:
    """Return True for the first attempt at a task with one name that went well."""
    return (
        ended.state is TaskState.OK
        and begun.attempt == 1
        and earlier is None
        and ended.failure is None
        and not ended.retry
        and context.children is None
        and task.id not in context.aliases
    )


def _record_activity(
    context: RunContext,
    task: Task,
    shape: Shape,
    begun: AttemptStarted,
    ended: AttemptFinished | None,
    earlier: str | None,
    moment: tuple[str, datetime | None, datetime | None, float],
) -> None:
    """Record the activity of an attempt, who started it and who was responsible for it."""
    recorder, (local, start, end, back) = context.recorder, moment
    runs = context.child_runs(task)
    for run in runs:
        run.note(start, end)
    recorder.activity(
        local,
        start,
        end,
        ("wfprov:ProcessRun",),
        [
            ("prov:label", f"{task.id}, attempt {begun.attempt}"),
            *_own_attributes(context, task),
            *_part_of(context, runs),
            ("attempt", begun.attempt),
            ("state", _state_of(context, ended).value),
            ("retryOf", Ref(local_id("act", earlier)) if earlier else None),
            ("taskKey", begun.key),
            ("worker", begun.worker),
            ("clockStep", back or None),
            *_end_attributes(ended),
        ],
        shape.attempt,
    )
    recorder.started(local, _starter(context, task, runs), start)
    for plan in shape.plans:
        recorder.associated(local, context.engine, plan)


def _state_of(context: RunContext, ended: AttemptFinished | None) -> TaskState:
    if ended is not None:
        return ended.state
    return TaskState.RUNNING if context.live else TaskState.LOST


def _part_of(context: RunContext, runs: tuple[ChildRun, ...]) -> list[tuple[str, Ref]]:
    """Return the runs that a task is part of where an included workflow is among them."""
    if not runs:
        return []
    locals_ = [context.run, *(run.local for run in runs)]
    return [("wfprov:wasPartOfWorkflowRun", Ref(local)) for local in locals_]


def _starter(context: RunContext, task: Task, runs: tuple[ChildRun, ...]) -> str:
    """Return the run that starts a task: the innermost one around it."""
    inside = context.children is not None and context.children.around(task.step)
    return runs[0].local if inside else context.run


def _own_attributes(context: RunContext, task: Task) -> list[tuple[str, Any]]:
    """Return what a task does not share with the others of its step."""
    return [
        ("task", task.id),
        ("seed", task.settings.get("seed")),
        ("stream", _words(task.stream)),
        *coordinates_of(task.coordinates),
        *[("otherName", alias.id) for alias in context.aliases.get(task.id, ())],
    ]


def _words(stream: tuple[int, ...]) -> str:
    """Return the words of a random stream as a JSON list, nothing where there are none."""
    return f"[{','.join(map(str, stream))}]" if stream else ""


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


def _record_original(context: RunContext, task: Task, shape: Shape, event: TaskCached) -> None:
    """Record the attempt of an earlier run that made a cached result, with its own times.

    Of its settings only what the task key holds is known to be the same: paths may have been
    other ones, and so may the origins. The inputs are known by content.
    """
    recorder = context.recorder
    local = local_id("act", event.made_by_attempt)
    if recorder.has(local):  # this run made it, or one result serves two identical tasks
        return
    start, end = parse_time(event.made_started), parse_time(event.made_ended)
    run = local_id("run", event.made_by_run)
    if run != context.run and not recorder.has(run):
        recorder.activity(
            run,
            None,
            None,
            ("wfprov:WorkflowRun",),
            [("prov:label", f"earlier run {event.made_by_run[:8]}"), ("runId", event.made_by_run)],
        )
    quick = recorder.quick
    if (
        quick is None
        or start is None
        or end is None
        or not quick.original(local, task, event, (start, end), shape.original, run)
    ):
        recorder.activity(
            local,
            start,
            end,
            ("wfprov:ProcessRun",),
            [
                ("prov:label", f"{task.id}, made by an earlier run"),
                ("wfprov:wasPartOfWorkflowRun", Ref(run)),
                ("seed", task.settings.get("seed")),
                ("stream", _words(task.stream)),
                ("taskKey", event.key),
            ],
            shape.original,
        )
        recorder.started(local, run, start)
    span = Span(activity=local, start=start, end=end)
    use_settings(context, task, shape, span, with_origin=False)
    use_inputs(context, task, span, event.inputs)
    for item in task.files:
        identity = context.plan.identities.get(item.digest)
        content = record_content(recorder, item.digest, item.size, identity)
        usage = recorder.used(local, content, f"in.{item.setting}", start)
        span.used.append(Used(content, usage))
    for port, product in event.products.items():
        record_product(context, task, span, event.made_by_attempt, port, product)


def _record_hit(
    context: RunContext,
    task: Task,
    shape: Shape,
    event: TaskCached,
    about: tuple[str, datetime | None, float],
) -> None:
    """Record the activity that took a cached result, who started it, who was responsible for it."""
    recorder, (local, moment, ahead) = context.recorder, about
    runs = context.child_runs(task)
    for run in runs:
        run.note(moment, moment)
    recorder.activity(
        local,
        moment,
        moment,
        ("wfprov:ProcessRun", "gpwf:CacheHit"),
        [
            ("prov:label", f"{task.id}, cached"),
            *_own_attributes(context, task),
            *_part_of(context, runs),
            ("taskKey", event.key),
            ("clockStep", ahead if ahead > 0.0 else None),
        ],
        shape.cached,
    )
    recorder.started(local, _starter(context, task, runs), moment)
    for plan in shape.plans:
        recorder.associated(local, context.engine, plan)


def record_cached(context: RunContext, task: Task, event: TaskCached, *, by_this_run: bool) -> None:
    """Record that this run took a result instead of running the task, and who made the result.

    ``by_this_run`` says that this run made it and has yet to tell of its end.
    """
    recorder, shape = context.recorder, context.shape(task)
    if not by_this_run:
        _record_original(context, task, shape, event)
    local = local_id("act", event.attempt_id)
    moment, made_at = parse_time(event.time), parse_time(event.made_ended)
    ahead = (made_at - moment).total_seconds() if made_at and moment else 0.0
    if ahead > 0.0:
        moment = made_at  # the clock of who made it goes ahead of ours
    if (
        recorder.quick is None
        or moment is None
        or ahead > 0.0
        or context.children is not None
        or task.id in context.aliases
        or not recorder.quick.cached(
            local, task, event, moment, shape.cached, (context.run, context.engine, shape.plans)
        )
    ):
        _record_hit(context, task, shape, event, (local, moment, ahead))
    recorder.informed(local, local_id("act", event.made_by_attempt))
    span = Span(activity=local, start=moment, end=moment)
    use_settings(context, task, shape, span, with_origin=True)
    use_files(context, shape, span)
    for port, product in event.products.items():
        entity = local_id("product", event.made_by_attempt, port)
        recorder.used(local, entity, f"cached.{port}", moment)
        context.keep(task, port, Made(entity, product.digest, made_at))
