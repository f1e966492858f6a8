"""A small plan and the events of runs of it."""

from __future__ import annotations

import json
from pathlib import Path

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import Plan, PlannedStep, Task, TaskOutput
from gpwf.core.plan_codec import plan_to_plain
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Failure,
    Product,
    ProductFile,
    Resources,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)
from gpwf.core.spec import Port
from gpwf.report.logging import RunLog
from gpwf.run.journal import Journal

PORTS = {
    "observations": ("observations", "observations"),
    "datasets": ("datasets", "datasets"),
    "fit": ("models", "models"),
}
KEY = TaskKey("ab" * 32)
DIGEST = Digest("cd" * 32)


def make_plan() -> Plan:
    """Return observations → datasets[run=1..2] → fit."""
    obs = _task("observations", "observations", "observations", {})
    both = [
        _task(f"datasets[run={n}]", "datasets", "datasets", {"observations": ["observations"]}, n)
        for n in (1, 2)
    ]
    fit = _task("fit", "fit", "fit", {"datasets": [item.id for item in both]})
    return Plan(
        name="crab",
        workflow_digest=DIGEST,
        tasks=(obs, *both, fit),
        steps=(
            PlannedStep(name="observations", tag="observations", title="Select"),
            PlannedStep(name="datasets", tag="datasets", title="Reduce", axes={"run": 2}),
            PlannedStep(name="fit", tag="fit", title="Fit"),
        ),
        outputs={"best": (TaskOutput(task="fit", product="models"),)},
    )


def wide_plan(n_steps: int, n_tasks: int = 4) -> Plan:
    """Return steps that do not depend on each other, ``step-00`` and so on, each a scatter."""
    names = [f"step-{number:02d}" for number in range(n_steps)]
    return Plan(
        name="wide",
        workflow_digest=DIGEST,
        tasks=tuple(
            _task(f"{name}[run={number}]", name, "datasets", {}, number)
            for name in names
            for number in range(n_tasks)
        ),
        steps=tuple(PlannedStep(name=name, tag="datasets", title="") for name in names),
    )


def _task(task_id: str, step: str, tag: str, inputs: dict[str, list[str]], run: int = 0) -> Task:
    name, kind = PORTS[tag]
    return Task(
        id=task_id,
        step=step,
        tag=tag,
        version="1",
        settings={},
        types={},
        origins={},
        inputs={
            port: tuple(TaskOutput(task=up, product=PORTS[port][0]) for up in ups)
            for port, ups in inputs.items()
        },
        input_ports=tuple(Port(name=port, kind=port) for port in inputs),
        output_ports=(Port(name=name, kind=kind),),
        coordinates={"run": run} if run else {},
        place="crab.gpwf.yaml:7:5",
    )


def product(kind: str = "models") -> Product:
    """Return a product of one file."""
    return Product(
        kind=kind,
        digest=DIGEST,
        files=(ProductFile(name=f"{kind}.yaml", digest=DIGEST, size=2000),),
    )


def at(second: float) -> dict[str, object]:
    """Return the times of an event this many seconds into a run."""
    return {"time": stamp(second), "clock_s": second}


def stamp(second: float) -> str:
    """Return ISO 8601 in UTC."""
    return f"2026-01-02T03:04:{second:09.6f}Z"


def started(second: float = 0) -> RunEvent:
    """Return the first event."""
    return RunStarted(run_id="run-1", plan_digest=DIGEST, workflow="crab", jobs=2, **at(second))


def begin(task: str, second: float, attempt: int = 1) -> RunEvent:
    """Return the start of an attempt."""
    return AttemptStarted(
        task=task, attempt=attempt, attempt_id=f"{task}-{attempt}", key=KEY, **at(second)
    )


def end(
    task: str,
    second: float,
    *,
    state: TaskState = TaskState.OK,
    failure: Failure | None = None,
    attempt: int = 1,
    retry: bool = False,
) -> RunEvent:
    """Return the end of an attempt that took one second."""
    return AttemptFinished(
        task=task,
        attempt=attempt,
        attempt_id=f"{task}-{attempt}",
        key=KEY,
        state=state,
        started=stamp(second - 1),
        ended=stamp(second),
        products={"models": product()} if failure is None else {},
        failure=failure,
        resources=Resources(wall_s=1.0, cpu_s=0.9, peak_rss_bytes=312_000_000, pid=1),
        retry=retry,
        **at(second),
    )


def cached(task: str, second: float) -> RunEvent:
    """Return that a task was found in the store."""
    return TaskCached(
        task=task,
        attempt_id=f"{task}-cached",
        key=KEY,
        products={"observations": product("observations")},
        made_by_run="run-0",
        made_by_attempt="a",
        made_started=stamp(0),
        made_ended=stamp(0),
        **at(second),
    )


def good_run() -> list[RunEvent]:
    """Return the events of a run that went well: one task cached, three run."""
    return [
        started(),
        cached("observations", 0.1),
        begin("datasets[run=1]", 0.2),
        begin("datasets[run=2]", 0.2),
        end("datasets[run=1]", 1.2),
        end("datasets[run=2]", 1.3),
        begin("fit", 1.4),
        end("fit", 2.4),
        RunFinished(state=RunState.OK, counts={"ok": 3, "cached": 1}, **at(2.5)),
    ]


def failed_run() -> list[RunEvent]:
    """Return the events of a run in which one task fails, after one lost attempt of another."""
    lost = Failure(kind="killed", message="the worker was killed", transient=True, signal=9)
    bad = Failure(
        kind="StepError",
        message="no counts in run 2",
        hint="widen the region",
        traceback="Traceback (most recent call last):\n  …",
    )
    return [
        started(),
        cached("observations", 0.1),
        begin("datasets[run=1]", 0.2),
        end("datasets[run=1]", 1.2, state=TaskState.LOST, failure=lost, retry=True),
        begin("datasets[run=1]", 1.3, attempt=2),
        end("datasets[run=1]", 2.3, attempt=2),
        begin("datasets[run=2]", 1.3),
        end("datasets[run=2]", 2.5, state=TaskState.FAILED, failure=bad),
        TaskNotRun(task="fit", state=TaskState.BLOCKED, reason="datasets[run=2] failed", **at(2.6)),
        RunFinished(state=RunState.FAILED, reason="1 task failed", **at(2.7)),
    ]


def write_run(path: Path, events: list[RunEvent], run_id: str = "run-1") -> Path:
    """Write a run directory, or another run into one; return it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "plan.json").write_text(json.dumps(plan_to_plain(make_plan())))
    with Journal(path / "journal.jsonl") as journal, RunLog(path / "log.jsonl", run_id) as log:
        for event in events:
            journal.append(event)
            log.event(event)
    return path
