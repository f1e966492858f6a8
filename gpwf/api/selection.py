"""Which part of a plan is to run: targets, a step from which on everything is made anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from gpwf.core.coordinates import (
    SelectorError,
    labels_of,
    listed,
    parse_selector,
    short_axes,
    steps_named,
)
from gpwf.core.plan import Plan, PlannedStep, Task, TaskAlias
from gpwf.errors import UsageError

__all__ = ["NameIndex", "Selection", "select"]


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

    Names are those that `NameIndex.find` understands: steps, workflows that are steps, tasks, and
    parts of a scatter such as ``sim[scenario=null]``.

    Parameters
    ----------
    plan : Plan
        The whole plan.
    targets : sequence of str
        These and what they depend on.
    from_ : sequence of str
        These and what depends on them run again even where their results are known.
    only : sequence of str
        These alone run, again; what they depend on must be known.

    Raises
    ------
    UsageError
        For a name that the plan does not have.
    """
    if not (targets or from_ or only):
        return Selection(plan=plan)
    names = NameIndex(plan)
    wanted = names.find_all(targets, "--target")
    alone = names.find_all(only, "--only")
    start = names.find_all(from_, "--from")
    everything = {task.id for task in plan.tasks}
    keep = _with_upstream(plan, wanted | alone) if wanted or alone else everything
    forced = _with_downstream(plan, start) | alone
    known = _with_upstream(plan, alone) - alone - _with_upstream(plan, wanted)
    return Selection(
        plan=_part(plan, keep) if len(keep) < len(everything) else plan,
        forced=frozenset(forced & keep),
        must_be_known=frozenset(known),
    )


def _with_upstream(plan: Plan, ids: set[str]) -> set[str]:
    """Return tasks and all that they depend on; the plan is in topological order."""
    found = set(ids)
    for task in reversed(plan.tasks) if found else ():
        if task.id in found:
            found.update(task.upstream)
    return found


def _with_downstream(plan: Plan, ids: set[str]) -> set[str]:
    """Return tasks and all that depends on them."""
    found = set(ids)
    for task in plan.tasks if found else ():
        if task.id not in found and not found.isdisjoint(task.upstream):
            found.add(task.id)
    return found


class NameIndex:
    """Finds tasks of a plan by what people call them.

    Parameters
    ----------
    plan : Plan
        The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._ids: dict[str, str] = {}
        self._by_step: dict[str, list[Task | TaskAlias]] = {step.name: [] for step in plan.steps}
        self._axes = {step.name: tuple(step.axes) for step in plan.steps}
        for task in plan.tasks:
            self._ids[task.id] = task.id
            self._by_step.setdefault(task.step, []).append(task)
        for alias in plan.aliases:
            self._ids.setdefault(alias.id, alias.task)
            self._by_step.setdefault(alias.step, []).append(alias)

    def find_all(self, names: Iterable[str], option: str) -> set[str]:
        """Return the ids of the tasks that any of the names means; see `find`."""
        return {found for name in names for found in self.find(name, option).values()}

    def find(self, name: str, option: str = "") -> dict[str, str]:
        """Return what a name means: names of tasks → ids of tasks, which differ for aliases.

        Parameters
        ----------
        name : str
            A step (``sim``), a workflow that is a step (``crab`` for ``crab/fit``, ``crab/sed``,
            ...), a task (``sim[scenario=null,seed=3]``), or some axes of either
            (``sim[scenario=null]``).
        option : str
            What the name was given to, for messages.

        Raises
        ------
        UsageError
            Where there is no such step, axis or value.
        """
        known = self._ids.get(name)
        if known is not None and name not in self._by_step:
            return {name: known}
        try:
            step, labels = parse_selector(name)
        except SelectorError as error:
            raise UsageError(f"{option} {error}".strip()) from None
        steps = steps_named(self._by_step, step, f"{option} {name}".strip())
        return {place: self._ids[place] for place in self.places(steps, labels, name, option)}

    def find_at(self, step: str | None, at: Mapping[str, str], option: str = "") -> set[str]:
        """Return the ids of the tasks of a step, of all for None, that have further labels.

        Parameters
        ----------
        step : str, optional
            As for `find`.
        at : mapping of str to str
            Label by axis; steps without one of the axes have no such task.
        option : str
            What the labels were given to, for messages.

        Raises
        ------
        UsageError
            Where there is no such step, axis or value.
        """
        if step is not None and not at:
            return set(self.find(step).values())
        try:
            name, labels = parse_selector(step) if step is not None else ("", {})
        except SelectorError as error:
            raise UsageError(str(error)) from None
        if twice := labels.keys() & at.keys():
            raise UsageError(f"{option} {min(twice)}: {step} has a value for it, too")
        steps = list(self._by_step) if step is None else steps_named(self._by_step, name, step)
        text = ", ".join(f"{axis}={label}" for axis, label in at.items())
        found = self.places(steps, {**labels, **at}, text, option)
        return {self._ids[place] for place in found}

    def places(
        self, steps: Sequence[str], labels: Mapping[str, str], name: str = "", option: str = ""
    ) -> list[str]:
        """Return the names of the tasks of some steps that have these labels.

        Raises
        ------
        UsageError
            Where no step has the axes, or no task the labels.
        """
        if not labels:
            return [item.id for step in steps for item in self._by_step[step]]
        full = {step: short_axes(self._axes[step]) for step in steps}
        having = [step for step in steps if labels.keys() <= full[step].keys()]
        if not having:
            raise self._no_axis(steps, labels, name, option)
        found: list[str] = []
        for step in having:
            wanted = {(full[step][axis], label) for axis, label in labels.items()}
            found += [
                item.id
                for item in self._by_step[step]
                if wanted <= labels_of(item.id, step).items()
            ]
        if not found:
            raise self._no_label(having, labels, name, option)
        return found

    def _no_axis(
        self, steps: Sequence[str], labels: Mapping[str, str], name: str, option: str
    ) -> UsageError:
        """Return the error for an axis that no step has."""
        axes = list(dict.fromkeys(axis for step in steps for axis in self._axes[step]))
        shown = {axis.rpartition("/")[2]: axis for axis in axes}
        missing = next(
            (axis for axis in labels if axis not in shown and axis not in axes), next(iter(labels))
        )
        near = get_close_matches(missing, [*shown, *axes], n=1)
        hint = f"axes: {listed(axes)}" if axes else f"{steps[0]} runs once: leave the brackets out"
        if near and near[0] != missing:
            hint = f"did you mean {near[0]}?"
        message = f"{option} {name}".strip() + f": {steps[0]} has no axis {missing}"
        return UsageError(message, hint=hint)

    def _no_label(
        self, steps: Sequence[str], labels: Mapping[str, str], name: str, option: str
    ) -> UsageError:
        """Return the error for coordinates at which nothing runs."""
        what = f"{option} {name}".strip()
        for axis, label in labels.items():
            known: dict[str, None] = {}
            for step in steps:
                full = short_axes(self._axes[step])[axis]
                known |= {
                    labels_of(item.id, step).get(full, ""): None for item in self._by_step[step]
                }
            if label not in known:
                near = get_close_matches(label, known, n=1)
                hint = f"did you mean {axis}={near[0]}?" if near else f"{axis}: {listed(known)}"
                return UsageError(f"{what}: the axis {axis} has no value {label}", hint=hint)
        message = f"{what}: {steps[0]} does not run there"
        return UsageError(message, hint="each value is on its axis, but not with the others")


def _part(plan: Plan, keep: set[str]) -> Plan:
    """Return the part of a plan that has these tasks."""
    tasks = tuple(task for task in plan.tasks if task.id in keep)
    aliases = tuple(alias for alias in plan.aliases if alias.task in keep)
    places: dict[str, list[str]] = {}
    named: tuple[Task | TaskAlias, ...] = (*tasks, *aliases)
    for item in named:
        places.setdefault(item.step, []).append(item.id)
    outputs = {
        name: tuple(ref for ref in refs if ref.task in keep) for name, refs in plan.outputs.items()
    }
    return replace(
        plan,
        tasks=tasks,
        aliases=aliases,
        steps=tuple(
            _smaller(step, places[step.name]) for step in plan.steps if step.name in places
        ),
        outputs={name: refs for name, refs in outputs.items() if refs},
    )


def _smaller(step: PlannedStep, places: Sequence[str]) -> PlannedStep:
    """Return a step of which only some places of its scatter are left."""
    if len(places) == step.n_points:
        return step
    labels = [labels_of(place, step.name) for place in places]
    axes = {axis: len({found.get(axis) for found in labels}) for axis in step.axes}
    return replace(step, axes=axes, n_points=len(places))
