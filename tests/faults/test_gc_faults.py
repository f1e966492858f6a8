"""Garbage collection that is killed at every removal, and that runs beside others."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from storeworld import World, digest_of, key_of

import gpwf.api.gc as gc_module
from gpwf.api.gc import clean
from gpwf.core.runs import AttemptFinished, RunFinished, RunStarted, RunState, TaskState
from gpwf.errors import StoreError
from gpwf.run.journal import Journal
from gpwf.run.rundir import RunDirectory
from gpwf.store.removal import Remover
from gpwf.store.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

_REMOVALS = ("os.rename", "os.remove", "os.link", "os.rmdir")


def _world(folder: Path) -> World:
    """Return a store with runs that are there, runs that are gone, and things left behind."""
    world = World(folder)
    world.run("gone", made={"a": "A", "b": "B", "shared": "S"})
    world.run("here", made={"c": "C", "d": "S"}, cached=("a",), failed=("bad",))
    world.run("gone too", made={"e": "E"}, cached=("c",))
    for name in ("gone", "gone too"):
        shutil.rmtree(folder / "runs" / "w" / name)
    (folder / "runs" / "w" / "here" / "work" / "killed" / "1-ab").mkdir(parents=True)
    (world.store.root / "tmp" / "copy").write_text("half")
    world.product("orphan")
    return world


def _check(world: World) -> None:
    """Fail where something is lost that the run needs, or a result has lost its objects."""
    for name, content in (("a", "A"), ("c", "C"), ("d", "S")):
        result = world.store.results.get(key_of(name))
        assert result is not None
        assert world.store.objects.verify(digest_of(content))
    for name in ("b", "shared", "e"):
        result = world.store.results.get(key_of(name))
        if result is not None:
            assert not world.store.damage(result.products["out"]), name


def _in_child(world: World, kill_at: int | None) -> int:
    """Clean in a process that is killed before its n-th removal; return its wait status."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    seen = itertools.count()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REMOVALS and next(seen) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        gc_module.file_system_now = _tomorrow
        sys.addaudithook(hook)
        clean(Store(world.store.root, create=False), apply=True)
    except BaseException:
        os._exit(3)
    os._exit(0)


def _tomorrow(folder: Path) -> int:
    return time.time_ns() + 86400 * 10**9


def test_a_cleaner_that_is_killed_anywhere_leaves_a_whole_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gc_module, "file_system_now", _tomorrow)
    whole = _world(tmp_path / "whole")
    clean(whole.store, apply=True)
    _check(whole)
    for number in itertools.count():
        world = _world(tmp_path / str(number))
        status = _in_child(world, number)
        _check(world)
        clean(world.store, apply=True)
        _check(world)
        assert world.files() == whole.files()
        assert not list(world.store.root.rglob(".gc-*"))
        if status == 0:
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
    assert number > 15


def test_what_a_killed_cleaner_had_moved_aside_comes_back(tmp_path: Path) -> None:
    """A result that somebody had just used: the killed process did not see it any more."""
    world = _world(tmp_path)
    path = world.store.results.path(key_of("a"))
    aside = path.rename(path.with_name(f".gc-{path.name}"))
    clean(world.store, apply=True)
    assert world.has_result("a")
    assert not aside.exists()


@pytest.mark.parametrize("how", ["touched", "replaced"])
def test_a_file_that_is_used_in_the_instant_of_its_removal_stays(tmp_path: Path, how: str) -> None:
    path = tmp_path / "file"
    path.write_text("bytes")
    seen = path.stat()
    remover = Remover(apply=True)
    if how == "touched":
        os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + 1))
    else:
        (tmp_path / "new").write_text("bytes")
        (tmp_path / "new").replace(path)
    assert remover.remove(path, seen) is None
    assert path.read_text() == "bytes"
    assert remover.remove(path, path.stat()) is not None
    assert not path.exists()
    assert remover.remove(path, seen) is None


def test_objects_of_a_result_that_is_used_meanwhile_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _world(tmp_path)
    monkeypatch.setattr(gc_module, "file_system_now", _tomorrow)
    remove = Remover.remove

    def used(self: Remover, path: Path, seen: os.stat_result) -> int | None:
        if path.name == key_of("b"):
            assert world.store.use(key_of("b")) is not None
        return remove(self, path, seen)

    monkeypatch.setattr(Remover, "remove", used)
    clean(world.store, apply=True)
    assert world.has_result("b")
    assert world.has("B")
    assert not world.has_result("e")


def test_a_cleaner_that_dies_gives_its_lock_back(tmp_path: Path) -> None:
    world = _world(tmp_path)
    assert os.WTERMSIG(_in_child(world, 0)) == signal.SIGKILL
    clean(world.store, apply=True)


# ---- beside runs ---------------------------------------------------------------------------------

_TASKS = 12
_CONTENTS = 8  # fewer, so that tasks share objects


def _one_run(root: Path, name: str, rng: random.Random) -> None:
    """Do what a driver and its workers do; fail where something they rely on goes away."""
    world = World(root)
    path = root / "runs" / "w" / name
    with RunDirectory(path) as rundir:
        world.store.register_run(path, name, workflow="w")
        products = {}
        with Journal(rundir.journal) as journal:
            about = {"time": "2026-01-01T00:00:00Z", "clock_s": 0.0}
            journal.append(
                RunStarted(
                    **about,
                    run_id=name,
                    plan_digest=digest_of("p"),
                    workflow="w",
                    store=str(world.store.root),
                )
            )
            ends = []
            for number in rng.sample(range(_TASKS), 6):
                task, content = f"t{number}", f"content {number % _CONTENTS}"
                found = world.store.use(key_of(task))
                product = found.products["out"] if found else world.make(task, content, name)
                products[task] = product
                ends.append((task, product))
                time.sleep(rng.uniform(0, 0.004))  # the others get on meanwhile
            assert not [task for task, item in products.items() if world.store.damage(item)]
            for task, product in ends:  # the journal comes late
                journal.append(
                    AttemptFinished(
                        **about,
                        task=task,
                        attempt=1,
                        attempt_id=task,
                        key=key_of(task),
                        state=TaskState.OK,
                        started="",
                        ended="",
                        products={"out": product},
                    )
                )
            journal.append(RunFinished(**about, state=RunState.OK))
    for task, product in products.items():
        assert not world.store.damage(product), f"{name} lost {task}"
    if rng.random() < 0.9:
        shutil.rmtree(path)


def _runner(root: Path, seed: int, rounds: int) -> None:
    rng = random.Random(seed)
    for number in range(rounds):
        _one_run(root, f"run-{seed}-{number}", rng)
        time.sleep(rng.uniform(0, 0.03))  # without a live run in between things get old


def _cleaner(root: Path, stop: Any) -> None:
    gc_module._SLACK_NS = 0
    store = Store(root / ".gpwf")
    while not stop.is_set():
        try:
            clean(store, grace_s=0.0, apply=True)
        except StoreError as error:
            if "is being cleaned by" not in error.message:
                raise
    os._exit(0)


def test_runs_and_cleaners_beside_each_other(tmp_path: Path) -> None:
    """Without any grace: the runs alone keep what they use."""
    World(tmp_path)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    cleaners = [context.Process(target=_cleaner, args=(tmp_path, stop)) for _ in range(2)]
    runners = [context.Process(target=_runner, args=(tmp_path, seed, 40)) for seed in range(2)]
    for process in (*cleaners, *runners):
        process.start()
    for process in runners:
        process.join()
    stop.set()
    for process in cleaners:
        process.join()
    assert [process.exitcode for process in (*runners, *cleaners)] == [0] * 4
    world = World(tmp_path)
    for path in (tmp_path / "runs" / "w").glob("run-*"):
        assert path.is_dir()
    for path in (world.store.root / "results").rglob("*/*"):
        result = world.store.results.get(key_of("x").__class__(path.name))
        assert result is not None
        assert not world.store.damage(result.products["out"])
