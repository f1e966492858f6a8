"""Parts of a summary: what to draw, where an activity is drawn, the tasks of a node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from gpwf.prov.graph import Node
from gpwf.prov.record_facts import Values

__all__ = ["Options", "Place", "Tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to draw.

    Parameters
    ----------
    by_task : bool
        One node for each task, instead of one for all tasks of a step.
    fold : collection of str
        Steps that have one node nevertheless.
    only : collection of str, optional
        Ids of the tasks to show; all by default.
    parameters : tuple of str
        Settings to write in the nodes, see `gpwf.prov.record_facts.short_values`.
    members : bool
        Give folded nodes their tasks.
    facts : bool
        Collect what is known of a node, not only its names.
    keys : bool
        Collect all names that something can be found by.
    """

    by_task: bool
    fold: Collection[str] = ()
    only: Collection[str] | None = None
    parameters: tuple[str, ...] = ()
    members: bool = False
    facts: bool = True
    keys: bool = True


@dataclass(slots=True)
class Place:
    """Where an activity is drawn: its node, its task, and the node of the task alone."""

    node: str
    step: str
    task: str
    leaf: Node | None = None


@dataclass(slots=True)
class Tasks:
    """The tasks of a node."""

    states: dict[str, str] = field(default_factory=dict)  # task → state
    attempts: Counter[str] = field(default_factory=Counter)  # task → attempts
    steps: dict[str, None] = field(default_factory=dict)  # names of further steps
    settings: dict[str, Values] = field(default_factory=dict)
    failed: int = 0  # failed attempts that are told in full
    members: dict[str, Node] = field(default_factory=dict)
