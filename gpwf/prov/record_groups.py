"""Nested workflows of a record: which steps belong to them, and what is known of them.

The steps of a nested workflow are named ``outer/step``. Where the record has a run of its own for
it, started by the run around it, the box gets its state and times.
"""

from __future__ import annotations

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_index import Element, RecordIndex
from gpwf.prov.record_states import WORST_FIRST
from gpwf.prov.record_words import main_run, seconds_text

__all__ = ["group_of", "groups_of"]


def group_of(step: str) -> str:
    """Return the nested workflow that a step belongs to, empty for the workflow itself."""
    return step.partition("[")[0].rpartition("/")[0]


def groups_of(index: RecordIndex, graph: Graph) -> dict[str, Node]:
    """Return a node for every nested workflow of a graph, outer ones first."""
    names: dict[str, None] = {}
    for node in graph.nodes.values():
        parts = node.group.split("/") if node.group else []
        for number in range(1, len(parts) + 1):
            names["/".join(parts[:number])] = None
    if not names:
        return {}
    runs = _child_runs(index)
    groups = {}
    for name in sorted(names, key=lambda text: (text.count("/"), text)):
        box = groups[name] = Node(id=f"group {name}", kind="workflow", title=name)
        inside = [
            node
            for node in graph.nodes.values()
            if node.kind == "activity" and f"{node.group}/".startswith(f"{name}/")
        ]
        states = {state for node in inside for state in node.counts or {node.state: 1}}
        box.state = next((state for state in WORST_FIRST if state in states), "")
        box.keys.add(name)
        for run in runs.get(name, ()):
            _describe(box, run)
    return groups


def _child_runs(index: RecordIndex) -> dict[str, list[Element]]:
    main = main_run(index)
    found: dict[str, list[Element]] = {}
    for item in index.runs():
        if main is None or item.id == main.id:
            continue
        for name in {item.get("step"), item.get("task").partition("[")[0], item.get("name")}:
            found.setdefault(name, []).append(item)
    return found


def _describe(box: Node, run: Element) -> None:
    section = run.label
    box.keys.update({run.id, run.label})
    box.add(section, "state", run.get("state"))
    box.add(section, "start", run.start)
    box.add(section, "end", run.end)
    box.add(section, "wall time", seconds_text(run.get("wallTime_s")))
    for text in run.all("count"):
        box.add(section, "tasks", text)
