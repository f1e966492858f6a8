import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import report_fakes as fakes
import structlog

from gpwf.core.runs import RunState
from gpwf.report.log_lines import LogFilter, line_text, read_lines, read_log
from gpwf.report.logging import RunLog, event_fields

FIXED = ["time", "level", "event", "run_id", "step", "task_id", "attempt"]


def write(path: Path, events, records=()) -> list[dict]:
    with RunLog(path, "run-1", step_of=lambda task: task.partition("[")[0]) as log:
        for event in events:
            log.event(event)
        for record in records:
            log.record(record)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_begins_with_the_fixed_keys(tmp_path):
    lines = write(tmp_path / "log.jsonl", fakes.failed_run(), [{"message": "hello"}])
    assert len(lines) == len(fakes.failed_run()) + 1
    for line in lines:
        assert list(line)[: len(FIXED)] == FIXED
        assert line["run_id"] == "run-1"


def test_events_have_their_names_and_their_context(tmp_path):
    lines = write(tmp_path / "log.jsonl", fakes.failed_run())
    assert [line["event"] for line in lines[:4]] == [
        "run.started",
        "task.finished",
        "attempt.started",
        "attempt.finished",
    ]
    assert lines[0]["task_id"] is None
    assert lines[0]["step"] is None
    retried = lines[3]
    assert retried["step"] == "datasets"
    assert retried["task_id"] == "datasets[run=1]"
    assert retried["attempt"] == 1
    assert retried["level"] == "warning"
    assert retried["retry"] is True
    assert retried["key"] == fakes.KEY
    again = lines[5]
    assert again["attempt"] == 2
    assert again["duration_s"] == 1.0
    assert again["digest"] == {"models": fakes.DIGEST}
    failed = next(line for line in lines if line.get("state") == "failed")
    assert failed["level"] == "error"
    assert failed["message"] == "no counts in run 2"
    assert failed["traceback"].startswith("Traceback")


def test_a_record_of_a_library_keeps_message_logger_and_task(tmp_path):
    record = {
        "level": "warning",
        "logger": "gammapy.datasets",
        "message": "bins — dropped\nfor a reason",
        "time": "2026-01-02T03:04:05.000000Z",
        "task_id": "datasets[run=1]",
        "attempt": 2,
        "step": "datasets",
    }
    (line,) = write(tmp_path / "log.jsonl", [], [record])
    more = {"event": "log.record", "run_id": "run-1", "coordinates": {"run": "1"}}
    assert line == {**record, **more}
    assert "—" in (tmp_path / "log.jsonl").read_text()


def test_what_looks_like_a_secret_is_not_written(tmp_path):
    token = "ghp_" + "a" * 36
    path = tmp_path / "log.jsonl"
    write(path, [], [{"message": f"using password: hunter22 and {token}", "level": "info"}])
    assert "hunter22" not in path.read_text()
    assert token not in path.read_text()
    assert "[redacted]" in path.read_text()


def test_an_unknown_level_and_a_missing_time_are_filled_in(tmp_path):
    (line,) = write(tmp_path / "log.jsonl", [], [{"level": "NOTSET", "message": "x"}])
    assert line["level"] == "info"
    assert line["time"].endswith("Z")


def test_progress_notes_are_debug_lines_with_their_own_name(tmp_path):
    record = {"event": "task.progress", "level": "debug", "done": 1, "total": 3, "message": "bin"}
    (line,) = write(tmp_path / "log.jsonl", [], [{**record, "task_id": "fit"}])
    assert (line["event"], line["level"], line["step"]) == ("task.progress", "debug", "fit")


def test_the_log_is_appended_to(tmp_path):
    write(tmp_path / "log.jsonl", [fakes.started()])
    assert len(write(tmp_path / "log.jsonl", [fakes.started()])) == 2


def test_neither_structlog_nor_logging_is_configured_globally(tmp_path):
    before = structlog.get_config(), logging.getLogger().handlers[:]
    write(tmp_path / "log.jsonl", fakes.good_run())
    assert not structlog.is_configured()
    assert (structlog.get_config(), logging.getLogger().handlers) == before


def test_a_configuration_of_the_user_does_not_change_the_log(tmp_path):
    try:
        structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(AssertionError)])
        lines = write(tmp_path / "log.jsonl", fakes.good_run())
    finally:
        structlog.reset_defaults()
    assert lines[-1]["event"] == "run.finished"


def test_a_full_disk_ends_the_log_and_not_the_run(capsys):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with RunLog(Path("/dev/full"), "run-1") as log:
        for event in fakes.good_run():
            log.event(event)
    assert capsys.readouterr().err == "the log /dev/full ends here: No space left on device\n"


def test_a_message_that_is_no_text_is_kept(tmp_path):
    (line,) = write(tmp_path / "log.jsonl", [], [{"message": "file \udc80.fits"}])
    assert line["message"] == "file \udc80.fits"


def test_the_level_of_the_end_tells_good_from_bad():
    assert event_fields(fakes.good_run()[-1])[:2] == ("run.finished", "info")
    name, level, fields = event_fields(fakes.failed_run()[-1])
    assert (name, level, fields["state"]) == ("run.finished", "error", RunState.FAILED)


def test_reading_filters_by_step_task_and_level(tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, fakes.failed_run())
    lines = list(read_lines(path))

    def kept(*tasks: str, level: str = "info") -> int:
        wanted = LogFilter(level=level, tasks=tasks or None)
        return sum(wanted.accepts(line) for line in lines)

    datasets = [f"datasets[run={number}]" for number in (1, 2)]
    assert kept(*datasets) == 6
    assert kept("datasets[run=2]") == 2
    assert kept(*datasets, level="error") == 1
    assert kept() == len(lines)


def test_every_line_of_a_scattered_task_has_its_coordinates(tmp_path):
    event = replace(fakes.failed_run()[2], task="inc/say[cut=1 TeV,inc/word=x]")
    record = {"task_id": "sim[scenario=null,seed=3]", "message": "hello", "level": "warning"}
    one, two, three = write(tmp_path / "log.jsonl", [event], [record, {"task_id": "fit"}])
    assert one["coordinates"] == {"cut": "1 TeV", "inc/word": "x"}
    assert (one["step"], one["task_id"]) == ("inc/say", "inc/say[cut=1 TeV,inc/word=x]")
    assert two["coordinates"] == {"scenario": "null", "seed": "3"}
    assert "sim[scenario=null,seed=3]: " in line_text(two)
    assert "coordinates" not in three


def test_a_torn_last_line_and_a_missing_file_are_no_error(tmp_path):
    path = tmp_path / "log.jsonl"
    assert list(read_lines(path)) == []
    write(path, [fakes.started()])
    with path.open("a") as stream:
        stream.write('not json\n{"event": "torn')
    assert [line["event"] for line in read_lines(path)] == ["run.started"]


def test_following_reads_what_is_written_before_the_end_is_noticed(tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, [fakes.started()])
    looks = []

    def ended() -> bool:
        looks.append(1)
        write(path, [fakes.begin("fit", 1)])
        return len(looks) == 2

    blocks = read_log(path, ended=ended, poll_s=0)
    names = [line["event"] for block in blocks for line in block]
    assert names == ["run.started", "attempt.started", "attempt.started"]


def test_a_long_log_is_read_in_blocks_and_a_half_line_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("gpwf.report.log_lines._BLOCK", 100)
    path = tmp_path / "log.jsonl"
    whole = [json.dumps({"event": f"{number:03d}" * 20}) for number in range(30)]
    path.write_text("\n".join(whole) + '\n{"event": "ha')
    looks = []

    def ended() -> bool:
        looks.append(1)
        if len(looks) == 1:
            with path.open("a") as stream:
                stream.write('lf"}\n')
        return len(looks) == 2

    blocks = list(read_log(path, ended=ended, poll_s=0))
    assert len(blocks) > 10
    lines = [line["event"] for block in blocks for line in block]
    assert lines == [*(f"{number:03d}" * 20 for number in range(30)), "half"]
    assert blocks[-1] == [], "an empty block says that there is nothing more"


def test_reading_filters_by_attempt(tmp_path):
    lines = write(tmp_path / "log.jsonl", fakes.failed_run())
    wanted = LogFilter(attempt=2, tasks={"datasets[run=1]"})
    found = [line["event"] for line in lines if wanted.accepts(line)]
    assert found == ["attempt.started", "task.finished"]


def test_a_line_for_people_shows_no_control_characters():
    line = {
        "time": "x",
        "level": "warning",
        "event": "log.record",
        "logger": "a",
        "message": "\x1b[2J",
    }
    text = line_text(line)
    assert "\x1b[2J" not in text
    assert "\\x1b[2J" in text


def test_a_finished_attempt_reads_as_one_sentence(tmp_path):
    lines = write(tmp_path / "log.jsonl", fakes.failed_run())
    failed = next(line for line in lines if line.get("state") == "failed")
    assert "datasets[run=2]: task.finished failed in 1.0 s: no counts in run 2" in line_text(failed)


def test_a_line_about_the_run_names_nobody(tmp_path):
    lines = write(tmp_path / "log.jsonl", fakes.failed_run())
    started = next(line for line in lines if line["event"] == "run.started")
    assert " : " not in line_text(started)
    assert line_text(started).endswith(" run.started crab")
