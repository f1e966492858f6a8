from dataclasses import replace

import click
import pytest
import report_fakes as fakes

from gpwf.core.diagnostics import Diagnostic, Severity, Span
from gpwf.core.plan import Plan, PlannedStep, TaskAlias
from gpwf.core.runs import Failure, RunState, TaskState
from gpwf.core.view import fold
from gpwf.report.diagnostics import diagnostics_text, github_lines
from gpwf.report.listings import elapsed_s, first_failure, plan_data, step_summaries
from gpwf.report.planned import axes_text, plan_text, planned_tasks_text
from gpwf.report.status import status_text
from gpwf.report.summary import failure_text, step_table, summary_text
from gpwf.report.text import Cell, clean, duration, memory, table


def bare(text: str) -> list[str]:
    return click.unstyle(text).splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1:00"),
        (245.4, "4:05"),
        (3599.6, "1:00:00"),
        (3723, "1:02:03"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "-"),
        (0, "-"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (999_600, "1.0 MB"),
        (312_000_000, "312 MB"),
        (4_000_000_000_000, "4.0 TB"),
    ],
)
def test_sizes(size, text):
    assert memory(size) == text


def test_control_characters_become_visible():
    assert clean("a\tb\nc\x1b[31m\x07\u202e") == "a\tb\nc\\x1b[31m\\x07\\x202e"


def test_a_table_is_aligned_and_not_cut_without_a_width():
    rows = [("a" * 90, "1"), ("b", Cell(text="22", colour="red"))]
    lines = bare(table(("name", "n"), rows, right=("n",)))
    assert lines == [f"{'name':<90}   n", f"{'a' * 90}   1", f"{'b':<90}  22"]


def test_a_table_fits_the_terminal():
    rows = [("a" * 90, "short", "c" * 50, "1")]
    lines = bare(table(("name", "state", "error", "n"), rows, width=60))
    assert all(len(line) <= 60 for line in lines)
    assert "…" in lines[1]
    assert "short" in lines[1]


def test_columns_are_dropped_one_after_the_other_where_there_is_no_room():
    rows = [("observations", "ok", "12.0 s", "312 MB")]
    headers = ("step", "state", "wall", "memory")
    drop = ("memory", "wall")
    assert (
        bare(table(headers, rows, width=35, drop=drop))[0] == "step          state  wall    memory"
    )
    assert bare(table(headers, rows, width=30, drop=drop))[0] == "step          state  wall"
    assert bare(table(headers, rows, width=20, drop=drop))[0] == "step          state"


def test_a_caret_stands_below_the_place():
    span = Span(file="w.yaml", line=12, column=7, end_line=12, end_column=10)
    item = Diagnostic(
        code="GP301",
        message="unknown key 'mni'",
        span=span,
        source_line="\tmin: mni: 1",
        hint="did you mean 'min'?",
        related=((Span(file="o.yaml", line=1, column=2, end_line=1, end_column=3), "given here"),),
    )
    assert bare(diagnostics_text([item])) == [
        "w.yaml:12:7: GP301 unknown key 'mni'",
        "  12 |  min: mni: 1",
        "     |       ^^^",
        "  o.yaml:1:2: given here",
        "  hint: did you mean 'min'?",
        "1 error",
    ]


def test_a_task_of_a_scatter_is_named():
    item = Diagnostic(code="GP303", message="m", step="sim[seed=3]", hint="h")
    assert bare(diagnostics_text([item]))[:3] == ["GP303 m", "  for sim[seed=3]", "  hint: h"]
    plain = Diagnostic(code="GP303", message="m", step="sim", hint="h")
    assert bare(diagnostics_text([plain]))[:2] == ["GP303 m", "  hint: h"]


def test_a_caret_over_several_lines_ends_with_the_first():
    span = Span(file="w", line=1, column=3, end_line=4, end_column=1)
    item = Diagnostic(
        code="GP1", message="m", span=span, source_line="- key:", severity=Severity.WARNING
    )
    assert bare(diagnostics_text([item, item]))[:3] == [
        "w:1:3: GP1 warning: m",
        "  1 | - key:",
        "    |   ^^^^",
    ]
    assert bare(diagnostics_text([item, item]))[-1] == "2 warnings"


@pytest.mark.parametrize("column", [1, 300, 590, 605])
def test_a_long_line_is_cut_around_the_place(column):
    text = "".join(chr(ord("a") + n % 26) for n in range(600))
    span = Span(file="w", line=1, column=column, end_line=1, end_column=column + 5)
    _, line, caret, _ = bare(
        diagnostics_text([Diagnostic(code="GP1", message="m", span=span, source_line=text)])
    )
    assert len(line) < 180
    start = caret.index("^")
    assert line[start : start + 5] == text[column - 1 : column + 4]


def test_github_annotations_are_escaped():
    span = Span(file="a,b.yaml", line=2, column=3, end_line=2, end_column=5)
    item = Diagnostic(code="GP1", message="100 %\nwrong", span=span, hint="do: this")
    assert github_lines([item]) == [
        "::error file=a%2Cb.yaml,line=2,endLine=2,col=3,endColumn=5,title=GP1::"
        "100 %25 wrong (do: this)"
    ]
    info = Diagnostic(code="GP2", message="x", severity=Severity.INFO)
    assert github_lines([info]) == ["::notice title=GP2::x"]


def test_the_summary_has_steps_time_memory_and_products():
    view = fold(fakes.make_plan(), fakes.good_run())
    lines = bare(
        summary_text(view, products="runs/x/products", outputs={"best": ["runs/x/m.yaml"]})
    )
    assert lines[1:5] == [
        "step          state   tasks   wall    cpu  memory",
        "observations  cached      1      -      -       -",
        "datasets      ok          2  2.0 s  1.8 s  312 MB",
        "fit           ok          1  1.0 s  0.9 s  312 MB",
    ]
    assert lines[6:] == [
        "crab: ok in 2.5 s: 1 cached, 3 ok",
        "products: runs/x/products",
        "  best: runs/x/m.yaml",
    ]


def test_a_run_without_data_says_why():
    """It is no failure, and nothing else tells at its end."""
    why = [
        Failure(kind="no-data", message=f"datasets: run {n} is empty", no_data=True, hint="widen")
        for n in (1, 2)
    ]
    events = [
        event
        for n in (1, 2)
        for event in (
            fakes.begin(f"datasets[run={n}]", n),
            fakes.end(f"datasets[run={n}]", n + 1, state=TaskState.SKIPPED, failure=why[n - 1]),
        )
    ]
    view = fold(fakes.make_plan(), [fakes.started(), *events])
    view.state = RunState.OK
    lines = bare(summary_text(view, products="p", outputs={}))
    at = next(number for number, line in enumerate(lines) if line.startswith("crab: ok"))
    assert lines[at + 1 :] == [
        "crab.gpwf.yaml:7:5: datasets[run=1]: no data: run 1 is empty",
        "  hint: widen",
        "  and 1 more without data of their own: gpwf status",
    ]
    view.state = RunState.FAILED  # then that is told
    assert "no data" not in str(bare(summary_text(view, products="p", outputs={}))[at + 1 :])


def test_a_failure_says_where_why_and_how_to_go_on():
    view = fold(fakes.make_plan(), fakes.failed_run())
    lines = bare(failure_text(view, run_dir="runs/my run", command="gpwf run w.yaml"))
    assert lines == [
        "",
        "crab.gpwf.yaml:7:5: datasets[run=2]: failed: no counts in run 2",
        "  hint: widen the region",
        "log:      gpwf logs 'runs/my run' datasets",
        "to go on: gpwf run w.yaml",
    ]


def test_a_retried_attempt_is_not_the_failure_but_its_time_counts():
    view = fold(fakes.make_plan(), fakes.failed_run())
    task, failure = first_failure(view)
    assert (task.task.id, failure.message) == ("datasets[run=2]", "no counts in run 2")
    datasets = step_summaries(view)[1]
    assert datasets.counts == {"ok": 1, "failed": 1}
    assert datasets.state == "failed"
    assert datasets.wall_s == 3.0
    assert first_failure(fold(fakes.make_plan(), fakes.good_run())) is None


def test_a_cancelled_task_is_no_failure():
    stop = Failure(kind="cancelled", message="cancelled")
    events = [fakes.started(), fakes.begin("fit", 1)]
    view = fold(
        fakes.make_plan(),
        [*events, fakes.end("fit", 2, state=TaskState.CANCELLED, failure=stop)],
    )
    assert first_failure(view) is None
    assert bare(failure_text(view, run_dir="r", command="c"))[1] == "log:      gpwf logs r"


def test_the_time_of_a_run_without_an_end_is_not_made_up():
    view = fold(fakes.make_plan(), fakes.good_run()[:-1])
    view.state = RunState.INTERRUPTED
    assert elapsed_s(view) is None


def test_a_plan_counts_tasks_edges_and_what_is_cached():
    data = plan_data(fakes.make_plan(), ["observations", "datasets[run=1]"])
    assert {key: value for key, value in data.items() if key != "steps"} == {
        "workflow": "crab",
        "n_tasks": 4,
        "n_edges": 4,
        "n_cached": 2,
    }
    counts = ("axes", "n_tasks", "n_cached", "n_points", "n_shared")
    assert {item["name"]: tuple(item[key] for key in counts) for item in data["steps"]} == {
        "observations": ({}, 1, 1, 1, 0),
        "datasets": ({"run": 2}, 2, 1, 2, 0),
        "fit": ({}, 1, 0, 1, 0),
    }
    text = bare(plan_text(fakes.make_plan(), ["observations", "datasets[run=1]"]))
    assert text[0] == "crab: 4 tasks, 2 cached, 2 to run"
    assert " ".join(text[4].split()) == "datasets datasets run 2 2 1 cached, 1 new"


def with_twins() -> Plan:
    """Return a plan with a step whose two tasks are those of datasets, and one without any."""
    plan = fakes.make_plan()
    aliases = tuple(
        TaskAlias(
            id=f"again[run={n}]", step="again", coordinates={"run": n}, task=f"datasets[run={n}]"
        )
        for n in (1, 2)
    )
    again = PlannedStep(name="again", tag="datasets", title="", axes={"run": 2}, n_points=2)
    never = PlannedStep(name="never", tag="fit", title="", n_points=0)
    return replace(plan, aliases=aliases, steps=(*plan.steps, again, never))


def test_tasks_that_steps_share_are_told():
    data = plan_data(with_twins(), ["datasets[run=2]"])
    again, never = data["steps"][-2:]
    assert (again["n_tasks"], again["n_cached"], again["n_points"]) == (2, 1, 2)
    assert again["shared_with"] == {"datasets": 2}
    assert (never["n_tasks"], never["n_points"]) == (0, 0)
    assert data["n_tasks"] == 4
    text = bare(plan_text(with_twins(), []))
    assert "again         datasets      run 2      2  new; 2 shared with datasets" in text
    assert text[-1].split() == ["never", "fit", "0", "left", "out"]
    listed = bare(planned_tasks_text(with_twins(), ["datasets[run=1]"]))
    assert "datasets[run=1]  cached  again[run=1]" in listed
    assert "fit              new" in listed


def test_axes_that_are_not_full_say_how_many_places_there_are():
    assert axes_text({"a": 3, "b": 20}) == axes_text({"a": 3, "b": 20}, 60)
    assert axes_text({"a": 3, "b": 20}, 41).endswith("b 20 (41 places)")
    assert axes_text({}) == ""


def test_shared_and_absent_steps_at_the_end_of_a_run():
    view = fold(with_twins(), fakes.good_run())
    datasets, again, never = (step_summaries(view)[n] for n in (1, 3, 4))
    assert again.counts == datasets.counts
    assert (again.n_shared, again.wall_s) == (2, None)
    assert never.state == "left out"
    rows = [" ".join(line.split()) for line in bare(step_table(view))]
    assert "again ok 2 (2 shared) - - -" in rows
    assert "never left out 0 - - -" in rows


def test_many_tasks_that_are_well_share_a_row_of_the_status():
    plan = fakes.make_plan()
    one = plan.tasks[1]
    tasks = tuple(replace(one, id=f"datasets[run={n}]", inputs={}) for n in range(30))
    good = [fakes.end(f"datasets[run={n}]", 2) for n in range(20)]
    stop = Failure(kind="data", message="no counts")
    bad = fakes.end("datasets[run=20]", 3, state=TaskState.FAILED, failure=stop)
    view = fold(replace(plan, tasks=tasks), [fakes.started(), *good, bad])
    shown = bare(status_text(view, "runs/x"))[3:]
    assert [line.split("  ")[0] for line in shown] == [
        "task",
        "datasets (20 tasks)",
        "datasets[run=20]",
        *(f"datasets[run={n}]" for n in range(21, 30)),
    ]
    assert len(bare(status_text(view, "runs/x", every_task=True))) == 3 + 31
