"""Datastores and observations: what cannot be stored or read is said; names stay apart."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpwf.core.digests import digest_file
from gpwf.errors import StoreError
from gpwf.store import formats


def never(digest: str) -> Path:
    raise AssertionError(f"content {digest} was asked for")


def location(folder: Path, name: str, hdu: str) -> Any:
    """Return what `gammapy.data.HDULocation` is to an observation."""
    return SimpleNamespace(
        base_dir=folder.as_posix(),
        file_dir=folder.as_posix(),
        file_name=name,
        hdu_name=hdu.upper(),
        hdu_class=hdu,
        path=lambda abs_path: folder / name,
    )


def observation(obs_id: int, folder: Path, content: bytes) -> Any:
    folder.mkdir()
    (folder / "run.fits").write_bytes(content)
    made = SimpleNamespace(obs_id=obs_id)
    vars(made)["__events_hdu"] = location(folder, "run.fits", "events")
    return made


def test_a_datastore_needs_an_index(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "run.txt").write_text("x")
    (tmp_path / "out").mkdir()
    with pytest.raises(StoreError, match="no datastore"):
        formats.write("datastore", tmp_path / "in", tmp_path / "out", {})
    with pytest.raises(StoreError, match="no datastore"):
        formats.read("datastore", tmp_path / "in", never)


def test_a_datastore_keeps_folders_and_other_files(tmp_path: Path) -> None:
    (tmp_path / "in" / "data").mkdir(parents=True)
    (tmp_path / "in" / "hdu-index.fits.gz").write_bytes(b"index")
    (tmp_path / "in" / "data" / "notes.txt").write_text("x")
    (tmp_path / "out").mkdir()
    summary = formats.write("datastore", tmp_path / "in", tmp_path / "out", {})
    assert summary == {"n_files": 2, "n_bytes": 6}
    assert (tmp_path / "out" / "data" / "notes.txt").read_text() == "x"
    assert formats.read("datastore", tmp_path / "out", never) == tmp_path / "out"


def test_observations_in_memory_alone_cannot_be_stored(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="observation 5 is in memory alone"):
        formats.write("observations", [SimpleNamespace(obs_id=5)], tmp_path, {})


@pytest.mark.parametrize("text", ["", "[", '{"format": "gpwf-observations/9"}'])
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "observations.json").write_text(text)
    with pytest.raises(StoreError, match=r"observations\.json"):
        formats.read("observations", tmp_path, never)


@pytest.mark.gammapy
def test_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    made = [
        observation(1, tmp_path / "one", b"first"),
        observation(2, tmp_path / "two", b"second"),
    ]
    folder = tmp_path / "product"
    folder.mkdir()
    formats.write("observations", made, folder, {"GPWFKEY": "k"})
    content = json.loads((folder / "observations.json").read_text())
    digests = {item["name"]: item["sha256"] for item in content["files"]}
    second = digest_file(tmp_path / "two" / "run.fits")
    assert digests == {
        "run.fits": digest_file(tmp_path / "one" / "run.fits"),
        f"{second[:12]}-run.fits": second,
    }
    assert content["obs_ids"] == [1, 2]
