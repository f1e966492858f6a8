"""A compact graph of a provenance record, for pictures: steps or tasks, products, inputs.

Made from the record alone, so that a record without its run directory can be drawn, also one that
gpwf did not write. Edges follow the data: inputs → activity → products.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpwf.errors import ProvenanceError

if TYPE_CHECKING:
    from prov.model import ProvDocument

    from gpwf.prov.record_index import RecordIndex

__all__ = ["DETAILS", "DIRECTIONS", "Edge", "Fact", "Graph", "Node", "Tie", "build_graph"]

DETAILS = ("workflow", "step", "task", "full")
DIRECTIONS = ("up", "down", "both")

#: Tasks from which nothing but names and states of a folded step is kept.
_MANY_TASKS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of what is known of a node: ``Settings / geom.axes.energy.min = 0.1 TeV``."""

    section: str
    name: str
    value: str


@dataclass(slots=True, kw_only=True)
class Node:
    """One node of the picture.

    Parameters
    ----------
    id : str
        Unique in the graph.
    kind : str
        ``activity product input file setting agent plan environment other``.
    title : str
        First line.
    lines : list of str
        Further lines, smaller.
    state : str
        State of an activity, empty for other kinds.
    group : str
        Nested workflow that it belongs to, ``outer/inner``; empty for the workflow itself.
    task : str
        Id of the task, where the node stands for one.
    counts : dict of str to int
        Number of tasks per state, where the node stands for several.
    members : list of Node
        These tasks, where they were asked for.
    facts : list of Fact
        Shown when the node is chosen.
    keys : set of str
        Other names it can be found by: identifiers, digests, file names.
    """

    id: str
    kind: str
    title: str
    lines: list[str] = field(default_factory=list)
    state: str = ""
    group: str = ""
    task: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    members: list[Node] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    _known: set[Fact] = field(default_factory=set, repr=False)

    def add(self, section: str, name: str, value: str) -> None:
        """Add a fact, once."""
        fact = Fact(section=section, name=name, value=value)
        if value and fact not in self._known:
            self._known.add(fact)
            self.facts.append(fact)

    @property
    def shown(self) -> list[str]:
        """What is written in the node: the name without its workflow, coordinates apart."""
        name = self.title
        if self.group and name.startswith(f"{self.group}/"):
            name = name[len(self.group) + 1 :]
        step, bracket, place = name.partition("[")
        if self.kind == "activity" and bracket and place.endswith("]"):
            return [step, place[:-1].replace(",", ", "), *self.lines]
        return [name, *self.lines]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """An arrow in the direction of the data.

    ``dashed`` where nothing flowed; ``gathers``: the largest number of products that came in to
    one task at one port, 1 as a rule.
    """

    source: str
    target: str
    label: str = ""
    dashed: bool = False
    gathers: int = 1


@dataclass(frozen=True, slots=True)
class Tie:
    """How two tasks hang together: by a product node; ``source`` is empty for an input."""

    source: str
    through: str
    target: str


@dataclass(slots=True, kw_only=True)
class Graph:
    """Nodes by id, edges, and what to write above the picture.

    ``note`` tells what is not drawn as asked for, and why. ``groups`` has what is known of nested
    workflows. ``ties`` connect tasks, those in folded nodes too.
    """

    title: str
    subtitle: str = ""
    note: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    groups: dict[str, Node] = field(default_factory=dict)
    ties: list[Tie] = field(default_factory=list)
    _known: set[Edge] = field(default_factory=set, repr=False)

    def connect(
        self, source: str, target: str, label: str = "", *, dashed: bool = False, gathers: int = 1
    ) -> None:
        """Add an edge, once."""
        edge = Edge(source=source, target=target, label=label, dashed=dashed, gathers=gathers)
        if edge not in self._known:
            self._known.add(edge)
            self.edges.append(edge)


def build_graph(
    record: ProvDocument | RecordIndex,
    *,
    detail: str = "step",
    of: str | None = None,
    direction: str | None = None,
    parameters: Sequence[str] = (),
    members: bool = False,
    most: int | None = None,
) -> Graph:
    """Return the graph of a record, or the part of it that something comes from or leads to.

    Parameters
    ----------
    record : prov.model.ProvDocument or RecordIndex
        A record of gpwf, or any other PROV document, which is always drawn in full.
    detail : str
        ``workflow``: the run as one activity; ``step``: one node for all the tasks of a step;
        ``task``: one per task; ``full``: every attempt, setting, file, agent and plan with the
        PROV relations.
    of, direction : str, optional
        See `gpwf.prov.graph_part.select`. Of a scatter, only the tasks that belong to it count,
        also where they share a node.
    parameters : sequence of str
        Settings that are written in the nodes: names, ``all``, or ``changed`` for those that are
        not the default of their step.
    members : bool
        Give folded nodes their tasks.
    most : int, optional
        With ``task``: fold the largest steps until no more tasks than this are left to draw.

    Raises
    ------
    ProvenanceError
        For another detail or direction, a record without anything to draw, or a name that is not
        in it.
    """
    from gpwf.prov.graph_part import select, tasks_around
    from gpwf.prov.record_foreign import add_foreign
    from gpwf.prov.record_graph import full_graph
    from gpwf.prov.record_index import RecordIndex
    from gpwf.prov.record_parts import Options
    from gpwf.prov.record_summary import summary_graph
    from gpwf.prov.record_workflow import workflow_graph

    if detail not in DETAILS:
        raise ProvenanceError(f"unknown detail {detail!r}", hint=f"details: {', '.join(DETAILS)}")
    index = record if isinstance(record, RecordIndex) else RecordIndex(record)
    if index.is_empty:
        raise ProvenanceError("the provenance record is empty: nothing to draw")
    if detail == "workflow" and index.runs():
        graph = workflow_graph(index, parameters)
        add_foreign(graph, index, fold=True)
        return select(graph, of, direction) if of is not None else graph
    if detail == "full" or not index.has_tasks:
        graph = full_graph(index)
        return select(graph, of, direction) if of is not None else graph
    few = index.n_tasks <= _MANY_TASKS
    tasks: set[str] | None = None
    if of is not None:
        every = summary_graph(index, Options(by_task=True, facts=False))
        add_foreign(every, index, fold=False)
        tasks = tasks_around(every, select(every, of, direction), of)
    steps, sizes = _to_fold(index, tasks, most) if detail == "task" else (set[str](), "")
    note = ""
    if steps:
        how = "the tasks of these steps share a box" if members else "these steps are folded"
        note = f"more than {most} tasks to draw one by one, so {how}: {sizes}"
    graph = summary_graph(
        index,
        Options(
            by_task=detail == "task",
            fold=steps,
            only=tasks,
            parameters=tuple(parameters),
            members=members and few,
            keys=few or of is not None,
        ),
    )
    add_foreign(graph, index, fold=detail != "task")
    graph.note = "; ".join(part for part in (note, index.note) if part)
    return select(graph, of, direction) if of is not None else graph


def _to_fold(index: RecordIndex, only: set[str] | None, most: int | None) -> tuple[set[str], str]:
    """Return the steps to fold, the largest ones, and how many tasks they have, in words."""
    tasks = {
        (item.get("step"), item.get("task")): None
        for item in index.of_kind("activity")
        if item.get("task")
    }
    tasks |= {(str(entry.get("step", "")), entry["task"]): None for entry in index.not_run()}
    sizes = Counter(step for step, task in tasks if only is None or task in only)
    left, steps = sum(sizes.values()), set[str]()
    for step, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if most is None or left <= most or size < 2:
            break
        steps.add(step)
        left -= size - 1
    names = [f"{step} ({sizes[step]})" for step in sorted(steps)]
    return steps, ", ".join(names)
