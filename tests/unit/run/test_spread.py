"""A function over items in children of this process: order, errors, deaths, words, cores."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpwf.errors import GpwfError, NoDataError, StepError, StepInputError, TransientStepError
from gpwf.run.capture import progress_sender
from gpwf.run.spread import ChildLostError, Spread
from gpwf.steps.base import StepContext

# Python 3.12 warns of threads that libraries of other tests have left
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


class Cores:
    """A driver that lends cores."""

    def __init__(self, free: int, after_s: float = 0.0) -> None:
        self.free = free
        self.lent = self.most = self.asked = 0
        self.said: list[Any] = []
        self._from_s = time.monotonic() + after_s

    def acquire(self, n: int) -> int:
        self.asked += 1
        granted = min(n, self.free - self.lent) if time.monotonic() >= self._from_s else 0
        self.lent += granted
        self.most = max(self.most, self.lent)
        return granted

    def release(self, n: int) -> None:
        self.lent -= n
        assert self.lent >= 0

    def spread(self, cores: int = 1) -> Spread:
        return Spread(self.acquire, self.release, self.said.append, cores=cores)


def context(spread: Any, work_dir: Path = Path()) -> StepContext:
    return StepContext(step="a", task_id="a", work_dir=work_dir, spread=spread)


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    before = _children()  # other tests of this process may have some
    yield
    assert _children() <= before


def _children() -> set[int]:
    """Return the processes that this one has started and not waited for, zombies as well."""
    return {item.pid for item in psutil.Process().children()}


@pytest.fixture(params=[0, 1, 3])
def cores(request: Any) -> Iterator[Cores]:
    """Whatever the number of cores, the results are the same, and all are given back."""
    found = Cores(request.param)
    yield found
    assert found.lent == 0


def slow_first(item: int) -> tuple[int, int]:
    time.sleep(0.05 / (1 + item))
    return item, os.getpid()


def test_results_are_in_the_order_of_the_items(cores: Cores) -> None:
    found = context(cores.spread()).map(slow_first, range(7))
    assert [item for item, _ in found] == list(range(7))
    pids = {pid for _, pid in found}
    assert (pids == {os.getpid()}) == (cores.free == 0)
    assert len(pids) == (cores.free + 1)


def test_without_an_engine_it_is_a_loop() -> None:
    told: list[Any] = []
    ctx = StepContext(step="a", task_id="a", work_dir=Path(), progress=lambda *a: told.append(a))
    assert ctx.map(lambda item: item * 2, iter([1, 2]), label="numbers") == [2, 4]
    assert list(ctx.each(lambda item: item * 2, [1, 2])) == [2, 4]
    assert told == [(1, 2, "numbers"), (2, 2, "numbers"), (1, 2, ""), (2, 2, "")]


def test_no_items_and_one_item_start_nothing() -> None:
    cores = Cores(3)
    ctx = context(cores.spread())
    assert ctx.map(str, []) == []
    assert ctx.map(lambda _: os.getpid(), [1]) == [os.getpid()]
    assert cores.asked == 0


def test_progress_counts_what_is_finished(cores: Cores) -> None:
    told: list[Any] = []
    ctx = StepContext(
        step="a",
        task_id="a",
        work_dir=Path(),
        spread=cores.spread(),
        progress=lambda done, total, label: told.append((done, total, label)),
    )
    ctx.map(slow_first, range(5), label="observations")
    assert told == [(number, 5, "observations") for number in range(1, 6)]


def test_large_arrays_and_shared_objects_come_back_whole(cores: Cores) -> None:
    np = pytest.importorskip("numpy")

    def function(item: int) -> Any:
        large = np.full((300, 400), float(item))
        return {"large": large, "fortran": np.asfortranarray(large[:, :200]), "same": large}

    found = context(cores.spread()).map(function, range(4))
    for item, value in enumerate(found):
        assert (value["large"] == item).all()
        assert value["same"] is value["large"]
        assert value["fortran"].flags.f_contiguous
        value["large"][0, 0] = 5  # it is the caller's own


def test_the_error_of_the_first_item_is_raised(cores: Cores) -> None:
    def function(item: int) -> int:
        if item == 2:
            time.sleep(0.2)
            raise StepInputError("no such file", setting="obs_ids.2", hint="look again")
        if item == 3:
            raise NoDataError("later in order, earlier in time")
        return item

    with pytest.raises(StepInputError, match="no such file") as caught:
        context(cores.spread()).map(function, range(50))
    assert (caught.value.setting, caught.value.hint) == ("obs_ids.2", "look again")
    assert caught.value.__cause__ is None  # the message says everything


def test_each_gives_what_comes_before_the_error(cores: Cores) -> None:
    def function(item: int) -> int:
        if item == 3:
            raise TransientStepError("try again")
        return item

    found = context(cores.spread()).each(function, range(9))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TransientStepError):
        next(found)


class OddError(Exception):
    """An error whose constructor takes more than it keeps."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.lock = threading.Lock()


def test_errors_of_others_keep_type_and_traceback() -> None:
    def fail(item: int) -> None:
        if item == 0:
            raise OddError(1, 2)

    with pytest.raises(OddError, match="1 and 2") as caught:
        context(Cores(1).spread()).map(fail, range(2))
    assert "in fail" in str(caught.value.__cause__)

    def leave(item: int) -> None:
        sys.exit(f"leave {item}")

    with pytest.raises(SystemExit, match="leave 0"):
        context(Cores(1).spread()).map(leave, range(2))

    def caused(item: int) -> None:
        try:
            raise KeyError("name")
        except KeyError as error:
            raise StepError("not there", hint="a hint") from error

    with pytest.raises(StepError, match="not there") as wrapped:
        context(Cores(1).spread()).map(caused, range(2))
    assert "KeyError: 'name'" in str(wrapped.value.__cause__)
    assert wrapped.value.hint == "a hint"


def test_an_error_of_a_local_class_is_named() -> None:
    class LocalError(Exception):
        pass

    def fail(item: int) -> None:
        raise LocalError("inside")

    with pytest.raises(RuntimeError, match="LocalError: inside"):
        context(Cores(1).spread()).map(fail, range(2))


class Unreadable:
    """Pickles, but cannot be made again."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.mark.parametrize("result", [threading.Lock(), lambda: None, Unreadable()])
def test_a_result_that_cannot_travel_is_told(result: Any) -> None:
    cores = Cores(1)
    with pytest.raises(StepError, match=r"cannot be (handed|read)") as caught:
        context(cores.spread()).map(lambda _: result, range(4))
    assert "step type" in str(caught.value.hint)
    assert cores.lent == 0


@pytest.mark.parametrize(
    ("end", "number", "code"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), signal.SIGKILL, None),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), signal.SIGTERM, None),
        (lambda: os._exit(3), None, 3),
    ],
    ids=["killed", "ended", "left"],
)
def test_a_dead_child_is_told(end: Callable[[], None], number: int | None, code: int) -> None:
    cores = Cores(1)
    parent = os.getpid()

    def function(item: int) -> int:
        if item == 1 and os.getpid() != parent:
            end()
        time.sleep(60 if item == 0 else 0)
        return item

    with pytest.raises(ChildLostError) as caught:
        context(cores.spread()).map(function, range(3))
    assert isinstance(caught.value, GpwfError)
    assert (caught.value.signal, caught.value.code) == (number, code)
    assert cores.lent == 0


def test_what_children_log_arrives_here(caplog: Any) -> None:
    log = logging.getLogger("some.library")

    def function(item: int) -> None:
        log.info("item %d", item, extra={"lock": threading.Lock()})
        log.debug("too quiet")
        log.info("bad %d", "text")
        if item == 1:
            try:
                1 / 0  # noqa: B018
            except ZeroDivisionError:
                log.exception("failed")

    with caplog.at_level("INFO", logger="some.library"):
        context(Cores(1).spread()).map(function, range(2))
    heard = {(item.name, item.levelname, item.getMessage()) for item in caplog.records}
    assert {("some.library", "INFO", f"item {n}") for n in (0, 1)} < heard
    assert ("some.library", "ERROR", "failed") in heard
    assert not any(text == "too quiet" for _, _, text in heard)
    assert any(text.startswith("bad %d (the arguments do not fit") for _, _, text in heard)
    assert "ZeroDivisionError" in caplog.text
    assert all(item.process != os.getpid() for item in caplog.records)


def warn_of(item: int) -> None:
    warnings.warn("the same place", UserWarning, stacklevel=1)
    warnings.warn(DeprecationWarning(f"item {item}"), stacklevel=1)


def test_warnings_of_children_arrive_once_per_place() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        context(Cores(2).spread()).map(warn_of, range(6))
    texts = sorted(str(item.message) for item in caught)
    assert texts == [*(f"item {n}" for n in range(6)), "the same place"]
    assert {item.filename for item in caught} == {__file__}
    assert {item.category for item in caught} == {UserWarning, DeprecationWarning}


def test_only_the_parent_speaks_to_the_driver() -> None:
    cores = Cores(1)
    pids: list[int] = []
    spread = Spread(
        cores.acquire,
        cores.release,
        lambda item: pids.append(os.getpid()) or cores.said.append(item),
    )
    progress = progress_sender(spread.say)

    def function(item: int) -> None:
        progress(1, 1, f"inside {item}")
        spread.say({"logger": "x", "message": f"from {item}"})

    context(spread).map(function, range(2))
    assert set(pids) == {os.getpid()}
    assert {item["message"] for item in cores.said} == {"inside 0", "inside 1", "from 0", "from 1"}
    assert all(item["total"] == 2 for item in cores.said if item.get("event"))


def test_what_is_printed_is_printed_once(capfd: Any) -> None:
    print("before", end="", flush=False)
    # in one piece each: two processes may print at a time
    context(Cores(1).spread()).map(lambda item: sys.stdout.write(f"item {item}\n"), range(3))
    lines = capfd.readouterr().out.replace("before", "").split()
    assert sorted(lines) == sorted(["item", "0", "item", "1", "item", "2"])


def test_random_numbers_do_not_depend_on_the_process() -> None:
    np = pytest.importorskip("numpy")

    def function(item: int) -> tuple[float, float]:
        return random.random(), float(np.random.random())

    found = []
    for free in (0, 1, 3):
        random.seed(7)
        found.append((context(Cores(free).spread()).map(function, range(6)), random.random()))
    assert found[0] == found[1] == found[2]
    assert len({value for pair in found[0][0] for value in pair}) == 12


def test_late_cores_are_used() -> None:
    cores = Cores(2, after_s=0.15)

    def function(item: int) -> int:
        time.sleep(0.06)
        return os.getpid()

    pids = context(cores.spread()).map(function, range(20))
    assert pids[0] == os.getpid()  # nothing was free yet
    assert len(set(pids)) == 4  # then three children
    assert (cores.most, cores.lent) == (2, 0)


def test_more_cores_join_while_children_work() -> None:
    cores = Cores(1)

    def function(item: int) -> int:
        time.sleep(0.1)
        return os.getpid()

    pids = []
    for pid in context(cores.spread()).each(function, range(20)):
        pids.append(pid)
        cores.free = 3
    assert len(set(pids)) == 4
    assert cores.lent == 0


def test_cores_of_the_task_are_used_without_asking() -> None:
    cores = Cores(0)
    pids = context(cores.spread(cores=2)).map(slow_first, range(4))
    assert len({pid for _, pid in pids} - {os.getpid()}) == 2


@pytest.mark.parametrize(("free", "cores"), [(0, 2), (1, 1)])
def test_everything_rests_before_children_are_forked(free: int, cores: int) -> None:
    lender = Cores(free)
    rested: list[int] = []
    spread = Spread(
        lender.acquire,
        lender.release,
        lender.said.append,
        cores=cores,
        prepare=lambda: rested.append(os.getpid()),
    )
    assert context(spread).map(lambda _: len(rested), range(3)) == [1, 1, 1]
    assert rested == [os.getpid()]


def test_a_machine_that_allows_no_process(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    cores = Cores(3)
    monkeypatch.setattr(os, "fork", refuse)
    assert context(cores.spread()).map(lambda item: item, range(3)) == [0, 1, 2]
    assert cores.lent == 0
    assert caplog.text.count("no further process") == 1


def test_a_core_is_given_back_when_no_item_waits(tmp_path: Path) -> None:
    cores = Cores(1)
    given_back: list[bool] = []

    def function(item: int) -> int:
        time.sleep(0.4 if item == 1 else 0)
        return item

    def release(n: int) -> None:
        cores.release(n)
        given_back.append((tmp_path / "last").exists())

    spread = Spread(cores.acquire, release, cores.said.append)
    for value in context(spread).each(function, range(2)):
        if value == 1:
            (tmp_path / "last").touch()
    assert given_back == [False]


def test_small_items_travel_together() -> None:
    cores = Cores(1)
    start = time.monotonic()
    context(cores.spread()).map(str, range(200))
    once_s = time.monotonic() - start
    assert context(cores.spread()).map(str, range(3000)) == [str(n) for n in range(3000)]
    assert cores.asked < 20 + 20 * (once_s + 60)  # not with every item


def test_few_results_wait_for_a_caller_that_takes_them_one_by_one(tmp_path: Path) -> None:
    def function(item: int) -> int:
        (tmp_path / str(item)).touch()
        time.sleep(0.06)  # worth a message of its own
        return item

    found = context(Cores(1).spread()).each(function, range(40))
    next(found)
    time.sleep(0.5)
    next(found)
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) <= 12
    assert list(found) == list(range(2, 40))


def test_calls_inside_calls(cores: Cores) -> None:
    ctx = context(cores.spread())

    def outer(item: int) -> list[tuple[int, int]]:
        return ctx.map(lambda inner: (item, inner), range(3))

    assert ctx.map(outer, range(3)) == [[(a, b) for b in range(3)] for a in range(3)]


def test_close_ends_calls_that_were_left(tmp_path: Path) -> None:
    cores = Cores(1)
    spread = cores.spread()
    left = context(spread).each(lambda item: time.sleep(60 * item) or os.getpid(), range(4))
    pid = next(left)
    assert cores.lent == 1
    spread.close()
    spread.close()
    assert cores.lent == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


_PROGRAM = """
import os, sys, time
from pathlib import Path
from gpwf.run.spread import Spread
from gpwf.steps.base import StepContext
import atexit
atexit.register(lambda: print("atexit", os.getpid(), flush=True))
def hang(item):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(600)
spread = Spread(lambda n: 1, lambda n: None, lambda record: None)
ctx = StepContext(step="a", task_id="a", work_dir=Path(), spread=spread)
ctx.map(hang if sys.argv[2] == "hang" else str, range(2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_children_die_with_their_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(tmp_path), "hang"])
    try:
        while len(pids := [int(item.name) for item in tmp_path.iterdir()]) < 2:
            assert parent.poll() is None
            time.sleep(0.01)
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 30
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_children_run_nothing_of_the_parents_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path), "end"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert done.stdout.count("atexit") == 1
