"""Measure what a user waits for: help, validation, a first and a second run.

    python benchmarks/commands.py [--repeat 5] [--workflow workflows/quickstart.gpwf.yaml]

Prints the median, the smallest and the largest wall time of each command, each in a process of its
own. A first run uses a fresh store, the second run the store that the first one filled.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
GPWF = [sys.executable, "-c", "import sys; from gpwf.cli import main; sys.exit(main())"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=5, help="times for each command (5)")
    parser.add_argument("--first-runs", type=int, default=1, help="times for the first run (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="workers")
    parser.add_argument(
        "--workflow", type=Path, default=ROOT / "workflows" / "quickstart.gpwf.yaml"
    )
    options = parser.parse_args()
    workflow = str(options.workflow.resolve())
    run = ["run", workflow, "-j", str(options.jobs)]

    print(f"{'command':<24}{'median':>9}{'min':>9}{'max':>9}   (s)")
    show("gpwf --help", measure(["--help"], options.repeat))
    show("gpwf validate", measure(["validate", workflow], options.repeat))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        first = [
            seconds(run, folder, {"GPWF_STORE": str(folder / f"store-{number}")})
            for number in range(options.first_runs)
        ]
        show("gpwf run, first", first)
        store = {"GPWF_STORE": str(folder / "store-0")}
        show("gpwf run, second", measure(run, options.repeat, folder, store))
        show("gpwf plan", measure(["plan", workflow], options.repeat, folder, store))


def measure(
    arguments: Sequence[str],
    repeat: int,
    folder: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> list[float]:
    """Return the wall times of a command in seconds, after one that warms the disk."""
    seconds(arguments, folder, environment or {})
    return [seconds(arguments, folder, environment or {}) for _ in range(repeat)]


def seconds(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> float:
    """Return the wall time of one command in seconds; end where it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        [*GPWF, *arguments],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"gpwf {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return elapsed


def show(name: str, times: Sequence[float]) -> None:
    """Print one line of the table."""
    middle = statistics.median(times)
    print(f"{name:<24}{middle:9.3f}{min(times):9.3f}{max(times):9.3f}", flush=True)


if __name__ == "__main__":
    main()
