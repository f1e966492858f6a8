"""`gpwf.api.gc.clean`: what goes, what stays, and why."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from storeworld import World, digest_of, key_of

import gpwf.api.gc as gc_module
from gpwf.api.gc import Cleaning, clean
from gpwf.api.known_runs import KnownRun, is_driven, known_runs
from gpwf.api.pins import find_pin, make_pin
from gpwf.api.retention import fates
from gpwf.core.runs import RunState, TaskState
from gpwf.errors import StoreError, UsageError
from gpwf.run.rundir import RunDirectory
from gpwf.store.clock import read_clock
from gpwf.store.registry import RegisteredRun
from gpwf.store.store import Store
from gpwf.store.sweep_lock import sweep_lock

DAY_NS = 86400 * 10**9


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    return World(tmp_path)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that lets days pass for the collector."""

    def pass_days(days: float = 1.0) -> None:
        now = time.time_ns() + int(days * DAY_NS)
        monkeypatch.setattr(gc_module, "file_system_now", lambda folder: now)

    return pass_days


def sweep(world: World, **options: object) -> Cleaning:
    return clean(world.store, apply=True, **options)  # type: ignore[arg-type]


def test_nothing_goes_that_a_run_needs(world: World, later: Callable) -> None:
    world.run("one", made={"a": "A", "b": "B"})
    world.run("two", cached=("a",), made={"c": "C"})
    later()
    before = world.files()
    found = sweep(world)
    assert (found.groups, found.bytes) == ((), 0)
    assert world.files() == before
    assert found.kept.results.files == 3
    assert found.kept.objects.files == 3


def test_what_a_run_needed_goes_with_its_directory(world: World, later: Callable) -> None:
    one = world.run("one", made={"a": "A", "b": "B"})
    world.run("two", cached=("a",), made={"c": "C"})
    shutil.rmtree(one)
    later()
    told = clean(world.store)
    assert world.has_result("b")
    found = sweep(world)
    assert found.groups == told.groups
    (group,) = found.groups
    assert (group.workflow, group.run_id, group.results, group.objects) == ("w", "one", 1, 1)
    assert group.reason == f"its run directory {one} is gone"
    assert world.has_result("a")
    assert world.has("A")
    assert not world.has_result("b")
    assert not world.has("B")
    assert [entry.run_id for entry, _ in world.store.runs.entries()] == ["two"]
    assert sweep(world).bytes == 0


def test_bytes_that_two_results_share_stay_with_one_of_them(world: World, later: Callable) -> None:
    shutil.rmtree(world.run("one", made={"a": "same", "b": "same"}))
    world.run("two", made={"c": "same"})
    later()
    (group,) = sweep(world).groups
    assert (group.results, group.objects) == (2, 0)
    assert world.has("same")


def test_what_is_young_stays(world: World) -> None:
    shutil.rmtree(world.run("one", made={"a": "A"}))
    orphan = world.product("orphan")
    assert sweep(world).bytes == 0
    assert world.has_result("a")
    assert world.store.damage(orphan) == []
    time.sleep(0.02)  # the time stamps of files are as coarse as that
    assert sweep(world, grace_s=0.0).bytes > 0
    assert not world.has("A")
    assert world.store.damage(orphan)


def test_results_that_were_used_are_young_again(world: World) -> None:
    shutil.rmtree(world.run("one", made={"a": "A", "b": "B"}))
    path = world.store.results.path(key_of("a"))
    os.utime(path, ns=(1, 1))
    assert world.store.use(key_of("a")) is not None
    assert path.stat().st_mtime_ns > 1
    assert world.store.use(key_of("none")) is None


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_keep_counts_runs_of_every_workflow(world: World, later: Callable, keep: int) -> None:
    for number in range(3):
        for workflow in ("v", "w"):
            name = f"{workflow}{number}"
            world.run(name, made={name: name}, workflow=workflow)
    later()
    found = sweep(world, keep=keep)
    latest = range(3 - max(keep, 1), 3)  # the latest good run of a workflow stays in any case
    there = {f"{workflow}{n}" for workflow in "vw" for n in range(3) if world.has(f"{workflow}{n}")}
    assert there == {f"{workflow}{n}" for workflow in "vw" for n in latest}
    reasons = {group.run_id: group.reason for group in found.groups}
    assert all(f"not among the latest {keep} of " in reason for reason in reasons.values())


def test_keep_does_not_drop_the_last_good_run_for_failed_ones(
    world: World, later: Callable
) -> None:
    world.run("good", made={"a": "A"})
    world.run("bad", failed=("b",), state=RunState.FAILED)
    world.run("cut", made={"c": "C"}, state=None)
    later()
    sweep(world, keep=1)
    assert world.has_result("a")


def test_age_and_number_must_both_be_exceeded() -> None:
    now = datetime(2026, 2, 1, tzinfo=UTC)
    runs = [
        KnownRun(path=Path(f"/r{n}"), workflow="w", began=f"2026-01-{30 - n:02d}T00:00:00Z")
        for n in range(5)
    ]
    kept = [fate.keeps for fate in fates(runs, keep=1, older_than_s=3 * 86400, now=now)]
    assert kept == [True, True, False, False, False]
    kept = [fate.keeps for fate in fates(runs, older_than_s=86400, now=now)]
    assert kept == [False] * 5
    live = [replace(run, is_live=True) for run in runs]
    assert all(fate.keeps for fate in fates(live, keep=0, older_than_s=0, now=now))
    unknown = [replace(run, began="yesterday") for run in runs]
    assert all(fate.keeps for fate in fates(unknown, older_than_s=1.0, now=now))


def test_a_live_run_keeps_what_it_has_not_written_down(world: World, later: Callable) -> None:
    """Only the entry and the lock tell of it; its journal is empty yet."""
    shutil.rmtree(world.run("old", made={"found": "F", "other": "O"}))
    for path in (world.store.root / "results").rglob("*/*"):
        os.utime(path, ns=(1, 1))
    with RunDirectory(world.folder / "runs" / "w" / "live"):
        world.store.register_run(world.folder / "runs" / "w" / "live", "live", workflow="w")
        world.make("mine", "M", "live")
        world.product("published, and no result yet")
        later(30)
        # `other` cannot be told from what was made since, to the second: it stays as well
        sweep(world, grace_s=0.0)
        assert world.has_result("mine")
        assert world.has("published, and no result yet")
        assert clean(world.store).fates[0].reason == "it works now"


def test_a_live_run_is_known_before_its_journal_says_who_it_is(world: World) -> None:
    place = world.folder / "runs" / "w" / "live"
    with RunDirectory(place):
        world.store.register_run(place, "live", workflow="w")
        (run,) = known_runs(world.store).runs
        assert (run.is_live, run.run_ids) == (True, ("live",))
        assert is_driven(place)
    assert not is_driven(place)
    found = known_runs(world.store)
    assert found.runs == ()
    assert [entry.run_id for entry, _ in found.gone] == ["live"]


def test_a_live_run_keeps_what_it_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(world.run("old", made={"found": "F", "other": "O"}))
    time.sleep(2.2)  # more than the slack
    place = world.folder / "runs" / "w" / "live"
    with RunDirectory(place):
        world.store.register_run(place, "live", workflow="w")
        assert world.store.use(key_of("found")) is not None
        time.sleep(0.02)
        found = sweep(world, grace_s=0.0)
        assert world.has_result("found")
        assert world.has("F")
        assert not world.has_result("other")
        assert not world.has("O")
        assert [group.results for group in found.groups] == [1]


def test_what_a_killed_run_made_and_did_not_write_down_stays(world: World, later: Callable) -> None:
    world.run("cut", made={"a": "A"}, state=None)
    world.make("lost outcome", "L", "cut")
    later()
    sweep(world)
    assert world.has_result("lost outcome")
    assert world.has("L")


def test_a_clock_that_was_set_freezes_while_a_run_works(world: World, later: Callable) -> None:
    shutil.rmtree(world.run("old", made={"a": "A"}))
    place = world.folder / "runs" / "w" / "live"
    with RunDirectory(place):
        world.store.register_run(place, "live", workflow="w")
        _set_back(world, "live", hours=3)
        later(30)
        found = sweep(world, grace_s=0.0)
        assert any("results and objects all stay" in note for note in found.notes)
        assert world.has_result("a")
    assert not read_clock().boot_id or found.kept.results.files == 0


def _set_back(world: World, run_id: str, *, hours: int) -> None:
    """Let the clock have been set by some hours since a run was registered."""
    ((entry, _),) = [item for item in world.store.runs.entries() if item[0].run_id == run_id]
    clock = replace(entry.clock, wall_ns=entry.clock.wall_ns + hours * 3600 * 10**9)
    _write_entry(world, replace(entry, clock=clock))


def _write_entry(world: World, entry: RegisteredRun) -> None:
    import json

    from gpwf.core.codec import to_plain

    document = {"format": "gpwf-run/1", **to_plain(entry)}
    world.store.runs.path(entry.run_id).write_text(json.dumps(document))


def test_a_clock_that_was_set_makes_ages_uncertain_by_as_much(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not read_clock().boot_id:
        pytest.skip("this system does not tell one start of the machine from another")
    shutil.rmtree(world.run("old", made={"a": "A"}))
    world.run("kept", made={"b": "B"})
    _set_back(world, "kept", hours=3)
    now = time.time_ns() + 2 * 3600 * 10**9
    monkeypatch.setattr(gc_module, "file_system_now", lambda folder: now)
    found = sweep(world)
    assert world.has_result("a")
    assert any("the clock was set" in note for note in found.notes)
    now += 3 * 3600 * 10**9
    sweep(world)
    assert not world.has_result("a")


def test_runs_are_found_again_after_a_move(world: World, later: Callable, tmp_path: Path) -> None:
    """Project folders are moved as a whole: store and runs keep their distance."""
    project = tmp_path / "project"
    inner = World(project)
    inner.run("one", made={"a": "A"})
    inner.run("out", made={"b": "B"}, path=project / "elsewhere" / "out")
    project.rename(tmp_path / "moved")
    later()
    moved = World(tmp_path / "moved")
    assert sweep(moved).bytes == 0
    assert moved.has_result("a")
    assert moved.has_result("b")


def test_a_run_that_was_moved_alone_is_known_again_once_it_was_shown(
    world: World, later: Callable
) -> None:
    path = world.run("one", made={"a": "A"})
    archive = world.folder / "deep" / "in" / "archive"
    archive.mkdir(parents=True)
    path.rename(archive / "one")
    later()
    assert clean(world.store).groups[0].reason == f"its run directory {path} is gone"
    assert sweep(world, folders=[archive]).bytes == 0
    assert clean(world.store).bytes == 0
    assert world.store.runs.get("one").path == str(archive / "one")  # type: ignore[union-attr]


def test_another_run_in_the_place_of_one_that_is_gone(world: World, later: Callable) -> None:
    path = world.run("one", made={"a": "A"})
    shutil.rmtree(path)
    world.run("two", made={"b": "B"}, path=path)
    later()
    sweep(world)
    assert not world.has_result("a")
    assert world.has_result("b")


def test_in_a_folder_that_is_used_again_the_last_good_run_counts(
    world: World, later: Callable
) -> None:
    path = world.run("one", made={"a": "A"})
    world.run("two", made={"b": "B"}, path=path)
    world.run("three", made={"c": "C"}, path=path, state=None)
    later()
    found = sweep(world)
    assert [world.has_result(name) for name in "abc"] == [False, True, True]
    assert "a later run in the same folder" in found.groups[0].reason


def test_a_disk_that_is_not_there_is_not_a_run_that_is_gone(
    world: World, later: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = world.run("one", made={"a": "A"})
    ((entry, _),) = list(world.store.runs.entries())
    _write_entry(world, replace(entry, mount=str(world.folder / "usb disk")))
    shutil.rmtree(path.parent.parent)
    later()
    with pytest.raises(StoreError, match=r"one cannot be reached") as caught:
        sweep(world)
    assert "mount its disk" in (caught.value.hint or "")
    assert world.has_result("a")


def test_a_journal_of_a_newer_version_stops_everything(world: World, later: Callable) -> None:
    journal = world.run("one", made={"a": "A"}) / "journal.jsonl"
    from gpwf.run import journal as journal_module

    version = journal_module.JOURNAL_VERSION
    try:
        journal_module.JOURNAL_VERSION = version + 1
        world.run("two", made={"b": "B"})
    finally:
        journal_module.JOURNAL_VERSION = version
    later()
    with pytest.raises(StoreError, match="what this run needs is not known"):
        sweep(world)
    assert journal.is_file()
    assert world.has_result("a")


def test_a_damaged_journal_loses_nothing_that_the_run_shows(world: World, later: Callable) -> None:
    shutil.rmtree(world.run("gone", made={"x": "X"}))
    path = world.run("one", made={"a": "A"}, cached=("x",))
    journal = path / "journal.jsonl"
    first = journal.read_bytes().partition(b"\n")[0]
    journal.write_bytes(first + b"\nthe rest is damaged")
    link = path / "products" / "x" / "out" / "file"
    link.parent.mkdir(parents=True)
    link.symlink_to(world.store.objects.path(digest_of("X")))
    later()
    sweep(world)
    assert world.has_result("a")  # its record says who made it
    assert world.has("X")


def test_runs_beside_the_store_are_found_without_an_entry(world: World, later: Callable) -> None:
    world.run("one", made={"a": "A"}, register=False)
    other = World(world.folder / "other")
    other.run("two", made={"b": "B"}, register=False, path=world.folder / "runs" / "w" / "two")
    later()
    found = sweep(world)
    assert world.has_result("a")
    assert [fate.run.run_ids for fate in found.fates] == [("one",)]
    assert [entry.run_id for entry, _ in world.store.runs.entries()] == ["one"]
    assert clean(other.store, folders=[world.folder]).bytes == 0
    assert clean(other.store).groups[0].reason == "made by a run that is not known here"


def test_pins_keep_a_run_and_a_product_for_ever(world: World, later: Callable) -> None:
    one = world.run("one", made={"a": "A", "b": "B"})
    two = world.run("two", made={"c": "C", "d": "D"})
    link = two / "products" / "c" / "out" / "file"
    link.parent.mkdir(parents=True)
    link.symlink_to(world.store.objects.path(digest_of("C")))
    world.store.pins.add(make_pin(world.store, one))
    world.store.pins.add(make_pin(world.store, link))
    later()
    sweep(world, older_than_s=0.0)
    assert [world.has_result(name) for name in "abcd"] == [True, True, True, False]
    shutil.rmtree(one)
    shutil.rmtree(two)
    sweep(world)
    assert [world.has(name) for name in "ABCD"] == [True, True, True, False]
    for name in (str(one), str(link)):
        world.store.pins.remove(find_pin(world.store, name))
    sweep(world)
    assert world.files() == set()
    with pytest.raises(UsageError, match="is not pinned"):
        find_pin(world.store, str(one))


def test_a_pin_takes_in_what_its_run_makes_later(world: World, later: Callable) -> None:
    path = world.run("one", made={"a": "A"}, state=None)
    world.store.pins.add(make_pin(world.store, path))
    with RunDirectory(path) as rundir:
        from gpwf.run.journal import Journal

        with Journal(rundir.journal) as journal:
            product = world.make("b", "B", "one")
            journal.extend(world._attempt("b", {"out": product}, TaskState.OK))
    later()
    sweep(world)
    shutil.rmtree(path)
    sweep(world)
    assert world.has_result("b")


def test_drafts_work_folders_and_caches_of_the_dead_go(world: World, later: Callable) -> None:
    path = world.run("dead", made={"a": "A"}, failed=("bad",), state=RunState.FAILED)
    root = world.store.root
    (root / "tmp" / "copy").write_text("half")
    (root / "damaged" / "bytes").write_text("wrong")
    (root / "cache" / "plans").mkdir()
    (root / "cache" / "plans" / "old.json").write_text("{}")
    (root / "results" / key_of("a")[:2] / f".{key_of('a')}.0a.part").write_text("half")
    for name in ("killed/1-aa", "bad/1-bb", "bad/2-cc"):
        (path / "work" / name).mkdir(parents=True)
        (path / "work" / name / "file").write_text("x" * 5000)
    later(1)
    found = sweep(world)
    assert found.rest["drafts"].files == 2
    assert found.rest["damaged"].files == 1
    assert found.rest["work"].files == 2
    assert found.rest["caches"].files == 0
    assert [item.name for item in (path / "work").iterdir()] == ["bad"]
    assert [item.name for item in (path / "work" / "bad").iterdir()] == ["1-bb"]
    later(60)
    assert sweep(world).rest["caches"].files == 1
    sweep(world, older_than_s=0.0)
    assert not list((path / "work").iterdir())


def test_the_work_of_a_live_run_is_left_alone(world: World, later: Callable) -> None:
    path = world.run("one", made={"a": "A"})
    later()
    with RunDirectory(path):
        (path / "work" / "t" / "1-aa").mkdir(parents=True)
        assert sweep(world, older_than_s=0.0).rest["work"].files == 0
        assert (path / "work" / "t" / "1-aa").is_dir()


def test_what_is_freed_is_what_du_says(world: World, later: Callable) -> None:
    shutil.rmtree(world.run("one", made={f"t{n}": "x" * (n * 3000) for n in range(20)}))
    world.run("two", made={"b": "B"})
    (world.store.root / "tmp" / "draft").write_text("d" * 9000)
    sweep(world)  # leaves the files that it needs itself
    later()
    told = clean(world.store)
    before = _du(world.store.root)
    found = sweep(world)
    assert found.bytes == told.bytes == before - _du(world.store.root)
    assert found.bytes > 20 * 3000


def _du(folder: Path) -> int:
    program = ["du", "-s", "--block-size=1", str(folder)]
    return int(
        subprocess.run(program, capture_output=True, text=True, check=True).stdout.split()[0]
    )


def test_what_is_freed_in_run_directories_is_what_du_says(world: World, later: Callable) -> None:
    path = world.run("dead", made={"a": "A"}, failed=("bad",), state=RunState.FAILED)
    for name in ("killed/1-aa/in", "bad/1-bb", "bad/2-cc"):
        (path / "work" / name).mkdir(parents=True)
        (path / "work" / name / "file").write_text("x" * 9000)
    (path / ".plan.json.ab12.part").write_text("half")
    later()
    before = _du(path)
    told, found = clean(world.store), sweep(world)
    assert told.bytes == found.bytes == found.rest["work"].bytes == before - _du(path)
    assert found.bytes > 18000


def test_a_second_cleaner_is_told_who_is_first(world: World) -> None:
    with (
        sweep_lock(world.store.root),
        pytest.raises(StoreError, match=f"is being cleaned by process {os.getpid()} on "),
    ):
        sweep(world)
    assert clean(world.store).applied is False
    sweep(world)


def test_an_entry_or_a_pin_that_cannot_be_read_stops_everything(
    world: World, later: Callable
) -> None:
    world.run("one", made={"a": "A"})
    later()
    for name in ("runs", "pins"):
        bad = world.store.root / name / "bad.json"
        bad.write_text("{")
        with pytest.raises(StoreError, match=r"bad\.json"):
            sweep(world)
        bad.unlink()


def test_nobody_knows_the_run_of_a_result(world: World, later: Callable) -> None:
    world.make("a", "A", "who")
    world.product("orphan")
    later()
    found = clean(Store(world.store.root, create=False))
    reasons = {group.run_id: group.reason for group in found.groups}
    assert reasons == {
        "who": "made by a run that is not known here",
        "": "no result refers to them",
    }
