"""The commands that look at runs."""

import json

import report_fakes as fakes

from gpwf.core.runs import TaskState


def test_runs_are_listed(gpwf, make_run):
    path = make_run()
    (run,) = json.loads(gpwf("runs", "--format", "json").stdout)
    assert run["path"] == str(path)
    assert (run["run"], run["workflow"], run["state"]) == ("run-1", "crab", "ok")
    assert run["counts"] == {"cached": 1, "ok": 3}
    text = gpwf("runs").stdout
    assert "crab" in text
    assert "2.5 s" in text
    assert "1 cached, 3 ok" in text


def test_a_damaged_run_does_not_hide_the_others(gpwf, make_run):
    make_run()
    (make_run(name="20260103T030400Z-bad000") / "plan.json").write_text("{")
    result = gpwf("runs", "--format", "json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == 1
    assert "bad000" in result.stderr


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
        "key", "error",
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
