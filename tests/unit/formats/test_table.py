"""Tables come back with class, units, masks, times and metadata, and never differ in bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import StoreError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CARD = {"GPWFKEY": "0" * 64, "GPWFPORT": "table"}


def never(digest: str) -> Path:
    raise AssertionError(f"content {digest} was asked for")


def make_table() -> Any:
    from astropy import units as u
    from astropy.table import MaskedColumn, Table
    from astropy.time import Time

    table = Table(meta={"source": "crab", "n": 3, "list": [1, 2.5]})
    table["dnde"] = np.array([0.1, 1 / 3, np.nan]) * u.Unit("TeV-1 s-1 cm-2")
    table["text"] = ["x", "", 'a b"c,']
    table["flag"] = [True, False, True]
    table["number"] = MaskedColumn([1, 2, 3], mask=[False, True, False], unit="m")
    table["word"] = MaskedColumn(["a", "b", "c"], mask=[False, True, False])
    table["single"] = np.float32([1.1, 2, 3])
    table["pair"] = np.arange(6.0).reshape(3, 2) / 7
    table["start"] = Time([53345.1234567891234, 2e4, 3e4], format="mjd", scale="tt")
    table["dnde"].description = "a flux"
    return table


def stored(make: Any, tmp_path: Path) -> tuple[Any, str]:
    """Write two equal tables made apart, compare the bytes, read one back."""
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        summary = formats.write("table", make(), tmp_path / name, CARD)
        texts.append((tmp_path / name / "table.ecsv").read_text())
    assert texts[0] == texts[1]
    assert summary["columns"] == make().colnames
    assert summary["n_rows"] == len(make())
    return formats.read("table", tmp_path / "one", never), texts[0]


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    before = make_table()
    after, text = stored(make_table, tmp_path)
    assert type(after) is type(before)
    assert after.colnames == before.colnames
    assert dict(after.meta) == dict(before.meta)
    assert CARD["GPWFKEY"] in text
    for name in ("dnde", "flag", "single", "pair", "text"):
        assert after[name].unit == before[name].unit
        assert after[name].dtype == before[name].dtype
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert after["dnde"].description == "a flux"
    assert not hasattr(after["text"], "mask")
    for name in ("number", "word"):
        np.testing.assert_array_equal(after[name].mask, before[name].mask, err_msg=name)
        np.testing.assert_array_equal(after[name].compressed(), before[name].compressed())
    assert after["number"].unit == before["number"].unit
    assert np.all((after["start"] - before["start"]).to_value("s") == 0)
    assert after["start"].scale == "tt"


def test_a_table_of_quantities_stays_one(tmp_path: Path) -> None:
    from astropy.table import QTable

    def make() -> Any:
        return QTable(make_table()["dnde", "text", "flag"])

    after, _ = stored(make, tmp_path)
    assert type(after) is QTable
    assert "gpwf" not in after.meta
    assert after["dnde"].unit == make()["dnde"].unit
    np.testing.assert_array_equal(after["dnde"].value, make()["dnde"].value)


def test_writing_leaves_the_table_alone(tmp_path: Path) -> None:
    table = make_table()
    formats.write("table", table, tmp_path, CARD)
    assert "gpwf" not in table.meta
    assert table["start"].info.serialize_method["ecsv"] == "formatted_value"


@pytest.mark.parametrize("columns", [{}, {"a": np.zeros(0)}])
def test_a_table_without_rows_is_a_table(columns: dict[str, Any], tmp_path: Path) -> None:
    from astropy.table import Table

    after, _ = stored(lambda: Table(columns), tmp_path)
    assert len(after) == 0
    assert after.colnames == list(columns)


def test_what_cannot_be_stored_is_told(tmp_path: Path) -> None:
    from astropy.table import Table

    with pytest.raises(StoreError, match=r"an astropy Table, not builtins\.list"):
        formats.write("table", [1], tmp_path, CARD)
    with pytest.raises(StoreError, match="'note' holds text of several lines"):
        formats.write("table", Table({"note": ["a\nb"]}), tmp_path, CARD)
    with pytest.raises(StoreError, match="cannot be written as ECSV"):
        formats.write("table", Table({"x": np.array([object(), 1])}), tmp_path, CARD)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.ecsv").write_text("<html>")
    with pytest.raises(StoreError, match=r"table\.ecsv is not an ECSV table"):
        formats.read("table", tmp_path, never)
