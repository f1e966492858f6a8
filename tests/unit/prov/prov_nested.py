"""Plans and journals with workflows in workflows, for the tests of the provenance record."""

from __future__ import annotations

from dataclasses import replace

import prov_factory as factory
from prov_factory import Journal, digest
from prov_plans import make_plan

from gpwf.core.plan import Plan, Task, TaskAlias
from gpwf.core.runs import RunEvent, RunState, TaskState
from gpwf.core.spec import ConditionCase, IncludedWorkflow, StepCondition

#: Text of the inner document.
PART = "gpwf: 1\nname: part\nmetadata: {contact: me, api_token: hunter2hunter2}\n"

CONDITION = StepCondition(
    text="${params.n} > 1 and ${row.api_token} != ''",
    place="part.gpwf.yaml:9:5",
    cases=(
        ConditionCase(
            holds=True,
            values={"params.n": 2, "row.api_token": "hunter2hunter2"},
            coordinates={"row": "a"},
        ),
        ConditionCase(holds=False, values={"params.n": 1}, coordinates={"row": "b"}),
    ),
    n_true=1,
    n_false=1,
)
NEVER = replace(CONDITION, cases=CONDITION.cases[1:], n_true=0, n_false=1)


def nested_scatter() -> Plan:
    """Return a plan with a workflow in a workflow.

    ``observations`` of the document; ``outer`` at two rows, with ``outer/models`` and, within
    ``outer/inner``, ``outer/inner/fit``; ``never`` runs nowhere. ``outer/models`` is the same at
    both rows: one task with two names.
    """
    plan = make_plan(("observations", "models", "fit"))
    first, models, fit = plan.tasks
    models = _placed(models, "outer/models", "a")
    fits = [_placed(fit, "outer/inner/fit", row) for row in ("a", "b")]
    fits = [replace(item, inputs={}, input_ports=()) for item in fits]
    alias = TaskAlias(
        id="outer/models[outer/row=b]",
        step="outer/models",
        coordinates={"outer/row": "b"},
        task=models.id,
    )
    axes = {"outer/row": 2}
    of = {step.name: step for step in plan.steps}
    never = replace(of["fit"], name="never/fit", n_points=0)
    steps = (
        of["observations"],
        replace(of["models"], name="outer/models", axes=axes, n_points=2),
        replace(of["fit"], name="outer/inner/fit", axes=axes, n_points=2, condition=CONDITION),
        never,
    )
    path = "/home/me/part.gpwf.yaml"
    common = IncludedWorkflow(name="outer", path=path, digest=digest("part"), title="part")
    return replace(
        plan,
        tasks=(first, models, *fits),
        steps=steps,
        aliases=(alias,),
        outputs={},
        sources={**plan.sources, path: digest("part")},
        documents={digest("part"): PART},
        workflows=(
            replace(common, axes=axes, n_points=2, description="twice"),
            replace(common, name="outer/inner", axes=axes, n_points=2, place="part:3:5"),
            replace(common, name="never", n_points=0, condition=NEVER),
        ),
    )


def _placed(task: Task, step: str, row: str) -> Task:
    coordinates = {"outer/row": row}
    return replace(task, id=f"{step}[outer/row={row}]", step=step, coordinates=coordinates)


def nested_failure(plan: Plan) -> list[RunEvent]:
    """Return a run of `nested_scatter` in which one inner task is retried and one fails."""
    journal = Journal(plan, name="nested")
    first, models, one, two = plan.tasks
    journal.ok(first)
    journal.cached(models)
    journal.start(one)
    journal.end(one, state=TaskState.LOST, retry=True)
    journal.start(one, 2)
    journal.end(one, 2)
    journal.start(two)
    failure = factory.Failure(kind="StepError", message="no luck")
    journal.end(two, state=TaskState.FAILED, failure=failure)
    return journal.finish(RunState.FAILED)


def nested_killed(plan: Plan) -> list[RunEvent]:
    """Return a run of `nested_scatter` whose driver was killed in the last task."""
    journal = Journal(plan, name="nested-killed")
    journal.ok(*plan.tasks[:3])
    journal.start(plan.tasks[3])
    return journal.events
