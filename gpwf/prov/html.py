"""A self-contained page of a provenance graph: no network, no Graphviz.

The page is put together from `page/page.html`, `page/page.css` and the scripts beside them. What
the record says goes into it as JSON in which no sign can end the element, and from there through
``textContent`` only; the policy of the page lets these scripts run and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from gpwf.core.layout import arrange
from gpwf.prov.graph import Graph, Node
from gpwf.prov.style import DARK_INK, DARK_PAPER, INK, KINDS, PAPER, STATES, Style

__all__ = ["SCRIPTS", "page_data", "to_html"]

#: Scripts of the page in the order in which they run.
SCRIPTS = ("place.js", "shapes.js", "lineage.js", "details.js", "page.js")

_DASHES = {"solid": "none", "dashed": "4 3", "dotted": "1.4 2.4"}
_LONGEST = 20_000  # characters of one text; a workflow as written fits


def to_html(
    graph: Graph, *, logs: Mapping[str, Sequence[str]] | None = None, unfolded: bool = False
) -> str:
    """Return a graph as one HTML page with zoom, search, folding and details.

    Parameters
    ----------
    graph : Graph
        What to show. No text in it is trusted.
    logs : mapping of str to sequence of str, optional
        Lines of the log by id of the task.
    unfolded : bool
        Show the tasks of folded nodes from the start.
    """
    style = _colours() + _page_file("page.css")
    script = "".join(
        ['"use strict";\n(() => {\n', *(_page_file(name) for name in SCRIPTS), "})();\n"]
    )
    parts = {
        "title": escape(_encodable(_cut(graph.title))),
        "policy": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        "style": style,
        "script": script,
        "data": _script_json(page_data(graph, logs=logs or {}, unfolded=unfolded)),
    }
    pieces = _page_file("page.html").split("{{")  # one pass: a text with braces is never filled in
    page = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        page += [parts[name], rest]
    return "".join(page)


def page_data(
    graph: Graph, *, logs: Mapping[str, Sequence[str]], unfolded: bool = False
) -> dict[str, Any]:
    """Return what the scripts of the page need, as plain data.

    Nodes, and after them the tasks in them, are numbered; texts that occur often stand once in a
    list. The scripts place the nodes: what they get is which node comes beside which.
    """
    texts = _Texts()
    members = [member for node in graph.nodes.values() for member in node.members]
    numbers = {node.id: n for n, node in enumerate([*graph.nodes.values(), *members])}
    groups = {name: n for n, name in enumerate(graph.groups)}
    nodes = [_node_data(node, groups, texts) for node in graph.nodes.values()]
    for entry, node in zip(nodes, graph.nodes.values(), strict=True):
        if node.members:
            entry["members"] = [numbers[member.id] for member in node.members]
    nodes += [_node_data(member, groups, texts) for member in members]
    return {
        "title": _cut(graph.title),
        "subtitle": _cut(graph.subtitle),
        "note": _cut(graph.note),
        "unfolded": unfolded,
        "nodes": nodes,
        "shown": len(graph.nodes),
        "edges": [
            [numbers[e.source], numbers[e.target], _cut(e.label), int(e.dashed), e.gathers]
            for e in graph.edges
        ],
        "ties": _ties(graph, numbers),
        "groups": [
            {
                "title": _cut(name.rpartition("/")[2]),
                "name": _cut(name),
                "outer": groups.get(name.rpartition("/")[0], -1),
                "state": box.state,
                "facts": _facts(box, texts),
            }
            for name, box in graph.groups.items()
        ],
        "levels": [_level(graph, name, numbers, groups) for name in ("", *graph.groups)],
        "states": list(STATES),
        "logs": {
            name: [_cut(line) for line in logs[name]]
            for name in dict.fromkeys(node.task for node in [*graph.nodes.values(), *members])
            if name and logs.get(name)
        },
        "texts": texts.all,
    }


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        text = _cut(text)
        if text not in self._numbers:
            self._numbers[text] = len(self.all)
            self.all.append(text)
        return self._numbers[text]


def _cut(text: str) -> str:
    """Return a text for people: not endless, and with signs for what would not be seen.

    Among these are the marks that turn the direction of writing, so that no name looks like
    another one.
    """
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def _node_data(node: Node, groups: Mapping[str, int], texts: _Texts) -> dict[str, Any]:
    title, *lines = node.shown
    data: dict[str, Any] = {
        "kind": node.kind,
        "name": _cut(node.title),
        "title": _cut(title),
        "lines": [_cut(line) for line in lines],
        "facts": _facts(node, texts),
    }
    # Nothing that is empty, of many tasks above all.
    if node.state:
        data["state"] = node.state
    if node.group:
        data["group"] = groups.get(node.group, -1)
    if node.lines and node.lines[-1].startswith("attempt "):
        data["again"] = 1
    if node.counts:
        data["counts"] = node.counts
    if node.task:
        data["task"] = node.task
    if not node.members and (keys := node.keys - {node.title, ""}):
        data["keys"] = [texts.number(key) for key in sorted(keys)]
    return data


def _facts(node: Node, texts: _Texts) -> list[list[Any]]:
    """Return sections with their lines, texts as numbers."""
    sections: dict[str, list[int]] = {}
    for fact in node.facts:
        line = sections.setdefault(fact.section, [])
        line += [texts.number(fact.name), texts.number(fact.value)]
    return [[texts.number(name), lines] for name, lines in sections.items()]


def _ties(graph: Graph, numbers: Mapping[str, int]) -> list[list[int]]:
    """Return source, product and target by number, -1 for none; arrows where there are no tasks."""
    ties = [
        [numbers.get(name, -1) for name in (tie.source, tie.through, tie.target)]
        for tie in graph.ties
    ]
    ties = [tie for tie in ties if sum(number >= 0 for number in tie) > 1]
    if ties:
        return ties
    return [[numbers[edge.source], -1, numbers[edge.target]] for edge in graph.edges]


def _level(
    graph: Graph, group: str, numbers: Mapping[str, int], groups: Mapping[str, int]
) -> dict[str, Any]:
    """Return the order of the nodes and boxes directly in one workflow.

    A node is its number; a box is ``-2`` less the number of its workflow; a bend is a text.
    """
    inside = f"{group}/" if group else ""

    def place(node: Node) -> str | None:
        if node.group == group:
            return str(numbers[node.id])
        if not node.group.startswith(inside):
            return None
        return str(-2 - groups[inside + node.group[len(inside) :].partition("/")[0]])

    where = {node.id: place(node) for node in graph.nodes.values()}
    names = list(dict.fromkeys(name for name in where.values() if name is not None))
    pairs = dict.fromkeys(
        (source, target)
        for edge in graph.edges
        if (source := where[edge.source]) is not None
        and (target := where[edge.target]) is not None
        and source != target
    )
    order = arrange(names, list(pairs))

    def short(name: str) -> int | str:
        return f"b{name[1:]}" if name.startswith("\0") else int(name)

    return {
        "layers": [[short(name) for name in layer] for layer in order.layers],
        "chains": [
            [int(source), int(target), [short(name) for name in chain]]
            for (source, target), chain in zip(pairs, order.chains, strict=True)
        ],
        "horizontal": order.horizontal,
        "labelled": any(
            (edge.label or edge.gathers > 1)
            and where[edge.source] is not None
            and where[edge.target] is not None
            for edge in graph.edges
        ),
    }


# ---- the page -----------------------------------------------------------------------------------


def _page_file(name: str) -> str:
    return resources.files("gpwf.prov").joinpath("page", name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _colours() -> str:
    """Return the colours of kinds and states as rules; what is not known looks like no state."""
    day = {f"kind-{name}": style for name, style in KINDS.items()}
    day |= {f"state-{name}": style for name, style in STATES.items()}
    light = _rules(day.items(), dark=False)
    dark = _rules(day.items(), dark=True)
    return (
        f":root {{ --ink: {INK}; --paper: {PAPER}; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) "
        f"{{ --ink: {DARK_INK}; --paper: {DARK_PAPER}; {dark} }} }}\n"
        f":root[data-theme=dark] {{ --ink: {DARK_INK}; --paper: {DARK_PAPER}; {dark} }}\n"
        + "".join(
            f".{name} {{ --fill: var(--{name}-fill); --line: var(--{name}-line);"
            f" --dash: {_DASHES[style.line]};"
            f" --edge: {style.line}; }}\n"
            for name, style in day.items()
        )
    )


def _rules(styles: Iterable[tuple[str, Style]], *, dark: bool) -> str:
    return " ".join(
        f"--{name}-fill: {style.dark_fill if dark else style.fill}; "
        f"--{name}-line: {style.dark_border if dark else style.border};"
        for name, style in styles
    )


def _encodable(text: str) -> str:
    """Return a text without lone surrogates, which have no place in UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _script_json(value: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return _encodable(text)
