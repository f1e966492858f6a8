"""The loop of a run: what is ready goes to the executor, what ends comes back as events."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpwf.compiler.keys import task_key
from gpwf.core.coordinates import listed
from gpwf.core.digests import Digest, TaskKey
from gpwf.core.event_redaction import Privacy
from gpwf.core.plan import Plan, Task, TaskAlias
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)
from gpwf.core.spec import StepPolicy
from gpwf.errors import GpwfError
from gpwf.run.capture import utc_now
from gpwf.run.executors.base import Executor, Freed, Message, Outcome, Told, Wish
from gpwf.run.interrupts import Interrupts
from gpwf.run.jobs import Flight, JobMaker, RunHeader
from gpwf.run.journal import Journal
from gpwf.run.made import MadeProducts
from gpwf.run.pauses import Pauses
from gpwf.run.rundir import RunDirectory
from gpwf.run.scheduler import NotRun, Scheduler
from gpwf.run.showing import Shows
from gpwf.store.results import StoredResult
from gpwf.store.store import Store

__all__ = ["Driver"]

_LISTEN_S = 1.0
_CANCEL_S = 15.0
_PUBLISH_S = 3.0
_SOON_S = 0.1
_LOOK_EVERY_S = 0.2
_GOOD = frozenset({TaskState.OK, TaskState.CACHED, TaskState.SKIPPED})
_FAILURES = frozenset({TaskState.FAILED, TaskState.TIMEOUT, TaskState.OOM, TaskState.LOST})


@dataclass(slots=True, kw_only=True)
class Driver:
    """One execution of a plan.

    Parameters
    ----------
    plan, store, rundir, executor, header, on_event, on_log
        See `gpwf.run.engine.execute`.
    journal : Journal
        Where events are written first.
    scheduler : Scheduler
        Over the tasks that are wanted.
    jobs : JobMaker
        Makes what workers get.
    showing : Shows
        Gives products readable names.
    forced : frozenset of str
        Ids of tasks whose stored results are not used.
    privacy : Privacy
        What must not be in an event.
    """

    plan: Plan
    store: Store
    rundir: RunDirectory
    executor: Executor
    journal: Journal
    scheduler: Scheduler
    header: RunHeader
    jobs: JobMaker
    showing: Shows
    on_event: tuple[Callable[[RunEvent], None], ...]
    on_log: Callable[[Mapping[str, Any]], None] | None
    forced: frozenset[str]
    privacy: Privacy
    states: dict[str, TaskState] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)  # those that were not the last
    flights: dict[str, Flight] = field(default_factory=dict)
    publishing: set[str] = field(default_factory=set)  # attempts that computed
    limited: dict[str, StepPolicy] = field(default_factory=dict)  # by attempt
    look_at_s: float = 0.0  # when limits are looked after next
    by_key: dict[TaskKey, list[str]] = field(default_factory=dict)
    done_keys: set[TaskKey] = field(default_factory=set)  # of tasks whose results are not used
    tolerated: set[str] = field(default_factory=set)
    pauses: Pauses = field(default_factory=Pauses)
    tasks: dict[str, Task] = field(init=False)
    made: MadeProducts = field(init=False)
    aliases: dict[str, list[TaskAlias]] = field(default_factory=dict)
    end: RunFinished | None = None

    def __post_init__(self) -> None:
        self.tasks = {task.id: task for task in self.plan.tasks}
        self.made = MadeProducts(self.plan, self.store.results)
        for alias in self.plan.aliases:
            self.aliases.setdefault(alias.task, []).append(alias)

    def drive(self, plan_digest: Digest, interrupts: Interrupts) -> None:
        """Run until every task has come to an end."""
        self.emit(
            RunStarted(
                **_now(),
                run_id=self.header.run_id,
                plan_digest=plan_digest,
                workflow=self.plan.name,
                command=self.header.command,
                agent=self.header.agent,
                environment=self.header.environment,
                store=str(self.store.root),
                jobs=self.executor.capacity,
            )
        )
        try:
            while not self.scheduler.is_finished and not interrupts.received:
                self._start_ready(interrupts)
                if self.flights or self.pauses:
                    self.journal.sync_if_due()
                    self.showing.flush()
                    patience = min(_LISTEN_S, self.journal.due_s, self.pauses.due_s)
                    self._take_in(self.executor.wait(patience))
                    self._hold_limits()
                for name in self.pauses.over():
                    self.scheduler.resume(name)
            if not self.scheduler.is_finished:
                self._cancel(interrupts)
            self.showing.finish()
        except GpwfError as error:
            self._give_up(error)
            raise
        self._finish(interrupts.received)

    def emit(self, event: RunEvent) -> None:
        """Tell everybody, the journal first."""
        event = self.privacy.event(event)
        self.journal.append(event)
        for listener in self.on_event:
            listener(event)

    def _start_ready(self, interrupts: Interrupts) -> None:
        self.scheduler.ahead = self.executor.ahead
        while not interrupts.received and (name := self.scheduler.take()) is not None:
            task = self.made.gathered(self.tasks[name])
            absent = self.made.absent(task)
            if absent:
                self._tell_not_run((NotRun(task=name, state=TaskState.SKIPPED, reason=absent),))
                self._tell_not_run(self.scheduler.finish(name, TaskState.SKIPPED).not_run)
                continue
            inputs = self.made.inputs(task)
            digests = {port: tuple(item.digest for item in inputs[port]) for port in inputs}
            key = task_key(task, digests)
            if key in self.by_key:  # the same computation runs now: take its result
                self.by_key[key].append(name)
                self.scheduler.hold(name)
                continue
            found = self._stored(task, key)
            if found is not None:
                self._cached(task, key, found, digests)
            else:
                self._submit(task, key, inputs, digests)

    def _stored(self, task: Task, key: TaskKey) -> StoredResult | None:
        """Return the whole result of a key; damaged objects are set aside."""
        if key not in self.done_keys and (task.id in self.forced or not task.policy.cache):
            return None
        result = self.store.use(key)  # says that it is in use, for `gpwf gc`
        needed = {port.name for port in task.output_ports if not port.optional}
        return result if result is not None and needed <= set(result.products) else None

    def _cached(
        self,
        task: Task,
        key: TaskKey,
        found: StoredResult,
        inputs: Mapping[str, tuple[Digest, ...]],
    ) -> None:
        self.emit(
            TaskCached(
                **_now(),
                task=task.id,
                attempt_id=str(uuid.uuid4()),
                key=key,
                products=found.products,
                made_by_run=found.run_id,
                made_by_attempt=found.attempt_id,
                made_started=found.started,
                made_ended=found.ended,
                inputs=inputs,
            )
        )
        self._settle(task, key, TaskState.CACHED, found.products)

    def _submit(
        self,
        task: Task,
        key: TaskKey,
        inputs: Mapping[str, tuple[Product, ...]],
        digests: Mapping[str, tuple[Digest, ...]],
    ) -> None:
        flight = Flight(
            task=task,
            attempt=self.attempts[task.id] + 1 if task.id in self.attempts else 1,
            attempt_id=str(uuid.uuid4()),
            key=key,
            started=utc_now(),
        )
        self.flights[flight.attempt_id] = flight
        if task.policy.limit_s is not None or task.policy.memory_bytes is not None:
            self.limited[flight.attempt_id] = task.policy
        self.by_key[key] = []
        self.emit(
            AttemptStarted(
                **_now(),
                task=task.id,
                attempt=flight.attempt,
                attempt_id=flight.attempt_id,
                key=key,
                worker=self.executor.name,
                inputs=digests,
            )
        )
        self.executor.submit(self.jobs.job(flight, inputs))

    def _take_in(self, items: Sequence[Told]) -> None:
        for item in items:
            match item:
                case Message():
                    if self.on_log is not None:
                        self.on_log(self.privacy.record(item.record))
                case Freed():
                    self.publishing.add(item.attempt_id)
                    self.scheduler.hold(self.flights[item.attempt_id].task.id)
                case Wish():
                    name = self.flights[item.attempt_id].task.id
                    lent = self.scheduler.lend(name, item.cores)
                    if item.cores > 0:
                        self.executor.grant(item.attempt_id, lent)
                case Outcome():
                    self.publishing.discard(item.attempt_id)
                    self.limited.pop(item.attempt_id, None)
                    self._ended(self.flights.pop(item.attempt_id), item)

    def _hold_limits(self) -> None:
        """End the tasks that take more time or memory than they may."""
        if not self.limited or time.monotonic() < self.look_at_s:
            return
        self.look_at_s = time.monotonic() + _LOOK_EVERY_S
        for attempt_id, policy in self.limited.items():
            taken_s = self.executor.running_s(attempt_id)
            if policy.limit_s is not None and taken_s > policy.limit_s:
                self.executor.cancel(attempt_id, TaskState.TIMEOUT)
            elif policy.memory_bytes is not None:
                held = self.executor.resident_bytes(attempt_id)
                if held is not None and held > policy.memory_bytes:
                    self.executor.cancel(attempt_id, TaskState.OOM)

    def _ended(self, flight: Flight, outcome: Outcome) -> None:
        """Take in the end of an attempt."""
        task, failure = flight.task, outcome.failure
        twins = self.by_key.pop(flight.key)
        makers = self.made.makers(task, outcome.damaged)
        again = bool(makers) and self.scheduler.reopen(task.id, makers)
        if again:  # what they made before was not the last
            self.attempts.update(name for name in makers if self.states[name] is TaskState.OK)
        if not again and outcome.state is not TaskState.OK:
            decision = self.scheduler.finish(
                task.id, outcome.state, transient=failure is not None and failure.transient
            )
            again, not_run = decision.retry, decision.not_run
            if decision.failures:
                self.pauses.begin(task.id, decision.failures)
        else:
            not_run = ()
        self._tell_end(flight, outcome, retry=again)
        if outcome.state is TaskState.OK:
            self._settle(task, flight.key, TaskState.OK, outcome.products)
        elif not again:
            self.states[task.id] = outcome.state
        self._tell_not_run(not_run)
        for twin in twins:
            if self.scheduler.state(twin) is TaskState.RUNNING:
                self.scheduler.put_back(twin)

    def _settle(
        self, task: Task, key: TaskKey, state: TaskState, products: Mapping[str, Product]
    ) -> None:
        """Go on below a task that has products."""
        if task.id in self.forced or not task.policy.cache:
            self.done_keys.add(key)
        self.made.add(task.id, key, products)
        self.states[task.id] = state
        for name in (task, *self.aliases.get(task.id, ())):
            self.showing.show(name, products)
        self.scheduler.finish(task.id, state)
        self.made.used_by(task)

    def _tell_end(self, flight: Flight, outcome: Outcome, *, retry: bool) -> None:
        if retry:
            self.attempts[flight.task.id] = flight.attempt
        self.emit(
            AttemptFinished(
                **_now(),
                task=flight.task.id,
                attempt=flight.attempt,
                attempt_id=flight.attempt_id,
                key=flight.key,
                state=outcome.state,
                started=outcome.started or flight.started,
                ended=outcome.ended or utc_now(),
                products=outcome.products,
                failure=outcome.failure,
                resources=outcome.resources,
                retry=retry,
            )
        )

    def _tell_not_run(self, items: Sequence[NotRun]) -> None:
        for item in items:
            self.states[item.task] = item.state
            if item.tolerated:
                self.tolerated.add(item.task)
            self.emit(TaskNotRun(**_now(), task=item.task, state=item.state, reason=item.reason))

    def _cancel(self, interrupts: Interrupts) -> None:
        """End what runs; cancel what waits. At the second signal nothing is waited for."""
        self._tell_not_run(self.scheduler.stop(f"interrupted by {interrupts.received}"))
        # what was computed is in the store in a moment
        deadline = time.monotonic() + _PUBLISH_S
        while self.publishing and time.monotonic() < deadline and interrupts.count < 2:
            self._take_in(self.executor.wait(_SOON_S))
        for flight in list(self.flights.values()):
            self.executor.cancel(flight.attempt_id)
        deadline = time.monotonic() + _CANCEL_S
        while self.flights and time.monotonic() < deadline and interrupts.count < 2:
            self._take_in(self.executor.wait(_LISTEN_S))
        self.executor.close()
        self._abandon(f"interrupted by {interrupts.received}")

    def _give_up(self, error: GpwfError) -> None:
        """Write down the end of a run that cannot go on, as far as that is still possible."""
        self.executor.close()
        with contextlib.suppress(GpwfError):
            self.showing.finish()
        with contextlib.suppress(GpwfError):
            self._abandon(error.message)
            self._finish("", RunState.FAILED, error.message)

    def _abandon(self, reason: str) -> None:
        """Write down as cancelled whatever has not come to an end."""
        for flight in list(self.flights.values()):
            del self.flights[flight.attempt_id]
            self._tell_end(
                flight,
                Outcome(attempt_id=flight.attempt_id, state=TaskState.CANCELLED),
                retry=False,
            )
            self.states[flight.task.id] = TaskState.CANCELLED
        self._tell_not_run(self.scheduler.stop(reason))
        for name in self.scheduler.running:
            if name not in self.states:
                self._tell_not_run((NotRun(task=name, state=TaskState.CANCELLED, reason=reason),))

    def _finish(self, interrupted: str, state: RunState | None = None, reason: str = "") -> None:
        counts = Counter(item.value for item in self.states.values())
        tolerates = self.scheduler.tolerates
        allowed = {name for name, item in self.states.items() if item in _FAILURES}
        bad = [name for name in allowed if not tolerates(name)]
        allowed.difference_update(bad)
        allowed |= self.tolerated
        if state is None:
            good = all(item in _GOOD or name in allowed for name, item in self.states.items())
            state = RunState.OK if good else RunState.FAILED
            if interrupted and not good:
                state, reason = RunState.CANCELLED, f"interrupted by {interrupted}"
            elif bad:
                reason = f"failed: {listed(bad)}"
        self.end = RunFinished(**_now(), state=state, reason=reason, counts=dict(counts))
        self.emit(self.end)


def _now() -> dict[str, Any]:
    return {"time": utc_now(), "clock_s": time.monotonic()}
