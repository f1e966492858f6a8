"""Problems of a document for people and for machines: text with a caret, GitHub annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from gpwf.core.diagnostics import Diagnostic, Severity, Span
from gpwf.report.text import clean, fit, one_line

__all__ = ["diagnostics_text", "github_lines"]

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_LONGEST_LINE = 160


def diagnostics_text(items: Sequence[Diagnostic]) -> str:
    """Return problems as text: place, code and message, the line with a caret, what to do."""
    blocks = ["\n".join(_block(item)) for item in items]
    return "\n".join([*blocks, _count(items)])


def _block(item: Diagnostic) -> Iterator[str]:
    from click import style

    place = style(f"{clean(str(item.span))}: ", bold=True) if item.span else ""
    code = style(item.code, fg=_COLOURS[item.severity], bold=True)
    word = "" if item.severity is Severity.ERROR else f"{item.severity}: "
    yield f"{place}{code} {word}{clean(item.message)}"
    if item.span is not None and item.source_line is not None:
        yield from _source(item.span, item.source_line, _COLOURS[item.severity])
    if item.step is not None and "[" in item.step:  # which of the tasks; messages name steps
        yield f"  for {clean(item.step)}"
    for span, remark in item.related:
        yield f"  {clean(str(span))}: {clean(remark)}"
    if item.hint:
        yield f"  hint: {clean(item.hint)}"


def _source(span: Span, text: str, colour: str) -> Iterator[str]:
    """Yield the line of text and a caret below the place; a long line is cut around it."""
    from click import style

    line = "".join(char if char.isprintable() else " " for char in text.rstrip("\r\n"))
    start = min(span.column - 1, len(line))
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    cut = max(start - _LONGEST_LINE // 2, 0)
    line = fit(line[cut:], _LONGEST_LINE)
    length = max(min(end - cut, len(line)) - (start - cut), 1)
    number = str(span.line)
    yield f"  {number} | {line}"
    yield f"  {' ' * len(number)} | {' ' * (start - cut)}{style('^' * length, fg=colour)}"


def _count(items: Sequence[Diagnostic]) -> str:
    counts = Counter(item.severity for item in items)
    parts = [
        f"{counts[severity]} {name}{'s' if counts[severity] > 1 else ''}"
        for severity, name in zip(Severity, ("error", "warning", "remark"), strict=True)
        if counts[severity]
    ]
    return ", ".join(parts) or "no problems"


def github_lines(items: Sequence[Diagnostic]) -> list[str]:
    """Return problems as workflow commands of GitHub Actions, which marks the lines.

    References
    ----------
    GitHub Docs, "Workflow commands for GitHub Actions", setting an error message.
    """
    return [_annotation(item) for item in items]


def _annotation(item: Diagnostic) -> str:
    fields = []
    if item.span is not None:
        span = item.span
        fields = [
            f"file={_property(span.file)}",
            f"line={span.line}",
            f"endLine={span.end_line}",
            f"col={span.column}",
            f"endColumn={span.end_column}",
        ]
    fields.append(f"title={_property(item.code)}")
    text = item.message if not item.hint else f"{item.message} ({item.hint})"
    return f"::{_GITHUB[item.severity]} {','.join(fields)}::{_data(one_line(text))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
