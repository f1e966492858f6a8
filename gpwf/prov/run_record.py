"""A run as provenance: a fold over its events that keeps no event.

The record of an attempt is complete with its last event: it is written then and forgotten. What
is kept is one state per task, and the products that other tasks use.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gpwf.core.plan import Plan, Task, TaskAlias
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)
from gpwf.errors import ProvenanceError
from gpwf.prov.attempt_logs import AttemptLogs, AttemptName, record_attempt_logs
from gpwf.prov.context import RunContext
from gpwf.prov.included import ChildRuns
from gpwf.prov.plans import record_documents, record_included, record_step
from gpwf.prov.recorder import Recorder, parse_time
from gpwf.prov.run_activity import RunEnd, record_engine, record_run
from gpwf.prov.tasks import record_attempt, record_cached
from gpwf.prov.vocabulary import local_id

__all__ = ["RunRecord"]


class RunRecord:
    """Records one run: its events in order, then its end.

    Parameters
    ----------
    recorder : Recorder
        Takes the records.
    plan : Plan
        The frozen plan of the run.
    live : bool
        True where a driver still works on the run. Otherwise a journal without an end says that
        the run was interrupted.
    """

    def __init__(self, recorder: Recorder, plan: Plan, *, live: bool = False) -> None:
        self._recorder = recorder
        self._plan = plan
        self._live = live
        self._started: RunStarted | None = None
        self._finished: RunFinished | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin without anything that happened."""
        self._context: RunContext | None = None
        self._finished = None
        self._states: dict[str, TaskState] = {}  # of tasks with an attempt or a cached result
        self._left: dict[str, TaskNotRun] = {}  # the others that something was told of
        self._open: dict[str, tuple[Task, AttemptStarted, str | None]] = {}
        self._last: dict[str, str] = {}  # last attempt of tasks that may have another one
        self._attempts: dict[AttemptName, str] = {}  # their ids, for the logs
        self._earliest: datetime | None = None
        self._first = ""  # the text of it
        self._stray = ""  # a task that is not in the plan

    def apply(self, event: RunEvent) -> None:
        """Take one event in.

        Where a run directory was used again the journal tells of several runs: the last one
        counts, which is the one of the plan.
        """
        context = self._context
        if type(event) is AttemptFinished and context is not None and not self._stray:
            found = self._open.pop(event.attempt_id, None)
            if found is not None:  # most of what is told
                self._finish_attempt(context, event, *found)
                return
        if isinstance(event, RunStarted):
            self._start(event)
            return
        if context is None or self._stray:
            return
        if isinstance(event, RunFinished):
            self._finished = event
            self._meet(event.time)
            return
        assert isinstance(event, (AttemptFinished, AttemptStarted, TaskCached, TaskNotRun))
        try:
            task = self._plan.task(event.task)
        except KeyError:
            self._stray = event.task  # no harm where another run follows
            return
        if isinstance(event, AttemptFinished):
            return  # nothing said that it began
        if isinstance(event, AttemptStarted):
            self._meet(event.time)
            self._left.pop(task.id, None)
            self._states[task.id] = TaskState.RUNNING
            self._open[event.attempt_id] = task, event, self._last.get(task.id)
            name = task.id if event.attempt == 1 else (task.id, event.attempt)
            self._attempts[name] = event.attempt_id
            self._last[task.id] = event.attempt_id
        elif isinstance(event, TaskCached):
            self._meet(event.time)
            self._left.pop(task.id, None)
            self._states[task.id] = TaskState.CACHED
            by_this_run = event.made_by_attempt in self._open
            record_cached(context, task, event, by_this_run=by_this_run)
        elif task.id in self._states:
            self._states[task.id] = event.state
        else:
            self._left[task.id] = event

    def finish(
        self,
        *,
        workflow_text: str | None = None,
        plan_digest: str | None = None,
        log_digests: Mapping[str, str] | None = None,
        journal_sum: str = "",
        attempt_logs: AttemptLogs | None = None,
    ) -> None:
        """Record what was open, and the run.

        Parameters
        ----------
        workflow_text : str, optional
            The document as given; kept in the record without what looks like a secret.
        plan_digest : str, optional
            SHA-256 of ``plan.json``; the one in the journal by default.
        log_digests : mapping of str to str, optional
            SHA-256 of the log and of the journal, by file name.
        journal_sum : str
            Last sum of the chain of the journal.
        attempt_logs : mapping, optional
            What the log has of each attempt, see `gpwf.prov.attempt_logs.read_attempt_logs`.

        Raises
        ------
        ProvenanceError
            Where no event said that the run started, or one told of a task that is not in the
            plan.
        """
        started, context = self._started, self._context
        if started is None or context is None:
            raise ProvenanceError(
                "the journal does not say that the run started, so there is nothing to record",
                hint="look into journal.jsonl of the run directory; run the workflow again",
            )
        if self._stray:
            raise ProvenanceError(
                f"the journal tells of task {self._stray!r}, which is not in the plan",
                hint="plan and journal must come from the same run directory",
            )
        for task, begun, earlier in self._open.values():
            record_attempt(context, task, begun, None, earlier)
        end = RunEnd(
            started=started,
            state=self._finished.state if self._finished else RunState.RUNNING,
            reason=self._finished.reason if self._finished else "",
            ended=self._finished.time if self._finished else "",
            earliest=self._earliest,
            states=self._states,
            left=self._left,
        )
        record_run(
            context,
            end,
            plan_digest or started.plan_digest,
            workflow_text,
            log_digests or {},
            journal_sum,
        )
        record_attempt_logs(context, started.run_id, self._attempts, attempt_logs or {})

    def _start(self, event: RunStarted) -> None:
        if self._context is not None:
            self._recorder.reset()
            self._forget()
        self._started = event
        plan, recorder = self._plan, self._recorder
        run = local_id("run", event.run_id)
        examples = {task.step: task for task in reversed(plan.tasks)}
        for alias in plan.aliases:
            examples.setdefault(alias.step, plan.task(alias.task))
        documents = record_documents(recorder, plan)
        steps = {
            step.name: record_step(recorder, step, examples.get(step.name)) for step in plan.steps
        }
        self._context = RunContext(
            recorder=recorder,
            plan=plan,
            run=run,
            engine=record_engine(recorder, event),
            steps=steps,
            included=record_included(recorder, plan.workflows, steps, documents),
            documents=documents,
            children=ChildRuns(plan, run, event.run_id) if plan.workflows else None,
            live=self._live,
            outputs=_results(plan),
            aliases=_aliases(plan),
            wanted=frozenset(
                ref.task for task in plan.tasks for refs in task.inputs.values() for ref in refs
            ),
        )

    def _finish_attempt(
        self,
        context: RunContext,
        event: AttemptFinished,
        task: Task,
        begun: AttemptStarted,
        earlier: str | None,
    ) -> None:
        self._states[task.id] = TaskState.WAITING if event.retry else event.state
        self._meet(event.started)
        record_attempt(context, task, begun, event, earlier)
        # A product that is found damaged is made again, so its maker may have another attempt.
        if not event.retry and task.id not in context.wanted:
            self._last.pop(task.id, None)

    def _meet(self, time: str) -> None:
        """Keep the earliest moment of the run."""
        if time >= self._first and time[-1:] == "Z" and len(time) == len(self._first):
            return  # both in UTC, as the engine writes them: no need to take them apart
        moment = parse_time(time)
        if moment is not None and (self._earliest is None or moment < self._earliest):
            self._earliest = moment
            self._first = time if time.endswith("Z") else ""


def _results(plan: Plan) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the names of results that every product is, by port and task."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, refs in plan.outputs.items():
        alone = (name,)
        for port, task in dict.fromkeys((ref.product, ref.task) for ref in refs):
            names = found.setdefault(port, {})
            names[task] = (*names[task], name) if task in names else alone
    return found


def _aliases(plan: Plan) -> dict[str, tuple[TaskAlias, ...]]:
    """Return the further names of every task that has some."""
    found: dict[str, list[TaskAlias]] = {}
    for alias in plan.aliases:
        found.setdefault(alias.task, []).append(alias)
    return {task: tuple(aliases) for task, aliases in found.items()}
