"""Which part of a plan is to run: targets, a step from which on everything is made anew."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from gpwf.core.plan import Plan, Task
from gpwf.errors import UsageError

__all__ = ["Selection", "select"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A part of a plan, and the tasks in it that are to run whatever the store holds.

    Parameters
    ----------
    plan : Plan
        The tasks that take part, with everything that they depend on.
    forced : frozenset of str
        Tasks that run even where their result is known.
    must_be_known : frozenset of str
        Tasks that must not run: ``only`` was asked for and these are what it depends on.
    """

    plan: Plan
    forced: frozenset[str] = frozenset()
    must_be_known: frozenset[str] = frozenset()


def select(
    plan: Plan,
    *,
    targets: Sequence[str] = (),
    from_: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Selection:
    """Return the part of a plan that was asked for.

    Parameters
    ----------
    plan : Plan
        The whole plan.
    targets : sequence of str
        Steps or tasks: these and what they depend on.
    from_ : sequence of str
        Steps or tasks: these and what depends on them run again even where their results are
        known.
    only : sequence of str
        Steps or tasks: these alone run, again; what they depend on must be known.

    Raises
    ------
    UsageError
        For a name that is neither a step nor a task of the plan.
    """
    if not (targets or from_ or only):
        return Selection(plan=plan)
    # networkx takes a third of a second to import: only who selects pays
    from gpwf.compiler.graph import ancestors, descendants

    edges = {task.id: list(task.upstream) for task in plan.tasks}
    wanted = _ids(plan, targets, "--target")
    alone = _ids(plan, only, "--only")
    start = _ids(plan, from_, "--from")
    keep = ancestors(edges, [*wanted, *alone]) if wanted or alone else set(edges)
    forced = (descendants(edges, start) if start else set()) | set(alone)
    known = ancestors(edges, alone) - set(alone) - ancestors(edges, wanted) if alone else set()
    return Selection(
        plan=_part(plan, keep),
        forced=frozenset(forced & keep),
        must_be_known=frozenset(known),
    )


def _ids(plan: Plan, names: Iterable[str], option: str) -> list[str]:
    ids: list[str] = []
    for name in names:
        found = [task.id for task in plan.tasks if name in (task.step, task.id)]
        if not found:
            raise _unknown(plan.tasks, name, option)
        ids += found
    return ids


def _unknown(tasks: Sequence[Task], name: str, option: str) -> UsageError:
    steps = list(dict.fromkeys(task.step for task in tasks))
    near = get_close_matches(name, steps, n=1)
    hint = f"did you mean {near[0]}?" if near else f"steps: {', '.join(steps)}"
    return UsageError(f"{option} {name}: the workflow has no such step", hint=hint)


def _part(plan: Plan, keep: set[str]) -> Plan:
    tasks = tuple(task for task in plan.tasks if task.id in keep)
    steps = {task.step for task in tasks}
    return replace(
        plan,
        tasks=tasks,
        steps=tuple(step for step in plan.steps if step.name in steps),
        outputs={
            name: refs
            for name, refs in plan.outputs.items()
            if all(ref.task in keep for ref in refs)
        },
    )
