"""Whole scatters against their definition, with nothing indexed and nothing clever.

A step runs at every point at which all of its inputs run: points are mappings of axes to values.
`foreach` adds an axis, `gather` takes one away, `when` leaves points out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpwf.compiler.compile import compile_plan
from gpwf.core.plan import Plan
from gpwf.lang import check_document

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "lang"))

from fake_catalog import FakeCatalog

CATALOG = FakeCatalog()
RAGGED = {"x": ["p"], "y": ["q", "r"], "z": []}
AXES: dict[str, Any] = {
    "a": list(RAGGED),
    "b": [1, 2, 3],
    "c": {"range": {"start": 5, "count": 2}},
    "m": "${tables.rows[a].members}",
}
MANY = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
Point = dict[str, Any]


@dataclass
class Drawn:
    """A step of the workflow that was drawn."""

    name: str
    inputs: list[str]
    foreach: list[str]
    gather: list[str]
    when: tuple[str, str, Any] | None
    axes: list[str] = field(default_factory=list)


def values(axis: str, point: Point) -> list[Any]:
    return {"a": list(RAGGED), "b": [1, 2, 3], "c": [5, 6]}.get(axis) or RAGGED[point["a"]]


@st.composite
def workflows(draw: st.DrawFn) -> list[Drawn]:
    """Return steps that are right by construction."""
    steps: list[Drawn] = []
    for number in range(draw(st.integers(1, 5))):
        names = [item.name for item in steps]
        inputs = draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names else []
        above = [axis for item in steps if item.name in inputs for axis in item.axes]
        have = list(dict.fromkeys(above))
        gather = [axis for axis in have if draw(st.integers(0, 3)) == 0]
        if "a" in gather and "m" in have and "m" not in gather:
            gather.append("m")  # else the same member would stand for two rosters
        have = [axis for axis in have if axis not in gather]
        foreach = []
        for axis in draw(st.lists(st.sampled_from(["b", "c", "a", "m"]), unique=True, max_size=2)):
            if axis not in have and (axis != "m" or "a" in have):
                foreach.append(axis)
                have.append(axis)
        when = None
        if have and draw(st.booleans()):
            axis = draw(st.sampled_from(have))
            pool = {"a": ["x", "y"], "b": [1, 2], "c": [5], "m": ["q"]}[axis]
            when = (axis, draw(st.sampled_from(["==", "!="])), draw(st.sampled_from(pool)))
        item = Drawn(f"s{number}", inputs, foreach, gather, when)
        item.axes = have
        steps.append(item)
    return steps


def document(steps: list[Drawn]) -> str:
    """Return the workflow; the settings of a step tell all of its coordinates."""
    listed = []
    for item in steps:
        coordinates = [f"{axis}=${{{axis}}}" for axis in sorted(item.axes)]
        made: dict[str, Any] = {"name": item.name, "tag": "command"}
        made["config"] = {"argv": [item.name, *coordinates], "outputs": {"out": "out"}}
        if item.inputs:
            made["required_products"] = {name: f"{name}.out" for name in item.inputs}
        if item.foreach:
            made["foreach"] = {axis: AXES[axis] for axis in item.foreach}
        if item.gather:
            made["gather"] = item.gather
        if item.when:
            axis, operator, value = item.when
            made["when"] = f"${{{axis}}} {operator} {value}"
        listed.append(made)
    rows = {name: {"members": members} for name, members in RAGGED.items()}
    return yaml.safe_dump({"gpwf": 1, "tables": {"rows": rows}, "steps": listed}, sort_keys=False)


def expected(steps: list[Drawn]) -> dict[str, list[Point]]:
    """Return where every step runs, by the definition."""
    found: dict[str, list[Point]] = {}
    for item in steps:
        points: list[Point] = [{}]
        for name in item.inputs:
            left: list[Point] = []
            for point in found[name]:
                short = {axis: v for axis, v in point.items() if axis not in item.gather}
                if short not in left:
                    left.append(short)
            points = [
                one | two
                for one in points
                for two in left
                if all(one[axis] == two[axis] for axis in one.keys() & two.keys())
            ]
        for axis in item.foreach:
            points = [p | {axis: value} for p in points for value in values(axis, p)]
        if item.when:
            axis, operator, value = item.when
            points = [p for p in points if (p[axis] == value) == (operator == "==")]
        found[item.name] = points
    return found


def planned(text: str) -> Plan:
    spec, problems = check_document(text, CATALOG, path=Path("w.yaml"), base=Path("/base"))
    assert spec is not None, [str(item) for item in problems]
    assert not [item for item in problems if item.severity == "error"]
    return compile_plan(spec, CATALOG, None)  # type: ignore[arg-type]  # no step reads files


@MANY
@given(workflows())
def test_steps_run_where_the_definition_says(steps: list[Drawn]) -> None:
    plan = planned(document(steps))
    assert not plan.aliases  # the settings tell every task from all others
    for name, points in expected(steps).items():
        tasks = plan.of_step(name)
        assert [dict(task.coordinates) for task in tasks] == points
    ids = [task.id for task in plan]
    assert len(set(ids)) == len(ids)


@MANY
@given(workflows())
def test_inputs_are_the_products_at_the_same_point(steps: list[Drawn]) -> None:
    plan = planned(document(steps))
    where = expected(steps)
    done: set[str] = set()
    for task in plan:
        assert set(task.upstream) <= done
        done.add(task.id)
        item = next(found for found in steps if found.name == task.step)
        for name in item.inputs:
            got = [dict(plan.task(ref.task).coordinates) for ref in task.inputs[name]]
            assert got == [
                point
                for point in where[name]
                if all(point[axis] == task.coordinates[axis] for axis in point if axis in item.axes
                       and axis not in item.gather)
            ]  # fmt: skip
            ends = [axis for axis in item.gather if axis in got[0]]
            labels = [{axis: str(point[axis]) for axis in point if axis in ends} for point in got]
            assert [dict(label) for label in task.labels.get(name, ())] == (labels if ends else [])


@MANY
@given(workflows(), st.data())
def test_without_coordinates_in_the_settings_equal_tasks_merge(
    steps: list[Drawn], data: st.DataObject
) -> None:
    text = document(steps)
    hidden = data.draw(st.sampled_from("abcm"))
    plan, merged = planned(text), planned(text.replace(f"- {hidden}=${{{hidden}}}\n", "- same\n"))
    every = {task.id for task in plan}
    names = {alias.id: alias.task for alias in merged.aliases}
    assert {task.id for task in merged} | names.keys() == every
    assert not {task.id for task in merged} & names.keys()
    for task in merged:  # no two tasks compute the same
        same = [
            other.id
            for other in merged
            if (other.settings, other.inputs, other.labels)
            == (task.settings, task.inputs, task.labels)
        ]
        assert same == [task.id]
    for name, task_id in names.items():
        one, two = plan.task(name), merged.task(task_id)
        assert len(one.upstream) >= len(set(two.upstream))
