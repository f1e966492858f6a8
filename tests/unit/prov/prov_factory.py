"""Journals for the tests of the provenance record, without an engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prov_plans import (
    PLAN_DIGEST,
    WORKFLOW,
    at,
    digest,
    gather_plan,
    identifier,
    key_of,
    make_plan,
    nested_plan,
    product_of,
    scatter_plan,
)

from gpwf.core.digests import Digest
from gpwf.core.plan import Plan, Task
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Failure,
    Product,
    Resources,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskNotRun,
    TaskState,
)

__all__ = [
    "PLAN_DIGEST",
    "WORKFLOW",
    "Failure",
    "Journal",
    "TaskState",
    "at",
    "cached_run",
    "cancelled_run",
    "digest",
    "early_cut_off",
    "gather_plan",
    "good_run",
    "healed_run",
    "identifier",
    "key_of",
    "killed_run",
    "make_plan",
    "mixed_run",
    "nested_plan",
    "product_of",
    "scatter_plan",
    "scattered_failure",
]


class Journal:
    """Writes events as an engine would, one task after the other."""

    def __init__(self, plan: Plan, *, name: str = "run") -> None:
        self.plan = plan
        self.run_id = identifier(name)
        self.clock_s = 0.0
        self.products: dict[tuple[str, str], Product] = {}
        self.events: list[RunEvent] = [
            RunStarted(
                time=at(0),
                clock_s=0.0,
                run_id=self.run_id,
                plan_digest=PLAN_DIGEST,
                workflow=plan.name,
                command=("gpwf", "run", "crab.gpwf.yaml", "--token", "[redacted]"),
                agent={"user": "mara", "host": "heidi.example", "engine": "gpwf", "version": "0.1"},
                environment={
                    "python": {"version": "3.12.1"},
                    "cpus": 2,
                    "threads": {"OMP_NUM_THREADS": "1"},
                    "distributions": {"gammapy": "2.1", "numpy": "2.1.0"},
                },
                store="/home/me/.gpwf",
                jobs=2,
            )
        ]

    def now(self, step_s: float = 0.25) -> str:
        """Let time pass and return it."""
        self.clock_s += step_s
        return at(self.clock_s)

    def inputs_of(self, task: Task, without: Collection[str] = ()) -> dict[str, tuple[Digest, ...]]:
        """Return the digests that come in, without those of some tasks."""
        return {
            port: tuple(
                self.products[ref.task, ref.product].digest
                for ref in refs
                if ref.task not in without
            )
            for port, refs in task.inputs.items()
        }

    def start(self, task: Task, attempt: int = 1, *, without: Collection[str] = ()) -> str:
        """Start an attempt and return its id."""
        attempt_id = identifier(self.run_id, task.id, attempt)
        self.events.append(
            AttemptStarted(
                time=self.now(),
                clock_s=self.clock_s,
                task=task.id,
                attempt=attempt,
                attempt_id=attempt_id,
                key=key_of(task),
                worker="worker-1",
                inputs=self.inputs_of(task, without),
            )
        )
        return attempt_id

    def end(
        self,
        task: Task,
        attempt: int = 1,
        state: TaskState = TaskState.OK,
        *,
        failure: Failure | None = None,
        retry: bool = False,
        products: Mapping[str, Product] | None = None,
        started: str | None = None,
        ended: str | None = None,
    ) -> None:
        """End an attempt."""
        made = dict(products or {})
        if state is TaskState.OK and products is None:
            made = {port.name: product_of(task, port) for port in task.output_ports}
        if state is TaskState.OK:
            self.products |= {(task.id, port): product for port, product in made.items()}
        began = self.now()
        self.events.append(
            AttemptFinished(
                time=at(self.clock_s + 2.1),
                clock_s=self.clock_s + 2.1,
                task=task.id,
                attempt=attempt,
                attempt_id=identifier(self.run_id, task.id, attempt),
                key=key_of(task),
                state=state,
                started=began if started is None else started,
                ended=at(self.clock_s + 2.0) if ended is None else ended,
                products=made,
                failure=failure,
                resources=Resources(
                    wall_s=2.0, cpu_s=1.5, peak_rss_bytes=250_000_000, pid=77, host="heidi"
                ),
                retry=retry,
            )
        )
        self.clock_s += 2.1

    def ok(self, *tasks: Task) -> None:
        """Run tasks to a good end."""
        for task in tasks:
            self.start(task)
            self.end(task)

    def cached(
        self, task: Task, *, made_at: float = -1000.0, by_run: str = "earlier", made_by: str = ""
    ) -> None:
        """Take a result of an earlier run."""
        products = {port.name: product_of(task, port, made_by) for port in task.output_ports}
        inputs = self.inputs_of(task)
        self.products |= {(task.id, port): product for port, product in products.items()}
        self.events.append(
            TaskCached(
                time=self.now(),
                clock_s=self.clock_s,
                task=task.id,
                attempt_id=identifier(self.run_id, task.id, "cached"),
                key=key_of(task),
                products=products,
                made_by_run=identifier(by_run),
                made_by_attempt=identifier(identifier(by_run), task.id, 1),
                made_started=at(made_at),
                made_ended=at(made_at + 5),
                inputs=inputs,
            )
        )

    def not_run(self, task: Task, state: TaskState, reason: str) -> None:
        """Say that a task was left out."""
        self.events.append(
            TaskNotRun(
                time=self.now(), clock_s=self.clock_s, task=task.id, state=state, reason=reason
            )
        )

    def finish(self, state: RunState = RunState.OK, reason: str = "") -> list[RunEvent]:
        """End the run and return the journal."""
        self.events.append(
            RunFinished(time=self.now(), clock_s=self.clock_s, state=state, reason=reason)
        )
        return self.events


def good_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a run in which everything went well."""
    journal = Journal(plan)
    journal.ok(*plan.tasks)
    return journal.finish()


def cached_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a run that found everything done."""
    journal = Journal(plan, name="second")
    for number, task in enumerate(plan.tasks):
        journal.cached(task, made_at=-1000.0 + 10 * number)
    return journal.finish()


def mixed_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a run of `make_plan` in which every state occurs."""
    journal = Journal(plan, name="mixed")
    task = plan.task
    journal.cached(task("observations"))
    journal.start(task("datasets"))
    journal.end(
        task("datasets"),
        state=TaskState.LOST,
        failure=Failure(kind="killed", message="the worker was killed", signal=9),
        retry=True,
        started="",
        ended="",
    )
    journal.start(task("datasets"), 2)
    journal.end(task("datasets"), 2)
    journal.ok(task("models"), task("fit"))
    journal.start(task("flux-points"))
    left = product_of(task("flux-points"), task("flux-points").output_ports[0])
    journal.end(
        task("flux-points"),
        state=TaskState.FAILED,
        failure=Failure(
            kind="StepError",
            message="no counts \x00 above 10 TeV; token: abcdef",
            hint="lower the range",
            exit_code=1,
        ),
        products={"flux_points": left},
    )
    journal.start(task("light-curve"))
    journal.end(
        task("light-curve"),
        state=TaskState.TIMEOUT,
        failure=Failure(kind="timeout", message="longer than 60 s"),
    )
    journal.not_run(task("plot-sed"), TaskState.BLOCKED, "flux-points failed")
    journal.not_run(task("plot-lc"), TaskState.SKIPPED, "nothing to plot")
    return journal.finish(RunState.FAILED, "flux-points failed")


def killed_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a driver that was killed in the middle of a task."""
    journal = Journal(plan, name="killed")
    journal.ok(plan.tasks[0])
    journal.start(plan.tasks[1])
    return journal.events


def cancelled_run(plan: Plan) -> list[RunEvent]:
    """Return the journal of a run that was stopped by hand while a task was at work."""
    journal = Journal(plan, name="cancelled")
    first, second, *others = plan.tasks
    journal.ok(first)
    journal.start(second)
    journal.end(second, state=TaskState.CANCELLED)
    for task in others:
        journal.not_run(task, TaskState.CANCELLED, "interrupted")
    return journal.finish(RunState.CANCELLED, "interrupted")


def healed_run(plan: Plan) -> list[RunEvent]:
    """Return a run of `make_plan` in which a product was found damaged and made again.

    ``datasets`` ran before the damage; what comes later uses the second product.
    """
    journal = Journal(plan, name="healed")
    first, second, *others = plan.tasks
    journal.ok(first, second)
    journal.start(first, 2)
    journal.end(first, 2)
    journal.ok(*others)
    return journal.finish()


def early_cut_off(plan: Plan) -> list[RunEvent]:
    """Return a run whose first task ran again to the same bytes, so that the rest was cached."""
    journal = Journal(plan, name="cut-off")
    journal.ok(plan.tasks[0])
    for number, task in enumerate(plan.tasks[1:]):
        journal.cached(task, made_at=-1000.0 + 10 * number)
    return journal.finish()


def scattered_failure(plan: Plan) -> list[RunEvent]:
    """Return a run of `scatter_plan` in which one simulation finds nothing and one fails.

    ``rows`` of the first scenario goes on without what was skipped; what needs the failed one is
    blocked.
    """
    journal = Journal(plan)
    left: set[str] = set()
    for task in plan.tasks:
        if task.id == "sim[scenario=null,seed=1]":
            journal.start(task)
            failure = Failure(kind="NoDataError", message="nothing", no_data=True)
            journal.end(task, state=TaskState.SKIPPED, failure=failure)
            left.add(task.id)
        elif task.id == "sim[scenario=bright,seed=2]":
            journal.start(task)
            failure = Failure(kind="StepError", message="no luck")
            journal.end(task, state=TaskState.FAILED, failure=failure)
        elif task.id in ("rows[scenario=bright]", "all"):
            journal.not_run(task, TaskState.BLOCKED, "sim[scenario=bright,seed=2] failed")
        else:
            journal.start(task, without=left)
            journal.end(task)
    return journal.finish(RunState.FAILED)
