"""Which part of a plan is to run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpwf.api.selection import NameIndex, select
from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, PlannedStep, Task, TaskAlias, TaskOutput
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


def scattered() -> Plan:
    """Return sim[scenario,seed] → mean[scenario], twin[scenario,seed] an alias of sim."""
    places = [(name, seed) for name in ("null", "pl2") for seed in range(3)]
    sims = [
        replace(
            task(f"sim[scenario={name},seed={seed}]"),
            step="sim",
            coordinates={"scenario": name, "seed": seed},
        )
        for name, seed in places
    ]
    means = [
        replace(
            task(f"mean[scenario={name}]", *(item.id for item in sims if f"={name}," in item.id)),
            step="mean",
        )
        for name in ("null", "pl2")
    ]
    twins = tuple(
        TaskAlias(
            id=item.id.replace("sim[", "in/twin["),
            step="in/twin",
            coordinates=item.coordinates,
            task=item.id,
        )
        for item in sims
    )
    axes = {"scenario": 2, "seed": 3}
    return replace(
        PLAN,
        tasks=(*sims, *means),
        aliases=twins,
        steps=(
            PlannedStep(name="sim", tag="t", title="", axes=axes, n_points=6),
            PlannedStep(name="mean", tag="t", title="", axes={"scenario": 2}, n_points=2),
            PlannedStep(name="in/twin", tag="t", title="", axes=axes, n_points=6),
        ),
        outputs={"means": tuple(TaskOutput(task=item.id, product="x") for item in means)},
    )


def test_some_axes_of_a_scatter() -> None:
    selection = select(scattered(), targets=["sim[scenario=null]"])
    assert ids(selection.plan) == [f"sim[scenario=null,seed={n}]" for n in range(3)]
    assert {item.name: item.axes for item in selection.plan.steps} == {
        "sim": {"scenario": 1, "seed": 3},
        "in/twin": {"scenario": 1, "seed": 3},
    }
    assert selection.plan.steps[0].n_points == 3
    assert selection.plan.outputs == {}


def test_axes_in_any_order_and_a_whole_task() -> None:
    selection = select(
        scattered(), targets=["sim[seed=1,scenario=pl2]", "sim[scenario=null,seed=0]"]
    )
    assert ids(selection.plan) == ["sim[scenario=null,seed=0]", "sim[scenario=pl2,seed=1]"]


def test_a_part_of_what_was_gathered_brings_its_scatter() -> None:
    selection = select(scattered(), targets=["mean[scenario=pl2]"])
    assert ids(selection.plan) == [
        *(f"sim[scenario=pl2,seed={n}]" for n in range(3)),
        "mean[scenario=pl2]",
    ]
    assert [ref.task for ref in selection.plan.outputs["means"]] == ["mean[scenario=pl2]"]


@pytest.mark.parametrize("name", ["in", "in/twin", "in[seed=1]", "in/twin[scenario=null,seed=1]"])
def test_aliases_and_included_workflows_are_found(name: str) -> None:
    found = NameIndex(scattered()).find(name)
    assert "in/twin[scenario=null,seed=1]" in found
    assert found["in/twin[scenario=null,seed=1]"] == "sim[scenario=null,seed=1]"
    assert len(found) == {"in": 6, "in/twin": 6, "in[seed=1]": 2}.get(name, 1)


def test_from_runs_again_what_depends_on_a_part() -> None:
    selection = select(scattered(), from_=["sim[scenario=null,seed=1]"])
    assert selection.forced == {"sim[scenario=null,seed=1]", "mean[scenario=null]"}
    assert len(selection.plan.tasks) == 8


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("sim[sed=1]", "has no axis sed", "did you mean seed?"),
        ("sim[energy=1]", "has no axis energy", "axes: scenario, seed"),
        ("sim[seed=7]", "seed has no value 7", "seed: 0, 1, 2"),
        ("sim[scenario=pl]", "has no value pl", "did you mean scenario=pl2?"),
        ("sim[seed]", "no form STEP", None),
        ("im[seed=1]", "no such step", "did you mean sim?"),
    ],
)
def test_what_a_scatter_does_not_have_is_refused(name: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        select(scattered(), targets=[name])
    assert caught.value.hint == hint
