"""Measure what the provenance record of a run costs: time per activity, memory, size.

    python benchmarks/provenance.py [--sizes 1000,10000,100000] [--library]
    python benchmarks/provenance.py --workflow workflows/crab-1d.gpwf.yaml
    python benchmarks/provenance.py --headers $GAMMAPY_DATA/hess-dl3-dr1

A plan of one step, scattered over one axis, whose tasks do nothing: four settings, one product of
one file each. Its events are made in portions, as from a journal, and recorded to `prov.json`; the
time that making them takes is taken off. Each size runs in a process of its own. Runs:

- ``ok``: every task runs; one activity per task;
- ``cached``: every result comes from an earlier run; two activities per task;
- ``gathered``: as ``ok``, and one more task that uses all products.

Columns: processor time and wall time of the record, processor time per activity, that of its events
in the journal (without waiting for the disk), growth of the largest resident set over that with the
plan alone, size of the file. ``--library`` measures the document of the library `prov` written as
PROV-JSON instead, for comparison. Wanted: 50 us per activity with its events; 100 000 activities in
10 s and 500 MB.

``--workflow`` runs a workflow in a store of its own and says which part of its wall time recording
took: journal, environment, record. Wanted: 5 %.

``--headers`` reads the headers of all FITS files in a folder as the first plan does, after their
SHA-256 that it needs anyway, and once more as the second one does.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import Plan, PlannedStep, Task, TaskOutput
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    ProductFile,
    Resources,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskState,
)
from gpwf.core.spec import Port

EPOCH = datetime(2026, 3, 14, 9, 26, 53, 123456, tzinfo=UTC)
RUN, EARLIER = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("run", "earlier"))
TYPES = {"seed": "int", "energy": "energy", "method": "str", "stack": "bool"}


def digest(*parts: object) -> Digest:
    """Return a digest that stands for some bytes."""
    return Digest(hashlib.sha256(repr(parts).encode()).hexdigest())


def at(seconds: float) -> str:
    """Return the time so many seconds after the start of the run."""
    moment = EPOCH + timedelta(seconds=seconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")  # as the engine does


def make_plan(n_tasks: int, *, gathered: bool = False) -> Plan:
    """Return a plan of so many tasks that do nothing."""
    common = Task(
        id="sim",
        step="sim",
        tag="no-op",
        version="1",
        settings={"seed": 0, "energy": "1.0 TeV", "method": "reflected", "stack": True},
        types=TYPES,
        origins=dict.fromkeys(TYPES, ("workflow", "big.gpwf.yaml:9:5")),
        inputs={},
        input_ports=(),
        output_ports=(Port(name="table", kind="table"),),
        packages={"gammapy": "2.1", "numpy": "2.1.0"},
        implementation={"module": "m", "package": "gpwf", "version": "1", "source": "5" * 64},
        place="big.gpwf.yaml:5:3",
    )
    tasks = [
        replace(
            common,
            id=f"sim[seed={n}]",
            settings={**common.settings, "seed": n},
            coordinates={"seed": n},
            stream=(17, n),
        )
        for n in range(n_tasks)
    ]
    steps = [PlannedStep(name="sim", tag="no-op", title="", axes={"seed": n_tasks})]
    if gathered:
        steps.append(PlannedStep(name="all", tag="collect", title="", gather=("seed",)))
        tasks.append(
            replace(
                common,
                id="all",
                step="all",
                inputs={"items": tuple(TaskOutput(task=t.id, product="table") for t in tasks)},
                input_ports=(Port(name="items", kind="table", multiple=True),),
                labels={"items": tuple({"seed": str(n)} for n in range(n_tasks))},
            )
        )
    return Plan(name="big", workflow_digest=digest("text"), tasks=tuple(tasks), steps=tuple(steps))


def product(task: Task) -> Product:
    """Return what a task makes."""
    file = ProductFile(name="table.ecsv", digest=digest("file", task.id), size=1234)
    return Product(kind="table", digest=digest(task.id), files=(file,), summary={"rows": 7})


def start() -> RunStarted:
    """Return the first event."""
    return RunStarted(
        time=at(0),
        clock_s=0.0,
        run_id=RUN,
        plan_digest=digest("plan"),
        workflow="big",
        command=("gpwf", "run", "big.gpwf.yaml"),
        agent={"engine": "gpwf", "version": "0.1", "user": "me", "host": "here"},
        environment={"distributions": {f"package-{n}": f"1.{n}" for n in range(150)}},
    )


def ran(plan: Plan) -> Iterator[RunEvent]:
    """Yield the events of a run in which every task runs."""
    yield start()
    for n, task in enumerate(plan.tasks):
        key, attempt_id = TaskKey(digest("key", n)), str(uuid.UUID(int=n, version=4))
        begun, ended = at(n / 500), at((n + 1) / 500)
        inputs = {
            port: tuple(digest(ref.task) for ref in refs) for port, refs in task.inputs.items()
        }
        yield AttemptStarted(
            time=begun,
            clock_s=n / 500,
            task=task.id,
            attempt=1,
            attempt_id=attempt_id,
            key=key,
            worker="worker-1",
            inputs=inputs,
        )
        yield AttemptFinished(
            time=ended,
            clock_s=(n + 1) / 500,
            task=task.id,
            attempt=1,
            attempt_id=attempt_id,
            key=key,
            state=TaskState.OK,
            started=begun,
            ended=ended,
            products={"table": product(task)},
            resources=Resources(
                wall_s=0.0021, cpu_s=0.0019, peak_rss_bytes=90_123_456, pid=4321, host="here"
            ),
        )
    yield RunFinished(time=at(len(plan.tasks)), clock_s=1.0, state=RunState.OK)


def cached(plan: Plan) -> Iterator[RunEvent]:
    """Yield the events of a run that finds every result."""
    yield start()
    for n, task in enumerate(plan.tasks):
        yield TaskCached(
            time=at(n / 5000),
            clock_s=n / 5000,
            task=task.id,
            attempt_id=str(uuid.UUID(int=n, version=4)),
            key=TaskKey(digest("key", n)),
            products={"table": product(task)},
            made_by_run=EARLIER,
            made_by_attempt=str(uuid.UUID(int=n, version=5)),
            made_started=at(n / 500 - 9999),
            made_ended=at((n + 1) / 500 - 9999),
        )
    yield RunFinished(time=at(len(plan.tasks)), clock_s=1.0, state=RunState.OK)


RUNS: dict[str, tuple[Callable[[Plan], Iterator[RunEvent]], int]] = {
    "ok": (ran, 1),  # events, activities per task
    "cached": (cached, 2),
    "gathered": (ran, 1),
}


class Portions:
    """Events in portions, with the time that making them took.

    Attributes
    ----------
    cpu_s, wall_s : float
        Processor and wall time so far.
    """

    def __init__(self, events: Iterator[RunEvent]) -> None:
        self.events = events
        self.cpu_s = self.wall_s = 0.0

    def __iter__(self) -> Iterator[RunEvent]:
        while True:
            wall, cpu = time.perf_counter(), time.process_time()
            portion = list(islice(self.events, 1000))
            self.cpu_s += time.process_time() - cpu
            self.wall_s += time.perf_counter() - wall
            if not portion:
                return
            yield from portion


@contextlib.contextmanager
def without_waiting() -> Iterator[None]:
    """Do not wait for the disk: that is no processor time, and differs between machines."""
    kept = {name: getattr(os, name) for name in ("fsync", "fdatasync") if hasattr(os, name)}
    try:
        for name in kept:
            setattr(os, name, lambda _handle: None)
        yield
    finally:
        for name, function in kept.items():
            setattr(os, name, function)


def journal_s(events: Iterable[RunEvent]) -> float:
    """Return the processor time of writing events to a journal."""
    from gpwf.run.journal import Journal

    with tempfile.TemporaryDirectory() as folder, without_waiting():
        begun = time.process_time()
        with Journal(Path(folder) / "journal.jsonl") as journal:
            journal.extend(events)
        made_s = events.cpu_s if isinstance(events, Portions) else 0.0
        return time.process_time() - begun - made_s


def measure_workflow(path: Path) -> None:
    """Run a workflow and print what recording it took."""
    from gpwf.api.run_texts import texts_and_digests
    from gpwf.api.workflow import read
    from gpwf.prov.environment import capture_environment
    from gpwf.prov.stream import write_record

    with tempfile.TemporaryDirectory() as folder:
        for n in range(2):
            run = read(path).run(store=Path(folder) / "store", run_dir=Path(folder) / f"run-{n}")
            events = run.events
            ends = [datetime.fromisoformat(events[k].time) for k in (0, -1)]
            wall_s = (ends[1] - ends[0]).total_seconds()
            begun = time.process_time()
            capture_environment()
            environment_s = time.process_time() - begun
            begun = time.process_time()
            with without_waiting():
                target = Path(folder) / "again.json"
                write_record(target, run.plan, events, **texts_and_digests(run))
            record_s = time.process_time() - begun
            took = {"journal": journal_s(events), "environment": environment_s, "record": record_s}
            words = ", ".join(f"{name} {value * 1e3:.1f} ms" for name, value in took.items())
            which = "cached" if n else "first"
            print(
                f"{path.name}, {which} run ({run.state}): {wall_s:.2f} s; "
                f"{words}: {sum(took.values()) / wall_s:.2%}"
            )


def measure_headers(folder: Path) -> None:
    """Print what reading the headers of a folder of FITS files takes."""
    from gpwf.store.inputs import InputDigests

    files = sorted(path for path in folder.rglob("*.fits*") if path.is_file())
    size = sum(path.stat().st_size for path in files) / 1e6
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "cache").mkdir()
        for words in ("first time", "second time"):
            inputs = InputDigests(Path(root))
            begun = time.process_time()
            digests = [inputs.digest(path)[0] for path in files]
            digests_s = time.process_time() - begun
            begun = time.process_time()
            found = [inputs.identity(*pair) for pair in zip(files, digests, strict=True)]
            headers_s = time.process_time() - begun
            inputs.flush()
            known = sum(item is not None for item in found)
            print(
                f"{words}: {len(files)} files of {size:.0f} MB, {known} FITS: SHA-256 "
                f"{digests_s * 1e3:.0f} ms, headers {headers_s * 1e3:.0f} ms"
            )


def measure(name: str, n_tasks: int, library: bool) -> dict[str, float]:
    """Record one run and return what it took."""
    run, per_task = RUNS[name]
    plan = make_plan(n_tasks, gathered=name == "gathered")
    events = Portions(run(plan))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prov.json"
        wall, begun = time.perf_counter(), time.process_time()
        if library:
            from gpwf.prov.document import build_document
            from gpwf.prov.export import write

            write(build_document(plan, events), path)
        else:
            from gpwf.prov.stream import write_record

            write_record(path, plan, events)
        cpu = time.process_time() - begun - events.cpu_s
        wall = time.perf_counter() - wall - events.wall_s
        size = path.stat().st_size
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "cpu_s": cpu,
        "wall_s": wall,
        "us": cpu / (n_tasks * per_task) * 1e6,
        "journal_us": journal_s(Portions(run(plan))) / (n_tasks * per_task) * 1e6,
        "memory_mb": grown / 1e3,
        "size_mb": size / 1e6,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="numbers of tasks")
    parser.add_argument("--runs", default=",".join(RUNS), help="kinds of runs")
    parser.add_argument("--library", action="store_true", help="the document of the library")
    parser.add_argument("--workflow", type=Path, help="run this one and measure its record")
    parser.add_argument("--headers", type=Path, help="read the FITS files of this folder")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workflow or options.headers:
        if options.workflow:
            measure_workflow(options.workflow)
        if options.headers:
            measure_headers(options.headers)
        return
    sizes = [int(text) for text in options.sizes.split(",")]
    if options.one:
        print(json.dumps(measure(options.one, sizes[0], options.library)))
        return
    print(
        f"{'run':<9}{'tasks':>8}{'cpu':>10}{'wall':>10}"
        f"{'per activity':>14}{'journal':>12}{'memory':>10}{'file':>9}"
    )
    for name in options.runs.split(","):
        for size in sizes:
            command = [sys.executable, __file__, "--one", name, "--sizes", str(size)]
            command += ["--library"] if options.library else []
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            found = json.loads(done.stdout)
            print(
                f"{name:<9}{size:>8}{found['cpu_s']:>8.2f} s{found['wall_s']:>8.2f} s"
                f"{found['us']:>11.1f} us{found['journal_us']:>9.1f} us"
                f"{found['memory_mb']:>7.0f} MB{found['size_mb']:>6.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
