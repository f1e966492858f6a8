"""Measure what the engine costs per task: tasks that do nothing, everything else included.

    python benchmarks/engine.py [--sizes 1000,10000,100000] [--jobs 2] [--shape wide|chains]

Each size runs in a process of its own, on a store of its own: the plan is made, then run as
`gpwf run` runs it (journal, log, store, readable products, provenance), then run again unchanged.
Columns:

- ``wall``: of the run, start of the workers included, in seconds; ``tasks/s`` from it;
- ``driver``: processor time of the driver per task, in ms, of the run with its provenance;
- ``workers``: processor time of the workers per task, in ms;
- ``memory``: growth of the driver's largest resident set over that with the plan alone, per task,
  in kB;
- ``again``: wall time of the unchanged run in a fresh process, in seconds; ``memory`` likewise.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).stem
TEXT = "text"


# ---- what workers load -------------------------------------------------------------------------


class NoOp:
    """A step that returns its setting."""

    takes = "objects"

    class Settings:
        """Stands for a pydantic model."""

        @classmethod
        def model_validate(cls, data: Mapping[str, Any]) -> SimpleNamespace:
            """Return the settings as attributes."""
            return SimpleNamespace(**data)

    def run(
        self,
        settings: Any,
        inputs: Mapping[str, Any],
        _ctx: Any,
    ) -> Mapping[str, Any]:
        """Do nothing."""
        return {"text": "".join([f"{settings.number}\n", *inputs.get("texts", [])])}


def load_catalog() -> Any:
    """Return the catalogue of the workers."""
    return SimpleNamespace(step=lambda _: NoOp())


def write(
    _kind: str,
    value: str,
    directory: Path,
    _card: Mapping[str, str],
) -> Mapping[str, Any]:
    """Write a product of one small file."""
    (directory / "value.txt").write_text(value)
    return {"length": len(value)}


def read(
    _kind: str,
    directory: Path,
    _locate: Callable[..., Path],
) -> str:
    """Read it."""
    return (directory / "value.txt").read_text()


def keep(kind: str, value: str) -> None:
    """Keep nothing in memory."""


hand_on = keep


def prepare() -> None:
    """Import in the fork server what every worker needs."""
    import_module("gpwf.steps.base")


# ---- the driver --------------------------------------------------------------------------------


def make_plan(n_tasks: int, shape: str) -> Any:
    """Return a plan of one scattered step, or of two hundred chains of steps."""
    from gpwf.core.digests import digest_bytes
    from gpwf.core.plan import Plan, PlannedStep, Task, TaskOutput
    from gpwf.core.spec import Port, StepPolicy

    out = (Port(name="text", kind=TEXT),)
    into = (Port(name="texts", kind=TEXT, multiple=True, optional=True),)
    # what the tasks of a scatter have in common they share, as after planning
    shared: dict[str, Any] = {
        "types": {"number": "int"},
        "origins": {"number": ("workflow", "w.yaml:3:5")},
        "packages": {},
        "implementation": {},
        "policy": StepPolicy(),
    }
    chains = n_tasks if shape == "wide" else 200

    def task(number: int) -> Task:
        above = number - chains
        refs = (TaskOutput(task=f"noop[number={above}]", product="text"),)
        return Task(
            id=f"noop[number={number}]",
            step="noop",
            tag="noop",
            version="1",
            settings={"number": number},
            inputs={"texts": refs} if above >= 0 else {},
            input_ports=into,
            output_ports=out,
            **shared,
            coordinates={"number": number},
        )

    return Plan(
        name="noop",
        workflow_digest=digest_bytes(b"noop"),
        tasks=tuple(task(number) for number in range(n_tasks)),
        steps=(PlannedStep(name="noop", tag="noop", title="No-op", axes={"number": n_tasks}),),
    )


def drive(folder: str, n_tasks: int, jobs: int, shape: str) -> None:
    """Run once and print what it took."""
    from gpwf.api.execution import Execution
    from gpwf.api.selection import Selection
    from gpwf.run.executors.local import LocalExecutor
    from gpwf.store.store import Store

    plan = make_plan(n_tasks, shape)
    before_kb = _peak_kb()
    start, used = time.perf_counter(), _cpu(resource.RUSAGE_SELF)
    run = Execution(
        selection=Selection(plan=plan, forced=frozenset()),
        text="gpwf: 1\n",
        store=Store(Path(folder) / "store"),
        run_dir=Path(folder) / f"run-{os.getpid()}",
        executor=LocalExecutor(jobs, prepare=f"{HERE}:prepare"),
        fail_fast=False,
        console="plain" if sys.stderr.isatty() else "off",
        command=("gpwf", "run"),
        listeners=(),
        catalog=f"{HERE}:load_catalog",
        formats=HERE,
    ).run()
    wall, driver = time.perf_counter() - start, _cpu(resource.RUSAGE_SELF) - used
    peak_kb = _peak_kb()
    counts = run.view.counts()
    found = {
        "wall": wall,
        "driver": driver,
        "workers": _cpu(resource.RUSAGE_CHILDREN),
        "memory": (peak_kb - before_kb) / n_tasks,
        "counts": counts,
    }
    print(json.dumps(found))


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _peak_kb() -> float:
    unit = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


# ---- the table ---------------------------------------------------------------------------------


def measure(folder: Path, n_tasks: int, jobs: int, shape: str) -> dict[str, Any]:
    """Return what a run of so many tasks takes, in a process of its own."""
    script = [sys.executable, str(Path(__file__).absolute())]
    arguments = ["--drive", str(folder), "--sizes", str(n_tasks), "--jobs", str(jobs)]
    done = subprocess.run(
        [*script, *arguments, "--shape", shape], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a row per size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shape", choices=["wide", "chains"], default="wide")
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = [int(item) for item in given.sizes.split(",")]
    if given.drive:
        drive(given.drive, sizes[0], given.jobs, given.shape)
        return
    print("   tasks    wall s  tasks/s  driver ms  workers ms  memory kB   again s  memory kB")
    for n_tasks in sizes:
        with tempfile.TemporaryDirectory() as name:
            first = measure(Path(name), n_tasks, given.jobs, given.shape)
            again = measure(Path(name), n_tasks, given.jobs, given.shape)
        assert first["counts"] == {"ok": n_tasks}, first["counts"]
        assert again["counts"] == {"cached": n_tasks}, again["counts"]
        print(
            f"{n_tasks:8d} {first['wall']:9.2f} {n_tasks / first['wall']:8.0f}"
            f" {1e3 * first['driver'] / n_tasks:10.3f} {1e3 * first['workers'] / n_tasks:11.3f}"
            f" {first['memory']:10.2f} {again['wall']:9.2f} {again['memory']:10.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
