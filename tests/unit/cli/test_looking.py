"""The commands that look at runs."""

import fcntl
import json
import os
from dataclasses import replace

import pytest
import report_fakes as fakes
from click.testing import CliRunner

from gpwf.cli.main import cli
from gpwf.core.runs import TaskState


def test_runs_are_listed(gpwf, make_run):
    path = make_run()
    (run,) = json.loads(gpwf("runs", "--format", "json").stdout)
    assert run["path"] == str(path)
    assert (run["run"], run["workflow"], run["state"]) == ("run-1", "crab", "ok")
    assert run["counts"] == {"cached": 1, "ok": 3}
    assert (run["n_tasks"], run["wall_s"]) == (4, 2.5)
    files = ("plan.json", "journal.jsonl", "log.jsonl")
    assert run["size"] == sum((path / name).stat().st_size for name in files)
    text = gpwf("runs").stdout
    assert "crab" in text
    assert "2.5 s" in text
    assert "3 ok, 1 cached" in text


def test_a_damaged_run_does_not_hide_the_others(gpwf, make_run):
    make_run()
    bad = make_run(fakes.good_run()[:3], name="20260103T030400Z-bad000")
    (bad / "plan.json").write_text("{")
    result = gpwf("runs", "--format", "json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 1
    assert "bad000" in result.stderr


def test_runs_of_one_workflow_and_the_newest_few(gpwf, make_run):
    first = make_run(name="20260102T030400Z-aaa000")
    last = make_run(name="20260103T030400Z-bbb000")
    os.utime(first / "plan.json", (1_000_000, 1_000_000))
    listed = json.loads(gpwf("runs", "--workflow", "crab", "--format", "json").stdout)
    assert [item["path"] for item in listed] == [str(last), str(first)]
    listed = json.loads(gpwf("runs", "-n", "1", "--format", "json").stdout)
    assert [item["path"] for item in listed] == [str(last)]
    assert "no runs of vela here" in gpwf("runs", "--workflow", "vela").stderr


def test_no_run_is_told_apart_from_an_error(gpwf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gpwf("runs").exit_code == 0
    assert gpwf("runs", "--format", "json").stdout == "[]\n"
    result = gpwf("status")
    assert result.exit_code == 2
    assert "gpwf run WORKFLOW" in result.stderr


def test_status_has_the_stable_fields(gpwf, make_run):
    make_run(fakes.failed_run())
    data = json.loads(gpwf("status", "--format", "json").stdout)
    assert {"run", "workflow", "state", "started", "ended", "tasks"} <= set(data)
    assert data["state"] == "failed"
    tasks = {task["id"]: task for task in data["tasks"]}
    assert set(tasks["fit"]) == {
        "id", "step", "coordinates", "state", "attempt", "wall_s", "cpu_s", "peak_rss_bytes",
        "key", "error", "elapsed_s",
    }  # fmt: skip
    assert tasks["fit"]["error"] == "datasets[run=2] failed"
    assert tasks["fit"]["attempt"] is None
    assert tasks["datasets[run=1]"]["attempt"] == 2
    assert tasks["datasets[run=1]"]["coordinates"] == {"run": 1}
    assert tasks["datasets[run=2]"]["error"] == "no counts in run 2"
    assert tasks["datasets[run=2]"]["peak_rss_bytes"] == 312_000_000


def test_status_as_text_shows_errors_only_where_there_are_some(gpwf, make_run):
    make_run(name="20260102T030400Z-good00")
    good = gpwf("status").stdout
    assert "error" not in good
    assert "312 MB" in good
    make_run(fakes.failed_run(), name="20260103T030400Z-bad000")
    bad = gpwf("status", "bad000").stdout
    assert "no counts in run 2" in bad
    assert "blocked" in bad


def test_a_run_without_an_end_and_without_a_driver_is_interrupted(gpwf, make_run):
    make_run(fakes.good_run()[:3])
    assert json.loads(gpwf("status", "--format", "json").stdout)["state"] == "interrupted"


def test_status_tells_where_the_time_went(gpwf, make_run):
    make_run(fakes.failed_run())
    data = json.loads(gpwf("status", "--format", "json").stdout)
    used = data["resources"]
    assert used["workers"] == 2
    (datasets,) = used["steps"]
    assert (datasets["name"], datasets["n"], datasets["wall_s"]) == ("datasets", 3, 3.0)
    assert [item["id"] for item in used["critical_path"]] == ["datasets[run=2]"]
    assert data["damage"] is None
    assert "longest chain" in gpwf("status").stdout


def test_a_damaged_journal_is_said_and_what_is_good_is_shown(gpwf, make_run):
    path = make_run(fakes.good_run())
    journal = path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    result = gpwf("status")
    assert "crab: interrupted" in result.stdout
    assert "after event 8, cannot be read" in result.stdout
    assert "after event 8" in json.loads(gpwf("status", "--format", "json").stdout)["damage"]


@pytest.fixture
def live_run(make_run):
    """Return the folder of a run that a driver works on: somebody holds its lock."""
    path = make_run(fakes.good_run()[:4])
    with (path / "run.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield path


def test_a_task_that_runs_is_shown_with_the_time_since_it_began(gpwf, live_run):
    data = json.loads(gpwf("status", "--format", "json").stdout)
    assert data["state"] == "running"
    times = {task["id"]: task["elapsed_s"] for task in data["tasks"]}
    assert times["datasets[run=1]"] > 0
    assert times["fit"] is times["observations"] is None
    (run,) = json.loads(gpwf("runs", "--format", "json").stdout)
    assert (run["state"], run["n_tasks"]) == ("running", 4)
    assert "datasets[run=1]  running" in gpwf("status").stdout


def test_watching_a_run_that_has_ended_shows_it_once(gpwf, make_run):
    make_run()
    assert gpwf("status", "--watch").stdout == gpwf("status").stdout


def test_watching_ends_with_the_run_and_with_ctrl_c(gpwf, live_run, monkeypatch):
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    result = gpwf("status", "--watch", "--every", "0.5", "--format", "json")
    assert result.exit_code == 130
    assert result.stdout.count('"state": "running",\n  "started"') == 3
    assert looks[0] >= 0.5


def test_following_is_ended_with_ctrl_c(gpwf, live_run, monkeypatch):
    def sleep(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    result = gpwf("logs", "-f")
    assert result.exit_code == 130
    assert result.stdout.count("\n") == 4
    assert result.stderr == ""


def test_logs_of_one_attempt_and_the_last_lines(gpwf, make_run):
    make_run(fakes.failed_run())
    shown = gpwf("logs", "--attempt", "2").stdout.splitlines()
    assert len(shown) == 2
    assert all("(attempt 2)" in line for line in shown)
    last = gpwf("logs", "--tail", "2").stdout
    assert last.splitlines() == gpwf("logs").stdout.splitlines()[-2:]
    assert gpwf("logs", "--tail", "2", "-f").stdout == last
    assert gpwf("logs", "--tail", "0").stdout == ""


def test_products_have_the_stable_fields(gpwf, make_run):
    path = make_run()
    items = json.loads(gpwf("products", "--format", "json").stdout)
    assert {"step", "coordinates", "port", "kind", "path", "digest", "key"} <= set(items[0])
    fit = next(item for item in items if item["step"] == "fit")
    assert fit["path"] == str(path / "products" / "fit" / "models" / "models.yaml")
    assert (fit["digest"], fit["key"]) == (fakes.DIGEST, fakes.KEY)
    assert "models.yaml" in gpwf("products", "crab").stdout


def test_logs_are_filtered_by_step_and_level(gpwf, make_run):
    path = make_run(fakes.failed_run())
    everything = gpwf("logs").stdout.splitlines()
    assert len(everything) == len(fakes.failed_run())
    assert len(gpwf("logs", path, "datasets").stdout.splitlines()) == 6
    only = gpwf("logs", "datasets", "--level", "error").stdout
    assert only.count("\n") == 1
    assert "no counts in run 2" in only


def test_logs_of_a_part_of_a_scatter(gpwf, make_run):
    make_run(fakes.failed_run())
    shown = gpwf("logs", "datasets[run=2]").stdout.splitlines()
    assert len(shown) == 2
    assert all("datasets[run=2]" in line for line in shown)
    wrong = gpwf("logs", "datasets[run=7]")
    assert wrong.exit_code == 2
    assert "the axis run has no value 7" in wrong.output
    assert "has no axis seed" in gpwf("logs", "abc123", "datasets[seed=7]").output


def test_logs_as_json_are_the_lines_of_the_file(gpwf, make_run):
    path = make_run()
    shown = [json.loads(line) for line in gpwf("logs", "--format", "json").stdout.splitlines()]
    assert shown == [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]


def test_following_a_run_that_has_ended_ends(gpwf, make_run):
    make_run()
    assert "run.finished" in gpwf("logs", "-f").stdout


def test_a_step_that_is_not_there_is_named(gpwf, make_run):
    path = make_run()
    result = gpwf("logs", path, "fits")
    assert result.exit_code == 2
    assert "fits: the workflow has no such step" in result.stderr
    assert "did you mean fit?" in result.stderr
    assert gpwf("logs", "nonsense").exit_code == 2


def test_a_skipped_step_is_shown_as_such(gpwf, make_run):
    events = fakes.failed_run()
    assert any(getattr(event, "state", None) is TaskState.BLOCKED for event in events)
    make_run(events)
    assert "datasets[run=2] failed" in gpwf("logs", "fit").stdout


def test_a_terminal_without_a_character_shows_its_escape(make_run):
    events = fakes.failed_run()
    events[7] = replace(
        events[7], failure=replace(events[7].failure, message="\u03b1 is no number")
    )
    make_run(events)
    for words in (["status"], ["logs", "--level", "error"], ["runs"]):
        result = CliRunner(charset="latin-1").invoke(cli, words, prog_name="gpwf")
        assert result.exit_code == 0, result.output
        assert ("\\u03b1 is no number" in result.stdout) == (words != ["runs"])
