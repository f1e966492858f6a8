"""What gpwf says of its own records: attempts, cached results, counts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from gpwf.core.runs import TaskState
from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import Attempt, Instance, plain, types_of, values_of
from gpwf.prov.validation.own_rules import own_run
from gpwf.prov.validation.rules import Record, instance_rule, record_rule

__all__ = ["counts"]

_STATES = frozenset(state.value for state in TaskState)
#: States in which an attempt may have no end.
_OPEN = frozenset((TaskState.RUNNING.value, TaskState.LOST.value))
_GOOD = frozenset((TaskState.OK.value, TaskState.CACHED.value))


def _is_attempt(value: Any) -> bool:
    return "wfprov:ProcessRun" in types_of(value)


@record_rule("GR-20", "An attempt has a state, a task key and a run", "activity", own=True)
def attributes(record: Record) -> Iterator[Problem]:
    """Look at the attributes of attempts."""
    if not _is_attempt(record.value):
        return
    state = plain(record.value.get("gpwf:state"))
    if state not in _STATES:
        yield Problem(record.name, f"has the state {state!r}, which is none of an attempt")
    if not plain(record.value.get("gpwf:taskKey")):
        yield Problem(record.name, "has no task key")
    if not any(values_of(record.value, "wfprov:wasPartOfWorkflowRun")):
        yield Problem(record.name, "says of no run that it was part of it")


@record_rule("GR-21", "An attempt has the times that its state asks for", "activity", own=True)
def ends(record: Record) -> Iterator[Problem]:
    """Look at start and end of attempts."""
    if not _is_attempt(record.value):
        return
    state = plain(record.value.get("gpwf:state"))
    if "prov:startTime" not in record.value:
        yield Problem(record.name, "has no start")
    if "prov:endTime" not in record.value and state not in _OPEN:
        yield Problem(record.name, f"is {state}, but has no end")


@instance_rule(
    "GR-22", "An attempt follows a plan, by an agent, in a declared run", own=True, whole=True
)
def responsible(instance: Instance) -> Iterator[Problem]:
    """Look for agent, plan and run of every attempt that the record tells of itself."""
    known: set[str] = set()
    for _, activity, agent, plan in instance.relations["wasAssociatedWith"]:
        if agent and plan and activity:
            known.add(activity)
    started = {row[1]: row[3] for row in instance.relations["wasStartedBy"]}
    for item in instance.attempts:
        if item.is_own and item.name not in known:
            yield Problem(item.name, "is associated with no agent that followed a plan")
        for run in item.runs:
            if run not in instance.declared["activity"]:
                yield Problem(item.name, f"was part of {run}, which is declared nowhere")
        starter = started.get(item.name)
        if starter is None:
            yield Problem(item.name, "was started by no run")
        elif item.runs and starter not in item.runs:
            runs = " and ".join(item.runs)
            yield Problem(item.name, f"was started by {starter}, but is part of {runs}")


def _by_task(instance: Instance) -> dict[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = defaultdict(list)
    run = own_run(instance)
    for item in instance.attempts:
        if item.is_own and (not item.runs or run in item.runs):
            found[item.task].append(item)
    return found


@instance_rule(
    "GR-23", "Attempts of a task are numbered and name the one before", own=True, whole=True
)
def numbers(instance: Instance) -> Iterator[Problem]:
    """Look at the numbers of attempts, and at what they are a retry of."""
    for task, items in _by_task(instance).items():
        tried = [item for item in items if not item.is_hit]
        found = sorted(item.number or 0 for item in tried)
        if found != list(range(1, len(found) + 1)):
            text = ", ".join(map(str, found))
            yield Problem(
                tried[0].name, f"is one of the attempts {text} of {task}, not 1 to {len(found)}"
            )
            continue
        by_number = {item.number: item.name for item in tried}
        for item in tried:
            before = by_number.get((item.number or 0) - 1, "")
            if item.retry_of and item.retry_of != before:
                yield Problem(
                    item.name, f"is a retry of {item.retry_of}, which is not the one before"
                )
            elif before and not item.retry_of:
                yield Problem(item.name, f"is attempt {item.number}, but a retry of nothing")


@instance_rule(
    "GR-24", "The numbers of tasks per state agree with the attempts", own=True, whole=True
)
def counts(instance: Instance) -> Iterator[Problem]:
    """Count tasks by their last attempt, and what was not run."""
    run = own_run(instance)
    if not run:
        return
    told = _told(instance, run)
    found, undecided = Counter[str](), 0
    for items in _by_task(instance).values():
        last = max(items, key=lambda item: (item.number or 0, item.is_hit))
        if last.will_retry:
            undecided += 1  # what became of it is said on the run alone
        else:
            found[last.state] += 1
    steps = 0  # left out as a whole: they have no tasks that could be counted
    for text in values_of(instance.runs[run], "gpwf:notRun"):
        try:
            entry = json.loads(text)
            state, is_step = str(entry["state"]), entry["task"] == entry["step"]
        except (ValueError, KeyError, TypeError):
            yield Problem(run, f"gpwf:notRun is no JSON of a task: {text[:80]!r}")
            continue
        found[state] += 1
        steps += state == TaskState.SKIPPED and is_step and not entry.get("upstream")
    for state in sorted(told.keys() | found.keys()):
        more = found[state] - told[state]
        if more > (steps if state == TaskState.SKIPPED else 0) or -more > undecided:
            yield Problem(
                run, f"counts {told[state]} tasks that are {state}, but {found[state]} are recorded"
            )


def _told(instance: Instance, run: str) -> Counter[str]:
    told = Counter[str]()
    for text in values_of(instance.runs[run], "gpwf:count"):
        state, _, number = text.partition("=")
        if number.isdecimal():
            told[state] += int(number[:12])
    return told


@instance_rule(
    "GR-25", "A cached result was made by an attempt that is recorded", own=True, whole=True
)
def cached(instance: Instance) -> Iterator[Problem]:
    """Look for who made what a cached result used."""
    informed: dict[str, set[str]] = defaultdict(set)
    for _, one, other in instance.relations["wasInformedBy"]:
        if one and other:
            informed[one].add(other)
    hits = {item.name for item in instance.attempts if item.is_hit}
    if not hits:
        return
    made = {row[1]: row[2] for row in instance.relations["wasGeneratedBy"]}
    products = instance.declared["entity"]
    for _, activity, entity, _ in instance.relations["used"]:
        if activity in hits and entity and "gpwf:Product" in products.get(entity, ()):
            maker = made.get(entity)
            if maker not in informed[activity]:
                yield Problem(
                    activity, f"used {entity}, but is not informed by {maker}, who made it"
                )
    for name in hits:
        if not informed[name]:
            yield Problem(name, "is a cached result that no attempt informed of")


@instance_rule("GR-26", "What a failed attempt left behind is invalidated", own=True, whole=True)
def leftovers(instance: Instance) -> Iterator[Problem]:
    """Find products of attempts that did not end well which nothing invalidates."""
    bad = {item.name: item.state for item in instance.attempts if item.state not in _GOOD}
    if not bad:
        return
    gone = {row[1] for row in instance.relations["wasInvalidatedBy"]}
    products = instance.declared["entity"]
    for _, entity, activity, _ in instance.relations["wasGeneratedBy"]:
        if activity in bad and entity not in gone and "gpwf:Product" in products.get(entity, ()):
            yield Problem(entity, f"was left by {activity}, which is {bad[activity]}, but is valid")
