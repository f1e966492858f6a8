"""Measure what a step ``python`` costs besides its function, which returns at once.

    python benchmarks/python_steps.py [--tasks 500] [--jobs 2] [--repeat 5]

- ``plan``: time to check and plan a scatter, per task, in ms; in it the source of the function,
  read once: ``source``, of a module of its own and of one of gammapy, in ms;
- ``settings``: to restore the settings of a task, in µs, and ``call``: to make sure that the
  function is the planned one, give it its arguments and look at what it returns, in µs;
- ``store``: to write its product, a table of one row, in ms;
- ``run``: wall time of a whole run per task, in ms, start of the workers left out, and of the run
  again, in s.

Medians over the repetitions.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULE = """
from astropy.table import Table

TABLE = Table({"x": [1.0]})

def at_once(number):
    return TABLE
"""

WORKFLOW = """gpwf: 1
name: bench
steps:
  - tag: python
    foreach: {number: {range: {start: 0, count: COUNT}}}
    config:
      callable: bench_at_once:at_once
      outputs: {table: table}
      arguments: {number: "${number}"}
"""


def median_s(work: Callable[[], Any], repeat: int) -> float:
    """Return the median of the wall time, in seconds."""
    times = []
    for _ in range(repeat):
        began_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - began_s)
    return statistics.median(times)


def in_process(folder: Path, repeat: int) -> dict[str, float]:
    """Measure the parts of one task in this process; in seconds."""
    from gpwf.steps.base import StepContext
    from gpwf.steps.callables.source import read_source
    from gpwf.steps.registry import load_catalog
    from gpwf.steps.settle import restore, settle
    from gpwf.store import formats

    step = load_catalog().step("python")
    config = {
        "callable": "bench_at_once:at_once",
        "outputs": {"table": "table"},
        "arguments": {"number": 1},
    }
    settled = settle(step, config, base=folder).settings
    settings: Any = restore(step, settled)
    context = StepContext(step="s", task_id="s", work_dir=folder)
    value = step.run(settings, {}, context)["table"]
    count = 200

    def many(work: Callable[[], Any]) -> Callable[[], None]:
        return lambda: [work() for _ in range(count)] and None

    def write() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            formats.write("table", value, Path(place), {})

    return {
        "source": median_s(lambda: read_source("bench_at_once"), repeat),
        "source of gammapy": median_s(lambda: read_source("gammapy.estimators.utils"), repeat),
        "settings": median_s(many(lambda: restore(step, settled)), repeat) / count,
        "call": median_s(many(lambda: step.run(settings, {}, context)), repeat) / count,
        "store": median_s(many(write), repeat) / count,
    }


def whole_runs(folder: Path, tasks: int, jobs: int, repeat: int) -> dict[str, float]:
    """Measure whole runs on stores of their own; in seconds."""
    import gpwf

    path = folder / "bench.gpwf.yaml"
    path.write_text(WORKFLOW.replace("COUNT", "1"))
    gpwf.read(path).plan(store=folder / "warm")  # imports what planning needs
    plans, runs, again = [], [], []
    for number in range(repeat):
        one, many = [], []
        for count, times in ((jobs, one), (tasks, many)):
            path.write_text(WORKFLOW.replace("COUNT", str(count)))
            options: Any = {"jobs": jobs, "store": folder / f"store-{number}-{count}"}
            began_s = time.perf_counter()
            gpwf.read(path).plan(store=options["store"])
            planned_s = time.perf_counter()
            found = gpwf.read(path).run(**options)
            times += [planned_s - began_s, time.perf_counter() - planned_s]
            assert str(found.state) == "ok"
        began_s = time.perf_counter()
        gpwf.read(path).run(**options)
        again.append(time.perf_counter() - began_s)
        more = tasks - jobs
        plans.append((many[0] - one[0]) / more)
        runs.append((many[1] - one[1]) / more)
    names = ("plan", "run", "again")
    return dict(zip(names, map(statistics.median, (plans, runs, again)), strict=True))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench_at_once.py").write_text(MODULE)
        sys.path.insert(0, name)
        found = in_process(folder, options.repeat)
        found |= whole_runs(folder, options.tasks, options.jobs, options.repeat)
    for part, seconds in found.items():
        scale, unit = (1e6, "µs") if part in ("settings", "call") else (1e3, "ms")
        scale, unit = (1.0, "s") if part == "again" else (scale, unit)
        print(f"{part:>18}  {seconds * scale:8.2f} {unit}")


if __name__ == "__main__":
    main()
