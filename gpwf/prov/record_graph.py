"""Record → picture of everything: every element and every relation, of any PROV document."""

from __future__ import annotations

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_index import Element, Link, RecordIndex
from gpwf.prov.record_words import subtitle_of, title_of

__all__ = ["full_graph"]

#: Relation → words on the edge, read from the cause to the effect.
_LABELS = {
    "Usage": "used by",
    "Generation": "generated",
    "Communication": "informed",
    "Derivation": "derived to",
    "Start": "started",
    "Association": "associated with",
    "Plan": "plan of",
    "Delegation": "acted through",
    "Specialization": "has aspect",
    "Membership": "member of",
    "Invalidation": "invalidated",
    "Attribution": "attributed",
    "Influence": "influenced",
    "Alternate": "alternate of",
    "End": "ended",
}


def full_graph(index: RecordIndex) -> Graph:
    """Return every element and every relation of a record; works for any PROV document."""
    graph = Graph(title=title_of(index), subtitle=subtitle_of(index))
    for item in index.elements.values():
        graph.nodes[item.id] = _full_node(item)
    for link in index.links:
        for name in (link.effect, link.cause):
            if name not in graph.nodes:  # a relation may name what the record does not declare
                graph.nodes[name] = Node(id=name, kind="other", title=name, keys={name})
        if link.relation == "Derivation" and _has_path(index, link):
            continue  # generation and usage already draw it
        label = link.role or _LABELS.get(link.relation, link.relation)
        graph.connect(
            link.cause, link.effect, label, dashed=link.relation not in ("Usage", "Generation")
        )
    return graph


def _has_path(index: RecordIndex, link: Link) -> bool:
    makers = {item.cause for item in index.causes("Generation", link.effect)}
    return any(
        used.cause == link.cause for maker in makers for used in index.causes("Usage", maker)
    )


def _full_node(item: Element) -> Node:
    node = Node(id=item.id, kind=_kind(item), title=item.label, keys={item.id, item.label})
    if item.kind == "activity":
        node.state = item.get("state")
        node.lines = [line for line in (item.get("tag"), node.state) if line]
    elif item.get("kind"):
        node.lines = [item.get("kind")]
    node.add("Times", "start", item.start)
    node.add("Times", "end", item.end)
    for name, values in item.values.items():
        for value in values:
            node.add("Attributes", name, value)
            if name in ("sha256", "digest", "name", "prov:location"):
                node.keys.add(value)
    return node


def _kind(item: Element) -> str:
    if item.kind != "entity":
        return item.kind
    types = set(item.types)
    for name, kind in (
        ("voprov:Parameter", "setting"),
        ("prov:Plan", "plan"),
        ("gpwf:Environment", "environment"),
        ("gpwf:Product", "product"),
        ("gpwf:Value", "product"),
        ("gpwf:File", "input"),
        ("gpwf:Content", "input"),
    ):
        if name in types:
            return kind
    return "product" if not types else "other"
