"""What a run says at its end: the steps, the products, and after a failure how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from gpwf.core.runs import RunState
from gpwf.core.view import RunView
from gpwf.report.listings import counts_text, elapsed_s, first_failure, step_summaries
from gpwf.report.text import STATE_COLOURS, Cell, clean, duration, memory, table

__all__ = ["step_table", "summary_text"]

_COLUMNS = ("step", "state", "tasks", "wall", "cpu", "memory")


def step_table(view: RunView, width: int | None = None) -> str:
    """Return the table of steps: state, tasks, wall and CPU time, peak memory of this run."""
    rows = [
        (
            item.name,
            Cell(
                text=item.state if len(item.counts) == 1 else counts_text(item.counts),
                colour=STATE_COLOURS.get(item.state),
            ),
            str(sum(item.counts.values())),
            duration(item.wall_s),
            duration(item.cpu_s),
            memory(item.peak_rss_bytes),
        )
        for item in step_summaries(view)
    ]
    return table(_COLUMNS, rows, width=width, right=_COLUMNS[2:])


def summary_text(
    view: RunView,
    *,
    products: str,
    outputs: Mapping[str, Sequence[str]],
    run_dir: str,
    command: Sequence[str],
    width: int | None = None,
) -> str:
    """Return the end of a run for people.

    Parameters
    ----------
    view : RunView
        The run, ended.
    products : str
        Directory with the products under readable names.
    outputs : mapping of str to sequence of str
        Files of the named results that exist.
    run_dir : str
        Where log and journal are.
    command : sequence of str
        The command that goes on with this run.
    width : int, optional
        Characters of a line of the terminal.
    """
    lines = ["", step_table(view, width), "", _headline(view)]
    if any(item.products for item in view.tasks.values()):
        lines.append(f"products: {products}")
    for name, paths in outputs.items():
        lines.extend(f"  {name}: {path}" for path in paths)
    if view.state is not RunState.OK:
        lines.extend(_what_now(view, run_dir, command))
    return "\n".join(lines)


def _headline(view: RunView) -> str:
    from click import style

    state = style(str(view.state), fg=STATE_COLOURS.get(view.state), bold=True)
    took = elapsed_s(view)
    after = f" in {duration(took)}" if took is not None else ""
    reason = f" ({clean(view.reason)})" if view.reason else ""
    return f"{view.workflow}: {state}{after}: {counts_text(view.counts())}{reason}"


def _what_now(view: RunView, run_dir: str, command: Sequence[str]) -> Iterator[str]:
    from click import style

    yield ""
    failed = first_failure(view)
    step = ""
    if failed is not None:
        task, failure = failed
        step = task.task.step
        where = f", {task.task.place}" if task.task.place else ""
        head = style(f"{task.task.id} {task.state}", fg="red", bold=True)
        yield f"{head} ({failure.kind}{where}): {clean(failure.message)}"
        if failure.hint:
            yield f"  hint: {clean(failure.hint)}"
        others = (
            sum(item.state in ("failed", "timeout", "oom", "lost") for item in view.tasks.values())
            - 1
        )
        if others > 0:
            yield f"  and {others} more: gpwf status {shlex.quote(run_dir)}"
    yield f"log:      gpwf logs {shlex.quote(run_dir)} {shlex.quote(step)}".removesuffix(" ''")
    yield f"to go on: {shlex.join(command)}"
