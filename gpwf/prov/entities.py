"""Entities that are shared: files, their content, values of products, settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpwf.core.redact import redact_text
from gpwf.prov.parameters import Parameter
from gpwf.prov.recorder import Form, Recorder, json_text
from gpwf.prov.vocabulary import hashed_id, local_id
from gpwf.store.fits_headers import IDENTITY_CARDS

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


def record_file(
    recorder: Recorder,
    path: str,
    name: str,
    digest: str,
    size: int | None,
    *,
    notes: Any = None,
    identity: Mapping[str, Any] | None = None,
) -> str:
    """Record a file at its place as an aspect of its content; return the file's local name.

    Parameters
    ----------
    recorder : Recorder
        Takes the records.
    path, name, digest, size
        Of the file.
    notes : prepared attributes, optional
        Of the file at this place.
    identity : mapping, optional
        What the file says of itself, which belongs to its content.
    """
    local = hashed_id("file", path, digest)
    if not recorder.has(local):
        recorder.entity_of(_FILE, local, (name, path, name, digest, size), notes)
        recorder.specialises(local, record_content(recorder, digest, size, identity))
    return local


def record_parameter(recorder: Recorder, item: Parameter) -> str:
    """Record a setting by its content; return its local name."""
    value = "null" if item.value is None else item.value
    label = f"{item.name} = {item.text}"[:200]
    return recorder.entity_of(
        _PARAMETER, item.local_id, (label, item.name, value, item.unit, item.type)
    )


def record_content(
    recorder: Recorder, digest: str, size: int | None, identity: Mapping[str, Any] | None = None
) -> str:
    """Record bytes wherever they lie, with what they say of themselves; return their local name."""
    notes = recorder.prepare(_identity(identity)) if identity else None
    return recorder.entity_of(_CONTENT, local_id("sha256", digest), (digest, size), notes)


def _identity(identity: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a FITS file says of itself, see `gpwf.store.fits_headers`."""
    yield "fitsDigest", identity.get("digest")
    cards = identity.get("cards")
    for name, values in cards.items() if isinstance(cards, Mapping) else ():
        term = "header" if name in IDENTITY_CARDS else "producerId"
        for value in values if isinstance(values, (list, tuple)) else ():
            text = value if isinstance(value, str) else json_text(value)
            yield term, redact_text(f"{name}={text}")


def record_value(recorder: Recorder, digest: str, kind: str) -> str:
    """Record the content of a product whoever made it; return its local name."""
    return recorder.entity_of(
        _VALUE, local_id("value", digest), (f"{kind} {digest[:12]}", kind, digest)
    )
