import contextlib
import importlib
import os
import subprocess
import sys

import click
import pytest

from gpwf.cli import prov, prov_show, step
from gpwf.cli.main import ENTRIES as ROOT_ENTRIES
from gpwf.cli.main import cli

ENTRIES = [*ROOT_ENTRIES, *prov.ENTRIES, *step.ENTRIES]
HEAVY = ("gammapy", "astropy", "numpy", "rich", "structlog", "pydantic", "yaml", "jsonschema")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.module)
def test_the_table_says_what_the_module_says(entry):
    command = importlib.import_module(entry.module).command
    assert command.name == entry.name
    assert entry.help == command.help.splitlines()[0]


def test_choices_written_down_twice_are_equal():
    from gpwf.prov.graph import DETAILS

    assert prov_show.DETAILS == DETAILS


def test_help_lists_every_command(gpwf):
    result = gpwf("--help")
    assert result.exit_code == 0
    for entry in ROOT_ENTRIES:
        assert f"  {entry.name} " in result.stdout
        assert entry.help in result.stdout


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.module)
def test_every_command_explains_itself(entry, gpwf):
    group = {"gpwf.cli.prov": ["prov"], "gpwf.cli.step": ["step"]}
    words = [*group.get(entry.module.partition("_")[0], []), entry.name]
    words = words[-1:] if entry in ROOT_ENTRIES else words
    result = gpwf(*words, "--help")
    assert result.exit_code == 0
    assert entry.help in result.stdout


def test_a_near_miss_is_named(gpwf):
    result = gpwf("valdate")
    assert result.exit_code == 2
    assert "Did you mean 'validate'?" in result.stderr


def test_an_unknown_option_is_a_usage_error(gpwf):
    assert gpwf("--loud").exit_code == 2
    assert gpwf("run", "x.yaml", "--loud").exit_code == 2


def imported_by(*args: str) -> set[str]:
    """Return the top-level modules that a command line imports."""
    code = (
        "import sys\n"
        "from gpwf.cli import main\n"
        f"sys.argv = ['gpwf', *{list(args)!r}]\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print('MODULES', *{name.partition('.')[0] for name in sys.modules})\n"
        "print('ROOMS', *{name for name in sys.modules if name.startswith('gpwf.')})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line.split()[1:] for line in done.stdout.splitlines()[-2:]]
    return {name for line in lines for name in line}


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["run", "--help"]])
def test_help_imports_click_and_nothing_heavy(args):
    found = imported_by(*args)
    assert "click" in found
    assert found.isdisjoint(HEAVY)
    assert "gpwf.api" not in found
    assert "gpwf.cli.validate" not in found


@pytest.mark.parametrize(
    "args",
    [["validate", "quickstart.gpwf.yaml"], ["steps"], ["schema"], ["runs"]],
    ids=lambda args: args[0],
)
def test_commands_that_compute_nothing_import_no_gammapy(args, repository, monkeypatch):
    monkeypatch.chdir(repository / "workflows")
    assert imported_by(*args).isdisjoint({"gammapy", "astropy", "numpy"})


def test_the_command_line_is_a_click_group():
    assert isinstance(cli, click.Group)


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(variables, coloured, make_run, tmp_path):
    make_run()
    code = "from gpwf.cli import main; import sys; sys.argv[1:] = ['status']; main()"
    driver, terminal = os.openpty()
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | variables
    subprocess.run([sys.executable, "-c", code], stdout=terminal, cwd=tmp_path, env=env, check=True)
    os.close(terminal)
    text = b""
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while chunk := os.read(driver, 4096):
            text += chunk
    os.close(driver)
    assert b"crab" in text
    assert (b"\x1b[" in text) is coloured
