"""The companion of a large run: names and record as without it, whatever happens to it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakecatalog as fake
import pytest
from harness import is_alive, start_cli, wait_for
from two_steps import set_up

from gpwf.api import companion, recording
from gpwf.api.execution import Execution
from gpwf.api.runs import Run
from gpwf.api.selection import Selection
from gpwf.core.runs import RunEvent, RunState
from gpwf.errors import RunError
from gpwf.run.executors.local import LocalExecutor
from gpwf.store.store import Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
PLAN = fake.plan(
    fake.task("one"),
    fake.task("two", "one"),
    fake.task("three", "two"),
    fake.task("bad", do="bug"),
)


def run(folder: Path, name: str, *listeners: Callable[[RunEvent], None]) -> Run:
    """Run the plan in ``folder/<name>``."""
    return Execution(
        selection=Selection(plan=PLAN, forced=frozenset()),
        text="gpwf: 1\n",
        store=Store(folder / "store"),
        run_dir=folder / name,
        executor=LocalExecutor(2, prepare="fakecatalog:prepare"),
        fail_fast=False,
        console="off",
        command=("gpwf", "run"),
        listeners=listeners,
        catalog="fakecatalog:load_catalog",
        formats="fakecatalog",
    ).run()


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give every run a companion; return their process ids."""
    found: list[int] = []
    original = companion.Companion.__init__

    def note(self: companion.Companion, *arguments: Any) -> None:
        original(self, *arguments)
        assert self._process is not None
        found.append(self._process.pid)

    monkeypatch.setattr(companion.Companion, "__init__", note)
    monkeypatch.setattr(recording, "MANY_TASKS", 1)
    return found


def check(made: Run) -> None:
    """Names and record are those that the journal gives."""
    assert made.state is RunState.FAILED
    products = made.path / "products"
    found = [path.relative_to(products) for path in products.rglob("*") if path.is_file()]
    counts = Counter("/".join(path.parts[:2]) for path in found)
    assert set(counts) == {"one/text", "two/text", "three/text"}
    assert len(set(counts.values())) == 1  # as many files each
    written = made.provenance.read_bytes()
    made.provenance.unlink()
    assert recording.write_provenance(made).read_bytes() == written
    assert [path.name for path in made.provenance.parent.iterdir()] == ["prov.json"]


def test_names_and_record_are_those_of_the_journal(tmp_path: Path, beside: list[int]) -> None:
    for name in ("first", "again"):
        check(run(tmp_path, name))
    assert len(beside) == 2
    assert not any(is_alive(pid) for pid in beside)


@pytest.mark.parametrize("number", [1, 2, 5, 9])
def test_its_end_is_no_harm(tmp_path: Path, beside: list[int], number: int) -> None:
    events: list[RunEvent] = []

    def kill(event: RunEvent) -> None:
        events.append(event)
        if len(events) == number:
            os.kill(beside[0], signal.SIGKILL)

    check(run(tmp_path, "run", kill))
    assert len(events) > number


def test_names_that_cannot_be_made_end_the_run(tmp_path: Path, beside: list[int]) -> None:
    def spoil(_: RunEvent) -> None:
        products = tmp_path / "run" / "products"
        if products.is_dir():
            shutil.rmtree(products)
            products.write_text("in the way")

    with pytest.raises(RunError, match=r"products.* cannot be written"):
        run(tmp_path, "run", spoil)
    made = Run(tmp_path / "run")
    assert made.state is RunState.FAILED
    assert made.provenance.is_file()
    assert not is_alive(beside[0])


def test_without_it_the_driver_does_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent(companion.Companion):
        def __init__(self, *_: Any) -> None:
            with monkeypatch.context() as patch:
                patch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
                super().__init__(tmp_path, tmp_path)
            assert self._process is None

    monkeypatch.setattr(recording, "MANY_TASKS", 1)
    monkeypatch.setattr(recording, "Companion", Absent)
    check(run(tmp_path, "run"))


def test_it_ends_with_a_killed_driver(tmp_path: Path) -> None:
    set_up(tmp_path)
    text = (tmp_path / "w.gpwf.yaml").read_text().replace("cat $0 > out.txt;", "sleep 30;")
    (tmp_path / "w.gpwf.yaml").write_text(text)
    driver = start_cli(
        "run", "w.gpwf.yaml", "--run-dir", "run", cwd=tmp_path, environment={"MANY_TASKS": "1"}
    )

    def companions() -> list[int]:
        return [pid for pid in _children(driver.pid) if b"gpwf.api.companion" in _command(pid)]

    try:
        (pid,) = wait_for(companions, "the companion")
        wait_for((tmp_path / "run" / "journal.jsonl").exists, "the journal")
    finally:
        driver.kill()
        driver.wait()
    wait_for(lambda: not is_alive(pid), "the end of the companion", 10.0)


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(folder.name))
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
