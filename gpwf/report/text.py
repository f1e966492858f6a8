"""Plain text for terminals: tables, durations, sizes, and text from elsewhere made harmless."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "STATE_COLOURS",
    "Cell",
    "clean",
    "duration",
    "fit",
    "memory",
    "one_line",
    "state_cell",
    "table",
    "unstyled",
]

#: Colour of a task or run state wherever one is shown.
STATE_COLOURS: Mapping[str, str] = {
    "ok": "green",
    "cached": "cyan",
    "running": "blue",
    "failed": "red",
    "timeout": "red",
    "oom": "red",
    "lost": "red",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "blocked": "yellow",
    "skipped": "yellow",
}

_MIN_WIDTH = 6
_READABLE = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A table cell with a colour; a plain string is a cell without one."""

    text: str
    colour: str | None = None


def state_cell(state: str) -> Cell:
    """Return the cell that shows a state in its colour."""
    return Cell(text=state, colour=STATE_COLOURS.get(state))


def clean(text: str) -> str:
    """Return ``text`` without control characters other than line feed and tab.

    Messages come from files and libraries; an escape sequence in one must not reach the terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char in "\n\t" or char.isprintable() else f"\\x{ord(char):02x}" for char in text
    )


def one_line(text: str) -> str:
    """Return ``text`` on one line, control characters made visible."""
    return clean(" ".join(text.split()))


def unstyled(text: str) -> str:
    """Return a text without its colours."""
    from click import unstyle

    return unstyle(text)


def fit(text: str, width: int) -> str:
    """Cut ``text`` to ``width`` characters, with an ellipsis where something was cut."""
    if len(text) <= width:
        return text
    return text[: max(width - 1, 0)] + "…"


def duration(seconds: float | None) -> str:
    """Return a duration for people: ``0.4 s``, ``12.3 s``, ``4:05``, ``1:02:03``."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def memory(size: int | None) -> str:
    """Return a number of bytes for people, in decimal units: ``312 MB``."""
    if not size:
        return "-"
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _shrink(widths: list[int], available: int) -> list[int]:
    """Take width from the widest columns until the row fits or nothing more can be taken."""
    widths = list(widths)
    while sum(widths) > available and max(widths) > _MIN_WIDTH:
        widths[widths.index(max(widths))] -= 1
    return widths


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    width: int | None = None,
    right: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> str:
    """Return an aligned table as text, colours as ANSI sequences.

    Parameters
    ----------
    headers : sequence of str
        Column titles.
    rows : sequence of sequence of str or Cell
        One sequence per row, as long as ``headers``.
    width : int, optional
        Characters that a line may have; wide columns are cut to it. No limit by default, so that
        a pipe sees everything.
    right : sequence of str
        Titles of the columns aligned to the right.
    drop : sequence of str
        Titles of the columns that are left out, one after the other, where the width is too small
        for the others to be read.
    """
    cells = [[cell if isinstance(cell, Cell) else Cell(text=cell) for cell in row] for row in rows]
    texts = [list(headers), *[[one_line(cell.text) for cell in row] for row in cells]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(headers))]
    if width is not None:
        readable = sum(min(item, _READABLE) for item in widths) + 2 * (len(headers) - 1)
        if drop and readable > width:
            out = list(headers).index(drop[0])
            kept = [[cell for n, cell in enumerate(row) if n != out] for row in cells]
            names = [name for n, name in enumerate(headers) if n != out]
            return table(names, kept, width=width, right=right, drop=drop[1:])
        widths = _shrink(widths, width - 2 * (len(headers) - 1))
    coloured = [[Cell(text=name) for name in headers], *cells]
    return "\n".join(
        _row(headers, row, colours, widths, right, head=index == 0)
        for index, (row, colours) in enumerate(zip(texts, coloured, strict=True))
    )


def _row(
    headers: Sequence[str],
    texts: Sequence[str],
    cells: Sequence[Cell],
    widths: Sequence[int],
    right: Sequence[str],
    *,
    head: bool,
) -> str:
    """Return one line of a table, every text padded to its column and then coloured."""
    from click import style  # click only where colours are made

    parts = []
    for column, text in enumerate(texts):
        text = fit(text, widths[column])
        if headers[column] in right:
            text = text.rjust(widths[column])
        elif column < len(texts) - 1:
            text = text.ljust(widths[column])
        if head or cells[column].colour is not None:
            text = style(text, fg=cells[column].colour, bold=head or None)
        parts.append(text)
    return "  ".join(parts).rstrip()
