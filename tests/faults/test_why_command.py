"""`gpwf why` names the component that changed, and where that began."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from two_steps import set_up

import gpwf
from gpwf.api.explain import explain_run, explain_workflow
from gpwf.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return set_up(tmp_path)


def run(**changes: Any) -> gpwf.api.Run:
    found = gpwf.read("w.gpwf.yaml", **changes).run(jobs=2)
    assert str(found.state) == "ok"
    return found


def texts(found: Any) -> dict[str, list[str]]:
    return {
        item.task: [
            item.told,
            *(change.text for change in item.changes),
            *(cause.text for cause in item.because),
        ]
        for item in found
    }


def test_of_a_run_the_component_and_its_first_cause_are_named(folder: Path) -> None:
    first = run()
    assert texts(explain_run(first, "make")) == {"make": ["ran: ok", "had not run before"]}
    second = run(params={"word": "two"})
    (make,) = explain_run(second, "make")
    assert [(item.component, item.name, item.old, item.new) for item in make.changes] == [
        ("setting", "argv.4", "one", "two")
    ]
    assert make.compared_with == first.path
    assert texts(explain_run(second, "copy[n=1]")) == {
        "copy[n=1]": [
            "ran: ok",
            "input made: another product of make",
            "because make.argv.4 changed: one → two",
        ]
    }
    third = run(params={"word": "two"})
    (copy,) = explain_run(third, "copy[n=2]")
    assert (copy.state, copy.changes) == ("cached", ())
    assert copy.made_by == second.view.run_id
    assert copy.told.startswith("cached: made by run ")
    assert copy.told.endswith(copy.made_at)


def test_of_a_workflow_what_would_run_is_compared_with_the_last_run(folder: Path) -> None:
    first = run()
    changed = gpwf.read("w.gpwf.yaml", params={"word": "two"})
    found = explain_workflow(changed, "copy")
    assert texts(found) == {
        f"copy[n={n}]": ["would run", "because make.argv.4 changed: one → two"] for n in (1, 2)
    }
    assert {item.compared_with for item in found} == {first.path}
    (folder / "in.txt").write_text("another text\n")
    (copy,) = explain_workflow(gpwf.read("w.gpwf.yaml"), "copy[n=1]")
    (cause,) = copy.because
    assert cause.text == "because of make: inputs.text: the file in.txt changed"
    assert (cause.change.component, len(cause.change.new)) == ("file", 64)
    (folder / "in.txt").write_text("text\n")
    (make,) = explain_workflow(gpwf.read("w.gpwf.yaml"), "make")
    assert (make.state, make.made_by) == ("cached", first.view.run_id)


def test_a_cause_that_has_run_already_is_found_as_well(folder: Path) -> None:
    run()
    changed = gpwf.read("w.gpwf.yaml", params={"word": "two"})
    changed.run(jobs=1, targets=["make"])
    (copy,) = explain_workflow(changed, "copy[n=1]")
    assert texts([copy])["copy[n=1]"] == [
        "would run",
        "input made: another product of make",
        "because make.argv.4 changed: one → two",
    ]


def test_what_is_gone_forced_failed_or_blocked_says_so(folder: Path) -> None:
    run()
    forced = gpwf.read("w.gpwf.yaml").run(jobs=1, from_=["copy[n=1]"])
    assert "made to run (--from, --only)" in texts(explain_run(forced, "copy[n=1]"))["copy[n=1]"][1]
    for path in (folder / ".gpwf" / "results").rglob("*/*"):
        path.unlink()
    (make,) = explain_workflow(gpwf.read("w.gpwf.yaml"), "make")
    assert texts([make])["make"][1] == "its result is not in the store any more"
    (copy,) = explain_workflow(gpwf.read("w.gpwf.yaml"), "copy[n=1]")
    assert copy.because[0].text == "because of make: its result is not in the store any more"
    (folder / "w.gpwf.yaml").write_text(
        (folder / "w.gpwf.yaml").read_text().replace("cat $0 > out.txt;", "exit 3;")
    )
    failed = gpwf.read("w.gpwf.yaml").run(jobs=1)
    assert texts(explain_run(failed, "make"))["make"][0] == "ran: failed"
    (blocked,) = explain_run(failed, "copy[n=1]")
    assert blocked.told.startswith("did not run: blocked: ")
    with pytest.raises(UsageError, match="no such step"):
        explain_run(failed, "none")


def command(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "gpwf", "why", *arguments]
    done = subprocess.run(program, capture_output=True, encoding="utf-8")
    assert done.returncode == code, done.stderr
    return done


def test_the_command(folder: Path) -> None:
    first = run()
    run(params={"word": "two"})
    shown = command("copy").stdout.splitlines()
    assert shown[:3] == [
        "copy[n=1], copy[n=2]: ran: ok",
        "  input made: another product of make",
        "  because make.argv.4 changed: one → two",
    ]
    assert shown[3].startswith(f"  compared with runs/w/{first.path.name}, begun 20")
    (item,) = json.loads(command("w", "make", "--format", "json").stdout)
    assert {"task", "step", "state", "told", "changes", "because", "compared_with",
            "compared_began", "made_by", "made_at"} == set(item)  # fmt: skip
    assert item["changes"] == [
        {
            "component": "setting",
            "name": "argv.4",
            "old": "one",
            "new": "two",
            "text": "argv.4: one → two",
            "makers": [],
        }
    ]
    assert "would run" in command("w.gpwf.yaml", "make", "-p", "word=three").stdout
    assert "cached: made by run" in command("w.gpwf.yaml", "make").stdout
    assert "which step?" in command(code=2).stderr
    assert "go with a workflow" in command("w", "make", "-p", "word=x", code=2).stderr


def test_a_secret_is_not_told(folder: Path) -> None:
    text = (folder / "w.gpwf.yaml").read_text()
    run()
    (folder / "w.gpwf.yaml").write_text(text.replace("echo $1", "echo token=abcdef $1"))
    (make,) = explain_workflow(gpwf.read("w.gpwf.yaml"), "make")
    assert "abcdef" not in str(make)
