"""Core dataclasses survive the way through JSON, and damage is refused."""

from __future__ import annotations

import json

import pytest

from gpwf.core.codec import event_from_plain, event_to_plain, from_plain, to_plain
from gpwf.core.digests import Digest, TaskKey
from gpwf.core.plan import Plan, PlannedFile, PlannedStep, Task, TaskOutput
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Failure,
    Product,
    ProductFile,
    Resources,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)
from gpwf.core.spec import Port, StepPolicy

KEY = TaskKey("k" * 64)
DIGEST = Digest("d" * 64)
PRODUCT = Product(
    kind="models",
    digest=DIGEST,
    files=(ProductFile(name="a/models.yaml", digest=DIGEST, size=3),),
    summary={"n": 1},
)
EVENTS: list[RunEvent] = [
    RunStarted(
        time="t",
        clock_s=0.0,
        run_id="r",
        plan_digest=DIGEST,
        workflow="w",
        command=("gpwf", "run"),
        agent={"user": "u"},
        environment={"python": "3"},
        jobs=2,
    ),
    TaskCached(
        time="t",
        clock_s=1.0,
        task="a",
        attempt_id="x",
        key=KEY,
        products={"models": PRODUCT},
        made_by_run="r0",
        made_by_attempt="x0",
        made_started="t0",
        made_ended="t1",
        inputs={"datasets": (DIGEST, DIGEST)},
    ),
    AttemptStarted(time="t", clock_s=2.0, task="b", attempt=1, attempt_id="y", key=KEY),
    AttemptFinished(
        time="t",
        clock_s=3.0,
        task="b",
        attempt=1,
        attempt_id="y",
        key=KEY,
        state=TaskState.FAILED,
        started="s",
        ended="e",
        failure=Failure(kind="StepError", message="no", hint="do", signal=9),
        resources=Resources(wall_s=1.5, cpu_s=1, peak_rss_bytes=7, pid=1, host="h"),
        retry=True,
    ),
    TaskNotRun(time="t", clock_s=4.0, task="c", state=TaskState.BLOCKED, reason="b failed"),
    RunFinished(time="t", clock_s=5.0, state=RunState.FAILED, counts={"failed": 1}),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_event_round_trip_through_json(event: RunEvent) -> None:
    text = json.dumps(event_to_plain(event))
    assert event_from_plain(json.loads(text)) == event


def test_plan_round_trip_through_json() -> None:
    task = Task(
        id="fit",
        step="fit",
        tag="fit",
        version="1",
        settings={"fit_range": {"min": "1.0 TeV", "max": None}, "list": [1, 2.5, "a"]},
        types={"fit_range.min": "energy"},
        origins={"fit_range.min": ("workflow", "w.yaml:3:4")},
        inputs={"datasets": (TaskOutput(task="d", product="datasets"),)},
        input_ports=(Port(name="datasets", kind="datasets", multiple=True),),
        output_ports=(Port(name="models", kind="models"),),
        files=(PlannedFile(setting="file", name="m", path="/m", digest=DIGEST, size=1),),
        policy=StepPolicy(n_jobs=2, timeout_s=1.5),
    )
    plan = Plan(
        name="w",
        workflow_digest=DIGEST,
        tasks=(task,),
        steps=(PlannedStep(name="fit", tag="fit", title="Fit", axes={"seed": 3}),),
        outputs={"models": (TaskOutput(task="fit", product="models"),)},
    )
    assert from_plain(Plan, json.loads(json.dumps(to_plain(plan)))) == plan


def test_unknown_keys_of_a_newer_version_are_passed_over() -> None:
    data = to_plain(ProductFile(name="a", digest=DIGEST, size=1)) | {"colour": "blue"}
    assert from_plain(ProductFile, data) == ProductFile(name="a", digest=DIGEST, size=1)


@pytest.mark.parametrize(
    "data",
    [{"name": 3, "digest": "d", "size": 1}, {"name": "a", "digest": "d", "size": "1"}, [], "text"],
)
def test_damaged_data_is_refused(data: object) -> None:
    with pytest.raises(TypeError):
        from_plain(ProductFile, data)


def test_unknown_event_is_refused() -> None:
    with pytest.raises(KeyError):
        event_from_plain({"event": "task.teleported"})


def test_a_value_without_plain_form_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        to_plain({"a": {1, 2}})
