"""Words of a record for people: title, sizes, numbers; a record may come from anywhere."""

from __future__ import annotations

import json
import re
from datetime import datetime

from gpwf.prov.record_index import Element, RecordIndex

__all__ = [
    "main_run",
    "natural",
    "number_in",
    "object_in",
    "seconds_text",
    "size_text",
    "subtitle_of",
    "title_of",
]

_NUMBER = re.compile(r"\d{1,15}")


def main_run(index: RecordIndex) -> Element | None:
    """Return the run that the record is about, None where there is none."""
    runs = [item for item in index.runs() if item.get("runId") and item.get("state")]
    known = {item.id for item in runs}
    for item in runs:  # a nested workflow is a run as well, started by another one
        if not any(link.cause in known for link in index.causes("wasStartedBy", item.id)):
            return item
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
    when = f"{run.start[:19].replace('T', ' ')} UTC" if run.start else "no start"
    try:
        span = datetime.fromisoformat(run.end) - datetime.fromisoformat(run.start)
        when += f", {seconds_text(str(span.total_seconds()))}"
    except (ValueError, TypeError):
        pass  # not ended, or not written by gpwf
    return f"run {run.get('runId')[:8]}, {when}, {run.get('state')}"


def natural(text: str) -> list[str | int]:
    """Return what sorts names as people do, ``seed=9`` before ``seed=10``."""
    parts: list[str | int] = []
    last = 0
    for found in _NUMBER.finditer(text):  # text and number in turn, so that lists compare
        parts += [text[last : found.start()], int(found[0])]
        last = found.end()
    return [*parts, text[last:]]


def number_in(text: str) -> int:
    """Return a count of the record, 0 where it is none: a record may come from anywhere."""
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def size_text(text: str) -> str:
    """Return a size in bytes for people, empty where the text is no number."""
    if not text.isdecimal() or len(text) >= 20:
        return ""
    size, units = float(text), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def seconds_text(text: str) -> str:
    """Return a time in seconds for people: a few digits, as it stands where it is no number."""
    try:
        seconds = float(text)
    except ValueError:
        return text
    if not 0 <= seconds < 1e9:
        return f"{text} s"
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def object_in(text: str) -> dict[str, object]:
    """Return the mapping that a text holds as JSON, an empty one where it holds none."""
    try:
        value = json.loads(text) if text else {}
    except (json.JSONDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
