"""Whether a folder can be a store, found out before any task starts."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gpwf.errors import StoreError
from gpwf.store.atomic import sync_folder

__all__ = ["LEAST_BYTES", "LOW_BYTES", "check_name", "check_space", "check_writing"]

#: Free space below which nothing is started: plan, journal and results would not fit.
LEAST_BYTES = 1_000_000
#: Free space below which a warning is given. It refuses nothing: a run that finds everything in
#: the store needs next to none, and a task that fills the disk fails and can be run again.
LOW_BYTES = 50_000_000

_HINT = "choose another folder with --store or GPWF_STORE"
_PROBE = b"gpwf" * 256
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP)
_SKEW_S = 2.0


def check_name(root: Path) -> None:
    """Refuse a path that cannot be a store, and say why.

    Raises
    ------
    StoreError
        Where the path, or a folder above it, is a file or a link that leads nowhere, or where the
        name is no text.
    """
    try:
        str(root).encode()
    except UnicodeEncodeError:
        shown = str(root).encode(errors="replace").decode()
        raise StoreError(
            f"the name of the store {shown} is not UTF-8: records could not name it", hint=_HINT
        ) from None
    for place in (root, *root.parents):
        if place.is_dir():
            return
        what = "the store" if place == root else f"the store {root} cannot be made:"
        if place.is_symlink() and not place.exists():
            raise StoreError(
                f"{what} {place} is a link to {place.readlink()}, which is not there",
                hint="mount or make what it leads to, or " + _HINT,
            )
        if os.path.lexists(place):
            raise StoreError(f"{what} {place} is a file, not a folder", hint=_HINT)


def check_space(place: Path, what: str) -> str:
    """Refuse a disk that is full; return a warning where it soon will be, or nothing.

    Parameters
    ----------
    place : Path
        A folder on the disk.
    what : str
        What lies there, for the message.

    Raises
    ------
    StoreError
        Below `LEAST_BYTES`.
    """
    try:
        found = os.statvfs(place)
    except OSError:
        return ""
    free = found.f_bavail * found.f_frsize
    if free < LEAST_BYTES:
        raise StoreError(
            f"the disk of {what} {place} is full: {free} bytes are free",
            hint="make room: `gpwf gc` shows what the store no longer needs",
        )
    if found.f_files and not found.f_favail:
        raise StoreError(
            f"the disk of {what} {place} can take no more files",
            hint="make room: `gpwf gc` shows what the store no longer needs",
        )
    if free < LOW_BYTES:
        return (
            f"only {free / 1e6:.0f} MB are free on the disk of {what} {place}; "
            "`gpwf gc` shows what the store no longer needs"
        )
    return ""


def check_writing(root: Path) -> list[str]:
    """Publish a file as products are published, by all the folders of a store, and remove it.

    Parameters
    ----------
    root : Path
        Folder of the store.

    Returns
    -------
    list of str
        What the file system cannot do and gpwf can do without, for people.

    Raises
    ------
    StoreError
        Where the store cannot be written, or its folders lie on several file systems.
    """
    notices: list[str] = []
    name = f".probe-{secrets.token_hex(6)}.part"
    place = root / "tmp" / name
    try:
        with _removed(place):
            before = time.time()
            _write(place, notices)
            _look_at_clock(place, before, notices)
            for folder in ("results", "damaged", "runs", "objects"):
                target = root / folder / name
                with _removed(target):
                    _rename(place, target)
                    _rename(target, place)
            _force(root / "objects", lambda: sync_folder(root / "objects"))
    except OSError as error:
        where = Path(error.filename).parent if error.filename else root
        raise StoreError(
            f"the store {root} cannot be written: {where}: {error.strerror or error}", hint=_HINT
        ) from None
    return notices


def _write(place: Path, notices: list[str]) -> None:
    handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.write(handle, _PROBE) < len(_PROBE):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
        _force(place.parent, lambda: os.fsync(handle))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            notices.append(
                f"the file system of {place.parent} has no locks: `gpwf gc` cannot be used on it, "
                "and runs that share the store may read inputs again"
            )
    finally:
        os.close(handle)


def _force(folder: Path, sync: Callable[[], None]) -> None:
    try:
        sync()
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise OSError(error.errno, error.strerror, str(folder / "probe")) from None
        raise StoreError(
            f"the file system of {folder} cannot force data to the disk (fsync): "
            "finished work would be lost with the power",
            hint=_HINT,
        ) from None


def _look_at_clock(place: Path, before: float, notices: list[str]) -> None:
    stamp = place.stat().st_mtime
    skew = max(before - stamp, stamp - time.time())
    if skew > _SKEW_S:
        ahead = "behind" if stamp < before else "ahead of"
        notices.append(
            f"the clock of the file system of {place.parent} is {skew:.0f} s {ahead} this "
            "machine's: an input that is changed within that time may go unnoticed; set the clocks"
        )


def _rename(place: Path, target: Path) -> None:
    try:
        place.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise StoreError(
            f"{place.parent} and {target.parent} lie on different file systems: "
            "nothing can be published from one to the other whole",
            hint="let the whole store lie on one disk: give its new place with --store",
        ) from None


@contextlib.contextmanager
def _removed(place: Path) -> Iterator[None]:
    """Remove a probe whatever happens."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)
