import io
import subprocess
import sys
from dataclasses import replace

import pytest
import report_fakes as fakes

from gpwf.core.runs import TaskNotRun, TaskState
from gpwf.report.console import LiveConsole, PlainConsole, QuietConsole, open_console
from gpwf.report.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plain(events, records=()) -> list[str]:
    stream = io.StringIO()
    console = open_console(fakes.make_plan(), stream=stream)
    for event in events:
        console.event(event)
    for record in records:
        console.record(record)
    console.close()
    text = stream.getvalue()
    assert "\x1b" not in text
    return [line.partition(" ")[2] for line in text.splitlines()]


def test_a_pipe_gets_one_line_per_event():
    assert plain(fakes.good_run()) == [
        "observations: cached (1/4)",
        "datasets[run=1]: started",
        "datasets[run=2]: started",
        "datasets[run=1]: ok in 1.0 s (2/4)",
        "datasets[run=2]: ok in 1.0 s (3/4)",
        "fit: started",
        "fit: ok in 1.0 s (4/4)",
        "run ok",
    ]


def test_a_retry_a_failure_and_a_blocked_task_say_why():
    lines = plain(fakes.failed_run())
    assert "datasets[run=1]: lost after 1.0 s: the worker was killed (trying again)" in lines
    assert "datasets[run=1]: started (attempt 2)" in lines
    assert "datasets[run=2]: failed after 1.0 s: no counts in run 2 (3/4)" in lines
    assert "fit: blocked: datasets[run=2] failed (4/4)" in lines
    assert lines[-1] == "run failed: 1 task failed"


def test_cached_tasks_of_a_step_share_a_line():
    events = [fakes.cached(f"datasets[run={n}]", n) for n in (1, 2)]
    assert plain(events) == ["datasets (2 tasks): cached (2/4)"]


def test_a_warning_is_shown_without_the_line_of_code_that_gave_it():
    message = "/ab/c/fit.py:105: UserWarning: edges moved: 1 became 2"
    record = {"level": "warning", "logger": "py.warnings", "message": message}
    assert plain([], [record]) == ["gpwf: warning: edges moved: 1 became 2"]


def test_a_step_that_names_itself_is_named_once():
    record = {"level": "warning", "message": "fit: no errors", "task_id": "fit[a=1]", "step": "fit"}
    assert plain([], [record]) == ["fit[a=1]: warning: no errors"]


def test_tasks_that_are_not_run_for_one_reason_share_a_line():
    events = [
        TaskNotRun(
            task=f"datasets[run={n}]", state=TaskState.BLOCKED, reason="x failed", **fakes.at(n)
        )
        for n in (1, 2)
    ]
    assert plain(events) == ["datasets (2 tasks): blocked: x failed (2/4)"]


def test_every_cached_step_counts_its_own_tasks():
    events = [
        fakes.cached("observations", 0),
        *(fakes.cached(f"datasets[run={n}]", n) for n in (1, 2)),
    ]
    assert plain(events) == ["observations: cached (1/4)", "datasets (2 tasks): cached (3/4)"]


def test_warnings_are_shown_and_talk_is_not():
    records = [
        {"level": "info", "message": "quiet", "task_id": "fit"},
        {"level": "warning", "message": "edges\nmoved", "task_id": "fit"},
        {"event": "task.progress", "level": "debug", "message": "bin", "done": 1, "total": 2},
    ]
    assert plain([], records) == ["fit: warning: edges moved"]


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_redraw_gets_lines(term, monkeypatch):
    monkeypatch.setenv("TERM", term)
    assert isinstance(open_console(fakes.make_plan(), stream=Terminal()), PlainConsole)


def test_a_terminal_is_redrawn_and_left_as_it_was(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    console = open_console(fakes.make_plan(), stream=stream)
    assert isinstance(console, LiveConsole)
    for event in fakes.failed_run():
        console.event(event)
    console.close()
    console.close()
    text = stream.getvalue()
    assert "\x1b[?25l" in text, "the cursor is hidden while drawing"
    assert text.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in text, "and given back"
    assert "datasets[run=2]: failed: no counts in run 2" in text


def test_no_color_takes_the_colours_from_the_view(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    console = open_console(fakes.make_plan(), stream=stream)
    for event in fakes.failed_run():
        console.event(event)
    console.close()
    assert "\x1b[31m" not in stream.getvalue()
    assert "\x1b[34m" not in stream.getvalue()


def test_unknown_modes_are_refused_and_off_is_silent():
    with pytest.raises(ValueError, match="loud"):
        open_console(fakes.make_plan(), mode="loud")
    console = open_console(fakes.make_plan(), mode="off")
    assert isinstance(console, QuietConsole)


def test_a_cached_run_on_a_terminal_does_not_import_rich(tmp_path):
    code = """
import io, os, sys
os.environ["TERM"] = "xterm"
import report_fakes as fakes
from gpwf.report.console import open_console
class Terminal(io.StringIO):
    def isatty(self): return True
console = open_console(fakes.make_plan(), stream=Terminal())
for event in (fakes.started(), fakes.cached("fit", 1)):
    console.event(event)
console.close()
sys.exit("rich" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0


def test_progress_counts_ends_and_forgets_tasks_that_run_no_more():
    progress = Progress(fakes.make_plan())
    for event in fakes.failed_run()[:3]:
        progress.apply(event, 1.0)
    assert list(progress.running) == ["datasets[run=1]"]
    assert progress.steps["datasets"].state == "running"
    assert progress.steps["observations"].state == "cached"
    progress.note("datasets[run=1]", "1/2")
    assert progress.running["datasets[run=1]"].note == "1/2"
    for event in fakes.failed_run()[3:]:
        progress.apply(event, 2.0)
    assert progress.running == {}
    assert progress.done == progress.total == 4
    assert progress.steps["datasets"].ended == {TaskState.OK: 1, TaskState.FAILED: 1}
    assert progress.steps["datasets"].state == "failed"
    assert progress.steps["fit"].state == "blocked"


class Closed(Terminal):
    """A terminal that somebody closed, a pipe that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("mode", ["plain", "live"])
def test_a_console_that_nobody_reads_does_not_end_the_run(mode, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    console = open_console(fakes.make_plan(), mode=mode, stream=Closed())
    console.record({"level": "warning", "message": "x"})
    for event in fakes.failed_run():
        console.event(event)
    console.close()


def test_a_task_with_a_name_of_its_own_belongs_to_its_step():
    plan = fakes.make_plan()
    odd = replace(plan.tasks[0], id="somewhere else")
    progress = Progress(replace(plan, tasks=(odd, *plan.tasks[1:])))
    progress.apply(fakes.cached("somewhere else", 0), 0.0)
    assert progress.steps["observations"].done == 1
