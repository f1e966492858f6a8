"""``gpwf gc`` while runs go on, begin and are killed."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from harness import cli, lines, start_cli, wait_for
from invariant import check_journal, check_whole, survivors

from gpwf.core.runs import AttemptFinished
from gpwf.run.journal import scan_journal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for processes")

WORKFLOW = """\
gpwf: 1
name: swept
params: {{words: [a, b, c]}}
steps:
  - name: say
    tag: command
    foreach: {{word: "${{params.words}}"}}
    config:
      argv: [sh, -c, 'echo say-$2 >> "$1"; sleep 0.1; echo $2 > "$3"', sh, "{counter}", "${{word}}",
        "${{outputs.out}}"]
      outputs: {{out: said.txt}}
  - name: join
    tag: command
    gather: [word]
    required_products: {{items: say.out}}
    config:
      argv: [sh, -c, 'echo join >> "$1"; sleep 0.2; shift; out=$1; shift; cat "$@" > $out', sh,
        "{counter}", "${{outputs.out}}", "${{inputs.items}}"]
      outputs: {{out: joined.txt}}
"""

GC = ("gc", "--apply", "--grace", "0s", "--store", "store")


def _joined(folder: Path, run: str) -> str:
    return (folder / run / "products" / "join" / "out" / "joined.txt").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a workflow that counts what it does."""
    text = WORKFLOW.format(counter=tmp_path / "count")
    (tmp_path / "w.gpwf.yaml").write_text(text)
    return tmp_path


def _run(folder: Path, name: str) -> tuple[object, ...]:
    return ("run", "w.gpwf.yaml", "--store", "store", "--run-dir", name, "-j", "2")


def test_cleaning_while_a_run_goes_on_takes_nothing_from_it(folder: Path) -> None:
    driver = start_cli(*_run(folder, "run"), cwd=folder)
    wait_for(lambda: lines(folder / "count"), "the first task")
    n_cleaned = 0
    while driver.poll() is None:
        assert cli(*GC, cwd=folder).returncode == 0
        n_cleaned += 1
    assert driver.returncode == 0
    assert n_cleaned > 0
    assert _joined(folder, "run") == "a\nb\nc\n"
    assert cli(*GC, cwd=folder).returncode == 0
    assert _joined(folder, "run") == "a\nb\nc\n"
    again = cli(*_run(folder, "run"), cwd=folder)
    assert again.returncode == 0, again.stderr
    assert sorted(lines(folder / "count")) == ["join", "say-a", "say-b", "say-c"]
    check_whole(folder / "store")


def test_cleaning_after_a_killed_run_keeps_what_it_had_finished(folder: Path) -> None:
    """And takes away the folders of attempts that it had begun."""
    driver = start_cli(*_run(folder, "run"), cwd=folder)
    wait_for(lambda: "join" in lines(folder / "count"), "the last task")
    driver.kill()
    driver.wait()
    wait_for(lambda: not survivors(folder), "the end of every process", 10.0)
    cleaned = cli(*GC, cwd=folder)
    assert cleaned.returncode == 0, cleaned.stderr
    assert not list((folder / "run" / "work").glob("*/*"))
    before = lines(folder / "count")
    ends = scan_journal(folder / "run" / "journal.jsonl").events
    finished = {
        event.task.replace("[word=", "-").strip("]")
        for event in ends
        if isinstance(event, AttemptFinished)
    }
    assert finished
    again = cli(*_run(folder, "run"), cwd=folder)
    assert again.returncode == 0, again.stderr
    assert _joined(folder, "run") == "a\nb\nc\n"
    assert not finished & set(lines(folder / "count")[len(before) :])
    check_journal(folder / "run" / "journal.jsonl")
    check_whole(folder / "store")


def test_runs_begin_while_a_store_is_cleaned(folder: Path) -> None:
    """A new run takes results of one whose folder is gone; it finds them whole or makes them."""
    assert cli(*_run(folder, "first"), cwd=folder).returncode == 0
    shutil.rmtree(folder / "first")
    cleaner = start_cli(*GC, cwd=folder)
    drivers = []
    for n in range(2):
        drivers.append(start_cli(*_run(folder, f"run{n}"), cwd=folder))
        time.sleep(0.15)
    assert cleaner.wait(60) == 0
    assert [driver.wait(60) for driver in drivers] == [0, 0]
    for n in range(2):
        assert _joined(folder, f"run{n}") == "a\nb\nc\n"
    assert cli(*GC, cwd=folder).returncode == 0
    for n in range(2):
        assert _joined(folder, f"run{n}") == "a\nb\nc\n"
    check_whole(folder / "store")
