"""Plans and products for the tests of the provenance record, without gammapy."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gpwf.core.digests import Digest, TaskKey, tagged_digest
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskAlias, TaskOutput
from gpwf.core.runs import (
    Product,
    ProductFile,
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
    "models": ({"file": "/my data/crab-pl.yaml"}, {"file": "path"}),
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
        path = "/my data/crab-pl.yaml"
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


def nested_plan() -> Plan:
    """Return a plan whose tasks come from an included workflow, the first one a command."""
    plan = make_plan(("models", "fit"))
    tasks = [
        replace(
            task,
            id=f"crab/{task.id}",
            step=f"crab/{task.step}",
            tag="command" if task.step == "models" else task.tag,
            inputs={
                port: tuple(replace(ref, task=f"crab/{ref.task}") for ref in refs)
                for port, refs in task.inputs.items()
            },
        )
        for task in plan.tasks
    ]
    command = {"argv": ["make models", "--file", "a b"], "outputs": {"models": "*.yaml"}}
    tasks[0] = replace(tasks[0], settings={**tasks[0].settings, **command}, packages={"make": "4"})
    return replace(
        plan,
        tasks=tuple(tasks),
        steps=tuple(replace(step, name=f"crab/{step.name}") for step in plan.steps),
        outputs={"result": (TaskOutput(task="crab/fit", product="result"),)},
        sources={**plan.sources, "/home/me/part.gpwf.yaml": digest("part")},
    )


def scatter_plan() -> Plan:
    """Return a plan with a scatter of random numbers, gathers, shared tasks and a step left out.

    ``sim`` runs at two scenarios and three seeds; ``rows`` and ``again`` gather the seeds and are
    the same; ``all`` gathers everything, the first two of which are the same task.
    """
    plan = make_plan(("datasets",))
    (source,) = plan.tasks
    sim = _make_task("datasets", None, ())
    places = [(name, seed) for name in ("null", "bright") for seed in range(3)]
    sims = [
        replace(
            sim,
            id=f"sim[scenario={name},seed={seed}]",
            step="sim",
            tag="simulate",
            settings={"seed": seed, "inject": None if name == "null" else "bright"},
            types={"seed": "int", "inject": "path"},
            origins=dict.fromkeys(("seed", "inject"), ("workflow", "crab.gpwf.yaml:9:5")),
            inputs={"datasets": (TaskOutput(task=source.id, product="datasets"),)},
            input_ports=(Port(name="datasets", kind="datasets"),),
            coordinates={"scenario": name, "seed": seed},
            stream=(17, seed, 2**32 - 1, len(name)),
        )
        for name, seed in places
    ]
    gather = replace(
        sim,
        tag="collect",
        input_ports=(Port(name="items", kind="any", multiple=True),),
        output_ports=(Port(name="table", kind="table"),),
    )
    rows = [
        replace(
            gather,
            id=f"rows[scenario={name}]",
            step="rows",
            inputs={"items": tuple(_output(sims[first + n]) for n in range(3))},
            coordinates={"scenario": name},
            labels={"items": tuple({"seed": str(n)} for n in range(3))},
        )
        for name, first in (("null", 0), ("bright", 3))
    ]
    items = [sims[0], *sims]
    labels = [("none", 0), *places]
    everything = replace(
        gather,
        id="all",
        step="all",
        inputs={"items": tuple(_output(item) for item in items)},
        labels={"items": tuple({"scenario": name, "seed": str(n)} for name, n in labels)},
    )
    aliases = [
        TaskAlias(
            id=task.id.replace("rows", "again"),
            step="again",
            coordinates=task.coordinates,
            task=task.id,
        )
        for task in rows
    ]
    axes = {"scenario": 2, "seed": 3}
    return replace(
        plan,
        tasks=(source, *sims, *rows, everything),
        steps=(
            *plan.steps,
            PlannedStep(name="sim", tag="simulate", title="Simulate", axes=axes, n_points=6),
            *(
                PlannedStep(
                    name=name,
                    tag="collect",
                    title="Collect",
                    axes={"scenario": 2},
                    n_points=2,
                    gather=("seed",),
                )
                for name in ("rows", "again")
            ),
            PlannedStep(name="all", tag="collect", title="Collect", gather=("scenario", "seed")),
            PlannedStep(name="never", tag="plot", title="Plot", n_points=0),
        ),
        aliases=tuple(aliases),
        outputs={
            "table": tuple(TaskOutput(task=task.id, product="table") for task in rows),
            "same": tuple(TaskOutput(task=task.id, product="table") for task in rows),
        },
        sources={**plan.sources, "/home/me/part.gpwf.yaml": digest("part")},
    )


def _output(task: Task) -> TaskOutput:
    return TaskOutput(task=task.id, product="datasets")


def key_of(task: Task) -> TaskKey:
    """Return a key that stands for the task."""
    return TaskKey(digest("key", task.id))


def product_of(task: Task, port: Port, made_by: str = "") -> Product:
    """Return a product of two files."""
    files = tuple(
        ProductFile(
            name=name,
            digest=digest(task.id, port.name, name, made_by),
            size=2880 + n,
            data_digest=digest("data", name) if name.endswith(".fits") else "",
        )
        for n, name in enumerate((f"{port.name}.fits", "meta/info.json"))
    )
    return Product(
        kind=port.kind,
        digest=digest("product", task.id, port.name, made_by),
        files=files,
        summary={"n": 2, "stat": float("nan")},
    )
