"""Canonical bytes and tagged hashing.

A digest is a lower-case hexadecimal SHA-256. Everything that is not a file is hashed as canonical
JSON whose first element is a tag with a version, so that two kinds of thing, or two versions of
the scheme, never share a digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NewType

__all__ = ["Digest", "TaskKey", "canonical_json", "digest_bytes", "digest_file", "tagged_digest"]

Digest = NewType("Digest", str)
TaskKey = NewType("TaskKey", str)

_CHUNK = 1 << 20
_SCALARS = frozenset({str, int, float, bool, type(None)})


def _plain(value: Any) -> Any:
    """Return ``value`` made of dict, list, str, int, float, bool and None, or raise TypeError."""
    if type(value) in _SCALARS or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)  # a StrEnum member becomes its text
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"keys of canonical JSON must be text, got {key!r}")
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical JSON form; convert it first")


def _is_plain(value: Any) -> bool:
    """Return True where a value holds nothing but what `json` writes as it is."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or (type(item) not in _SCALARS and not _is_plain(item)):
                return False
        return True
    if kind is list or kind is tuple:
        return all(type(item) in _SCALARS or _is_plain(item) for item in value)
    return kind in _SCALARS


_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def canonical_json(value: Any) -> bytes:
    """Return the canonical JSON bytes of plain data.

    Keys are sorted, no white space, UTF-8, floats in their shortest round-trip form.

    Parameters
    ----------
    value : dict, list, tuple, str, int, float, bool or None
        Plain data. Never a repr, a pickle or a memory address.

    Raises
    ------
    TypeError
        For any other type.
    ValueError
        For NaN and infinities.
    """
    # names of files need not be UTF-8: what they hold besides is kept as it is
    return _encode(value if _is_plain(value) else _plain(value)).encode(errors="surrogatepass")


def tagged_digest(tag: str, *parts: Any) -> Digest:
    """Return the SHA-256 of ``[tag, *parts]`` as canonical JSON."""
    return digest_bytes(canonical_json([tag, *parts]))


def digest_bytes(data: bytes) -> Digest:
    """Return the SHA-256 of bytes."""
    return Digest(hashlib.sha256(data).hexdigest())


def digest_file(path: Path | str) -> Digest:
    """Return the SHA-256 of a file's content, the same as ``sha256sum`` prints."""
    state = hashlib.sha256()
    with open(path, "rb") as stream:  # noqa: PTH123 - of thousands of texts none becomes a path
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return Digest(state.hexdigest())
