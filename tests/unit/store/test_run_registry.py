"""Entries of runs, pins, clocks."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gpwf.core.digests import digest_bytes
from gpwf.errors import StoreError
from gpwf.store.clock import ClockReading, file_system_now, moved_ns, read_clock
from gpwf.store.pins import Pin
from gpwf.store.registry import Presence
from gpwf.store.store import Store


def test_an_entry_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    place = tmp_path / "runs" / os.fsdecode(b"r\xff")
    place.mkdir(parents=True)
    store.register_run(place, "id-1", workflow="crab")
    ((entry, stamp),) = list(store.runs.entries())
    assert (entry.run_id, entry.workflow, entry.path) == ("id-1", "crab", str(place))
    assert entry.presence(store.root) == (Presence.HERE, place)
    assert abs(stamp - file_system_now(store.root / "tmp")) < 60 * 10**9
    assert store.runs.get("id-1") == entry
    store.register_run(place, "id-1", workflow="crab")
    store.register_run(place, "../strange/id")
    assert len(list(store.runs.entries())) == 2
    assert {path.parent for path in (store.root / "runs").rglob("*")} == {store.root / "runs"}
    for name in ("id-1", "../strange/id", "never"):
        store.runs.remove(name)
    assert list(store.runs.entries()) == []
    assert store.runs.get("id-1") is None


@pytest.mark.parametrize(
    ("code", "presence"),
    [
        (errno.ENOENT, Presence.GONE),
        (errno.EACCES, Presence.UNREACHABLE),
        (errno.EIO, Presence.UNREACHABLE),
        (errno.ESTALE, Presence.UNREACHABLE),
    ],
)
def test_gone_is_only_what_is_certainly_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, presence: Presence
) -> None:
    store = Store(tmp_path / "store")
    store.register_run(tmp_path / "run", "one")
    ((entry, _),) = list(store.runs.entries())

    def fail(self: Path, **_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "stat", fail)
    assert entry.presence(store.root)[0] is presence


def test_a_store_that_cannot_take_an_entry_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (store.root / "runs").rmdir()
    (store.root / "runs").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        store.register_run(tmp_path / "run", "one")


def test_pins_come_back_and_are_one_for_a_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    digest = digest_bytes(b"x")
    pin = Pin(name="/runs/one", run_id="one", workflow="w", digests=(digest,))
    store.pins.add(pin)
    store.pins.add(replace(pin, name="/moved/one"))
    (found,) = store.pins
    assert found.name == "/moved/one"
    product = Pin(name="/file", digests=(digest,))
    store.pins.add(product)
    assert len(list(store.pins)) == 2
    for item in (found, product, product):
        store.pins.remove(item)
    assert list(store.pins) == []


def test_a_clock_that_was_set_is_told_from_time_that_passed() -> None:
    hour = 3600 * 10**9
    first = ClockReading(wall_ns=0, boot_ns=0, boot_id="a")
    assert moved_ns(first, ClockReading(wall_ns=hour, boot_ns=hour, boot_id="a")) == 0
    assert moved_ns(first, ClockReading(wall_ns=-hour, boot_ns=hour, boot_id="a")) == -2 * hour
    assert moved_ns(first, ClockReading(wall_ns=hour, boot_ns=hour, boot_id="b")) is None
    assert moved_ns(replace(first, boot_id=""), replace(first, boot_id="")) is None
    now = read_clock()
    moved = moved_ns(now, read_clock())
    assert moved is None or abs(moved) < 10**9


def test_a_result_is_used_only_where_it_is_whole(tmp_path: Path) -> None:
    from storeworld import World, digest_of, key_of

    world = World(tmp_path)
    world.make("a", "A", "run")
    assert world.store.use(key_of("a")) is not None
    path = world.store.objects.path(digest_of("A"))
    path.chmod(0o600)
    path.write_text("B")
    assert world.store.use(key_of("a")) is None
    assert not path.exists()
    assert world.store.use(key_of("a")) is None
