"""Crates of runs on the disk: products from the store, runs that go on, torn journals."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from storeworld import World

sys.path.append(str(Path(__file__).parents[1] / "prov"))

import prov_factory as factory

from gpwf.api.archive import export_crate
from gpwf.api.runs import Run, open_run
from gpwf.cli.prov_source import find_source
from gpwf.core.plan import Plan
from gpwf.core.runs import AttemptFinished, Product, RunEvent
from gpwf.errors import ProvenanceError, UsageError
from gpwf.prov.export import export
from gpwf.prov.formats import format_of
from gpwf.run.journal import Journal
from gpwf.run.rundir import RunDirectory


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def events_of(plan: Plan, world: World) -> list[RunEvent]:
    """Return the events of a good run whose products lie in the store."""
    store = str(world.store.root)
    events: list[RunEvent] = []
    for event in factory.good_run(plan):
        if isinstance(event, AttemptFinished):
            products: dict[str, Product] = {
                port: replace(world.product(f"{event.task} {port}"), kind=old.kind)
                for port, old in event.products.items()
            }
            event = replace(event, products=products)
        events.append(replace(event, store=store) if hasattr(event, "store") else event)
    return events


def make_run(world: World, *, without: int = 0) -> Run:
    """Write a run, without the last events of its journal."""
    plan = factory.make_plan(("observations", "datasets", "models", "fit"))
    path = world.folder / "runs" / "one"
    with RunDirectory(path) as directory:
        digest = directory.freeze(plan, factory.WORKFLOW)
        events = events_of(plan, world)
        with Journal(path / "journal.jsonl") as journal:
            for event in events[: len(events) - without]:
                if hasattr(event, "plan_digest"):
                    event = replace(event, plan_digest=digest)
                journal.append(event)
    (path / "log.jsonl").write_text('{"event": "run.started"}\n')
    return open_run(path)


def test_products_come_from_the_store(world: World, tmp_path: Path) -> None:
    run = make_run(world)
    report = export_crate(run, tmp_path / "crate")
    assert report.problems == ()
    assert report.notes == ()
    product = tmp_path / "crate" / "products" / "fit" / "models" / "file"
    assert product.read_text() == "fit models"
    names = {"workflow.yaml", "plan.json", "journal.jsonl", "log.jsonl", "README.md"}
    assert names <= {path.name for path in (tmp_path / "crate").iterdir()}
    journal = (tmp_path / "crate" / "journal.jsonl").read_bytes()
    assert journal == (run.path / "journal.jsonl").read_bytes()


def test_a_lost_object_is_named_and_the_rest_is_there(world: World, tmp_path: Path) -> None:
    run = make_run(world)
    lost = next(item for item in run.products() if item.port == "result")
    world.store.objects.path(lost.product.files[0].digest).unlink()
    report = export_crate(run, tmp_path / "crate")
    (problem,) = report.problems
    assert problem.startswith("fit.result/file: the object")
    assert not (tmp_path / "crate" / "products" / "fit" / "result").exists()
    assert (tmp_path / "crate" / "products" / "fit" / "models" / "file").is_file()
    # whoever asks for all or nothing gets nothing
    with pytest.raises(ProvenanceError, match=r"fit\.result/file: the object"):
        export(find_source(str(run.path)), format_of("crate"), tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_without_a_store_everything_is_described(world: World, tmp_path: Path) -> None:
    run = make_run(world)
    world.store.root.rename(tmp_path / "elsewhere")
    report = export_crate(open_run(run.path), tmp_path / "crate.zip")
    assert len(report.problems) == 5
    assert (tmp_path / "crate.zip").is_file()


def test_the_table_of_formats_writes_it_too(world: World, tmp_path: Path) -> None:
    run = make_run(world)
    export(find_source(str(run.path)), format_of("crate"), tmp_path / "crate")
    assert (tmp_path / "crate" / "ro-crate-metadata.json").is_file()
    record = tmp_path / "prov.json"
    record.write_bytes(run.provenance.read_bytes())
    with pytest.raises(ProvenanceError, match="lies in no run directory"):
        export(find_source(str(record)), format_of("crate"), tmp_path / "other")


def test_a_run_that_goes_on_is_refused(world: World, tmp_path: Path) -> None:
    run = make_run(world, without=3)
    held = RunDirectory(run.path)
    try:
        with pytest.raises(UsageError, match="still goes on"):
            export_crate(run, tmp_path / "crate")
    finally:
        held.close()
    assert not (tmp_path / "crate").exists()


def test_a_torn_journal_is_told_and_kept_as_it_is(world: World, tmp_path: Path) -> None:
    run = make_run(world, without=3)
    with (run.path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"sum": "12')
    report = export_crate(run, tmp_path / "crate")
    assert "cannot be read (a crash, or a damaged disk)" in report.notes[0]
    copied = (tmp_path / "crate" / "journal.jsonl").read_bytes()
    assert copied == (run.path / "journal.jsonl").read_bytes()
    metadata = json.loads((tmp_path / "crate" / "ro-crate-metadata.json").read_text())
    states = [item.get("actionStatus") for item in metadata["@graph"] if "actionStatus" in item]
    assert "http://schema.org/FailedActionStatus" in states


def test_a_record_without_names_keeps_journal_and_log_out(world: World, tmp_path: Path) -> None:
    run = make_run(world)
    export_crate(run, tmp_path / "first")  # writes the record
    data = json.loads(run.provenance.read_text())
    data["agent"] = {name: item for name, item in data["agent"].items() if ":user-" not in name}
    del data["actedOnBehalfOf"]
    run.provenance.write_text(json.dumps(data))
    report = export_crate(run, tmp_path / "crate")
    assert report.notes == (
        "the record names nobody: the journal and the log, which do, are left out",
    )
    for path in (tmp_path / "crate").rglob("*"):
        assert not path.is_file() or "mara" not in path.read_text()
