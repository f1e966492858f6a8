"""Uniqueness, constraints 22 to 29 of PROV-CONSTRAINTS: what has one identity agrees with itself.

Statements about the same thing merge: an argument that one of them leaves open takes the value of
the other, two different values cannot both hold. Attributes never conflict, they add up.

References
----------
https://www.w3.org/TR/2013/REC-prov-constraints-20130430/, sections 4.1 and 6.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import FORMAL, Instance
from gpwf.prov.validation.merging import Row, key_conflicts, merged, merged_rows
from gpwf.prov.validation.rules import instance_rule

__all__ = ["relations"]


@instance_rule("PC-22", "An element has one start and one end")
def elements(instance: Instance) -> Iterator[Problem]:
    """Compare what several declarations of an activity say."""
    for kind, name, start, end in instance.again:
        if kind == "activity":
            _, conflict = merged(instance.times[name], (start, end))
            if conflict is not None:
                what = ("starts", "ends")[conflict]
                yield Problem(name, f"is declared twice, with different {what}")


@instance_rule("PC-23", "A relation with an identifier is one relation")
def relations(instance: Instance) -> Iterator[Problem]:
    """Compare relations of one kind that share an identifier."""
    for kind, arguments in FORMAL.items():
        if kind in ("specializationOf", "alternateOf", "hadMember", "mentionOf"):
            continue  # they have no identifiers
        for row, position in key_conflicts(instance, kind):
            what = arguments[position - 1]
            yield Problem(row[0], f"is the identifier of two {kind} with different {what}")


@instance_rule("PC-24", "An activity generates an entity once")
def generations(instance: Instance) -> Iterator[Problem]:
    """Compare generations of one entity by one activity."""
    yield from _once(instance, "wasGeneratedBy", (1, 2), "is generated twice by {}")


@instance_rule("PC-25", "An activity invalidates an entity once")
def invalidations(instance: Instance) -> Iterator[Problem]:
    """Compare invalidations of one entity by one activity."""
    yield from _once(instance, "wasInvalidatedBy", (1, 2), "is invalidated twice by {}")


@instance_rule("PC-26", "An activity is started by another one once")
def starts(instance: Instance) -> Iterator[Problem]:
    """Compare starts of one activity by one starter."""
    yield from _once(instance, "wasStartedBy", (1, 3), "is started twice by {}")


@instance_rule("PC-27", "An activity is ended by another one once")
def ends(instance: Instance) -> Iterator[Problem]:
    """Compare ends of one activity by one ender."""
    yield from _once(instance, "wasEndedBy", (1, 3), "is ended twice by {}")


@instance_rule("PC-28", "An activity starts when it is started")
def start_times(instance: Instance) -> Iterator[Problem]:
    """Compare the start of an activity with that of the relation."""
    yield from _same_time(instance, "wasStartedBy", 0, "starts")


@instance_rule("PC-29", "An activity ends when it is ended")
def end_times(instance: Instance) -> Iterator[Problem]:
    """Compare the end of an activity with that of the relation."""
    yield from _same_time(instance, "wasEndedBy", 1, "ends")


def _once(instance: Instance, kind: str, pair: tuple[int, int], message: str) -> Iterator[Problem]:
    first, second = pair
    rows = [row for row in merged_rows(instance, kind) if row[first] and row[second]]
    if len({(row[first], row[second]) for row in rows}) == len(rows):
        return
    known: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row[first], row[second]
        if key not in known:
            known[key] = row
            continue
        known[key], position = merged(known[key], row)
        if position is not None:
            what = "identifier" if position == 0 else FORMAL[kind][position - 1]
            yield Problem(row[first], f"{message.format(row[second])}, with different {what}")


def _same_time(instance: Instance, kind: str, which: int, word: str) -> Iterator[Problem]:
    for row in instance.relations[kind]:
        activity, time = row[1], row[4]
        declared = instance.times.get(activity, (None, None))[which]
        if time is not None and declared is not None and time != declared:
            by = f"{abs(time - declared) / 1e6:g} s"
            yield Problem(activity, f"{word} at two times that are {by} apart")
