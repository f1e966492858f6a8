"""Measure how long, and with how much memory, bad workflow files are refused.

    python benchmarks/bad_input.py [--only TEXT] [--repeat 1] [--slow 1.0] [--large 300]

Writes every case of ``tests/faults/bad_documents.py`` into a fresh folder, runs `gpwf validate` on
it in a process of its own, and prints the exit code, the wall time, the processor time, the peak of
the resident memory and the codes of the problems. Ends with exit code 1 where a case is slower than
``--slow`` seconds, larger than ``--large`` MB, or does not end with exit code 2.

The resident memory is ``VmHWM`` of the process: what ``getrusage`` says of a child counts the
memory of the process that started it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "faults"))

from bad_documents import CASES, Case  # noqa: E402

_PROGRAM = """
import re, sys, time
from gpwf.cli import main
try:
    main()
finally:
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
    open("used", "w").write(f"{time.process_time()} {peak[1]}")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one validation took."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    codes: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--repeat", type=int, default=1, help="times for each; the best counts")
    parser.add_argument("--slow", type=float, default=1.0, help="seconds that are too many")
    parser.add_argument("--large", type=float, default=300.0, help="MB that are too many")
    options = parser.parse_args()
    print(f"{'case':<40}{'exit':>5}{'wall/s':>8}{'cpu/s':>8}{'MB':>8}  codes")
    found: list[Measured] = []
    bad = 0
    for case in CASES:
        if options.only not in case.name:
            continue
        best = min((measure(case) for _ in range(options.repeat)), key=lambda item: item.wall_s)
        wrong = best.exit_code != 2 or best.wall_s > options.slow or best.peak_mb > options.large
        bad += wrong
        found.append(best)
        print(
            f"{case.name:<40}{best.exit_code:>5}{best.wall_s:>8.2f}{best.cpu_s:>8.2f}"
            f"{best.peak_mb:>8.1f}  {best.codes}{'  <-- !' if wrong else ''}",
            flush=True,
        )
    print(
        f"{len(found)} cases: at most {max(item.wall_s for item in found):.2f} s, "
        f"{max(item.cpu_s for item in found):.2f} s of a processor and "
        f"{max(item.peak_mb for item in found):.1f} MB; {bad} too many"
    )
    sys.exit(bad > 0)


def measure(case: Case) -> Measured:
    """Validate one case."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = case.write(folder)
        start = time.perf_counter()
        try:
            done = subprocess.run(
                [sys.executable, "-c", _PROGRAM, "validate", "--format", "json", path.name],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        except subprocess.TimeoutExpired:
            wall_s = time.perf_counter() - start
            return Measured(exit_code=-1, wall_s=wall_s, cpu_s=0, peak_mb=0, codes="no end")
        seconds = time.perf_counter() - start
        cpu_s, peak_kb = (folder / "used").read_text().split()
    try:
        codes = " ".join(sorted({item["code"] for item in json.loads(done.stdout)}))
    except ValueError:
        codes = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1][-100:]
    return Measured(
        exit_code=done.returncode,
        wall_s=seconds,
        cpu_s=float(cpu_s),
        peak_mb=int(peak_kb) / 1024,
        codes=codes,
    )


if __name__ == "__main__":
    main()
