"""A workflow of several files, damaged: every problem has a place in its file and can be shown."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "lang"))

from fake_catalog import FakeCatalog
from several_files import FILES, check_files, damaged

CATALOG = FakeCatalog()


def test_the_files_are_sound(tmp_path: Path) -> None:
    found = check_files(tmp_path, FILES, CATALOG, Random(5))
    assert [item.code for item in found] == ["GP710"]


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_damaged_files(seed: int) -> None:
    random = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        check_files(Path(folder), damaged(random), CATALOG, random)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x00", b"\xef\xbb\xbf", b"[", b"a: &a [*a]", b"\n"]
)
def test_one_file_is_something_else(name: str, data: bytes, tmp_path: Path) -> None:
    random = Random(0)
    check_files(tmp_path, dict(FILES) | {name: data}, CATALOG, random)
