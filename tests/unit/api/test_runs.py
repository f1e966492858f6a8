"""Runs opened for reading: found by name, in the right state, with their products."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpwf.api.recording import write_provenance
from gpwf.api.runs import Run, find_runs, open_run
from gpwf.cli.prov_record import record_of_run
from gpwf.core.digests import Digest, TaskKey, digest_bytes
from gpwf.core.plan import Plan, PlannedStep, Task, TaskAlias
from gpwf.core.products import FitSummary
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskState,
)
from gpwf.core.spec import Port
from gpwf.errors import RunError, StoreError, UsageError
from gpwf.run.journal import Journal
from gpwf.run.rundir import RunDirectory
from gpwf.store.store import Store

FIT = FitSummary(
    total_stat=49.5,
    success=True,
    message="done",
    nfev=7,
    backend="minuit",
    method="migrad",
    n_free=0,
    parameters=(),
    covariance=(),
)


def task(name: str, step: str | None = None) -> Task:
    return Task(
        id=name,
        step=step or name,
        tag="fit",
        version="1",
        settings={},
        types={},
        origins={},
        inputs={},
        input_ports=(),
        output_ports=(Port(name="fit_result", kind="fit-result"),),
    )


def plan_of(*tasks: Task) -> Plan:
    steps = dict.fromkeys(item.step for item in tasks)
    return Plan(
        name="crab",
        workflow_digest=digest_bytes(b""),
        tasks=tasks,
        steps=tuple(PlannedStep(name=step, tag="fit", title="Fit") for step in steps),
    )


def at(second: int) -> dict[str, Any]:
    return {"time": f"2026-11-21T03:00:{second:02}Z", "clock_s": float(second)}


def start(store: Path, plan_digest: Digest) -> RunStarted:
    return RunStarted(
        **at(0), run_id="r", plan_digest=plan_digest, workflow="crab", store=str(store)
    )


def attempt(name: str, product: Product | None = None) -> list[RunEvent]:
    """Return the events of a task: to its end where there is a product."""
    same: dict[str, Any] = {"task": name, "attempt": 1, "attempt_id": f"a-{name}"}
    same["key"] = TaskKey(digest_bytes(name.encode()))
    events: list[RunEvent] = [AttemptStarted(**at(1), **same)]
    if product is not None:
        times = {"started": at(1)["time"], "ended": at(2)["time"]}
        products = {"fit_result": product}
        events.append(
            AttemptFinished(**at(2), **same, **times, state=TaskState.OK, products=products)
        )
    return events


def published(store: Store, folder: Path) -> Product:
    from gpwf.store import formats

    folder.mkdir()
    summary = formats.write("fit-result", FIT, folder, {"GPWFKEY": "k", "GPWFPORT": "fit_result"})
    return store.objects.publish(folder, "fit-result", summary)


def make_run(
    path: Path, *tasks: Task, ended: bool = True, hold: bool = False
) -> tuple[Run, RunDirectory]:
    """Make a run whose first task ended well and whose others began."""
    store = Store(path.parent / "store")
    product = published(store, path.with_name(f"{path.name}-draft"))
    rundir = RunDirectory(path)
    plan = plan_of(*(tasks or (task("fit"),)))
    with Journal(rundir.journal) as journal:
        journal.append(start(store.root, rundir.freeze(plan, "gpwf: 1\n")))
        first, *rest = plan.tasks
        journal.extend(attempt(first.id, product))
        rundir.show(first, {"fit_result": product}, store.objects)
        for item in rest:
            journal.extend(attempt(item.id))
        if ended:
            journal.append(RunFinished(**at(9), state=RunState.OK))
    if not hold:
        rundir.close()
    return Run(path), rundir


def test_a_product_is_read_by_step_and_port(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run")
    assert run.state is RunState.OK
    product = run["fit"].fit_result
    assert product.path.is_file()
    assert product.path.parent == tmp_path / "run" / "products" / "fit" / "fit_result"
    assert product.read() == FIT
    assert [item.port for item in run.products()] == ["fit_result"]
    assert dict(run["fit"]) == {"fit_result": product}


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run", task("fit[a=1]", "fit"), task("fit[a=2]", "fit"))
    with pytest.raises(UsageError, match="vela: the workflow has no such step") as missing:
        run["vela"]
    assert missing.value.hint == "steps: fit"
    with pytest.raises(UsageError, match="step fit has 2 tasks"):
        _ = run["fit"]["fit_result"]
    with pytest.raises(AttributeError, match="no product models; it has: fit_result"):
        _ = run["fit[a=1]"].models
    assert len(run["fit[a=2]"]) == 0


def scattered(path: Path) -> Run:
    """Return a run of fit[a=null,b=1], fit[a=x,b=1] (without a product), and crab/twin as well."""
    tasks = [
        replace(task(f"fit[a={label},b=1]", "fit"), coordinates={"a": value, "b": 1})
        for label, value in (("null", None), ("x", "x"))
    ]
    store = Store(path.parent / "store")
    product = published(store, path.with_name("draft"))
    alias = TaskAlias(
        id="crab/twin[crab/a=null]",
        step="crab/twin",
        coordinates={"crab/a": None},
        task=tasks[0].id,
    )
    plan = replace(
        plan_of(*tasks),
        aliases=(alias,),
        steps=(
            PlannedStep(name="fit", tag="fit", title="Fit", axes={"a": 2, "b": 1}, n_points=2),
            PlannedStep(name="crab/twin", tag="fit", title="Fit", axes={"crab/a": 1}),
            PlannedStep(name="never", tag="fit", title="Fit", n_points=0),
        ),
    )
    with RunDirectory(path) as rundir, Journal(rundir.journal) as journal:
        journal.append(start(store.root, rundir.freeze(plan, "gpwf: 1\n")))
        journal.extend(attempt(tasks[0].id, product))
        for name in (tasks[0], alias):
            rundir.show(name, {"fit_result": product}, store.objects)
    return Run(path)


def test_tasks_of_a_scatter_are_found_by_coordinates(tmp_path: Path) -> None:
    run = scattered(tmp_path / "run")
    fits = run["fit"]
    assert [item.coordinates["a"] for item in fits.tasks] == [None, "x"]
    for found in (fits.at(a=None), fits(a="null"), fits(a="null", b=1), run["fit[a=null]"]):
        assert found.task == "fit[a=null,b=1]"
        assert found.fit_result.read() == FIT
        assert found.fit_result.coordinates == {"a": None, "b": 1}
    assert len(fits.at(b=1).tasks) == 2
    assert list(fits.at(a="x")) == []
    assert not fits.at(a="x")
    assert fits
    assert "2 tasks of fit" in repr(fits)
    assert "fit[a=x,b=1]" in fits._repr_html_()
    with pytest.raises(UsageError, match="fit has no axis c") as caught:
        fits.at(c=1)
    assert caught.value.hint == "axes: a, b"
    with pytest.raises(UsageError, match=r"fit\[a=y\]: no task is there"):
        fits.at(a="y")
    with pytest.raises(UsageError, match="step fit has 2 tasks") as caught:
        list(fits)
    assert caught.value.hint == "pick one, .at(a='null', b='1') say, or go through .tasks"
    with pytest.raises(AttributeError, match="step fit has 2 tasks"):
        _ = fits.fit_result
    with pytest.raises(UsageError, match="left this step out"):
        run["never"]


def test_a_merged_task_has_its_products_under_each_name(tmp_path: Path) -> None:
    run = scattered(tmp_path / "run")
    for name in ("crab/twin", "crab", "crab/twin[a=null]"):
        twin = run[name]
        assert twin.task == "fit[a=null,b=1]"
        assert twin.fit_result.task == "crab/twin[crab/a=null]"
        assert twin.fit_result.path.is_file()
        assert twin.fit_result.read() == FIT
    assert run["crab"].at({"crab/a": None}).task == run["crab"].at(a=None).task
    assert [(item.step, item.task) for item in run.products()] == [
        ("fit", "fit[a=null,b=1]"),
        ("crab/twin", "crab/twin[crab/a=null]"),
    ]
    assert len({item.path for item in run.products()}) == 2


def test_a_product_whose_store_is_gone_says_so(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="there is no store at"):
        run["fit"].fit_result.read()


def test_a_product_with_a_file_gone_from_the_store_says_so(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run")
    product = run["fit"].fit_result
    product.path.resolve().unlink()
    with pytest.raises(StoreError, match=r"fit\.fit_result: .*fit_result\.json is gone"):
        product.read()


def test_a_plan_of_another_run_is_an_error_that_can_be_caught(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run")
    other, _ = make_run(tmp_path / "other", task("more"))
    (other.path / "plan.json").replace(run.path / "plan.json")
    with pytest.raises(RunError, match="tells of task 'fit', which is not in the plan"):
        _ = run.view


def test_products_are_read_where_run_and_store_were_moved_together(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    make_run(tmp_path / "before" / "run")
    (tmp_path / "before").rename(tmp_path / "after")
    run = Run(tmp_path / "after" / "run")
    assert run.store == tmp_path / "after" / "store"
    assert run["fit"].fit_result.read() == FIT


def test_a_run_whose_driver_died_is_interrupted_and_what_ran_is_lost(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run", task("fit"), task("more"), ended=False)
    view = run.view
    assert view.state is RunState.INTERRUPTED
    assert {name: item.state for name, item in view.tasks.items()} == {
        "fit": TaskState.OK,
        "more": TaskState.LOST,
    }
    assert "`gpwf run` again" in view.reason
    assert run["fit"].fit_result.read() == FIT


def test_a_run_with_a_live_driver_is_running(tmp_path: Path) -> None:
    run, rundir = make_run(tmp_path / "run", task("fit"), task("more"), ended=False, hold=True)
    assert run.state is RunState.RUNNING
    assert run.view.tasks["more"].state is TaskState.RUNNING
    rundir.close()
    assert run.state is RunState.INTERRUPTED


def run_state_in(record: Path) -> Any:
    activities = json.loads(record.read_text())["activity"].values()
    return next(item["gpwf:state"] for item in activities if "gpwf:runId" in item)


def test_the_record_of_a_live_run_is_another_one_than_that_of_its_end(tmp_path: Path) -> None:
    run, rundir = make_run(tmp_path / "run", task("fit"), task("more"), ended=False, hold=True)
    live = record_of_run(run)
    assert live != run.provenance
    assert run_state_in(live) == "running"
    assert not run.provenance.exists()
    rundir.close()
    assert record_of_run(run) == run.provenance
    assert run_state_in(run.provenance) == "interrupted"


def test_a_record_is_made_anew_when_the_journal_went_on(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run", task("fit"), task("more"), ended=False)
    write_provenance(run)
    with Journal(run.path / "journal.jsonl") as journal:
        journal.append(RunFinished(**at(9), state=RunState.FAILED))
    later = run.provenance.stat().st_mtime_ns + 1_000_000_000
    os.utime(run.path / "journal.jsonl", ns=(later, later))
    assert run_state_in(record_of_run(run)) == "failed"


def test_a_folder_used_again_shows_the_last_run(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run", task("fit"), task("more"))
    with RunDirectory(run.path) as rundir, Journal(rundir.journal) as journal:
        journal.append(start(tmp_path / "store", rundir.freeze(plan_of(task("fit")))))
        again = Run(run.path)
        assert again.state is RunState.RUNNING
        assert {name: item.state for name, item in again.view.tasks.items()} == {
            "fit": TaskState.WAITING
        }
        assert again.view.ended == ""


def runs_at(root: Path, *names: str) -> list[Path]:
    """Make empty run folders, each newer than the one before."""
    made = []
    for age, name in enumerate(names):
        path = root / name
        path.mkdir(parents=True)
        for file in ("journal.jsonl", "plan.json"):
            (path / file).touch()
            os.utime(path / file, (1_000_000 + age, 1_000_000 + age))
        made.append(path)
    return made


def test_runs_are_found_newest_first_and_once(tmp_path: Path) -> None:
    old, new, own = runs_at(tmp_path, "runs/crab/x-01", "runs/vela/x-02", "mine")
    (tmp_path / "runs" / "crab" / "latest").symlink_to("x-01")
    assert find_runs(tmp_path) == [own, new, old]
    assert find_runs(tmp_path / "runs") == [new, old]
    assert find_runs(tmp_path / "mine") == []


def test_a_run_without_a_plan_does_not_hide_the_others(tmp_path: Path) -> None:
    broken, whole = runs_at(tmp_path, "runs/crab/x-01", "runs/crab/x-02")
    (broken / "plan.json").unlink()
    assert find_runs(tmp_path) == [whole, broken]
    with pytest.raises(RunError, match="cannot read the plan"):
        _ = Run(broken).plan


def test_runs_are_opened_by_path_part_of_name_or_workflow(tmp_path: Path) -> None:
    first, second, vela = runs_at(
        tmp_path, "runs/crab/20261121-aaa", "runs/crab/20261121-bbb", "runs/vela/20261121-aaa"
    )
    assert open_run(root=tmp_path).path == vela
    assert open_run("crab", root=tmp_path).path == second
    assert open_run("bbb", root=tmp_path).path == second
    assert open_run("20261121-b", root=tmp_path).path == second
    assert open_run(first).path == first
    with pytest.raises(UsageError, match="aaa fits 2 runs"):
        open_run("aaa", root=tmp_path)
    with pytest.raises(UsageError, match="no run ccc"):
        open_run("ccc", root=tmp_path)


def test_no_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run below"):
        open_run(root=tmp_path)
    with pytest.raises(RunError, match="it has no journal"):
        Run(tmp_path)
