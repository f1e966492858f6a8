"""What is ordinary is written at once, what is not record by record: both say the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import prov_factory as factory
import pytest
from prov_constraints import problems
from test_prov_stream import equal

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import Plan, Task
from gpwf.core.runs import AttemptFinished, AttemptStarted, Product, RunEvent, TaskCached
from gpwf.core.spec import Port
from gpwf.prov.document import build_document
from gpwf.prov.json_attempts import QuickLines
from gpwf.prov.stream import write_record

Change = Callable[[Any], Any]


def plan_with(**changes: Any) -> Plan:
    """Return a plan of two tasks, changed; the second one uses what the first one makes."""
    plan = factory.make_plan(("models", "fit"))
    settings = {"seed": 3, "n": 2**40, "on": True, "x": 0.5}
    types = {"seed": "int", "n": "int", "on": "bool", "x": "float"}
    tasks = [
        replace(task, settings=settings, types=types, origins={}, stream=(1, 2), **changes)
        for task in plan.tasks
    ]
    return replace(plan, tasks=tuple(tasks))


def run_of(plan: Plan, finished: Change, product: Change, begun: Change) -> list[RunEvent]:
    """Return a good run with changed events."""
    journal = factory.Journal(plan)
    for task in plan.tasks:
        journal.start(task)
        made = {p.name: product(factory.product_of(task, p)) for p in task.output_ports}
        journal.end(task, products=made)
    events = []
    for event in journal.finish():
        if isinstance(event, AttemptFinished):
            event = finished(event)
        elif isinstance(event, AttemptStarted):
            event = begun(event)
        events.append(event)
    return events


def same(value: Any) -> Any:
    return value


def renamed(task: Task) -> Task:
    return replace(task, output_ports=(Port(name="é/1", kind="ké"),))


def first_file(**changes: Any) -> Change:
    def change(product: Product) -> Product:
        return replace(product, files=(replace(product.files[0], **changes),))

    return change


FINISHED: dict[str, Change] = {
    "UTC": lambda e: replace(
        e, started="2026-03-14T09:26:53.250000Z", ended="2026-03-14T09:26:54.000000Z"
    ),
    "week date": lambda e: replace(
        e, started="2026-W11-6T09:26:53.25000Z", ended="2026-W11-6T09:26:54.25000Z"
    ),
    "other zone": lambda e: replace(e, started="2026-03-14T10:26:53+01:00"),
    "no times": lambda e: replace(e, started="", ended=""),
    "resources": lambda e: replace(
        e,
        resources=replace(
            e.resources, wall_s=float("nan"), cpu_s=0.0, peak_rss_bytes=0, pid=0, host="é\x00"
        ),
    ),
    "large": lambda e: replace(e, resources=replace(e.resources, peak_rss_bytes=2**63, pid=-1)),
}
PRODUCTS: dict[str, Change] = {
    "no files": lambda p: replace(p, files=()),
    "no summary": lambda p: replace(p, summary={}),
    "summary": lambda p: replace(p, summary={"é": [1, {"a": None}], "b": "\x00"}),
    "digest": lambda p: replace(p, digest=Digest("sha/é")),
    "file name": first_file(name='"é\\'),
    "file name that is no text": first_file(name="\udcff"),
    "file digest": first_file(digest=Digest('"')),
    "data digest": first_file(data_digest='"'),
    "large file": first_file(size=2**40),
    "no kind": lambda p: replace(p, kind=""),
}
TASKS: dict[str, dict[str, Any]] = {
    "coordinates": {"coordinates": {"é": "ß", "n": 1, "x": 0.5}},
    "one coordinate": {"coordinates": {"n": "a"}},
    "seed": {
        "settings": {
            "seed": "3",
            "api_key": 7,
            "nested": {"seed": 4},
            "": 1,
            "big": 10**300,
            "é": 2,
        }
    },
    "types": {"types": {"seed": "path", "n": "é"}},
}


FOUND: dict[str, Change] = {
    "UTC": lambda e: replace(
        e,
        time="2026-03-14T09:26:53.250000Z",
        made_started="2026-03-13T09:26:53.250000Z",
        made_ended="2026-03-13T09:26:53.250001Z",
    ),
    "whole seconds": lambda e: replace(e, time="2026-03-14T09:26:53.000000Z"),
    "week date": lambda e: replace(e, made_started="2026-W10-6T09:26:53.25000Z"),
    "clock ahead": lambda e: replace(e, made_ended="2031-03-14T09:26:53.250000Z"),
    "no times": lambda e: replace(e, made_started="", made_ended=""),
    "no time": lambda e: replace(e, time=""),
    "key": lambda e: replace(e, key=TaskKey('"')),
    "no products": lambda e: replace(e, products={}),
}


def found_run(plan: Plan, change: Change) -> list[RunEvent]:
    """Return a run that found everything done, with changed events."""
    events = factory.cached_run(plan)
    return [change(event) if isinstance(event, TaskCached) else event for event in events]


def check(plan: Plan, events: list[RunEvent], folder: Path) -> None:
    path = write_record(folder / "prov.json", plan, events)
    equal(path, build_document(plan, events))
    assert problems(path.read_text()) == []


@pytest.mark.parametrize("name", FINISHED)
def test_ends_of_every_kind(name: str, tmp_path: Path) -> None:
    plan = plan_with()
    check(plan, run_of(plan, FINISHED[name], same, same), tmp_path)


@pytest.mark.parametrize("name", FOUND)
def test_cached_results_of_every_kind(name: str, tmp_path: Path) -> None:
    plan = plan_with()
    check(plan, found_run(plan, FOUND[name]), tmp_path)


@pytest.mark.parametrize("name", TASKS)
def test_cached_tasks_of_every_kind(name: str, tmp_path: Path) -> None:
    plan = plan_with()
    tasks = tuple(replace(task, **TASKS[name]) for task in plan.tasks)
    plan = replace(plan, tasks=tasks)
    check(plan, found_run(plan, FOUND["UTC"]), tmp_path)


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_every_kind(name: str, tmp_path: Path) -> None:
    plan = plan_with()
    check(plan, run_of(plan, same, PRODUCTS[name], same), tmp_path)


@pytest.mark.parametrize("name", TASKS)
def test_tasks_of_every_kind(name: str, tmp_path: Path) -> None:
    plan = plan_with()
    tasks = tuple(replace(task, **TASKS[name]) for task in plan.tasks)
    plan = replace(plan, tasks=tasks)
    check(plan, run_of(plan, same, same, same), tmp_path)


def test_names_that_are_not_ordinary(tmp_path: Path) -> None:
    plan = plan_with()
    first, second = plan.tasks
    names = {first.id: 'é "1"', second.id: "fit\x07"}
    tasks = tuple(replace(renamed(task), id=names[task.id], inputs={}) for task in plan.tasks)
    plan = replace(plan, tasks=tasks, outputs={})
    check(plan, run_of(plan, same, same, same), tmp_path)
    keys = [lambda e: replace(e, key=TaskKey('"')), lambda e: replace(e, worker="é")]
    for key in keys:
        check(plan, run_of(plan, same, same, key), tmp_path)


def test_an_ordinary_run_is_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def counted(name: str, method: Any) -> Any:
        def call(*args: Any) -> Any:
            found = method(*args)
            written.extend([name] if found else [])
            return found

        return call

    for name in ("attempt", "original", "cached", "product"):
        monkeypatch.setattr(QuickLines, name, counted(name, getattr(QuickLines, name)))
    plan = factory.make_plan()
    n_products = sum(len(task.output_ports) for task in plan.tasks)
    write_record(tmp_path / "prov.json", plan, factory.good_run(plan))
    assert written.count("attempt") == len(plan.tasks)
    assert written.count("product") == n_products
    written.clear()
    write_record(tmp_path / "prov.json", plan, found_run(plan, FOUND["UTC"]))
    assert written.count("original") == written.count("cached") == len(plan.tasks)
    assert written.count("product") == n_products
