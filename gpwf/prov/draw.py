"""Pictures of provenance records: SVG, PNG and PDF through Graphviz; DOT and HTML without it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.errors import ProvenanceError
from gpwf.prov.dot import to_dot
from gpwf.prov.graph import Graph, build_graph
from gpwf.prov.ingest_merge import with_ingested
from gpwf.prov.json_sections import replacing
from gpwf.prov.record_index import RecordIndex

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = [
    "FORMATS",
    "GRAPHVIZ_HINT",
    "draw",
    "draw_document",
    "draw_file",
    "graphviz_available",
]

#: Formats of `draw`; the first three need the ``dot`` program.
FORMATS = ("svg", "png", "pdf", "dot", "html")
_RENDERED = ("svg", "png", "pdf")

GRAPHVIZ_HINT = (
    "install Graphviz (`apt install graphviz`, `conda install graphviz` or "
    "`brew install graphviz`), or choose dot or html, which need nothing"
)

#: Tasks that get a node of their own in a picture, and in a page; beyond, large steps are folded.
MOST_TASKS: Mapping[str, int] = {"svg": 250, "png": 250, "pdf": 250, "html": 120}
#: Nodes and arrows that Graphviz lays out in some seconds; a page takes more.
_MOST_PARTS = 3000
_MOST_PAGE_PARTS = 6000
#: Elements and relations of a record of which a full graph fits into memory.
_MOST_FULL = 300_000
_PATIENCE_S = 120.0


def graphviz_available() -> bool:
    """Tell whether the ``dot`` program is there."""
    return shutil.which("dot") is not None


def draw(
    plan: Plan,
    events: Sequence[RunEvent],
    *,
    path: Path,
    format: str | None = None,
    detail: str = "step",
    of: str | None = None,
    direction: str | None = None,
    parameters: Sequence[str] = (),
    logs: Mapping[str, Sequence[str]] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Draw the provenance of a run from its plan and its journal; see `draw_file`."""
    from gpwf.prov.document import build_document

    return draw_document(
        build_document(plan, events),
        path=path,
        format=format,
        detail=detail,
        of=of,
        direction=direction,
        parameters=parameters,
        logs=logs,
        tell=tell,
    )


def draw_file(
    record: Path,
    *,
    path: Path,
    format: str | None = None,
    detail: str = "step",
    of: str | None = None,
    direction: str | None = None,
    parameters: Sequence[str] = (),
    logs: Mapping[str, Sequence[str]] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Draw a PROV-JSON file of gpwf or of any other program; no run directory is needed.

    What was ingested and lies beside the record is drawn with it.

    Parameters
    ----------
    record : Path
        PROV-JSON file.
    path : Path
        File to write.
    format : str, optional
        One of `FORMATS`; the suffix of ``path`` by default.
    detail : str
        ``workflow``, ``step``, ``task`` or ``full``.
    of : str, optional
        Only what belongs to this product, step, file or digest.
    direction : str, optional
        With ``of``: ``up`` for what it was made from, ``down`` for what was made from it.
    parameters : sequence of str
        Settings that are written in the nodes: names, ``all``, or ``changed``.
    logs : mapping of str to sequence of str, optional
        The last lines of the log of each task, for the page; they are shown as they are.
    tell : callable, optional
        Called with what of the record is not in the picture, or not as asked for.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ProvenanceError
        For an unknown format, detail or name, a file that cannot be read or written, a graph that
        is too large, or where Graphviz is needed and missing.
    """
    name = _format(path, format)
    with with_ingested(record) as whole:
        index = RecordIndex(path=whole, full=detail == "full")
        if not index.has_tasks and not index.is_empty:
            index = RecordIndex(path=whole)  # drawn in full, whatever was asked for
        return _draw(index, path, name, detail, of, direction, parameters, logs or {}, tell)


def draw_document(
    document: ProvDocument,
    *,
    path: Path,
    format: str | None = None,
    detail: str = "step",
    of: str | None = None,
    direction: str | None = None,
    parameters: Sequence[str] = (),
    logs: Mapping[str, Sequence[str]] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Draw a provenance record that is in memory; see `draw_file`."""
    name = _format(path, format)
    index = RecordIndex(document)
    return _draw(index, path, name, detail, of, direction, parameters, logs or {}, tell)


def _format(path: Path, format: str | None) -> str:
    """Return the format of a picture, after a look whether it can be drawn at all."""
    name = (format or path.suffix.removeprefix(".")).lower()
    if name not in FORMATS:
        raise ProvenanceError(
            f"unknown picture format {name!r}", hint=f"formats: {', '.join(FORMATS)}"
        )
    if name in _RENDERED and not graphviz_available():
        raise ProvenanceError(
            f"drawing {name} needs the program `dot` of Graphviz, which is not installed",
            hint=GRAPHVIZ_HINT,
        )
    return name


def _draw(
    index: RecordIndex,
    path: Path,
    name: str,
    detail: str,
    of: str | None,
    direction: str | None,
    parameters: Sequence[str],
    logs: Mapping[str, Sequence[str]],
    tell: Callable[[str], None] | None,
) -> Path:
    if detail == "full" or not index.has_tasks:
        _check_record(index, name, whole=of is None)
    graph = build_graph(
        index,
        detail=detail,
        of=of,
        direction=direction,
        parameters=parameters,
        members=name == "html",
        most=MOST_TASKS.get(name),
    )
    _check_size(graph, name)
    if name == "html":
        from gpwf.prov.html import to_html

        data = to_html(graph, logs=logs, unfolded=detail == "task").encode("utf-8", "replace")
    else:
        source = to_dot(graph).encode("utf-8", "replace")
        data = source if name == "dot" else _render(source, name)
    with replacing(path) as stream:
        stream.write(data)
    if graph.note and tell is not None:
        tell(graph.note)
    return path


def _check_record(index: RecordIndex, name: str, *, whole: bool) -> None:
    """Refuse a full picture that is hopeless before it takes minutes to find that out."""
    most = _MOST_FULL
    if whole and name != "dot":
        most = 2 * (_MOST_PAGE_PARTS if name == "html" else _MOST_PARTS)  # some are not drawn
    if index.size > most:
        part = ", or a part of the record with --of" if index.size <= _MOST_FULL else ""
        raise ProvenanceError(
            f"the record has {index.size} elements and relations: too many to draw in full",
            hint=f"choose less detail{part}",
        )


def _check_size(graph: Graph, name: str) -> None:
    parts = len(graph.nodes) + len(graph.edges)
    if name in _RENDERED and parts > _MOST_PARTS:
        raise ProvenanceError(
            f"{len(graph.nodes)} nodes and {len(graph.edges)} arrows are too many for Graphviz",
            hint="choose html, less detail, or a part of the record with --of",
        )
    if name == "html" and parts > _MOST_PAGE_PARTS:
        raise ProvenanceError(
            f"{len(graph.nodes)} nodes and {len(graph.edges)} arrows are too many for a page",
            hint="choose dot, less detail, or a part of the record with --of",
        )


def _render(source: bytes, name: str) -> bytes:
    """Have Graphviz draw; it can take very long, so that it is not waited for without end."""
    try:
        done = subprocess.run(
            ["dot", f"-T{name}"], input=source, capture_output=True, timeout=_PATIENCE_S
        )
    except OSError as error:
        raise ProvenanceError(
            "the program `dot` of Graphviz cannot be started", hint=GRAPHVIZ_HINT
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ProvenanceError(
            f"Graphviz was given up after {_PATIENCE_S:.0f} s",
            hint="choose html, less detail, or a part of the record with --of",
        ) from error
    if done.returncode or not done.stdout:
        words = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise ProvenanceError(f"Graphviz could not draw the graph: {words or done.returncode}")
    return done.stdout
