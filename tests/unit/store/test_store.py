"""Stores: format marker, results, atomic writes."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gpwf.core.codec import to_plain
from gpwf.core.digests import Digest, TaskKey, digest_bytes, tagged_digest
from gpwf.core.runs import Product, Resources
from gpwf.errors import StoreError
from gpwf.store.atomic import write_atomic
from gpwf.store.results import StoredResult
from gpwf.store.store import Store


def _key(text: str) -> TaskKey:
    return TaskKey(digest_bytes(text.encode()))


def _result(key: TaskKey) -> StoredResult:
    return StoredResult(
        key=key,
        products={"out": Product(kind="text", digest=Digest("d" * 64), files=())},
        run_id="run",
        attempt_id="attempt",
        started="2026-11-21T03:00:00Z",
        ended="2026-11-21T03:00:01Z",
        tag="act",
        resources=Resources(wall_s=1.0, pid=7),
    )


def test_a_new_store_is_private_and_marked(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    marker = json.loads((store.root / "gpwf-store.json").read_text())
    assert marker == {"format": "gpwf-store", "version": 1}
    assert Store(store.root, create=False).root == store.root


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path)
    (tmp_path / "gpwf-store.json").write_text('{"format": "gpwf-store", "version": 2}')
    with pytest.raises(StoreError, match="has version 2; this gpwf knows 1"):
        Store(tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"thesis\.tex"):
        Store(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_broken_marker_is_refused(tmp_path: Path) -> None:
    Store(tmp_path)
    (tmp_path / "gpwf-store.json").write_text("{")
    with pytest.raises(StoreError, match="not the marker"):
        Store(tmp_path)


def test_a_store_that_was_being_made_is_finished(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    Store(tmp_path)
    assert (tmp_path / "gpwf-store.json").is_file()


def test_a_missing_store_is_not_made_by_readers(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at"):
        Store(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_results_come_back_equal(tmp_path: Path) -> None:
    results = Store(tmp_path).results
    key = _key("a")
    assert results.get(key) is None
    results.put(key, _result(key))
    assert results.get(key) == _result(key)
    assert results.path(key).parts[-3:] == ("results", key[:2], key)
    assert Store(tmp_path).results.get(key) == _result(key)


def test_a_result_under_another_key_is_set_aside(tmp_path: Path) -> None:
    results = Store(tmp_path).results
    results.put(_key("a"), _result(_key("a")))
    place = results.path(_key("b"))
    place.parent.mkdir(exist_ok=True)
    results.path(_key("a")).rename(place)
    assert results.get(_key("b")) is None
    assert len(list((tmp_path / "damaged").iterdir())) == 1
    assert not place.exists()


def test_every_changed_byte_of_a_result_shows(tmp_path: Path) -> None:
    results = Store(tmp_path).results
    key = _key("a")
    results.put(key, _result(key))
    data = results.path(key).read_bytes()
    for number in range(len(data)):
        changed = bytearray(data)
        changed[number] ^= 0x01
        results.path(key).write_bytes(bytes(changed))
        assert results.get(key) in (None, _result(key))


def test_damage_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    folder = tmp_path / "product"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(f"text {name}")
    product = store.objects.publish(folder, "text", {})
    assert store.damage(product) == []
    digests = {item.name: item.digest for item in product.files}
    store.objects.path(digests["a"]).unlink()
    changed = store.objects.path(digests["b"])
    changed.chmod(0o600)
    changed.write_text("text B")
    assert store.damage(product) == [digests["a"], digests["b"]]


def test_write_atomic_leaves_old_or_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_of_the_first_format_is_read(tmp_path: Path) -> None:
    results = Store(tmp_path / "store").results
    key = _key("a")
    body = to_plain(_result(key))
    document = {
        "format": "gpwf-result/1",
        "check": tagged_digest("gpwf-result/1", body),
        "result": body,
    }
    results.path(key).parent.mkdir()
    results.path(key).write_text(json.dumps(document))
    assert results.get(key) == _result(key)
    body["tag"] = "another"
    results.path(key).write_text(json.dumps(document))
    assert results.get(key) is None
