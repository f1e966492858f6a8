"""What differs between two runs, products or tasks, wired."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from gpwf.api.find_record import find_record, product_file
from gpwf.api.run_records import RecordSet, newer_note
from gpwf.api.runs import open_run
from gpwf.errors import ProvenanceError, UsageError
from gpwf.prov.diff import compare
from gpwf.prov.diff_answers import Change, Difference, ProductChange
from gpwf.prov.diff_facts import Side, read_side
from gpwf.prov.lineage import Lineage
from gpwf.prov.lineage_build import Kind, Relation
from gpwf.prov.lineage_find import find
from gpwf.prov.query_facts import Facts
from gpwf.store.cards import read_cards

__all__ = ["Change", "Difference", "ProductChange", "diff"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operand:
    """One side: a record, and what of it is meant; all of it where that is empty."""

    record: Path
    what: str = ""


def diff(a: str | Path, b: str | Path, *, store: Path | None = None) -> Difference:
    """Return what differs between two runs, products or tasks, and which difference came first.

    Parameters
    ----------
    a, b : str or Path
        A run directory or the end of its name, a workflow (its latest run), a PROV-JSON file; a
        product or task of one, ``RUN:fit.models``, ``RUN:sim[seed=3]``; or a product file,
        wherever it was copied.
    store : Path, optional
        Store whose runs know the files; those around them by default.

    Raises
    ------
    UsageError
        Where something is not there, or does not name one product or task.
    ProvenanceError
        Where a record cannot be read.
    """
    with RecordSet() as records, ExitStack() as stack:  # origins are read when they are needed
        sides = [_side(records, stack, str(item), store) for item in (a, b)]
        (one, first), (two, second) = sides
        if bool(first) != bool(second):
            raise UsageError(
                "a run and a product of one cannot be compared",
                hint="compare runs with runs, RUN:STEP.port with RUN:STEP.port",
            )
        roots = (first, second) if first and second else None
        found = compare(one, two, names=(str(a), str(b)), roots=roots)
        return replace(found, warnings=tuple(records.warnings))


def _side(records: RecordSet, stack: ExitStack, text: str, store: Path | None) -> tuple[Side, str]:
    """Return what is recorded of one side, and the task that is meant, where one is."""
    operand = _operand(records, text, store)
    lineage = stack.enter_context(
        Lineage.of(operand.record, keep=operand.record.parent.name == "prov")
    )
    if any(record.is_torn for record in lineage.records):
        raise ProvenanceError(
            f"{operand.record} is damaged: what is missing cannot be compared",
            hint="give the run directory: its record is made anew from the journal",
        )
    records.warnings += filter(None, map(newer_note, lineage.records))
    if not operand.what:
        return read_side(lineage, None), ""
    keys = find(lineage, operand.what)
    tasks = _tasks_of(lineage, keys)
    if len(tasks) == 1:
        return read_side(lineage, keys), tasks.pop()
    many = ", ".join(sorted(tasks)[:3]) + (" …" if len(tasks) > 3 else "")
    raise UsageError(
        f"{text} is not one task, but {len(tasks)}: {many}"
        if tasks
        else f"{text} was not made by a task",
        hint="name one: RUN:STEP[axis=value].port",
    )


def _tasks_of(lineage: Lineage, keys: list[int]) -> set[str]:
    """Return the tasks that things are, or were made by."""
    kinds = lineage.kinds(keys)
    activities = [key for key in keys if kinds[key] in (Kind.ATTEMPT, Kind.CACHED, Kind.ACTIVITY)]
    activities += [edge.cause for edge in lineage.causes(keys, Relation.GENERATED)]
    facts = Facts(lineage)
    told = [facts.told_of(item) for item in lineage.things(activities)]
    return {item.get("task") or item.id for item in told}


def _operand(records: RecordSet, text: str, store: Path | None) -> _Operand:
    path = product_file(text) or Path(text)
    if path.is_file():
        if path.suffix == ".json" and not read_cards(path):
            return _Operand(record=path)
        found = find_record(path, store)
        if found.changed:
            records.warnings.append(f"{path} was changed after {found.task} made it")
        return _Operand(record=found.record, what=found.entity)
    if path.is_dir() or ":" not in text:
        return _Operand(record=records.path_of(open_run(text).path))
    run, _, what = text.partition(":")
    if Path(run).is_file():
        return _Operand(record=Path(run), what=what)
    return _Operand(record=records.path_of(open_run(run or None).path), what=what)
