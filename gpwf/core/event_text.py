"""Events → JSON text, the same that `json` makes of `gpwf.core.codec.event_to_plain`.

A run of small tasks writes two events for each; making plain data first and an encoder for each
takes three times as long as putting the text together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from gpwf.core.codec import event_to_plain, to_plain
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    Resources,
    RunEvent,
    TaskCached,
)

__all__ = ["event_text"]

_dumps = json.JSONEncoder(ensure_ascii=True).encode


def event_text(event: RunEvent) -> str:
    """Return an event as ASCII JSON text.

    Parameters
    ----------
    event : RunEvent
        Any event.
    """
    kind = type(event)
    if kind is AttemptFinished:
        assert isinstance(event, AttemptFinished)
        return _finished(event)
    if kind is AttemptStarted:
        assert isinstance(event, AttemptStarted)
        return (
            f'{{"event": "attempt.started", "time": {quote(event.time)}, '
            f'"clock_s": {_number(event.clock_s)}, "task": {quote(event.task)}, '
            f'"attempt": {event.attempt:d}, "attempt_id": {quote(event.attempt_id)}, '
            f'"key": {quote(event.key)}, "worker": {quote(event.worker)}, '
            f'"inputs": {_digests(event.inputs)}}}'
        )
    if kind is TaskCached:
        assert isinstance(event, TaskCached)
        return (
            f'{{"event": "task.cached", "time": {quote(event.time)}, '
            f'"clock_s": {_number(event.clock_s)}, "task": {quote(event.task)}, '
            f'"attempt_id": {quote(event.attempt_id)}, "key": {quote(event.key)}, '
            f'"products": {_products(event.products)}, '
            f'"made_by_run": {quote(event.made_by_run)}, '
            f'"made_by_attempt": {quote(event.made_by_attempt)}, '
            f'"made_started": {quote(event.made_started)}, '
            f'"made_ended": {quote(event.made_ended)}, "inputs": {_digests(event.inputs)}}}'
        )
    return _dumps(event_to_plain(event))


def _finished(event: AttemptFinished) -> str:
    failure = "null" if event.failure is None else _dumps(to_plain(event.failure))
    return (
        f'{{"event": "attempt.finished", "time": {quote(event.time)}, '
        f'"clock_s": {_number(event.clock_s)}, "task": {quote(event.task)}, '
        f'"attempt": {event.attempt:d}, "attempt_id": {quote(event.attempt_id)}, '
        f'"key": {quote(event.key)}, "state": {quote(event.state.value)}, '
        f'"started": {quote(event.started)}, "ended": {quote(event.ended)}, '
        f'"products": {_products(event.products)}, "failure": {failure}, '
        f'"resources": {_resources(event.resources)}, '
        f'"retry": {"true" if event.retry else "false"}}}'
    )


def _number(value: float) -> str:
    """Return a number; what is not finite has no name in JSON but the one that `json` gives it."""
    return repr(value) if type(value) is int or value - value == 0.0 else _dumps(value)


def _digests(items: Mapping[str, Sequence[str]]) -> str:
    if not items:
        return "{}"
    texts = [
        f"{quote(port)}: [{', '.join([quote(item) for item in digests])}]"
        for port, digests in items.items()
    ]
    return f"{{{', '.join(texts)}}}"


def _products(products: Mapping[str, Product]) -> str:
    if not products:
        return "{}"
    texts = []
    for port, item in products.items():
        files = [
            f'{{"name": {quote(file.name)}, "digest": {quote(file.digest)}, '
            f'"size": {file.size:d}, "data_digest": {quote(file.data_digest)}}}'
            for file in item.files
        ]
        summary = _summary(item.summary) if item.summary else "{}"
        texts.append(
            f'{quote(port)}: {{"kind": {quote(item.kind)}, "digest": {quote(item.digest)}, '
            f'"files": [{", ".join(files)}], "summary": {summary}}}'
        )
    return f"{{{', '.join(texts)}}}"


def _summary(values: Mapping[str, Any]) -> str:
    """Return a mapping, which has a few numbers and words as a rule."""
    texts = []
    for key, value in values.items():
        kind = type(value)
        if type(key) is not str or kind not in (int, float, str):
            return _dumps(to_plain(values))
        texts.append(f"{quote(key)}: {quote(value) if kind is str else _number(value)}")
    return f"{{{', '.join(texts)}}}"


def _resources(used: Resources) -> str:
    return (
        f'{{"wall_s": {_number(used.wall_s)}, "cpu_s": {_number(used.cpu_s)}, '
        f'"peak_rss_bytes": {used.peak_rss_bytes:d}, "pid": {used.pid:d}, '
        f'"host": {quote(used.host)}}}'
    )
