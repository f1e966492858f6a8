"""Scheduler + executor + store → run events.

`execute` is the loop; it decides nothing that the scheduler can decide, and does nothing that a
worker can do. What happens is told as events, the journal first; everything else (log, progress,
provenance) listens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gpwf.core.event_redaction import Privacy
from gpwf.core.plan import Plan, Task
from gpwf.core.plan_redaction import recorded_plan
from gpwf.core.redact import Redactor
from gpwf.core.runs import RunEvent, RunFinished, RunState
from gpwf.core.view import RunView
from gpwf.errors import ExitCode, UsageError
from gpwf.run.desk import clear_desks
from gpwf.run.driver import Driver
from gpwf.run.executors.base import Executor
from gpwf.run.interrupts import Interrupts
from gpwf.run.jobs import JobMaker, RunHeader
from gpwf.run.journal import Journal
from gpwf.run.rundir import RunDirectory
from gpwf.run.scheduler import Scheduler
from gpwf.run.showing import ProductLinks, Showing, Shows
from gpwf.store.store import Store

__all__ = ["CATALOG", "FORMATS", "RunHeader", "execute", "exit_code"]

CATALOG = "gpwf.steps.registry:load_catalog"
FORMATS = "gpwf.store.formats"


def execute(
    plan: Plan,
    *,
    store: Store,
    rundir: RunDirectory,
    executor: Executor,
    text: str | None = None,
    header: RunHeader | None = None,
    catalog: str = CATALOG,
    formats: str = FORMATS,
    on_event: Sequence[Callable[[RunEvent], None]] = (),
    on_log: Callable[[Mapping[str, Any]], None] | None = None,
    showing: Shows | None = None,
    fail_fast: bool = False,
    targets: Collection[str] | None = None,
    force: Collection[str] = (),
    log_level: str = "INFO",
    privacy: Privacy | None = None,
) -> RunFinished:
    """Run a plan: what is not in the store yet.

    SIGINT and SIGTERM, once: nothing more is started, running tasks are ended, the journal says
    so, and the run can be taken up again. Twice: everything is killed at once. The executor is
    closed in any case.

    Parameters
    ----------
    plan : Plan
        What to run.
    store : Store
        Where results are looked up and kept.
    rundir : RunDirectory
        Folder of the run, locked.
    executor : Executor
        Where tasks run; not started where everything is in the store.
    text : str, optional
        The workflow document as given, for the record.
    header : RunHeader, optional
        Run id, command, agent, environment.
    catalog, formats : str
        Import strings for the workers: ``module:function`` of the step catalogue, module of the
        product formats.
    on_event : sequence of callable
        Called with every event, after the journal.
    on_log : callable, optional
        Called with what tasks say: ``{level, logger, message, time, task_id, step, attempt}``,
        or ``event: task.progress`` with ``done`` and ``total``.
    showing : Shows, optional
        Gives products readable names; a thread of this process by default.
    fail_fast : bool
        Start nothing more after the first failure; what runs may end.
    targets : collection of str, optional
        Ids of tasks, or names of steps, to run with all they need; everything by default.
    force : collection of str
        Ids of tasks, or names of steps, to run even where the store has their result.
    log_level : str
        Python logging level below which records of tasks are dropped.
    privacy : Privacy, optional
        What the frozen plan, the journal and those who listen must not have; what looks like a
        secret and the secrets of the plan by default.

    Returns
    -------
    RunFinished
        How the run ended, see `exit_code`; the journal has all that happened.

    Raises
    ------
    StoreError, RunError
        Where the store or the run directory cannot be written (any more).
    ExecutorError
        Where workers cannot be started.
    UsageError
        Where a target is not in the plan.
    """
    try:
        wanted = _wanted(plan, targets)
        forced = _ids(plan, force)
        memory = {task.id: task.policy.memory_bytes for task in plan.tasks}
        bounded = {name: value for name, value in memory.items() if value is not None}
        scheduler = Scheduler(
            {task.id: task.upstream for task in plan.tasks if task.id in wanted},
            capacity=executor.capacity,
            slots={task.id: n for task in plan.tasks if (n := task.policy.n_jobs) > 1},
            memory=bounded,
            memory_capacity=executor.memory_bytes if bounded else None,
            retries={task.id: n for task in plan.tasks if (n := task.policy.retries)},
            soft={task.id: found for task in plan.tasks if (found := _gathered(task))},
            tolerant=[task.id for task in plan.tasks if task.policy.on_error == "continue"],
            fail_fast=fail_fast,
        )
        header = header or RunHeader()
        jobs = JobMaker(
            plan=plan,
            store=store,
            rundir=rundir,
            header=header,
            catalog=catalog,
            formats=formats,
            log_level=log_level,
        )
        privacy = privacy or Privacy(clean=Redactor(plan.secrets))
        plan_digest = rundir.freeze(recorded_plan(plan, privacy.clean), text)
        store.flush()  # the workers need to know where external content lies
        with Journal(rundir.journal) as journal, Interrupts(executor.wake) as interrupts:
            driver = Driver(
                plan=plan,
                store=store,
                rundir=rundir,
                executor=executor,
                journal=journal,
                scheduler=scheduler,
                header=header,
                jobs=jobs,
                showing=showing or Showing(ProductLinks(rundir.products, store.objects)),
                on_event=tuple(on_event),
                on_log=on_log,
                forced=forced,
                privacy=privacy,
            )
            driver.drive(plan_digest, interrupts)
        store.flush()
        assert driver.end is not None  # `drive` comes back with an end, or raises
        return driver.end
    finally:
        executor.close()
        clear_desks(rundir.work)


def exit_code(end: RunFinished | RunView) -> ExitCode:
    """Return the exit code of a run that ended."""
    if end.state is RunState.OK:
        return ExitCode.OK
    if end.state is RunState.CANCELLED:
        return ExitCode.INTERRUPTED if "SIGINT" in end.reason else ExitCode.TERMINATED
    return ExitCode.RUN_FAILED


def _gathered(task: Task) -> frozenset[str]:
    """Return the tasks that a task gathers from and can do without."""
    if not task.labels:
        return frozenset()
    others = [refs for port, refs in task.inputs.items() if port not in task.labels]
    needed = {ref.task for refs in others for ref in refs}
    found = {ref.task for port in task.labels for ref in task.inputs[port]}
    return frozenset(found - needed - set(task.after))


def _ids(plan: Plan, names: Collection[str]) -> frozenset[str]:
    """Return the ids of tasks named by id or by step."""
    found: set[str] = set()
    for name in names:
        ids = {task.id for task in plan.tasks if name in (task.id, task.step)}
        if not ids:
            known = ", ".join(step.name for step in plan.steps)
            raise UsageError(f"there is no step {name}", hint=f"the steps are {known}")
        found |= ids
    return frozenset(found)


def _wanted(plan: Plan, targets: Collection[str] | None) -> frozenset[str]:
    """Return the ids of the targets and of everything above them."""
    if targets is None:
        return frozenset(task.id for task in plan.tasks)
    wanted = set(_ids(plan, targets))
    for task in reversed(plan.tasks):  # the plan is in topological order
        if task.id in wanted:
            wanted.update(task.upstream)
    return frozenset(wanted)
