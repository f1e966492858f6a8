"""The states of the tasks of a node, in words and as one."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

from gpwf.prov.graph import Node

__all__ = ["WORST_FIRST", "count_lines", "summarise_states"]

_WIDTH = 34  # characters

#: The first of these that occurs among the tasks of a step gives the colour of the step.
WORST_FIRST = (
    "failed",
    "timeout",
    "oom",
    "lost",
    "interrupted",
    "cancelled",
    "running",
    "blocked",
    "skipped",
    "waiting",
    "ok",
    "cached",
)


def summarise_states(node: Node, states: Mapping[str, str], attempts: Mapping[str, int]) -> None:
    """Tell in a node how its tasks stand.

    Parameters
    ----------
    node : Node
        Gets a state, numbers of tasks per state, and a line.
    states : mapping of str to str
        State of every task.
    attempts : mapping of str to int
        Number of attempts of every task.
    """
    counts = Counter(states.values())
    node.state = next((state for state in WORST_FIRST if counts[state]), next(iter(counts)))
    again = [task for task, number in attempts.items() if number > 1 and task in states]
    if len(states) == 1:
        tries = f", attempt {attempts[again[0]]}" if again else ""
        node.lines.append(f"{node.state or 'unknown'}{tries}")
        return
    node.counts = dict(counts.most_common())
    more = [f"{len(again)} tried again"] if again else []
    node.lines += count_lines(node.counts, more)


def count_lines(counts: Mapping[str, int], more: Sequence[str] = ()) -> list[str]:
    """Return numbers of tasks per state in words, as lines that fit into a node."""
    words = [f"{count} {state or 'unknown'}" for state, count in counts.items()]
    return textwrap.wrap(", ".join([*words, *more]), _WIDTH)
