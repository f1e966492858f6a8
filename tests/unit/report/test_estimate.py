"""How long a run will still take."""

from dataclasses import replace

import pytest
import report_fakes as fakes

from gpwf.core.plan import Plan, PlannedStep, Task
from gpwf.core.runs import Resources, RunStarted, TaskState
from gpwf.report.estimate import seconds_left
from gpwf.report.progress import Progress


def plan(n_jobs: int = 1, **steps: tuple[int, str]) -> Plan:
    """Return a plan: name of a step → number of its tasks, the step before."""
    tasks: list[Task] = []
    for name, (number, above) in steps.items():
        for index in range(number):
            task = fakes._task(f"{name}[run={index}]", name, "datasets", {}, index)
            policy = replace(task.policy, n_jobs=n_jobs)
            after = (f"{above}[run=0]",) if above else ()
            tasks.append(replace(task, policy=policy, after=after))
    return replace(
        fakes.make_plan(),
        tasks=tuple(tasks),
        steps=tuple(PlannedStep(name=name, tag="datasets", title="") for name in steps),
        aliases=(),
        outputs={},
    )


def begun(of: Plan, workers: int) -> Progress:
    progress = Progress(of)
    start = fakes.started()
    assert isinstance(start, RunStarted)
    progress.apply(replace(start, jobs=workers), 0.0)
    return progress


def run(progress: Progress, task: str, begin_s: float, end_s: float, **kwargs) -> None:
    progress.apply(fakes.begin(task, begin_s), begin_s)
    took = Resources(wall_s=end_s - begin_s)
    progress.apply(replace(fakes.end(task, 1, **kwargs), resources=took), end_s)


def test_nothing_is_known_at_first_and_nothing_is_left_at_the_end():
    progress = begun(plan(a=(1, ""), b=(2, "a")), 2)
    assert seconds_left(progress, 0.0) is None
    run(progress, "a[run=0]", 0, 3)
    assert seconds_left(progress, 3.0) is None, "nothing is known of b, which is all that is left"
    run(progress, "b[run=0]", 3, 4)
    run(progress, "b[run=1]", 3, 4)
    assert seconds_left(progress, 4.0) == 0.0


def test_tasks_take_as_long_as_those_of_their_step_and_share_the_workers():
    progress = begun(plan(a=(10, ""), b=(10, "")), 2)
    run(progress, "b[run=0]", 0, 1)
    run(progress, "a[run=0]", 0, 4)
    # 9 tasks of 4 s, 9 of 1 s, 2 workers; an idle worker cost 3 s, of which 20 ms per task count
    assert seconds_left(progress, 4.0) == pytest.approx((9 * 4 + 9 * 1 + 18 * 0.02) / 2)


def test_what_running_tasks_have_done_is_taken_off():
    progress = begun(plan(a=(5, "")), 1)
    run(progress, "a[run=0]", 0, 4)
    progress.apply(fakes.begin("a[run=1]", 4), 4.0)
    assert seconds_left(progress, 4.0) == pytest.approx(16.0)
    assert seconds_left(progress, 7.0) == pytest.approx(13.0)
    assert seconds_left(progress, 90.0) == pytest.approx(12.0), "not less than the other three"


def test_a_run_is_not_shorter_than_its_longest_chain():
    progress = begun(plan(a=(3, ""), b=(1, "a"), c=(1, "b")), 8)
    run(progress, "a[run=0]", 0, 5)
    run(progress, "a[run=1]", 0, 5)
    # one a is left and b and c, of which nothing is known, are a third of it each
    assert seconds_left(progress, 5.0) is None
    run(progress, "b[run=0]", 5, 7)
    progress.apply(fakes.begin("a[run=2]", 5), 5.0)
    assert seconds_left(progress, 7.0) == pytest.approx(max((2 + 4 + 0.04) / 8, 4, 3))


def test_the_overhead_of_short_tasks_counts():
    progress = begun(plan(a=(1000, "")), 2)
    for index in range(100):
        run(progress, f"a[run={index}]", index * 0.002, index * 0.002 + 0.001)
    left_s = seconds_left(progress, 0.2)
    assert left_s == pytest.approx(900 * 0.002, rel=0.02), "2 ms each, of which the task takes 1"


def test_a_task_that_takes_several_cores_takes_several_workers():
    progress = begun(plan(n_jobs=4, a=(3, "")), 4)
    run(progress, "a[run=0]", 0, 10)
    assert seconds_left(progress, 10.0) == pytest.approx(20.0)


def test_failed_attempts_and_cached_tasks_tell_nothing():
    progress = begun(plan(a=(4, "")), 1)
    progress.apply(fakes.cached("a[run=0]", 0), 0.0)
    run(progress, "a[run=1]", 0, 50, state=TaskState.LOST, retry=True)
    assert seconds_left(progress, 50.0) is None
    run(progress, "a[run=1]", 50, 52)
    assert seconds_left(progress, 52.0) == pytest.approx(2 * 2.0 + 2 * 0.02)


def test_what_tasks_took_in_an_earlier_run_is_known_from_the_beginning():
    progress = begun(plan(a=(1, ""), b=(4, "a"), c=(1, "b")), 2)
    assert seconds_left(progress, 0.0) is None
    progress.expected = {"a": 3.0, "b": 2.0}
    # a, four of b, and c as long as the average step: 3 + 8 + 2.5; the chain is 3 + 2 + 2.5
    assert seconds_left(progress, 0.0) == pytest.approx(7.5)
    run(progress, "a[run=0]", 0, 6)
    assert seconds_left(progress, 6.0) == pytest.approx(2.0 + 6.0, abs=0.1), "what it took now"
