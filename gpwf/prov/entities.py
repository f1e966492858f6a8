"""Entities that are shared: files, their content, values of products, settings."""

from __future__ import annotations

from gpwf.prov.parameters import Parameter
from gpwf.prov.recorder import Form, Recorder
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = ["record_content", "record_file", "record_parameter", "record_value"]

_FILE = Form(
    ("gpwf:File", "wfprov:Artifact"), ("prov:label", "prov:location", "name", "sha256", "size_B")
)
_CONTENT = Form(("gpwf:Content",), ("sha256", "size_B"))
_VALUE = Form(("gpwf:Value",), ("prov:label", "kind", "digest"))
_PARAMETER = Form(
    ("voprov:Parameter",),
    ("prov:label", "voprov:name", "prov:value", "voprov:unit", "voprov:valueType"),
)


def record_file(recorder: Recorder, path: str, name: str, digest: str, size: int | None) -> str:
    """Record a file at its place as an aspect of its content; return the file's local name."""
    local = hashed_id("file", path, digest)
    if not recorder.has(local):
        recorder.entity_of(_FILE, local, (name, path, name, digest, size))
        recorder.specialises(local, record_content(recorder, digest, size))
    return local


def record_parameter(recorder: Recorder, item: Parameter) -> str:
    """Record a setting by its content; return its local name."""
    value = "null" if item.value is None else item.value
    label = f"{item.name} = {item.text}"[:200]
    return recorder.entity_of(
        _PARAMETER, item.local_id, (label, item.name, value, item.unit, item.type)
    )


def record_content(recorder: Recorder, digest: str, size: int | None) -> str:
    """Record bytes wherever they lie; return their local name."""
    return recorder.entity_of(_CONTENT, local_id("sha256", digest), (digest, size))


def record_value(recorder: Recorder, digest: str, kind: str) -> str:
    """Record the content of a product whoever made it; return its local name."""
    return recorder.entity_of(
        _VALUE, local_id("value", digest), (f"{kind} {digest[:12]}", kind, digest)
    )
