"""Events as text: the same bytes as the encoder makes of their plain form."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpwf.core.codec import event_from_plain, event_to_plain
from gpwf.core.digests import Digest, TaskKey
from gpwf.core.event_text import event_text
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

DIGEST = Digest("a" * 64)
FILE = ProductFile(name='b "é".fits', digest=DIGEST, size=2**40, data_digest="b" * 64)
PRODUCTS = {
    "out": Product(
        kind="table", digest=DIGEST, files=(FILE, replace(FILE, name="\ud800")), summary={"n": 1.5}
    ),
    "empty": Product(kind="", digest=DIGEST, files=()),
}
INPUTS = {"in": (DIGEST, Digest("c" * 64)), "none": ()}
WHEN = {"time": "2026-03-14T09:26:53.123456Z", "clock_s": 12.25}
STARTED = AttemptStarted(
    **WHEN,
    task="fit[a=1]",
    attempt=1,
    attempt_id="u-1",
    key=TaskKey("k"),
    worker="w",
    inputs=INPUTS,
)
FINISHED = AttemptFinished(
    **WHEN,
    task="fit",
    attempt=2,
    attempt_id="u-2",
    key=TaskKey("k"),
    state=TaskState.OK,
    started="",
    ended="x",
    products=PRODUCTS,
    resources=Resources(wall_s=0.1, cpu_s=0.0, peak_rss_bytes=7, pid=3, host="é"),
)
EVENTS: list[RunEvent] = [
    STARTED,
    replace(STARTED, inputs={}),
    FINISHED,
    replace(FINISHED, products={}, retry=True, state=TaskState.OOM),
    replace(FINISHED, failure=Failure(kind="E", message="\x00 é", exit_code=1, traceback="t\n")),
    TaskCached(
        **WHEN,
        task="fit",
        attempt_id="u-3",
        key=TaskKey("k"),
        products=PRODUCTS,
        made_by_run="r",
        made_by_attempt="u-1",
        made_started="s",
        made_ended="e",
        inputs=INPUTS,
    ),
    TaskNotRun(**WHEN, task="a", state=TaskState.BLOCKED, reason="b failed"),
    RunStarted(**WHEN, run_id="r", plan_digest=DIGEST, workflow="w", environment={"cpus": 2}),
    RunFinished(**WHEN, state=RunState.OK, counts={"ok": 2}),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_the_text_is_that_of_the_encoder(event: RunEvent) -> None:
    text = event_text(event)
    assert text == json.dumps(event_to_plain(event))
    assert event_from_plain(json.loads(text)) == event


@given(
    text=st.text(),
    number=st.floats() | st.integers(-(2**60), 2**60),
    whole=st.integers(),
    retry=st.booleans(),
)
def test_any_values_are_written_as_the_encoder_writes_them(
    text: str, number: float, whole: int, retry: bool
) -> None:
    used = Resources(wall_s=number, cpu_s=-0.0, peak_rss_bytes=whole, pid=whole, host=text)
    made = {text: Product(kind=text, digest=Digest(text), files=(FILE,), summary={text: [whole]})}
    event = replace(
        FINISHED, clock_s=number, task=text, time=text, products=made, resources=used, retry=retry
    )
    assert event_text(event) == json.dumps(event_to_plain(event))
    begun = replace(STARTED, task=text, clock_s=number, worker=text, inputs={text: (Digest(text),)})
    assert event_text(begun) == json.dumps(event_to_plain(begun))
