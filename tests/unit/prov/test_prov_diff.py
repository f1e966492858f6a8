"""What differs between two records, and which difference came first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest

from gpwf.core.plan import Plan, Task
from gpwf.core.runs import RunEvent
from gpwf.prov.diff import compare
from gpwf.prov.diff_answers import Difference
from gpwf.prov.diff_facts import read_side
from gpwf.prov.lineage import Lineage
from gpwf.prov.lineage_find import find
from gpwf.prov.stream import write_record

PLAN = factory.make_plan()
BELOW_DATASETS = ("fit", "flux-points", "light-curve", "plot-sed", "plot-lc")


def ran(plan: Plan, others: Collection[str] = (), name: str = "run") -> list[RunEvent]:
    """Return a run in which some tasks gave other products."""
    journal = factory.Journal(plan, name=name)
    for task in plan.tasks:
        made_by = "other" if task.id in others else ""
        products = {p.name: factory.product_of(task, p, made_by) for p in task.output_ports}
        journal.start(task)
        journal.end(task, products=products)
        journal.products |= {(task.id, port): item for port, item in products.items()}
    return journal.finish()


def changed(plan: Plan, step: str, change: Callable[[Task], Task]) -> Plan:
    """Return a plan with changed tasks of a step; of all with ``*``."""
    return replace(
        plan,
        tasks=tuple(change(task) if step in ("*", task.step) else task for task in plan.tasks),
    )


def with_setting(**settings: Any) -> Callable[[Task], Task]:
    return lambda task: replace(task, settings={**task.settings, **settings})


def difference(
    folder: Path,
    plan: Plan,
    events: list[RunEvent],
    *,
    first: tuple[Plan, list[RunEvent]] | None = None,
    roots: tuple[str, str] | None = None,
) -> Difference:
    """Compare a run with a good run of the plan, or with another one."""
    one_plan, one_events = first or (PLAN, ran(PLAN))
    a = write_record(folder / "a.json", one_plan, one_events)
    b = write_record(folder / "b.json", plan, events)
    with Lineage.of(a) as one, Lineage.of(b) as two:
        if roots is None:
            return compare(read_side(one, None), read_side(two, None))
        tasks = (roots[0].partition(".")[0], roots[1].partition(".")[0])
        sides = [read_side(x, find(x, r)) for x, r in zip((one, two), roots, strict=True)]
        return compare(*sides, roots=tasks)


def test_the_same_run_twice_differs_in_nothing(tmp_path: Path) -> None:
    found = difference(tmp_path, PLAN, ran(PLAN, name="again"))
    assert found.is_same
    assert found.first_cause is None
    assert not found.environment
    assert (found.n_tasks, found.n_products) == (8, 9)


def test_a_run_that_took_everything_from_the_store_is_the_same(tmp_path: Path) -> None:
    found = difference(tmp_path, PLAN, factory.cached_run(PLAN))
    assert found.is_same, found.data()
    assert not found.moved


def test_one_setting(tmp_path: Path) -> None:
    axes = {"axes": {"energy": {"min": "1.0 TeV", "max": "40.0 TeV", "nbins": 24}}}
    plan = changed(PLAN, "datasets", with_setting(geom=axes))
    plan = changed(plan, "fit", with_setting(fit_range={"min": "2.0 TeV"}))
    found = difference(tmp_path, plan, ran(plan, ("datasets", *BELOW_DATASETS)))
    cause = found.first_cause
    assert cause is not None
    assert (cause.category, cause.label) == ("parameters", "datasets: geom.axes.energy.min")
    assert (cause.a, cause.b) == ("0.1 TeV", "1.0 TeV")
    assert (cause.origin_a, cause.place_b) == ("workflow", "crab.gpwf.yaml:7:5")
    second = next(item for item in found.parameters if item.step == "fit")
    assert not second.is_first
    assert second.follows == ("datasets: geom.axes.energy.min",)
    why = {item.task: item.cause for item in found.products}
    assert why == {"datasets": "own", **dict.fromkeys(BELOW_DATASETS, "upstream")}
    assert all(item.follows == (cause.label,) for item in found.products)


def test_one_input_file(tmp_path: Path) -> None:
    def change(task: Task) -> Task:
        files = tuple(
            replace(item, digest=factory.digest("new")) if "run" in item.name else item
            for item in task.files
        )
        return replace(task, files=files)

    plan = changed(PLAN, "observations", change)
    found = difference(tmp_path, plan, ran(plan, ("observations", "datasets", *BELOW_DATASETS)))
    (item,) = found.inputs
    assert item == found.first_cause
    assert item.name == "/data/hess-dl3-dr1/data/run23523.fits.gz"
    assert (item.a, item.b) == (factory.digest("data/run23523.fits.gz"), factory.digest("new"))


def test_inputs_in_another_place_with_the_same_content_are_no_difference(tmp_path: Path) -> None:
    def change(task: Task) -> Task:
        files = tuple(
            replace(item, path=item.path.replace("/data/", "/disk/")) for item in task.files
        )
        return replace(task, files=files, settings={**task.settings, "datastore": "/disk/hess"})

    plan = changed(PLAN, "observations", change)
    found = difference(tmp_path, plan, ran(plan))
    assert found.is_same
    assert [(item.name, item.b) for item in found.moved] == [("datastore", "/disk/hess")]


def test_a_package(tmp_path: Path) -> None:
    plan = changed(PLAN, "*", lambda task: replace(task, packages={"gammapy": "2.2"}))
    found = difference(tmp_path, plan, ran(plan, ("datasets", *BELOW_DATASETS)))
    (item,) = found.software
    assert item == found.first_cause
    assert (item.name, item.a, item.b, len(item.tasks)) == ("gammapy", "2.1", "2.2", 8)


def test_a_setting_goes_before_a_package_where_both_changed(tmp_path: Path) -> None:
    plan = changed(PLAN, "*", lambda task: replace(task, packages={"gammapy": "2.2"}))
    plan = changed(plan, "datasets", with_setting(stack=True))
    found = difference(tmp_path, plan, ran(plan, ("datasets", *BELOW_DATASETS)))
    assert found.first_cause is not None
    assert found.first_cause.label == "datasets: stack"
    assert found.software


def test_the_code_of_a_step(tmp_path: Path) -> None:
    def change(task: Task) -> Task:
        return replace(task, implementation={**task.implementation, "source": "6" * 64})

    plan = changed(PLAN, "fit", change)
    found = difference(tmp_path, plan, ran(plan, BELOW_DATASETS))
    assert found.first_cause is not None
    assert (found.first_cause.category, found.first_cause.label) == ("code", "fit: source")


def test_a_seed_in_a_scatter_changes_its_own_branch_alone(tmp_path: Path) -> None:
    plan = factory.make_plan(copies=3)

    def change(task: Task) -> Task:
        if task.coordinates.get("seed") != 1:
            return task
        return replace(task, settings={**task.settings, "seed": 7}, stream=(3, 1))

    other = changed(plan, "fit", change)
    below = [f"{name}[seed=1]" for name in BELOW_DATASETS]
    found = difference(tmp_path, other, ran(other, below), first=(plan, ran(plan)))
    assert found.first_cause is not None
    assert found.first_cause.tasks == ("fit[seed=1]",)
    assert {item.name for item in found.parameters} == {"seed", "random stream"}
    assert {item.task for item in found.products} == set(below)


def test_products_that_nothing_recorded_explains(tmp_path: Path) -> None:
    found = difference(tmp_path, PLAN, ran(PLAN, BELOW_DATASETS))
    assert found.first_cause is None
    assert {item.task for item in found.unexplained} == {"fit"}
    assert {item.cause for item in found.products} == {"unexplained", "upstream"}
    assert not found.is_same


def test_the_environment_is_the_last_explanation(tmp_path: Path) -> None:
    events = ran(PLAN, BELOW_DATASETS)
    started = replace(events[0], environment={"cpus": 64, "python": {"version": "3.12.1"}})
    found = difference(tmp_path, PLAN, [started, *events[1:]])
    assert found.first_cause is not None
    assert found.first_cause.category == "environment"
    same = difference(tmp_path, PLAN, [started, *ran(PLAN)[1:]])
    assert same.is_same
    assert {"cpus", "installed numpy"} <= {item.name for item in same.environment}


def test_other_tasks(tmp_path: Path) -> None:
    part = factory.make_plan(("observations", "datasets", "models", "fit"))
    found = difference(tmp_path, part, ran(part))
    assert not found.is_same
    assert {item.name for item in found.tasks} == set(BELOW_DATASETS) - {"fit"}
    assert not found.products
    assert found.first_cause is None


def test_a_task_that_failed(tmp_path: Path) -> None:
    found = difference(tmp_path, PLAN, factory.mixed_run(PLAN))
    told = {item.name: (item.a, item.b) for item in found.tasks}
    assert told["flux-points ended"] == ("ok", "failed")
    assert told["plot-sed ended"] == ("ok", "blocked")
    missing = {item.task: item.b for item in found.products}
    assert missing["flux-points"] == missing["plot-sed"] == "-"


def test_products_are_compared_up_from_them(tmp_path: Path) -> None:
    plan = changed(PLAN, "fit", with_setting(fit_range={"min": "2.0 TeV"}))
    plan = changed(plan, "light-curve", with_setting(n_sigma=3.0))
    events = ran(plan, BELOW_DATASETS)
    found = difference(tmp_path, plan, events, roots=("plot-sed.figure", "plot-sed.figure"))
    assert {item.task for item in found.products} == {"fit", "flux-points", "plot-sed"}
    assert [item.label for item in found.parameters] == ["fit: fit_range.min"]
    found = difference(tmp_path, plan, events, roots=("datasets", "datasets"))
    assert found.is_same
    assert found.n_tasks == 2


def test_a_renamed_step_is_matched_by_its_names(tmp_path: Path) -> None:
    def rename(task: Task) -> Task:
        return replace(task, id="spectrum", step="spectrum")

    plan = changed(factory.make_plan(("observations", "datasets")), "datasets", rename)
    steps = tuple(
        replace(step, name="spectrum") if step.name == "datasets" else step for step in plan.steps
    )
    output = replace(plan.outputs["result"][0], task="spectrum")
    plan = replace(plan, steps=steps, outputs={"result": (output,)})
    first = factory.make_plan(("observations", "datasets"))
    found = difference(
        tmp_path,
        plan,
        ran(plan),
        first=(first, ran(first)),
        roots=("datasets.datasets", "spectrum.datasets"),
    )
    assert not found.tasks
    assert [(item.task, item.task_b) for item in found.products] == [("datasets", "spectrum")]
    (renamed,) = found.renamed
    assert (renamed.label, renamed.a, renamed.b) == ("step", "datasets", "spectrum")


def test_a_group_that_was_empty_is_told_by_what_it_holds_now(tmp_path: Path) -> None:
    first = changed(PLAN, "fit", with_setting(arguments={}, fit_range=None))
    plan = changed(PLAN, "fit", with_setting(arguments={"add": 1}, fit_range={"min": "2.0 TeV"}))
    found = difference(tmp_path, plan, ran(plan, BELOW_DATASETS), first=(first, ran(first)))
    assert {item.name for item in found.parameters} == {"arguments.add", "fit_range.min"}
    assert {item.a for item in found.parameters} == {"-"}


def test_the_code_of_a_function_is_told_once(tmp_path: Path) -> None:
    def change(digit: str) -> Callable[[Task], Task]:
        code = {"callable": "my:function", "callableSource": digit * 64}
        return lambda task: replace(
            task,
            implementation={**task.implementation, **code},
            settings={**task.settings, "source_digest": digit * 64},
            types={**task.types, "source_digest": "source digest"},
        )

    first, plan = (changed(PLAN, "fit", change(digit)) for digit in "67")
    found = difference(tmp_path, plan, ran(plan, BELOW_DATASETS), first=(first, ran(first)))
    assert [item.label for item in found.code] == ["fit: source of the function"]
    assert not found.parameters
    assert found.first_cause == found.code[0]


@pytest.mark.parametrize("number", [1, 3, 9])
def test_torn_journals_are_compared_as_far_as_they_go(tmp_path: Path, number: int) -> None:
    found = difference(tmp_path, PLAN, ran(PLAN)[:number])
    assert not found.is_same
    assert found.data()["same"] is False
