"""A workflow as a self-contained page: no network, no Graphviz, no script."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from gpwf.core.layout import Box, Layout, lay_out
from gpwf.report.graph import Drawing, Link, Node
from gpwf.report.text import clean

__all__ = ["page"]

_LONGEST = 46  # characters of a line in a node; the whole text is in its title
_MARGIN = 24.0
_PLACES = (0.5, 0.75, 0.27)  # of labels, as parts of the way
_STEP = ("#eef3f8", "#4a6785")
_RESULT = ("#fdf3dc", "#a5771b")
# fill and border of the workflows that are steps, in turn
_GROUPS = (("#e9f5ef", "#2f7d5b"), ("#f6ecf5", "#8d4a83"), ("#f7f0e6", "#96642a"))

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ margin: 0; color: #1f2937; background: #fff;
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }}
header {{ padding: .7rem 1.2rem; border-bottom: 1px solid #e5e7eb; }}
h1 {{ font-size: 1.1rem; margin: 0; }}
header p {{ margin: .1rem 0 0; color: #6b7280; }}
main {{ overflow: auto; padding: .5rem 1.2rem; }}
svg {{ display: block; margin: 0 auto; max-width: none; }}
svg text {{ font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  text-anchor: middle; dominant-baseline: central; fill: #1f2937; }}
svg text.tag {{ font-size: 10.5px; fill: #4b5563; }}
svg text.edge {{ font-size: 9.5px; fill: #6b7280; paint-order: stroke; stroke: #fff;
  stroke-width: 3px; }}
.way {{ fill: none; stroke: #9aa1ac; stroke-width: 1.2; }}
.way.later {{ stroke-dasharray: 4 3; }}
.way.gathers {{ stroke-width: 2.6; }}
footer {{ display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: .5rem 1.2rem;
  font-size: .8rem; color: #6b7280; border-top: 1px solid #e5e7eb; }}
footer i {{ display: inline-block; width: 1.1rem; height: .7rem; border: 1.5px solid;
  border-radius: 3px; margin-right: .35rem; vertical-align: -1px; }}
</style>
</head>
<body>
<header><h1>{title}</h1><p>{subtitle}</p></header>
<main>{svg}</main>
<footer>{legend}</footer>
</body>
</html>
"""


def page(drawing: Drawing) -> str:
    """Return a drawing as an HTML page.

    Parameters
    ----------
    drawing : Drawing
        What to show. No text in it is trusted.
    """
    looks = _looks(drawing)
    count = len(drawing.nodes)
    noun = drawing.noun.removesuffix("s") if count == 1 else drawing.noun
    return _PAGE.format(
        title=_xml(drawing.name),
        subtitle=f"{count} {noun}",
        svg=_svg(drawing, looks),
        legend=_legend(drawing, looks),
    )


def _looks(drawing: Drawing) -> dict[str, tuple[str, str]]:
    """Return fill and border by group."""
    groups = [name for name in dict.fromkeys(node.group for node in drawing.nodes) if name]
    return {"": _STEP} | dict(zip(groups, itertools.cycle(_GROUPS), strict=False))


def _svg(drawing: Drawing, looks: Mapping[str, tuple[str, str]]) -> str:
    """Return the picture as an SVG element."""
    nodes = {f"n{number}": node for number, node in enumerate(drawing.nodes)}
    names = {node.id: name for name, node in nodes.items()}
    results = {f"o{number}": item for number, item in enumerate(drawing.results)}
    sizes = {name: _size(_lines(node)) for name, node in nodes.items()}
    sizes |= {name: _size([item[0]], round_ends=True) for name, item in results.items()}
    links = [(names[link.source], names[link.target], link) for link in drawing.links]
    links += [
        (names[source], name, Link(source=source, target=name, product=product, port=product))
        for name, (_, source, product) in results.items()
    ]
    layout = lay_out(sizes, [(source, target) for source, target, _ in links])
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{_xml(drawing.name)}" '
        f'width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-_MARGIN:.0f} {-_MARGIN:.0f} {width:.0f} {height:.0f}">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        '<path d="M0 .6 7.6 4 0 7.4z" fill="#9aa1ac"/></marker></defs>',
    ]
    seen: Counter[str] = Counter()
    for (source, _, link), path in zip(links, layout.paths, strict=True):
        parts.append(_edge(link, path, layout, seen[source]))
        seen[source] += 1
    parts += [_node(node, layout.boxes[name], looks[node.group]) for name, node in nodes.items()]
    parts += [_result(item[0], layout.boxes[name]) for name, item in results.items()]
    return "".join([*parts, "</svg>"])


def _xml(text: str) -> str:
    shown = "".join(sign if sign.isprintable() else " " for sign in clean(text))
    return escape(shown.encode("utf-8", "replace").decode())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _lines(node: Node) -> list[str]:
    """Return the name, how often the step runs, and its type where the name does not tell."""
    tag = [node.tag] if node.shows_tag else []
    return [node.id, *([node.often] if node.often else []), *tag]


def _size(lines: Sequence[str], *, round_ends: bool = False) -> tuple[float, float]:
    """Return about how much room the lines take, without fonts."""
    widths = [
        sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in _short(line))
        * pixels
        for line, pixels in zip(lines, itertools.chain([7.2], itertools.repeat(6.2)), strict=False)
    ]
    return max(70.0, max(widths) + (40 if round_ends else 24)), 28.0 + 14.0 * (len(lines) - 1)


def _texts(lines: Sequence[str], box: Box) -> str:
    top = box.y - 7.0 * (len(lines) - 1)
    return "".join(
        f'<text class="{"tag" if number else "name"}" x="{box.x:.1f}" '
        f'y="{top + 14.0 * number:.1f}">{_xml(_short(line))}</text>'
        for number, line in enumerate(lines)
    )


def _node(node: Node, box: Box, look: tuple[str, str]) -> str:
    """Return a step; a second outline behind it where it runs often."""
    lines = _lines(node)
    outputs = ", ".join(f"{name} ({kind})" for name, kind in node.outputs)
    title = " · ".join([*lines, *([f"makes {outputs}"] if outputs else [])])
    left, top = box.x - box.width / 2, box.y - box.height / 2
    dash = "" if node.count else ' stroke-dasharray="4 3"'
    shape = (
        f'width="{box.width:.1f}" height="{box.height:.1f}" rx="7" fill="{look[0]}" '
        f'stroke="{look[1]}" stroke-width="1.3"{dash}'
    )
    behind = f'<rect x="{left + 4:.1f}" y="{top + 4:.1f}" {shape}/>' if node.count > 1 else ""
    return (
        f"<g><title>{_xml(title)}</title>{behind}"
        f'<rect x="{left:.1f}" y="{top:.1f}" {shape}/>{_texts(lines, box)}</g>'
    )


def _result(name: str, box: Box) -> str:
    return (
        f"<g><title>{_xml(f'result {name}')}</title>"
        f'<rect x="{box.x - box.width / 2:.1f}" y="{box.y - box.height / 2:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}" rx="{box.height / 2:.1f}" '
        f'fill="{_RESULT[0]}" stroke="{_RESULT[1]}" stroke-width="1.3"/>{_texts([name], box)}</g>'
    )


def _edge(link: Link, path: Sequence[tuple[float, float]], layout: Layout, number: int) -> str:
    """Return an arrow; labels of arrows from one node stand at different heights."""
    way = [f"M{path[0][0]:.1f} {path[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(path):
        if layout.horizontal:
            middle = (x0 + x1) / 2
            way.append(f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
        else:
            middle = (y0 + y1) / 2
            way.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    kind = "way gathers" if link.gathers else "way" if link.product else "way later"
    label = ""
    if link.product:
        x, y = _on_curve(path[0], path[1], _PLACES[number % 3], layout.horizontal)
        text = _xml(_short(link.label))
        label = f'<text class="edge" x="{x:.1f}" y="{y:.1f}">{text}</text>'
    return f'<path class="{kind}" d="{"".join(way)}" marker-end="url(#tip)"/>{label}'


def _on_curve(
    start: tuple[float, float], end: tuple[float, float], part: float, horizontal: bool
) -> tuple[float, float]:
    """Return a point on the cubic curve of an arrow; ``part`` goes from 0 to 1."""
    turned = 3 * part**2 - 2 * part**3  # where both inner points stand above the ends
    middle = 3 * (1 - part) * part * 0.5 + part**3  # where both stand half-way
    across, along = (1, 0) if horizontal else (0, 1)
    found = [0.0, 0.0]
    found[across] = start[across] + (end[across] - start[across]) * turned
    found[along] = start[along] + (end[along] - start[along]) * middle
    return found[0], found[1]


def _legend(drawing: Drawing, looks: Mapping[str, tuple[str, str]]) -> str:
    keys = [
        f'<span><i style="background:{fill};border-color:{border}"></i>'
        f"{_xml((group and f'of the workflow {group}') or drawing.noun)}</span>"
        for group, (fill, border) in looks.items()
    ]
    if drawing.results:
        keys.append(
            f'<span><i style="background:{_RESULT[0]};border-color:{_RESULT[1]}"></i>results</span>'
        )
    if any(link.gathers for link in drawing.links):
        keys.append("<span>thick arrows gather a scatter</span>")
    if any(not link.product for link in drawing.links):
        keys.append("<span>dashed arrows: after, without data</span>")
    return "".join(keys)
