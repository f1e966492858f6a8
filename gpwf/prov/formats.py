"""Formats that a record can be exported to: one table, and how a format is found in it.

Plain data, so that the command line knows the names without loading what writes them. A new format
is one line of `TABLE` and the function that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpwf.errors import ProvenanceError

__all__ = ["FORMATS", "TABLE", "Format", "format_of", "guess_format"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of records.

    Parameters
    ----------
    name : str
        As ``--format`` takes it.
    title : str
        What people call it.
    suffixes : tuple of str
        Ends of file names that mean it, with their dot.
    writer : str
        ``module:function``. The function is called with a `gpwf.prov.export.Source` and a binary
        stream to write to; that of a format that is a folder, with the path of the folder, which
        is not there yet.
    needs : str
        Module of the extra ``gpwf[records]`` that the writer imports; empty for none.
    is_folder : bool
        True where the result is a folder.
    cost : tuple of (float, float)
        Seconds of processor time, and bytes of memory, per byte of the PROV-JSON file: measured,
        see `gpwf.prov.export`. Zero for what is copied.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    writer: str
    needs: str = ""
    is_folder: bool = False
    cost: tuple[float, float] = (0.0, 0.0)


_WRITERS = "gpwf.prov.export_writers"

#: Every format, the one of `prov/prov.json` first.
TABLE: tuple[Format, ...] = (
    Format(
        name="json",
        title="PROV-JSON",
        suffixes=(".json",),
        writer=f"{_WRITERS}:write_json",
    ),
    Format(
        name="jsonld",
        title="PROV-JSONLD",
        suffixes=(".jsonld",),
        writer=f"{_WRITERS}:write_jsonld",
        cost=(0.3e-6, 21.0),
    ),
    Format(
        name="provn",
        title="PROV-N",
        suffixes=(".provn",),
        writer=f"{_WRITERS}:write_provn",
        cost=(0.3e-6, 21.0),
    ),
    Format(
        name="xml",
        title="PROV-XML",
        suffixes=(".provx", ".xml"),
        writer=f"{_WRITERS}:write_xml",
        needs="lxml",
        cost=(0.3e-6, 21.0),
    ),
    Format(
        name="ttl",
        title="PROV-O in Turtle",
        suffixes=(".ttl",),
        writer=f"{_WRITERS}:write_turtle",
        needs="rdflib",
        cost=(1.8e-6, 45.0),
    ),
    Format(
        name="trig",
        title="PROV-O in TriG",
        suffixes=(".trig",),
        writer=f"{_WRITERS}:write_trig",
        needs="rdflib",
        cost=(1.8e-6, 45.0),
    ),
    Format(
        name="dot",
        title="graph for Graphviz",
        suffixes=(".dot", ".gv"),
        writer=f"{_WRITERS}:write_dot",
        cost=(0.3e-6, 21.0),
    ),
    Format(
        name="ivoa",
        title="view in the IVOA Provenance Data Model",
        suffixes=(".ivoa.json",),
        writer="gpwf.prov.ivoa:write_ivoa",
        cost=(0.1e-6, 20.0),
    ),
    Format(
        name="crate",
        title="research object crate",
        suffixes=(".crate", ".crate.zip"),
        writer="gpwf.prov.crate_source:write_folder",
        is_folder=True,
        cost=(0.1e-6, 20.0),
    ),
)

_BY_NAME: Mapping[str, Format] = {item.name: item for item in TABLE}

#: Names of the formats, in the order of the table.
FORMATS: tuple[str, ...] = tuple(_BY_NAME)


def format_of(name: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    ProvenanceError
        For a name that is none.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ProvenanceError(
            f"unknown provenance format {name!r}", hint=f"formats: {', '.join(FORMATS)}"
        ) from None


def guess_format(path: Path | None) -> Format:
    """Return the format that the name of a file asks for; PROV-JSON for no file.

    Of several suffixes that fit the longest counts: ``x.crate.zip`` may mean another thing than
    ``x.zip``.

    Raises
    ------
    ProvenanceError
        For a name that says nothing.
    """
    if path is None or str(path) == "-":
        return TABLE[0]
    name = path.name.lower()
    fitting = [
        (len(suffix), item) for item in TABLE for suffix in item.suffixes if name.endswith(suffix)
    ]
    if not fitting:
        known = ", ".join(suffix for item in TABLE for suffix in item.suffixes)
        raise ProvenanceError(
            f"{path.name} does not say which format is wanted",
            hint=f"say it with --format, or end the name with one of {known}",
        )
    return max(fitting, key=lambda pair: pair[0])[1]
