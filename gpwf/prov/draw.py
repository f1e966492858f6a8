"""Pictures of provenance records: SVG, PNG and PDF through Graphviz; DOT and HTML without it."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.core.plan import Plan
from gpwf.core.runs import RunEvent
from gpwf.errors import ProvenanceError
from gpwf.prov.export import load, write_bytes
from gpwf.prov.graph import Graph, Node, build_graph
from gpwf.prov.style import style_of

if TYPE_CHECKING:
    from prov.model import ProvDocument

__all__ = [
    "FORMATS",
    "GRAPHVIZ_HINT",
    "draw",
    "draw_document",
    "draw_file",
    "graphviz_available",
    "to_dot",
]

#: Formats of `draw`; the first three need the ``dot`` program.
FORMATS = ("svg", "png", "pdf", "dot", "html")
_RENDERED = ("svg", "png", "pdf")

GRAPHVIZ_HINT = (
    "install Graphviz (`apt install graphviz`, `conda install graphviz` or "
    "`brew install graphviz`), or choose dot or html, which need nothing"
)

#: dot takes minutes beyond this; the HTML page does not.
_MOST_NODES = 1500

_SHAPES = {
    "activity": "box",
    "product": "ellipse",
    "input": "note",
    "setting": "plaintext",
    "plan": "folder",
    "agent": "house",
    "environment": "component",
    "other": "box",
}
_FONT = "Helvetica,Arial,sans-serif"


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
) -> Path:
    """Draw the provenance of a run from its plan and its journal; see `draw_document`."""
    from gpwf.prov.document import build_document

    document = build_document(plan, events)
    return draw_document(
        document, path=path, format=format, detail=detail, of=of, direction=direction
    )


def draw_file(
    record: Path,
    *,
    path: Path,
    format: str | None = None,
    detail: str = "step",
    of: str | None = None,
    direction: str | None = None,
) -> Path:
    """Draw a PROV-JSON file, without its run directory; see `draw_document`."""
    return draw_document(
        load(record), path=path, format=format, detail=detail, of=of, direction=direction
    )


def draw_document(
    document: ProvDocument,
    *,
    path: Path,
    format: str | None = None,
    detail: str = "step",
    of: str | None = None,
    direction: str | None = None,
) -> Path:
    """Draw a provenance record.

    Parameters
    ----------
    document : prov.model.ProvDocument
        A record of gpwf or any other PROV document.
    path : Path
        File to write.
    format : str, optional
        One of `FORMATS`; the suffix of ``path`` by default.
    detail : str
        ``step``, ``task`` or ``full``.
    of : str, optional
        Only what belongs to this product, step, file or digest.
    direction : str, optional
        With ``of``: ``up`` for what it was made from, ``down`` for what was made from it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ProvenanceError
        For an unknown format, detail or name, or where Graphviz is needed and missing.
    """
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
    graph = build_graph(document, detail=detail, of=of, direction=direction)
    write_bytes(path, _render(graph, name))
    return path


def _render(graph: Graph, format: str) -> bytes:
    if format == "html":
        from gpwf.prov.html import to_html

        return to_html(graph).encode()
    if format == "dot":
        return to_dot(graph).encode()
    if len(graph.nodes) > _MOST_NODES:
        raise ProvenanceError(
            f"{len(graph.nodes)} nodes are too many for Graphviz",
            hint="choose html, less detail, or a part of the record with --of",
        )
    import graphviz

    try:
        return bytes(_digraph(graph).pipe(format=format))
    except graphviz.ExecutableNotFound as error:
        raise ProvenanceError(
            "the program `dot` of Graphviz cannot be started", hint=GRAPHVIZ_HINT
        ) from error
    except graphviz.CalledProcessError as error:
        raise ProvenanceError(f"Graphviz could not draw the graph: {error}") from error


def to_dot(graph: Graph) -> str:
    """Return a graph in the language of Graphviz; every text is quoted, none is markup."""
    return str(_digraph(graph).source)


def _digraph(graph: Graph) -> Any:
    import graphviz

    title = _label([graph.title, graph.subtitle], width=200)
    picture = graphviz.Digraph(
        "provenance",
        graph_attr={
            "rankdir": "LR" if _is_wide(graph) else "TB",
            "label": title,
            "labelloc": "t",
            "labeljust": "l",
            "fontname": _FONT,
            "fontsize": "13",
            "nodesep": "0.3",
            "ranksep": "0.42",
            "pad": "0.2",
            "bgcolor": "white",
        },
        node_attr={
            "fontname": _FONT,
            "fontsize": "11",
            "style": "filled",
            "margin": "0.13,0.07",
            "height": "0.35",
        },
        edge_attr={
            "color": "#6b7280",
            "arrowsize": "0.7",
            "fontname": _FONT,
            "fontsize": "8",
            "fontcolor": "#6b7280",
        },
    )
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    for key, node in graph.nodes.items():
        picture.node(names[key], label=_label([node.title, *node.lines]), **_attributes(node))
    for edge in graph.edges:
        attributes = {"style": "dashed"} if edge.dashed else {}
        label = _label([edge.label]) if edge.label else None
        picture.edge(names[edge.source], names[edge.target], label=label, **attributes)
    return picture


def _attributes(node: Node) -> dict[str, str]:
    style = style_of(node)
    marks = ["filled"]
    if node.kind == "activity":
        marks.append("rounded")
    if style.line == "dashed":
        marks.append("dashed")
    return {
        "shape": _SHAPES.get(node.kind, "box"),
        "style": ",".join(marks),
        "fillcolor": style.fill,
        "color": style.border,
        "penwidth": "1.6" if node.kind == "activity" else "1.0",
    }


def _label(lines: Sequence[str], width: int = 34) -> str:
    """Return lines as one label in which nothing is markup or an escape sequence."""
    import graphviz

    shown = [part for line in lines if line for part in textwrap.wrap(line, width) or [line]]
    text = r"\n".join(str(graphviz.escape(_printable(part))) for part in shown)
    return str(text) if not text.startswith("<") else graphviz.nohtml(text)


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _is_wide(graph: Graph) -> bool:
    """Tell whether the graph is better drawn from left to right: many nodes side by side."""
    from gpwf.core.layout import lay_out

    sizes = dict.fromkeys(graph.nodes, (1.0, 1.0))
    return lay_out(sizes, [(edge.source, edge.target) for edge in graph.edges]).horizontal
