"""Check a record: read it, apply every rule, say where in the file the findings are.

A million records take about a minute and one gigabyte; `benchmarks/validation.py` measures it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpwf.core.diagnostics import Severity
from gpwf.errors import ProvenanceError
from gpwf.prov.ingest_merge import with_ingested
from gpwf.prov.reading import kind_of_text, read_document
from gpwf.prov.validation import (
    attempt_rules,
    form_rules,
    ordering_rules,
    own_rules,
    times_rules,
    typing_rules,
    uniqueness_rules,
)
from gpwf.prov.validation.findings import Finding, Problem, Report
from gpwf.prov.validation.instance import ELEMENTS, FORMAL, Instance
from gpwf.prov.validation.json_stream import Damage, Member, members
from gpwf.prov.validation.places import find_lines
from gpwf.prov.validation.rules import INSTANCE_RULES, RECORD_RULES, Record, Rule
from gpwf.prov.vocabulary import GPWF

__all__ = ["check_data", "check_file", "check_together", "titles"]

#: The modules whose functions are in the tables of rules: they register when they are loaded.
RULE_MODULES = (
    form_rules,
    uniqueness_rules,
    ordering_rules,
    times_rules,
    typing_rules,
    own_rules,
    attempt_rules,
)
_ORDER = ("RD", "JS", "PC", "PT", "GR")
#: Findings about the file as a whole, which no function of a rule makes.
FILE_RULES: Mapping[str, str] = {
    "RD-01": "The file can be read to its end",
    "RD-02": "A section is one of PROV-JSON",
}
_BEGINNING = 100_000


def titles() -> dict[str, str]:
    """Return the titles of all rules by their names, in the order of the reference."""
    found = dict(FILE_RULES)
    for rule in (*RECORD_RULES, *INSTANCE_RULES):
        found[rule.id] = rule.title
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def _place(rule: str) -> tuple[int, str]:
    kind = rule.partition("-")[0]
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER)), rule


def check_file(path: Path, documents: Sequence[Path] = ()) -> Report:
    """Check a record in a file of any standard format.

    PROV-JSON is read piece by piece, and past damage. The other formats go through the library
    `prov`, which refuses what it cannot read.

    Parameters
    ----------
    path : Path
        The record.
    documents : sequence of Path
        PROV-JSON documents that belong to it, see `gpwf.prov.ingest`: all together must be valid
        PROV; the rules of gpwf apply to the record alone.

    Raises
    ------
    ProvenanceError
        Where there is no such file, it is no provenance, or a library is missing.
    """
    try:
        with path.open("rb") as stream:
            begin = stream.read(_BEGINNING).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise ProvenanceError(
            f"cannot read {path}: {error.strerror}",
            hint="expected a record: a run directory, prov.json of a run, or PROV from elsewhere",
        ) from error
    kind = kind_of_text(begin)
    if kind == "json" or not begin.strip():
        report = _check(lambda: members(path))
        _refuse_other_json(path, report)
        find_lines(path, report)
        if documents:
            check_together(path, documents, report)
    elif kind:
        data = _as_json(path)
        report = _check(lambda: _members_of(data), is_json=False)
    else:
        raise ProvenanceError(
            f"{path} is no provenance record",
            hint="known: PROV-JSON, PROV-JSONLD, PROV-N, PROV-XML, Turtle, TriG",
        )
    report.record = str(path)
    return report


def check_data(data: Mapping[str, Any]) -> Report:
    """Check a PROV-JSON document that is in memory.

    Parameters
    ----------
    data : mapping
        As `json.load` returns it.
    """
    return _check(lambda: _members_of(data))


def check_together(path: Path, documents: Sequence[Path], report: Report) -> None:
    """Check a record with the documents that belong to it; add what that finds more.

    Parameters
    ----------
    path : Path
        The record.
    documents : sequence of Path
        PROV-JSON files.
    report : Report
        Of the record alone; is changed.
    """
    try:
        with with_ingested(path, documents) as whole:
            if whole == path:  # a torn record: it was told
                return
            found = _check(lambda: members(whole), own=False)
    except ProvenanceError as error:
        report.add(Finding(rule="RD-01", severity=Severity.ERROR, message=error.message))
        return
    known = {(item.rule, item.subject, item.message) for item in report.findings}
    for item in found.findings:
        if (item.rule, item.subject, item.message) in known:
            continue
        part = Report(findings=[item])
        for document in documents:
            find_lines(document, part)
            if part.findings[0].line is not None:
                part.findings[0] = replace(part.findings[0], file=str(document))
                break
        report.add(part.findings[0])
    report.counts = found.counts
    report.sections |= found.sections
    report.findings.sort(key=lambda item: _place(item.rule))


def _as_json(path: Path) -> Mapping[str, Any]:
    from gpwf.prov.export import serialise

    data: dict[str, Any] = json.loads(serialise(read_document(path)))
    return data


def _members_of(data: Mapping[str, Any]) -> Iterator[Member | Damage]:
    for section, records in data.items():
        yield Member(section, "", None)
        if isinstance(records, Mapping):
            for name, value in records.items():
                yield Member(section, name, value)
        else:
            yield Damage(0, f"section {section} holds no records")


def _refuse_other_json(path: Path, report: Report) -> None:
    """Refuse JSON that is something else; what is torn is a record as far as it goes."""
    unknown = report.totals["RD-02"] or any("section" in item.message for item in report.findings)
    if unknown and not report.sections:
        raise ProvenanceError(
            f"{path} is JSON but holds no entity, activity or agent: not PROV-JSON",
            hint="expected PROV-JSON; `gpwf prov export` writes the record of a run again",
        )


class _Pass:
    """One pass over a record; ``own`` applies the rules of gpwf."""

    def __init__(self, own: bool = True) -> None:
        self.own = own
        self.report = Report()
        self.bundles: list[tuple[str, Mapping[str, Any]]] = []
        self.late_prefixes = False

    def item(self, instance: Instance, item: Member | Damage) -> None:
        """Take in what was read next."""
        if isinstance(item, Damage):
            self.damage(item)
        else:
            self.take(instance, item)

    def take(self, instance: Instance, member: Member) -> None:
        section, name, value = member
        if not name and value is None:
            self._begin(section)
        elif section == "prefix":
            self.late_prefixes |= bool(self.report.counts) and name not in instance.prefixes
            instance.declare_prefixes({name: value})
        elif section == "bundle":
            if isinstance(value, Mapping):
                self.bundles.append((name, value))
            else:
                self._tell("RD-02", name, "is a bundle without records")
        elif section in FORMAL or section in ELEMENTS:
            if isinstance(value, list):
                self._several(instance, section, name, value)
            else:
                self._record(instance, section, name, value)

    def _several(self, instance: Instance, section: str, name: str, values: list[Any]) -> None:
        """Take in several records of one identifier, for which the schema has no place."""
        for part in values:
            self._record(instance, section, name, part)
        if instance.is_json:
            instance.scratch.setdefault("listed", set()).add((section, instance.name_of(name)))
            own = instance.prefixes.get("gpwf") == GPWF
            self.report.add(
                Finding(
                    rule="JS-01",
                    severity=Severity.ERROR if own else Severity.WARNING,
                    message=f"holds {len(values)} records in a list, which the schema refuses",
                    subject=name,
                )
            )

    def _record(self, instance: Instance, section: str, name: str, value: Any) -> None:
        self.report.counts[section] += 1
        record = Record(section, name, value, instance)
        own = self.own and isinstance(value, Mapping) and record.is_own
        for rule in RECORD_RULES:
            if (own or not rule.own) and (not rule.sections or section in rule.sections):
                for problem in rule.check(record):
                    self.problem(rule, problem)
        if isinstance(value, Mapping):
            instance.add(section, name, value)

    def _begin(self, section: str) -> None:
        if section in FORMAL or section in ELEMENTS or section in ("prefix", "bundle"):
            self.report.sections.add(section)
        else:
            self._tell("RD-02", section, "is no section of PROV-JSON; its records are passed over")

    def finish(self, instance: Instance) -> None:
        """Apply the rules about everything together."""
        own = self.own and instance.is_run_record
        is_torn = self.report.totals["RD-01"] > 0
        for rule in INSTANCE_RULES:
            if (own or not rule.own) and not (is_torn and rule.whole):
                for problem in rule.check(instance):
                    self.problem(rule, problem)

    def problem(self, rule: Rule, problem: Problem) -> None:
        self.report.add(
            Finding(
                rule=rule.id,
                severity=problem.severity or rule.severity,
                message=problem.message,
                subject=problem.subject or "",
                with_rules=problem.with_rules,
            )
        )

    def damage(self, damage: Damage) -> None:
        self.report.add(
            Finding(
                rule="RD-01",
                severity=Severity.ERROR,
                message=damage.message,
                line=damage.line or None,
                hint="what can be read was checked, but not for what may be missing of it",
            )
        )

    def _tell(self, rule: str, subject: str, message: str) -> None:
        self.report.add(
            Finding(rule=rule, severity=Severity.ERROR, message=message, subject=subject)
        )


def _check(
    read: Callable[[], Iterator[Member | Damage]], *, is_json: bool = True, own: bool = True
) -> Report:
    """Read a record and apply the rules; twice where prefixes come behind what needs them."""
    work, instance = _read(read(), Instance(), is_json, own)
    if work.late_prefixes:
        again = Instance()
        again.declare_prefixes(instance.prefixes)
        work, instance = _read(read(), again, is_json, own)
    work.report.is_run_record = instance.is_run_record
    work.finish(instance)
    for name, content in work.bundles:  # each is valid or not by itself
        inner = Instance(name)
        inner.is_json = is_json
        inner.declare_prefixes(instance.prefixes)
        for item in _members_of(content):
            work.item(inner, item)
        work.finish(inner)
    work.report.findings.sort(key=lambda item: _place(item.rule))
    return work.report


def _read(
    source: Iterator[Member | Damage], instance: Instance, is_json: bool, own: bool
) -> tuple[_Pass, Instance]:
    work = _Pass(own)
    instance.is_json = is_json
    for item in source:
        work.item(instance, item)
    return work, instance
