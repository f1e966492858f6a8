"""The journal: every prefix can be read, every changed byte shows."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.runs import (
    AttemptFinished,
    Failure,
    Product,
    ProductFile,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskState,
)
from gpwf.errors import RunError
from gpwf.run.journal import Journal, JournalTail, read_journal, scan_journal

_AT = {"time": "2026-11-21T03:00:00Z", "clock_s": 1.5}
_FILE = ProductFile(name="ä/b.fits", digest=Digest("c" * 64), size=7)
EVENTS: list[RunEvent] = [
    RunStarted(**_AT, run_id="r", plan_digest=Digest("a" * 64), workflow="crab"),
    AttemptFinished(
        **_AT,
        task="fit",
        attempt=1,
        attempt_id="x",
        key=TaskKey("b" * 64),
        state=TaskState.FAILED,
        started="s",
        ended="e",
        products={"text": Product(kind="text", digest=Digest("d" * 64), files=(_FILE,))},
        failure=Failure(kind="StepError", message="two\nlines \u2028 and Γ"),
    ),
    RunFinished(**_AT, state=RunState.FAILED, reason="failed: fit", counts={"failed": 1}),
]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as writer:
        writer.extend(EVENTS)
    return path


def test_what_was_written_is_read(journal: Path) -> None:
    assert read_journal(journal) == EVENTS
    assert journal.stat().st_mode & 0o777 == 0o600


def test_lines_are_json_and_chained(journal: Path) -> None:
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert [line["prev"] for line in lines[1:]] == [line["sum"] for line in lines[:-1]]
    assert scan_journal(journal).last_sum == lines[-1]["sum"]


def test_cut_at_every_byte(journal: Path, tmp_path: Path) -> None:
    data = journal.read_bytes()
    ends = [number + 1 for number, byte in enumerate(data) if byte == 0x0A]
    cut = tmp_path / "cut"
    cut.mkdir()
    path = cut / "journal.jsonl"
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        whole = sum(end <= length for end in ends)
        assert read_journal(path) == EVENTS[:whole]
        with Journal(path) as writer:
            assert list(writer.events) == EVENTS[:whole]
            writer.append(EVENTS[-1])
        assert read_journal(path) == [*EVENTS[:whole], EVENTS[-1]]
        torn = path.with_name("journal.jsonl.torn-1")
        good = ends[whole - 1] if whole else 0
        assert torn.exists() == (length > good)
        if torn.exists():
            assert torn.read_bytes() == data[good:length]
            torn.unlink()


def test_every_changed_byte_ends_the_good_part(journal: Path) -> None:
    data = journal.read_bytes()
    line_of = [data[:number].count(b"\n") for number in range(len(data))]
    for number in range(len(data)):
        changed = bytearray(data)
        changed[number] ^= 0x01
        journal.write_bytes(bytes(changed))
        assert read_journal(journal) == EVENTS[: line_of[number]]


def test_lines_taken_out_or_swapped_show(journal: Path) -> None:
    first, second, third = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first + third)
    assert read_journal(journal) == EVENTS[:1]
    journal.write_bytes(second + first + third)
    assert read_journal(journal) == []


def test_several_torn_ends_are_all_kept(journal: Path) -> None:
    for number in (1, 2):
        with journal.open("ab") as stream:
            stream.write(b"torn %d" % number)
        Journal(journal).close()
        assert journal.with_name(f"journal.jsonl.torn-{number}").read_bytes() == b"torn %d" % number
    assert read_journal(journal) == EVENTS


def test_a_newer_version_is_refused(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpwf.run.journal.JOURNAL_VERSION", 2)
    with Journal(journal) as writer:
        writer.append(EVENTS[-1])
    monkeypatch.undo()
    for read in (read_journal, Journal):
        with pytest.raises(RunError, match="version 2; this gpwf knows 1"):
            read(journal)


def test_a_missing_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file") as caught:
        read_journal(tmp_path / "journal.jsonl")
    assert "gpwf runs" in caught.value.hint
    with pytest.raises(RunError, match="cannot write the journal"):
        Journal(tmp_path / "missing" / "journal.jsonl")


def test_a_disk_that_was_full_for_a_moment_tears_nothing(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if len(data) < 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[:40])

    with Journal(journal) as writer:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(RunError, match="No space left"):
            writer.append(EVENTS[0])
        monkeypatch.undo()
        writer.append(EVENTS[2])
    assert read_journal(journal) == [*EVENTS, EVENTS[2]]


def test_a_tail_gives_every_event_once(journal: Path, tmp_path: Path) -> None:
    data = journal.read_bytes()
    growing = tmp_path / "growing.jsonl"
    growing.touch()
    seen: list[RunEvent] = []
    with JournalTail(growing) as tail, growing.open("ab", buffering=0) as stream:
        for begin in range(0, len(data), 37):
            stream.write(data[begin : begin + 37])
            n_whole = data[: begin + 37].count(b"\n")
            seen += tail.read()
            assert seen == EVENTS[:n_whole]
        assert list(tail.read()) == []
    assert seen == EVENTS


def test_a_tail_does_not_go_past_a_changed_byte(journal: Path) -> None:
    data = bytearray(journal.read_bytes())
    data[data.index(b"\n") + 200] ^= 1
    journal.write_bytes(data)
    with JournalTail(journal) as tail:
        events = tail.read()
        assert next(events) == EVENTS[0]
        with pytest.raises(RunError, match="line 2 is damaged"):
            next(events)
