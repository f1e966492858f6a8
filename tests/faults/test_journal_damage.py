"""A journal cut off at every byte, or with a bit changed in every byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from harness import cli
from invariant import Scene, diamond, small

from gpwf.cli.main import cli as command_line
from gpwf.core.runs import RunEvent, RunState, TaskState
from gpwf.core.view import fold
from gpwf.run.journal import Journal, scan_journal


def _made(folder: Path) -> tuple[Scene, bytes, tuple[RunEvent, ...]]:
    scene = Scene(folder, small)
    scene.go_on()
    journal = folder / "run" / "journal.jsonl"
    return scene, journal.read_bytes(), scan_journal(journal).events


@pytest.mark.parametrize("how", ["cut", "bit"])
def test_what_can_be_read_is_what_was_before_the_damage(tmp_path: Path, how: str) -> None:
    """At every byte. Nothing is invented, and nothing before the damaged line is lost."""
    scene, data, events = _made(tmp_path)
    damaged = tmp_path / "damaged.jsonl"
    for at in range(len(data)):
        if how == "cut":
            damaged.write_bytes(data[:at])
        else:
            damaged.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        scan = scan_journal(damaged)
        whole = data[:at].count(b"\n")
        # a changed line end alone joins a line with the next one
        assert scan.events == events[:whole], f"byte {at}"
        assert scan.is_torn == (at != scan.good_bytes if how == "cut" else True)
        view = fold(scene.plan, scan.events)
        assert view.state in (RunState.RUNNING, RunState.OK)
        finished = [task for task in view.tasks.values() if task.state is TaskState.OK]
        assert all(task.products for task in finished)


def test_lines_that_are_exchanged_lost_or_doubled_are_damage(tmp_path: Path) -> None:
    _, data, events = _made(tmp_path)
    lines = data.splitlines(keepends=True)
    damaged = tmp_path / "damaged.jsonl"
    for n in range(1, len(lines) - 1):
        for strange in (
            [*lines[:n], *lines[n + 1 :]],
            [*lines[:n], lines[n - 1], *lines[n:]],
            [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]],
        ):
            damaged.write_bytes(b"".join(strange))
            assert scan_journal(damaged).events == events[:n]


def test_the_next_run_goes_on(tmp_path: Path) -> None:
    """Cut within every line and at its end; nothing runs twice, for the store knows it."""
    scene, data, _ = _made(tmp_path)
    journal = tmp_path / "run" / "journal.jsonl"
    before = scene.counts()
    ends = [n + 1 for n, byte in enumerate(data) if byte == 10]
    for end in ends:
        for at in (end - 200, end - 1, end):
            journal.write_bytes(data[:at])
            scene.go_on()
            assert scene.counts() == before
            torn = sorted(journal.parent.glob("journal.jsonl.torn-*"))
            rest = data[data[:at].rfind(b"\n") + 1 : at]
            assert b"".join(path.read_bytes() for path in torn) == rest
            for path in torn:
                path.unlink()


def test_a_driver_that_dies_while_it_sets_the_torn_end_aside(tmp_path: Path) -> None:
    """The end is there twice then, and set aside once more: nothing is lost, nothing refused."""
    scene, data, events = _made(tmp_path)
    journal = tmp_path / "run" / "journal.jsonl"
    torn = data + b'{"sum": "torn'
    journal.write_bytes(torn)
    journal.with_name("journal.jsonl.torn-1").write_bytes(b'{"sum')
    with Journal(journal) as opened:
        assert opened.events == events
    assert journal.with_name("journal.jsonl.torn-2").read_bytes() == b'{"sum": "torn'
    scene.go_on()


# ---- what people see ---------------------------------------------------------------------------

WORKFLOW = """\
gpwf: 1
name: seen
steps:
  - name: a
    tag: command
    config: {argv: [sh, -c, "echo said; echo a > ${outputs.out}"], outputs: {out: a.txt}}
  - name: b
    tag: command
    required_products: {items: a.out}
    config: {argv: [cp, "${inputs.items}", "${outputs.out}"], outputs: {out: b.txt}}
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of the command line."""
    folder = tmp_path_factory.mktemp("seen")
    (folder / "w.gpwf.yaml").write_text(WORKFLOW)
    done = cli("run", "w.gpwf.yaml", "--run-dir", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def _gpwf(*arguments: object) -> Result:
    return CliRunner().invoke(command_line, [str(item) for item in arguments], prog_name="gpwf")


def test_views_of_a_damaged_journal(seen: Path, tmp_path: Path) -> None:
    """Status, logs and provenance tell what the good part says, or say what is wrong."""
    run = tmp_path / "run"
    shutil.copytree(seen / "run", run, symlinks=True)
    data = (run / "journal.jsonl").read_bytes()
    n_clear = 0
    for at in [0, 1, 80, *range(97, len(data), len(data) // 24)]:
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 64]) + data[at + 1 :]):
            (run / "journal.jsonl").write_bytes(damaged)
            out = tmp_path / "record.json"
            for arguments in (
                ("status", run),
                ("status", run, "--format", "json"),
                ("logs", run),
                ("prov", "export", run, "--format", "json", "-o", out),
            ):
                shown = _gpwf(*arguments)
                place = f"{arguments}, byte {at}: {shown.output}\n{shown.exception}"
                assert shown.exit_code in (0, 1, 2), place
                assert "internal error" not in shown.output, place
                n_clear += shown.exit_code == 0
                if shown.exit_code:
                    assert "error:" in shown.output, place
    assert n_clear > 100
    (run / "journal.jsonl").write_bytes(data)
    assert json.loads(_gpwf("status", run, "--format", "json").output)["state"] == "ok"


def test_the_command_line_goes_on_with_a_damaged_journal(seen: Path) -> None:
    journal = seen / "run" / "journal.jsonl"
    data = journal.read_bytes()
    journal.write_bytes(data[: len(data) // 2] + b"\0" * 100)
    done = cli("run", "w.gpwf.yaml", "--run-dir", "run", cwd=seen)
    assert done.returncode == 0, done.stderr
    assert "2 cached" in done.stderr + done.stdout
    assert not scan_journal(journal).is_torn


def test_a_journal_that_is_gone_is_begun_anew(tmp_path: Path) -> None:
    scene = Scene(tmp_path, diamond)
    scene.go_on()
    journal = tmp_path / "run" / "journal.jsonl"
    journal.unlink()
    before = scene.counts()
    scene.go_on()
    assert scene.counts() == before
