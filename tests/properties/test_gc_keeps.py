"""Whatever runs there were: collection keeps what kept runs and pins need, and nothing else old."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storeworld import World, digest_of, key_of

import gpwf.api.gc as gc_module
from gpwf.api.gc import clean
from gpwf.api.pins import make_pin
from gpwf.core.runs import RunState

TASKS = st.integers(0, 7)
RUNS = st.lists(
    st.tuples(
        st.sampled_from("vw"),  # workflow
        st.sets(TASKS, max_size=4),  # what it asks for
        st.sampled_from(["here", "here", "gone", "pinned", "pinned and gone"]),
        st.sampled_from([RunState.OK, RunState.FAILED, None]),
    ),
    min_size=1,
    max_size=5,
)


def _content(task: int) -> str:
    return f"content {task // 2}"  # two tasks each have the same bytes


def _build(world: World, runs: list[tuple[str, set[int], str, RunState | None]]) -> None:
    for number, (workflow, tasks, _, state) in enumerate(runs):
        names = {f"t{task}": _content(task) for task in tasks}
        known = tuple(name for name in names if world.has_result(name))
        made = {name: text for name, text in names.items() if name not in known}
        world.run(f"r{number}", made=made, cached=known, workflow=workflow, state=state)
    for number, (workflow, _, fate, _) in enumerate(runs):
        path = world.folder / "runs" / workflow / f"r{number}"
        if "pinned" in fate:
            world.store.pins.add(make_pin(world.store, path))
        if "gone" in fate:
            shutil.rmtree(path)


def _kept(runs: list[tuple[str, set[int], str, RunState | None]], keep: int | None) -> set[int]:
    """Return the tasks that must stay, by the definition in the documentation."""
    needed: set[int] = set()
    seen: dict[str, int] = {}
    good: set[str] = set()
    for workflow, tasks, fate, state in reversed(runs):
        if "pinned" in fate:
            needed |= tasks
        if "gone" in fate:
            continue
        seen[workflow] = seen.get(workflow, 0) + 1
        latest_good = state is RunState.OK and workflow not in good
        if state is RunState.OK:
            good.add(workflow)
        if keep is None or seen[workflow] <= keep or latest_good:
            needed |= tasks
    return needed


@settings(max_examples=60)
@given(runs=RUNS, keep=st.sampled_from([None, None, 0, 1, 2]))
def test_exactly_what_is_needed_stays(
    runs: list[tuple[str, set[int], str, RunState | None]], keep: int | None
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="gpwf-gc-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(gc_module, "file_system_now", lambda _: time.time_ns() + 10**14)
        try:
            world = World(folder)
            _build(world, runs)
            told = clean(world.store, keep=keep)
            found = clean(world.store, keep=keep, apply=True)
            assert (told.groups, told.bytes) == (found.groups, found.bytes)
            needed = _kept(runs, keep)
            there = {path.name for path in (world.store.root / "results").rglob("*/*")}
            assert there == {key_of(f"t{task}") for task in needed}
            bytes_there = {path.name for path in (world.store.root / "objects").rglob("*/*")}
            assert bytes_there == {digest_of(_content(task)) for task in needed}
            assert all(world.has(_content(task)) for task in needed)
            assert clean(world.store, keep=keep, apply=True).bytes == 0
        finally:
            shutil.rmtree(folder)
