"""A provenance graph in the language of Graphviz.

Every text of a record is quoted; none is markup, except the title, which is escaped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from html import escape as escape_markup
from typing import TYPE_CHECKING

from gpwf.core.layout import is_wide
from gpwf.prov.graph import Graph, Node
from gpwf.prov.style import INK, KINDS, STATES, style_of

if TYPE_CHECKING:
    from graphviz import Digraph

__all__ = ["to_dot"]

_SHAPES = {
    "activity": "box",
    "product": "ellipse",
    "input": "note",
    "file": "note",
    "setting": "plaintext",
    "plan": "folder",
    "agent": "house",
    "environment": "component",
    "other": "box",
}
_WORDS = {
    "product": "product",
    "input": "file from outside",
    "file": "file",
    "setting": "setting",
    "plan": "plan",
    "agent": "agent",
    "environment": "environment",
}
_FONT = "Helvetica,Arial,sans-serif"
_SOFT = "#6b7280"
_WIDTH = 34  # characters of a line
_LONGEST = 2 * _WIDTH  # characters of a text that is longer; the whole one is in its tooltip
_SETTING = 48  # characters of a setting with its value
_MOST_LINES = 60
_MOST_TOOLTIP = 2000


def to_dot(graph: Graph) -> str:
    """Return a graph in the language of Graphviz; every text is quoted, none is markup."""
    import graphviz

    picture = graphviz.Digraph(
        "provenance",
        graph_attr={
            "rankdir": "LR" if _is_wide(graph) else "TB",
            "label": _heading(graph),
            "labelloc": "t",
            "labeljust": "l",
            "fontname": _FONT,
            "fontsize": "13",
            "fontcolor": INK,
            "nodesep": "0.3",
            "ranksep": "0.42",
            "pad": "0.2",
            "bgcolor": "white",
            "tooltip": " ",
        },
        node_attr={
            "fontname": _FONT,
            "fontsize": "11",
            "fontcolor": INK,
            "style": "filled",
            "margin": "0.13,0.07",
            "height": "0.35",
        },
        edge_attr={
            "color": _SOFT,
            "arrowsize": "0.7",
            "fontname": _FONT,
            "fontsize": "9",
            "fontcolor": _SOFT,
        },
    )
    names = {key: f"n{number}" for number, key in enumerate(graph.nodes)}
    _add_nodes(picture, graph, "", names)
    titles = {key: node.title for key, node in graph.nodes.items()}
    for edge in graph.edges:
        attributes = {"style": "dashed"} if edge.dashed else {}
        label = edge.label
        if edge.gathers > 1:
            attributes["penwidth"] = "2.4"
            label = label or f"{edge.gathers} gathered"
        picture.edge(
            names[edge.source],
            names[edge.target],
            label=_label([label]) if label else None,
            tooltip=_quoted(f"{titles[edge.source]} → {titles[edge.target]}"),
            **attributes,
        )
    return str(picture.source)


def _add_nodes(picture: Digraph, graph: Graph, group: str, names: dict[str, str]) -> None:
    """Add the nodes of a workflow, and a box for each workflow in it."""
    for key, node in graph.nodes.items():
        if node.group == group:
            picture.node(names[key], label=_label(node.shown), **_attributes(node))
    for number, (name, box) in enumerate(graph.groups.items()):
        if name.rpartition("/")[0] != group:
            continue
        with picture.subgraph(name=f"cluster_{number}") as inner:
            style = STATES.get(box.state, KINDS["activity"])
            inner.attr(
                label=_label([name.rpartition("/")[2]]),
                style="rounded" if style.line == "solid" else f"rounded,{style.line}",
                color=style.border,
                bgcolor="#f7f8fa",
                fontsize="12",
                labeljust="l",
                labelloc="t",
                tooltip=_tooltip(box),
            )
            _add_nodes(inner, graph, name, names)


def _attributes(node: Node) -> dict[str, str]:
    style = style_of(node)
    marks = ["filled"]
    if node.kind == "activity":
        marks.append("rounded")
    if style.line != "solid":
        marks.append(style.line)
    return {
        "shape": _SHAPES.get(node.kind, "box"),
        "style": ",".join(marks),
        "fillcolor": style.fill,
        "color": style.border,
        "penwidth": "1.6" if node.kind == "activity" else "1.0",
        "peripheries": "2" if len(node.counts) > 0 and node.kind == "activity" else "1",
        "tooltip": _tooltip(node),
    }


def _tooltip(node: Node) -> str:
    """Return all that is written in a node, at full length, and what is known of it."""
    known = [f"{fact.name}: {fact.value}" for fact in node.facts[:12]]
    return _quoted("\n".join([node.title, *node.lines, *known])[:_MOST_TOOLTIP])


def _quoted(text: str) -> str:
    """Return a text with line ends in which nothing is an escape sequence."""
    import graphviz

    return r"\n".join(str(graphviz.escape(_printable(line))) for line in text.split("\n")) or " "


def _label(lines: Iterable[str]) -> str:
    """Return lines as one label in which nothing is markup or an escape sequence."""
    import graphviz

    shown = ""
    for line in list(lines)[:_MOST_LINES]:
        text = _elided(_printable(line))
        setting = " = " in line  # to the left, one below the other, each in one line
        parts = [text] if setting else textwrap.wrap(text, _WIDTH) or [" "] if line else []
        ending = r"\l" if setting else r"\n"
        shown += "".join(f"{graphviz.escape(part)}{ending}" for part in parts)
    shown = shown.removesuffix(r"\n")
    return shown if not shown.startswith("<") else str(graphviz.nohtml(shown))


def _elided(text: str) -> str:
    """Return a long text without its middle: ends of names and paths tell them apart."""
    most = _SETTING if " = " in text else _LONGEST
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 + 1 :]}"


def _printable(text: str) -> str:
    """Return a text without what is no sign: control characters, marks that turn directions."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return shown.encode("utf-8", "replace").decode()


def _heading(graph: Graph) -> str:
    """Return title and legend as a table; the only markup in the picture."""
    rows = [f'<B><FONT POINT-SIZE="15">{_markup(_elided(graph.title))}</FONT></B>']
    rows += [
        f'<FONT COLOR="{_SOFT}">{_markup(line)}</FONT>'
        for text in (graph.subtitle, graph.note)
        for line in textwrap.wrap(_printable(text)[:600], 100)
    ]
    cells = "".join(
        f'<TD BGCOLOR="{fill}" COLOR="{border}" BORDER="1" STYLE="{line}" CELLPADDING="3">'
        f'<FONT POINT-SIZE="10">{words}</FONT></TD>'
        for words, fill, border, line in _legend(graph)
    )
    table = "".join(f'<TR><TD ALIGN="LEFT" CELLPADDING="1">{row}</TD></TR>' for row in rows)
    legend = (
        f'<TR><TD ALIGN="LEFT"><TABLE BORDER="0" CELLSPACING="5"><TR>{cells}</TR></TABLE></TD></TR>'
        if cells
        else ""
    )
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0">{table}{legend}</TABLE>>'


def _markup(text: str) -> str:
    return escape_markup(_printable(text), quote=True) or " "


def _legend(graph: Graph) -> Sequence[tuple[str, str, str, str]]:
    """Return words, fill, border and line of what occurs in a graph."""
    nodes = graph.nodes.values()
    states = {
        state for node in nodes if node.kind == "activity" for state in (*node.counts, node.state)
    }
    found = [(name, STATES[name]) for name in STATES if name in states]
    kinds = {node.kind for node in nodes}
    found += [(words, KINDS[kind]) for kind, words in _WORDS.items() if kind in kinds]
    return [(words, style.fill, style.border, style.line.upper()) for words, style in found]


def _is_wide(graph: Graph) -> bool:
    """Tell whether the graph is better drawn from left to right: many nodes side by side."""
    return is_wide(list(graph.nodes), [(edge.source, edge.target) for edge in graph.edges])
