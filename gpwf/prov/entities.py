"""Entities that are shared: files, their content, values of products, settings."""

from __future__ import annotations

from gpwf.prov.parameters import Parameter
from gpwf.prov.recorder import Recorder
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = ["record_content", "record_file", "record_parameter", "record_value"]


def record_file(recorder: Recorder, path: str, name: str, digest: str, size: int | None) -> str:
    """Record a file at its place as an aspect of its content; return the file's local name."""
    local = hashed_id("file", path, digest)
    if recorder.has(local):
        return local
    recorder.entity(
        local,
        ("gpwf:File", "wfprov:Artifact"),
        [
            ("prov:label", name),
            ("prov:location", path),
            ("name", name),
            ("sha256", digest),
            ("size_B", size),
        ],
    )
    recorder.specialises(local, record_content(recorder, digest, size))
    return local


def record_parameter(recorder: Recorder, item: Parameter) -> str:
    """Record a setting by its content; return its local name."""
    return recorder.entity(
        item.local_id,
        ("voprov:Parameter",),
        [
            ("prov:label", f"{item.name} = {item.text}"[:200]),
            ("voprov:name", item.name),
            ("prov:value", "null" if item.value is None else item.value),
            ("voprov:unit", item.unit),
            ("voprov:valueType", item.type),
        ],
    )


def record_content(recorder: Recorder, digest: str, size: int | None) -> str:
    """Record bytes wherever they lie; return their local name."""
    return recorder.entity(
        local_id("sha256", digest), ("gpwf:Content",), [("sha256", digest), ("size_B", size)]
    )


def record_value(recorder: Recorder, digest: str, kind: str) -> str:
    """Record the content of a product whoever made it; return its local name."""
    return recorder.entity(
        local_id("value", digest),
        ("gpwf:Value",),
        [("prov:label", f"{kind} {digest[:12]}"), ("kind", kind), ("digest", digest)],
    )
