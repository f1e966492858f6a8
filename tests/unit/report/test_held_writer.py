import threading

import report_fakes as fakes

from gpwf.core.runs import Failure, TaskState
from gpwf.report.held import HeldWriter
from gpwf.report.logging import RunLog


class Stream:
    """A text file that tells when it was written to."""

    def __init__(self, error: OSError | None = None) -> None:
        self.writes: list[str] = []
        self.written = threading.Event()
        self.closed = False
        self.error = error

    def write(self, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.writes.append(text)

    def flush(self) -> None:
        self.written.set()

    def close(self) -> None:
        self.closed = True


def fail(error: OSError) -> None:
    raise AssertionError(error)


def test_lines_are_written_together_and_in_order():
    stream = Stream()
    writer = HeldWriter(stream, on_error=fail, hold_s=3600)
    for line in ("one", "two", "three"):
        writer.msg(line)
    assert stream.writes == []
    writer.close()
    writer.close()
    writer.msg("too late")
    assert stream.writes == ["one\ntwo\nthree\n"]
    assert stream.closed


def test_a_line_does_not_wait_for_the_next_one():
    stream = Stream()
    writer = HeldWriter(stream, on_error=fail, hold_s=0.01)
    writer.msg("alone")
    assert stream.written.wait(30)
    stream.written.clear()
    writer.msg("again")
    assert stream.written.wait(30)
    assert stream.writes == ["alone\n", "again\n"]
    writer.close()


def test_many_lines_do_not_wait_at_all():
    stream = Stream()
    writer = HeldWriter(stream, on_error=fail, hold_s=3600)
    for number in range(2001):
        writer.msg(str(number))
    (first,) = stream.writes
    assert first.count("\n") == 2000
    writer.close()
    assert "".join(stream.writes).split() == [str(number) for number in range(2001)]


def test_no_line_is_lost_between_threads():
    stream = Stream()
    writer = HeldWriter(stream, on_error=fail, hold_s=0.0)
    for number in range(5000):
        writer.msg(str(number))
    writer.close()
    assert "".join(stream.writes).split() == [str(number) for number in range(5000)]


def test_no_thread_is_left_behind():
    before = set(threading.enumerate())
    writer = HeldWriter(Stream(), on_error=fail, hold_s=3600)
    writer.msg("x")
    assert set(threading.enumerate()) - before
    writer.close()
    assert set(threading.enumerate()) == before


def test_an_error_is_told_once():
    told = []
    writer = HeldWriter(Stream(OSError(28, "full")), on_error=told.append, hold_s=3600)
    writer.msg("a")
    writer.flush()
    writer.msg("b")
    writer.flush()
    writer.close()
    assert [error.strerror for error in told] == ["full"]


def test_a_failure_is_in_the_log_at_once_and_talk_is_not(tmp_path):
    path = tmp_path / "log.jsonl"
    bad = Failure(kind="StepError", message="no counts")
    with RunLog(path, "run-1") as log:
        log.event(fakes.begin("fit", 1))
        assert path.read_text() == ""
        log.event(fakes.end("fit", 2, state=TaskState.FAILED, failure=bad))
        assert path.read_text().count("\n") == 2
