"""Content-addressed bytes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gpwf.core.digests import Digest, digest_bytes
from gpwf.core.runs import ProductFile
from gpwf.errors import StoreError
from gpwf.store import objects as objects_module
from gpwf.store.objects import ObjectStore, product_digest
from gpwf.store.store import Store


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return Store(tmp_path / "store").objects


def _file(folder: Path, text: str = "bytes", name: str = "file.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_put_moves_and_protects(objects: ObjectStore, tmp_path: Path) -> None:
    path = _file(tmp_path)
    stored = objects.put(path)
    assert stored == ProductFile(name="file.txt", digest=digest_bytes(b"bytes"), size=5)
    assert not path.exists()
    place = objects.path(stored.digest)
    assert place.parts[-3:] == ("objects", stored.digest[:2], stored.digest)
    assert place.read_text() == "bytes"
    assert stat.S_IMODE(place.stat().st_mode) == 0o444
    assert objects.has(stored.digest)
    assert objects.has(stored.digest, 5)
    assert not objects.has(stored.digest, 6)
    assert objects.verify(stored.digest)


def test_the_same_bytes_again_mend_damage(objects: ObjectStore, tmp_path: Path) -> None:
    digest = objects.put(_file(tmp_path)).digest
    place = objects.path(digest)
    place.chmod(0o600)
    place.write_text("BYTES")
    assert not objects.verify(digest)
    assert objects.put(_file(tmp_path)).digest == digest
    assert objects.verify(digest)


def test_verify_reads_once_while_the_file_stays_the_same(
    objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = objects.put(_file(tmp_path)).digest
    assert objects.verify(digest)
    reads: list[Path] = []
    read = objects_module.digest_file

    def counting(path: Path) -> Digest:
        reads.append(path)
        return read(path)

    monkeypatch.setattr(objects_module, "digest_file", counting)
    assert objects.verify(digest)
    assert reads == []
    place = objects.path(digest)
    place.chmod(0o600)
    place.write_text("BYTES")
    assert not objects.verify(digest)
    assert reads == [place]


def test_set_aside(objects: ObjectStore, tmp_path: Path) -> None:
    digest = objects.put(_file(tmp_path)).digest
    place = objects.set_aside(digest)
    assert place is not None
    assert place.parent.name == "damaged"
    assert not objects.has(digest)
    assert objects.set_aside(digest) is None
    assert not objects.verify(digest)


def test_another_file_system_is_copied(
    objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path)
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self == path:
            raise OSError(18, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    stored = objects.put(path)
    assert stored == ProductFile(name="file.txt", digest=digest_bytes(b"bytes"), size=5)
    assert objects.verify(stored.digest)
    assert not path.exists()
    assert list((tmp_path / "store" / "tmp").iterdir()) == []


def test_bytes_with_another_name_are_copied(objects: ObjectStore, tmp_path: Path) -> None:
    path = _file(tmp_path)
    other = tmp_path / "other"
    os.link(path, other)
    digest = objects.put(path).digest
    other.write_text("changed behind our back")
    assert objects.verify(digest)
    assert stat.S_IMODE(other.stat().st_mode) != 0o444


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_only_regular_files(objects: ObjectStore, tmp_path: Path, what: str) -> None:
    strange = tmp_path / "product" / "strange"
    strange.parent.mkdir()
    if what == "link":
        strange.symlink_to(_file(tmp_path))
    else:
        os.mkfifo(strange)
    with pytest.raises(StoreError, match="strange"):
        objects.put(strange)
    with pytest.raises(StoreError, match="strange"):
        objects.publish(strange.parent, "text", {})


def test_linked_folders_are_refused(objects: ObjectStore, tmp_path: Path) -> None:
    outside = _file(tmp_path / "outside").parent
    (tmp_path / "product").mkdir()
    (tmp_path / "product" / "in").symlink_to(outside)
    with pytest.raises(StoreError, match="in is neither"):
        objects.publish(tmp_path / "product", "text", {})
    assert (outside / "file.txt").exists()


def test_publish_names_files_relative_to_the_product(objects: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "product"
    _file(folder, "b", "z/b.txt")
    _file(folder, "a", "a.txt")
    product = objects.publish(folder, "text", {"n": 2})
    assert [item.name for item in product.files] == ["a.txt", "z/b.txt"]
    assert product.digest == product_digest("text", product.files)
    assert product.summary == {"n": 2}
    assert product.size == 2


def test_publish_wants_something(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "product").mkdir()
    with pytest.raises(StoreError, match="nothing was written"):
        objects.publish(tmp_path / "product", "text", {})


def test_the_product_digest_depends_on_kind_names_and_bytes() -> None:
    def digest(kind: str, name: str, text: bytes) -> Digest:
        return product_digest(
            kind, (ProductFile(name=name, digest=digest_bytes(text), size=len(text)),)
        )

    assert len({digest("a", "n", b"x"), digest("b", "n", b"x"), digest("a", "m", b"x"), "x"}) == 4
    assert digest("a", "n", b"x") != digest("a", "n", b"y")


@pytest.mark.parametrize("place", [0, 7, (1 << 20) - 30, (1 << 20) - 64, 1 << 20, (2 << 20) - 1])
def test_the_task_key_in_a_file_is_no_part_of_its_content(tmp_path: Path, place: int) -> None:
    objects = Store(tmp_path / "store").objects
    contents = set()
    for key in ("a" * 64, "b" * 63 + "c"):
        folder = tmp_path / key
        folder.mkdir()
        data = b"." * place + key.encode() + b"," * 100
        (folder / "f").write_bytes(data)
        product = objects.publish(folder, "text", {}, mark=key)
        assert product.files[0].digest == digest_bytes(data)
        contents.add(product.digest)
    assert len(contents) == 1
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "f").write_bytes(b"." * place + b"a" * 64 + b";" * 100)
    assert objects.publish(folder, "text", {}, mark="a" * 64).digest not in contents


def test_a_file_without_the_task_key_has_its_own_digest_alone(tmp_path: Path) -> None:
    folder = tmp_path / "product"
    folder.mkdir()
    (folder / "f").write_text("plain")
    (item,) = Store(tmp_path / "store").objects.publish(folder, "text", {}, mark="a" * 64).files
    assert item.data_digest == ""
    assert item.content == item.digest
