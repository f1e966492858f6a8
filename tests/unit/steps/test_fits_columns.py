"""The small table reader agrees with astropy, and leaves to it what it does not know."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpwf.steps.fits_columns import read_columns, read_headers

NAMES = ("OBS_ID", "HDU_TYPE", "RA_PNT", "N_TELS", "FLAG")


def write(path: Path, **changes: Any) -> Path:
    columns = {
        "OBS_ID": fits.Column("OBS_ID", "K", array=np.array([-3, 23523, 2**40])),
        "HDU_TYPE": fits.Column("HDU_TYPE", "6A", array=np.array(["gti", "events", ""])),
        "POINTING": fits.Column("POINTING", "2D", array=np.arange(6.0).reshape(3, 2)),
        "RA_PNT": fits.Column("RA_PNT", "E", array=np.array([83.6, np.nan, -1e30])),
        "N_TELS": fits.Column("N_TELS", "I", array=np.array([4, 3, -1])),
        "BITS": fits.Column("BITS", "11X", array=np.zeros((3, 11), dtype=bool)),
        "FLAG": fits.Column("FLAG", "B", array=np.array([0, 1, 255], dtype=np.uint8)),
    } | changes
    table = fits.BinTableHDU.from_columns([item for item in columns.values() if item is not None])
    image = fits.PrimaryHDU(np.ones((7, 5), dtype=np.float32))
    fits.HDUList([image, table]).writeto(path)
    return path


@pytest.mark.parametrize("name", ["t.fits", "t.fits.gz"])
def test_rows_are_those_of_astropy(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    rows = read_columns(path, NAMES)
    assert rows is not None
    with fits.open(path) as hdulist:
        for position, column in enumerate(NAMES):
            expected = hdulist[1].data[column]
            np.testing.assert_array_equal([row[position] for row in rows], expected)
    assert isinstance(rows[0][0], int)
    assert rows[1][1] == "events"


@pytest.mark.parametrize(
    ("names", "changes"),
    [
        (("POINTING",), {}),
        (("BITS",), {}),
        (("NOT_THERE",), {}),
        (("S",), {"S": fits.Column("S", "I", bzero=32768, array=np.arange(3, dtype=np.uint16))}),
        (
            ("V",),
            {"V": fits.Column("V", "PJ()", array=np.array([[1], [1, 2], []], dtype=object))},
        ),
    ],
    ids=["array", "bits", "missing", "scaled", "variable length"],
)
def test_what_is_not_simple_is_left_to_astropy(
    tmp_path: Path, names: tuple[str, ...], changes: dict[str, Any]
) -> None:
    path = write(tmp_path / "t.fits", **changes)
    assert read_columns(path, names) is None
    assert read_columns(path, ("OBS_ID",)) == [(-3,), (23523,), (2**40,)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 20000), at=st.integers(0, 8000), byte=st.integers(0, 255))
def test_damage_is_never_a_crash(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    whole = tmp_path / "t.fits"
    if not whole.exists():
        write(whole)
    data = bytearray(whole.read_bytes()[:cut])
    if at < len(data):
        data[at] = byte
    for zipped in (False, True):
        damaged = tmp_path / "damaged"
        packed = bytearray(gzip.compress(bytes(data)))
        packed[at % len(packed)] ^= byte
        damaged.write_bytes(packed[: cut + 1] if zipped else data)
        rows = read_columns(damaged, ("OBS_ID",))
        assert rows is None or len(rows) < 10**6

        headers = read_headers(damaged)
        assert headers is None or 0 < len(headers) <= 2


@pytest.mark.parametrize("name", ["t.fits", "t.fits.gz"])
def test_headers_are_those_of_astropy(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    with fits.open(path, mode="update") as hdulist:
        hdulist[1].header["ANCRFILE"] = ("arf.fits", "a response")
        hdulist[1].header["OBS_ID"] = 23523
        for number in range(50):  # more than one block
            hdulist[1].header[f"KEY{number}"] = number
        hdulist.append(fits.ImageHDU(np.zeros((3, 3)), name="LAST"))
    headers = read_headers(path)
    assert headers is not None
    with fits.open(path) as hdulist:
        names = [header.get("EXTNAME") for header in headers]
        assert names == [None, *(hdu.name or None for hdu in hdulist[1:])]
        assert headers[1]["ANCRFILE"] == "arf.fits"
        assert headers[1]["OBS_ID"] == 23523
        assert headers[1]["KEY49"] == 49
        assert headers[0]["NAXIS1"] == hdulist[0].header["NAXIS1"]


def test_what_is_no_fits_file_has_no_headers(tmp_path: Path) -> None:
    for content in (b"", b"SIMPLE  =", b"<html>", b"\x1f\x8b no gzip"):
        (tmp_path / "x").write_bytes(content)
        assert read_headers(tmp_path / "x") is None


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    for read in (lambda path: read_columns(path, NAMES), read_headers):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none.fits")


@pytest.mark.science
@pytest.mark.parametrize(
    "name",
    [
        "hess-dl3-dr1/hdu-index.fits.gz",
        "magic/rad_max/data/hdu-index.fits.gz",
        "cta-1dc/index/gps/hdu-index.fits.gz",
    ],
)
def test_real_index_files_are_simple(name: str) -> None:
    path = Path(os.environ["GAMMAPY_DATA"]) / name
    names = ("OBS_ID", "HDU_TYPE", "FILE_DIR", "FILE_NAME")
    rows = read_columns(path, names)
    assert rows
    with fits.open(path) as hdulist:
        for position, column in enumerate(names):
            expected = [str(item) for item in hdulist[1].data[column]]
            assert [str(row[position]) for row in rows] == expected
