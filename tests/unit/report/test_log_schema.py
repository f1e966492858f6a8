"""Every line of a log is what the schema says, and the reference says the same."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import report_fakes as fakes
from jsonschema import Draft7Validator

from gpwf.core.runs import (
    Failure,
    RunEvent,
    RunFinished,
    RunState,
    TaskNotRun,
    TaskState,
)
from gpwf.report.log_lines import LogFilter, line_text, parse_since, read_lines
from gpwf.report.log_schema import EVENTS, FIXED, KEYS, log_schema
from gpwf.report.logging import RunLog

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "log.md"
CHECK = Draft7Validator(log_schema())
BAD = Failure(kind="StepError", message="no", hint="do", traceback="Traceback")
STATES = [state for state in TaskState if state.is_final]


def end_of(state: TaskState) -> list[RunEvent]:
    """Return what happens to a task that comes to this end."""
    if state is TaskState.CACHED:
        return [fakes.cached("sim[seed=1]", 1)]
    if state is TaskState.BLOCKED:
        return [TaskNotRun(task="sim[seed=1]", state=state, reason="x failed", **fakes.at(1))]
    failure = None if state is TaskState.OK else BAD
    return [
        fakes.begin("sim[seed=1]", 1),
        fakes.end("sim[seed=1]", 2, state=state, failure=failure),
    ]


def written(path: Path, events: list[RunEvent], records: tuple[dict[str, object], ...] = ()):
    with RunLog(path, "run-1") as log:
        for event in events:
            log.event(event)
        for record in records:
            log.record(record)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("state", STATES)
def test_a_task_ends_with_one_line_that_has_everything(tmp_path, state):
    lines = written(tmp_path / "log.jsonl", [fakes.started(), *end_of(state)])
    for line in lines:
        CHECK.validate(line)
    (line,) = [line for line in lines if line["event"] == "task.finished"]
    assert line["state"] == state
    assert line["coordinates"] == {"seed": "1"}
    assert (line["step"], line["task_id"]) == ("sim", "sim[seed=1]")
    if state in (TaskState.OK, TaskState.CACHED):
        assert set(line["digest"].values()) == {fakes.DIGEST}
    if state is not TaskState.BLOCKED:
        assert line["attempt_id"]
        assert line["key"] == fakes.KEY
    if state not in (TaskState.OK, TaskState.CACHED, TaskState.BLOCKED):
        assert (line["error"], line["message"], line["hint"]) == ("StepError", "no", "do")


def test_lines_of_whole_runs_are_valid(tmp_path):
    said = {"message": "m", "level": "info", "task_id": "fit", "attempt": 1, "attempt_id": "a"}
    records = (
        {**said, "logger": "gammapy", "traceback": "T"},
        {**said, "logger": "output"},
        {**said, "event": "task.progress", "level": "debug", "done": 1, "total": 2},
    )
    stopped = RunFinished(
        state=RunState.CANCELLED, reason="SIGINT", counts={"cancelled": 1}, **fakes.at(9)
    )
    events = [*fakes.good_run(), *fakes.failed_run(), stopped]
    lines = written(tmp_path / "log.jsonl", events, records)
    for line in lines:
        CHECK.validate(line)
        known = EVENTS[line["event"]]
        assert set(line) <= {*FIXED, *known.keys, *known.optional}, line
    assert {line["event"] for line in lines} == set(EVENTS)


@pytest.mark.parametrize(
    ("event", "change"),
    [
        ("task.finished", {"state": None}),
        ("task.finished", {"task_id": None}),
        ("task.finished", {"duration_s": "1"}),
        ("attempt.started", {"attempt": None}),
        ("run.finished", {"counts": 3}),
        ("run.started", {"level": "loud"}),
        ("run.started", {"event": "run.begun"}),
    ],
)
def test_the_schema_refuses_what_is_wrong(tmp_path, event, change):
    lines = written(tmp_path / "log.jsonl", fakes.good_run())
    line = next(line for line in lines if line["event"] == event)
    CHECK.validate(line)
    assert not CHECK.is_valid({**line, **change})


def test_the_log_is_private(tmp_path):
    written(tmp_path / "log.jsonl", fakes.good_run())
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o077 == 0


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the table below a heading by their first cell."""
    part = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| `")]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in cells}


def test_the_reference_lists_every_event_and_every_key():
    page = PAGE.read_text()
    events = rows(page, "Events")
    assert list(events) == list(EVENTS)
    for name, (_, keys, optional) in events.items():
        assert tuple(re.findall(r"`(\w+)`", keys)) == EVENTS[name].keys
        assert tuple(re.findall(r"`(\w+)`", optional)) == EVENTS[name].optional
        assert f"`{name}`\n: {EVENTS[name].help}\n" in page
    keys = rows(page, "Keys")
    assert list(keys) == list(KEYS)
    for name, (kind, unit, meaning) in keys.items():
        found = KEYS[name].type
        assert kind == (found if isinstance(found, str) else " or ".join(found))
        assert (unit, meaning) == (KEYS[name].unit, KEYS[name].help)


def test_every_key_belongs_to_an_event():
    used = {key for event in EVENTS.values() for key in (*event.keys, *event.optional)}
    assert used | set(FIXED) == set(KEYS)


NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOW - timedelta(minutes=10)),
        ("2 h", NOW - timedelta(hours=2)),
        ("0", NOW),
        ("2026-01-31T11:00:00Z", NOW - timedelta(hours=1)),
        ("2026-01-31T13:00+02:00", NOW - timedelta(hours=1)),
    ],
)
def test_since_a_time_or_an_age(text, moment):
    assert parse_since(text, NOW) == moment


def test_since_a_time_of_day_is_of_today_here():
    assert parse_since("11:30", NOW).astimezone().strftime("%H:%M") == "11:30"


@pytest.mark.parametrize("text", ["", "soon", "25:00", "10 parsec", "99999999y", "2026-02-31"])
def test_since_nonsense_is_refused(text):
    with pytest.raises(ValueError, match="is no time"):
        parse_since(text, NOW)


def test_lines_are_chosen_by_attempt_time_and_text(tmp_path):
    lines = written(tmp_path / "log.jsonl", fakes.failed_run())

    def kept(**wanted: object) -> list[str]:
        chosen = LogFilter(**wanted)
        return [line["event"] for line in lines if chosen.accepts(line)]

    assert kept(attempt="datasets[run=1]-2") == ["attempt.started", "task.finished"]
    assert kept(attempt="datasets[run=1]") == kept(attempt=1, tasks={"datasets[run=1]"}) + kept(
        attempt=2, tasks={"datasets[run=1]"}
    )
    last = datetime.fromisoformat(lines[-1]["time"])
    assert kept(since=last) == ["run.finished"]
    assert kept(since=last + timedelta(seconds=1)) == []
    assert kept(text="NO COUNTS in run 2") == ["task.finished"]


FOREIGN = [
    {},
    {"event": 7, "level": ["x"], "task_id": {"a": 1}, "attempt": "one", "time": None},
    {"event": "task.finished", "duration_s": "long", "attempt": True, "attempt_id": 3},
    {"event": "task.finished", "duration_s": float("nan"), "message": None, "reason": 3},
    {"event": "task.progress", "total": 3, "time": "0001-01-01T00:00:00+00:00"},
    {"level": "\x1b[2J", "message": ["\x1b[2J"], "logger": None, "event": "log.record"},
]


@pytest.mark.parametrize("line", FOREIGN, ids=str)
def test_a_line_of_another_program_is_shown_as_far_as_it_goes(line):
    assert "\x1b[2J" not in line_text(line)
    for wanted in (
        LogFilter(),
        LogFilter(tasks={"a"}),
        LogFilter(attempt=1),
        LogFilter(attempt="abcdef"),
        LogFilter(since=NOW),
        LogFilter(text="x"),
    ):
        wanted.accepts(line)


def test_what_is_no_line_is_passed_over(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"event": "a"}', b"", b'{"event": "']
    path.write_bytes(b"\n".join(lines))
    assert [line["event"] for line in read_lines(path)] == ["a"]
