"""The step command at work: what a program gets, what it prints, what becomes of it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import StepError, TransientStepError
from gpwf.steps.base import StepContext
from gpwf.steps.commands.environment import command_environment
from gpwf.steps.commands.processes import Budget, Output
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

STEP = load_catalog().step("command")
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")


def settings_of(base: Path, **config: Any) -> Any:
    settled = settle(STEP, {"outputs": {"out": "out.txt"}, **config}, base=base)
    assert not settled.problems, settled.problems
    return restore(STEP, settled.settings)


def run(folder: Path, code: str = "", *, wired: Any = None, n_jobs: int = 1, **config: Any) -> Any:
    """Run Python code, or ``argv``, as a command in a new folder; return the products."""
    work = folder / f"task-{len(list(folder.glob('task-*')))}"
    work.mkdir()
    if "argv" not in config:
        config["argv"] = [sys.executable, "-c", code]
    context = StepContext(step="c", task_id="c", work_dir=work, n_jobs=n_jobs)
    return STEP.run(settings_of(folder, **config), wired or {}, context)


def text(products: Any, name: str = "out") -> str:
    return str(products[name].path.read_text())


WRITE = "import sys; open('out.txt', 'w').write('|'.join(sys.argv[1:]))"


# ---- running -------------------------------------------------------------------------------------


def test_arguments_are_not_read_by_a_shell(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", WRITE, "$HOME; rm *", "a  b", "*", "`date`", "$${x}", ""]
    products = run(tmp_path, argv=argv)
    assert text(products) == "$HOME; rm *|a  b|*|`date`|${x}|"
    assert products["out"].path.name == "out.txt"
    assert products["out"].summary == {"program": Path(sys.executable).name}


def test_files_and_products_have_the_same_paths_everywhere(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "run.fits").write_text("one")
    product = tmp_path / "in" / "0" / "files"
    product.mkdir(parents=True)
    (product / "models.yaml").write_text("two")
    (product / "covariance.dat").write_text("three")
    code = (
        "import sys; from pathlib import Path; a, b, c, *more = sys.argv[1:]; "
        "text = [Path(a).read_text(), Path(b).read_text(), "
        "Path(b).with_name('covariance.dat').read_text(), Path(c, 'run.fits').read_text()]; "
        "Path('maps/out.txt').write_text('|'.join([*text, a, b, c, *more]))"
    )
    made = run(
        tmp_path,
        argv=[
            *(sys.executable, "-c", code),
            *("${inputs.events}", "${inputs.models}", "${inputs.all}", "${inputs.some}"),
            "${outputs.out}",
        ],
        inputs={"events": "data/run.fits", "all": "data"},
        outputs={"out": "maps/out.txt"},
        wired={
            "models": [product / "models.yaml"],
            "some": [product / "models.yaml", product],
        },
    )
    assert text(made).split("|") == [
        *("one", "two", "three", "one"),
        "../inputs/events/run.fits",
        "../inputs/models/models.yaml",
        "../inputs/all",
        "../inputs/some/0/models.yaml",
        "../inputs/some/1",
        "maps/out.txt",
    ]


def test_a_name_has_one_meaning(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(StepError, match="a: both in `inputs` and in `required_products`"):
        run(tmp_path, WRITE, inputs={"a": "a"}, wired={"a": [tmp_path / "a"]})


def test_a_name_that_nothing_brings(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="inputs has no 'b'") as caught:
        run(tmp_path, argv=[sys.executable, "${inputs.b}"], wired={"a": [tmp_path / "a"]})
    assert caught.value.hint == "inputs of this step: a"


def test_a_script_is_an_input(tmp_path: Path) -> None:
    script = tmp_path / "tool.sh"
    script.write_text("#!/bin/sh\necho $1 > out.txt\n")
    with pytest.raises(StepError, match=r"tool\.sh cannot be started: Permission denied") as caught:
        run(tmp_path, argv=["${inputs.tool}", "x"], inputs={"tool": "tool.sh"})
    assert "chmod +x" in str(caught.value.hint)
    script.chmod(0o755)
    assert text(run(tmp_path, argv=["${inputs.tool}", "x"], inputs={"tool": "tool.sh"})) == "x\n"
    script.write_text("#!/no/such/interpreter\n")
    with pytest.raises(StepError, match="the interpreter that its first line names"):
        run(tmp_path, argv=["${inputs.tool}", "x"], inputs={"tool": "tool.sh"})


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program"])
def test_a_program_that_is_not_there(tmp_path: Path, program: str) -> None:
    with pytest.raises(StepError, match=f"there is no program .*{program}") as caught:
        run(tmp_path, argv=[program])
    assert caught.value.hint
    assert not isinstance(caught.value, TransientStepError)


def test_standard_input_is_empty(tmp_path: Path) -> None:
    code = "import sys; open('out.txt', 'w').write(repr(sys.stdin.read()))"
    assert text(run(tmp_path, code)) == "''"


def test_it_stays_in_the_group_where_its_executor_finds_it(tmp_path: Path) -> None:
    code = "import os; open('out.txt', 'w').write(f'{os.getpgrp()} {os.getsid(0)}')"
    assert text(run(tmp_path, code)) == f"{os.getpgrp()} {os.getsid(0)}"


def test_variables_are_an_allow_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "hush")
    monkeypatch.setenv("MY_SETTING", "three")
    monkeypatch.setenv("LC_NUMERIC", "C")
    monkeypatch.setenv("CALDB", "/caldb")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    code = "import json, os; json.dump(dict(os.environ), open('out.txt', 'w'))"
    got = json.loads(text(run(tmp_path, code, environment=["MY_SETTING"], n_jobs=3)))
    assert got["MY_SETTING"] == "three"
    assert (got["LC_NUMERIC"], got["CALDB"]) == ("C", "/caldb")
    assert got["PATH"] == os.environ["PATH"]
    assert got["OMP_NUM_THREADS"] == "3"
    assert "MY_API_TOKEN" not in got
    assert "PYTEST_CURRENT_TEST" not in got


def test_threads_as_the_user_wants_them() -> None:
    base = {"OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": "7"}
    got = command_environment(["OMP_NUM_THREADS"], 2, base)
    assert (got["OMP_NUM_THREADS"], got["MKL_NUM_THREADS"]) == ("7", "2")


def test_a_variable_that_is_not_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path, WRITE, environment=["NO_SUCH_VARIABLE"])
    assert "the environment variable NO_SUCH_VARIABLE is not set" in caplog.text


# ---- how it ends ---------------------------------------------------------------------------------


def test_an_exit_code_may_pass(tmp_path: Path) -> None:
    code = "import sys; print('reading'); sys.exit('line one\\nno memory left on device')"
    with pytest.raises(TransientStepError) as caught:
        run(tmp_path, code)
    program = Path(sys.executable).name
    assert caught.value.message == (
        f"{program} ended with exit code 1:\n  line one\n  no memory left on device"
    )


def test_what_was_printed_last_is_told_where_errors_are_silent(tmp_path: Path) -> None:
    with pytest.raises(TransientStepError, match=r"exit code 3:\n  reading$"):
        run(tmp_path, "import sys; print('reading'); sys.exit(3)")
    with pytest.raises(TransientStepError, match=r"exit code 3 and said nothing$"):
        run(tmp_path, "import sys; sys.exit(3)")


def test_a_signal_has_a_name(tmp_path: Path) -> None:
    with pytest.raises(TransientStepError, match=r"was killed by SIGKILL") as caught:
        run(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert "memory" in str(caught.value.hint)


def test_a_missing_output_names_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"did not make 'out.txt', .* it made more/a, output\.txt"):
        run(tmp_path, "import os; open('output.txt', 'w'); os.mkdir('more'); open('more/a', 'w')")
    with pytest.raises(StepError, match="it made nothing") as caught:
        run(tmp_path, "")
    assert not isinstance(caught.value, TransientStepError)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os.symlink('/etc/hostname', 'm/out.txt')", "symbolic link"),
        ("os.rmdir('m'); os.symlink('/etc', 'm')", "symbolic link"),
        ("os.mkdir('m/out.txt')", "is a folder"),
        ("os.mkfifo('m/out.txt')", "is a special file"),
        ("os.rmdir('m'); open('m', 'w')", "did not make"),
    ],
)
def test_an_output_is_a_regular_file(tmp_path: Path, code: str, words: str) -> None:
    outputs = {"out": "m/hostname" if "'m')" in code else "m/out.txt"}
    with pytest.raises(StepError, match=words):
        run(tmp_path, f"import os; {code}", outputs=outputs)


def test_two_outputs_are_not_one_file(tmp_path: Path) -> None:
    code = "import os; open('a', 'w'); os.link('a', 'b')"
    with pytest.raises(StepError, match="'first' and 'second' are one file"):
        run(tmp_path, code, outputs={"first": "a", "second": "b"})


def test_an_earlier_output_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    run(tmp_path, WRITE)
    with pytest.raises(StepError, match="did not make"):
        run(tmp_path, "")


@linux
def test_processes_left_behind_are_ended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also those that left the session, and that hold the pipes of the program open."""
    code = (
        "import os, subprocess, sys, time\n"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "a = subprocess.Popen(sleep)\n"
        "b = subprocess.Popen(sleep, start_new_session=True)\n"
        "open('out.txt', 'w').write(f'{a.pid} {b.pid}')\n"
    )
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        pids = [int(item) for item in text(run(tmp_path, code)).split()]
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        assert "left 2 processes behind" in caplog.text
        assert other.poll() is None  # was there before
    finally:
        other.kill()
        other.wait()


# ---- what it prints ------------------------------------------------------------------------------


def messages(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [item.getMessage() for item in caplog.records if item.name == name]


def test_lines_go_to_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = (
        "import sys\n"
        "open('out.txt', 'w')\n"
        "print('100 %s done'); print(); print('1 %\\r2 %\\r3 %\\r')\n"
        "print('\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07bell\\x07')\n"
        "sys.stderr.buffer.write(b'caf\\xe9'); sys.stderr.flush()\n"
    )
    run(tmp_path, code)
    assert messages(caplog, "command.stdout") == [
        "100 %s done",
        "3 %",
        "red bell\N{REPLACEMENT CHARACTER}",
    ]
    assert messages(caplog, "command.stderr") == ["caf\N{REPLACEMENT CHARACTER}"]


def test_much_output_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = (
        "import sys\n"
        "for number in range(3000): print(f'{number:099d}')\n"
        "sys.stdout.flush(); print('the end', file=sys.stderr); sys.exit(1)\n"
    )
    with pytest.raises(TransientStepError, match=r"exit code 1:\n  the end"):
        run(tmp_path, code, max_log=1000)
    assert len(messages(caplog, "command.stdout")) == 10
    (warning,) = [text for text in messages(caplog, "command") if text.startswith("stdout")]
    assert warning == "stdout: 299000 bytes more than max_log (1000) are not in the log"


def test_a_stream_of_any_size_takes_little_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Lines without end, and lines without text."""
    caplog.set_level(logging.INFO)
    budget = Budget(100_000)
    output = Output("stdout", budget)
    for _ in range(200):
        output.take(b"x" * 65536)
        assert len(output._line) <= 4097
    output.take(b"\n" * 65536)
    output.take(b"y\n" * 65536)
    output.end()
    shown = messages(caplog, "command.stdout")
    assert shown[0] == "x" * 4096 + " …"
    assert set(shown[1:]) == {"y"}
    assert len(shown) < 1002
    assert output.n_dropped > 120_000
    assert output.last_lines(2) == ["y", "y"]


def test_a_line_that_does_not_end_is_told_after_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now_s = 100.0
    monkeypatch.setattr("gpwf.steps.commands.processes.time.monotonic", lambda: now_s)
    output = Output("stdout", Budget(10_000))
    output.take(b"first\nsecond?")
    output.look(now_s + 1.9)
    assert messages(caplog, "command.stdout") == ["first"]
    output.look(now_s + 2.1)
    output.look(now_s + 99)
    assert messages(caplog, "command.stdout") == ["first", "second?"]
    output.take(b" yes\n")
    assert messages(caplog, "command.stdout") == ["first", "second?", " yes"]


def test_a_progress_bar_is_told_now_and_then_as_it_stands(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    now_s = 100.0
    monkeypatch.setattr("gpwf.steps.commands.processes.time.monotonic", lambda: now_s)
    output = Output("stderr", Budget(10_000))
    for percent in range(101):
        output.take(b"\r" + b"=" * 60 + f" {percent}%".encode())
        assert len(output._line) < 100
        output.look(now_s)
        now_s += 0.3
    output.take(b"\n")
    shown = [text.rpartition(" ")[2] for text in messages(caplog, "command.stderr")]
    assert shown == ["34%", "69%", "100%"]
    for text in (b"a 1%\r", b"a 2%\r", b"\r\n"):
        output.take(text)
    assert messages(caplog, "command.stderr")[-1] == "a 2%"


def test_more_arguments_than_the_system_takes(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="Argument list too long") as caught:
        run(tmp_path, argv=[sys.executable, "-c", WRITE, *(["x" * 100_000] * 40)])
    assert "gather in two steps" in str(caught.value.hint)


# ---- version -------------------------------------------------------------------------------------


def test_the_version_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    version = [sys.executable, "-c", "import sys; print('tool 2.1'); print('libs 3', end='')"]
    products = run(tmp_path, WRITE, version=version)
    program = Path(sys.executable).name
    assert products["out"].summary == {"program": program, "version": "tool 2.1; libs 3"}
    (message,) = messages(caplog, "command")
    assert message.startswith(f"version, by {sys.executable} -c import sys")
    assert message.endswith(": tool 2.1; libs 3")


def test_a_version_on_standard_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    version = [sys.executable, "-c", "import sys; sys.exit('tool 2.1')"]
    assert run(tmp_path, WRITE, version=version)["out"].summary["version"] == "tool 2.1"
    assert "ended with exit code 1" in caplog.text


def test_a_version_makes_no_files(tmp_path: Path) -> None:
    version = [sys.executable, "-c", "open('out.txt', 'w'); print(1)"]
    with pytest.raises(StepError, match="it made nothing"):
        run(tmp_path, "", version=version)


def test_no_version(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="printed nothing"):
        run(tmp_path, WRITE, version=[sys.executable, "-c", ""])


def test_a_version_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpwf.steps.builtin.command._VERSION_LIMIT_S", 0.3)
    version = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(StepError, match="did not end"):
        run(tmp_path, WRITE, version=version)
