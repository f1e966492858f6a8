"""The tasks of a run as provenance: attempts, cached results, settings, files, products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.plan import Task
from gpwf.core.redact import redact_text
from gpwf.core.runs import AttemptFinished, Product, TaskCached, TaskState
from gpwf.core.view import AttemptView, RunView, TaskView
from gpwf.prov.entities import record_content, record_file, record_parameter, record_value
from gpwf.prov.parameters import parameters
from gpwf.prov.recorder import Recorder, json_text, parse_time
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = ["RunContext", "record_tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A product with its maker, for those who use it."""

    entity: str
    generation: str
    digest: Digest
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Used:
    """An entity that an activity used as data, with the name of the usage."""

    entity: str
    usage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """An activity with its times and what it used as data."""

    activity: str
    start: datetime | None
    end: datetime | None
    used: list[_Used] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What the records of a task need to know of their run.

    Parameters
    ----------
    recorder : Recorder
        Takes the records.
    view : RunView
        The run.
    run, engine : str
        Local names of the run's activity and of the engine.
    steps : mapping of str to str
        Local name of the plan of every declared step.
    live : bool
        True where a driver still works on the run.
    made : dict
        Products by (task, port), filled as the tasks are recorded.
    """

    recorder: Recorder
    view: RunView
    run: str
    engine: str
    steps: Mapping[str, str]
    live: bool
    made: dict[tuple[str, str], _Made] = field(default_factory=dict)


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
    recorder.associated(local, context.engine, context.steps[task.step])
    span = _Span(activity=local, start=start, end=end)
    _use_settings(context, task, span, with_origin=True)
    _use_inputs(context, task, span, begun.inputs)
    _use_files(context, task, span)
    for port, product in (ended.products if ended else {}).items():
        made = _record_product(context, task, span, begun.attempt_id, port, product)
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
    yield "wfprov:describedByProcess", context.recorder.ref(context.steps[task.step])
    yield "task", task.id
    yield "step", task.step
    yield from _type_attributes(task)
    yield "place", task.place
    for axis, value in task.coordinates.items():
        yield "coordinate", f"{axis}={value if isinstance(value, str) else json_text(value)}"


def _type_attributes(task: Task) -> Iterator[tuple[str, Any]]:
    """Yield what the task key holds of the code, so that it also holds of a cached result."""
    yield "tag", task.tag
    yield "version", task.version
    for name, version in sorted(task.packages.items()):
        yield "software", f"{name}=={version}"


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
    span = _Span(activity=local, start=start, end=end)
    _use_settings(context, task, span, with_origin=False)
    _use_inputs(context, task, span, event.inputs)
    for item in task.files:
        content = record_content(recorder, item.digest, item.size)
        usage = recorder.used(local, content, f"in.{item.setting}", start)
        span.used.append(_Used(entity=content, usage=usage))
    for port, product in event.products.items():
        _record_product(context, task, span, event.made_by_attempt, port, product)


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
    recorder.associated(local, context.engine, context.steps[task.step])
    recorder.informed(local, original)
    span = _Span(activity=local, start=moment, end=moment)
    _use_settings(context, task, span, with_origin=True)
    _use_files(context, task, span)
    for port, product in event.products.items():
        entity = local_id("product", event.made_by_attempt, port)
        recorder.used(local, entity, f"cached.{port}", moment)
        context.made[task.id, port] = _Made(
            entity=entity,
            generation=hashed_id("gen", entity, original),
            digest=product.digest,
            time=made_at,
        )


# ---- what a task uses and makes -------------------------------------------------------------


def _use_settings(context: RunContext, task: Task, span: _Span, *, with_origin: bool) -> None:
    recorder = context.recorder
    for item in parameters(task.settings, task.types):
        if not with_origin and item.type == "path":
            continue
        source, place = task.origins.get(item.name, ("", "")) if with_origin else ("", "")
        recorder.used(
            span.activity,
            record_parameter(recorder, item),
            f"in.{item.name}",
            span.start,
            [("origin", source), ("originPlace", place)],
        )


def _use_inputs(
    context: RunContext, task: Task, span: _Span, digests: Mapping[str, tuple[Digest, ...]]
) -> None:
    """Record the products that came in, each through the entity that was there at the time."""
    recorder = context.recorder
    kinds = {port.name: port.kind for port in task.input_ports}
    for port, refs in task.inputs.items():
        known = digests.get(port, ())
        if known and len(known) < len(refs):  # gathered without those that were not made
            refs = tuple(ref for ref in refs if (ref.task, ref.product) in context.made)
        entities: list[str] = []
        for position, ref in enumerate(refs):
            made = context.made.get((ref.task, ref.product))
            if position < len(known):
                digest = known[position]
            elif made is not None:
                digest = made.digest
            else:
                continue  # nothing came in: the attempt never got that far
            if made is None or made.digest != digest or _is_after(made.time, span.start):
                # Made again since, to the same bytes: the value is all that is known.
                entity = record_value(recorder, digest, kinds.get(port, ref.product))
            else:
                entity = made.entity
            where = [("position", position)] if len(refs) > 1 else []
            usage = recorder.used(span.activity, entity, f"in.{port}", span.start, where)
            span.used.append(_Used(entity=entity, usage=usage))
            entities.append(entity)
        if len(entities) > 1:
            _use_collection(recorder, span, port, entities)


def _use_collection(recorder: Recorder, span: _Span, port: str, entities: list[str]) -> None:
    collection = recorder.entity(
        hashed_id("collection", entities),
        ["prov:Collection"],
        [
            ("prov:label", f"{len(entities)} inputs of {port}"),
            ("order", [f"gpwf:{entity}" for entity in entities]),
        ],
    )
    for entity in entities:
        recorder.member(collection, entity)
    recorder.used(span.activity, collection, f"in.{port}", span.start)


def _use_files(context: RunContext, task: Task, span: _Span) -> None:
    recorder = context.recorder
    for item in task.files:
        local = record_file(recorder, item.path, item.name, item.digest, item.size)
        usage = recorder.used(span.activity, local, f"in.{item.setting}", span.start)
        span.used.append(_Used(entity=local, usage=usage))


def _record_product(
    context: RunContext, task: Task, span: _Span, attempt_id: str, port: str, product: Product
) -> _Made:
    recorder = context.recorder
    names = [
        name
        for name, refs in context.view.plan.outputs.items()
        if any(ref.task == task.id and ref.product == port for ref in refs)
    ]
    local = recorder.entity(
        local_id("product", attempt_id, port),
        ["gpwf:Product", "wfprov:Artifact", "prov:Collection"],
        [
            ("prov:label", f"{task.id}.{port}"),
            ("port", port),
            ("kind", product.kind),
            ("digest", product.digest),
            ("size_B", product.size),
            ("summary", product.summary),
            *(("output", name) for name in names),
        ],
    )
    recorder.specialises(local, record_value(recorder, product.digest, product.kind))
    generation = recorder.generated(local, span.activity, f"out.{port}", span.end)
    for used in span.used:
        recorder.derived(local, used.entity, span.activity, generation, used.usage)
    for item in product.files:
        file = recorder.entity(
            hashed_id("file", attempt_id, port, item.name),
            ["gpwf:File", "wfprov:Artifact"],
            [
                ("prov:label", item.name),
                ("name", item.name),
                ("sha256", item.digest),
                ("dataDigest", item.data_digest),
                ("size_B", item.size),
            ],
        )
        recorder.specialises(file, record_content(recorder, item.digest, item.size))
        recorder.generated(file, span.activity, f"out.{port}", span.end)
        recorder.member(local, file)
    return _Made(entity=local, generation=generation, digest=product.digest, time=span.end)


def _is_after(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first > second
