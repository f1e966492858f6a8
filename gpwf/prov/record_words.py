"""Words of a record for people: title, sizes, numbers; a record may come from anywhere."""

from __future__ import annotations

import json
from datetime import datetime

from gpwf.prov.record_index import Element, RecordIndex

__all__ = ["number_in", "object_in", "size_text", "subtitle_of", "title_of"]


def main_run(index: RecordIndex) -> Element | None:
    runs = [item for item in index.of_kind("activity") if item.get("runId") and item.get("state")]
    return runs[0] if runs else None


def title_of(index: RecordIndex) -> str:
    run = main_run(index)
    return run.get("name") or run.label if run is not None else "Provenance"


def subtitle_of(index: RecordIndex) -> str:
    run = main_run(index)
    if run is None:
        return ""
    when = run.start[:19].replace("T", " ")
    length = ""
    if run.start and run.end:
        seconds = datetime.fromisoformat(run.end) - datetime.fromisoformat(run.start)
        length = f", {seconds.total_seconds():.1f} s"
    return f"run {run.get('runId')[:8]}, {when} UTC{length}, {run.get('state')}"


def number_in(text: str) -> int:
    """Return a count of the record, 0 where it is none: a record may come from anywhere."""
    return int(text) if text.isdecimal() else 0


def size_text(text: str) -> str:
    if not text.isdecimal():
        return ""
    size, units = float(text), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def object_in(text: str) -> dict[str, object]:
    try:
        value = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
