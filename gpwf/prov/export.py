"""Write provenance records in standard formats, and read them back."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.errors import ProvenanceError
from gpwf.prov.json_sections import replacing

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = ["FORMATS", "load", "serialise", "write", "write_bytes"]


def _json(document: ProvDocument) -> str:
    # Not document.serialize(): it loads the serialisers of every format, which takes 0.1 s.
    from prov.serializers.provjson import ProvJSONSerializer

    buffer = io.StringIO()
    ProvJSONSerializer(document).serialize(buffer, indent=1)
    return buffer.getvalue() + "\n"


def _provn(document: ProvDocument) -> str:
    return str(document.get_provn()) + "\n"


_WRITERS: Mapping[str, Callable[[Any], str]] = {"json": _json, "provn": _provn}

#: Names of the formats that `write` knows.
FORMATS: tuple[str, ...] = tuple(_WRITERS)

#: Keys of a PROV-JSON document (https://www.w3.org/submissions/prov-json/); a file with none of
#: the first three holds no provenance, whatever else it is.
_ELEMENTS = ("entity", "activity", "agent")


def serialise(document: ProvDocument, format: str = "json") -> str:
    """Return a document as text.

    Parameters
    ----------
    document : prov.model.ProvDocument
        Record to write.
    format : str
        One of `FORMATS`.

    Raises
    ------
    ProvenanceError
        For an unknown format.
    """
    try:
        writer = _WRITERS[format]
    except KeyError:
        raise ProvenanceError(
            f"unknown provenance format {format!r}",
            hint=f"formats: {', '.join(FORMATS)}",
        ) from None
    return writer(document)


def write(document: ProvDocument, path: Path, format: str = "json") -> Path:
    """Write a document to a file: whole or not at all.

    Parameters
    ----------
    document : prov.model.ProvDocument
        Record to write.
    path : Path
        File to write or replace; missing folders are made.
    format : str
        One of `FORMATS`.

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


def load(path: Path) -> ProvDocument:
    """Read a PROV-JSON file, from gpwf or from elsewhere.

    Parameters
    ----------
    path : Path
        File to read.

    Raises
    ------
    ProvenanceError
        Where there is no such file, it is torn, or it is not PROV-JSON.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise ProvenanceError(
            f"cannot read {path}: {reason}", hint="expected a PROV-JSON file, prov.json of a run"
        ) from error
    return _parse(path, text)


def _parse(path: Path, text: str) -> ProvDocument:
    hint = "expected PROV-JSON; `gpwf prov export` writes the record of a run again"
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        what = "is torn" if error.pos >= len(text.rstrip()) - 1 else "is not JSON"
        raise ProvenanceError(
            f"{path}:{error.lineno}:{error.colno}: the file {what}: {error.msg}", hint=hint
        ) from error
    except RecursionError as error:
        raise ProvenanceError(f"{path}: too deeply nested", hint=hint) from error
    if not isinstance(data, dict) or not any(isinstance(data.get(key), dict) for key in _ELEMENTS):
        raise ProvenanceError(
            f"{path} is JSON but holds no entity, activity or agent: not PROV-JSON", hint=hint
        )
    from prov import Error
    from prov.model import ProvDocument

    try:
        with warnings.catch_warnings():
            # Future strictness of the library is no concern of who reads an old record.
            warnings.simplefilter("ignore")
            return ProvDocument.deserialize(content=text, format="json")
    except (Error, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProvenanceError(f"{path} is not valid PROV-JSON: {error}", hint=hint) from error
