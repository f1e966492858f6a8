"""Where in a file the findings are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gpwf.prov.validation.findings import Report

__all__ = ["find_lines"]


def find_lines(path: Path, report: Report) -> None:
    """Give the findings of a report the line of the record that they are about.

    The file is read once more, and only if there are findings. A line that begins with the
    identifier and a colon is the record's, in files that have one record per line as well as in
    indented ones.

    Parameters
    ----------
    path : Path
        The record, PROV-JSON.
    report : Report
        Is changed.
    """
    wanted = {f'"{item.subject}"': item.subject for item in report.findings if item.subject}
    if not wanted:
        return
    lines: dict[str, int] = {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            head = line[:4000].lstrip()
            if not head.startswith('"'):
                continue
            end = head.find('"', 1)
            name = wanted.get(head[: end + 1])
            if name is not None and head[end + 1 : end + 3].lstrip().startswith(":"):
                lines.setdefault(name, number)
                if len(lines) == len(wanted):
                    break
    report.findings[:] = [
        replace(item, line=lines[item.subject])
        if item.line is None and item.subject in lines
        else item
        for item in report.findings
    ]
