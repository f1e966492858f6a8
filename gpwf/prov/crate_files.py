"""Where the files of a crate go: a folder or a zip archive, whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import zipfile
from abc import ABC, abstractmethod
from hashlib import sha256
from pathlib import Path

from gpwf.core.digests import digest_file
from gpwf.errors import ProvenanceError, UsageError

__all__ = [
    "METADATA",
    "CrateFolder",
    "CrateSink",
    "CrateZip",
    "media_type",
    "open_sink",
    "safe_path",
]

#: The file that makes a folder a crate.
METADATA = "ro-crate-metadata.json"

_CHUNK = 1 << 20
_LONGEST = 120  # characters of a name; file systems take 255 bytes
_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]")
#: Compressing these again costs time and gains nothing.
_PACKED = (".gz", ".png", ".pdf", ".zip", ".bz2", ".xz")

#: References: FITS RFC 4047, YAML RFC 9512, the registry of IANA.
_MEDIA = {
    ".fits": "application/fits",
    ".fit": "application/fits",
    ".gz": "application/gzip",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".csv": "text/csv",
    ".xml": "application/xml",
    ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".zip": "application/zip",
    ".py": "text/x-python",
    ".md": "text/markdown",
}
_TEXTS = (".txt", ".dat", ".ecsv", ".log", ".reg")


def media_type(name: str) -> str:
    """Return the media type of a file by its name; that of any bytes where it is not known."""
    suffix = Path(name).suffix.lower()
    if suffix in _TEXTS:
        return "text/plain"
    return _MEDIA.get(suffix, "application/octet-stream")


def safe_path(*parts: str) -> str:
    """Return a path below the crate that every file system takes.

    A task ``sim[seed=1]`` becomes ``sim/seed=1``; other signs than letters, digits and ``._=,+-``
    become ``_``, and a long name ends in a digest of what it was.
    """
    names: list[str] = []
    for part in parts:
        head, _, place = part.partition("[")
        names += [*head.split("/"), *([place.removesuffix("]")] if place else [])]
    return "/".join(_safe(name) for name in names if name)


def _safe(name: str) -> str:
    found = _UNSAFE.sub("_", name)
    if found.strip(".") == "" or len(found) > _LONGEST:
        return f"{found.replace('.', '_')[:_LONGEST]}-{sha256(name.encode()).hexdigest()[:12]}"
    return found


class CrateSink(ABC):
    """Takes the files of a crate.

    Parameters
    ----------
    target : Path
        What appears in the end.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.n_bytes = 0
        self.names: set[str] = set()
        self._draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")

    def add_file(self, name: str, source: Path, digest: str) -> bool:
        """Copy a file; return False where its bytes are not what the digest says.

        Parameters
        ----------
        name : str
            Path in the crate.
        source : Path
            The file.
        digest : str
            SHA-256 that it must have.
        """
        if digest_file(source) != digest:
            return False
        self._copy(name, source)
        self._note(name, source.stat().st_size)
        return True

    def add_bytes(self, name: str, data: bytes) -> None:
        """Write a file."""
        self._write(name, data)
        self._note(name, len(data))

    def _note(self, name: str, size: int) -> None:
        self.names.add(name)
        self.n_bytes += size

    @abstractmethod
    def _copy(self, name: str, source: Path) -> None: ...

    @abstractmethod
    def _write(self, name: str, data: bytes) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Let the crate appear, in place of what is there."""

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing behind."""


class CrateFolder(CrateSink):
    """A crate as a folder."""

    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._draft.mkdir(parents=True)

    def _place(self, name: str) -> Path:
        path = self._draft / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _copy(self, name: str, source: Path) -> None:
        # A copy, not a link: whoever edits the crate must not change the store.
        shutil.copyfile(source, self._place(name))

    def _write(self, name: str, data: bytes) -> None:
        self._place(name).write_bytes(data)

    def finish(self) -> None:
        """Let the folder appear."""
        old = self._draft.with_suffix(".old")
        if self.target.exists():
            self.target.rename(old)
        self._draft.rename(self.target)
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._draft, ignore_errors=True)


class CrateZip(CrateSink):
    """A crate as a zip archive; the same files give the same bytes."""

    _EPOCH = (1980, 1, 1, 0, 0, 0)

    def __init__(self, target: Path) -> None:
        super().__init__(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._zip = zipfile.ZipFile(self._draft, "x")

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._EPOCH)
        info.external_attr = 0o644 << 16
        packed = name.lower().endswith(_PACKED)
        info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
        return info

    def _copy(self, name: str, source: Path) -> None:
        info = self._info(name)
        info.file_size = source.stat().st_size  # says whether 64 bits are needed
        with source.open("rb") as stream, self._zip.open(info, "w") as entry:
            shutil.copyfileobj(stream, entry, _CHUNK)

    def _write(self, name: str, data: bytes) -> None:
        self._zip.writestr(self._info(name), data)

    def finish(self) -> None:
        """Let the archive appear."""
        self._zip.close()
        self._draft.replace(self.target)

    def discard(self) -> None:
        """Remove what was written."""
        try:
            self._zip.close()
        except OSError:  # a full disk: there is nothing worth closing
            self._zip.fp = None
        self._draft.unlink(missing_ok=True)


def open_sink(target: Path, *, overwrite: bool = False) -> CrateSink:
    """Return where the files of a crate go: an archive for ``*.zip``, a folder otherwise.

    Parameters
    ----------
    target : Path
        Folder or archive that is to appear.
    overwrite : bool
        Replace a crate that is there.

    Raises
    ------
    UsageError
        Where something is there already that may not or must not be replaced.
    ProvenanceError
        Where nothing can be written.
    """
    _refuse_existing(target, overwrite=overwrite)
    try:
        return CrateZip(target) if target.suffix.lower() == ".zip" else CrateFolder(target)
    except OSError as error:
        raise ProvenanceError(
            f"cannot write {target}: {error.strerror or error}",
            hint="choose another place with -o, or make the folder writable",
        ) from error


def _refuse_existing(target: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.suffix.lower() == ".zip":
        if not target.is_file():
            raise UsageError(f"{target} is there and is no archive", hint="choose another name")
    elif not target.is_dir() or target.is_symlink():
        raise UsageError(
            f"{target} is there and is no folder",
            hint="choose another place; a name that ends in .zip makes an archive",
        )
    elif not any(target.iterdir()):
        return
    elif not (target / METADATA).is_file():
        raise UsageError(
            f"{target} is there and holds no crate: it is not replaced",
            hint="choose a folder that does not exist yet",
        )
    if not overwrite:
        raise UsageError(f"{target} is there already", hint="--overwrite replaces it")
