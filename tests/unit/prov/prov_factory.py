"""Plans and journals for the tests of the provenance record, without an engine."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gpwf.core.digests import Digest, TaskKey, tagged_digest
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskOutput
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

EPOCH = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
PLAN_DIGEST = tagged_digest("test", "plan")
WORKFLOW = "gpwf: 1\nname: crab-1d\nmetadata: {contact: me, api_token: hunter2hunter2}\n"

_STEPS: Mapping[str, tuple[str, Sequence[tuple[str, str]], Sequence[tuple[str, str]]]] = {
    # step: title, inputs (port, from step.product), outputs (port, kind)
    "observations": ("Select observations", [], [("observations", "observations")]),
    "datasets": (
        "Reduce to spectra",
        [("observations", "observations.observations")],
        [("datasets", "datasets")],
    ),
    "models": ("Sky models", [], [("models", "models")]),
    "fit": (
        "Fit models to datasets",
        [("datasets", "datasets.datasets"), ("models", "models.models")],
        [("models", "models"), ("result", "fit-result")],
    ),
    "flux-points": (
        "Spectral energy distribution",
        [("datasets", "datasets.datasets"), ("models", "fit.models")],
        [("flux_points", "flux-points")],
    ),
    "light-curve": (
        "Light curve",
        [("datasets", "datasets.datasets"), ("models", "fit.models")],
        [("light_curve", "light-curve")],
    ),
    "plot-sed": (
        "Plot",
        [("flux_points", "flux-points.flux_points"), ("models", "fit.models")],
        [("figure", "figure")],
    ),
    "plot-lc": ("Plot", [("light_curve", "light-curve.light_curve")], [("figure", "figure")]),
}

_SETTINGS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "observations": (
        {"datastore": "/data/hess-dl3-dr1", "obs_ids": [23523, 23526], "required_irf": ["aeff"]},
        {
            "datastore": "path",
            "obs_ids.0": "int",
            "obs_ids.1": "int",
            "required_irf.0": "str",
        },
    ),
    "datasets": (
        {
            "stack": False,
            "geom": {"axes": {"energy": {"min": "0.1 TeV", "max": "40.0 TeV", "nbins": 24}}},
            "exclusion": None,
        },
        {
            "stack": "bool",
            "geom.axes.energy.min": "energy",
            "geom.axes.energy.max": "energy",
            "geom.axes.energy.nbins": "int",
            "exclusion": "path",
        },
    ),
    "models": ({"file": "/work dir/crab-pl.yaml"}, {"file": "path"}),
    "fit": ({"fit_range": {"min": "1.0 TeV"}}, {"fit_range.min": "energy"}),
}


def digest(*parts: Any) -> Digest:
    """Return a digest that stands for some bytes."""
    return tagged_digest("test", *parts)


def identifier(*parts: Any) -> str:
    """Return a UUID that is the same in every run of the tests."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, repr(parts)))


def at(seconds: float) -> str:
    """Return the time so many seconds after the start of the run."""
    return (EPOCH + timedelta(seconds=seconds)).isoformat()


def make_plan(steps: Sequence[str] = tuple(_STEPS), *, copies: int = 1) -> Plan:
    """Return a plan like that of the Crab example.

    With ``copies`` above one, every step but the first two is scattered over an axis ``seed``.
    """
    tasks: list[Task] = []
    for step in steps:
        seeds: Sequence[int | None] = [None] if copies == 1 else range(copies)
        if step in ("observations", "datasets"):
            seeds = [None]
        tasks += [_make_task(step, seed, steps) for seed in seeds]
    last = tasks[-1]
    return Plan(
        name="crab-1d",
        workflow_digest=digest("workflow"),
        tasks=tuple(tasks),
        steps=tuple(
            PlannedStep(
                name=step,
                tag=step,
                title=_STEPS[step][0],
                axes={"seed": copies} if copies > 1 else {},
            )
            for step in steps
        ),
        outputs={"result": (TaskOutput(task=last.id, product=last.output_ports[0].name),)},
        params={"e_min": "1.0 TeV", "obs_ids": [23523, 23526]},
        overrides={"params": {"e_min": "1 TeV"}},
        sources={"/home/me/crab.gpwf.yaml": digest("workflow")},
        metadata={"target": "Crab"},
        description="The Crab nebula",
    )


def _make_task(step: str, seed: int | None, steps: Sequence[str]) -> Task:
    title, inputs, outputs = _STEPS[step]
    del title
    settings, types = _SETTINGS.get(step, ({"n_sigma": 1.0}, {"n_sigma": "float"}))
    wiring: dict[str, tuple[TaskOutput, ...]] = {}
    for port, source in inputs:
        upstream, _, product = source.partition(".")
        if upstream in steps:
            scattered = seed is not None and upstream not in ("observations", "datasets")
            task = f"{upstream}[seed={seed}]" if scattered else upstream
            wiring[port] = (TaskOutput(task=task, product=product),)
    files: tuple[PlannedFile, ...] = ()
    if step == "observations":
        names = ["obs-index.fits.gz", "hdu-index.fits.gz", "data/run23523.fits.gz"]
        files = tuple(
            PlannedFile(
                setting="datastore",
                name=name,
                path=f"/data/hess-dl3-dr1/{name}",
                digest=digest(name),
                size=1000 + len(name),
            )
            for name in names
        )
    if step == "models":
        path = "/work dir/crab-pl.yaml"
        files = (
            PlannedFile(
                setting="file", name="crab-pl.yaml", path=path, digest=digest(path), size=321
            ),
        )
    return Task(
        id=step if seed is None else f"{step}[seed={seed}]",
        step=step,
        tag=step,
        version="1",
        settings=settings,
        types=types,
        origins=dict.fromkeys(types, ("workflow", "crab.gpwf.yaml:7:5")),
        inputs=wiring,
        input_ports=tuple(
            Port(name=port, kind=source.partition(".")[2]) for port, source in inputs
        ),
        output_ports=tuple(Port(name=port, kind=kind) for port, kind in outputs),
        files=files,
        packages={"gammapy": "2.1"},
        implementation={
            "module": f"gpwf.steps.builtin.{step}",
            "package": "gpwf",
            "version": "0",
            "source": "5" * 64,
        },
        coordinates={} if seed is None else {"seed": seed},
        place="crab.gpwf.yaml:5:3",
    )


def gather_plan() -> Plan:
    """Return a plan whose last task takes a list of products."""
    plan = make_plan(("observations", "datasets"))
    source, one = plan.tasks
    two = replace(one, id="datasets-2", step="datasets-2")
    fit = replace(
        _make_task("fit", None, ()),
        inputs={
            "datasets": (
                TaskOutput(task="datasets-2", product="datasets"),
                TaskOutput(task="datasets", product="datasets"),
            )
        },
        input_ports=(Port(name="datasets", kind="datasets", multiple=True),),
    )
    steps = (
        *plan.steps,
        PlannedStep(name="datasets-2", tag="datasets", title="Reduce"),
        PlannedStep(name="fit", tag="fit", title="Fit"),
    )
    return replace(plan, tasks=(source, one, two, fit), steps=steps)


def key_of(task: Task) -> TaskKey:
    """Return a key that stands for the task."""
    return TaskKey(digest("key", task.id))


def product_of(task: Task, port: Port, made_by: str = "") -> Product:
    """Return a product of two files."""
    files = tuple(
        ProductFile(name=name, digest=digest(task.id, port.name, name, made_by), size=2880 + n)
        for n, name in enumerate((f"{port.name}.fits", "meta/info.json"))
    )
    return Product(
        kind=port.kind,
        digest=digest("product", task.id, port.name, made_by),
        files=files,
        summary={"n": 2, "stat": float("nan")},
    )


class Journal:
    """Writes events as an engine would, one task after the other."""

    def __init__(self, plan: Plan, *, name: str = "run") -> None:
        self.plan = plan
        self.run_id = identifier(name)
        self.clock_s = 0.0
        self.products: dict[tuple[str, str], Product] = {}
        self.events: list[RunEvent] = [
            RunStarted(
                time=at(0),
                clock_s=0.0,
                run_id=self.run_id,
                plan_digest=PLAN_DIGEST,
                workflow=plan.name,
                command=("gpwf", "run", "crab.gpwf.yaml", "--token", "[redacted]"),
                agent={"user": "mara", "host": "heidi.example", "engine": "gpwf", "version": "0.1"},
                environment={
                    "python": {"version": "3.12.1"},
                    "cpus": 2,
                    "threads": {"OMP_NUM_THREADS": "1"},
                    "distributions": {"gammapy": "2.1", "numpy": "2.1.0"},
                },
                store="/home/me/.gpwf",
                jobs=2,
            )
        ]

    def now(self, step_s: float = 0.25) -> str:
        """Let time pass and return it."""
        self.clock_s += step_s
        return at(self.clock_s)

    def inputs_of(self, task: Task) -> dict[str, tuple[Digest, ...]]:
        """Return the digests that come in."""
        return {
            port: tuple(self.products[ref.task, ref.product].digest for ref in refs)
            for port, refs in task.inputs.items()
        }

    def start(self, task: Task, attempt: int = 1) -> str:
        """Start an attempt and return its id."""
        attempt_id = identifier(self.run_id, task.id, attempt)
        self.events.append(
            AttemptStarted(
                time=self.now(),
                clock_s=self.clock_s,
                task=task.id,
                attempt=attempt,
                attempt_id=attempt_id,
                key=key_of(task),
                worker="worker-1",
                inputs=self.inputs_of(task),
            )
        )
        return attempt_id

    def end(
        self,
        task: Task,
        attempt: int = 1,
        state: TaskState = TaskState.OK,
        *,
        failure: Failure | None = None,
        retry: bool = False,
        products: Mapping[str, Product] | None = None,
        started: str | None = None,
        ended: str | None = None,
    ) -> None:
        """End an attempt."""
        made = dict(products or {})
        if state is TaskState.OK and products is None:
            made = {port.name: product_of(task, port) for port in task.output_ports}
        if state is TaskState.OK:
            self.products |= {(task.id, port): product for port, product in made.items()}
        began = self.now()
        self.events.append(
            AttemptFinished(
                time=at(self.clock_s + 2.1),
                clock_s=self.clock_s + 2.1,
                task=task.id,
                attempt=attempt,
                attempt_id=identifier(self.run_id, task.id, attempt),
                key=key_of(task),
                state=state,
                started=began if started is None else started,
                ended=at(self.clock_s + 2.0) if ended is None else ended,
                products=made,
                failure=failure,
                resources=Resources(
                    wall_s=2.0, cpu_s=1.5, peak_rss_bytes=250_000_000, pid=77, host="heidi"
                ),
                retry=retry,
            )
        )
        self.clock_s += 2.1

    def ok(self, *tasks: Task) -> None:
        """Run tasks to a good end."""
        for task in tasks:
            self.start(task)
            self.end(task)

    def cached(
        self, task: Task, *, made_at: float = -1000.0, by_run: str = "earlier", made_by: str = ""
    ) -> None:
        """Take a result of an earlier run."""
        products = {port.name: product_of(task, port, made_by) for port in task.output_ports}
        inputs = self.inputs_of(task)
        self.products |= {(task.id, port): product for port, product in products.items()}
        self.events.append(
            TaskCached(
                time=self.now(),
                clock_s=self.clock_s,
                task=task.id,
                attempt_id=identifier(self.run_id, task.id, "cached"),
                key=key_of(task),
                products=products,
                made_by_run=identifier(by_run),
                made_by_attempt=identifier(identifier(by_run), task.id, 1),
                made_started=at(made_at),
                made_ended=at(made_at + 5),
                inputs=inputs,
            )
        )

    def not_run(self, task: Task, state: TaskState, reason: str) -> None:
        """Say that a task was left out."""
        self.events.append(
            TaskNotRun(
                time=self.now(), clock_s=self.clock_s, task=task.id, state=state, reason=reason
            )
        )

    def finish(self, state: RunState = RunState.OK, reason: str = "") -> list[RunEvent]:
        """End the run and return the journal."""
        self.events.append(
            RunFinished(time=self.now(), clock_s=self.clock_s, state=state, reason=reason)
        )
        return self.events


def good_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a run in which everything went well."""
    journal = Journal(plan)
    journal.ok(*plan.tasks)
    return journal.finish()


def cached_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a run that found everything done."""
    journal = Journal(plan, name="second")
    for number, task in enumerate(plan.tasks):
        journal.cached(task, made_at=-1000.0 + 10 * number)
    return journal.finish()


def mixed_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a run of `make_plan` in which every state occurs."""
    journal = Journal(plan, name="mixed")
    task = plan.task
    journal.cached(task("observations"))
    journal.start(task("datasets"))
    journal.end(
        task("datasets"),
        state=TaskState.LOST,
        failure=Failure(kind="killed", message="the worker was killed", signal=9),
        retry=True,
        started="",
        ended="",
    )
    journal.start(task("datasets"), 2)
    journal.end(task("datasets"), 2)
    journal.ok(task("models"), task("fit"))
    journal.start(task("flux-points"))
    left = product_of(task("flux-points"), task("flux-points").output_ports[0])
    journal.end(
        task("flux-points"),
        state=TaskState.FAILED,
        failure=Failure(
            kind="StepError",
            message="no counts \x00 above 10 TeV; token: abcdef",
            hint="lower the range",
            exit_code=1,
        ),
        products={"flux_points": left},
    )
    journal.start(task("light-curve"))
    journal.end(
        task("light-curve"),
        state=TaskState.TIMEOUT,
        failure=Failure(kind="timeout", message="longer than 60 s"),
    )
    journal.not_run(task("plot-sed"), TaskState.BLOCKED, "flux-points failed")
    journal.not_run(task("plot-lc"), TaskState.SKIPPED, "nothing to plot")
    return journal.finish(RunState.FAILED, "flux-points failed")


def killed_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a driver that was killed in the middle of a task."""
    journal = Journal(plan, name="killed")
    journal.ok(plan.tasks[0])
    journal.start(plan.tasks[1])
    return journal.events


def early_cut_off(plan: Plan) -> list[RunEvent]:
    """Return a run whose first task ran again to the same bytes, so that the rest was cached."""
    journal = Journal(plan, name="cut-off")
    journal.ok(plan.tasks[0])
    for number, task in enumerate(plan.tasks[1:]):
        journal.cached(task, made_at=-1000.0 + 10 * number)
    return journal.finish()
