"""What a task uses and makes, as provenance: settings, inputs, files, products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.plan import Task, TaskOutput
from gpwf.core.runs import Product, ProductFile
from gpwf.prov.context import Made, RunContext, Shape, Span, Used
from gpwf.prov.entities import record_content, record_value
from gpwf.prov.recorder import Form, Recorder
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = ["record_leftovers", "record_product", "use_files", "use_inputs", "use_settings"]

_PRODUCT = Form(
    ("gpwf:Product", "wfprov:Artifact", "prov:Collection"),
    ("prov:label", "port", "kind", "digest", "size_B", "summary"),
)
_FILE = Form(
    ("gpwf:File", "wfprov:Artifact"), ("prov:label", "name", "sha256", "dataDigest", "size_B")
)


def use_settings(
    context: RunContext, task: Task, shape: Shape, span: Span, *, with_origin: bool
) -> None:
    """Record the settings of a task; paths and origins only where they are those of this run."""
    usages: list[Any] = []
    known = shape.settings
    for key, value in task.settings.items():
        found = known.get(key)
        if found is None or found.value is not value:
            found = context.settings(task, shape, key, value)
        usages += found.here if with_origin else found.anywhere
    context.recorder.used_all(span.activity, usages, span.start)


def use_inputs(
    context: RunContext, task: Task, span: Span, digests: Mapping[str, tuple[Digest, ...]]
) -> None:
    """Record the products that came in, each through the entity that was there at the time."""
    recorder = context.recorder
    for port, refs in task.inputs.items():
        known = digests.get(port, ())
        entities: list[str] = []
        met: set[str] = set()
        for position, (ref, label) in enumerate(_came_in(context, task, port, len(known))):
            made = context.made_by(ref.task, ref.product)
            if position < len(known):
                digest = known[position]
            elif made is not None:
                digest = made.digest
            else:
                continue  # nothing came in: the attempt never got that far
            if made is None or made.digest != digest or _is_after(made.time, span.start):
                # Made again since, to the same bytes: the value is all that is known.
                entity = record_value(recorder, digest, _kind(task, port, ref))
            else:
                entity = made.entity
            where: list[tuple[str, Any]] = [("position", position)] if len(refs) > 1 else []
            where += [("coordinate", f"{axis}={text}") for axis, text in label.items()]
            again = position if entity in met else None  # of tasks that are the same
            notes = recorder.prepare(where) if where else None
            usage = recorder.used(span.activity, entity, f"in.{port}", span.start, notes, again)
            span.used.append(Used(entity, usage))
            entities.append(entity)
            met.add(entity)
        if len(entities) > 1:
            _use_collection(recorder, span, port, entities)


def _came_in(
    context: RunContext, task: Task, port: str, n_known: int
) -> list[tuple[TaskOutput, Mapping[str, str]]]:
    """Return what a port is wired to, with its label; without what was not made."""
    refs, labels = task.inputs[port], task.labels.get(port, ())
    items = [(ref, labels[n] if n < len(labels) else {}) for n, ref in enumerate(refs)]
    if 0 < n_known < len(refs):  # gathered without those that were not made
        return [item for item in items if context.made_by(item[0].task, item[0].product)]
    return items


def _kind(task: Task, port: str, ref: TaskOutput) -> str:
    return next((item.kind for item in task.input_ports if item.name == port), ref.product)


def _use_collection(recorder: Recorder, span: Span, port: str, entities: list[str]) -> None:
    collection = hashed_id("collection", entities)
    if not recorder.has(collection):
        recorder.entity(
            collection,
            ("prov:Collection",),
            [
                ("prov:label", f"{len(entities)} inputs of {port}"),
                ("order", [f"gpwf:{entity}" for entity in entities]),
            ],
        )
        for entity in dict.fromkeys(entities):
            recorder.member(collection, entity)
    recorder.used(span.activity, collection, f"in.{port}", span.start)


def use_files(context: RunContext, shape: Shape, span: Span) -> None:
    """Record the external files that a task reads."""
    for local, role in shape.files:
        span.used.append(Used(local, context.recorder.used(span.activity, local, role, span.start)))


def record_product(
    context: RunContext, task: Task, span: Span, attempt_id: str, port: str, product: Product
) -> Made:
    """Record what an attempt made at an output port, with its files; return it for its users.

    An attempt is recorded once, and so are its products.
    """
    recorder = context.recorder
    names = context.outputs.get(port, {}).get(task.id, ())
    notes = recorder.prepare([("output", name) for name in names]) if names else None
    if recorder.quick is not None and span.end is not None:
        label = f"{task.id}.{port}"
        quick = recorder.quick.product(attempt_id, label, port, product, span.used, notes)
        if quick is not None:
            return Made(quick, product.digest, span.end)
    local = recorder.entity_of(
        _PRODUCT,
        local_id("product", attempt_id, port),
        (f"{task.id}.{port}", port, product.kind, product.digest, product.size, product.summary),
        notes,
        unique=True,
    )
    recorder.specialises(local, record_value(recorder, product.digest, product.kind))
    role = f"out.{port}"
    generation = recorder.generated(local, span.activity, role, span.end)
    for entity, usage in span.used:
        recorder.derived(local, entity, span.activity, generation, usage)
    for item in product.files:
        file = recorder.entity_of(
            _FILE,
            hashed_id("file", attempt_id, port, item.name),
            (item.name, item.name, item.digest, item.data_digest, item.size),
            unique=True,
        )
        recorder.specialises(file, record_content(recorder, item.digest, item.size))
        recorder.generated(file, span.activity, role, span.end)
        recorder.member(local, file)
    return Made(local, product.digest, span.end)


def record_leftovers(
    recorder: Recorder, span: Span, attempt_id: str, left: Iterable[ProductFile]
) -> None:
    """Record the files that an attempt had made when it failed: generated, and no longer valid."""
    for item in left:
        file = recorder.entity_of(
            _FILE,
            hashed_id("file", attempt_id, "", item.name),
            (item.name, item.name, item.digest or None, None, item.size),
            unique=True,
        )
        if item.digest:
            recorder.specialises(file, record_content(recorder, item.digest, item.size))
        recorder.generated(file, span.activity, "left", span.end)
        recorder.invalidated(file, span.activity, span.end)


def _is_after(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first > second
