"""The step command: what it refuses before the run, what a program gets, what becomes of it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpwf.core.expressions import ExpressionError
from gpwf.core.spec import SettingProblem
from gpwf.errors import StepError, StepInputError, TransientStepError
from gpwf.steps.base import StepContext
from gpwf.steps.builtin.command import referenced_names
from gpwf.steps.commands.environment import command_environment
from gpwf.steps.commands.placeholders import arguments
from gpwf.steps.commands.processes import Budget, Output
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

STEP = load_catalog().step("command")
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")


def problems(**config: Any) -> list[SettingProblem]:
    """Return what is wrong with settings, those that must be given filled in."""
    settled = settle(STEP, {"argv": ["a"], "outputs": {"o": "o"}, **config}, base=Path("/nowhere"))
    return list(settled.problems)


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


# ---- settings ------------------------------------------------------------------------------------


def test_the_example_of_the_language_is_valid() -> None:
    config = {
        "argv": ["ctselect", "inobs=${inputs.events}", "outobs=${outputs.events}", "emin=0.5"],
        "inputs": {"events": "events.fits"},
        "outputs": {"events": "selected.fits", "log": "ctselect.log"},
        "version": ["ctselect", "--version"],
    }
    settled = settle(STEP, config, base=Path("/data"))
    assert not settled.problems
    assert settled.settings["inputs"] == {"events": "/data/events.fits"}
    assert settled.types["inputs.events"] == "path"  # enters the key by content
    settings = restore(STEP, settled.settings)
    assert [(port.name, port.kind) for port in STEP.outputs(settings)] == [
        ("events", "file"),
        ("log", "file"),
    ]
    assert [port.name for port in STEP.inputs(settings)] == ["*"]
    assert referenced_names(settings) == ({"events"}, {"events"})
    assert not STEP.packages
    assert load_catalog().deferred("command") == ("inputs", "outputs")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/etc/passwd", "not relative"),
        ("~/x", "not relative"),
        ("../x", "leaves"),
        ("a/../../x", "leaves"),
        ("a//x", "empty part"),
        ("./x", "empty part"),
        ("a/", "empty part"),
        ("", "no file name"),
        ("  ", "no file name"),
        ("a\0b", "character"),
        ("a\nb", "character"),
        ("-rf", "option"),
        ("${outputs.b}", "expression"),
        ("x" * 256, "255 bytes"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}" * 130, "255 bytes"),
    ],
)
def test_an_output_stays_in_its_folder(name: str, words: str) -> None:
    (problem,) = problems(outputs={"o": name})
    assert (problem.code, problem.path) == ("GP304", ("outputs", "o"))
    assert words in problem.message


def test_an_output_is_a_text() -> None:
    (problem,) = problems(outputs={"o": 3})
    assert (problem.code, problem.path) == ("GP302", ("outputs", "o"))


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("a.fits", "a.fits", "is the file of the output 'first' as well"),
        ("a.fits", "A.FITS", "as well"),
        ("caf\u00e9", "cafe\u0301", "as well"),
        ("a", "a/b", "lies below the file of the output 'first'"),
        ("a/b/c", "a/b", "is the folder of the output 'first'"),
    ],
)
def test_outputs_are_different_files(first: str, second: str, words: str) -> None:
    (problem,) = problems(outputs={"first": first, "second": second})
    assert (problem.code, problem.path) == ("GP304", ("outputs", "second"))
    assert words in problem.message


def test_names_of_files_are_one_text() -> None:
    settled = settle(STEP, {"argv": ["a"], "outputs": {"o": "cafe\u0301/a.txt"}}, base=Path("/"))
    assert settled.settings["outputs"] == {"o": "caf\u00e9/a.txt"}


def test_outputs_that_only_look_alike_are_fine() -> None:
    assert not problems(outputs={"a": "maps/a", "b": "maps/ab", "c": "mapsa"})


@pytest.mark.parametrize(
    ("config", "code", "path", "words"),
    [
        ({"argv": []}, "GP304", ("argv",), "at least 1"),
        ({"argv": ["  "]}, "GP304", ("argv", 0), "no program"),
        ({"argv": ["a", "${inputs}"]}, "GP401", ("argv", 1), "expected"),
        ({"argv": ["a", "${outputs.o"]}, "GP401", ("argv", 1), "expected"),
        ({"argv": ["a", "${outputs.ox}"]}, "GP402", ("argv", 1), "no output 'ox'"),
        ({"argv": ["tools/a.sh"]}, "GP304", ("argv", 0), "empty folder"),
        ({"version": ["a", "${outputs.o}"]}, "GP306", ("version", 1), "makes no output"),
        ({"version": []}, "GP304", ("version",), "at least 1"),
        ({"outputs": {}}, "GP304", ("outputs",), "at least one output"),
        ({"outputs": {"1st": "a"}}, "GP304", ("outputs", "1st"), "no name"),
        ({"inputs": {"a b": "a"}}, "GP304", ("inputs", "a b"), "no name"),
        ({"inputs": {"a": "${inputs.b}"}}, "GP306", ("inputs", "a"), "only"),
        ({"environment": ["A=1"]}, "GP304", ("environment", 0), "no name of an environment"),
        ({"max_log": -1}, "GP304", ("max_log",), "at least 0"),
        ({"shell": True}, "GP301", ("shell",), "unknown"),
    ],
)
def test_what_cannot_work_is_refused(
    config: dict[str, Any], code: str, path: tuple[str | int, ...], words: str
) -> None:
    (problem,) = problems(**config)
    assert (problem.code, problem.path) == (code, path)
    assert words in problem.message


def test_a_misspelt_output_has_a_suggestion() -> None:
    (problem,) = problems(argv=["a", "${outputs.evnts}"], outputs={"events": "e.fits"})
    assert problem.hint == "did you mean 'events'?"


def test_a_name_that_is_no_file_is_an_input_that_must_be_wired() -> None:
    settings = settings_of(Path("/"), argv=["a", "${inputs.b}${inputs.c}"], inputs={"c": "c"})
    ports = STEP.inputs(settings)
    assert [(port.name, port.kind, port.optional) for port in ports] == [
        ("b", "any", False),
        ("*", "any", True),
    ]


def test_expressions_of_arguments() -> None:
    scope: dict[str, Any] = {
        "inputs": {"one": "../inputs/one/a", "some": ["x", "y"]},
        "outputs": {"o-1": "o"},
    }
    texts = [
        "$${HOME} $HOME $$ ${ inputs.one }",
        "a=${outputs.o-1},${inputs.one}",
        "${inputs.some}",
    ]
    assert arguments(texts, scope) == [
        "${HOME} $HOME $$ ../inputs/one/a",
        "a=o,../inputs/one/a",
        "x",
        "y",
    ]
    assert arguments([""], scope) == [""]
    with pytest.raises(ExpressionError, match="is a list"):
        arguments(["a=${inputs.some}"], scope)
    with pytest.raises(ExpressionError, match="has no 'two'"):
        arguments(["${inputs.two}"], scope)


# ---- external files ------------------------------------------------------------------------------


def test_files_folders_and_the_program_are_known_by_content(tmp_path: Path) -> None:
    for name in ("b.fits", "folder/z.txt", "folder/deep/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    settings = settings_of(tmp_path, argv=["sh"], inputs={"file": "b.fits", "all": "folder"})
    found = [(item.setting, item.name) for item in STEP.external_files(settings)]
    assert found == [
        ("inputs.file", "b.fits"),
        ("inputs.all", "z.txt"),
        ("inputs.all", "deep/a.txt"),
        ("argv.0", "sh"),
    ]


def test_a_missing_program_is_no_matter_of_the_plan(tmp_path: Path) -> None:
    assert STEP.external_files(settings_of(tmp_path, argv=["no-such-program"])) == ()


def test_an_input_that_is_not_there(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, argv=["sh"], inputs={"file": "b.fits"})
    with pytest.raises(StepInputError, match=r"no such file: .*b\.fits") as caught:
        STEP.external_files(settings)
    assert caught.value.setting == "inputs.file"


@pytest.mark.parametrize("target", ["elsewhere", "nothing"])
def test_a_folder_has_no_files_that_nobody_sees(tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / target)
    with pytest.raises(StepInputError, match="link to"):
        STEP.external_files(settings_of(tmp_path, argv=["sh"], inputs={"all": "folder"}))


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


# ---- version -------------------------------------------------------------------------------------


def test_the_version_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    version = [sys.executable, "-c", "import sys; print('tool 2.1'); print('libs 3', end='')"]
    products = run(tmp_path, WRITE, version=version)
    program = Path(sys.executable).name
    assert products["out"].summary == {"program": program, "version": "tool 2.1; libs 3"}
    assert f"version of {program}: tool 2.1; libs 3" in messages(caplog, "command")


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
