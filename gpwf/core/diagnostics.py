"""Problems found in a document, each with its place in the text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Diagnostic", "Severity", "Span"]


class Severity(StrEnum):
    """How bad a problem is: only errors stop a run."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Span:
    """A place in a text file.

    Parameters
    ----------
    file : str
        File as the user gave it.
    line, column : int
        Start, both counted from 1; the column counts characters.
    end_line, end_column : int
        End, exclusive in the column.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem.

    Parameters
    ----------
    code : str
        Stable code, ``GP`` and three digits; each has a heading in the reference.
    message : str
        What is wrong and what was expected, in one line.
    span : Span, optional
        Where; None only for problems without a text (a value given on the command line).
    severity : Severity
        Error, warning or info.
    hint : str, optional
        What to do, a near miss for example.
    step : str, optional
        Name of the step concerned.
    source_line : str, optional
        The line of text at ``span``, for the display with a caret.
    related : tuple of (Span, str)
        Other places that explain the problem, each with a remark.
    """

    code: str
    message: str
    span: Span | None = None
    severity: Severity = Severity.ERROR
    hint: str | None = None
    step: str | None = None
    source_line: str | None = None
    related: tuple[tuple[Span, str], ...] = ()

    def __str__(self) -> str:
        place = f"{self.span}: " if self.span else ""
        return f"{place}{self.code} {self.message}"

    @property
    def sort_key(self) -> tuple[str, int, int, str]:
        """Order of the text, then of the code."""
        if self.span is None:
            return ("", 0, 0, self.code)
        return (self.span.file, self.span.line, self.span.column, self.code)
