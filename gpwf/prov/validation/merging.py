"""Statements about one thing merge: what one leaves open another one says.

References
----------
https://www.w3.org/TR/2013/REC-prov-constraints-20130430/, sections 4.1 and 6.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpwf.prov.validation.instance import FORMAL, Instance

__all__ = ["Row", "key_conflicts", "merged", "merged_rows"]

Row = tuple[Any, ...]
#: Arguments whose absence is a value of its own: no plan was followed, no activity is meant.
_ABSENCE_COUNTS = {("wasAssociatedWith", "plan"), ("wasDerivedFrom", "activity")}


def merged(first: Row, second: Row, distinct: Iterable[int] = ()) -> tuple[Row, int | None]:
    """Unify two statements.

    Parameters
    ----------
    first, second : tuple
        Identifier and arguments; None stands for anything.
    distinct : iterable of int
        Positions at which None stands for nothing.

    Returns
    -------
    tuple
        What both say together.
    int or None
        Position at which they do not agree.
    """
    result = []
    for position, (one, other) in enumerate(zip(first, second, strict=True)):
        if one == other:
            result.append(one)
        elif one is None and position not in distinct:
            result.append(other)
        elif other is None and position not in distinct:
            result.append(one)
        else:
            return first, position
    return tuple(result), None


def merged_rows(instance: Instance, kind: str) -> list[Row]:
    """Return the relations of a kind, those with one identifier as one."""
    return _merge(instance, kind)[0]


def key_conflicts(instance: Instance, kind: str) -> list[tuple[Row, int]]:
    """Return the relations that do not agree with others of their identifier, and where."""
    return _merge(instance, kind)[1]


def _merge(instance: Instance, kind: str) -> tuple[list[Row], list[tuple[Row, int]]]:
    known: tuple[list[Row], list[tuple[Row, int]]] | None = instance.scratch.get(("merged", kind))
    if known is None:
        rows = instance.relations[kind]
        names = [row[0] for row in rows if row[0] is not None]
        conflicts: list[tuple[Row, int]] = []
        if len(set(names)) < len(names):
            rows = _unified(rows, kind, conflicts)
        known = instance.scratch["merged", kind] = rows, conflicts
    return known


def _unified(rows: Iterable[Row], kind: str, conflicts: list[tuple[Row, int]]) -> list[Row]:
    """Merge relations with one identifier; the others are kept as they are."""
    distinct = [
        n for n, name in enumerate(FORMAL[kind], start=1) if (kind, name) in _ABSENCE_COUNTS
    ]
    named: dict[str, Row] = {}
    nameless: list[Row] = []
    for row in rows:
        if row[0] is None:
            nameless.append(row)
        elif row[0] not in named:
            named[row[0]] = row
        else:
            named[row[0]], position = merged(named[row[0]], row, distinct)
            if position is not None:
                conflicts.append((row, position))
    return [*named.values(), *nameless]
