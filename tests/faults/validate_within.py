"""Validate bad files, each in a process of its own that may not have more memory than it is given.

    python validate_within.py FOLDER MEGABYTES SECONDS

Prints one line of JSON for every case of `bad_documents`: its name, the diagnostics, how long the
three ways to show them are, the peak of the resident memory, and what went wrong otherwise.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from bad_documents import CASES

from gpwf.api import read
from gpwf.report.diagnostics import diagnostics_text, github_lines
from gpwf.report.listings import diagnostic_data
from gpwf.steps.registry import load_catalog


def main() -> None:
    """Fork once for every case."""
    folder, megabytes, seconds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    load_catalog()
    for number, case in enumerate(CASES):
        here = folder / str(number)
        here.mkdir()
        path = case.write(here)
        child = os.fork()
        if child == 0:
            _answer(here / "answer.json", _validate(path, megabytes * 1_000_000, seconds))
        _, status = os.waitpid(child, 0)
        answer = here / "answer.json"
        found = {"error": f"ended with {status}"}
        if answer.exists():
            found = json.loads(answer.read_text())
        print(json.dumps({"name": case.name, **found}), flush=True)
        _remove(path)


def _validate(path: Path, bytes_: int, seconds: int) -> dict[str, Any]:
    """Validate within limits."""
    resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a hang ends the process
    signal.alarm(seconds)
    os.chdir(path.parent)
    try:
        found = read(path.name).validate()
        shown = [
            diagnostics_text(found),
            "\n".join(github_lines(found)),
            json.dumps([diagnostic_data(item) for item in found]),
        ]
        for text in shown:
            text.encode()  # nothing that no terminal takes
    except BaseException:
        return {"error": traceback.format_exc(limit=-3)}
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return {
        "diagnostics": [diagnostic_data(item) for item in found],
        "shown": [len(text) for text in shown],
        "peak_kb": int(peak[1]) if peak else 0,
    }


def _answer(path: Path, found: dict[str, Any]) -> None:
    """Write what was found and end the process."""
    path.write_text(json.dumps(found))
    os._exit(0)


def _remove(path: Path) -> None:
    """Free the disk; special files and folders stay."""
    if path.is_file() and not path.is_symlink():
        path.unlink()


if __name__ == "__main__":
    main()
