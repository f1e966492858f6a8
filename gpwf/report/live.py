"""The redrawn view of a run, by rich; imported only while a run shows one."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gpwf.report.progress import Progress, StepProgress
from gpwf.report.text import STATE_COLOURS, duration

__all__ = ["LiveView"]

_REDRAWS_PER_S = 5


class LiveView:
    """Overall bar, a line per step, and the running tasks with the time they have taken.

    Parameters
    ----------
    progress : Progress
        Kept up to date by the caller.
    stream : text file
        The terminal.
    """

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress = progress
        self._started_s = time.monotonic()
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live = Live(
            self,
            console=self._console,
            refresh_per_second=_REDRAWS_PER_S,
            transient=True,
            # what libraries print belongs to stdout as it is
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def stop(self) -> None:
        """Take the view from the screen and give the cursor back."""
        self._live.stop()

    def say(self, text: str, colour: str) -> None:
        """Print a line above the view; it stays."""
        self._console.print(Text(text, style=colour))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now_s = time.monotonic()
        # the view must not be higher than the screen, or it cannot be redrawn in place
        room = max(console.size.height - 4, 3)
        running = list(self._progress.running.values())[: max(room // 3, 1)]
        steps = _choose(list(self._progress.steps.values()), room - len(running))
        parts: list[RenderableType] = [self._headline(now_s, options.max_width)]
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        for step in steps:
            state = step.state
            table.add_row(
                Text(f"  {step.name}"),
                Text(state, style=_style(state)),
                Text(f"{step.done}/{step.total}", style="dim"),
            )
        parts.append(table)
        if (hidden := len(self._progress.steps) - len(steps)) > 0:
            parts.append(Text(f"  and {hidden} more steps", style="dim"))
        for item in running:
            line = Text(f"  > {item.task} ", no_wrap=True, overflow="ellipsis")
            line.append(duration(now_s - item.since_s), style="blue")
            if item.note:
                line.append(f"  {item.note}", style="dim")
            parts.append(line)
        yield Group(*parts)

    def _headline(self, now_s: float, width: int) -> RenderableType:
        progress = self._progress
        line = Table.grid(padding=(0, 1))
        line.add_column(no_wrap=True, overflow="ellipsis", max_width=max(width // 3, 8))
        line.add_column()
        line.add_column(no_wrap=True)
        bar_width = max(min(width - width // 3 - 20, 40), 4)
        line.add_row(
            Text(progress.workflow, style="bold"),
            ProgressBar(total=max(progress.total, 1), completed=progress.done, width=bar_width),
            Text(f"{progress.done}/{progress.total}  {duration(now_s - self._started_s)}"),
        )
        return line


def _style(state: str) -> str:
    return STATE_COLOURS.get(state, "dim")


def _choose(steps: list[StepProgress], room: int) -> list[StepProgress]:
    """Return the steps to show: all, or where there is no room those that something happens to."""
    if len(steps) <= room:
        return steps
    weight = {"running": 0, "failed": 1, "waiting": 2}
    chosen = sorted(range(len(steps)), key=lambda index: weight.get(steps[index].state, 3))
    return [steps[index] for index in sorted(chosen[: max(room - 1, 1)])]
