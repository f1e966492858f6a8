"""Types and impossible statements, constraints 50 to 56 of PROV-CONSTRAINTS.

References
----------
https://www.w3.org/TR/2013/REC-prov-constraints-20130430/, sections 6.3 and 6.4.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpwf.prov.validation.components import cycles_of
from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import ELEMENTS, FORMAL, REFERENCES, Instance
from gpwf.prov.validation.rules import instance_rule

__all__ = ["entities_and_activities"]

#: Relations that no two of may share an identifier (constraint 53); an influence may be any.
_PROPERTIES = (
    "used", "wasGeneratedBy", "wasInvalidatedBy", "wasStartedBy", "wasEndedBy", "wasInformedBy",
    "wasAttributedTo", "wasAssociatedWith", "actedOnBehalfOf",
)  # fmt: skip


@instance_rule("PC-11", "A derivation names its own generation and usage")
def derivations(instance: Instance) -> Iterator[Problem]:
    """Compare derivations with the generations and usages that they name (inference 11, key 23)."""
    rows = [row for row in instance.relations["wasDerivedFrom"] if row[4] or row[5]]
    for position, kind, end in ((4, "wasGeneratedBy", 1), (5, "used", 2)):
        wanted = {row[position] for row in rows} - {None}
        entity, activity = (1, 2) if kind == "wasGeneratedBy" else (2, 1)
        named = {row[0]: row for row in instance.relations[kind] if row[0] in wanted}
        for row in rows:
            step = named.get(row[position])
            if step is None:
                continue
            subject = row[0] or row[1]
            if step[entity] and row[end] and step[entity] != row[end]:
                yield Problem(subject, f"names {step[0]}, which is about {step[entity]}")
            elif step[activity] and row[3] and step[activity] != row[3]:
                yield Problem(subject, f"names {step[0]}, which belongs to {step[activity]}")


@instance_rule("PC-51", "A derivation by no activity has no generation and no usage")
def unspecified_derivations(instance: Instance) -> Iterator[Problem]:
    """Find derivations that name a generation or a usage but no activity."""
    for name, new, _, activity, generation, usage in instance.relations["wasDerivedFrom"]:
        if activity is None and (generation or usage):
            what = "generation" if generation else "usage"
            yield Problem(name or new, f"is a derivation with a {what} but without an activity")


@instance_rule("PC-52", "Nothing is a specialisation of itself")
def specialisations(instance: Instance) -> Iterator[Problem]:
    """Find rings of specialisations (with inference 19, which is transitive)."""
    pairs = [
        (row[1], row[2])
        for kind in ("specializationOf", "mentionOf")
        for row in instance.relations[kind]
        if row[1] and row[2]
    ]
    for cycle in cycles_of(pairs):
        yield Problem(cycle[0], f"is a specialisation of itself: {' of '.join(cycle)}")


@instance_rule("PC-53", "Relations of different kinds have different identifiers")
def property_overlap(instance: Instance) -> Iterator[Problem]:
    """Find identifiers of several kinds of relations."""
    known: dict[str, str] = {}
    for kind in _PROPERTIES:
        for row in instance.relations[kind]:
            if row[0] is not None and known.setdefault(row[0], kind) != kind:
                yield Problem(row[0], f"is a {known[row[0]]} and a {kind}")


@instance_rule("PC-54", "An element and a relation have different identifiers")
def object_overlap(instance: Instance) -> Iterator[Problem]:
    """Find identifiers of an element and of a relation."""
    for kind in _PROPERTIES:
        for row in instance.relations[kind]:
            if row[0] is not None:
                for element in ELEMENTS:
                    if row[0] in instance.declared[element]:
                        yield Problem(row[0], f"is an {element} and a {kind}")


@instance_rule("PC-55", "Nothing is an entity and an activity")
def entities_and_activities(instance: Instance) -> Iterator[Problem]:
    """Find what is declared or used [50] as entity and as activity."""
    declared = instance.declared
    for name in declared["entity"].keys() & declared["activity"].keys():
        yield Problem(name, "is declared as an entity and as an activity")
    other = {"entity": "activity", "activity": "entity"}
    seen: set[str] = set()
    meant: dict[str, tuple[str, str]] = {}  # of what nobody declares
    for kind, arguments in FORMAL.items():
        wanted = [
            (position, REFERENCES[name], name)
            for position, name in enumerate(arguments, start=1)
            if REFERENCES.get(name) in other
        ]
        for row in instance.relations[kind]:
            for position, element, argument in wanted:
                name = row[position]
                if name is None or element is None or name in declared[element] or name in seen:
                    continue
                if name in declared[other[element]]:
                    seen.add(name)
                    yield Problem(
                        name,
                        f"is declared as an {other[element]}, but is the {argument} of a {kind}",
                        ("PC-50",),
                    )
                elif meant.setdefault(name, (element, kind))[0] != element:
                    seen.add(name)
                    first = meant[name]
                    yield Problem(
                        name,
                        f"is an {first[0]} in a {first[1]} and an {element} in a {kind}",
                        ("PC-50",),
                    )


@instance_rule("PC-56", "An empty collection has no member")
def empty_collections(instance: Instance) -> Iterator[Problem]:
    """Find members of empty collections."""
    types = instance.declared["entity"]
    for _, collection, member in instance.relations["hadMember"]:
        if "prov:EmptyCollection" in types.get(collection, ()):
            yield Problem(collection, f"is an empty collection, and {member} is its member")
