"""Two files of other bytes: how far they are apart, and where."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from gpwf.store.formats.comparing import Comparison, compare_files


@pytest.fixture
def compare(tmp_path: Path) -> Any:
    """Return a function that compares two contents under one name."""

    def run(name: str, old: bytes | str, new: bytes | str) -> Comparison:
        paths = []
        for which, content in (("old", old), ("new", new)):
            path = tmp_path / which
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            paths.append(path)
        return compare_files(*paths, name)

    return run


def fits_bytes(folder: Path, *, key: str = "a", **columns: Any) -> bytes:
    table = fits.BinTableHDU(Table(columns or {"energy": [1.0, 2.0]}), name="DATA")
    table.header["GPWFKEY"] = key
    table.header["EXPOSURE"] = 12.5
    image = fits.ImageHDU(np.array([[1.0, np.nan], [0.0, 4.0]]), name="FLUX")
    path = folder / "made.fits"
    fits.HDUList([fits.PrimaryHDU(), table, image]).writeto(path, overwrite=True, checksum=True)
    return path.read_bytes()


def test_what_a_file_says_of_its_task_is_no_content(compare: Any, tmp_path: Path) -> None:
    old, new = fits_bytes(tmp_path), fits_bytes(tmp_path, key="b")
    assert old != new
    assert compare("x.fits", old, new).deviation == 0.0


def test_the_largest_deviation_of_a_table_is_named(compare: Any, tmp_path: Path) -> None:
    old = fits_bytes(tmp_path, energy=[1.0, 2.0, 3.0], other=[1.0, 1.0, 1.0])
    new = fits_bytes(tmp_path, energy=[1.0, 2.002, 3.0], other=[1.0, 1.0001, 1.0])
    found = compare("x.fits", old, new)
    assert found.deviation == pytest.approx(0.002 / 2.002)
    assert found.place == "x.fits[DATA].energy[1]: 2.0 and 2.002"


def test_compressed_files_are_opened(compare: Any, tmp_path: Path) -> None:
    old, new = fits_bytes(tmp_path), fits_bytes(tmp_path, energy=[1.0, 3.0])
    assert compare("x.fits.gz", gzip.compress(old), gzip.compress(new)).deviation == (
        pytest.approx(1 / 3)
    )


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ({"n": [1, 2]}, {"n": [1, 3]}, "[DATA].n[1]: 2 and 3"),  # whole numbers
        ({"counts": [1.0, 2.0]}, {"counts": [1.0, 2.0000001]}, "[DATA].counts[1]"),
        ({"name": ["a"]}, {"name": ["b"]}, "[DATA].name[0]: a and b"),
        ({"ok": [True]}, {"ok": [False]}, "[DATA].ok[0]"),
        ({"x": [1.0]}, {"x": [np.nan]}, "[DATA].x[0]: 1.0 and nan"),
        ({"x": [1.0]}, {"x": [1.0, 1.0]}, "[DATA]"),
        ({"x": [1.0]}, {"y": [1.0]}, "[DATA]"),
    ],
)
def test_what_no_tolerance_covers(
    compare: Any, tmp_path: Path, old: Any, new: Any, place: str
) -> None:
    found = compare("x.fits", fits_bytes(tmp_path, **old), fits_bytes(tmp_path, **new))
    assert math.isinf(found.deviation)
    assert place in found.place


def test_what_is_left_of_a_subtraction_is_compared_with_its_array(
    compare: Any, tmp_path: Path
) -> None:
    old = fits_bytes(tmp_path, x=[1.0, 1e-17])
    new = fits_bytes(tmp_path, x=[1.0, -3e-17])
    assert 0.0 < compare("x.fits", old, new).deviation < 1e-10


def test_another_extension(compare: Any, tmp_path: Path) -> None:
    path = tmp_path / "one.fits"
    fits.PrimaryHDU().writeto(path)
    found = compare("x.fits", fits_bytes(tmp_path), path.read_bytes())
    assert math.isinf(found.deviation)
    assert "extensions" in found.place


def test_ecsv_with_units_and_masks(compare: Any, tmp_path: Path) -> None:
    def text(value: float, unit: str = "TeV", mask: bool = False) -> str:
        table = Table({"e": [1.0, value]}, masked=True, meta={"GPWFKEY": str(value)})
        table["e"].unit = unit
        table["e"].mask = [False, mask]
        table.write(tmp_path / "t.ecsv", overwrite=True)
        return (tmp_path / "t.ecsv").read_text()

    assert compare("t.ecsv", text(2.0), text(2.001)).deviation == pytest.approx(0.001 / 2.001)
    assert math.isinf(compare("t.ecsv", text(2.0), text(2.0, "GeV")).deviation)
    assert math.isinf(compare("t.ecsv", text(2.0), text(2.0, mask=True)).deviation)
    assert compare("t.ecsv", text(2.0, mask=True), text(3.0, mask=True)).deviation == 0.0


def test_yaml(compare: Any) -> None:
    old = "# key a\nmodels: [{name: crab, value: 2.5, unit: TeV, error: 0.5}]\n"
    assert compare("m.yaml", old, old.replace("key a", "key b")).deviation == 0.0
    found = compare("m.yaml", old, old.replace("2.5", "2.6"))
    assert found.deviation == pytest.approx(0.1 / 2.6)
    assert found.place == "m.yaml.models[0].value: 2.5 and 2.6"
    assert math.isinf(compare("m.yaml", old, old.replace("crab", "vela")).deviation)
    with pytest.raises(ValueError, match=r"m\.yaml"):
        compare("m.yaml", old, "a: [")


def test_a_value_near_zero_is_compared_with_its_error(compare: Any) -> None:
    old, new = ({"value": value, "error": 0.5} for value in (1e-9, -1e-9))
    assert compare("f.json", json.dumps(old), json.dumps(new)).deviation == pytest.approx(4e-9)


def test_covariances_are_compared_with_the_errors(compare: Any) -> None:
    def table(off: float) -> str:
        return f"| Parameters | 0 | 1 |\n| index | 1e-2 | {off} |\n| norm | {off} | 1e-24 |\n"

    # the correlation is 1e-8 and -1e-8
    found = compare("m_covariance.dat", table(1e-21), table(-1e-21))
    assert found.deviation == pytest.approx(2e-8)
    assert math.isinf(
        compare("m_covariance.dat", table(0.0), table(0.0).replace("norm", "b")).deviation
    )


def test_how_long_a_minimiser_took_is_no_result(compare: Any) -> None:
    assert compare("f.json", '{"nfev": 57}', '{"nfev": 61}').deviation == 0.0
    assert math.isinf(compare("f.json", '{"n_free": 2}', '{"n_free": 3}').deviation)


def test_texts_word_by_word(compare: Any) -> None:
    assert compare("a.txt", "a 1.0 b\n", "a 1.1 b\n").deviation == pytest.approx(0.1 / 1.1)
    assert math.isinf(compare("a.txt", "a 1 b\n", "a 2 b\n").deviation)
    assert math.isinf(compare("a.txt", "a\n", "a\nb\n").deviation)
    assert not compare("a.txt", b"\xff\xfe", b"\xff\xff").comparable


def test_pictures_by_their_pixels(compare: Any, tmp_path: Path) -> None:
    from matplotlib import image

    def picture(value: float) -> bytes:
        pixels = np.zeros((10, 10, 3))
        pixels[0, 0] = value
        image.imsave(tmp_path / "p.png", pixels)
        return (tmp_path / "p.png").read_bytes()

    assert compare("p.png", picture(0.0), picture(1.0)).deviation == pytest.approx(
        math.sqrt(3 / 400)
    )
    with pytest.raises((ValueError, OSError)):
        compare("p.png", picture(0.0), b"\x89PNG\r\n\x1a\n torn")


def test_bytes_that_mean_nothing(compare: Any) -> None:
    assert not compare("a.pdf", "1", "2").comparable
    assert not compare("a.txt.gz", "1", "2").comparable


def test_a_damaged_file(compare: Any, tmp_path: Path) -> None:
    whole = fits_bytes(tmp_path)
    assert math.isinf(compare("x.fits", whole, whole[:3000]).deviation)
    with pytest.raises(OSError, match=r"FITS|SIMPLE|corrupt"):
        compare("x.fits", whole, b"no FITS")
    with pytest.raises(ValueError, match="Expecting"):
        compare("x.json", "{}", "{")
