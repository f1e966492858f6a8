"""gzip in stored blocks."""

from __future__ import annotations

import gzip

import pytest

from gpwf.core.gzipped import stored_gzip


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200_000])
def test_it_unpacks(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    assert gzip.decompress(stored_gzip(data)) == data


def test_it_has_neither_time_nor_name() -> None:
    packed = stored_gzip(b"x")
    assert packed[3:8] == b"\x00\x00\x00\x00\x00"  # flags and modification time
    assert packed == bytes.fromhex("1f8b08000000000000ff010100feff788316dc8c01000000")
