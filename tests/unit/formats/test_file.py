"""Files of others as products: bytes and name as they were; and paths for steps that take files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gpwf.core.products import MadeFile
from gpwf.errors import StoreError
from gpwf.store import formats
from gpwf.store.formats.file import read

CARD = {"GPWFKEY": "0" * 64}


def locate(digest: object) -> Path:
    raise AssertionError(digest)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "from" / "select\u00e9d 1.fits.gz"
    path.parent.mkdir()
    path.write_bytes(b"\x1f\x8b\0bytes of others")
    (tmp_path / "to").mkdir()
    return path


def test_a_file_is_copied_as_it_is(tmp_path: Path, source: Path) -> None:
    summary = formats.write("file", source, tmp_path / "to", CARD)
    found = formats.read("file", tmp_path / "to", locate)
    assert found == tmp_path / "to" / source.name
    assert found.read_bytes() == source.read_bytes()
    assert summary == {"name": source.name, "n_bytes": 18}


def test_a_file_that_was_made_for_it_is_moved(tmp_path: Path, source: Path) -> None:
    source.chmod(0)
    value = MadeFile(path=source, summary={"version": "2.1"})
    summary = formats.write("file", value, tmp_path / "to", CARD)
    assert not source.exists()
    assert read(tmp_path / "to").read_bytes() == b"\x1f\x8b\0bytes of others"
    assert summary == {"name": source.name, "n_bytes": 18, "version": "2.1"}


def test_a_file_with_a_second_name_is_copied(tmp_path: Path, source: Path) -> None:
    """Who writes to the other name would change what is in the store."""
    other = tmp_path / "other"
    other.hardlink_to(source)
    mode = source.stat().st_mode
    formats.write("file", MadeFile(path=source), tmp_path / "to", CARD)
    found = read(tmp_path / "to")
    assert found.stat().st_ino != other.stat().st_ino
    assert other.stat().st_mode == mode
    other.write_text("changed")
    assert found.read_bytes() == b"\x1f\x8b\0bytes of others"


@pytest.mark.parametrize("make", ["link", "folder", "pipe", "nothing"])
def test_only_regular_files_are_taken(tmp_path: Path, source: Path, make: str) -> None:
    path = tmp_path / "it"
    if make == "link":
        path.symlink_to(source)
    elif make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    with pytest.raises(StoreError):
        formats.write("file", path, tmp_path / "to", CARD)
    with pytest.raises(StoreError):
        formats.write("file", MadeFile(path=path), tmp_path / "to", CARD)
    assert not list((tmp_path / "to").iterdir())
    assert stat.S_IMODE(source.stat().st_mode) & stat.S_IRUSR


def test_a_file_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a path, not str"):
        formats.write("file", "a.txt", tmp_path, CARD)


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_a_product_of_this_kind_is_one_file(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(StoreError, match=f"holds {len(names)} files"):
        read(tmp_path)


def test_what_a_program_is_given(tmp_path: Path) -> None:
    (tmp_path / "selected.fits").touch()
    assert formats.main_path("file", tmp_path) == tmp_path / "selected.fits"
    assert formats.main_path("datastore", tmp_path) == tmp_path
    assert formats.main_path("models", tmp_path) == tmp_path / "models.yaml"
    with pytest.raises(StoreError, match="no format"):
        formats.main_path("film", tmp_path)
