"""Events as they may be recorded: before the journal, and all that is made of it, has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpwf.core.redact import Redactor
from gpwf.core.runs import (
    AttemptFinished,
    Failure,
    Product,
    RunEvent,
    RunFinished,
    RunStarted,
    TaskCached,
    TaskNotRun,
)

__all__ = ["Privacy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """What must not be in the records of a run.

    Parameters
    ----------
    clean : Redactor
        Takes it out of texts.
    talk : Redactor, optional
        Takes it out of what tasks say, and of their errors; it may know more. `clean` by default.
    anonymous : bool
        True where the machine is left out.
    """

    clean: Redactor
    talk: Redactor | None = None
    anonymous: bool = False

    def event(self, event: RunEvent) -> RunEvent:
        """Return an event as it may be recorded: the same one where there is nothing to do."""
        clean = self.clean
        if isinstance(event, AttemptFinished):
            if event.failure is not None:
                event = replace(event, failure=self._failure(event.failure))
            if clean:
                event = replace(event, products=self._products(event.products))
            if self.anonymous:
                event = replace(event, resources=replace(event.resources, host=""))
        elif isinstance(event, TaskCached):
            if clean:
                event = replace(event, products=self._products(event.products))
        elif isinstance(event, (TaskNotRun, RunFinished)):
            if event.reason:
                event = replace(event, reason=clean(event.reason))
        elif isinstance(event, RunStarted) and clean:
            event = replace(
                event,
                command=tuple(map(clean, event.command)),
                environment=clean.known_data(event.environment),
                store=clean.known(event.store),
            )
        return event

    def record(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a task says as it may be recorded."""
        clean = self.talk or self.clean
        if not clean and record.get("event") == "task.progress":
            return record
        return {
            key: clean(value) if key in _TEXTS and type(value) is str else value
            for key, value in record.items()
        }

    def _failure(self, failure: Failure) -> Failure:
        clean = self.talk or self.clean
        return replace(
            failure,
            message=clean(failure.message),
            hint=clean(failure.hint) if failure.hint else failure.hint,
            traceback=clean(failure.traceback) if failure.traceback else failure.traceback,
            left=tuple(replace(item, name=clean(item.name)) for item in failure.left),
        )

    def _products(self, products: Mapping[str, Product]) -> dict[str, Product]:
        return {
            port: replace(item, summary=self.clean.known_data(item.summary))
            if item.summary
            else item
            for port, item in products.items()
        }


_TEXTS = frozenset({"message", "traceback", "logger"})
