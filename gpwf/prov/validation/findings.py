"""What a check found: findings, and the report that collects them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gpwf.core.diagnostics import Severity

__all__ = ["Finding", "Problem", "Report"]

#: Findings of one rule that are kept; the others are counted.
MOST_OF_A_RULE = 50


class Problem(NamedTuple):
    """What a rule says of one record; `Finding` is the same with the rule's name.

    ``subject`` is the identifier of the record, ``message`` a sentence without it, ``with_rules``
    names other constraints that take part, ``severity`` differs from that of the rule where given.
    """

    subject: str
    message: str
    with_rules: tuple[str, ...] = ()
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth a look.

    Parameters
    ----------
    rule : str
        Identifier, as in the reference: ``PC-42``, ``GR-07``, ``FI-01``.
    severity : Severity
        ``error`` where the record or a file is not to be believed, ``warning`` otherwise.
    message : str
        What is wrong.
    subject : str
        Identifier of the record, or name of the product or input.
    file : str
        The file that it is in, where it is not the record.
    line : int, optional
        Line in the record or the file, from 1.
    expected, found : str
        Digests, where two do not agree.
    with_rules : tuple of str
        Further constraints that take part.
    hint : str
        What to do.
    """

    rule: str
    severity: Severity
    message: str
    subject: str = ""
    file: str = ""
    line: int | None = None
    expected: str = ""
    found: str = ""
    with_rules: tuple[str, ...] = ()
    hint: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON; empty fields are left out."""
        data: dict[str, Any] = {
            "rule": self.rule,
            "severity": str(self.severity),
            "message": self.message,
            "subject": self.subject,
            "file": self.file,
            "line": self.line,
            "expected": self.expected,
            "found": self.found,
            "with": list(self.with_rules),
            "hint": self.hint,
        }
        return {key: value for key, value in data.items() if value not in ("", None, [])}


@dataclass(slots=True, kw_only=True)
class Report:
    """What checking a record found.

    Parameters
    ----------
    record : str
        File that was read.
    is_run_record : bool
        True for a record of gpwf: then its own rules were checked, too.
    counts : Counter
        Number of records of each kind that could be read.
    findings : list of Finding
        Errors and warnings, at most `MOST_OF_A_RULE` of a rule.
    totals : Counter
        How often each rule was broken, also where not all findings are kept.
    files : Counter
        Number of files that were compared, by what they are.
    sections : set of str
        Sections of PROV-JSON that were met, also without records.
    """

    record: str = ""
    is_run_record: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    sections: set[str] = field(default_factory=set)

    @property
    def is_valid(self) -> bool:
        """True where there is no error."""
        return self.n_errors == 0

    @property
    def n_errors(self) -> int:
        """Number of errors that are kept."""
        return sum(item.severity is Severity.ERROR for item in self.findings)

    @property
    def n_warnings(self) -> int:
        """Number of warnings that are kept."""
        return sum(item.severity is Severity.WARNING for item in self.findings)

    @property
    def n_left_out(self) -> int:
        """Number of findings that are counted only."""
        return self.totals.total() - len(self.findings)

    def add(self, finding: Finding) -> None:
        """Take a finding in."""
        self.totals[finding.rule] += 1
        if self.totals[finding.rule] <= MOST_OF_A_RULE:
            self.findings.append(finding)

    def extend(self, findings: Iterable[Finding]) -> None:
        """Take findings in."""
        for finding in findings:
            self.add(finding)

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "record": self.record,
            "valid": self.is_valid,
            "run_record": self.is_run_record,
            "records": dict(sorted(self.counts.items())),
            "files": dict(sorted(self.files.items())),
            "findings": [item.as_data() for item in self.findings],
            "totals": dict(sorted(self.totals.items())),
        }
