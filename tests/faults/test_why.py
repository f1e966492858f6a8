"""`gpwf plan --why` names what differs from the last time, for every way in which it can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from two_steps import WORKFLOW, set_up

import gpwf


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return set_up(tmp_path)


def why(**changes: Any) -> dict[str, tuple[str, ...]]:
    return gpwf.read("w.gpwf.yaml", **changes).why()


def command(*arguments: str) -> str:
    program = [sys.executable, "-m", "gpwf", *arguments]
    return subprocess.run(program, capture_output=True, encoding="utf-8", check=True).stdout


def run() -> None:
    assert str(gpwf.read("w.gpwf.yaml").run(jobs=2).state) == "ok"


def test_every_reason_is_named(folder: Path) -> None:
    below = {f"copy[n={n}]": ("has not run yet", "after make, which runs") for n in (1, 2)}
    assert why() == {"make": ("has not run yet",), **below}
    run()
    assert why() == {}
    waiting = {f"copy[n={n}]": ("after make, which runs",) for n in (1, 2)}
    assert why(params={"word": "two"}) == {"make": ("argv.4: one → two",), **waiting}
    (folder / "in.txt").write_text("another text\n")
    assert why()["make"] == ("inputs.text: the file in.txt changed",)
    (folder / "in.txt").write_text("text\n")
    changed = why(sets=[("steps.copy.config.outputs.b", "c.txt")])
    assert changed["copy[n=1]"] == ("outputs.b: b.txt → c.txt",)
    assert "make" not in changed


def test_results_that_are_gone_and_steps_that_always_run_say_so(folder: Path) -> None:
    run()
    results = [path for path in (folder / ".gpwf" / "results").rglob("*") if path.is_file()]
    for path in results:
        path.unlink()
    found = why()
    assert found["make"] == ("its result is not in the store any more",)
    run()
    (folder / "w.gpwf.yaml").write_text(
        WORKFLOW.replace("name: make", "name: make\n    cache: false")
    )
    assert why()["make"] == ("cache: false",)


def test_a_failure_and_another_product_above(folder: Path) -> None:
    run()
    text = WORKFLOW.replace("cat $0 > b.txt;", "exit 3;")
    (folder / "w.gpwf.yaml").write_text(text)
    assert str(gpwf.read("w.gpwf.yaml").run(jobs=2).state) == "failed"
    assert why()["copy[n=1]"] == ("did not end well last time: failed",)
    (folder / "in.txt").write_text("another text\n")
    gpwf.read("w.gpwf.yaml").run(jobs=1, targets=["make"])
    assert why()["copy[n=2]"] == ("input made: another product of make",)


def test_the_command_shows_tasks_with_one_reason_together(folder: Path) -> None:
    run()
    arguments = ["plan", "w.gpwf.yaml", "--why", "-p", "word=two"]
    shown = command(*arguments)
    assert shown.endswith("make:\n  argv.4: one → two\ncopy (2 tasks):\n  after make, which runs\n")
    told = json.loads(command(*arguments, "--format", "json"))
    assert told["why"]["make"] == ["argv.4: one → two"]
