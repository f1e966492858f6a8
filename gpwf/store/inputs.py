"""Digests of files outside the store, remembered by their stat; and the way back.

The cache is disposable: without it files are read again. An entry is trusted only where the file
was at least two seconds old when it was read, since a later change could otherwise leave the same
time stamp.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest, digest_bytes, digest_file
from gpwf.errors import StoreError
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic
from gpwf.store.identities import Identities
from gpwf.store.objects import ObjectStore

__all__ = ["InputDigests", "StatCache"]

_SETTLED_NS = 2_000_000_000
_SLACK_LINES = 1000


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a file was when it was read. ``stat`` is (dev, inode, size, mtime_ns, ctime_ns)."""

    stat: tuple[int, ...]
    read_ns: int
    digest: Digest

    @property
    def is_settled(self) -> bool:
        return self.read_ns - max(self.stat[3], self.stat[4]) > _SETTLED_NS


def _stat_of(path: Path | str) -> tuple[int, ...]:
    found = os.stat(path)  # noqa: PTH116 - of thousands of paths none need become an object
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        # a pipe would be waited for, a device has no end
        raise OSError(errno.EINVAL, "it is a pipe, a socket or a device", str(path))
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class StatCache:
    """SHA-256 of files, remembered under path and stat in one JSON Lines file.

    Parameters
    ----------
    path : Path
        File of the cache; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, _Entry] = {}
        self._new: dict[str, _Entry] = {}
        self._paths: dict[Digest, dict[str, None]] = {}
        self._loaded = False

    def digest(self, path: Path) -> tuple[Digest, int]:
        """Return SHA-256 and size of a file, from memory where nothing can have changed.

        Raises
        ------
        OSError
            Where the file cannot be read.
        """
        return self.digest_at(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links

    def digest_at(self, name: str) -> tuple[Digest, int]:
        """Return what `digest` returns, of a path that is absolute already.

        Raises
        ------
        OSError
            Where the file cannot be read.
        """
        self._load()
        before = _stat_of(name)
        known = self._entries.get(name)
        if known is not None and known.stat == before and known.is_settled:
            return known.digest, before[2]
        read_ns = time.time_ns()
        digest = digest_file(name)
        after = _stat_of(name)
        if after == before:  # otherwise it was written while we read: nothing to remember
            self._remember(name, _Entry(before, read_ns, digest))
        return digest, after[2]

    def register(self, path: Path, digest: Digest) -> None:
        """Remember that a file is known to have this digest, without reading it.

        Its stat is trusted like any other entry's.
        """
        self._load()
        name = os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
        self._remember(name, _Entry(_stat_of(path), time.time_ns(), digest))

    def paths(self, digest: Digest) -> list[Path]:
        """Return the files that had this digest when they were read, latest first."""
        self._load()
        return [Path(name) for name in reversed(self._paths.get(digest, {}))]

    def reload(self) -> None:
        """Take in what other processes have saved."""
        self._loaded = False
        self._load()

    def flush(self) -> None:
        """Save what is new, where that is possible: it is only slower next time."""
        if not self._new:
            return
        with contextlib.suppress(OSError):  # a full disk, a store for reading only
            self._save()

    def forget_absent(self) -> None:
        """Forget the files that are not there any more, where that is possible."""
        with contextlib.suppress(OSError), _locked(self._path.with_suffix(".lock")):
            latest = dict(self._saved())
            here = {name: entry for name, entry in latest.items() if os.path.lexists(name)}
            if len(here) < len(latest):
                text = "".join(_line(name, entry) for name, entry in here.items())
                write_atomic(self._path, text.encode(), durable=False)

    def _save(self) -> None:
        lines = "".join(_line(name, entry) for name, entry in self._new.items())
        with _locked(self._path.with_suffix(".lock")):
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(lines)
            self._new.clear()
            self._compact()

    def _remember(self, name: str, entry: _Entry) -> None:
        self._entries[name] = entry
        self._new[name] = entry
        self._index(name, entry)

    def _index(self, name: str, entry: _Entry) -> None:
        names = self._paths.setdefault(entry.digest, {})
        names.pop(name, None)
        names[name] = None

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for name, entry in self._saved():
            self._entries[name] = entry
            self._index(name, entry)
        self._entries.update(self._new)

    def _saved(self) -> Iterator[tuple[str, _Entry]]:
        """Yield the saved entries; a line that is torn or strange is passed over."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return
        for found in _rows(data):
            try:
                name, seen, read_ns, digest = found
                entry = _Entry(tuple(int(item) for item in seen), int(read_ns), Digest(digest))
            except (ValueError, TypeError, OverflowError):
                continue
            if isinstance(name, str) and len(entry.stat) == 5:
                yield name, entry

    def _compact(self) -> None:
        """Write the file anew where most of its lines are outdated."""
        n_lines = self._path.read_bytes().count(b"\n")
        if n_lines <= 2 * len(self._entries) + _SLACK_LINES:
            return
        latest = dict(self._saved())
        if n_lines > 2 * len(latest) + _SLACK_LINES:
            text = "".join(_line(name, entry) for name, entry in latest.items())
            write_atomic(self._path, text.encode(), durable=False)


def _rows(data: bytes) -> Iterator[Any]:
    """Yield the values of JSON Lines; those of torn or strange lines are passed over."""
    lines = data.splitlines()
    try:  # all at once takes a third of the time
        yield from json.loads(b"[" + b",".join(lines) + b"]")
        return
    except (ValueError, RecursionError):
        pass
    for line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            continue


def _line(name: str, entry: _Entry) -> str:
    # surrogates of undecodable file names survive as \udcxx escapes
    return json.dumps([name, entry.stat, entry.read_ns, entry.digest]) + "\n"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class InputDigests:
    """Digests of external files and where content is to be found; a small memory besides.

    Parameters
    ----------
    root : Path
        Folder of the store.
    objects : ObjectStore, optional
        Bytes of the store, looked at first by `locate`.
    """

    def __init__(self, root: Path, *, objects: ObjectStore | None = None) -> None:
        self._objects = objects if objects is not None else ObjectStore(root)
        self._cache = StatCache(root / "cache" / "inputs.jsonl")
        self._identities = Identities(root / "cache" / "fits.jsonl")
        self._memos = root / "cache" / "memo"

    def digest(self, path: Path) -> tuple[Digest, int]:
        """Return SHA-256 and size of a file; it can be found by its content from then on.

        Raises
        ------
        OSError
            Where the file cannot be read.
        """
        return self._cache.digest(path)

    def register(self, path: Path, digest: Digest) -> None:
        """Remember that a file has this digest, so that `locate` finds it.

        Raises
        ------
        OSError
            Where the file is not there.
        """
        self._cache.register(path, digest)

    def locate(self, digest: Digest) -> Path:
        """Return a file with this content: in the store, or outside where it was last seen.

        Raises
        ------
        StoreError
            Where no known file has this content any more; names the one that changed.
        """
        if self._objects.has(digest):
            return self._objects.path(digest)
        tried: list[str] = []
        found = self._look(digest, tried)
        if found is None:  # another process may know more
            self._cache.reload()
            found = self._look(digest, tried)
        if found is not None:
            return found
        where = "; ".join(dict.fromkeys(tried)) or "it was never seen here"
        raise StoreError(
            f"no file with content sha256 {digest[:12]}… : {where}",
            hint="run the workflow again: it reads the file anew, wherever it is now",
        )

    def _look(self, digest: Digest, tried: list[str]) -> Path | None:
        for path in self._cache.paths(digest):
            try:
                if self._cache.digest(path)[0] == digest:
                    return path
            except OSError as error:
                tried.append(f"{path}: {error.strerror or error}")
                continue
            tried.append(f"{path} has changed since it was read")
        return None

    def identity(self, path: Path, digest: Digest) -> Mapping[str, Any] | None:
        """Return what a file says of itself, None where it says nothing or has changed.

        Parameters
        ----------
        path : Path
            The file.
        digest : Digest
            Its SHA-256, see `digest`; what was read of this content before is not read again.

        Returns
        -------
        mapping or None
            See `gpwf.store.fits_headers.FitsIdentity.plain`.
        """
        found = self._identities.of(path, digest)
        try:
            if found is not None and self._cache.digest(path)[0] != digest:
                raise OSError
        except OSError:  # written or removed while it was read
            self._identities.forget(digest)
            return None
        return found

    def memo(self, key: str) -> Any | None:
        """Return what was remembered under a key, None where nothing was."""
        try:
            document = json.loads(self._memo_path(key).read_bytes())
            return document["value"] if document["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def remember(self, key: str, value: Any) -> None:
        """Remember plain data under a key; it may be forgotten."""
        document = json.dumps({"key": key, "value": value})
        with contextlib.suppress(OSError):  # a full disk, a store for reading only
            self._memos.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            write_atomic(self._memo_path(key), document.encode(), durable=False)

    def flush(self) -> None:
        """Save what is new."""
        self._cache.flush()
        self._identities.flush()

    def _memo_path(self, key: str) -> Path:
        return self._memos / f"{digest_bytes(key.encode())}.json"
