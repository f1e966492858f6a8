"""What workers get: jobs made from tasks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpwf.core.digests import TaskKey
from gpwf.core.plan import Plan, PlannedFile, Task
from gpwf.core.runs import Product
from gpwf.run.executors.base import Job
from gpwf.run.rundir import RunDirectory
from gpwf.store.store import Store

__all__ = ["Flight", "JobMaker", "RunHeader"]


_NO_FILES: Mapping[str, PlannedFile] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What the first event of a run says about who runs it and where.

    Parameters
    ----------
    run_id : str
        UUID; a new one by default.
    command : tuple of str
        Command line, redacted.
    agent, environment : mapping
        See `gpwf.core.runs.RunStarted`.
    """

    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    command: tuple[str, ...] = ()
    agent: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A task that was handed to the executor."""

    task: Task
    attempt: int
    attempt_id: str
    key: TaskKey
    started: str


class JobMaker:
    """Makes the jobs of one run.

    Parameters
    ----------
    plan, store, rundir, header, catalog, formats, log_level
        See `gpwf.run.engine.execute`.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        store: Store,
        rundir: RunDirectory,
        header: RunHeader,
        catalog: str,
        formats: str,
        log_level: str,
    ) -> None:
        self._tasks = {task.id: task for task in plan.tasks}
        self._rundir = rundir
        self._same: dict[str, Any] = {
            "run_id": header.run_id,
            "store": str(store.root),
            "catalog": catalog,
            "formats": formats,
            "log_level": log_level,
        }
        self._above: dict[str, Mapping[str, PlannedFile]] = {}
        self._own: dict[int, Mapping[str, PlannedFile]] = {}

    def job(self, flight: Flight, inputs: Mapping[str, tuple[Product, ...]]) -> Job:
        """Return the job of an attempt whose inputs are known."""
        task = flight.task
        return Job(
            attempt_id=flight.attempt_id,
            task=task.id,
            step=task.step,
            tag=task.tag,
            attempt=flight.attempt,
            key=flight.key,
            settings=dict(task.settings),
            inputs=dict(inputs),
            input_ports=task.input_ports,
            output_ports=task.output_ports,
            files=task.files,
            known_files=tuple(self._files_above(task.id).values()),
            work_dir=str(self._rundir.attempt_folder(task.id, flight.attempt)),
            n_jobs=task.policy.n_jobs,
            labels=task.labels,
            stream=task.stream,
            memory_bytes=task.policy.memory_bytes,
            **self._same,
        )

    def _files_above(self, name: str) -> Mapping[str, PlannedFile]:
        """Return the external files that the tasks above one read, by path.

        Tasks that have the same above them share one mapping: in most plans few tasks read files.
        """
        missing = [name]
        while missing:
            task = missing[-1]
            open_ = [up for up in self._tasks[task].upstream if up not in self._above]
            if open_:
                missing += open_
                continue
            missing.pop()
            if task not in self._above:
                self._above[task] = self._joined(self._tasks[task].upstream)
        return self._above[name]

    def _joined(self, upstream: Sequence[str]) -> Mapping[str, PlannedFile]:
        parts: dict[int, Mapping[str, PlannedFile]] = {}
        for up in upstream:
            own = self._tasks[up].files
            if own:
                of_own = self._own.setdefault(id(own), {item.path: item for item in own})
                parts[id(of_own)] = of_own
            if self._above[up]:
                parts[id(self._above[up])] = self._above[up]
        if len(parts) < 2:
            return next(iter(parts.values()), _NO_FILES)
        files: dict[str, PlannedFile] = {}
        for part in parts.values():
            files.update(part)
        return files
