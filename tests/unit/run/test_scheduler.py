"""The scheduler, with strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpwf.core.runs import TaskState
from gpwf.run.scheduler import LOST_BUDGET, Decision, NotRun, Scheduler

OK, FAILED, LOST, SKIPPED = TaskState.OK, TaskState.FAILED, TaskState.LOST, TaskState.SKIPPED
DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def _take_all(scheduler: Scheduler) -> list[str]:
    taken = []
    while (name := scheduler.take()) is not None:
        taken.append(name)
    return taken


def test_tasks_come_when_what_is_above_has_ended() -> None:
    scheduler = Scheduler(DIAMOND, capacity=9)
    assert _take_all(scheduler) == ["a"]
    scheduler.finish("a", OK)
    assert _take_all(scheduler) == ["b", "c"]
    scheduler.finish("c", OK)
    assert _take_all(scheduler) == []
    scheduler.finish("b", OK)
    assert _take_all(scheduler) == ["d"]
    assert not scheduler.is_finished
    scheduler.finish("d", OK)
    assert scheduler.is_finished


def test_the_longest_way_goes_first() -> None:
    scheduler = Scheduler({"short": (), "long": (), "x": ("long",), "y": ("x",)}, capacity=9)
    assert _take_all(scheduler) == ["long", "short"]


def test_no_more_in_flight_than_there_are_slots() -> None:
    scheduler = Scheduler(dict.fromkeys("abcd", ()), capacity=2)
    assert _take_all(scheduler) == ["a", "b"]
    scheduler.finish("b", FAILED)
    assert _take_all(scheduler) == ["c"]


def test_a_large_task_is_waited_for() -> None:
    graph = {"x": (), "y": ("x",), "z": ("y",), "big": (), "below": ("big",), "small": ()}
    scheduler = Scheduler(graph, capacity=2, slots={"big": 2})
    assert _take_all(scheduler) == ["x"]
    scheduler.finish("x", FAILED)
    assert _take_all(scheduler) == ["big"]


def test_a_task_is_never_larger_than_the_machine() -> None:
    scheduler = Scheduler({"big": (), "small": ()}, capacity=2, slots={"big": 8})
    assert _take_all(scheduler) == ["big"]
    scheduler.finish("big", OK)
    assert _take_all(scheduler) == ["small"]


def test_a_failure_blocks_below_only() -> None:
    scheduler = Scheduler({**DIAMOND, "e": ()}, capacity=9)
    assert _take_all(scheduler) == ["a", "e"]
    decision = scheduler.finish("a", FAILED)
    assert [(item.task, item.state) for item in decision.not_run] == [
        (name, TaskState.BLOCKED) for name in "bcd"
    ]
    assert {item.reason for item in decision.not_run} == {"a failed"}
    scheduler.finish("e", OK)
    assert scheduler.is_finished


def test_no_data_skips_below() -> None:
    scheduler = Scheduler(DIAMOND, capacity=9)
    scheduler.take()
    assert scheduler.finish("a", SKIPPED).not_run[0] == NotRun(
        task="b", state=SKIPPED, reason="a had no data"
    )


def test_fail_fast_cancels_what_has_not_started() -> None:
    scheduler = Scheduler({"a": (), "b": (), "c": ()}, capacity=2, fail_fast=True)
    assert _take_all(scheduler) == ["a", "b"]
    decision = scheduler.finish("a", FAILED)
    assert [(item.task, item.state) for item in decision.not_run] == [("c", TaskState.CANCELLED)]
    assert scheduler.running == ("b",)
    scheduler.finish("b", OK)
    assert scheduler.is_finished


def test_skipped_is_no_failure_for_fail_fast() -> None:
    scheduler = Scheduler({"a": (), "b": ()}, capacity=1, fail_fast=True)
    scheduler.take()
    assert scheduler.finish("a", SKIPPED).not_run == ()
    assert scheduler.take() == "b"


def test_passing_failures_have_a_budget_of_their_own() -> None:
    scheduler = Scheduler({"a": ()}, retries={"a": 1})
    scheduler.take()
    assert scheduler.finish("a", FAILED, transient=True).retry
    scheduler.resume("a")
    for _ in range(LOST_BUDGET):
        assert scheduler.take() == "a"
        assert scheduler.finish("a", LOST, transient=True).retry
    assert scheduler.take() == "a"
    assert not scheduler.finish("a", FAILED, transient=True).retry
    assert scheduler.state("a") is FAILED


def test_a_lost_worker_does_not_use_up_retries() -> None:
    scheduler = Scheduler({"a": ()})
    for _ in range(LOST_BUDGET):
        scheduler.take()
        assert scheduler.finish("a", LOST).retry
    scheduler.take()
    assert not scheduler.finish("a", LOST).retry


def test_failures_that_are_not_passing_are_never_tried_again() -> None:
    scheduler = Scheduler({"a": ()}, retries={"a": 5})
    scheduler.take()
    assert not scheduler.finish("a", FAILED).retry


def test_stop_cancels_and_starts_nothing() -> None:
    scheduler = Scheduler(DIAMOND, capacity=9)
    scheduler.take()
    assert [item.task for item in scheduler.stop("Ctrl-C")] == ["b", "c", "d"]
    assert not scheduler.finish("a", LOST).retry
    assert scheduler.take() is None
    assert scheduler.is_finished


def test_a_held_task_uses_no_slot_and_comes_back() -> None:
    scheduler = Scheduler({"a": (), "b": ()}, capacity=1)
    assert scheduler.take() == "a"
    scheduler.hold("a")
    assert scheduler.take() == "b"
    scheduler.finish("b", OK)
    scheduler.put_back("a")
    assert scheduler.take() == "a"
    assert scheduler.take() is None


def test_damaged_inputs_are_made_again_before_their_task() -> None:
    scheduler = Scheduler(DIAMOND, capacity=9)
    for name in ("a", "b"):
        scheduler.take()
        scheduler.finish(name, OK)
    assert scheduler.take() == "c"
    assert scheduler.reopen("c", ["a"])
    assert _take_all(scheduler) == ["a"]
    scheduler.finish("a", OK)
    assert _take_all(scheduler) == ["c"]
    scheduler.finish("c", OK)
    assert scheduler.take() == "d"
    scheduler.finish("d", OK)
    assert scheduler.is_finished


def test_a_ready_task_waits_for_its_damaged_input() -> None:
    scheduler = Scheduler({"a": (), "b": ("a",), "c": ("a",)}, capacity=1)
    scheduler.take()
    scheduler.finish("a", OK)
    assert scheduler.take() == "b"
    assert scheduler.reopen("b", ["a"])
    assert scheduler.take() == "a"
    scheduler.finish("a", OK)
    assert [scheduler.take(), scheduler.finish("b", OK), scheduler.take()][::2] == ["b", "c"]


def test_damage_is_not_mended_for_ever() -> None:
    scheduler = Scheduler({"a": (), "b": ("a",)})
    for _ in range(LOST_BUDGET):
        scheduler.take()
        scheduler.finish("a", OK)
        scheduler.take()
        assert scheduler.reopen("b", ["a"])
    scheduler.take()
    scheduler.finish("a", OK)
    scheduler.take()
    assert not scheduler.reopen("b", ["a"])
    assert not scheduler.finish("b", FAILED).retry


def test_only_taken_tasks_can_end() -> None:
    with pytest.raises(ValueError, match="waiting, not running"):
        Scheduler({"a": ()}).finish("a", OK)


_ENDS = st.sampled_from([OK, OK, OK, FAILED, LOST, SKIPPED, TaskState.CACHED])


@st.composite
def _graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    n_tasks = draw(st.integers(1, 12))
    return {
        f"t{number}": tuple(f"t{other}" for other in range(number) if draw(st.integers(0, 3)) == 0)
        for number in range(n_tasks)
    }


@given(_graphs(), st.integers(1, 4), st.booleans(), st.data())
def test_every_task_comes_to_one_end(
    graph: dict[str, tuple[str, ...]], capacity: int, fail_fast: bool, data: st.DataObject
) -> None:
    scheduler = Scheduler(graph, capacity=capacity, fail_fast=fail_fast)
    running: list[str] = []
    ended: dict[str, TaskState] = {}
    while not scheduler.is_finished:
        while (name := scheduler.take()) is not None:
            assert all(ended[up].has_products for up in graph[name])
            running.append(name)
            assert len(running) <= capacity
        assert running, "tasks are open, and none can start"
        name = running.pop(data.draw(st.integers(0, len(running) - 1)))
        state = data.draw(_ENDS)
        decision = scheduler.finish(name, state)
        if not decision.retry:
            ended[name] = state
        for item in decision.not_run:
            assert item.task not in ended
            ended[item.task] = item.state
    assert set(ended) == set(graph)
    assert not running


FAN = {"a": (), "b": (), "x": ("a",), "y": ("b",), "all": ("x", "y")}
SOFT = {"all": ("x", "y")}


def test_what_gathers_goes_on_without_what_had_no_data() -> None:
    scheduler = Scheduler(FAN, capacity=9, soft=SOFT)
    _take_all(scheduler)
    decision = scheduler.finish("a", SKIPPED)
    assert decision.not_run == (NotRun(task="x", state=SKIPPED, reason="a had no data"),)
    scheduler.finish("b", OK)
    assert _take_all(scheduler) == ["y"]
    scheduler.finish("y", OK)
    assert _take_all(scheduler) == ["all"]


def test_a_failure_blocks_what_gathers_unless_it_is_tolerated() -> None:
    strict = Scheduler(FAN, capacity=9, soft=SOFT)
    _take_all(strict)
    assert [item.task for item in strict.finish("a", FAILED).not_run] == ["x", "all"]
    lenient = Scheduler(FAN, capacity=9, soft=SOFT, tolerant=["a"])
    _take_all(lenient)
    (gone,) = lenient.finish("a", FAILED).not_run
    assert (gone.task, gone.state, gone.tolerated) == ("x", TaskState.BLOCKED, True)
    lenient.finish("b", OK)
    lenient.finish(lenient.take() or "", OK)
    assert lenient.take() == "all"


def test_everything_absent_leaves_it_to_the_engine_what_becomes_of_the_gathering() -> None:
    scheduler = Scheduler(FAN, capacity=9, soft=SOFT)
    _take_all(scheduler)
    scheduler.finish("a", SKIPPED)
    scheduler.finish("b", SKIPPED)
    assert _take_all(scheduler) == ["all"]
    scheduler.finish("all", SKIPPED)
    assert scheduler.is_finished


def test_a_task_that_needs_what_is_absent_in_another_way_ends() -> None:
    graph = {"a": (), "x": ("a",), "all": ("x", "a")}
    scheduler = Scheduler(graph, soft={"all": ("x",)})
    _take_all(scheduler)
    assert [item.task for item in scheduler.finish("a", SKIPPED).not_run] == ["x", "all"]
    assert scheduler.is_finished


def test_fail_fast_lets_a_tolerated_failure_pass() -> None:
    scheduler = Scheduler(FAN, capacity=1, tolerant=["a"], soft=SOFT, fail_fast=True)
    assert scheduler.take() == "a"
    scheduler.finish("a", FAILED)
    assert scheduler.take() == "b"


@given(
    ends=st.lists(st.sampled_from([OK, FAILED, SKIPPED, LOST]), min_size=6, max_size=6),
    tolerant=st.sets(st.integers(0, 5)),
)
def test_every_gathering_ends_whatever_happens_above(
    ends: list[TaskState], tolerant: set[int]
) -> None:
    graph: dict[str, tuple[str, ...]] = {f"a{n}": () for n in range(6)}
    graph |= {f"b{n}": (f"a{n}",) for n in range(6)}
    graph |= {"all": tuple(f"b{n}" for n in range(6)), "end": ("all",)}
    soft = {"all": graph["all"]}
    scheduler = Scheduler(graph, capacity=3, soft=soft, tolerant=[f"a{n}" for n in tolerant])
    while (name := scheduler.take()) is not None:
        state = ends[int(name[1])] if name.startswith("a") and name != "all" else OK
        scheduler.finish(name, state)
    assert scheduler.is_finished
    strict = [n for n in range(6) if ends[n] in (FAILED, LOST) and n not in tolerant]
    assert (scheduler.state("all") is TaskState.BLOCKED) == bool(strict)


def test_short_tasks_are_taken_ahead() -> None:
    scheduler = Scheduler({"a": (), "b": (), "c": (), "d": ()}, capacity=1)
    scheduler.ahead = 2
    assert _take_all(scheduler) == ["a", "b", "c"]
    scheduler.finish("a", OK)
    assert _take_all(scheduler) == ["d"]


def test_a_large_task_is_not_taken_ahead() -> None:
    scheduler = Scheduler({"small": (), "large": ()}, capacity=2, slots={"large": 2})
    scheduler.ahead = 5
    assert _take_all(scheduler) == ["small"]
    scheduler.finish("small", OK)
    assert _take_all(scheduler) == ["large"]


def test_free_slots_are_lent_and_come_back() -> None:
    scheduler = Scheduler({"a": (), "b": (), "c": ("a",)}, capacity=4)
    assert _take_all(scheduler) == ["a", "b"]
    assert scheduler.lend("a", 1) == 1
    assert scheduler.lend("b", 5) == 1
    assert scheduler.lend("a", 1) == 0
    assert scheduler.lend("b", -1) == -1
    assert scheduler.lend("b", -1) == 0  # it has none any more
    assert scheduler.lend("a", 9) == 1
    scheduler.finish("a", OK)  # what was lent comes back with the end
    assert _take_all(scheduler) == ["c"]
    assert scheduler.lend("c", 9) == 2


def test_nothing_is_lent_that_a_waiting_task_needs() -> None:
    scheduler = Scheduler({"a": (), "large": ()}, capacity=3, slots={"large": 3})
    assert scheduler.take() == "a"
    assert scheduler.take() is None
    assert scheduler.lend("a", 2) == 0


def test_a_task_that_publishes_holds_no_slot_and_borrows_none() -> None:
    scheduler = Scheduler({"a": (), "b": ()}, capacity=2, slots={"b": 2})
    assert scheduler.take() == "a"
    assert scheduler.lend("a", 1) == 0  # b waits for both
    scheduler.hold("a")
    assert scheduler.take() == "b"
    assert scheduler.lend("a", 1) == 0
    scheduler.finish("a", OK)
    scheduler.finish("b", OK)
    assert scheduler.is_finished


def test_tasks_in_flight_hold_no_more_memory_than_there_is() -> None:
    memory = {"a": 6, "b": 5, "d": 3}
    scheduler = Scheduler(
        {"a": (), "b": (), "c": (), "d": ()}, capacity=4, memory=memory, memory_capacity=10
    )
    assert _take_all(scheduler) == ["a"]  # b is waited for, as a task that needs many slots is
    scheduler.finish("a", OK)
    assert _take_all(scheduler) == ["b", "c", "d"]


def test_a_task_that_may_hold_more_than_there_is_runs_alone_of_its_kind() -> None:
    scheduler = Scheduler(
        {"a": (), "b": (), "c": ()}, capacity=4, memory={"a": 1, "b": 99}, memory_capacity=10
    )
    assert _take_all(scheduler) == ["a"]
    scheduler.hold("a")  # it publishes, and holds nothing any more
    assert _take_all(scheduler) == ["b", "c"]


def test_a_passing_failure_waits_and_a_lost_worker_does_not() -> None:
    scheduler = Scheduler({"a": (), "b": ()}, capacity=2, retries={"a": 2})
    assert _take_all(scheduler) == ["a", "b"]
    assert scheduler.finish("b", LOST) == Decision(retry=True)
    assert scheduler.finish("a", FAILED, transient=True) == Decision(retry=True, failures=1)
    assert _take_all(scheduler) == ["b"]
    scheduler.resume("a")
    assert _take_all(scheduler) == ["a"]
    assert scheduler.finish("a", FAILED, transient=True).failures == 2
    scheduler.stop("enough")
    scheduler.resume("a")  # it was cancelled meanwhile
    assert scheduler.take() is None
    assert scheduler.state("a") is TaskState.CANCELLED
