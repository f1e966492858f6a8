"""`gpwf gc` and `gpwf pin`."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from storeworld import World, digest_of, key_of

import gpwf.api.gc as gc_module
from gpwf.core.ages import age_text, parse_age
from gpwf.store.store import Store


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    now = time.time_ns() + 10**14
    monkeypatch.setattr(gc_module, "file_system_now", lambda _: now)
    return World(tmp_path)


def test_nothing_is_removed_until_it_is_said(gpwf, world):
    shutil.rmtree(world.run("one", made={"a": "A"}))
    world.run("two", made={"b": "B"})
    told = gpwf("gc").stdout
    assert re.search(r"\.gpwf: \d[\d.]* kB would be freed", told)
    assert "its run directory" in told
    assert "--apply removes it" in told
    assert "1 of 1 runs" in told
    assert world.has_result("a")
    done = gpwf("gc", "--apply").stdout
    assert "freed" in done
    assert "would be" not in done
    assert not world.has_result("a")
    assert "nothing would be freed" in gpwf("gc").stdout


def test_gc_has_stable_fields(gpwf, world):
    shutil.rmtree(world.run("one", made={"a": "A"}))
    path = world.run("two", made={"b": "B"})
    data = json.loads(gpwf("gc", "--keep", 1, "--format", "json").stdout)
    assert {"store", "applied", "bytes", "n_results", "n_objects", "groups", "rest", "runs",
            "kept", "notes"} <= set(data)  # fmt: skip
    assert (data["n_results"], data["n_objects"], data["applied"]) == (1, 1, False)
    (group,) = data["groups"]
    assert {"workflow", "run", "path", "reason", "n_results", "n_objects", "bytes"} == set(group)
    assert (group["workflow"], group["run"], group["path"]) == ("w", "one", None)
    (run,) = data["runs"]
    assert (run["run"], run["path"], run["kept"]) == ("two", str(path), True)
    assert data["bytes"] == group["bytes"] + sum(item["bytes"] for item in data["rest"].values())


def test_ages_are_read_and_refused(gpwf, world):
    world.run("one", made={"a": "A"})
    data = json.loads(gpwf("gc", "--older-than", "1 d", "--format", "json").stdout)
    assert data["runs"][0]["reason"] == "begun more than 1d ago"
    result = gpwf("gc", "--older-than", "soon")
    assert result.exit_code == 2
    assert "write 30d, 12h, 90m or 45s" in result.stderr
    assert [parse_age(text) for text in ("2w", "1.5 h", "0", "10min", "1y")] == [
        1209600.0, 5400.0, 0.0, 600.0, 31536000.0,
    ]  # fmt: skip
    assert [age_text(item) for item in (1209600.0, 90.0, 0.0)] == ["14d", "90s", "0s"]
    for text in ("", "h", "-1h", "1 fortnight", "1h 2m"):
        with pytest.raises(ValueError, match="no length of time"):
            parse_age(text)


def test_the_store_is_found_or_asked_for(gpwf, world, tmp_path, monkeypatch):
    world.run("one", made={"a": "A"})
    other = World(tmp_path / "workflows")
    other.run("two", made={"b": "B"}, path=tmp_path / "runs" / "w" / "two")
    result = gpwf("gc")
    assert result.exit_code == 2
    assert "several stores" in result.stderr
    assert gpwf("gc", "--store", other.store.root).exit_code == 0
    monkeypatch.setenv("GPWF_STORE", str(other.store.root))
    assert str(json.loads(gpwf("gc", "--format", "json").stdout)["store"]) == str(other.store.root)
    monkeypatch.delenv("GPWF_STORE")
    shutil.rmtree(world.store.root)
    assert "nothing would be freed" in gpwf("gc").stdout  # the store of the latest run
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    result = gpwf("gc")
    assert result.exit_code == 2
    assert "no store here" in result.stderr


def test_verify_finds_damage_and_says_what_runs_again(gpwf, world):
    path = world.run("one", made={"a": "A", "b": "B", "c": "C", "d": "D"})
    whole = gpwf("gc", "--verify")
    assert whole.exit_code == 0
    assert "4 objects (4 B) and 4 results were read; all are what they were" in whole.stdout
    bad = world.store.objects.path(digest_of("A"))
    bad.chmod(0o600)
    bad.write_text("X")
    world.store.objects.path(digest_of("B")).unlink()
    record = world.store.results.path(key_of("c"))
    record.write_bytes(record.read_bytes().replace(b"act", b"cat"))
    found = gpwf("gc", "--verify", "--format", "json")
    assert found.exit_code == 1
    data = json.loads(found.stdout)
    assert [task["task"] for task in data["tasks"]] == ["a", "b", "c"]
    assert {task["run"] for task in data["tasks"]} == {str(path)}
    assert data["missing"] == [digest_of("B")]
    moved = {item["path"]: item["moved_to"] for item in data["damaged"]}
    assert set(moved) == {str(bad), str(record)}
    assert all(Path(place).is_file() for place in moved.values())
    assert Path(moved[str(bad)]).read_text() == "X"
    again = gpwf("gc", "--verify")
    assert again.exit_code == 1
    assert "0 damaged, 2 missing" in again.stdout
    assert "w: a (key" in again.stdout
    assert Store(world.store.root).use(key_of("d")) is not None
    assert gpwf("gc", "--verify", "--apply").exit_code == 2


def test_pins_are_set_listed_and_taken_away(gpwf, world):
    path = world.run("one", made={"a": "A", "b": "B"})
    link = path / "products" / "b" / "out" / "file"
    link.parent.mkdir(parents=True)
    link.symlink_to(world.store.objects.path(digest_of("B")))
    assert "nothing is pinned" in gpwf("pin").stdout
    assert "pinned runs/w/one: 2 objects" in gpwf("pin", "one").stderr
    assert "file: 1 objects" in gpwf("pin", link).stderr
    pins = json.loads(gpwf("pin", "--format", "json").stdout)
    assert sorted((pin["run"], pin["n_objects"]) for pin in pins if pin["run"]) == [("one", 2)]
    text = gpwf("pin").stdout
    assert "runs/w/one" in text
    assert "product" in text
    reasons = [fate["reason"] for fate in json.loads(gpwf("gc", "--format", "json").stdout)["runs"]]
    assert reasons == ["pinned"]
    assert gpwf("pin", "--remove", pins[0]["id"]).exit_code == 0
    assert gpwf("pin", "--remove", pins[1]["name"]).exit_code == 0
    assert json.loads(gpwf("pin", "--format", "json").stdout) == []
    for arguments, words in (
        (["--remove", "one"], "one is not pinned"),
        (["--remove"], "--remove what?"),
        (["none"], "no run none"),
        ([path / "journal.jsonl"], "is no product of the store"),
    ):
        result = gpwf("pin", *arguments)
        assert result.exit_code == 2
        assert words in result.stderr


def test_a_run_of_another_store_is_not_pinned_here(gpwf, world, tmp_path):
    other = World(tmp_path / "other")
    path = other.run("two", made={"b": "B"})
    result = gpwf("pin", path, "--store", world.store.root)
    assert result.exit_code == 2
    assert "does not keep its products in the store" in result.stderr
