"""PROV-JSON → its records one after the other, of our own files in bounded memory.

gpwf writes one record in a line. Such a file is read line by line, and a record is known by its
place in the file. Any other PROV-JSON, with bundles and several records of one name, is read whole.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gpwf.errors import ProvenanceError
from gpwf.prov.reading import kind_of_text, read_document

__all__ = ["ELEMENTS", "RELATIONS", "Entry", "read_all", "read_lines", "read_part"]

#: Sections of things; they come before those of relations in our files.
ELEMENTS = {"entity": "entity", "activity": "activity", "agent": "agent"}

#: Section of relations → the attributes that name the effect and, in order of preference, its
#: cause. A start without a trigger is caused by its starter.
RELATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "used": ("prov:activity", ("prov:entity",)),
    "wasGeneratedBy": ("prov:entity", ("prov:activity",)),
    "wasDerivedFrom": ("prov:generatedEntity", ("prov:usedEntity",)),
    "wasInformedBy": ("prov:informed", ("prov:informant",)),
    "wasStartedBy": ("prov:activity", ("prov:starter", "prov:trigger")),
    "wasEndedBy": ("prov:activity", ("prov:ender", "prov:trigger")),
    "wasAssociatedWith": ("prov:activity", ("prov:agent",)),
    "wasAttributedTo": ("prov:entity", ("prov:agent",)),
    "actedOnBehalfOf": ("prov:delegate", ("prov:responsible",)),
    "specializationOf": ("prov:specificEntity", ("prov:generalEntity",)),
    "alternateOf": ("prov:alternate1", ("prov:alternate2",)),
    "hadMember": ("prov:collection", ("prov:entity",)),
    "wasInvalidatedBy": ("prov:entity", ("prov:activity",)),
    "wasInfluencedBy": ("prov:influencee", ("prov:influencer",)),
    "mentionOf": ("prov:specificEntity", ("prov:generalEntity",)),
}

_HEAD = re.compile(rb'"(\w+)":\{\n\Z')
_END = (b"}\n", b"},\n")


class Entry(NamedTuple):
    """One record.

    Parameters
    ----------
    section : str
        Its section of the document.
    name : str
        Its identifier.
    body : dict
        Its attributes as PROV-JSON.
    at, size : int
        Where the JSON text of the body stands in the file, in bytes; 0 where the file was read
        whole.
    """

    section: str
    name: str
    body: dict[str, Any]
    at: int = 0
    size: int = 0


def read_lines(path: Path) -> Iterator[Entry]:
    """Yield the records of a file that has one in a line.

    Raises
    ------
    ValueError
        Where it is laid out otherwise; some records may have been yielded before.
    OSError
        Where it cannot be read.
    """
    section = ""
    at = 0
    related = whole = False
    with path.open("rb") as stream:
        if stream.readline() != b"{\n":
            raise ValueError("not one record in a line")
        at = 2
        for line in stream:
            begin, at = at, at + len(line)
            if section:
                if line in _END:
                    section = ""
                elif section != "prefix":
                    colon = line.index(b'":{')
                    size = len(line) - colon - (4 if line.endswith(b",\n") else 3)
                    body = json.loads(line[colon + 2 : colon + 2 + size])
                    yield Entry(section, line[1:colon].decode(), body, begin + colon + 2, size)
            elif found := _HEAD.match(line):
                section = found[1].decode()
                if section in ELEMENTS and related:
                    raise ValueError("things behind relations")
                if section == "bundle":
                    raise ValueError("bundles are read whole")
                related = related or section in RELATIONS
            elif line == b"}\n":
                whole = True
            elif line != b",\n":
                raise ValueError("not one record in a line")
    if not whole:
        raise ValueError("the end is missing")


def read_part(path: Path) -> Iterator[Entry]:
    """Yield the records of a torn file of ours, as far as it can be read.

    Raises
    ------
    OSError
        Where it cannot be read at all.
    """
    with contextlib.suppress(ValueError, UnicodeError, KeyError):
        yield from read_lines(path)


def read_all(path: Path) -> Iterator[Entry]:
    """Yield the records of any file, things before relations, bundles dissolved.

    Other formats than PROV-JSON are read by the provenance library, see `gpwf.prov.reading`.

    Raises
    ------
    ProvenanceError
        Where it is no PROV-JSON.
    """
    hint = "`gpwf prov export --format json` writes what is read here"
    try:
        data = path.read_bytes()
        if kind_of_text(data[:4096].decode("utf-8", "replace")) in (
            "provn",
            "xml",
            "rdf",
            "jsonld",
        ):
            data = read_document(path).serialize(format="json").encode()
        document = json.loads(data)
    except OSError as error:
        raise ProvenanceError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(f"{path} is not PROV-JSON: {error}", hint=hint) from None
    parts = list(_parts(document))
    if not any(section in part for part in parts for section in (*ELEMENTS, *RELATIONS)):
        raise ProvenanceError(f"{path} is not PROV-JSON: it holds no records", hint=hint)
    for sections in (ELEMENTS, RELATIONS):
        for part in parts:
            for section in sections:
                records = part.get(section)
                for name, bodies in (records if isinstance(records, dict) else {}).items():
                    for body in bodies if isinstance(bodies, list) else [bodies]:
                        if isinstance(body, dict):
                            yield Entry(section, name, body)


def _parts(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the document and its bundles."""
    if not isinstance(document, dict):
        return
    yield document
    bundles = document.get("bundle")
    for bundle in (bundles if isinstance(bundles, dict) else {}).values():
        for item in bundle if isinstance(bundle, list) else [bundle]:
            if isinstance(item, dict):
                yield item
