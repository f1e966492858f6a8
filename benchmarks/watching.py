"""Measure what watching costs: console and log per task, and looking at large runs afterwards.

    python benchmarks/watching.py [--tasks 10000] [--runs 300] [--repeat 5]

A synthetic stream of events (the start and the end of every task) goes into the log and into each
console; what is told is the processor time per task of the process that would be the driver, in
ms. One redrawing of the live view comes five times a second at most. Then a run of that many tasks
and many small runs are written, and the commands that look at them are timed, each in a process of
its own: median wall time in seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import Plan, PlannedStep, Task
from gpwf.core.plan_codec import plan_to_plain
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    ProductFile,
    Resources,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskState,
)
from gpwf.report.console import open_console
from gpwf.report.live import LiveView
from gpwf.report.logging import RunLog
from gpwf.report.progress import Progress
from gpwf.run.journal import Journal

GPWF = [sys.executable, "-c", "import sys; from gpwf.cli import main; sys.exit(main())"]


class Terminal(io.StringIO):
    """A terminal that keeps what is drawn."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Return True."""
        return True


def make_plan(n_tasks: int) -> Plan:
    """Return a scatter."""
    tasks = tuple(
        Task(
            id=f"sim[seed={number}]",
            step="sim",
            tag="command",
            version="1",
            settings={},
            types={},
            origins={},
            inputs={},
            input_ports=(),
            output_ports=(),
            coordinates={"seed": number},
        )
        for number in range(n_tasks)
    )
    step = PlannedStep(name="sim", tag="command", title="", axes={"seed": n_tasks})
    return Plan(name="many", workflow_digest=Digest("a" * 64), tasks=tasks, steps=(step,))


def stamp(second: float) -> str:
    """Return ISO 8601 in UTC, some seconds into a day."""
    minutes, second = divmod(second, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"2026-01-02T{hours:02d}:{minutes:02d}:{second:09.6f}Z"


def make_events(plan: Plan) -> list[RunEvent]:
    """Return the events of a run in which every task takes a millisecond."""
    start = RunStarted(
        time=stamp(0), clock_s=0, run_id="r", plan_digest=Digest("a" * 64), workflow="many", jobs=2
    )
    events: list[RunEvent] = [start]
    for number, task in enumerate(plan.tasks):
        begin, end = number * 1e-3, number * 1e-3 + 1e-3
        key = TaskKey(hashlib.sha256(task.id.encode()).hexdigest())
        one = {"task": task.id, "attempt": 1, "attempt_id": key[:32], "key": key}
        events.append(AttemptStarted(time=stamp(begin), clock_s=begin, worker="local", **one))
        file = ProductFile(name="out.txt", digest=Digest(key), size=3)
        events.append(
            AttemptFinished(
                time=stamp(end),
                clock_s=end,
                state=TaskState.OK,
                started=stamp(begin),
                ended=stamp(end),
                products={"out": Product(kind="file", digest=Digest(key), files=(file,))},
                resources=Resources(wall_s=1e-3, cpu_s=1e-3, peak_rss_bytes=10**8, pid=1, host="h"),
                **one,
            )
        )
    counts = {"ok": len(plan.tasks)}
    end_s = len(plan.tasks) * 1e-3
    events.append(RunFinished(time=stamp(end_s), clock_s=end_s, state=RunState.OK, counts=counts))
    return events


def per_task(work: Callable[[], None], n_tasks: int) -> str:
    """Return the processor time of something per task."""
    begin = time.process_time()
    work()
    return f"{(time.process_time() - begin) / n_tasks * 1e3:8.4f} ms per task"


def measure_writing(plan: Plan, events: Sequence[RunEvent], folder: Path) -> None:
    """Measure log and consoles."""

    def log() -> None:
        with RunLog(folder / "log.jsonl", "r") as opened:
            for event in events:
                opened.event(event)

    def console(mode: str, stream: io.TextIOBase) -> None:
        opened = open_console(plan, mode=mode, stream=stream)
        for event in events:
            opened.event(event)
        opened.close()

    print(f"{'log':<26}{per_task(log, len(plan.tasks))}")
    with (folder / "plain.txt").open("w") as stream:
        print(f"{'plain console':<26}{per_task(lambda: console('plain', stream), len(plan.tasks))}")
    print(f"{'':<26}{len((folder / 'plain.txt').read_text().splitlines()):8d} lines")
    terminal = Terminal()
    print(f"{'live console':<26}{per_task(lambda: console('live', terminal), len(plan.tasks))}")
    progress = Progress(plan)
    for event in events[: min(len(events) - 1, 101) : 2]:
        progress.apply(event, 0.0)
    view = LiveView(progress, Terminal(), started_s=0.0)
    view.draw()
    begin = time.process_time()
    for _ in range(100):
        view.draw()
    print(f"{'one redrawing':<26}{(time.process_time() - begin) * 10:8.2f} ms")


def write_run(path: Path, plan: Plan, events: Sequence[RunEvent]) -> None:
    """Write a run directory."""
    path.mkdir(parents=True)
    (path / "plan.json").write_text(json.dumps(plan_to_plain(plan)))
    with Journal(path / "journal.jsonl") as journal:
        journal.extend(events)
    with RunLog(path / "log.jsonl", "r") as log:
        for event in events:
            log.event(event)


def wall_s(folder: Path, *arguments: str) -> float:
    """Return the wall time of a command."""
    begin = time.perf_counter()
    subprocess.run([*GPWF, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=10_000, help="of the large run (10000)")
    parser.add_argument("--runs", type=int, default=300, help="small runs (300)")
    parser.add_argument("--repeat", type=int, default=5, help="times for each command (5)")
    options = parser.parse_args()
    os.environ["TERM"] = "xterm-256color"
    plan = make_plan(options.tasks)
    events = make_events(plan)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        measure_writing(plan, events, folder)
        write_run(folder / "large" / "runs" / "many" / "20260102T000000Z-000000", plan, events)
        small = make_plan(4)
        for number in range(options.runs):
            path = folder / "many" / "runs" / "many" / f"20260102T000000Z-{number:06x}"
            write_run(path, small, make_events(small))
        for where, arguments in (
            ("large", ("status",)),
            ("large", ("status", "--format", "json")),
            ("large", ("logs", "--tail", "20")),
            ("large", ("runs",)),
            ("many", ("runs",)),
        ):
            times = [wall_s(folder / where, *arguments) for _ in range(options.repeat)]
            of = f"{options.tasks} tasks" if where == "large" else f"{options.runs} runs"
            name = f"gpwf {' '.join(arguments)}"
            print(f"{name:<26}{statistics.median(times):8.2f} s, {of}")


if __name__ == "__main__":
    main()
