"""Sections of a PROV-JSON document that grow side by side, in bounded memory.

PROV-JSON keeps records by kind: all entities, all activities, all usages. Records come task by
task, so each section collects lines and moves them to a temporary file of its own when there are
many; in the end the sections are put behind each other.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from gpwf.errors import ProvenanceError

__all__ = ["Section", "replacing", "write_sections"]

#: Lines that a section keeps in memory: about 1 MB.
MOST_LINES = 2048
_CHUNK = 1 << 20


class Section:
    """One section: JSON texts ``"id": {...}`` in their order.

    Parameters
    ----------
    folder : Path
        Where the temporary file goes, if one is needed: it has no name there, and is gone when
        the process is.

    Attributes
    ----------
    lines : list of str
        ASCII texts to come after what is in the file; whoever appends more than `MOST_LINES`
        calls `spill` in between.
    count : int
        Number of texts in the file.
    """

    __slots__ = ("_file", "_folder", "count", "lines")

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.count = 0
        self._folder = folder
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self.count + len(self.lines)

    def spill(self) -> None:
        """Move the lines to the file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        _write_all(self._file.write, self._taken())

    def clear(self) -> None:
        """Forget everything."""
        self.lines.clear()
        self.count = 0
        self.close()

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def write_to(self, stream: IO[bytes]) -> None:
        """Write the whole section, without its name and brackets."""
        if self._file is not None:
            stream.flush()
            _copy(self._file, stream)
        stream.write(self._taken())

    def _taken(self) -> bytes:
        text = ",\n".join(self.lines)
        if self.count and self.lines:
            text = ",\n" + text
        self.count += len(self.lines)
        self.lines.clear()
        return text.encode("ascii")


def write_sections(stream: IO[bytes], sections: dict[str, Section], head: str) -> None:
    """Write a JSON document of the sections that hold something, behind the members in ``head``."""
    stream.write(("{\n" + head).encode("ascii"))
    for name, section in sections.items():
        if len(section):
            stream.write(f',\n"{name}":{{\n'.encode("ascii"))
            section.write_to(stream)
            stream.write(b"\n}")
    stream.write(b"\n}\n")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file so that nobody ever sees a part of it; its mode follows the umask.

    The provenance library writes through a temporary file and leaves its mode 0600, in which
    colleagues cannot read the record.

    Raises
    ------
    ProvenanceError
        Where the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(handle, "wb", _CHUNK) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ProvenanceError(
            f"cannot write {path}: {error.strerror or error}",
            hint="choose another place with -o, or make the folder writable",
        ) from error


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    """Append one file to another, inside the kernel where that is possible: a tenth of the time."""
    done, size = 0, os.fstat(source.fileno()).st_size
    with contextlib.suppress(AttributeError, OSError, io.UnsupportedOperation):
        while done < size:  # not everywhere, and not between all file systems
            count = os.copy_file_range(source.fileno(), target.fileno(), size - done, done)
            if count == 0:
                break
            done += count
    source.seek(done)
    shutil.copyfileobj(source, target, _CHUNK)


def _write_all(write: Callable[[bytes | memoryview], int | None], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[write(view) or 0 :]
