"""Write provenance records in standard formats.

`FORMATS` and the functions that write are in a table, `gpwf.prov.formats`. A file is written whole
or not at all, and its mode follows the umask. What is not PROV-JSON goes through the library
`prov`, which holds a whole record in memory; `Expected` says beforehand what that takes.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from gpwf.errors import ProvenanceError
from gpwf.prov.formats import FORMATS, Format, format_of
from gpwf.prov.ingest_merge import with_ingested
from gpwf.prov.json_sections import replacing
from gpwf.prov.reading import load, read_document

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = [
    "FORMATS",
    "Expected",
    "Source",
    "expected",
    "export",
    "load",
    "serialise",
    "write",
    "write_bytes",
]

#: Time and memory below which nobody need be told.
_NOTICEABLE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is exported.

    Parameters
    ----------
    record : Path
        The record, PROV-JSON as a rule.
    run : Path, optional
        The run directory, where the record is that of a run.
    loaded : prov.model.ProvDocument, optional
        The record, where the caller has it.
    ingested : bool
        With what other tools wrote and `gpwf prov ingest` took in.
    """

    record: Path
    run: Path | None = None
    loaded: Any = None
    ingested: bool = True

    def document(self) -> ProvDocument:
        """Return the record as a document of the library.

        Raises
        ------
        ProvenanceError
            Where it cannot be read.
        """
        return self.loaded if self.loaded is not None else read_document(self.record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an export will take.

    Parameters
    ----------
    size : int
        Bytes of the record.
    seconds : float
        Processor time.
    memory : int
        Bytes.
    """

    size: int
    seconds: float
    memory: int

    @property
    def is_noticeable(self) -> bool:
        """True where people should be told before they wait."""
        return self.seconds >= _NOTICEABLE_S

    def __str__(self) -> str:
        minutes = self.seconds / 60
        time = f"{minutes:.0f} min" if minutes >= 2 else f"{self.seconds:.0f} s"
        return f"some {time} and {self.memory / 1e9:.1f} GB of memory"


def expected(source: Source, form: Format) -> Expected:
    """Return what an export will take, after the size of the record.

    Raises
    ------
    ProvenanceError
        Where there is no such file.
    """
    try:
        size = source.record.stat().st_size
    except OSError as error:
        raise ProvenanceError(f"cannot read {source.record}: {error.strerror}") from error
    seconds, memory = form.cost
    return Expected(size=size, seconds=size * seconds, memory=int(size * memory))


def export(source: Source, form: Format, target: Path | IO[bytes]) -> None:
    """Write a record in a format.

    Parameters
    ----------
    source : Source
        What to write.
    form : Format
        How.
    target : Path or binary stream
        File or folder to write. A file is replaced; a folder must not be there yet, or be empty.

    Raises
    ------
    ProvenanceError
        Where a library is missing, the memory of the machine is too small, the record cannot be
        read, or the target cannot be written.
    """
    _check_library(form)
    _check_memory(expected(source, form), form)
    module, _, function = form.writer.partition(":")
    writer: Callable[[Source, Any], None] = getattr(importlib.import_module(module), function)
    with contextlib.ExitStack() as stack:
        if source.ingested and source.loaded is None and not form.is_folder:
            record = stack.enter_context(with_ingested(source.record))
            source = replace(source, record=record)
        _export(source, form, writer, target)


def _export(
    source: Source,
    form: Format,
    writer: Callable[[Source, Any], None],
    target: Path | IO[bytes],
) -> None:
    if not isinstance(target, Path):
        if form.is_folder:
            raise ProvenanceError(f"{form.title} is a folder", hint="name it with -o")
        buffer = io.BytesIO()  # a record that cannot be read leaves nothing of itself
        writer(source, buffer)
        target.write(buffer.getbuffer())
    elif form.is_folder:
        _write_folder(writer, source, target)
    else:
        with replacing(target) as stream:
            writer(source, stream)


def _write_folder(writer: Callable[[Source, Any], None], source: Source, target: Path) -> None:
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ProvenanceError(
                f"{target} exists already", hint="choose another place with -o, or remove it"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            writer(source, draft)
            draft.replace(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    except OSError as error:
        raise ProvenanceError(
            f"cannot write {target}: {error.strerror or error}",
            hint="choose another place with -o, or make the folder writable",
        ) from error


def _check_library(form: Format) -> None:
    if form.needs and find_spec(form.needs) is None:
        raise ProvenanceError(
            f"{form.title} needs the library {form.needs}, which is not installed",
            hint='pip install "gpwf[records]"; json, jsonld and provn need nothing',
        )


def _check_memory(cost: Expected, form: Format) -> None:
    """Refuse what this machine cannot hold, rather than let it swap or be killed."""
    if not cost.is_noticeable:
        return
    import psutil

    free = psutil.virtual_memory().available
    if cost.memory > free:
        raise ProvenanceError(
            f"{form.title} of this record of {cost.size / 1e6:.0f} MB takes {cost}, "
            f"and {free / 1e9:.1f} GB are free",
            hint="--format json is a copy and needs nothing; or ask a machine with more memory",
        )


def serialise(document: ProvDocument, format: str = "json") -> str:
    """Return a document as text.

    Parameters
    ----------
    document : prov.model.ProvDocument
        Record to write.
    format : str
        One of `FORMATS` that is a file.

    Raises
    ------
    ProvenanceError
        For an unknown format.
    """
    form = format_of(format)
    _check_library(form)
    buffer = io.BytesIO()
    module, _, function = form.writer.partition(":")
    getattr(importlib.import_module(module), function)(
        Source(record=Path(), loaded=document), buffer
    )
    return buffer.getvalue().decode()


def write(document: ProvDocument, path: Path, format: str = "json") -> Path:
    """Write a document to a file: whole or not at all.

    Parameters
    ----------
    document : prov.model.ProvDocument
        Record to write.
    path : Path
        File to write or replace; missing folders are made.
    format : str
        One of `FORMATS` that is a file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ProvenanceError
        For an unknown format, or where the file cannot be written.
    """
    write_bytes(path, serialise(document, format).encode())
    return path


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees a part of it; its mode follows the umask.

    Raises
    ------
    ProvenanceError
        Where the file cannot be written.
    """
    with replacing(path) as stream:
        stream.write(data)
