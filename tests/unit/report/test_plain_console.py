"""Lines of a run that nobody watches on a terminal: not too many of them, and never silence."""

import io
from dataclasses import replace

import report_fakes as fakes

from gpwf.core.runs import Failure, RunFinished, RunState, TaskState
from gpwf.report.plain import PlainConsole
from gpwf.report.progress import Progress

BAD = Failure(kind="StepError", message="no counts")


class Watched:
    """A console with a clock of its own, whose thread is not waited for."""

    def __init__(self, plan=None) -> None:
        self.now_s = 0.0
        self.stream = io.StringIO()
        progress = Progress(plan or fakes.make_plan())
        self.console = PlainConsole(progress, self.stream, clock=lambda: self.now_s)

    def run(self, task: str, took_s: float, **kwargs) -> None:
        self.console.event(fakes.begin(task, 0))
        self.now_s += took_s
        done = fakes.end(task, 1, **kwargs)
        self.console.event(replace(done, resources=replace(done.resources, wall_s=took_s)))

    @property
    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.stream.getvalue().splitlines()]


def test_thousands_of_short_tasks_share_a_line_now_and_then():
    watched = Watched(fakes.wide_plan(1, 10_000))
    for number in range(10_000):
        watched.run(f"step-00[run={number}]", 0.002)
    watched.console.event(RunFinished(state=RunState.OK, **fakes.at(20)))
    watched.console.close()
    lines = watched.lines
    assert len(lines) < 300
    assert lines[0] == "step-00[run=0]: started"
    summaries = [line for line in lines if "/10000 tasks" in line]
    # 100 tasks with lines of their own, then 5 s
    assert [int(line.partition("/")[0]) // 100 for line in summaries] == [26, 51, 76, 100]
    assert summaries[0].endswith("tasks; about 14.8 s left")
    assert lines[-1] == "run ok"


def test_single_tasks_are_named_again_when_they_become_slow():
    watched = Watched(fakes.wide_plan(1, 500))
    for number in range(300):
        watched.run(f"step-00[run={number}]", 0.01)
    for number in range(300, 320):
        watched.run(f"step-00[run={number}]", 4.0)
        watched.console.beat(watched.now_s)
    watched.console.close()
    assert "step-00[run=310]: ok in 4.0 s (311/500)" in watched.lines


def test_a_silent_run_says_that_it_goes_on():
    watched = Watched()
    watched.console.event(fakes.begin("fit", 0))
    note = {"event": "task.progress", "task_id": "fit", "done": 3, "total": 12, "message": "bins"}
    watched.console.record(note)
    for second in range(1, 100):
        watched.now_s = float(second)
        watched.console.beat(watched.now_s)
    watched.console.close()
    assert watched.lines == [
        "fit: started",
        "still running: 0/4 tasks; running: fit 30.0 s 3/12 bins",
        "still running: 0/4 tasks; running: fit 1:00 3/12 bins",
        "still running: 0/4 tasks; running: fit 1:30 3/12 bins",
    ]


def test_a_task_that_waits_for_a_worker_is_not_told_to_run():
    watched = Watched()

    class Meter:
        def running_s(self, handle: str) -> float:
            return 61.0 if handle == "fit-1" else 0.0

    watched.console._meter = Meter()
    for task in ("datasets[run=1]", "fit"):
        watched.console.event(fakes.begin(task, 0))
    watched.console.beat(31.0)
    watched.console.close()
    assert watched.lines[-1] == "still running: 0/4 tasks; running: fit 1:01"


def test_of_thousands_of_failures_the_first_ones_have_lines():
    watched = Watched(fakes.wide_plan(1, 5000))
    for number in range(5000):
        watched.run(f"step-00[run={number}]", 0.001, state=TaskState.FAILED, failure=BAD)
    watched.console.event(RunFinished(state=RunState.FAILED, **fakes.at(9)))
    watched.console.close()
    failures = [line for line in watched.lines if line.endswith("no counts (1/5000)")]
    assert len(failures) == 1
    assert len(watched.lines) < 450
    assert any("more problems, see the log" in line for line in watched.lines)
    assert "5000/5000 tasks, 5000 failed" in watched.lines[-2]


def test_a_failure_has_a_line_among_thousands_of_short_tasks():
    watched = Watched(fakes.wide_plan(1, 2000))
    for number in range(1999):
        watched.run(f"step-00[run={number}]", 0.001)
    watched.run("step-00[run=1999]", 0.001, state=TaskState.FAILED, failure=BAD)
    assert watched.lines[-1] == "step-00[run=1999]: failed after 0.0 s: no counts (2000/2000)"
    watched.console.close()


def test_cached_steps_in_turns_do_not_fill_the_log():
    watched = Watched(fakes.wide_plan(2, 3000))
    for number in range(3000):
        for step in (0, 1):
            watched.console.event(fakes.cached(f"step-{step:02d}[run={number}]", 0))
    watched.console.event(RunFinished(state=RunState.OK, **fakes.at(9)))
    watched.console.close()
    assert len(watched.lines) < 210
    assert watched.lines[-2].startswith("6000/6000 tasks")
