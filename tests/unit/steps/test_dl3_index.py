"""The index of a datastore: where files are looked for, what is said when they are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import StepInputError
from gpwf.steps.dl3 import HDU_INDEX, OBS_INDEX
from gpwf.steps.dl3_index import find_index, read_index

pytestmark = pytest.mark.gammapy


def write(path: Path, **columns: list[Any]) -> None:
    from astropy.table import Table

    Table(columns).write(path, format="fits")


@pytest.fixture
def datastore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a datastore of three files: below it, in it, and in a place of a variable."""
    folder = tmp_path / "datastore"
    (folder / "data").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("datastore/data/run.fits", "datastore/irf.fits", "elsewhere/run.fits"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setenv("ELSEWHERE", str(tmp_path / "elsewhere"))
    write(
        folder / HDU_INDEX,
        OBS_ID=[7, 7, 3],
        HDU_TYPE=["events", "aeff  ", "events"],
        FILE_DIR=["data", "", "$ELSEWHERE"],
        FILE_NAME=["run.fits", "irf.fits", "run.fits"],
    )
    write(folder / OBS_INDEX, OBS_ID=[3, 7], RA_PNT=[10.0, 20.0], DEC_PNT=[1.0, 2.0])
    return folder


def test_files_are_found_where_gammapy_finds_them(datastore: Path) -> None:
    index = read_index("datastore", str(datastore))
    assert index.obs_ids == (3, 7)
    assert index.hdu_types(7) == {"events", "aeff"}
    assert index.pointings == {3: (10.0, 1.0), 7: (20.0, 2.0)}
    files = {item.name: item.path for obs_id in index.obs_ids for item in index.files[obs_id]}
    assert files == {
        "data/run.fits": datastore / "data" / "run.fits",
        "irf.fits": datastore / "irf.fits",
        "$ELSEWHERE/run.fits": datastore.parent / "elsewhere" / "run.fits",
    }


def test_a_missing_file_has_the_path_in_the_datastore(datastore: Path) -> None:
    (datastore / "irf.fits").unlink()
    files = read_index("datastore", str(datastore)).files[7]
    assert files[1].path == datastore / "irf.fits"


def test_an_index_that_is_not_there_is_named(datastore: Path) -> None:
    (datastore / OBS_INDEX).unlink()
    with pytest.raises(StepInputError, match="it has no observation index") as caught:
        find_index("datastore", str(datastore))
    assert caught.value.setting == "datastore"


def test_a_file_that_is_no_index(datastore: Path) -> None:
    (datastore / HDU_INDEX).write_bytes(b"this is not FITS")
    with pytest.raises(StepInputError, match="cannot read the index") as caught:
        read_index("datastore", str(datastore))
    assert caught.value.hint is not None
