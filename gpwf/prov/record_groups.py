"""Nested workflows of a record: which steps belong to them, and what is known of them.

The steps of a nested workflow are named ``outer/step``. Where the record has a run of its own for
it, started by the run around it, the box gets its state and times.
"""

from __future__ import annotations

from collections.abc import Sequence

from gpwf.prov.graph import Graph, Node
from gpwf.prov.record_index import Element, RecordIndex
from gpwf.prov.record_states import WORST_FIRST
from gpwf.prov.record_words import main_run

__all__ = ["group_of", "groups_of"]

_DEEPEST = 20  # boxes in boxes that are drawn
_FEW = 8  # runs of a nested workflow that are told in full
_MOST = 200  # of which there is a line


def group_of(step: str) -> str:
    """Return the nested workflow that a step belongs to, empty for the workflow itself."""
    name = step.partition("[")[0].rpartition("/")[0]
    return name if name.count("/") < _DEEPEST else "/".join(name.split("/", _DEEPEST)[:_DEEPEST])


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
        _describe(box, runs.get(name, ()))
    return groups


def _child_runs(index: RecordIndex) -> dict[str, list[Element]]:
    main = main_run(index)
    found: dict[str, list[Element]] = {}
    for item in index.runs():
        if main is None or item.id != main.id:
            name = item.get("step") or item.get("task").partition("[")[0] or item.get("name")
            found.setdefault(name, []).append(item)
    return found


def _describe(box: Node, runs: Sequence[Element]) -> None:
    """Add what is known of the runs of a nested workflow: all of few, a line for each of many."""
    few = len(runs) <= _FEW
    for run in runs[:_MOST]:
        section = run.label if few else "Runs"
        box.keys.update({run.id, run.label})
        pairs = [text.partition("=") for text in run.all("count")]
        counts = ", ".join(f"{number} {state}" for state, _, number in pairs)
        if not few:
            box.add(section, run.label, ", ".join(filter(None, (run.get("state"), counts))))
            continue
        box.add(section, "state", run.get("state"))
        box.add(section, "tasks", counts)
        box.add(section, "start", run.start)
        box.add(section, "end", run.end)
    if len(runs) > _MOST:
        box.add("Runs", "…", f"and {len(runs) - _MOST} more")
