"""Digests of external files, and the way back from content to file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpwf.core.digests import Digest, digest_bytes
from gpwf.errors import StoreError
from gpwf.store import inputs as inputs_module
from gpwf.store.store import Store

_OLD_NS = 1_600_000_000 * 10**9


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the list of files that were read so far."""
    found: list[Path] = []
    read = inputs_module.digest_file

    def counting(path: Path | str) -> Digest:
        found.append(Path(path))
        return read(path)

    monkeypatch.setattr(inputs_module, "digest_file", counting)
    return found


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clock be a minute ahead: what was written now is old enough to be trusted."""
    now = inputs_module.time.time_ns
    monkeypatch.setattr(inputs_module.time, "time_ns", lambda: now() + 60 * 10**9)


def _file(folder: Path, text: str = "data", name: str = "data.fits") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.usefixtures("later")
def test_a_settled_file_is_read_once(tmp_path: Path, reads: list[Path]) -> None:
    path = _file(tmp_path)
    store = Store(tmp_path / "store")
    for _ in range(2):
        assert store.inputs.digest(path) == (digest_bytes(b"data"), 4)
    store.flush()
    assert Store(store.root).inputs.digest(path) == (digest_bytes(b"data"), 4)
    assert reads == [path]


def test_a_young_file_is_not_trusted(tmp_path: Path, reads: list[Path]) -> None:
    path = _file(tmp_path)
    inputs = Store(tmp_path / "store").inputs
    inputs.digest(path)
    before = path.stat()
    path.write_text("DATA")  # the same size, perhaps within one tick of the clock
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert inputs.digest(path)[0] == digest_bytes(b"DATA")
    assert len(reads) == 2


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("how", ["size", "mtime", "inode", "bytes in secret"])
def test_a_changed_file_is_read_again(tmp_path: Path, how: str) -> None:
    path = _file(tmp_path)
    os.utime(path, ns=(_OLD_NS, _OLD_NS))
    inputs = Store(tmp_path / "store").inputs
    inputs.digest(path)
    if how == "inode":
        other = _file(tmp_path, "DATA", "other")
        os.utime(other, ns=(_OLD_NS, _OLD_NS))
        other.replace(path)
    else:
        path.write_text("DATA" if how != "size" else "more data")
    if how in ("size", "bytes in secret"):
        os.utime(path, ns=(_OLD_NS, _OLD_NS))  # the change time still tells
    assert inputs.digest(path)[0] == digest_bytes(path.read_bytes())


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Store(tmp_path / "store").inputs.digest(tmp_path / "none")


def test_locate_finds_what_was_digested(tmp_path: Path) -> None:
    path = _file(tmp_path)
    store = Store(tmp_path / "store")
    digest, _ = store.inputs.digest(path)
    assert store.inputs.locate(digest) == path
    store.flush()
    assert Store(store.root).inputs.locate(digest) == path


def test_locate_looks_into_the_store_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    digest, _ = store.inputs.digest(_file(tmp_path))
    assert store.objects.put(_file(tmp_path, name="same")).digest == digest
    assert store.inputs.locate(digest) == store.objects.path(digest)


def test_locate_hears_of_other_processes(tmp_path: Path) -> None:
    path = _file(tmp_path)
    mine, other = Store(tmp_path / "store"), Store(tmp_path / "store")
    with pytest.raises(StoreError, match="never seen"):
        mine.inputs.locate(digest_bytes(b"data"))
    digest, _ = other.inputs.digest(path)
    other.flush()
    assert mine.inputs.locate(digest) == path


def test_locate_names_what_changed_or_went(tmp_path: Path) -> None:
    changed, gone = _file(tmp_path, name="changed"), _file(tmp_path, name="gone")
    inputs = Store(tmp_path / "store").inputs
    for path in (changed, gone):
        digest, _ = inputs.digest(path)
    changed.write_text("something else")
    gone.unlink()
    with pytest.raises(StoreError, match="changed has changed") as caught:
        inputs.locate(digest)
    assert "gone: No such file" in caught.value.message


def test_locate_prefers_the_copy_that_is_left(tmp_path: Path) -> None:
    first, second = _file(tmp_path, name="first"), _file(tmp_path, name="second")
    inputs = Store(tmp_path / "store").inputs
    for path in (first, second):
        digest, _ = inputs.digest(path)
    second.write_text("something else")
    assert inputs.locate(digest) == first


def test_registered_content_is_found_but_checked(tmp_path: Path) -> None:
    path = _file(tmp_path)
    inputs = Store(tmp_path / "store").inputs
    inputs.register(path, digest_bytes(b"data"))
    assert inputs.locate(digest_bytes(b"data")) == path
    inputs.register(path, digest_bytes(b"a lie"))
    with pytest.raises(StoreError, match="has changed"):
        inputs.locate(digest_bytes(b"a lie"))


@pytest.mark.usefixtures("later")
def test_a_torn_cache_is_only_slower(tmp_path: Path) -> None:
    path = _file(tmp_path)
    store = Store(tmp_path / "store")
    digest, _ = store.inputs.digest(path)
    store.flush()
    cache = store.root / "cache" / "inputs.jsonl"
    data = cache.read_bytes()
    for length in range(len(data)):
        cache.write_bytes(data[:length] + b'\n["x", 1, 2, 3]\nnull\n[]\n')
        assert Store(store.root).inputs.digest(path)[0] == digest
    cache.unlink()
    assert Store(store.root).inputs.digest(path)[0] == digest


def test_the_cache_keeps_what_others_saved(tmp_path: Path) -> None:
    first, second = _file(tmp_path, "1", "first"), _file(tmp_path, "2", "second")
    one, two = Store(tmp_path / "store"), Store(tmp_path / "store")
    one.inputs.digest(first)
    two.inputs.digest(second)
    one.flush()
    two.flush()
    found = Store(tmp_path / "store").inputs
    assert found.locate(digest_bytes(b"1")) == first
    assert found.locate(digest_bytes(b"2")) == second


def test_the_cache_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_module, "_SLACK_LINES", 3)
    path = _file(tmp_path)
    store = Store(tmp_path / "store")
    for number in range(40):
        path.write_text(str(number))
        store.inputs.digest(path)
        store.flush()
    assert len((store.root / "cache" / "inputs.jsonl").read_text().splitlines()) <= 6


def test_strange_file_names(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    names = [b"new\nline", b"\xff\xfe", "Γ".encode()]
    for name in names:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.write_bytes(name)
        store.inputs.digest(path)
    store.flush()
    for name in names:
        assert os.fsencode(Store(store.root).inputs.locate(digest_bytes(name)).name) == name


def test_memos(tmp_path: Path) -> None:
    inputs = Store(tmp_path / "store").inputs
    assert inputs.memo("key") is None
    inputs.remember("key", [{"path": "/a/b"}])
    assert Store(tmp_path / "store").inputs.memo("key") == [{"path": "/a/b"}]
    for path in (tmp_path / "store" / "cache" / "memo").iterdir():
        path.write_text("{")
    assert inputs.memo("key") is None


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    digest, _ = store.inputs.digest(_file(tmp_path))
    cache = store.root / "cache"
    cache.rmdir()
    cache.write_text("in the way")
    store.inputs.remember("key", 1)
    store.flush()
    assert store.inputs.memo("key") is None
    assert store.inputs.locate(digest) == tmp_path / "data.fits"
