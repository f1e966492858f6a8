"""A few lines at the lower end of a terminal that are drawn again and again in place."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from typing import TextIO

from gpwf.report.text import unstyled

__all__ = ["Screen", "is_foreground"]

_HIDE_CURSOR = "\x1b[?25l"
_SHOW_CURSOR = "\x1b[?25h"
_ERASE_LINE = "\x1b[K"
_ERASE_BELOW = "\x1b[J"


def is_foreground(stream: TextIO) -> bool:
    """Return False where a terminal belongs to somebody else now: the shell, another job."""
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # not the terminal of this session, or none
        return True


class Screen:
    """Draw lines in place of those that were drawn before; may be used from several threads.

    A terminal that is made narrower folds the lines that are on it: they are counted as it shows
    them now. What is written between two drawings goes above the lines, and stays.

    Parameters
    ----------
    stream : text file
        The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._lines: Sequence[str] = ()
        self._widths: Sequence[int] = ()
        self._is_hidden = False
        self._is_gone = False

    def size(self) -> tuple[int, int]:
        """Return width and height of the terminal."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):  # no real terminal
            size = shutil.get_terminal_size()
        # some terminals do not know
        return size.columns or 80, size.lines or 24

    @property
    def is_ours(self) -> bool:
        """False while the terminal belongs to somebody else."""
        return is_foreground(self._stream)

    def forget(self) -> None:
        """Leave what is drawn where it is, and begin anew below the next time."""
        with self._lock:
            self._lines, self._widths = (), ()

    def draw(self, lines: Sequence[str], widths: Sequence[int]) -> None:
        """Show lines in place of the ones shown now.

        Parameters
        ----------
        lines : sequence of str
            With the control sequences of their colours.
        widths : sequence of int
            Cells that each of them takes.
        """
        with self._lock:
            hide = "" if self._is_hidden else _HIDE_CURSOR
            self._is_hidden = True
            self._write(hide + self._start() + self._drawn(lines))
            self._lines, self._widths = lines, widths

    def draw_text(self, text: str) -> None:
        """Show a text, as much of it as the terminal has lines for; see `draw`."""
        from rich.cells import cell_len

        columns, rows = self.size()
        lines: list[str] = []
        widths: list[int] = []
        for line in text.splitlines():
            width = cell_len(unstyled(line))
            rows -= max(-(-width // columns), 1)
            if rows < 1:
                lines[-1:], widths[-1:] = ["..."], [3]
                break
            lines.append(line)
            widths.append(width)
        self.draw(lines, widths)

    def above(self, text: str) -> None:
        """Write lines that stay, above the ones that are drawn."""
        with self._lock:
            told = "".join(f"{line}{_ERASE_LINE}\n" for line in text.splitlines())
            self._write(self._start() + told + self._drawn(self._lines))

    def clear(self) -> None:
        """Take the lines from the terminal and give the cursor back."""
        with self._lock:
            if self._is_hidden:
                rows = self._rows()
                # line by line: tmux keeps a screen that is erased from its top in its history
                erase = f"{_ERASE_LINE}\x1b[B" * rows + _ERASE_BELOW + _up(rows)
                self._write(self._start() + erase + _SHOW_CURSOR)
            self._is_hidden = False
            self._lines, self._widths = (), ()

    def _rows(self) -> int:
        """Return how far the last of the lines is below the first, as the terminal shows them."""
        columns, _ = self.size()
        return sum(max(-(-width // columns), 1) for width in self._widths[:-1])

    def _start(self) -> str:
        """Return how to come from the last of the lines to the first."""
        return "\r" + _up(self._rows()) if self._lines else ""

    def _drawn(self, lines: Sequence[str]) -> str:
        if not lines:
            return ""
        # the cursor waits at the beginning of the last line: the ^C that a terminal shows there
        # cannot make it go to the next line
        return f"{_ERASE_LINE}\n".join(lines) + f"{_ERASE_LINE}{_ERASE_BELOW}\r"

    def _write(self, text: str) -> None:
        if self._is_gone:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # somebody closed the terminal: no reason to lose what runs
            self._is_gone = True


def _up(rows: int) -> str:
    return f"\x1b[{rows}A" if rows else ""
