import json
import os
import subprocess
import sys

import pytest

from gpwf.api.init_templates import TEMPLATES
from gpwf.api.targets import TARGETS


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_it_lists_what_it_wrote(gpwf, tmp_path):
    result = gpwf("init", "crab-1d", "--target", "msh15-52", "--name", "mine", "-d", "sub")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "new        sub/mine.gpwf.yaml",
        "new        sub/models/mine.yaml",
        "new        sub/schemas/workflow.schema.json",
        "new        sub/.vscode/settings.json",
    ]
    assert result.stderr == "next: gpwf validate sub/mine.gpwf.yaml\n"
    assert "MSH 15-52" in (tmp_path / "sub" / "mine.gpwf.yaml").read_text()


def test_json(gpwf):
    found = json.loads(gpwf("init", "simulate", "--format", "json").stdout)
    assert found[0] == {"path": "simulate.gpwf.yaml", "action": "new", "note": ""}
    assert all(set(item) == {"path", "action", "note"} for item in found)


def test_lists(gpwf, tmp_path):
    text = gpwf("init", "--list").stdout
    assert all(f"\n{name} " in text for name in [*TEMPLATES, *TARGETS])
    found = json.loads(gpwf("init", "--list", "--format", "json").stdout)
    assert [item["name"] for item in found["templates"]] == list(TEMPLATES)
    assert [item["name"] for item in found["targets"]] == list(TARGETS)
    assert found["targets"][0]["obs_ids"] == [23523, 23526, 23559, 23592]
    assert list(tmp_path.iterdir()) == []


def test_a_script_is_not_asked(gpwf):
    result = gpwf("init")
    assert result.exit_code == 2
    assert "--list" in result.stderr


def test_files_are_not_replaced(gpwf, tmp_path):
    gpwf("init", "simulate")
    (tmp_path / "simulate.gpwf.yaml").write_text("mine")
    result = gpwf("init", "simulate")
    assert result.exit_code == 2
    assert "there already" in result.stderr
    assert (tmp_path / "simulate.gpwf.yaml").read_text() == "mine"
    assert gpwf("init", "simulate", "--overwrite").exit_code == 0
    assert (tmp_path / "simulate.gpwf.yaml").read_text() != "mine"


def on_terminal(answers: str, *args: str) -> str:
    """Answer the questions of `gpwf init` on a terminal; return what was shown."""
    driver, terminal = os.openpty()
    command = [sys.executable, "-c", "from gpwf.cli import main; main()", "init", *args]
    process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    os.write(driver, answers.encode())
    shown, _ = process.communicate(timeout=120)
    os.close(driver)
    assert process.returncode == 0
    return shown.decode()


def test_a_person_is_asked(tmp_path):
    shown = on_terminal("nonsense\n3d\nmsh15-52\nmine\n")
    assert shown.splitlines()[0] == "new        mine.gpwf.yaml"
    assert "MSH 15-52: maps" in (tmp_path / "mine.gpwf.yaml").read_text()


def test_answers_have_defaults(tmp_path):
    on_terminal("\n\n\n")
    assert (tmp_path / "crab-1d.gpwf.yaml").is_file()


def test_what_is_given_is_not_asked(tmp_path):
    on_terminal("simulate\n", "--target", "crab", "--name", "mine")
    assert (tmp_path / "mine.gpwf.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("gpwf init ", set(TEMPLATES)),
        ("gpwf init m", {"multi-target"}),
        ("gpwf init --target ", set(TARGETS)),
        ("gpwf init crab-1d --target ", {"crab", "pks2155-304", "msh15-52"}),
    ],
)
def test_completion(words, offered):
    env = os.environ | {
        "_GPWF_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from gpwf.cli import main; main()"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert {line.split(",")[1] for line in done.stdout.splitlines()} == offered
