"""Recorded results: ``results/cd/<task key>``, one JSON document each."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpwf.core.codec import from_plain, to_plain
from gpwf.core.digests import TaskKey, tagged_digest
from gpwf.core.runs import Product, Resources
from gpwf.store.atomic import PRIVATE_FOLDER, draft_path, open_private
from gpwf.store.commit import Committer, Draft

__all__ = ["ResultStore", "StoredResult", "read_result"]

_FORMAT = "gpwf-result/1"


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
        self._damaged = root / "damaged"

    def path(self, key: TaskKey) -> Path:
        """Return where the result of this key is, or would be."""
        return self._results / key[:2] / key

    def get(self, key: TaskKey) -> StoredResult | None:
        """Return the recorded result of a key.

        None where there is none, or where the record is damaged; a damaged record is set aside.
        """
        path = self.path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        result = read_result(data)
        if result is None or result.key != key:
            with contextlib.suppress(OSError):  # a store for reading only, or it has just gone
                self._damaged.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
                path.replace(self._damaged / f"{key}.{secrets.token_hex(4)}.result")
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
            os.utime(self.path(key))
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
        try:
            path.parent.mkdir(mode=PRIVATE_FOLDER)
            is_new = True
        except FileExistsError:
            is_new = False
        body = to_plain(result)
        document = {"format": _FORMAT, "check": tagged_digest(_FORMAT, body), "result": body}
        source = draft_path(path)
        try:
            with open_private(source) as stream:
                stream.write(json.dumps(document, ensure_ascii=False).encode())
        except BaseException:
            source.unlink(missing_ok=True)
            raise
        return Draft(source=source, target=path, is_new_folder=is_new)


def read_result(data: bytes) -> StoredResult | None:
    """Return a result from the bytes of its record, None where it is not what was written."""
    try:
        document: Any = json.loads(data)
        body = document["result"]
        if document["check"] != tagged_digest(_FORMAT, body):
            return None
        return from_plain(StoredResult, body)
    except (ValueError, KeyError, TypeError):
        return None
