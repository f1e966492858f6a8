"""Content-addressed bytes: ``objects/ab/<sha256>``, read-only, published whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest, digest_file, tagged_digest
from gpwf.core.runs import Product, ProductFile
from gpwf.errors import StoreError
from gpwf.store.atomic import PRIVATE_FOLDER, make_folder, sync_folder
from gpwf.store.commit import Committer, Draft
from gpwf.store.content import digests_of

__all__ = ["ObjectStore", "product_digest"]

_READ_ONLY = 0o444


def product_digest(kind: str, files: tuple[ProductFile, ...]) -> Digest:
    """Return the digest of a product: over its kind, the names and the contents of its files."""
    return tagged_digest("gpwf-product/1", kind, [[item.name, item.content] for item in files])


class ObjectStore:
    """Files by the SHA-256 of their content.

    Parameters
    ----------
    root : Path
        Folder of a store; ``objects`` and ``damaged`` lie in it.
    """

    def __init__(self, root: Path) -> None:
        self._objects = root / "objects"
        self._place = os.path.abspath(self._objects)  # noqa: PTH100 - resolve() would follow links
        self._damaged = root / "damaged"
        self._drafts = root / "tmp"
        self._verified: dict[Digest, tuple[int, ...]] = {}

    @property
    def folder(self) -> Path:
        """Folder of all objects."""
        return self._objects

    def path(self, digest: Digest) -> Path:
        """Return where the bytes with this digest are, or would be."""
        return self._objects / digest[:2] / digest

    def place(self, digest: Digest) -> str:
        """Return `path` as an absolute text, in a fraction of the time."""
        return f"{self._place}/{digest[:2]}/{digest}"

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Return True where the bytes are there, with this size if one is given."""
        try:
            found = self.path(digest).stat()
        except OSError:
            return False
        return size is None or found.st_size == size

    def verify(self, digest: Digest) -> bool:
        """Return True where the bytes are there and have this digest.

        The bytes are read once per process as long as the file stays the same.
        """
        path = self.path(digest)
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # of a pipe the end would never come
                return False
            found = _identity(status)
            if self._verified.get(digest) == found:
                return True
            whole = digest_file(path) == digest
        except OSError:
            return False
        if whole:
            self._verified[digest] = found
        return whole

    def set_aside(self, digest: Digest) -> Path | None:
        """Move damaged bytes to ``damaged``, so that their task runs again.

        Returns
        -------
        Path or None
            Where they are now; None where there was nothing to move.
        """
        self._damaged.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        target = self._damaged / f"{digest}.{secrets.token_hex(4)}"
        self._verified.pop(digest, None)
        try:
            self.path(digest).rename(target)
        except FileNotFoundError:
            return None
        sync_folder(self.path(digest).parent)
        return target

    def put(self, path: Path, *, name: str | None = None, mark: str = "") -> ProductFile:
        """Move a finished file into the store.

        Bytes that are there already are replaced by the same bytes: this mends damage.

        Parameters
        ----------
        path : Path
            Regular file, nobody writes to it any more; gone afterwards.
        name : str, optional
            Name of the file in its product; the file's own by default.
        mark : str
            Text that the file may carry and that is no part of its content: the task key.

        Raises
        ------
        StoreError
            Where it is no regular file.
        """
        stored, draft = self.draft(path, name=name, mark=mark)
        self._commit([draft])
        path.unlink(missing_ok=True)  # where a copy was published
        return stored

    def draft(
        self, path: Path, *, name: str | None = None, mark: str = ""
    ) -> tuple[ProductFile, Draft]:
        """Return what `put` would store, and what is left to do for it.

        See `put` for the parameters. The file must stay until the draft is published.
        """
        handle = _open_regular(path)
        try:
            status = os.fstat(handle)
            if status.st_nlink > 1:  # the bytes have another name, under which they may change
                return self._draft_copy(path, name or path.name, mark)
            digest, data_digest = digests_of(handle, mark.encode())
            os.fchmod(handle, _READ_ONLY)
        finally:
            os.close(handle)
        target = self.path(digest)
        is_new = make_folder(target.parent)
        return (
            ProductFile(
                name=name or path.name, digest=digest, size=status.st_size, data_digest=data_digest
            ),
            Draft(source=path, target=target, is_new_folder=is_new),
        )

    def publish(
        self, folder: Path, kind: str, summary: Mapping[str, Any], *, mark: str = ""
    ) -> Product:
        """Move the files of a product into the store.

        Parameters
        ----------
        folder : Path
            Private folder that holds the files of one product and nothing else.
        kind : str
            Product kind.
        summary : mapping
            A few plain values for people.
        mark : str
            Text in the files that is no part of their content; see `put`.

        Raises
        ------
        StoreError
            Where there is no file, or something other than files and folders, a symbolic link
            for example.
        """
        product, drafts = self.drafts(folder, kind, summary, mark=mark)
        self._commit(drafts)
        return product

    def drafts(
        self, folder: Path, kind: str, summary: Mapping[str, Any], *, mark: str = ""
    ) -> tuple[Product, list[Draft]]:
        """Return what `publish` would store, and what is left to do for it.

        See `publish` for the parameters. The folder must stay until the drafts are published.
        """
        found = sorted((path.relative_to(folder).as_posix(), path) for path in _files_of(folder))
        if not found:
            raise StoreError(f"{kind}: nothing was written for this product")
        pairs = [self.draft(path, name=name, mark=mark) for name, path in found]
        files = tuple(item for item, _ in pairs)
        product = Product(
            kind=kind, digest=product_digest(kind, files), files=files, summary=dict(summary)
        )
        return product, [draft for _, draft in pairs]

    @staticmethod
    def _commit(drafts: Sequence[Draft]) -> None:
        committer = Committer()
        try:
            committer.commit(drafts)
        except OSError:
            for draft in drafts:
                draft.discard()
            raise
        finally:
            committer.close()

    def _draft_copy(self, path: Path, name: str, mark: str) -> tuple[ProductFile, Draft]:
        """Prepare a copy of bytes that have a second name."""
        self._drafts.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        copy = self._drafts / secrets.token_hex(16)
        try:
            shutil.copyfile(path, copy, follow_symlinks=False)
            return self.draft(copy, name=name, mark=mark)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _open_regular(path: Path) -> int:
    """Open a file that is no link, pipe or device; never block on one."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(
                f"{path.name} is a symbolic link; products hold regular files"
            ) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise StoreError(f"{path.name} is not a regular file; products hold regular files")
    return handle


def _check_text(name: Path) -> None:
    """Refuse a name that records, which are UTF-8, cannot hold."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise StoreError(
            f"the name of the file {os.fsencode(name)!r} is not UTF-8",
            hint="products hold files with names that can be written down",
        ) from None


def _files_of(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; refuse what is neither file nor folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _files_of(path)
            elif entry.is_file(follow_symlinks=False):
                _check_text(path.relative_to(folder))
                yield path
            else:
                raise StoreError(
                    f"{path.relative_to(folder)} is neither file nor folder (a symbolic link?)",
                    hint="products hold regular files only",
                )
