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
    if redact_text(text) == text:
        return data
    try:
        return (json.dumps(_clean("", json.loads(text)), indent=1) + "\n").encode()
    except ValueError:
        return "".join(map(_clean_line, text.splitlines(keepends=True))).encode()


def _clean_line(line: str) -> str:
    if redact_text(line) == line:
        return line
    try:
        return json.dumps(_clean("", json.loads(line))) + "\n"
    except ValueError:
        return redact_text(line)


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(name, item) for item in value]
    if isinstance(value, str):
        return REDACTED if looks_secret(name, value) else redact_text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and looks_secret(name):
        return REDACTED
    return value
