"""A self-contained page of a provenance graph: no network, no Graphviz."""

from __future__ import annotations

import itertools
import json
import unicodedata
from collections.abc import Sequence
from html import escape
from importlib import resources

from gpwf.core.layout import Box, Layout, lay_out
from gpwf.prov.graph import Edge, Graph, Node
from gpwf.prov.style import STATES, style_of

__all__ = ["to_html", "to_svg"]

_LONGEST = 30  # characters of a line in a node; the whole text is in the details
_MARGIN = 24.0


def to_html(graph: Graph) -> str:
    """Return a graph as one HTML page with zoom, search and details.

    Parameters
    ----------
    graph : Graph
        What to show. No text in it is trusted.
    """
    template = resources.files("gpwf.prov").joinpath("data/graph.html").read_text("utf-8")
    parts = {
        "title": escape(graph.title),
        "subtitle": escape(graph.subtitle),
        "svg": to_svg(graph),
        "legend": _legend(graph),
        "data": _script_json(
            [
                {
                    "title": node.title,
                    "kind": node.kind,
                    "lines": node.lines,
                    "keys": sorted(node.keys),
                    "facts": [[fact.section, fact.name, fact.value] for fact in node.facts],
                }
                for node in graph.nodes.values()
            ]
        ),
    }
    pieces = template.split("{{")  # one pass, so that a text with braces is never filled in
    page = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        page += [parts[name], rest]
    return "".join(page)


def _script_json(value: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    # A lone surrogate has no place in UTF-8.
    return text.encode("utf-8", "replace").decode()


def to_svg(graph: Graph) -> str:
    """Return the picture of a graph as an SVG element, laid out without Graphviz."""
    sizes = {name: _size(node) for name, node in graph.nodes.items()}
    layout = lay_out(sizes, [(edge.source, edge.target) for edge in graph.edges])
    numbers = {name: number for number, name in enumerate(graph.nodes)}
    box = (-_MARGIN, -_MARGIN, layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_xml(graph.title)}" '
        f'viewBox="{" ".join(f"{value:.0f}" for value in box)}">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        '<path d="M0 .6 7.6 4 0 7.4z" fill="#9aa1ac"/></marker></defs>',
    ]
    for edge, path in zip(graph.edges, layout.paths, strict=True):
        parts.append(_edge(edge, path, layout, numbers))
    for name, node in graph.nodes.items():
        parts.append(_node(node, layout.boxes[name], numbers[name]))
    parts.append("</svg>")
    return "".join(parts)


def _xml(text: str) -> str:
    return escape("".join(sign if sign.isprintable() else " " for sign in text))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _length(text: str, pixels: float) -> float:
    """Return about how wide a text is, without fonts."""
    wide = sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
    return wide * pixels


def _size(node: Node) -> tuple[float, float]:
    width = max(
        [_length(_short(node.title), 7.0), *(_length(_short(line), 6.0) for line in node.lines)]
    )
    height = 18.0 + 13.0 * len(node.lines) + 10.0
    if node.kind == "product":
        return max(70.0, width * 1.16 + 24), height + 8
    return max(70.0, width + 24), height


def _node(node: Node, box: Box, number: int) -> str:
    style = style_of(node)
    dash = ' stroke-dasharray="4 3"' if style.line == "dashed" else ""
    line = 1.8 if node.kind == "activity" else 1.2
    look = f'class="shape" fill="{style.fill}" stroke="{style.border}" stroke-width="{line}"{dash}'
    left, top = box.x - box.width / 2, box.y - box.height / 2
    texts = [
        f'<text x="{box.x:.1f}" y="{box.y - 6.5 * len(node.lines):.1f}">'
        f"{_xml(_short(node.title))}</text>"
    ]
    for n, text in enumerate(node.lines, start=1):
        y = box.y - 6.5 * len(node.lines) + 14.0 * n
        texts.append(f'<text class="line" x="{box.x:.1f}" y="{y:.1f}">{_xml(_short(text))}</text>')
    words = _xml(" ".join([node.title, *node.lines]))
    return (
        f'<g class="node" data-node="{number}" tabindex="0" role="button" aria-label="{words}">'
        f"<title>{words}</title>{_shape(node, box, left, top, look)}{''.join(texts)}</g>"
    )


def _shape(node: Node, box: Box, left: float, top: float, look: str) -> str:
    if node.kind == "product":
        return (
            f'<ellipse cx="{box.x:.1f}" cy="{box.y:.1f}" rx="{box.width / 2:.1f}" '
            f'ry="{box.height / 2:.1f}" {look}/>'
        )
    if node.kind == "input":  # a sheet with a folded corner
        right, bottom, fold = left + box.width, top + box.height, 9.0
        return (
            f'<path d="M{left:.1f} {top:.1f}H{right - fold:.1f}L{right:.1f} {top + fold:.1f}'
            f'V{bottom:.1f}H{left:.1f}zM{right - fold:.1f} {top:.1f}v{fold}h{fold}" {look}/>'
        )
    radius = 9 if node.kind == "activity" else 2
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{radius}" {look}/>'
    )


def _edge(
    edge: Edge, path: Sequence[tuple[float, float]], layout: Layout, numbers: dict[str, int]
) -> str:
    way = [f"M{path[0][0]:.1f} {path[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(path):
        if layout.horizontal:
            middle = (x0 + x1) / 2
            way.append(f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
        else:
            middle = (y0 + y1) / 2
            way.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    kind = "way dashed" if edge.dashed else "way"
    label = ""
    if edge.label:
        (x0, y0), (x1, y1) = path[0], path[1]
        label = (
            f'<text class="edge" x="{(x0 + x1) / 2:.1f}" y="{(y0 + y1) / 2:.1f}">'
            f"{_xml(_short(edge.label))}</text>"
        )
    return (
        f'<g class="tie" data-source="{numbers[edge.source]}" data-target="{numbers[edge.target]}">'
        f'<path class="{kind}" d="{"".join(way)}" marker-end="url(#tip)"/>{label}</g>'
    )


def _legend(graph: Graph) -> str:
    states = [
        state
        for state in STATES
        if any(node.kind == "activity" and node.state == state for node in graph.nodes.values())
    ]
    keys = []
    for state in states:
        style = STATES[state]
        keys.append(
            f'<span class="key"><i style="background:{style.fill};border-color:{style.border};'
            f'border-style:{style.line}"></i>{escape(state)}</span>'
        )
    kinds = {node.kind for node in graph.nodes.values()}
    if "product" in kinds:
        keys.append(
            '<span class="key"><i class="product" style="border-color:#374151"></i>product</span>'
        )
    if "input" in kinds:
        keys.append(
            '<span class="key"><i style="border-color:#8a7a3d;background:#fdf8e8;'
            'border-radius:0"></i>input file</span>'
        )
    return "".join(keys)
