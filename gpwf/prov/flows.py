"""What a task uses and makes, as provenance: settings, inputs, files, products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.plan import Task, TaskAlias
from gpwf.core.runs import Product
from gpwf.core.view import RunView
from gpwf.prov.entities import record_content, record_file, record_parameter, record_value
from gpwf.prov.parameters import parameters
from gpwf.prov.recorder import Recorder
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = [
    "Made",
    "RunContext",
    "Span",
    "Used",
    "record_product",
    "use_files",
    "use_inputs",
    "use_settings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A product with its maker, for those who use it."""

    entity: str
    generation: str
    digest: Digest
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """An entity that an activity used as data, with the name of the usage."""

    entity: str
    usage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An activity with its times and what it used as data."""

    activity: str
    start: datetime | None
    end: datetime | None
    used: list[Used] = field(default_factory=list)


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
    outputs : mapping of (str, str) to tuple of str
        Names of the workflow's results that a product is, by (task, port).
    aliases : mapping of str to tuple of TaskAlias
        Further names of a task, by its id.
    made : dict
        Products by (task, port), filled as the tasks are recorded.
    """

    recorder: Recorder
    view: RunView
    run: str
    engine: str
    steps: Mapping[str, str]
    live: bool
    outputs: Mapping[tuple[str, str], tuple[str, ...]]
    aliases: Mapping[str, tuple[TaskAlias, ...]]
    made: dict[tuple[str, str], Made] = field(default_factory=dict)

    def steps_of(self, task: Task) -> tuple[str, ...]:
        """Return the steps that a task is of: several where they compute the same."""
        others = (alias.step for alias in self.aliases.get(task.id, ()))
        return tuple(dict.fromkeys((task.step, *others)))


def use_settings(context: RunContext, task: Task, span: Span, *, with_origin: bool) -> None:
    """Record the settings of a task; paths and origins only where they are those of this run."""
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


def use_inputs(
    context: RunContext, task: Task, span: Span, digests: Mapping[str, tuple[Digest, ...]]
) -> None:
    """Record the products that came in, each through the entity that was there at the time."""
    recorder = context.recorder
    kinds = {port.name: port.kind for port in task.input_ports}
    for port, refs in task.inputs.items():
        known = digests.get(port, ())
        labels = task.labels.get(port, ())
        items = [(ref, labels[n] if n < len(labels) else {}) for n, ref in enumerate(refs)]
        if known and len(known) < len(refs):  # gathered without those that were not made
            made_here = context.made.keys()
            items = [item for item in items if (item[0].task, item[0].product) in made_here]
        entities: list[str] = []
        for position, (ref, label) in enumerate(items):
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
            where: list[tuple[str, Any]] = [("position", position)] if len(refs) > 1 else []
            where += [("coordinate", f"{axis}={text}") for axis, text in label.items()]
            again = position if entity in entities else None  # of tasks that are the same
            usage = recorder.used(span.activity, entity, f"in.{port}", span.start, where, again)
            span.used.append(Used(entity=entity, usage=usage))
            entities.append(entity)
        if len(entities) > 1:
            _use_collection(recorder, span, port, entities)


def _use_collection(recorder: Recorder, span: Span, port: str, entities: list[str]) -> None:
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


def use_files(context: RunContext, task: Task, span: Span) -> None:
    """Record the external files that a task reads."""
    recorder = context.recorder
    for item in task.files:
        local = record_file(recorder, item.path, item.name, item.digest, item.size)
        usage = recorder.used(span.activity, local, f"in.{item.setting}", span.start)
        span.used.append(Used(entity=local, usage=usage))


def record_product(
    context: RunContext, task: Task, span: Span, attempt_id: str, port: str, product: Product
) -> Made:
    """Record what an attempt made at an output port, with its files; return it for its users."""
    recorder = context.recorder
    names = context.outputs.get((task.id, port), ())
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
    return Made(entity=local, generation=generation, digest=product.digest, time=span.end)


def _is_after(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first > second
