import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gpwf.api
from gpwf.core.diagnostics import Diagnostic, Span
from gpwf.errors import DocumentError, ExecutorError, PlanError


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes every command fail with an error."""

    def fail(error: BaseException) -> None:
        def find_runs(*_):
            raise error

        monkeypatch.setattr(gpwf.api, "find_runs", find_runs)

    return fail


def test_an_error_on_purpose_has_message_hint_and_code(gpwf, failing):
    failing(PlanError("no such file", hint="make it"))
    result = gpwf("runs")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "error: no such file\n  hint: make it\n" in result.stderr


def test_the_error_decides_the_code(gpwf, failing):
    failing(ExecutorError("no workers"))
    assert gpwf("runs").exit_code == 3


def test_a_full_disk_is_no_fault_of_gpwf(gpwf, failing):
    failing(OSError(28, "No space left on device", "/results/prov.svg"))
    result = gpwf("runs")
    assert result.exit_code == 2
    assert "error: cannot write /results/prov.svg: No space left on device" in result.stderr


def test_an_invalid_document_shows_every_problem(gpwf, failing):
    span = Span(file="w.yaml", line=3, column=5, end_line=3, end_column=8)
    failing(
        DocumentError(
            [
                Diagnostic(code="GP101", message="one", span=span, source_line="    abc def"),
                Diagnostic(code="GP102", message="two"),
            ]
        )
    )
    result = gpwf("runs")
    assert result.exit_code == 2
    assert "w.yaml:3:5: GP101 one\n  3 |     abc def\n    |     ^^^\nGP102 two" in result.stderr
    assert "2 errors" in result.stderr


def test_a_fault_keeps_its_traceback_in_a_file(gpwf, failing, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(RuntimeError("boom"))
    result = gpwf("runs")
    assert result.exit_code == 3
    assert "internal error: RuntimeError: boom" in result.stderr
    assert "this is a fault of gpwf" in result.stderr
    assert "Traceback" not in result.stderr
    (path,) = re.findall(r"the traceback is in (\S+),", result.stderr)
    assert "RuntimeError: boom" in Path(path).read_text()


def test_debug_shows_the_traceback(gpwf, failing):
    failing(RuntimeError("boom"))
    result = gpwf("--debug", "runs")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_a_fault_is_told_where_no_file_can_be_written(gpwf, failing, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/does/not/exist")
    failing(RuntimeError("boom"))
    result = gpwf("runs")
    assert result.exit_code == 3
    assert "gpwf --debug" in result.stderr


def test_an_interrupt_outside_of_a_run_has_its_own_code(gpwf, failing):
    failing(KeyboardInterrupt())
    assert gpwf("runs").exit_code == 130


def test_messages_from_elsewhere_cannot_control_the_terminal(gpwf, failing):
    failing(PlanError("bad \x1b[2Jname"))
    assert "\x1b[2J" not in gpwf("runs").stderr


def test_a_reader_that_has_enough_is_no_error():
    code = "import sys; from gpwf.cli import main; sys.argv[1:] = ['schema']; main()"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""
