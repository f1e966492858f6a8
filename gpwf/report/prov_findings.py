"""Findings of a check of a record, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpwf.report.text import clean

__all__ = ["findings_text"]

_SHOWN = 20  # findings of one rule
_SHORT = 160


def findings_text(report: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Return what a check found, grouped by rule.

    Parameters
    ----------
    report : mapping
        As `gpwf.prov.validation.findings.Report.as_data` returns it.
    titles : mapping of str to str
        Titles of the rules.
    """
    return "\n".join(_lines(report, titles))


def _lines(report: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    by_rule: dict[str, list[Mapping[str, Any]]] = {}
    for item in report["findings"]:
        by_rule.setdefault(item["rule"], []).append(item)
    for rule, items in by_rule.items():
        yield f"{rule} {titles.get(rule, '')}".rstrip()
        for item in items[:_SHOWN]:
            yield from _finding(item, report["record"])
        for hint in dict.fromkeys(item["hint"] for item in items[:_SHOWN] if "hint" in item):
            yield clean(f"  hint: {hint}")
        more = report["totals"][rule] - min(len(items), _SHOWN)
        if more:
            yield f"  and {more} more"
    yield _summary(report, list(by_rule))


def _finding(item: Mapping[str, Any], record: str) -> Iterator[str]:
    place = item.get("file") or record
    line = f":{item['line']}" if "line" in item else ""
    subject = f"{item['subject']} " if item.get("subject") else ""
    yield clean(f"  {place}{line}: {item['severity']}: {subject}{item['message']}")
    with_rules = item.get("with")
    if with_rules:
        yield f"    with {', '.join(with_rules)}"
    for name in ("expected", "found"):
        if name in item:
            yield clean(f"    {name} {item[name][:_SHORT]}")


def _summary(report: Mapping[str, Any], rules: Sequence[str]) -> str:
    n_records = sum(report["records"].values())
    kind = "record of a run" if report["run_record"] else "PROV document"
    checked = [f"{n_records} statements"]
    checked += [f"{count} {name}" for name, count in report["files"].items()]
    what = f"{clean(report['record'])}: {kind}, {', '.join(checked)}"
    if not rules:
        return f"{what}: valid"
    levels = [item["severity"] for item in report["findings"]]
    counts = [
        f"{levels.count(level)} {level}{'s' if levels.count(level) != 1 else ''}"
        for level in ("error", "warning")
        if level in levels
    ]
    verdict = "valid, with" if report["valid"] else "not valid:"
    return f"{what}: {verdict} {', '.join(counts)}"
