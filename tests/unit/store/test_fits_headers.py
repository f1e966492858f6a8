"""What a FITS file says it is; a file that lies, is torn or never ends only says less."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import pytest

from gpwf.core.digests import digest_bytes
from gpwf.store import fits_headers
from gpwf.store.fits_headers import read_fits_identity
from gpwf.store.store import Store


def card(text: str) -> bytes:
    assert len(text) <= 80
    return text.ljust(80).encode("latin-1")


def filled(data: bytes, with_: bytes) -> bytes:
    return data + with_ * (-len(data) % 2880)


def part(*texts: str, data: bytes = b"", first: bool = True) -> bytes:
    """Return one part of a file: its cards, and bytes."""
    head = [
        "SIMPLE  =                    T" if first else "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        f"NAXIS   =                    {int(bool(data))}",
        *([f"NAXIS1  = {len(data):>20}"] if data else []),
    ]
    cards = b"".join(card(text) for text in (*head, *texts, "END"))
    return filled(cards, b" ") + filled(data, b"\0")


EVENTS = part(
    "OBS_ID  =                23523 / number of the run",
    "TELESCOP= 'HESS    '           / it''s in Namibia",
    "INSTRUME= 'H.E.S.S. Phase I'",
    "ORIGIN  = 'O''Neill''s'",
    "CREATOR = ''",
    "HIERARCH CTA PRODUCT ID = 'b4a5-77' / by ctapipe",
    "DATE    = '2020-01-01'",
    "CHECKSUM= 'abc'",
    "COMMENT OBS_ID  = 7",
    data=b"some events",
    first=False,
)
WHOLE = part("GPWFKEY = 'k1'") + EVENTS


def written(folder: Path, data: bytes, name: str = "a.fits") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_cards_of_all_parts_are_found_whatever_the_name(pack: object, tmp_path: Path) -> None:
    found = read_fits_identity(written(tmp_path, pack(WHOLE), "a.dat"))  # type: ignore[operator]
    assert found is not None
    assert found.cards == {
        "GPWFKEY": ["k1"],
        "OBS_ID": [23523],
        "TELESCOP": ["HESS"],
        "INSTRUME": ["H.E.S.S. Phase I"],
        "ORIGIN": ["O'Neill's"],
        "CTA PRODUCT ID": ["b4a5-77"],
    }


def test_the_digest_is_that_of_cards_and_data_but_for_volatile_cards(tmp_path: Path) -> None:
    found = read_fits_identity(written(tmp_path, WHOLE))
    state = hashlib.sha256(b"gpwf-fits/1")
    left_out = (b"DATE    ", b"CHECKSUM", b"DATASUM ")
    for each, data in ((part("GPWFKEY = 'k1'"), b""), (EVENTS, b"some events")):
        head = each[: each.index(card("END")) + 80]
        cards = [head[n : n + 80] for n in range(0, len(head), 80)]
        state.update(b"".join(item for item in cards if item[:8] not in left_out) + data)
    assert found is not None
    assert found.digest == state.hexdigest()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda data: data.replace(b"2020-01-01", b"2031-12-31"), True),
        (lambda data: data.replace(b"'abc'", b"'xyz'"), True),
        (lambda data: data + bytes(2880), True),  # as tapes were filled up
        (gzip.compress, True),
        (lambda data: data[:-1], True),  # padding that is not whole
        (lambda data: data.replace(b"some", b"more"), False),
        (lambda data: data.replace(b"23523", b"23524"), False),
    ],
)
def test_the_digest_is_of_what_counts(change: object, same: bool, tmp_path: Path) -> None:
    one = read_fits_identity(written(tmp_path, WHOLE))
    two = read_fits_identity(written(tmp_path, change(WHOLE)))  # type: ignore[operator]
    assert one is not None
    assert two is not None
    assert two.digest
    assert (one.digest == two.digest) is same


@pytest.mark.parametrize(
    "data",
    [b"", b"S", b"name,n\n1,2\n", b"\x1f\x8b", gzip.compress(b"text"), b"\x1f\x8bnonsense" * 100],
    ids=["empty", "one", "text", "gzip_start", "gzip", "gzip_nonsense"],  # gzip writes the time
)
def test_other_files_say_nothing(data: bytes, tmp_path: Path) -> None:
    assert read_fits_identity(written(tmp_path, data)) is None


def replaced(old: str, new: str) -> bytes:
    changed = EVENTS.replace(card(old), card(new))
    assert changed != EVENTS
    return part() + changed


@pytest.mark.parametrize(
    "data",
    [
        WHOLE[:-2880],  # no data
        WHOLE[: 2880 + 1000],
        WHOLE[:100],
        WHOLE + b"rubbish",
        replaced("NAXIS1  =                   11", "NAXIS1  =                  -11"),
        replaced("NAXIS1  =                   11", "NAXIS1  = 99999999999999999999"),
        replaced("NAXIS1  =                   11", "NAXIS1  =                    T"),
        replaced("NAXIS1  =                   11", "NAXIS1  = 'eleven'"),
        replaced("NAXIS   =                    1", "NAXIS   =                 1000"),
        replaced("BITPIX  =                    8", "BITPIX  =             1.5E+300"),
        gzip.compress(WHOLE)[:-30],
        gzip.compress(WHOLE)[:-8] + b"12345678",  # a check sum that is wrong
    ],
)
def test_a_damaged_file_has_no_digest(data: bytes, tmp_path: Path) -> None:
    found = read_fits_identity(written(tmp_path, data))
    assert found is None or found.digest == ""


def test_a_file_that_unpacks_without_end_is_read_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits_headers, "_MOST_BYTES", 1 << 20)
    pack = zlib.compressobj(wbits=31)
    bomb = pack.compress(part("OBS_ID  = 5") + EVENTS.replace(b"         11", b"   99999999"))
    bomb += pack.compress(bytes(1 << 28)) + pack.flush()
    path = written(tmp_path, bomb)
    assert len(bomb) < 1 << 19
    found = read_fits_identity(path)
    assert found is not None
    assert found.cards["OBS_ID"] == [5, 23523]
    assert found.digest == ""


def test_a_header_without_end_is_read_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits_headers, "_MOST_BLOCKS", 3)
    head = [card("SIMPLE  =                    T"), card("OBS_ID  = 5")]
    cards = [*head, *[card(f"OBS_ID  = {n}") for n in range(2000)]]
    found = read_fits_identity(written(tmp_path, b"".join(cards)))
    assert found is not None
    assert found.digest == ""
    assert len(found.cards["OBS_ID"]) == 8  # that many values are enough


def test_values_are_what_the_standard_says(tmp_path: Path) -> None:
    texts = [
        "OBS_ID  =                 12.5",
        "OBS_ID  =              1.0D+03 / exponents may be D",
        "OBS_ID  = -7",
        "OBS_ID  = T",
        "OBS_ID  = 'a/b  ' / slash in a text",
        "OBS_ID  = 'not closed",
        "OBS_ID  =",
        "OBS_ID  = 1D999",
        "OBS_ID  = (1, 2)",
        "OBS_ID    'no equals sign'",
    ]
    found = read_fits_identity(written(tmp_path, part(*texts)))
    assert found is not None
    assert found.cards == {"OBS_ID": [12.5, 1000.0, -7, True, "a/b"]}


# ---- the memory of the store ------------------------------------------------------------------


def test_headers_are_read_once_for_a_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = written(tmp_path, WHOLE, "one.fits"), written(tmp_path, WHOLE, "two.fits")
    store = Store(tmp_path / "store")
    digest = store.inputs.digest(one)[0]
    first = store.inputs.identity(one, digest)
    assert first is not None
    assert first["cards"]["OBS_ID"] == [23523]
    store.flush()
    monkeypatch.setattr("gpwf.store.identities.read_fits_identity", None)  # a call would raise
    assert store.inputs.identity(two, digest) == first
    again = Store(tmp_path / "store")
    assert again.inputs.identity(two, again.inputs.digest(two)[0]) == first


def test_a_file_that_changes_while_it_is_read_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, WHOLE)
    store = Store(tmp_path / "store")
    digest = store.inputs.digest(path)[0]
    path.write_bytes(WHOLE.replace(b"23523", b"99999"))
    os.utime(path, ns=(1, 1))
    assert store.inputs.identity(path, digest) is None
    path.unlink()
    assert store.inputs.identity(path, digest) is None
    monkeypatch.undo()
    path.write_bytes(WHOLE)
    known = store.inputs.identity(path, digest)
    assert known is not None
    assert known["cards"]["OBS_ID"] == [23523]


def test_a_damaged_memory_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    store = Store(tmp_path / "store")
    digest = store.inputs.digest(path)[0]
    first = store.inputs.identity(path, digest)
    store.flush()
    memory = tmp_path / "store" / "cache" / "fits.jsonl"
    good = memory.read_bytes()
    bad = [b"[", b"{}", b"[1,2,3]", b'["gpwf-fits/1","%s",{"cards":{"A":3},"digest":""}]']
    for line in (*bad, good.strip()[:-5], b"\xff\xfe"):
        memory.write_bytes(line.replace(b"%s", digest.encode()) + b"\n")
        assert Store(tmp_path / "store").inputs.identity(path, digest) == first
    memory.unlink()
    memory.mkdir()  # cannot be read or written
    broken = Store(tmp_path / "store")
    assert broken.inputs.identity(path, digest) == first
    broken.flush()


def test_a_memory_that_became_too_large_keeps_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "store" / "cache" / "fits.jsonl"
    for number in range(3):
        if number == 2:
            monkeypatch.setattr("gpwf.store.identities._MOST_BYTES", 10)
        path = written(tmp_path, WHOLE.replace(b"23523", b"%5d" % number), f"{number}.fits")
        store = Store(tmp_path / "store")
        assert store.inputs.identity(path, store.inputs.digest(path)[0]) is not None
        assert store.inputs.identity(tmp_path / "absent", digest_bytes(b"absent")) is None
        store.flush()
    assert memory.read_bytes().count(b"\n") == 1
    assert b'"OBS_ID": [2]' in memory.read_bytes()


@pytest.mark.science
def test_astropy_reads_the_same(tmp_path: Path) -> None:
    root = os.environ.get("GAMMAPY_DATA")
    path = Path(root or "", "hess-dl3-dr1", "data", "hess_dl3_dr1_obs_id_020283.fits.gz")
    if not path.is_file():
        pytest.skip("needs H.E.S.S. DL3 DR1 through GAMMAPY_DATA")
    from astropy.io import fits

    expected: dict[str, list[object]] = {}
    with fits.open(path) as parts:
        for item in parts:
            for name in fits_headers.IDENTITY_CARDS:
                value = item.header.get(name)
                if value not in (None, "", *expected.get(name, [])):
                    expected.setdefault(name, []).append(value)
        parts[0].header["DATE"] = "2031-01-01"
        parts.writeto(tmp_path / "again.fits")
    found, again = read_fits_identity(path), read_fits_identity(tmp_path / "again.fits")
    assert found is not None
    assert again is not None
    assert {name: found.cards.get(name) for name in expected} == expected
    assert expected["OBS_ID"] == [20283]
    assert again.cards == found.cards
