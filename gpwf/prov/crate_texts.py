"""Texts of a run without the secrets in them."""

from __future__ import annotations

import json
from typing import Any

from gpwf.core.redact import REDACTED, looks_secret, redact_text

__all__ = ["redacted_json"]


def redacted_json(data: bytes) -> bytes:
    """Return JSON, or lines of JSON, without what looks like a secret.

    The bytes stay as they are where there is none, so that digests hold.

    Parameters
    ----------
    data : bytes
        UTF-8; a line that is torn is redacted as a text.
    """
    text = data.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        lines = text.splitlines(keepends=True)
        cleaned = [_clean_line(line) for line in lines]
        return data if cleaned == lines else "".join(cleaned).encode()
    clean = _clean("", found)
    return data if clean == found else (json.dumps(clean, indent=1) + "\n").encode()


def _clean_line(line: str) -> str:
    try:
        found = json.loads(line)
    except ValueError:  # torn: what is between quotes may hold a name and a value of its own
        return '"'.join(map(_redacted, _redacted(line).split('"')))
    clean = _clean("", found)
    return line if clean == found else json.dumps(clean) + "\n"


def _clean(path: str, value: Any) -> Any:
    """Return plain data without secrets: what lies below a secret name is one, too."""
    if isinstance(value, dict):
        return {key: _clean(f"{path}.{key}", item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(path, item) for item in value]
    if isinstance(value, str):
        return REDACTED if looks_secret(path, value) else _redacted(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and looks_secret(path):
        return REDACTED
    return value


def _redacted(text: str) -> str:
    """Return a text without secrets; what was redacted before stays as it is."""
    return REDACTED.join(map(redact_text, text.split(REDACTED)))
