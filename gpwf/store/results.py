"""Recorded results: ``results/cd/<task key>``, a line and a JSON document each."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpwf.core.codec import from_plain, to_plain
from gpwf.core.digests import TaskKey, tagged_digest
from gpwf.core.runs import Product, Resources
from gpwf.store.atomic import PRIVATE_FOLDER, draft_path, make_folder, open_private
from gpwf.store.commit import Committer, Draft

__all__ = ["ResultStore", "StoredResult", "read_result"]

_FORMAT = "gpwf-result/2"
_FIRST_FORMAT = "gpwf-result/1"
_dumps = json.JSONEncoder(ensure_ascii=False).encode
_loads = json.JSONDecoder().decode  # json.loads looks at its arguments and the encoding first


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """What a task key gave, and which attempt of which run made it.

    Parameters
    ----------
    key : TaskKey
        Identity of the computation.
    products : mapping of str to Product
        By output port.
    run_id, attempt_id : str
        Who made it.
    started, ended : str
        Times of that attempt, ISO 8601 in UTC.
    tag : str
        Step type.
    resources : Resources
        What that attempt used.
    """

    key: TaskKey
    products: Mapping[str, Product]
    run_id: str
    attempt_id: str
    started: str
    ended: str
    tag: str
    resources: Resources = field(default_factory=Resources)


class ResultStore:
    """Results by task key.

    Parameters
    ----------
    root : Path
        Folder of a store; ``results`` and ``damaged`` lie in it.
    """

    def __init__(self, root: Path) -> None:
        self._results = root / "results"
        self._root = str(self._results)
        self._damaged = root / "damaged"

    def path(self, key: TaskKey) -> Path:
        """Return where the result of this key is, or would be."""
        return self._results / key[:2] / key

    def _place(self, key: TaskKey) -> str:
        # the text of `path`, without an object for every part of it
        return f"{self._root}/{key[:2]}/{key}"

    def get(self, key: TaskKey) -> StoredResult | None:
        """Return the recorded result of a key.

        None where there is none, or where the record is damaged; a damaged record is set aside.
        """
        try:
            data = _read_regular(self._place(key))
        except (FileNotFoundError, PermissionError):
            return None
        except OSError:  # the disk cannot give it back
            data = b""
        result = read_result(data)
        if result is None or result.key != key:
            with contextlib.suppress(OSError):  # a store for reading only, or it has just gone
                self._damaged.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
                self.path(key).replace(self._damaged / f"{key}.{secrets.token_hex(4)}.result")
            return None
        return result

    def touch(self, key: TaskKey) -> bool:
        """Say that a result is in use now, so that `gpwf gc` keeps it.

        Returns
        -------
        bool
            False where it is not there any more.
        """
        try:
            os.utime(self._place(key))
        except FileNotFoundError:
            return False
        except OSError:  # a store for reading only; nobody removes anything from it
            return True
        return True

    def put(self, key: TaskKey, result: StoredResult) -> None:
        """Record a result; its objects must be in the store already."""
        draft = self.draft(key, result)
        committer = Committer()
        try:
            committer.commit([draft])
        except OSError:
            draft.discard()
            raise
        finally:
            committer.close()

    def draft(self, key: TaskKey, result: StoredResult) -> Draft:
        """Write a result; it is recorded when the draft is published, its objects before it.

        Raises
        ------
        OSError
            Where the disk is full; nothing is left behind.
        """
        path = self.path(key)
        is_new = make_folder(path.parent)
        body = _dumps(to_plain(result)).encode()
        head = f"{_FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode()
        source = draft_path(path)
        try:
            with open_private(source) as stream:
                stream.write(head + body)
        except BaseException:
            source.unlink(missing_ok=True)
            raise
        return Draft(source=source, target=path, is_new_folder=is_new)


def _read_regular(path: str) -> bytes:
    """Return the content of a file; nothing where it is none: a pipe might never end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return b""
        data = os.read(handle, status.st_size + 1)
        if len(data) == status.st_size:  # it ends there: a file of records is replaced, not grown
            return data
        parts = [data]
        while part := os.read(handle, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def read_result(data: bytes) -> StoredResult | None:
    """Return a result from the bytes of its record, None where it is not what was written.

    A record is a line with the format and the SHA-256 of the rest, then the result as JSON. The
    first format had both in one JSON document.
    """
    try:
        head, found, body = data.partition(b"\n")
        if head.startswith(b"{"):
            return _read_first_format(data)
        form, _, checksum = head.decode("ascii").partition(" ")
        if not found or form != _FORMAT or checksum != hashlib.sha256(body).hexdigest():
            return None
        return from_plain(StoredResult, _loads(body.decode()))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _read_first_format(data: bytes) -> StoredResult | None:
    document: Any = json.loads(data)
    body = document["result"]
    if document["check"] != tagged_digest(_FIRST_FORMAT, body):
        return None
    return from_plain(StoredResult, body)
