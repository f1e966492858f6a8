"""What a run says at its end: the steps, the products, and after a failure how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from gpwf.core.runs import Failure, RunState, TaskState
from gpwf.core.view import RunView, TaskView
from gpwf.report.listings import (
    StepSummary,
    counts_text,
    elapsed_s,
    first_failure,
    step_summaries,
)
from gpwf.report.text import STATE_COLOURS, Cell, clean, duration, memory, one_line, table

__all__ = ["failure_text", "step_table", "summary_text"]

_COLUMNS = ("step", "state", "tasks", "wall", "cpu", "memory")
_SHOWN = 5  # files of one result of the workflow
_HARD = (TaskState.FAILED, TaskState.TIMEOUT, TaskState.OOM, TaskState.LOST)


def step_table(view: RunView, width: int | None = None) -> str:
    """Return the table of steps: state, tasks, wall and CPU time, peak memory of this run."""
    rows = [
        (
            item.name,
            Cell(
                text=item.state if len(item.counts) < 2 else counts_text(item.counts),
                colour=STATE_COLOURS.get(item.state),
            ),
            _tasks(item),
            duration(item.wall_s),
            duration(item.cpu_s),
            memory(item.peak_rss_bytes),
        )
        for item in step_summaries(view)
    ]
    return table(_COLUMNS, rows, width=width, right=_COLUMNS[2:], drop=("cpu", "memory", "tasks"))


def _tasks(item: StepSummary) -> str:
    """Return the number of tasks of a step, and how many of them stand under another one."""
    total = sum(item.counts.values())
    return f"{total} ({item.n_shared} shared)" if item.n_shared else str(total)


def summary_text(
    view: RunView,
    *,
    products: str,
    outputs: Mapping[str, Sequence[str]],
    width: int | None = None,
) -> str:
    """Return the end of a run for people: the table of steps, and where the products are.

    Where nothing failed, it says why the first task without data had none.

    Parameters
    ----------
    view : RunView
        The run, ended.
    products : str
        Directory with the products under readable names.
    outputs : mapping of str to sequence of str
        Files of the named results that exist.
    width : int, optional
        Characters of a line of the terminal; no limit by default.
    """
    from click import style

    state = style(str(view.state), fg=STATE_COLOURS.get(view.state), bold=True)
    took = elapsed_s(view)
    after = f" in {duration(took)}" if took is not None else ""
    stopped = view.state in (RunState.CANCELLED, RunState.INTERRUPTED)
    reason = f" ({clean(view.reason)})" if stopped and view.reason else ""
    head = f"{one_line(view.workflow)}: {state}{after}: {counts_text(view.counts())}{reason}"
    lines = ["", step_table(view, width), "", head, *_without_data(view)]
    if any(item.products for item in view.tasks.values()):
        lines.append(f"products: {products}")
    for name, paths in outputs.items():
        lines.extend(f"  {name}: {path}" for path in paths[:_SHOWN])
        if len(paths) > _SHOWN:
            lines.append(f"  {name}: and {len(paths) - _SHOWN} more")
    return "\n".join(lines)


def _without_data(view: RunView) -> Iterator[str]:
    """Yield the reason of the first task without data, in a run that is no failure."""
    found = first_failure(view) if view.state is RunState.OK else None
    if found is None or not found[1].no_data:
        return
    yield from _reason(*found, head=f"{found[0].task.id}: no data", colour="yellow")
    failures = (item.last.failure for item in view.tasks.values() if item.last is not None)
    others = sum(item is not None and item.no_data for item in failures) - 1
    if others > 0:
        yield f"  and {others} more without data of their own: gpwf status"


def failure_text(view: RunView, *, run_dir: str, command: str) -> str:
    """Return why a run did not end well, where its log is, and the command that goes on.

    Parameters
    ----------
    view : RunView
        The run.
    run_dir : str
        Its directory.
    command : str
        Command line that goes on, quoted for a shell.
    """
    lines = [""]
    log = ["gpwf", "logs", run_dir]
    failed = first_failure(view)
    if failed is not None:
        task, failure = failed
        lines += _reason(task, failure, head=f"{task.task.id}: {task.state}", colour="red")
        others = sum(item.state in _HARD for item in view.tasks.values()) - 1
        if others > 0:
            lines.append(f"  and {others} more: gpwf status {shlex.quote(run_dir)}")
        log.append(task.task.step)
    lines += [f"log:      {shlex.join(log)}", f"to go on: {command}"]
    return "\n".join(lines)


def _reason(task: TaskView, failure: Failure, *, head: str, colour: str) -> Iterator[str]:
    from click import style

    head = style(head, fg=colour, bold=True)
    where = f"{task.task.place}: " if task.task.place else ""
    # a step may name itself in its message: once is enough
    yield f"{where}{head}: {clean(failure.message.removeprefix(f'{task.task.step}: '))}"
    if failure.hint:
        yield f"  hint: {clean(failure.hint)}"
