"""The functions that write records, one per format of `gpwf.prov.formats`.

Everything but the copy goes through the library `prov`. Each result, read back by the library, is
equal to the record; a test holds that for every kind of run and for odd values.

References
----------
PROV-JSON, https://www.w3.org/submissions/prov-json/; PROV-JSONLD,
https://www.w3.org/submissions/prov-jsonld/; PROV-N, https://www.w3.org/TR/prov-n/; PROV-XML,
https://www.w3.org/TR/prov-xml/; PROV-O, https://www.w3.org/TR/prov-o/.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gpwf.errors import ProvenanceError
from gpwf.prov.reading import kind_of_text

if TYPE_CHECKING:
    from gpwf.prov.export import Source

__all__ = [
    "write_dot",
    "write_json",
    "write_jsonld",
    "write_provn",
    "write_trig",
    "write_turtle",
    "write_xml",
]


def write_json(source: Source, stream: IO[bytes]) -> None:
    """Copy a PROV-JSON file byte by byte; convert a file of another format."""
    if source.loaded is None:
        try:
            with source.record.open("rb") as record:
                begin = record.read(4000)
                if kind_of_text(begin.decode("utf-8", errors="replace")) == "json":
                    stream.write(begin)
                    shutil.copyfileobj(record, stream, 1 << 20)
                    return
        except OSError as error:
            raise ProvenanceError(f"cannot read {source.record}: {error.strerror}") from error
    # Not document.serialize(): it loads the serialisers of every format, which takes 0.1 s.
    from prov.serializers.provjson import ProvJSONSerializer

    buffer = io.StringIO()
    ProvJSONSerializer(source.document()).serialize(buffer, indent=1)
    stream.write(buffer.getvalue().encode() + b"\n")


def write_jsonld(source: Source, stream: IO[bytes]) -> None:
    """Write PROV-JSONLD with the context of the submission."""
    from prov.serializers.provjsonld import ProvJSONLDSerializer

    buffer = io.StringIO()
    ProvJSONLDSerializer(source.document()).serialize(buffer, indent=1)
    stream.write(buffer.getvalue().encode() + b"\n")


def write_provn(source: Source, stream: IO[bytes]) -> None:
    """Write PROV-N."""
    stream.write(source.document().get_provn().encode() + b"\n")


def write_xml(source: Source, stream: IO[bytes]) -> None:
    """Write PROV-XML."""
    from prov.serializers.provxml import ProvXMLSerializer

    ProvXMLSerializer(source.document()).serialize(stream)


def write_turtle(source: Source, stream: IO[bytes]) -> None:
    """Write PROV-O in Turtle.

    Raises
    ------
    ProvenanceError
        For a document with bundles: named graphs are more than Turtle has.
    """
    document = source.document()
    if document.has_bundles():
        raise ProvenanceError(
            "the record has bundles, for which Turtle has no place", hint="choose trig"
        )
    _write_rdf(document, stream, "turtle")


def write_trig(source: Source, stream: IO[bytes]) -> None:
    """Write PROV-O in TriG."""
    _write_rdf(source.document(), stream, "trig")


def _write_rdf(document: object, stream: IO[bytes], name: str) -> None:
    from prov.serializers.provrdf import ProvRDFSerializer

    with warnings.catch_warnings():
        # the library calls what rdflib 7 calls deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        ProvRDFSerializer(document).serialize(stream, rdf_format=name)


def write_dot(source: Source, stream: IO[bytes]) -> None:
    """Write the graph of the record in full detail, in the language of Graphviz."""
    from gpwf.prov.draw import draw_document

    with tempfile.TemporaryDirectory(prefix="gpwf-dot-") as folder:
        path = draw_document(
            source.document(), path=Path(folder) / "x.dot", format="dot", detail="full"
        )
        stream.write(path.read_bytes())
