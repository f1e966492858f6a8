"""The commands that read workflows, with a fake behind the Python interface."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import report_fakes as fakes

import gpwf.api
from gpwf.core.diagnostics import Diagnostic, Severity, Span
from gpwf.core.runs import RunFinished, RunState

SPAN = Span(file="w.yaml", line=3, column=5, end_line=3, end_column=8)
PROBLEM = Diagnostic(
    code="GP301",
    message="unknown setting 'abc'",
    span=SPAN,
    step="fit",
    hint="did you mean 'abd'?",
    source_line="    abc: 1",
)


class FakeWorkflow:
    """Remembers what it was asked."""

    def __init__(self, path, **given):
        self.path, self.given = path, given
        self.problems: list[Diagnostic] = []
        self.ends = None
        self.asked = {}

    def validate(self, **asked):
        self.asked = asked
        return self.problems

    def plan(self):
        return fakes.make_plan()

    def preview(self, **asked):
        self.asked = asked
        ids = ["observations", "datasets[run=1]", "datasets[run=2]", "fit"]
        return fakes.make_plan(), [
            SimpleNamespace(id=name, cached=name == "observations") for name in ids
        ]

    def run(self, **asked):
        self.asked = asked
        return gpwf.api.open_run(self.ends)


@pytest.fixture
def workflow(monkeypatch) -> FakeWorkflow:
    """Put a fake in the place of every workflow."""
    fake = FakeWorkflow(None)

    def read(path, **given):
        fake.path, fake.given = path, given
        return fake

    monkeypatch.setattr(gpwf.api, "read", read)
    return fake


def test_validate_without_problems_prints_no_result(gpwf, workflow):
    result = gpwf("validate", "a.yaml", "b.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "a.yaml, b.yaml: no problems" in result.stderr
    assert workflow.asked == {"data": True}
    gpwf("validate", "--no-data", "a.yaml")
    assert workflow.asked == {"data": False}


def test_validate_shows_line_and_caret(gpwf, workflow):
    workflow.problems = [PROBLEM]
    result = gpwf("validate", "w.yaml")
    assert result.exit_code == 2
    assert result.stdout == (
        "w.yaml:3:5: GP301 unknown setting 'abc'\n"
        "  3 |     abc: 1\n    |     ^^^\n  hint: did you mean 'abd'?\n1 error\n"
    )


def test_validate_as_json_has_the_stable_fields(gpwf, workflow):
    workflow.problems = [PROBLEM, Diagnostic(code="GP405", message="no text")]
    first, second = json.loads(gpwf("validate", "w.yaml", "--format", "json").stdout)
    assert first == {
        "code": "GP301",
        "severity": "error",
        "message": "unknown setting 'abc'",
        "file": "w.yaml",
        "line": 3,
        "column": 5,
        "end_line": 3,
        "end_column": 8,
        "step": "fit",
        "hint": "did you mean 'abd'?",
    }
    assert (second["file"], second["line"]) == (None, None)
    workflow.problems = []
    assert gpwf("validate", "w.yaml", "--format", "json").stdout == "[]\n"


def test_validate_for_github(gpwf, workflow):
    workflow.problems = [PROBLEM]
    result = gpwf("validate", "w.yaml", "--format", "github")
    assert result.exit_code == 2
    assert result.stdout.startswith("::error file=w.yaml,line=3,endLine=3,col=5,")


def test_warnings_alone_are_no_failure(gpwf, workflow):
    workflow.problems = [Diagnostic(code="GP212", message="unused", severity=Severity.WARNING)]
    assert gpwf("validate", "w.yaml").exit_code == 0


def test_values_of_the_command_line_reach_the_workflow(gpwf, workflow):
    args = ["-p", "e_min=1 TeV", "-p", "cut=a=b", "--set", "steps.fit.config.x=1"]
    gpwf("validate", "w.yaml", *args, "--profile", "quick", "--params", "p.yaml")
    assert workflow.path == Path("w.yaml")
    assert workflow.given == {
        "params": {"e_min": "1 TeV", "cut": "a=b"},
        "sets": [("steps.fit.config.x", "1")],
        "profile": "quick",
        "params_files": (Path("p.yaml"),),
    }


@pytest.mark.parametrize("value", ["e_min", "=1"])
def test_a_value_without_a_name_is_a_usage_error(gpwf, workflow, value):
    result = gpwf("validate", "w.yaml", "-p", value)
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.stderr
    assert workflow.path is None


def test_plan_as_json_has_the_stable_fields(gpwf, workflow):
    data = json.loads(gpwf("plan", "w.yaml", "--target", "fit", "--format", "json").stdout)
    assert list(data) == ["workflow", "n_tasks", "n_edges", "n_cached", "steps"]
    assert (data["n_tasks"], data["n_cached"]) == (4, 1)
    assert {"name", "tag", "axes", "n_tasks", "n_cached"} <= set(data["steps"][0])
    assert workflow.asked["targets"] == ("fit",)


def test_a_dry_run_shows_the_plan_and_runs_nothing(gpwf, workflow):
    result = gpwf("run", "w.yaml", "--dry-run", "--store", "s")
    assert result.exit_code == 0
    assert result.stdout == gpwf("plan", "w.yaml").stdout
    assert "crab: 4 tasks, 1 cached, 3 to run" in result.stdout
    assert gpwf("run", "w.yaml", "--dry-run", "--only", "fit").exit_code == 0
    assert workflow.asked["only"] == ("fit",)


def test_every_option_of_run_reaches_the_workflow(gpwf, workflow, make_run):
    workflow.ends = make_run()
    options = (
        "--target a --target b --from c --only d -j 3 --store s --run-dir r --fail-fast "
        "--progress plain --anonymous"
    )
    assert gpwf("run", "w.yaml", *options.split()).exit_code == 0
    command = workflow.asked.pop("command")
    assert command[0] == "gpwf"
    assert workflow.asked == {
        "targets": ("a", "b"),
        "from_": ("c",),
        "only": ("d",),
        "jobs": 3,
        "store": Path("s"),
        "run_dir": Path("r"),
        "fail_fast": True,
        "console": "plain",
        "anonymous": True,
    }


def test_a_good_run_ends_with_steps_and_products_on_standard_error(gpwf, workflow, make_run):
    path = make_run()
    workflow.ends = path
    result = gpwf("run", "w.yaml")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "observations  cached" in result.stderr
    assert "products: runs/crab/20260102T030400Z-abc123/products" in result.stderr
    assert (
        "  best: runs/crab/20260102T030400Z-abc123/products/fit/models/models.yaml" in result.stderr
    )
    assert gpwf("run", "w.yaml", "-q").stderr == ""
    assert workflow.asked["console"] == "off"


def test_a_failed_run_says_why_even_when_quiet(gpwf, workflow, make_run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpwf", "run", "w.yaml"])
    workflow.ends = make_run(fakes.failed_run())
    for more in ([], ["-q"]):
        result = gpwf("run", "w.yaml", *more)
        assert result.exit_code == 1
        assert "datasets[run=2]: failed: no counts in run 2" in result.stderr
        assert "hint: widen the region" in result.stderr
        assert "to go on: gpwf run w.yaml" in result.stderr


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupted_run_has_the_code_of_its_signal(gpwf, workflow, make_run, signal, code):
    end = RunFinished(state=RunState.CANCELLED, reason=f"interrupted by {signal}", **fakes.at(3))
    workflow.ends = make_run([*fakes.good_run()[:3], end])
    assert gpwf("run", "w.yaml").exit_code == code


def test_a_graph_of_tasks_is_printed_and_written(gpwf, workflow, tmp_path):
    assert gpwf("graph", "w.yaml", "--tasks").stdout.startswith("crab: 4 tasks\n")
    result = gpwf("graph", "w.yaml", "--tasks", "-o", tmp_path / "g.mmd")
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "g.mmd").read_text().startswith("flowchart")


def test_a_graph_of_steps_needs_no_plan(gpwf, repository):
    result = gpwf("graph", repository / "workflows" / "quickstart.gpwf.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith("quickstart: 10 steps\n")
    assert "observations\n└─ observations → datasets.observations" in result.stdout


def test_show_as_text_json_and_settled(gpwf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("w.yaml").write_text(
        "gpwf: 1\nparams: {n: 2}\nsteps:\n"
        "  - {tag: simulate-observations, config: {models: m.yaml, n_obs: '${params.n}',"
        " target: {lon: 83 deg, lat: 22 deg},"
        " seed: '${seed}'}, foreach: {seed: [1, 2]}}\n"
    )
    Path("p.yaml").write_text("n: 3\n")
    text = gpwf("show", "w.yaml", "--params", "p.yaml").stdout
    assert "n_obs" in text
    assert "params file" in text
    step = "simulate-observations[seed=2]"
    (shown,) = json.loads(gpwf("show", "w.yaml", step, "--format", "json").stdout)["steps"]
    values = {item["name"]: item["value"] for item in shown["variants"][0]["settings"]}
    assert (values["seed"], values["n_obs"]) == (2, 2)
    result = gpwf("show", "w.yaml", "--format", "yaml", "-p", "n=5", "-o", "settled.yaml")
    assert result.exit_code == 0, result.stderr
    settled = json.loads(gpwf("show", "settled.yaml", "--format", "json").stdout)
    assert settled["params"] == []
    assert settled["steps"][0]["n_points"] == 2
    assert gpwf("show", "w.yaml", "fit", "--format", "yaml").exit_code == 2
