"""Many files made durable together: fsync all, rename all, fsync the folders.

A single fsync takes milliseconds, most of them spent waiting for the disk. File systems answer
those that wait together at once, so the files of a group are handed over by several threads.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gpwf.store.atomic import draft_path, sync_folder

__all__ = ["Committer", "Draft"]

_THREADS = 16
_FEW = 3  # as many are done one after the other: a thread costs as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A finished file that does not have its name yet.

    Parameters
    ----------
    source, target : Path
        Nobody writes to the source any more.
    is_new_folder : bool
        True where the folder of the target was made for it.
    """

    source: Path
    target: Path
    is_new_folder: bool = False

    def discard(self) -> None:
        """Remove the file, unless it has its name already."""
        self.source.unlink(missing_ok=True)


class Committer:
    """Gives drafts their names, whole and for good or not at all.

    Threads are started when a group is large enough, and kept. To be used by one thread at a
    time.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def commit(self, drafts: Sequence[Draft]) -> None:
        """Publish files; when this returns they survive a power cut.

        The names appear in the order of the drafts: what refers to others comes last.

        Parameters
        ----------
        drafts : sequence of Draft
            What to publish. A target that exists is replaced.

        Raises
        ------
        OSError
            Where the disk is full or damaged. A part of the targets may be there, each whole.
        """
        self._each(_sync_file, [draft.source for draft in drafts])
        for draft in drafts:
            _rename(draft)
        folders = dict.fromkeys(draft.target.parent for draft in drafts)
        above = dict.fromkeys(draft.target.parents[1] for draft in drafts if draft.is_new_folder)
        self._each(sync_folder, [*folders, *above])

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None

    def _each(self, function: Callable[[Path], None], paths: Iterable[Path]) -> None:
        found = list(paths)
        if len(found) <= _FEW:
            for path in found:
                function(path)
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gpwf-commit")
        for _ in self._threads.map(function, found):
            pass


def _rename(draft: Draft) -> None:
    """Give a draft its name; from another file system by way of a copy."""
    try:
        draft.source.rename(draft.target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = draft_path(draft.target)
        try:
            shutil.copy2(draft.source, near, follow_symlinks=False)
            _sync_file(near)
            near.rename(draft.target)
        except BaseException:
            near.unlink(missing_ok=True)
            raise
        draft.source.unlink()


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
