"""Provenance that other tools wrote becomes part of a record.

Each file becomes a PROV-JSON document of its own beside the record, named by the SHA-256 of the
file: ``prov/ingested-<digest>.json``. The record itself stays as it is; `merged_record` puts both
together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.core.digests import digest_file
from gpwf.errors import ProvenanceError
from gpwf.prov.ingest_ctapipe import is_ctapipe, read_ctapipe, split_json
from gpwf.prov.ingest_fits import read_fits
from gpwf.prov.ingest_links import ForeignDocument, Link, OurFile
from gpwf.prov.ingest_prov import read_prov
from gpwf.prov.json_sections import replacing

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = [
    "Ingested",
    "companions",
    "load_with_ingested",
    "merge_into",
    "merged_record",
    "read_companion",
    "read_foreign",
    "write_ingested",
]

_LARGEST_TEXT = 256 * 2**20
_GZIP, _FITS = b"\x1f\x8b", b"SIMPLE  ="
_ELEMENTS = ("entity", "activity", "agent")
_FORMAL = ("prov:startTime", "prov:endTime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """A foreign file that was read.

    Parameters
    ----------
    source : Path
        The file.
    digest : str
        Its SHA-256.
    form : str
        Its format.
    data : mapping
        What it says, as PROV-JSON.
    links : tuple of Link
        Files in it that are inputs of the run.
    warnings : tuple of str
        What could not be linked.
    """

    source: Path
    digest: str
    form: str
    data: Mapping[str, Any]
    links: tuple[Link, ...]
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the document beside the record."""
        return f"ingested-{self.digest[:16]}.json"

    def count(self, section: str) -> int:
        """Return the number of records of a kind."""
        return len(self.data.get(section, ()))


def read_foreign(path: Path, ours: Sequence[OurFile], only: OurFile | None = None) -> Ingested:
    """Read a file with provenance that another tool wrote; its content tells the format.

    Parameters
    ----------
    path : Path
        A log of ctapipe, a FITS file, or a document in a notation of PROV.
    ours : sequence of OurFile
        Inputs of the run.
    only : OurFile, optional
        The input that it tells of, where names do not say so.

    Raises
    ------
    ProvenanceError
        Where the file cannot be read or is of no known format; nothing is written.
    """
    try:
        digest = digest_file(path)
        with path.open("rb") as stream:
            head = stream.read(512)
        size = path.stat().st_size
    except OSError as error:
        raise ProvenanceError(f"cannot read {path}: {error.strerror or error}") from None
    form = _form(path, head, size)
    documents: list[Any] = []
    if form == "json":
        documents = split_json(_text(path), str(path))
        form = "ctapipe" if is_ctapipe(documents) else "prov"
    document = ForeignDocument(
        source=path.name, digest=digest, form=form, ours=tuple(ours), only=only
    )
    if form == "fits":
        read_fits(path, document)
    elif form == "ctapipe":
        read_ctapipe(documents, document)
    else:
        try:
            read_prov(path, document)
        except ProvenanceError as error:
            raise ProvenanceError(error.message, hint=_KNOWN) from error
    return Ingested(
        source=path,
        digest=digest,
        form=form,
        data=document.finish(),
        links=tuple(document.links),
        warnings=tuple(document.warnings),
    )


def _form(path: Path, head: bytes, size: int) -> str:
    if not head.strip():
        raise ProvenanceError(f"{path} is empty", hint=_KNOWN)
    if head.startswith((_FITS, _GZIP)):
        return "fits"
    if size > _LARGEST_TEXT:
        raise ProvenanceError(f"{path} is larger than {_LARGEST_TEXT >> 20} MB", hint=_KNOWN)
    return "json" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")) else "prov"


_KNOWN = "known: logs of ctapipe, FITS files, PROV-JSON, JSONLD, PROV-N, PROV-XML, Turtle, TriG"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise ProvenanceError(f"cannot read {path}: it is not a text file", hint=_KNOWN) from None


def write_ingested(folder: Path, found: Ingested) -> Path:
    """Write the document beside a record, whole or not at all; return it.

    Raises
    ------
    ProvenanceError
        Where it cannot be written.
    """
    path = folder / found.name
    text = json.dumps(found.data, ensure_ascii=True, indent=1)
    try:
        with replacing(path) as stream:
            stream.write(f"{text}\n".encode())
    except OSError as error:
        raise ProvenanceError(f"cannot write {path}: {error.strerror or error}") from None
    return path


# ---- together with the record ---------------------------------------------------------------


def companions(record: Path) -> list[Path]:
    """Return the documents that belong to a record: ingested ones, and that of a reproduction.

    The records of earlier runs beside it, and those documents themselves, have none.
    """
    if record.name.startswith(("ingested-", "earlier-", "reproduction.")):
        return []
    found = sorted(record.parent.glob("ingested-*.json"))
    reproduction = record.with_name("reproduction.json")
    return [*found, reproduction] if reproduction.is_file() else found


def merged_record(record: Path) -> dict[str, Any]:
    """Return a record with all that belongs to it as one PROV-JSON document.

    What several documents say of the same thing comes together: all attributes, each value once;
    of two starts or ends that of the first document.

    Raises
    ------
    ProvenanceError
        Where one of the files cannot be read.
    """
    whole: dict[str, Any] = {}
    for number, path in enumerate((record, *companions(record))):
        for section, records in read_companion(path).items():
            into = whole.setdefault(section, {})
            for name, value in records.items():
                merge_into(into, section, name, value, number)
    return whole


def load_with_ingested(record: Path) -> ProvDocument:
    """Return a record with all that belongs to it as a document of the library `prov`.

    Raises
    ------
    ProvenanceError
        Where one of the files cannot be read.
    """
    from gpwf.prov.reading import load, parse_document

    if not companions(record):
        return load(record)
    return parse_document(record, json.dumps(merged_record(record)), "json")


def read_companion(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return a document beside a record.

    Raises
    ------
    ProvenanceError
        Where it cannot be read, or is no PROV-JSON.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ProvenanceError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(f"{path} is not JSON: {error}", hint="write it again") from None
    if not isinstance(data, dict) or not all(isinstance(item, dict) for item in data.values()):
        raise ProvenanceError(f"{path} is not PROV-JSON", hint="write it again")
    return data


def merge_into(into: dict[str, Any], section: str, name: str, value: Any, number: int) -> None:
    """Put a record of a document into a section; ``number`` is that of the document, from 0."""
    if name.startswith("_:"):
        name = f"_:d{number}-{name[2:]}" if number else name
        if value in into.values() and number:
            return
    known = into.get(name)
    if known is None or section == "prefix":
        into.setdefault(name, value)
    elif section in _ELEMENTS and isinstance(known, dict) and isinstance(value, dict):
        into[name] = _joined(known, value)
    elif known != value and not name.startswith("foreign:"):  # those differ in their role alone
        several = known if isinstance(known, list) else [known]
        into[name] = several if value in several else [*several, value]


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(first)
    for key, value in second.items():
        if key not in joined:
            joined[key] = value
        elif key not in _FORMAL and key != "prov:label":
            values = list(_listed(joined[key]))
            values += [item for item in _listed(value) if item not in values]
            joined[key] = values if len(values) > 1 else values[0]
    return joined


def _listed(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]
