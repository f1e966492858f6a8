"""What the live view of a run shows, line by line; no terminal, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from gpwf.core.runs import TaskState
from gpwf.report.estimate import seconds_left
from gpwf.report.progress import Progress, Running, StepProgress
from gpwf.report.text import STATE_COLOURS, duration, memory, one_line

__all__ = ["Glyphs", "Used", "frame"]

_BAR = 12
_HEAD_BAR = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """Characters that the terminal has.

    Parameters
    ----------
    encoding : str
        Of the terminal; names are shown as far as it has their characters.
    full, empty, more, mark : str
        Parts of a bar, what stands for cut text, what marks a running task.
    """

    encoding: str = "utf-8"
    full: str = "━"
    empty: str = "─"
    more: str = "…"
    mark: str = "▸"

    @classmethod
    def of(cls, encoding: str | None) -> Glyphs:
        """Return those of an encoding."""
        encoding = encoding or "ascii"
        try:
            "━─…▸".encode(encoding)
        except (UnicodeError, LookupError):
            return cls(encoding=encoding, full="#", empty="-", more="~", mark=">")
        return cls(encoding=encoding)

    def text(self, text: str) -> str:
        """Return a text on one line, in characters that the terminal has."""
        text = one_line(text)
        if text.isascii():
            return text
        try:
            return text.encode(self.encoding, "replace").decode(self.encoding)
        except LookupError:
            return text.encode("ascii", "replace").decode()

    def fit(self, text: str, width: int) -> str:
        """Cut a text to some cells of the terminal."""
        text = self.text(text)
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, max(width - 1, 0)) + self.more[:width]


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a running task uses.

    Parameters
    ----------
    wall_s : float or None
        How long a worker has had it; 0 while it waits for one, None where nobody knows.
    rss_bytes : int or None
        Resident set of its processes.
    """

    wall_s: float | None = None
    rss_bytes: int | None = None


def frame(
    progress: Progress,
    now_s: float,
    *,
    started_s: float,
    width: int,
    height: int,
    used: Mapping[str, Used],
    glyphs: Glyphs,
) -> list[Text]:
    """Return the lines of the view, none of them longer than a line of the terminal.

    The overall bar, numbers and times; a bar for every step, or where there are too many for the
    ones that something happens to; the tasks that run.

    Parameters
    ----------
    progress : Progress
        The run.
    now_s, started_s : float
        The watcher's clock, now and when the run began, in seconds.
    width, height : int
        Of the terminal.
    used : mapping of str to Used
        By attempt id.
    glyphs : Glyphs
        Characters to draw with.
    """
    width = max(width - 1, 1)  # a full line makes some terminals go to the next one
    running = [item for item in list(progress.running.values()) if _has_worker(item, used)]
    head = [
        _headline(progress, width, glyphs),
        _numbers(progress, now_s, started_s, len(running), width, glyphs),
    ]
    room = max(height - 1 - len(head), 0)
    shown_tasks = min(len(running), max(room // 3, 1), room)
    steps, rest = _choose(list(progress.steps.values()), room - shown_tasks)
    shown_tasks = min(len(running), room - len(steps) - bool(rest))
    lines = [*head, *_step_lines(steps, Counter(item.step for item in running), width, glyphs)]
    if rest:
        lines.append(_rest_line(rest, width, glyphs))
    longest = sorted(running, key=lambda item: _taken_s(item, used, now_s), reverse=True)
    lines += _task_lines(longest[:shown_tasks], used, now_s, width, glyphs)
    return lines[: max(height - 1, 1)]


def _has_worker(item: Running, used: Mapping[str, Used]) -> bool:
    found = used.get(item.handle)
    return found is None or found.wall_s is None or found.wall_s > 0


def _taken_s(item: Running, used: Mapping[str, Used], now_s: float) -> float:
    found = used.get(item.handle)
    given_s = found.wall_s if found is not None else None
    return now_s - item.since_s if given_s is None else given_s


def _headline(progress: Progress, width: int, glyphs: Glyphs) -> Text:
    percent = int(100 * progress.done / max(progress.total, 1))
    count = f"{progress.done}/{progress.total} {percent:3d}%"
    name = glyphs.fit(progress.workflow, max(width // 3, 8))
    line = Text().append(name, style="bold")
    bar = min(width - cell_len(name) - len(count) - 2, _HEAD_BAR)
    if bar >= 4:
        failed = sum(step.failed for step in progress.steps.values())
        line.append(" ")
        line.append_text(_bar(progress.done, progress.total, failed, bar, glyphs))
    line.append(f" {count}")
    return _cut(line, width, glyphs)


def _numbers(
    progress: Progress, now_s: float, started_s: float, busy: int, width: int, glyphs: Glyphs
) -> Text:
    """Return counts and times; what does not fit is left out, the least important first."""
    left_s = seconds_left(progress, now_s)
    parts = [(3, f"{_whole(now_s - started_s)} elapsed", "")]
    if left_s is None:
        parts.append((0, "time left unknown", ""))
    elif left_s:
        parts.append((4, f"about {_whole(left_s)} left", "bold"))
    if progress.running:
        count = f"{min(busy, progress.workers)}/{progress.workers} workers busy"
        parts.append((1, count if busy else "starting workers", ""))
    failed = sum(step.failed for step in progress.steps.values())
    if failed:
        parts.append((5, f"{failed} failed", "red"))
    if cached := progress.ended.get(TaskState.CACHED, 0):
        parts.append((2, f"{cached} cached", "cyan"))
    while len(parts) > 1 and sum(len(text) + 3 for _, text, _ in parts) - 1 > width:
        parts.remove(min(parts))
    line = Text("  ")
    for number, (_, text, style) in enumerate(parts):
        line.append("   " if number else "").append(text, style=style or "dim")
    return _cut(line, width, glyphs)


def _whole(seconds: float) -> str:
    """Return a duration in whole seconds: it changes all the time."""
    return f"{seconds:.0f} s" if seconds < 59.5 else duration(seconds)


def _bar(done: int, total: int, failed: int, width: int, glyphs: Glyphs) -> Text:
    full = width if done >= total else int(width * done / total)
    bad = min(max(round(width * failed / max(total, 1)), 1 if failed and full else 0), full)
    line = Text(glyphs.full * (full - bad), style="green" if done >= total else "blue")
    line.append(glyphs.full * bad, style="red")
    return line.append(glyphs.empty * (width - full), style="dim")


def _choose(
    steps: Sequence[StepProgress], room: int
) -> tuple[Sequence[StepProgress], Sequence[StepProgress]]:
    """Return the steps to show, and those that share a line.

    Shown are all, or where there is no room those that something happens to.
    """
    if len(steps) <= room:
        return steps, ()
    weight = {"running": 0, "failed": 1, "waiting": 2}
    order = sorted(
        range(len(steps)),
        key=lambda index: (not steps[index].running, weight.get(steps[index].state, 3)),
    )
    active = [n for n in order if steps[n].running or 0 < steps[n].done < steps[n].total]
    chosen = set((active or order)[: max(room - 1, 0)])
    return (
        [step for index, step in enumerate(steps) if index in chosen],
        [step for index, step in enumerate(steps) if index not in chosen],
    )


def _step_lines(
    steps: Sequence[StepProgress], busy: Mapping[str, int], width: int, glyphs: Glyphs
) -> Iterator[Text]:
    names = [glyphs.fit(step.name, max(width * 2 // 5, 8)) for step in steps]
    counts = [f"{step.done}/{step.total}" for step in steps]
    name_width = max((cell_len(name) for name in names), default=0)
    count_width = max((len(count) for count in counts), default=0)
    bar_width = min(width - name_width - count_width - 4 - 12, _BAR)
    for step, name, count in zip(steps, names, counts, strict=True):
        line = Text(f"  {set_cell_size(name, name_width)} ")
        if bar_width >= 4:
            line.append_text(_bar(step.done, step.total, step.failed, bar_width, glyphs))
            line.append(" ")
        line.append(count.rjust(count_width), style="dim")
        for word, colour in _words(step, busy.get(step.name, 0)):
            line.append(f"  {word}", style=colour)
        yield _cut(line, width, glyphs)


def _words(step: StepProgress, busy: int) -> Iterator[tuple[str, str]]:
    """Return how a step stands: a word where all its tasks share one, else numbers."""
    is_over = step.done == step.total
    if is_over and (step.total == 1 or len(step.ended) == 1):
        yield step.state, STATE_COLOURS.get(step.state, "dim")
        return
    if busy:
        yield ("running" if step.total == 1 else f"{busy} running"), "blue"
    elif not step.done:
        yield "waiting", "dim"
    for state, number in sorted(step.ended.copy().items(), key=lambda item: item[0].has_products):
        if state is not TaskState.OK:
            yield f"{number} {state}", STATE_COLOURS.get(state, "dim")


def _rest_line(steps: Sequence[StepProgress], width: int, glyphs: Glyphs) -> Text:
    done = sum(step.done == step.total for step in steps)
    waiting = sum(not step.done and not step.running for step in steps)
    told = [
        f"{number} {word}"
        for number, word in (
            (len(steps) - done - waiting, "begun"),
            (waiting, "waiting"),
            (done, "done"),
        )
        if number
    ]
    many = "step" if len(steps) == 1 else "steps"
    text = glyphs.text(f"and {len(steps)} {many}: {', '.join(told)}")
    return _cut(Text(f"  {text}", style="dim"), width, glyphs)


def _task_lines(
    running: Sequence[Running],
    used: Mapping[str, Used],
    now_s: float,
    width: int,
    glyphs: Glyphs,
) -> Iterator[Text]:
    names = [glyphs.fit(item.task, max(width - 24, width // 2)) for item in running]
    times = [duration(_taken_s(item, used, now_s)) for item in running]
    sizes = [memory(used[item.handle].rss_bytes) if item.handle in used else "" for item in running]
    sizes = ["" if size == "-" else size for size in sizes]
    widths = [max(map(cell_len, column), default=0) for column in (names, times, sizes)]
    for item, name, time, size in zip(running, names, times, sizes, strict=True):
        line = Text(f"  {glyphs.mark} {set_cell_size(name, widths[0])}  ")
        line.append(time.rjust(widths[1]), style="blue")
        if widths[2]:
            line.append(f"  {size.rjust(widths[2])}", style="magenta")
        if item.note:
            line.append(f"  {glyphs.text(item.note)}", style="dim")
        yield _cut(line, width, glyphs)


def _cut(line: Text, width: int, glyphs: Glyphs) -> Text:
    """Cut a line to the width of the terminal."""
    if line.cell_len > width:
        while line.cell_len > width - 1:  # characters may be wide
            line.right_crop(max((line.cell_len - width + 1) // 2, 1))
        line.append(glyphs.more)
    return line
