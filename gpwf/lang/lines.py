"""The lines of a text: from character positions to lines and columns."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from itertools import accumulate

from gpwf.core.diagnostics import Span

__all__ = ["Lines"]

_LONGEST_SHOWN_LINE = 1000
_LINE_END = re.compile("\r\n|\n|\r")


class Lines:
    """Where the lines of a text begin.

    Line ends are LF, CRLF and CR, as editors count them; YAML's other line ends are not.

    Parameters
    ----------
    text : str
        The text.
    file : str
        Name for spans.
    """

    __slots__ = ("_starts", "file", "text")

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self._starts = _line_starts(text)

    def source_line(self, line: int) -> str | None:
        """Return a line of the text, counted from 1; None for a line too long to show."""
        if not 1 <= line <= len(self._starts):
            return None
        start = self._starts[line - 1]
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        if end - start > _LONGEST_SHOWN_LINE + 2:
            return None
        text = self.text[start:end].rstrip("\r\n")
        return text if len(text) <= _LONGEST_SHOWN_LINE else None

    def span(self, start: int, end: int) -> Span:
        """Return the span between two character positions."""
        starts = self._starts
        line = last = bisect_right(starts, start)
        if line < len(starts) and end >= starts[line]:
            last = bisect_right(starts, end)
        return Span(
            file=self.file,
            line=line,
            column=start - starts[line - 1] + 1,
            end_line=last,
            end_column=(end if end > start else start) - starts[last - 1] + 1,
        )


def _line_starts(text: str) -> array[int]:
    """Return where every line begins, four bytes each: there are texts of line ends alone."""
    if "\r" in text:
        ends = [match.end() for match in _LINE_END.finditer(text)]
        return array("I", [0, *ends])
    starts = array("I", accumulate((len(line) + 1 for line in text.split("\n")), initial=0))
    starts.pop()  # the line after the last one
    return starts
