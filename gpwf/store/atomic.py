"""Writing that is whole or not there: fsync, rename, fsync of the folder.

A rename without fsync leaves empty files behind after a power cut; with it the file is either the
old one or the new one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "PRIVATE_FILE",
    "PRIVATE_FOLDER",
    "draft_path",
    "make_folder",
    "open_private",
    "sync_folder",
    "write_atomic",
]

#: Stores and run directories may hold data under embargo: they are private to the user.
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def make_folder(path: Path) -> bool:
    """Make a private folder where it is missing; return True where it was."""
    if path.is_dir():  # to look costs less than to try
        return False
    try:
        path.mkdir(mode=PRIVATE_FOLDER)
    except FileExistsError:
        return False
    return True


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def draft_path(path: Path) -> Path:
    """Return a new name beside a file, for bytes that are to become it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")


def open_private(path: Path) -> BinaryIO:
    """Make a file for writing that only its owner may read.

    Raises
    ------
    OSError
        Where it is there already, or cannot be made.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb")


def write_atomic(path: Path, data: bytes | Iterable[bytes], *, durable: bool = True) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part.

    Parameters
    ----------
    path : Path
        File to write or replace; its folder exists.
    data : bytes or iterable of bytes
        The whole content, also in pieces.
    durable : bool
        False for what may be lost in a power cut (a cache).

    Raises
    ------
    OSError
        Where the folder cannot be written; nothing is left behind.
    """
    draft = draft_path(path)
    try:
        with open_private(draft) as stream:
            for part in (data,) if isinstance(data, bytes) else data:
                stream.write(part)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)
