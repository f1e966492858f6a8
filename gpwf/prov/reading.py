"""Read provenance records of any standard format, from gpwf or from elsewhere.

PROV-JSON, PROV-JSONLD and PROV-N need nothing; PROV-XML needs lxml, Turtle and TriG need rdflib,
which `gpwf[records]` brings. What a file holds is told by its first signs, not by its name.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.errors import ProvenanceError

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = ["check_json", "kind_of_text", "load", "parse_document", "read_document", "read_text"]

#: Keys of a PROV-JSON document (https://www.w3.org/submissions/prov-json/); a file with none of
#: these holds no provenance, whatever else it is.
_ELEMENTS = ("entity", "activity", "agent")
_HINT = "expected PROV-JSON; `gpwf prov export` writes the record of a run again"
_KNOWN = "known: PROV-JSON, PROV-JSONLD, PROV-N, PROV-XML, Turtle, TriG"

_COMMENTS = re.compile(r"(?:\s|//[^\n]*\n|/\*.*?\*/|#[^\n]*\n)*", re.DOTALL)
_FIRST_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("json", re.compile(r"[{\[]")),
    ("rdf", re.compile(r"@prefix\b|@base\b|PREFIX\b|BASE\b|<[a-z][a-z0-9+.-]*:[^>\s]*>\s", re.I)),
    ("xml", re.compile(r"<")),
    ("provn", re.compile(r"document\b|bundle\b")),
)
#: What the library needs for a format, and what people call the format.
_NEEDS: Mapping[str, tuple[str, str]] = {
    "xml": ("lxml", "PROV-XML"),
    "rdf": ("rdflib", "Turtle or TriG"),
}


def kind_of_text(text: str) -> str:
    """Return the format that a text begins like: json, jsonld, provn, xml or rdf; empty for none.

    Parameters
    ----------
    text : str
        The beginning suffices.
    """
    place = _COMMENTS.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    for kind, signs in _FIRST_SIGNS:
        if signs.match(text, place):
            return "jsonld" if kind == "json" and _is_jsonld(text[place : place + 4000]) else kind
    return ""


def _is_jsonld(text: str) -> bool:
    return re.search(r'"@context"\s*:', text) is not None and '"prefix"' not in text


def read_document(path: Path) -> ProvDocument:
    """Read a record of any standard format.

    Parameters
    ----------
    path : Path
        File to read.

    Raises
    ------
    ProvenanceError
        Where there is no such file, it is torn or no provenance, or a library is missing.
    """
    text = read_text(path)
    kind = kind_of_text(text[:100_000])
    if kind in ("", "json"):
        return parse_document(path, text, "json")
    return parse_document(path, text, kind)


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
    return parse_document(path, read_text(path), "json")


def read_text(path: Path) -> str:
    """Return the text of a record.

    Raises
    ------
    ProvenanceError
        Where there is no such file, or it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")  # line ends inside of texts stay as they are
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise ProvenanceError(
            f"cannot read {path}: {reason}", hint="expected a PROV-JSON file, prov.json of a run"
        ) from error


def parse_document(path: Path, text: str, kind: str) -> ProvDocument:
    """Return the document that a text holds.

    Parameters
    ----------
    path : Path
        Where it came from, for messages.
    text : str
        The whole text.
    kind : str
        As `kind_of_text` returns it.

    Raises
    ------
    ProvenanceError
        Where it is not what it should be, or a library is missing.
    """
    if kind == "json":
        check_json(path, text)
    if kind in _NEEDS:
        module, title = _NEEDS[kind]
        if find_spec(module) is None:
            raise ProvenanceError(
                f"{path} is {title}; reading it needs the library {module}, which is not installed",
                hint='pip install "gpwf[records]"',
            )
    return _deserialised(path, text, kind)


def check_json(path: Path, text: str) -> dict[str, Any]:
    """Return the data of a PROV-JSON text.

    Raises
    ------
    ProvenanceError
        Where it is torn, no JSON, or JSON of something else.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        what = "is torn" if error.pos >= len(text.rstrip()) - 1 else "is not JSON"
        raise ProvenanceError(
            f"{path}:{error.lineno}:{error.colno}: the file {what}: {error.msg}", hint=_HINT
        ) from error
    except (RecursionError, ValueError) as error:  # a number of very many digits
        what = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise ProvenanceError(f"{path}: {what}", hint=_HINT) from error
    if not isinstance(data, dict) or not any(isinstance(data.get(key), dict) for key in _ELEMENTS):
        raise ProvenanceError(
            f"{path} is JSON but holds no entity, activity or agent: not PROV-JSON", hint=_HINT
        )
    return data


def _deserialised(path: Path, text: str, kind: str) -> ProvDocument:
    from prov import Error
    from prov.model import ProvDocument

    failures: tuple[type[Exception], ...] = (
        Error, KeyError, TypeError, ValueError, AttributeError, IndexError, AssertionError
    )  # fmt: skip
    options: dict[str, Any] = {}
    content: str | bytes = text
    if kind == "xml":
        from lxml import etree

        failures = (*failures, etree.LxmlError)
        content = text.encode()  # a text with an encoding declaration is refused
    if kind == "rdf":
        from rdflib.exceptions import ParserError
        from rdflib.plugins.parsers.notation3 import BadSyntax

        failures = (*failures, BadSyntax, ParserError)
        options["rdf_format"] = "trig"  # Turtle is a part of it
    try:
        with warnings.catch_warnings(), _quiet("rdflib"):
            # Future strictness of the libraries is no concern of who reads an old record.
            warnings.simplefilter("ignore")
            document = ProvDocument.deserialize(content=content, format=kind, **options)
    except failures as error:
        title = {"json": "PROV-JSON", "jsonld": "PROV-JSONLD", "provn": "PROV-N"}.get(kind, "")
        title = title or _NEEDS[kind][1]
        raise ProvenanceError(
            f"{path} is not valid {title}: {_first_line(error)}",
            hint=_HINT if kind == "json" else _KNOWN,
        ) from error
    if kind != "json" and not document.get_records() and not document.has_bundles():
        raise ProvenanceError(f"{path} holds no provenance", hint=_KNOWN)
    return document


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library from logging what it does not like in a file: the exception says enough."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
