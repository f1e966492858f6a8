"""Which part of a plan is to run."""

from __future__ import annotations

import pytest

from gpwf.api.selection import select
from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, PlannedStep, Task, TaskOutput
from gpwf.errors import UsageError


def task(name: str, *uses: str) -> Task:
    return Task(
        id=name,
        step=name,
        tag="t",
        version="1",
        settings={},
        types={},
        origins={},
        inputs={f"in{n}": (TaskOutput(task=up, product="x"),) for n, up in enumerate(uses)},
        input_ports=(),
        output_ports=(),
    )


#  read → reduce → fit → points → picture
#    └→ look           └→ curve
PLAN = Plan(
    name="w",
    workflow_digest=Digest("0" * 64),
    tasks=(
        task("read"),
        task("look", "read"),
        task("reduce", "read"),
        task("fit", "reduce"),
        task("points", "fit", "reduce"),
        task("curve", "fit"),
        task("picture", "points"),
    ),
    steps=tuple(
        PlannedStep(name=name, tag="t", title="")
        for name in ("read", "look", "reduce", "fit", "points", "curve", "picture")
    ),
    outputs={
        "fit": (TaskOutput(task="fit", product="x"),),
        "curve": (TaskOutput(task="curve", product="x"),),
    },
)


def ids(plan: Plan) -> list[str]:
    return [item.id for item in plan.tasks]


def test_everything_by_default() -> None:
    selection = select(PLAN)
    assert selection.plan is PLAN
    assert not selection.forced
    assert not selection.must_be_known


def test_a_target_brings_what_it_needs_and_nothing_else() -> None:
    selection = select(PLAN, targets=["points"])
    assert ids(selection.plan) == ["read", "reduce", "fit", "points"]
    assert [item.name for item in selection.plan.steps] == ["read", "reduce", "fit", "points"]
    assert list(selection.plan.outputs) == ["fit"]
    assert not selection.forced


def test_from_runs_again_with_what_depends_on_it() -> None:
    selection = select(PLAN, from_=["fit"])
    assert ids(selection.plan) == ids(PLAN)
    assert selection.forced == {"fit", "points", "curve", "picture"}


def test_from_within_a_target() -> None:
    selection = select(PLAN, targets=["curve"], from_=["fit"])
    assert ids(selection.plan) == ["read", "reduce", "fit", "curve"]
    assert selection.forced == {"fit", "curve"}


def test_only_runs_again_alone() -> None:
    selection = select(PLAN, only=["points"])
    assert ids(selection.plan) == ["read", "reduce", "fit", "points"]
    assert selection.forced == {"points"}
    assert selection.must_be_known == {"read", "reduce", "fit"}


@pytest.mark.parametrize("option", ["targets", "from_", "only"])
def test_an_unknown_step_is_refused_with_a_near_miss(option: str) -> None:
    with pytest.raises(UsageError, match="no such step") as caught:
        select(PLAN, **{option: ["pionts"]})
    assert caught.value.hint == "did you mean points?"
    with pytest.raises(UsageError) as caught:
        select(PLAN, **{option: ["zzz"]})
    assert "read, look" in str(caught.value.hint)
