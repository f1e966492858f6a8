"""A run of any size with everything that a picture has to show: for tests of pictures."""

from __future__ import annotations

from dataclasses import replace

from prov_factory import Journal
from prov_plans import make_plan

from gpwf.core.plan import Plan, PlannedStep, Task, TaskOutput
from gpwf.core.runs import Failure, RunEvent, RunState, TaskState
from gpwf.core.spec import Port

__all__ = ["busy_plan", "busy_run"]


def busy_plan(n: int, *, name: str = "busy") -> Plan:
    """Return a plan with ``3 n + 3`` tasks.

    A workflow ``toy`` in it simulates and reduces ``n`` times; the fits of all are gathered by
    ``table``, which ``figure`` draws.
    """
    plan = make_plan(("models",))
    (models,) = plan.tasks
    stages = (("toy/simulate", "models", "events"), ("toy/reduce", "events", "datasets"))
    tasks = [models]
    last = [TaskOutput(task=models.id, product=models.output_ports[0].name)] * n
    for step, port, made in (*stages, ("fit", "datasets", "result")):
        batch = [_task(models, step, seed, {port: (last[seed],)}, port, made) for seed in range(n)]
        tasks += batch
        last = [TaskOutput(task=task.id, product=made) for task in batch]
    table = _task(models, "table", None, {"items": tuple(last)}, "items", "table")
    table = replace(table, labels={"items": tuple({"seed": str(seed)} for seed in range(n))})
    figure = _task(
        models,
        "figure",
        None,
        {"table": (TaskOutput(task="table", product="table"),)},
        "table",
        "figure",
    )
    steps = [
        PlannedStep(
            name=step, tag=step.rpartition("/")[2], title=step, axes={"seed": n}, n_points=n
        )
        for step in ("toy/simulate", "toy/reduce", "fit")
    ]
    steps += [PlannedStep(name=step, tag=step, title=step) for step in ("table", "figure")]
    return replace(
        plan,
        name=name,
        tasks=(*tasks, table, figure),
        steps=(*plan.steps, *steps),
        outputs={"figure": (TaskOutput(task="figure", product="figure"),)},
    )


def _task(
    model: Task,
    step: str,
    seed: int | None,
    inputs: dict[str, tuple[TaskOutput, ...]],
    port: str,
    made: str,
) -> Task:
    tag = step.rpartition("/")[2]
    place = {} if seed is None else {"seed": seed}
    settings = {"seed": seed or 0, "geom.energy.min": "1.0 TeV", "method": "reflected"}
    return replace(
        model,
        id=step if seed is None else f"{step}[seed={seed}]",
        step=step,
        tag=tag,
        settings=settings,
        types={"seed": "int", "geom.energy.min": "energy", "method": "str"},
        origins={
            "seed": ("workflow", "busy.gpwf.yaml:9:5"),
            "geom.energy.min": ("command line", ""),
            "method": ("step default", ""),
        },
        inputs=inputs,
        input_ports=(Port(name=port, kind="any", multiple=len(inputs[port]) > 1),),
        output_ports=(Port(name=made, kind=made),),
        coordinates=place,
        stream=(17, seed, 4) if seed is not None and step == "toy/simulate" else (),
        files=(),
    )


def busy_run(plan: Plan, *, failing: bool = True) -> list[RunEvent]:
    """Return a journal of `busy_plan`.

    Every seventh simulation is cached, every eleventh fit needs two attempts. The third reduction
    fails, the fifth has nothing to reduce; what needs them does not run.
    """
    journal = Journal(plan)
    out: set[str] = set()
    for task in plan.tasks:
        seed = int(task.coordinates.get("seed", -1))
        sources = {ref.task for refs in task.inputs.values() for ref in refs}
        if failing and task.step == "toy/reduce" and seed == 2:
            journal.start(task)
            failure = Failure(kind="StepError", message="no counts above 10 TeV", hint="lower it")
            journal.end(task, state=TaskState.FAILED, failure=failure)
            out.add(task.id)
        elif failing and task.step == "toy/reduce" and seed == 4:
            journal.not_run(task, TaskState.SKIPPED, "nothing to reduce")
            out.add(task.id)
        elif failing and task.step == "fit" and sources & out:
            journal.not_run(task, TaskState.BLOCKED, f"{min(sources & out)} was not made")
            out.add(task.id)
        elif task.step == "toy/simulate" and seed % 7 == 6:
            journal.cached(task)
        elif task.step == "fit" and seed % 11 == 10:
            journal.start(task)
            killed = Failure(kind="killed", message="the worker was killed", signal=9)
            journal.end(task, state=TaskState.LOST, failure=killed, retry=True)
            journal.start(task, 2)
            journal.end(task, 2)
        else:
            journal.start(task, without=out)
            journal.end(task)
    state = RunState.FAILED if failing else RunState.OK
    return journal.finish(state, "toy/reduce[seed=2] failed" if failing else "")
