"""Record → picture of everything: every element and every relation, of any PROV document."""

from __future__ import annotations

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_index import RELATIONS, Element, Link, RecordIndex
from gpwf.prov.record_words import subtitle_of, title_of

__all__ = ["full_graph"]

#: Relation → words on the edge, read from the cause to the effect.
_LABELS = {
    "used": "used by",
    "wasGeneratedBy": "generated",
    "wasInformedBy": "informed",
    "wasDerivedFrom": "derived to",
    "wasStartedBy": "started",
    "wasAssociatedWith": "associated with",
    "hadPlan": "plan of",
    "actedOnBehalfOf": "acted through",
    "specializationOf": "has aspect",
    "hadMember": "member of",
    "wasInvalidatedBy": "invalidated",
    "wasAttributedTo": "attributed",
    "wasInfluencedBy": "influenced",
    "alternateOf": "alternate of",
    "mentionOf": "mentioned as",
    "wasEndedBy": "ended",
}
_TYPES = (
    ("voprov:Parameter", "setting"),
    ("prov:Plan", "plan"),
    ("gpwf:Environment", "environment"),
    ("gpwf:Product", "product"),
    ("gpwf:Value", "product"),
    ("gpwf:File", "file"),
    ("gpwf:Content", "file"),
)


def full_graph(index: RecordIndex) -> Graph:
    """Return every element and every relation of a record; works for any PROV document."""
    graph = Graph(title=title_of(index), subtitle=subtitle_of(index), note=index.note)
    for kind in ("entity", "activity", "agent"):
        for item in index.of_kind(kind):
            graph.nodes[item.id] = _full_node(item)
    for relation in RELATIONS:
        for link in index.links(relation):
            for name in (link.effect, link.cause):
                if name not in graph.nodes:  # a relation may name what nobody declares
                    graph.nodes[name] = Node(id=name, kind="other", title=name, keys={name})
            if relation == "wasDerivedFrom" and _has_path(index, link):
                continue  # generation and usage already draw it
            dashed = relation not in ("used", "wasGeneratedBy")
            label = link.role or _LABELS.get(relation, relation)
            graph.connect(link.cause, link.effect, label, dashed=dashed)
    return graph


def _has_path(index: RecordIndex, link: Link) -> bool:
    makers = {item.cause for item in index.causes("wasGeneratedBy", link.effect)}
    return any(used.cause == link.cause for maker in makers for used in index.causes("used", maker))


def _full_node(item: Element) -> Node:
    node = Node(id=item.id, kind=_kind(item), title=item.label, keys={item.id, item.label})
    if item.kind == "activity":
        node.state = item.get("state")
        node.task = item.get("task")
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
    for name, kind in _TYPES:
        if name in types:
            return kind
    return "product" if not types else "other"
