"""The table of rules: every rule is a function that a decorator puts here under its name.

A rule of a record looks at one record after the other while they are read, and sees its
attributes. A rule of an instance looks at all relations together when everything is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpwf.core.diagnostics import Severity
from gpwf.prov.validation.findings import Problem
from gpwf.prov.validation.instance import FORMAL, Instance, plain
from gpwf.prov.vocabulary import GPWF

__all__ = [
    "INSTANCE_RULES",
    "RECORD_RULES",
    "Record",
    "Rule",
    "instance_rule",
    "is_own_name",
    "record_rule",
]


class Record(NamedTuple):
    """One record, as a rule of a record sees it: attributes by their names with prefix."""

    section: str
    name: str
    value: Any
    instance: Instance

    @property
    def is_own(self) -> bool:
        """True for what gpwf said, in a document that uses its vocabulary.

        That is an element with an identifier of gpwf, and a relation of such an activity, or else
        of such a first argument. What was ingested from other software only owes what PROV asks.
        """
        if self.instance.prefixes.get("gpwf") != GPWF:
            return False
        arguments = FORMAL.get(self.section)
        if arguments is None:
            return is_own_name(self.name)
        key = "activity" if self.section in _BY_ACTIVITY else arguments[0]
        about = plain(self.value.get(f"prov:{key}")) if isinstance(self.value, Mapping) else ""
        return not about or is_own_name(about)


_BY_ACTIVITY = frozenset(("used", "wasGeneratedBy", "wasInvalidatedBy"))


def is_own_name(name: str) -> bool:
    """Return True for an identifier of gpwf."""
    return name.startswith("gpwf:")


InstanceCheck = Callable[[Instance], Iterator[Problem]]
RecordCheck = Callable[[Record], Iterator[Problem]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule.

    Parameters
    ----------
    id : str
        ``PC-`` and the number of a constraint of PROV-CONSTRAINTS, ``PT-`` and such a number for
        recorded times that contradict it, ``JS-`` for the form, ``GR-`` for records of gpwf.
    title : str
        The heading in the reference.
    severity : Severity
        Of its findings.
    check : callable
        Yields problems.
    sections : frozenset of str
        Kinds of records that a rule of a record looks at; all of them where it is empty.
    own : bool
        True for a rule about records of gpwf alone.
    whole : bool
        True for a rule about what is missing, which says nothing of a file of which a part is.
    """

    id: str
    title: str
    check: Any
    severity: Severity = Severity.ERROR
    sections: frozenset[str] = frozenset()
    own: bool = False
    whole: bool = False


#: In the order in which they are reported.
INSTANCE_RULES: list[Rule] = []
RECORD_RULES: list[Rule] = []


def instance_rule(
    id: str,
    title: str,
    *,
    severity: Severity = Severity.ERROR,
    own: bool = False,
    whole: bool = False,
) -> Callable[[InstanceCheck], InstanceCheck]:
    """Put a function into the table of rules of an instance."""

    def register(check: InstanceCheck) -> InstanceCheck:
        INSTANCE_RULES.append(
            Rule(id=id, title=title, check=check, severity=severity, own=own, whole=whole)
        )
        return check

    return register


def record_rule(
    id: str,
    title: str,
    *sections: str,
    severity: Severity = Severity.ERROR,
    own: bool = False,
) -> Callable[[RecordCheck], RecordCheck]:
    """Put a function into the table of rules of a record."""

    def register(check: RecordCheck) -> RecordCheck:
        RECORD_RULES.append(
            Rule(
                id=id,
                title=title,
                check=check,
                severity=severity,
                sections=frozenset(sections),
                own=own,
            )
        )
        return check

    return register
