"""Steps and their points → tasks, without a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gpwf.compiler.scatter import Scatter, Shape
from gpwf.core.spec import Axis, InputRef, StepPolicy, StepSpec, Variant
from gpwf.errors import PlanError

ROSTER = Axis(name="roster", values=("n", "s"), labels=("n", "s"))
TARGET = Axis(
    name="target",
    values=({"name": "crab"}, {"name": "pks"}, {"name": "crab"}),
    labels=("crab", "pks", "crab"),
)
AXES = {"roster": ROSTER, "target": TARGET}


def step(
    name: str,
    axes: Sequence[str] = (),
    points: Sequence[tuple[int, ...]] = ((),),
    *,
    settings: Sequence[Mapping[str, Any]] = ({},),
    chosen: Sequence[int] | None = None,
    **more: Any,
) -> StepSpec:
    return StepSpec(
        name=name,
        tag=more.pop("tag", name),
        inputs=more.pop("inputs", {}),
        outputs={"out": "text"},
        variants=tuple(Variant(settings=item) for item in settings),
        axes=tuple(axes),
        points=points,
        chosen=chosen if chosen is not None else [0] * len(points),
        **more,
    )


def made(*steps: StepSpec) -> Scatter:
    """Return the tasks of steps; what a step computes is its tag and its settings."""
    scatter = Scatter(AXES)
    for item in steps:
        shapes = [
            Shape(
                fixed={
                    "step": item.name,
                    "tag": item.tag,
                    "version": "1",
                    "settings": variant.settings,
                    "types": {},
                    "origins": {},
                    "input_ports": (),
                    "output_ports": (),
                },
                identity=scatter.identity(item.tag, "1", variant.settings, ()),
                seeded="seed" in variant.settings,
            )
            for variant in item.variants
        ]
        scatter.add(item, shapes.__getitem__)
    return scatter


def ref(name: str) -> tuple[InputRef, ...]:
    return (InputRef(step=name, product="out"),)


def each(n: int) -> dict[str, Any]:
    """Return settings that differ from point to point."""
    return {"settings": [{"n": number} for number in range(n)], "chosen": range(n)}


ALL = [(0, 0), (0, 1), (1, 1)]


def test_ids_and_coordinates() -> None:
    scatter = made(step("one"), step("two", ["roster", "target"], ALL, **each(3)))
    assert [task.id for task in scatter.tasks] == [
        "one",
        "two[roster=n,target=crab]",
        "two[roster=n,target=pks]",
        "two[roster=s,target=pks]",
    ]
    assert scatter.tasks[1].coordinates == {"roster": "n", "target": "crab"}


def test_equal_labels_get_different_ids() -> None:
    scatter = made(step("two", ["target"], [(0,), (1,), (2,)], **each(3)))
    ids = [task.id for task in scatter.tasks]
    assert ids == ["two[target=crab]", "two[target=pks]", "two[target=crab]~2"]


def test_equal_settings_and_inputs_are_one_task() -> None:
    scatter = made(
        step("two", ["roster", "target"], ALL, settings=[{"n": 0}, {"n": 1}], chosen=[0, 1, 1]),
        step("three", ["roster", "target"], ALL, inputs={"x": ref("two")}),
    )
    assert len(scatter.tasks) == 4
    assert {item.id: item.task for item in scatter.aliases} == {
        "two[roster=s,target=pks]": "two[roster=n,target=pks]",
        "three[roster=s,target=pks]": "three[roster=n,target=pks]",
    }
    assert scatter.aliases[0].coordinates == {"roster": "s", "target": "pks"}


@pytest.mark.parametrize("differs", ["tag", "settings", "inputs", "port", "cache", "after"])
def test_what_keeps_tasks_apart(differs: str) -> None:
    first: dict[str, Any] = {"tag": "t", "settings": [{"n": 0}], "inputs": {"x": ref("a")}}
    second = (
        dict(first)
        | {
            "tag": {"tag": "u"},
            "settings": {"settings": [{"n": 1}]},
            "inputs": {"inputs": {"x": ref("b")}},
            "port": {"inputs": {"y": ref("a")}},
            "cache": {"policy": StepPolicy(cache=False)},
            "after": {"after": ("b",)},
        }[differs]
    )
    one, two = step("a", tag="a"), step("b", tag="b")
    assert len(made(one, two, step("c", **first), step("d", **first)).tasks) == 3
    assert len(made(one, two, step("c", **first), step("d", **second)).tasks) == 4


def test_the_order_of_inputs_does_not_matter() -> None:
    scatter = made(
        step("a"),
        step("b"),
        step("c", tag="t", inputs={"x": ref("a"), "y": ref("b")}),
        step("d", tag="t", inputs={"y": ref("b"), "x": ref("a")}),
        step("e", tag="t", inputs={"x": ref("b"), "y": ref("a")}),
    )
    assert [task.id for task in scatter.tasks] == ["a", "b", "c", "e"]


def test_gather_takes_the_products_of_the_axes_that_end() -> None:
    scatter = made(
        step("one", ["roster", "target"], ALL, **each(3)),
        step("all", ["roster"], [(0,), (1,)], inputs={"x": ref("one")}, gather=("target",)),
    )
    north, south = scatter.tasks[3:]
    assert [item.task for item in north.inputs["x"]] == [
        "one[roster=n,target=crab]",
        "one[roster=n,target=pks]",
    ]
    assert north.labels == {"x": ({"target": "crab"}, {"target": "pks"})}
    assert [item.task for item in south.inputs["x"]] == ["one[roster=s,target=pks]"]
    assert south.labels == {"x": ({"target": "pks"},)}


def test_gather_of_merged_tasks_keeps_an_item_for_every_point() -> None:
    scatter = made(
        step("one", ["roster", "target"], ALL),
        step("all", inputs={"x": ref("one")}, gather=("roster", "target")),
    )
    (last,) = scatter.tasks[1:]
    assert [item.task for item in last.inputs["x"]] == ["one[roster=n,target=crab]"] * 3
    assert len(last.labels["x"]) == 3
    assert scatter.outputs(InputRef(step="one", product="out")) == last.inputs["x"][:1]


def test_gather_skips_what_is_absent() -> None:
    scatter = made(
        step("one", ["roster", "target"], [(0, 0)], **each(1)),
        step("two", ["roster", "target"], [(1, 1)], **each(1)),
        step(
            "all",
            ["roster"],
            [(0,), (1,)],
            inputs={"x": ref("one") + ref("two")},
            gather=("target",),
        ),
    )
    assert [task.inputs["x"][0].task for task in scatter.tasks[2:]] == [
        "one[roster=n,target=crab]",
        "two[roster=s,target=pks]",
    ]


def test_after_waits_where_common_axes_agree() -> None:
    scatter = made(
        step("one", ["roster", "target"], ALL, **each(3)),
        step("two", ["roster"], [(0,), (1,)], after=("one",), **each(2)),
        step("three", after=("two",)),
    )
    two = scatter.tasks[3:5]
    assert [len(task.after) for task in two] == [2, 1]
    assert scatter.tasks[5].after == tuple(task.id for task in two)


def test_streams_depend_on_names_and_labels_alone() -> None:
    seeded: dict[str, Any] = {"settings": [{"seed": 1}]}
    first = made(step("one", ["roster"], [(0,), (1,)], **seeded))
    again = made(step("two", ["roster"], [(1,)], **seeded))  # fewer values, another step
    assert len({task.stream for task in first.tasks}) == 2
    assert again.tasks[0].stream == first.tasks[1].stream
    assert all(0 <= word < 2**32 for task in first.tasks for word in task.stream)
    swapped = made(step("one", ["target", "roster"], [(1, 0)], **seeded))
    straight = made(step("one", ["roster", "target"], [(0, 1)], **seeded))
    assert swapped.tasks[0].stream == straight.tasks[0].stream


def test_an_input_takes_no_product_twice() -> None:
    both = {"datasets": (*ref("one"), *ref("two"))}
    one, two = step("one", tag="read"), step("two", tag="read")
    with pytest.raises(PlanError, match=r"'sum' takes one product twice: of one\.out and two\.out"):
        made(one, two, step("sum", inputs=both))
    other = step("two", tag="read", settings=[{"n": 1}])
    assert len(made(one, other, step("sum", inputs=both)).tasks) == 3


def test_two_values_of_one_label_have_streams_of_their_own() -> None:
    rows = ({"name": "a", "target": "crab"}, {"name": "a", "target": "vela"})
    scatter = Scatter({"member": Axis(name="member", values=rows, labels=("a", "a"))})
    fixed = {"tag": "sim", "version": "1", "settings": {}, "types": {}, "origins": {}}
    ports = {"step": "sim", "input_ports": (), "output_ports": ()}
    shape = Shape(fixed=fixed | ports, identity=0, seeded=True)
    scatter.add(step("sim", ["member"], [(0,), (1,)]), lambda _: shape)
    assert [task.id for task in scatter.tasks] == ["sim[member=a]", "sim[member=a]~2"]
    assert scatter.tasks[0].stream != scatter.tasks[1].stream


def test_no_stream_without_a_seed_or_without_an_axis() -> None:
    assert made(step("one", settings=[{"seed": 1}])).tasks[0].stream == ()
    assert made(step("one", ["roster"], [(0,)])).tasks[0].stream == ()


def test_a_step_that_runs_nowhere_has_no_products() -> None:
    scatter = made(
        step("one", ["roster"], []), step("two", ["roster"], [], inputs={"x": ref("one")})
    )
    assert scatter.tasks == []
    assert scatter.outputs(InputRef(step="two", product="out")) == ()
