"""Files of others: bytes and name are kept as they are.

The bytes are the affair of whatever made them, so no card is written into them. The value in memory
is the path of the file.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.products import MadeFile
from gpwf.errors import StoreError

__all__ = ["read", "write"]

_OWN = 0o600  # a program may have made its file unreadable


def write(
    value: Path | MadeFile,
    directory: Path,
    card: Mapping[str, str],  # noqa: ARG001
) -> Mapping[str, Any]:
    """Take over a file, see `gpwf.store.formats.write`.

    Parameters
    ----------
    value : Path or MadeFile
        A regular file; it is copied, a `MadeFile` is moved unless it has a second name: who writes
        to that one would change what is in the store.

    Raises
    ------
    StoreError
        For what is no regular file, a symbolic link among them.
    """
    path = value.path if isinstance(value, MadeFile) else value
    if not isinstance(path, Path):
        raise StoreError(f"a product of kind 'file' is a path, not {type(value).__name__}")
    try:
        status = path.lstat()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from None
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(
            f"{path} is not a regular file", hint="products hold regular files, no links or folders"
        )
    target = directory / path.name
    summary: dict[str, Any] = {"name": path.name, "n_bytes": status.st_size}
    if isinstance(value, MadeFile) and status.st_nlink == 1:
        path.chmod(_OWN)
        shutil.move(path, target)
    else:
        shutil.copyfile(path, target)
    if isinstance(value, MadeFile):
        summary |= value.summary
    return summary


def read(directory: Path, locate: Callable[[Digest], Path] | None = None) -> Path:  # noqa: ARG001
    """Return the path of the file, see `gpwf.store.formats.read`."""
    found = list(directory.iterdir())
    if len(found) != 1 or not found[0].is_file():
        raise StoreError(f"{directory} holds {len(found)} files; a product of kind 'file' is one")
    return found[0]
