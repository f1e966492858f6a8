"""A plan is read back equal, and what its tasks share is written and kept once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gpwf.core.codec import to_plain
from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskAlias, TaskOutput
from gpwf.core.plan_codec import plan_from_plain, plan_from_text, plan_to_plain, plan_to_text
from gpwf.core.spec import Execution, Port, StepPolicy

SHARED: dict[str, Any] = {
    "tag": "fit",
    "version": "2",
    "types": {"seed": "int", "e.min": "energy"},
    "origins": {"seed": ("workflow ${seed}", "w.yaml:3:4")},
    "input_ports": (Port(name="datasets", kind="datasets", multiple=True),),
    "output_ports": (Port(name="models", kind="models"),),
    "files": (PlannedFile(setting="f", name="n", path="/p", digest=Digest("ab"), size=3),),
    "packages": {"numpy": "2"},
    "implementation": {"module": "m"},
    "policy": StepPolicy(n_jobs=2, timeout_s=3.5),
    "place": "w.yaml:2:3",
}


def task(name: str, step: str, seed: Any, *above: str, **more: Any) -> Task:
    return Task(
        id=name,
        step=step,
        settings={"seed": seed, "e": {"min": "1 TeV"}},
        inputs={"datasets": tuple(TaskOutput(task=up, product="d") for up in above)},
        **(SHARED | more),
    )


def make_plan() -> Plan:
    first = task("sim[seed=1]", "sim", 1, coordinates={"seed": 1}, stream=(1, 2))
    second = task("sim[seed=2]", "sim", 2, coordinates={"seed": 2}, after=(first.id,))
    labels = {"datasets": ({"seed": "1"}, {"seed": "2"})}
    other = replace(task("all", "all", 1.0, first.id, second.id), labels=labels)
    return Plan(
        name="w",
        workflow_digest=Digest("cd"),
        tasks=(first, second, other),
        steps=(PlannedStep(name="sim", tag="fit", title="t", axes={"seed": 2}, n_points=2),),
        aliases=(TaskAlias(id="b", step="b", coordinates={"x": "y"}, task=second.id),),
        outputs={"r": (TaskOutput(task="all", product="models"),)},
        params={"a": None},
        execution=Execution(jobs=3, max_tasks=7),
    )


def test_a_plan_comes_back_equal() -> None:
    plan = make_plan()
    text = json.dumps(plan_to_plain(plan))
    assert plan_from_plain(json.loads(text)) == plan


def test_what_tasks_share_is_there_once() -> None:
    plain = plan_to_plain(make_plan())
    assert len(plain["shapes"]) == 2  # the types of `seed` would be the same: the steps are not
    assert plain["tasks"][1]["settings"] == {"seed": 2}
    assert "settings" not in plain["tasks"][0]
    read = plan_from_plain(plain)
    assert read.tasks[0].types is read.tasks[1].types
    assert read.tasks[0].settings["e"] is read.tasks[1].settings["e"]


def test_one_and_one_point_zero_stay_what_they_are() -> None:
    plan = make_plan()
    tasks = (*plan.tasks[:1], replace(plan.tasks[0], id="x", settings={"seed": 1.0}))
    read = plan_from_plain(plan_to_plain(replace(plan, tasks=tasks, aliases=(), outputs={})))
    assert repr(dict(read.tasks[1].settings)) == "{'seed': 1.0}"
    assert type(read.tasks[0].settings["seed"]) is int


def test_a_plan_of_the_first_format_is_read() -> None:
    plan = make_plan()
    assert plan_from_plain({"format": "gpwf-plan/1", **to_plain(plan)}) == plan


@pytest.mark.parametrize("data", [[], {"format": "gpwf-plan/9"}, {"format": "gpwf-plan/2"}])
def test_what_is_no_plan_is_refused(data: Any) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        plan_from_plain(data)


def test_tasks_are_found_by_id_and_by_alias() -> None:
    plan = make_plan()
    assert plan.task("sim[seed=2]") is plan.tasks[1]
    assert plan.task("b") is plan.tasks[1]
    assert plan.of_step("b") == (plan.tasks[1],)
    with pytest.raises(KeyError):
        plan.task("c")


@pytest.mark.parametrize("count", [0, 3, 1300])
def test_the_text_of_a_plan_is_read_back_and_kept(count: int) -> None:
    tasks = tuple(task(f"fit[seed={n}]", "fit", n) for n in range(count))
    plan = Plan(name="p", workflow_digest=Digest("ab"), tasks=tasks, steps=())
    parts = list(plan_to_text(plan))
    assert max(len(part) for part in parts) < 2**20
    text = b"".join(parts)
    assert json.loads(text) == json.loads(json.dumps(plan_to_plain(plan)))
    found = plan_from_text(text)
    assert found == plan
    assert b"".join(plan_to_text(found)) == text
