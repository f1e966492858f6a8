"""Recorded times against the order of events: constraints 30 to 49 of PROV-CONSTRAINTS.

The recommendation orders events without looking at times, which may come from different clocks. In
a record of gpwf they come from one, or are moved (`gpwf:clockStep`): a time that contradicts the
order is an error there, and a warning in a record from elsewhere.

References
----------
https://www.w3.org/TR/2013/REC-prov-constraints-20130430/, section 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gpwf.core.diagnostics import Severity
from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import Instance
from gpwf.prov.validation.rules import instance_rule

__all__ = ["Times"]

#: Subject, earlier time, later time, and what is wrong if they come the other way round.
Pair = tuple[str | None, int | None, int | None, str]


class Times:
    """The recorded times of instants, in microseconds since 1970."""

    def __init__(self, instance: Instance) -> None:
        relations = instance.relations
        self.start = {name: time for name, (time, _) in instance.times.items() if time is not None}
        self.end = {name: time for name, (_, time) in instance.times.items() if time is not None}
        for kind, times in (("wasStartedBy", self.start), ("wasEndedBy", self.end)):
            for row in relations[kind]:
                if row[4] is not None and row[1]:
                    times.setdefault(row[1], row[4])
        self.made, self.gone = (
            {row[1]: row[3] for row in relations[kind] if row[3] is not None and row[1]}
            for kind in ("wasGeneratedBy", "wasInvalidatedBy")
        )


def _time_rule(
    constraint: int, title: str
) -> Callable[[Callable[[Instance, Times], Iterable[Pair]]], Callable[..., Iterator[Problem]]]:
    """Make a rule of a function that names pairs of times, the earlier one first."""

    def decorate(
        pairs: Callable[[Instance, Times], Iterable[Pair]],
    ) -> Callable[..., Iterator[Problem]]:
        def check(instance: Instance) -> Iterator[Problem]:
            severity = None if instance.is_run_record else Severity.WARNING
            for subject, first, second, message in pairs(instance, _times_of(instance)):
                if first is not None and second is not None and first > second:
                    by = f"{(first - second) / 1e6:g} s"
                    yield Problem(subject or "", message.format(by=by), (), severity)

        check.__doc__ = pairs.__doc__
        instance_rule(f"PT-{constraint}", title)(check)
        return check

    return decorate


def _times_of(instance: Instance) -> Times:
    """Return the times of an instance, which several rules ask for."""
    known: Times | None = instance.scratch.get("times")
    if known is None:
        known = instance.scratch["times"] = Times(instance)
    return known


@_time_rule(30, "An activity starts before it ends")
def start_end(instance: Instance, times: Times) -> Iterator[Pair]:
    """An activity does not end before it starts."""
    for name in instance.times.keys() | times.start.keys():
        yield name, times.start.get(name), times.end.get(name), "ends {by} before it starts"


@_time_rule(33, "A usage lies inside its activity")
def usage_inside(instance: Instance, times: Times) -> Iterator[Pair]:
    """A usage is between start and end of its activity."""
    start, end = times.start.get, times.end.get
    for name, activity, entity, time in instance.relations["used"]:
        if time is not None:
            where = name or entity
            yield where, start(activity), time, f"is a usage {{by}} before {activity} starts"
            yield where, time, end(activity), f"is a usage {{by}} after {activity} ends"


@_time_rule(34, "A generation lies inside its activity")
def generation_inside(instance: Instance, times: Times) -> Iterator[Pair]:
    """A generation is between start and end of its activity."""
    start, end = times.start.get, times.end.get
    for _, entity, activity, time in instance.relations["wasGeneratedBy"]:
        if time is not None:
            yield entity, start(activity), time, f"is generated {{by}} before {activity} starts"
            yield entity, time, end(activity), f"is generated {{by}} after {activity} ends"


@_time_rule(35, "Who informs starts before the informed ends")
def informed_after(instance: Instance, times: Times) -> Iterator[Pair]:
    """Who informs has begun when the informed ends."""
    for _, informed, informant in instance.relations["wasInformedBy"]:
        message = f"ends {{by}} before {informant} starts, which informs it"
        yield informed, times.start.get(informant), times.end.get(informed), message


@_time_rule(36, "An entity is generated before it is invalidated")
def made_before_gone(instance: Instance, times: Times) -> Iterator[Pair]:
    """A generation comes before an invalidation."""
    for _, entity, _, time in instance.relations["wasInvalidatedBy"]:
        yield entity, times.made.get(entity), time, "is invalidated {by} before it is generated"


@_time_rule(37, "An entity is generated before it is used")
def made_before_used(instance: Instance, times: Times) -> Iterator[Pair]:
    """A generation comes before a usage."""
    made = times.made.get
    for name, activity, entity, time in instance.relations["used"]:
        if time is not None and entity in times.made:
            message = f"is the usage of {entity} by {activity} {{by}} before its generation"
            yield name or entity, made(entity), time, message


@_time_rule(38, "An entity is used before it is invalidated")
def used_before_gone(instance: Instance, times: Times) -> Iterator[Pair]:
    """A usage comes before an invalidation."""
    for name, activity, entity, time in instance.relations["used"]:
        if time is not None and entity in times.gone:
            message = f"is the usage of {entity} by {activity} {{by}} after its invalidation"
            yield name or entity, time, times.gone[entity], message


@_time_rule(39, "All generations of an entity are simultaneous")
def one_time_of_generation(instance: Instance, times: Times) -> Iterator[Pair]:
    """Generations of one entity have one time."""
    for _, entity, _, time in instance.relations["wasGeneratedBy"]:
        message = "is generated at times that are {by} apart"
        yield entity, times.made.get(entity), time, message


@_time_rule(40, "All invalidations of an entity are simultaneous")
def one_time_of_invalidation(instance: Instance, times: Times) -> Iterator[Pair]:
    """Invalidations of one entity have one time."""
    for _, entity, _, time in instance.relations["wasInvalidatedBy"]:
        yield entity, times.gone.get(entity), time, "is invalidated at times that are {by} apart"


@_time_rule(41, "What a derivation used is used before the result is generated")
def derivation_uses_first(instance: Instance, times: Times) -> Iterator[Pair]:
    """The usage of a derivation comes before the generation of the new entity."""
    wanted = {row[5] for row in instance.relations["wasDerivedFrom"]} - {None}
    used = {row[0]: row[3] for row in instance.relations["used"] if row[0] in wanted}
    for name, new, _, _, _, usage in instance.relations["wasDerivedFrom"]:
        if usage is not None:
            message = f"says that {new} was generated {{by}} before the usage {usage}"
            yield name or new, used.get(usage), times.made.get(new), message


@_time_rule(42, "An entity is generated before what is derived from it, by the clock")
def derived_later(instance: Instance, times: Times) -> Iterator[Pair]:
    """The old entity of a derivation is generated before the new one."""
    for name, new, old, *_ in instance.relations["wasDerivedFrom"]:
        message = f"says that {new} was generated {{by}} before {old}, which it is derived from"
        yield name or new, times.made.get(old), times.made.get(new), message


@_time_rule(43, "The trigger of a start is there when it starts something")
def trigger_of_start(instance: Instance, times: Times) -> Iterator[Pair]:
    """A trigger is generated before, and invalidated after the start."""
    for _, activity, trigger, _, time in instance.relations["wasStartedBy"]:
        if trigger is not None:
            at = time if time is not None else times.start.get(activity)
            message = f"is started {{by}} before its trigger {trigger} is generated"
            yield activity, times.made.get(trigger), at, message
            message = f"is started {{by}} after its trigger {trigger} is invalidated"
            yield activity, at, times.gone.get(trigger), message


@_time_rule(44, "The trigger of an end is there when it ends something")
def trigger_of_end(instance: Instance, times: Times) -> Iterator[Pair]:
    """A trigger is generated before, and invalidated after the end."""
    for _, activity, trigger, _, time in instance.relations["wasEndedBy"]:
        if trigger is not None:
            at = time if time is not None else times.end.get(activity)
            message = f"is ended {{by}} before its trigger {trigger} is generated"
            yield activity, times.made.get(trigger), at, message
            message = f"is ended {{by}} after its trigger {trigger} is invalidated"
            yield activity, at, times.gone.get(trigger), message


@_time_rule(45, "The general entity is generated before its specialisation")
def general_first(instance: Instance, times: Times) -> Iterator[Pair]:
    """The general entity is generated first."""
    for _, special, general, *_ in _specialisations(instance):
        message = f"is generated {{by}} before {general}, of which it is a specialisation"
        yield special, times.made.get(general), times.made.get(special), message


@_time_rule(46, "The specialisation is invalidated before the general entity")
def special_gone_first(instance: Instance, times: Times) -> Iterator[Pair]:
    """The special entity is invalidated first."""
    for _, special, general, *_ in _specialisations(instance):
        message = f"is invalidated {{by}} after {general}, of which it is a specialisation"
        yield special, times.gone.get(special), times.gone.get(general), message


@_time_rule(47, "An activity and its agent overlap")
def agent_overlaps(instance: Instance, times: Times) -> Iterator[Pair]:
    """An agent is there at some time of its activity."""
    for _, activity, agent, _ in instance.relations["wasAssociatedWith"]:
        start, end = times.start.get(activity), times.end.get(activity)
        message = f"starts {{by}} after its agent {agent} is gone"
        yield activity, start, times.gone.get(agent), message
        yield activity, start, times.end.get(agent), message
        message = f"ends {{by}} before its agent {agent} is there"
        yield activity, times.made.get(agent), end, message
        yield activity, times.start.get(agent), end, message


@_time_rule(48, "An agent is there before what is attributed to it")
def agent_first(instance: Instance, times: Times) -> Iterator[Pair]:
    """An agent is there before what is attributed to it."""
    for _, entity, agent in instance.relations["wasAttributedTo"]:
        message = f"is generated {{by}} before the agent {agent} is there"
        yield entity, times.made.get(agent), times.made.get(entity), message
        yield entity, times.start.get(agent), times.made.get(entity), message


@_time_rule(49, "Who is responsible is there before the delegate is gone")
def responsible_first(instance: Instance, times: Times) -> Iterator[Pair]:
    """Who is responsible is there before the delegate is gone."""
    for _, delegate, responsible, _ in instance.relations["actedOnBehalfOf"]:
        message = f"is gone {{by}} before {responsible} is there, on behalf of whom it acts"
        yield delegate, times.made.get(responsible), times.gone.get(delegate), message
        yield delegate, times.start.get(responsible), times.end.get(delegate), message


def _specialisations(instance: Instance) -> Iterator[tuple[str | None, ...]]:
    yield from instance.relations["specializationOf"]
    yield from instance.relations["mentionOf"]
