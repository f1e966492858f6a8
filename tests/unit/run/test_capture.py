"""What a task says becomes records."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from gpwf.run.capture import capture_logging, capture_output, progress_sender


def test_records_are_plain_and_levels_are_kept() -> None:
    sent: list[Any] = []
    log = logging.getLogger("some.library")
    with capture_logging(sent.append, "warning"):
        log.info("too quiet")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            log.exception("with %d", 1)
    log.warning("outside")
    assert [(item["level"], item["logger"], item["message"]) for item in sent] == [
        ("error", "some.library", "with 1")
    ]
    assert "ZeroDivisionError" in sent[0]["traceback"]
    assert json.loads(json.dumps(sent)) == sent


def test_every_task_hears_its_own_warnings() -> None:
    sent: list[Any] = []
    for _ in range(2):
        with capture_logging(sent.append, "INFO"):
            for _ in range(3):
                warnings.warn("the same place", UserWarning, stacklevel=1)
    assert [item["logger"] for item in sent] == ["py.warnings"] * 2
    assert all(item["message"].endswith("UserWarning: the same place") for item in sent)
    assert all("\n" not in item["message"] for item in sent)


def test_logging_is_as_before_afterwards() -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:], warnings.showwarning)
    with pytest.raises(KeyError), capture_logging(lambda _: None, "DEBUG"):
        raise KeyError
    assert (root.level, root.handlers[:], warnings.showwarning) == before


def test_long_output_is_cut_with_a_remark(tmp_path: Path, capfd: Any) -> None:
    sent: list[Any] = []
    with capfd.disabled(), capture_output(tmp_path / "out", sent.append):
        print("x" * 99 + "\n" + ("y" * 99 + "\n") * 1000, flush=True)
    assert sent[0]["message"] == "x" * 99
    assert len(sent) < 700
    assert "more output than 65536 bytes" in sent[-1]["message"]


def test_progress_is_rare_but_complete() -> None:
    sent: list[Any] = []
    progress = progress_sender(sent.append)
    for done in range(1, 1001):
        progress(done, 1000, "events")
    assert len(sent) < 100
    assert sent[0]["done"] == 1
    assert sent[-1]["done"] == sent[-1]["total"] == 1000
    assert {item["event"] for item in sent} == {"task.progress"}


def test_a_faulty_log_call_does_not_fail_the_task() -> None:
    sent: list[Any] = []
    with capture_logging(sent.append, "INFO"):
        logging.getLogger("some.library").info("%d counts", "many")
    (record,) = sent
    assert record["message"].startswith("%d counts (the arguments do not fit: ")


def test_a_forked_process_keeps_off_the_connection_of_its_parent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sent: list[Any] = []
    path = tmp_path / "output.log"
    marks = tmp_path / "sent-by-child"

    def send(record: Any) -> None:
        if os.getpid() != parent:
            marks.touch()
        sent.append(record)

    parent = os.getpid()
    with capfd.disabled(), capture_logging(send, "INFO"), capture_output(path, send):
        child = os.fork()
        if child == 0:
            sys.stderr = os.fdopen(2, "w", closefd=False)  # pytest has its own
            logging.getLogger("some.library").warning("from below")
            os._exit(0)
        os.waitpid(child, 0)
    assert not marks.exists()
    assert [(item["logger"], item["message"]) for item in sent] == [
        ("output", "WARNING some.library: from below")
    ]
