"""What a run tells about itself before its first task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpwf.api import execution, recording
from gpwf.api.runs import Run
from gpwf.api.selection import Selection
from gpwf.core.digests import digest_bytes
from gpwf.core.plan import Plan
from gpwf.core.runs import RunFinished, RunStarted, RunState
from gpwf.errors import ProvenanceError
from gpwf.run.engine import RunHeader
from gpwf.run.executors.local import LocalExecutor
from gpwf.run.journal import Journal
from gpwf.run.rundir import RunDirectory
from gpwf.store.store import Store

_AT: dict[str, Any] = {"time": "2026-11-21T03:00:00Z", "clock_s": 1.5}


def execute(
    plan: Plan, *, rundir: RunDirectory, header: RunHeader, on_event: Any, **_: Any
) -> None:
    """Stand in for the engine: a run without tasks."""
    with Journal(rundir.journal) as journal:
        started = RunStarted(
            **_AT,
            run_id=header.run_id,
            plan_digest=rundir.freeze(plan),
            workflow=plan.name,
            environment=header.environment,
        )
        for event in (started, RunFinished(**_AT, state=RunState.OK)):
            journal.append(event)
            for listener in on_event:
                listener(event)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(execution, "execute", execute)
    plan = Plan(name="crab", workflow_digest=digest_bytes(b""), tasks=(), steps=())
    return execution.Execution(
        selection=Selection(plan=plan),
        text="",
        store=Store(tmp_path / "store"),
        run_dir=tmp_path / "run",
        executor=LocalExecutor(1),
        fail_fast=False,
        console="off",
        command=(),
        listeners=(),
    ).run


def test_the_threads_of_the_workers_are_recorded(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    threads = run().events[0].environment["threads"]
    assert threads["OMP_NUM_THREADS"] == "1"
    assert threads["OPENBLAS_NUM_THREADS"] == "3"


def test_the_record_of_an_earlier_run_in_the_same_folder_is_kept(run: Any) -> None:
    ids = []
    for _ in range(3):
        made: Run = run()
        ids.append(made.view.run_id)
    folder = made.provenance.parent
    records = [folder / "earlier-1.json", folder / "earlier-2.json", made.provenance]
    for run_id, record in zip(ids, records, strict=True):
        assert f"gpwf:run-{run_id}" in json.loads(record.read_text())["activity"]


def test_the_record_written_as_the_run_goes_is_that_of_its_journal(run: Any) -> None:
    made: Run = run()
    written = made.provenance.read_bytes()
    made.provenance.unlink()
    assert recording.write_provenance(made).read_bytes() == written


@pytest.mark.parametrize("method", ["__init__", "apply", "finish"])
def test_a_record_that_fails_is_made_from_the_journal(
    run: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The disk was full for a moment."""

    class Full(recording.RecordWriter):
        pass

    def full(*_: Any, **__: Any) -> None:
        raise ProvenanceError("no space left on device")

    setattr(Full, method, full)
    monkeypatch.setattr(recording, "RecordWriter", Full)
    made: Run = run()
    written = json.loads(made.provenance.read_text())
    assert f"gpwf:run-{made.view.run_id}" in written["activity"]
    assert [item.name for item in made.provenance.parent.iterdir()] == ["prov.json"]
