"""The n-th fsync, rename or write of a driver or of a worker fails, or is its last.

strace makes the calls fail. Which calls there are is counted in a run that nothing disturbs; then
they are hit by SIGKILL, and by EIO or ENOSPC in turn: some of them, evenly spread, or every one of
them where the environment has ``FAULTS_EVERY_CALL``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from harness import start_driver
from invariant import Scene, check_whole, small

CALLS = ("fsync", "fdatasync", "rename", "renameat", "renameat2", "write", "pwrite64", "ftruncate")
#: Calls to hit where not every one is.
MOST = 14
_CALL = re.compile(r"^(?:(\d+) +)?(\w+)\(")


@cache
def _why_not() -> str:
    """Return why strace cannot be used here, nothing where it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    inject = "-e", "inject=getcwd:error=EIO:when=1"
    tried = subprocess.run([strace, "-qq", *inject, "true"], capture_output=True, check=False)
    if tried.returncode:
        return f"strace is not permitted: {tried.stderr.decode(errors='replace').strip()}"
    return ""


@pytest.fixture(autouse=True)
def _needs_strace() -> None:
    if sys.platform != "linux" or _why_not():
        pytest.skip(_why_not() or "strace is for Linux")


def _faulted(
    scene: Scene, who: str, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    """Run a driver, or its workers, under strace; return its exit code, its words and the trace."""
    trace = scene.folder / "trace"
    under = ["strace", "-q", "-y", "-o", str(trace), "-e", f"trace={','.join(CALLS)}", *options]
    monkeypatch.setenv("FAULTS_JOBS", "1")
    if who == "worker":
        script = scene.folder / "python"
        script.write_text(
            f'#!/bin/sh\nexec {" ".join(under)} -f --seccomp-bpf {sys.executable} "$@"\n'
        )
        script.chmod(0o700)
        monkeypatch.setenv("FAULTS_PYTHON", str(script))
        under = []
    driver = start_driver(scene.plan, scene.folder, under=under, stderr=subprocess.PIPE)
    try:
        _, said = driver.communicate(timeout=60)
    finally:
        driver.kill()
    return driver.returncode, said.decode(), trace.read_text() if trace.exists() else ""


def _points(trace: str, *, files_only: bool) -> Iterator[tuple[str, int]]:
    """Yield each call of a trace and which one of its kind it is; strace counts by thread.

    A socket between two processes of one machine may break, but it has no input and output errors.
    """
    counts: Counter[tuple[str, str]] = Counter()
    points: dict[tuple[str, int], bool] = {}
    for line in trace.splitlines():
        if match := _CALL.match(line):
            counts[match.groups()] += 1
            point = match[2], counts[match.groups()]
            on_socket = "<socket:" in line or "<pipe:" in line or "<UNIX" in line
            points[point] = points.get(point, True) and not (files_only and on_socket)
    yield from (point for point, wanted in points.items() if wanted)


@pytest.mark.parametrize("who", ["driver", "worker"])
@pytest.mark.parametrize("fault", ["killed", "failing"])
def test_calls_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str, fault: str
) -> None:
    (tmp_path / "clean").mkdir()
    code, said, trace = _faulted(Scene(tmp_path / "clean", small), who, [], monkeypatch)
    assert (code, said) == (0, "")
    points = list(_points(trace, files_only=fault == "failing"))
    assert len(points) > 10
    if "FAULTS_EVERY_CALL" not in os.environ:
        step = max(1, -(-len(points) // MOST))
        points = points[(fault == "failing") % step :: step]
    unclear: list[str] = []
    n_hits = 0
    for index, (call, n) in enumerate(points):
        how = "signal=KILL" if fault == "killed" else f"error={('EIO', 'ENOSPC')[index % 2]}"
        scene = Scene(tmp_path / f"{call}-{n}", small)
        scene.folder.mkdir()
        with scene.watched():
            _, said, trace = _faulted(
                scene, who, ["-e", f"inject={call}:{how}:when={n}"], monkeypatch
            )
        hits = [line for line in trace.splitlines() if "INJECTED" in line or "SIGKILL" in line]
        place = f"{call} number {n}, {how}: {hits}\n{said}"
        n_hits += bool(hits)
        if "Traceback" in said and "OSError" not in said:  # another error than the one injected
            unclear.append(place)
        try:
            scene.go_on()
            check_whole(scene.folder / "store")
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter {place}") from None
        shutil.rmtree(scene.folder)
    assert n_hits > len(points) / 2, "what several threads do comes in groups of another size"
    assert not unclear, "\n".join(unclear)


def _events(trace: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the calls of a trace that succeeded, with the paths they are about."""
    for line in trace.splitlines():
        if (match := _CALL.match(line)) and " = -1 " not in line:
            if match[2].startswith("rename"):
                yield "rename", re.findall(r'"([^"]*)"', line)
            else:
                yield match[2], re.findall(r"<(/[^>]*)>", line)


def test_nothing_gets_its_name_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut must not leave empty files: fsync, rename, fsync of the folder, in this order."""
    code, _, trace = _faulted(Scene(tmp_path, small), "worker", [], monkeypatch)
    assert code == 0
    events = list(_events(trace))
    renames = [(n, paths) for n, (call, paths) in enumerate(events) if call == "rename"]
    kept = [(n, *paths) for n, paths in renames if "/store/" in paths[1]]
    for kind in ("objects", "results"):
        assert any(f"/store/{kind}/" in target for _, _, target in kept)
    for n, source, target in kept:
        synced = [paths for call, paths in events[:n] if call == "fsync"]
        assert [source] in synced, f"{target} has its name, and may be empty"
        folder = str(Path(target).parent)
        later = [paths for call, paths in events[n:] if call == "fsync"]
        assert [folder] in later, f"the name of {target} may be lost"


def test_the_first_and_the_last_of_a_journal_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, trace = _faulted(Scene(tmp_path, small), "driver", [], monkeypatch)
    assert code == 0
    journal = str(tmp_path / "run" / "journal.jsonl")
    calls = [call for call, paths in _events(trace) if paths == [journal]]
    assert calls[:2] == ["write", "fdatasync"]
    assert calls[-2:] == ["write", "fdatasync"]
