"""The n-th fsync, rename or write of a driver or of a worker fails, or is its last.

strace makes the calls fail. Which calls there are is counted in a run that nothing disturbs; then
they are hit by SIGKILL, and by EIO or ENOSPC in turn: some of them, evenly spread, or every one of
them where the environment has ``FAULTS_EVERY_CALL``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import cli, lines, start_cli, start_driver
from invariant import Scene, check_journal, check_whole, small
from straced import events, hits, points, read, sample, strace, why_not


@pytest.fixture(autouse=True)
def _needs_strace() -> None:
    if sys.platform != "linux" or why_not():
        pytest.skip(why_not() or "strace is for Linux")


def _faulted(
    scene: Scene, who: str, fault: tuple[str, str, int] | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    """Run a driver, or its workers, under strace; return its exit code, its words and the trace."""
    trace = scene.folder / "trace"
    under = strace(trace, fault)
    monkeypatch.setenv("FAULTS_JOBS", "1")
    if who == "worker":
        script = scene.folder / "python"
        command = " ".join([*under, "-f", "--seccomp-bpf", sys.executable])
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o700)
        monkeypatch.setenv("FAULTS_PYTHON", str(script))
        under = []
    driver = start_driver(scene.plan, scene.folder, under=under, stderr=subprocess.PIPE)
    try:
        _, said = driver.communicate(timeout=60)
    finally:
        driver.kill()
    return driver.returncode, said.decode(), read(trace)


@pytest.mark.parametrize("who", ["driver", "worker"])
@pytest.mark.parametrize("fault", ["killed", "failing"])
def test_calls_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str, fault: str
) -> None:
    (tmp_path / "clean").mkdir()
    code, said, trace = _faulted(Scene(tmp_path / "clean", small), who, None, monkeypatch)
    assert (code, said) == (0, "")
    found = list(points(trace, files_only=fault == "failing"))
    assert len(found) > 10
    found = list(sample(found, offset=fault == "failing"))
    unclear: list[str] = []
    n_hits = 0
    for index, (call, n) in enumerate(found):
        how = "signal=KILL" if fault == "killed" else f"error={('EIO', 'ENOSPC')[index % 2]}"
        scene = Scene(tmp_path / f"{call}-{n}", small)
        scene.folder.mkdir()
        with scene.watched():
            _, said, trace = _faulted(scene, who, (call, how, n), monkeypatch)
        place = f"{call} number {n}, {how}: {hits(trace)}\n{said}"
        n_hits += bool(hits(trace))
        if "Traceback" in said:
            unclear.append(place)
        try:
            scene.go_on()
            check_whole(scene.folder / "store")
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter {place}") from None
        shutil.rmtree(scene.folder)
    assert n_hits > len(found) / 2, "what several threads do comes in groups of another size"
    assert not unclear, "\n".join(unclear)


def test_nothing_gets_its_name_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut must not leave empty files: fsync, rename, fsync of the folder, in this order."""
    code, _, trace = _faulted(Scene(tmp_path, small), "worker", None, monkeypatch)
    assert code == 0
    calls = list(events(trace))
    renames = [(n, paths) for n, (call, paths) in enumerate(calls) if call == "rename"]
    kept = [(n, *paths) for n, paths in renames if "/store/" in paths[1]]
    for kind in ("objects", "results"):
        assert any(f"/store/{kind}/" in target for _, _, target in kept)
    for n, source, target in kept:
        synced = [paths for call, paths in calls[:n] if call == "fsync"]
        assert [source] in synced, f"{target} has its name, and may be empty"
        folder = str(Path(target).parent)
        later = [paths for call, paths in calls[n:] if call == "fsync"]
        assert [folder] in later, f"the name of {target} may be lost"


def test_the_first_and_the_last_of_a_journal_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, trace = _faulted(Scene(tmp_path, small), "driver", None, monkeypatch)
    assert code == 0
    journal = str(tmp_path / "run" / "journal.jsonl")
    calls = [call for call, paths in events(trace) if paths == [journal]]
    assert calls[:2] == ["write", "fdatasync"]
    assert calls[-2:] == ["write", "fdatasync"]


WORKFLOW = """\
gpwf: 1
name: hit
steps:
  - name: a
    tag: command
    config:
      argv: [sh, -c, 'echo a >> "$1"; echo said; echo a > "$2"', sh, "{counter}",
        "${{outputs.out}}"]
      outputs: {{out: a.txt}}
  - name: b
    tag: command
    required_products: {{items: a.out}}
    config:
      argv: [sh, -c, 'echo b >> "$1"; cat "$2" > "$3"', sh, "{counter}", "${{inputs.items}}",
        "${{outputs.out}}"]
      outputs: {{out: b.txt}}
"""


def _command_line(folder: Path, fault: tuple[str, str, int] | None) -> tuple[int, str, str]:
    folder.mkdir()
    (folder / "w.gpwf.yaml").write_text(WORKFLOW.format(counter=folder / "count"))
    driver = start_cli(
        "run", "w.gpwf.yaml", "--run-dir", "run", cwd=folder, under=strace(folder / "trace", fault),
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = driver.communicate(timeout=60)
    finally:
        driver.kill()
    return driver.returncode, said.decode(), read(folder / "trace")


@pytest.mark.parametrize("how", ["signal=KILL", "error=EIO", "error=ENOSPC"])
def test_the_command_line_and_its_records(tmp_path: Path, how: str) -> None:
    """With log, progress and provenance: what was done is known, the next run goes on."""
    code, said, trace = _command_line(tmp_path / "clean", None)
    assert code == 0, said
    unclear: list[str] = []
    for call, n in sample(list(points(trace, files_only=True)), offset=len(how), most=4):
        folder = tmp_path / f"{call}-{n}"
        code, said, trace = _command_line(folder, (call, how, n))
        place = f"{call} number {n}, {how}: {hits(trace)}\n{code}: {said}"
        if "Traceback" in said or "internal error" in said:
            unclear.append(place)
        before = lines(folder / "count")
        if (folder / "run" / "journal.jsonl").exists():
            shown = cli("status", "run", cwd=folder)
            assert shown.returncode in (0, 1, 2), place + shown.stderr
            assert "internal error" not in shown.stderr, place + shown.stderr
        again = cli("run", "w.gpwf.yaml", "--run-dir", "run", cwd=folder)
        assert again.returncode == 0, place + again.stderr
        assert (folder / "run" / "products" / "b" / "out" / "b.txt").read_text() == "a\n", place
        if code == 0:
            assert lines(folder / "count") == before == ["a", "b"], place
        check_journal(folder / "run" / "journal.jsonl")
        check_whole(folder / ".gpwf")
        exported = cli("prov", "export", "run", "--format", "json", "-o", "record", cwd=folder)
        assert exported.returncode == 0, place + exported.stderr
        shutil.rmtree(folder)
    assert not unclear, "\n".join(unclear)
