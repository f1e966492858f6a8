"""Words of a record for people: title, sizes, numbers; a record may come from anywhere."""

from __future__ import annotations

import json
import re
from datetime import datetime

from gpwf.prov.record_index import Element, RecordIndex

__all__ = ["natural", "number_in", "object_in", "size_text", "subtitle_of", "title_of"]


def main_run(index: RecordIndex) -> Element | None:
    """Return the run that the record is about, None where there is none."""
    runs = [item for item in index.of_kind("activity") if item.get("runId") and item.get("state")]
    return runs[0] if runs else None


def title_of(index: RecordIndex) -> str:
    """Return the title of a picture."""
    run = main_run(index)
    return run.get("name") or run.label if run is not None else "Provenance"


def subtitle_of(index: RecordIndex) -> str:
    """Return a line on run, time and state."""
    run = main_run(index)
    if run is None:
        return ""
    when = run.start[:19].replace("T", " ")
    length = ""
    if run.start and run.end:
        seconds = datetime.fromisoformat(run.end) - datetime.fromisoformat(run.start)
        length = f", {seconds.total_seconds():.1f} s"
    return f"run {run.get('runId')[:8]}, {when} UTC{length}, {run.get('state')}"


def natural(text: str) -> list[str | int]:
    """Return what sorts names as people do, ``seed=9`` before ``seed=10``."""
    return [int(part) if n % 2 else part for n, part in enumerate(re.split(r"(\d+)", text))]


def number_in(text: str) -> int:
    """Return a count of the record, 0 where it is none: a record may come from anywhere."""
    return int(text) if text.isdecimal() else 0


def size_text(text: str) -> str:
    """Return a size in bytes for people, empty where the text is no number."""
    if not text.isdecimal():
        return ""
    size, units = float(text), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def object_in(text: str) -> dict[str, object]:
    """Return the mapping that a text holds as JSON, an empty one where it holds none."""
    try:
        value = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
