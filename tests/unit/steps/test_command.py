"""The step command before the run: settings, names, files that a command reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpwf.core.catalog import SettingProblem
from gpwf.core.expressions import ExpressionError
from gpwf.errors import StepInputError
from gpwf.steps.builtin.command import referenced_names
from gpwf.steps.commands.placeholders import arguments
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

STEP = load_catalog().step("command")


def problems(**config: Any) -> list[SettingProblem]:
    """Return what is wrong with settings, those that must be given filled in."""
    settled = settle(STEP, {"argv": ["a"], "outputs": {"o": "o"}, **config}, base=Path("/nowhere"))
    return list(settled.problems)


def settings_of(base: Path, **config: Any) -> Any:
    settled = settle(STEP, {"outputs": {"out": "out.txt"}, **config}, base=base)
    assert not settled.problems, settled.problems
    return restore(STEP, settled.settings)


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


def test_ports_do_not_depend_on_file_names() -> None:
    """A scatter may give every task another one."""
    one, two = (settings_of(Path("/"), argv=["a"], outputs={"o": name}) for name in ("a", "b"))
    assert STEP.outputs(one) == STEP.outputs(two)


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


def test_numbers_from_expressions_become_texts() -> None:
    argv = ["a", 3, 0.5, 1e-11, True, ""]
    settled = settle(STEP, {"argv": argv, "outputs": {"o": "o"}}, base=Path("/"))
    assert settled.settings["argv"] == ["a", "3", "0.5", "1e-11", "true", ""]
    (problem,) = problems(argv=["a", ["b"]])
    assert (problem.code, problem.path) == ("GP302", ("argv", 1))
    assert "not a list" in problem.message
    items = load_catalog().schema("command")["properties"]["argv"]["items"]
    assert items["type"] == "string"  # `3.10` written as a number would lose its zero


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
