"""strace: which calls a program makes, and what happens when one of them fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

CALLS = ("fsync", "fdatasync", "rename", "renameat", "renameat2", "write", "pwrite64", "ftruncate")
_CALL = re.compile(r"^(?:(\d+) +)?(\w+)\(")


@cache
def why_not() -> str:
    """Return why strace cannot be used here, nothing where it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    inject = "-e", "inject=getcwd:error=EIO:when=1"
    tried = subprocess.run([strace, "-qq", *inject, "true"], capture_output=True, check=False)
    if tried.returncode:
        return f"strace is not permitted: {tried.stderr.decode(errors='replace').strip()}"
    return ""


def strace(trace: Path, fault: tuple[str, str, int] | None) -> list[str]:
    """Return the command under which a program runs; the fault is (call, how, which one)."""
    command = ["strace", "-q", "-y", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]
    if fault is not None:
        call, how, number = fault
        command += ["-e", f"inject={call}:{how}:when={number}"]
    return command


def read(trace: Path) -> str:
    """Return a trace; nothing where the program did not begin."""
    return trace.read_text() if trace.exists() else ""


def hits(trace: str) -> list[str]:
    """Return the calls that were made to fail."""
    return [line for line in trace.splitlines() if "INJECTED" in line or "SIGKILL" in line]


def points(trace: str, *, files_only: bool) -> Iterator[tuple[str, int]]:
    """Yield each call of a trace and which one of its kind it is; strace counts by thread.

    A socket between two processes of one machine may break, but it has no input and output errors.
    """
    counts: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], bool] = {}
    for line in trace.splitlines():
        if match := _CALL.match(line):
            counts[match.groups()] += 1
            point = match[2], counts[match.groups()]
            on_socket = "<socket:" in line or "<pipe:" in line or "<UNIX" in line
            found[point] = found.get(point, True) and not (files_only and on_socket)
    yield from (point for point, wanted in found.items() if wanted)


def sample(
    found: Sequence[tuple[str, int]], offset: int, most: int = 14
) -> Sequence[tuple[str, int]]:
    """Return some points, evenly spread; all where the environment has ``FAULTS_EVERY_CALL``."""
    if "FAULTS_EVERY_CALL" in os.environ:
        return found
    step = max(1, -(-len(found) // most))
    return found[offset % step :: step]


def events(trace: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the calls of a trace that succeeded, with the paths they are about."""
    for line in trace.splitlines():
        if (match := _CALL.match(line)) and " = -1 " not in line:
            if match[2].startswith("rename"):
                yield "rename", re.findall(r'"([^"]*)"', line)
            else:
                yield match[2], re.findall(r"<(/[^>]*)>", line)
