"""The card of a product file names its task; nothing else in the product differs with the task."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_data_formats import never, observation
from test_fit_result import SUMMARY
from test_gammapy_formats import (
    make_datasets,
    make_figure,
    make_flux,
    make_models,
    make_template_models,
)
from test_map_formats import make_datasets as make_map_datasets
from test_map_formats import make_flux_maps, make_maps, make_mask, make_on_off
from test_table import make_table

from gpwf.core.gzipped import stored_gzip
from gpwf.core.runs import Product
from gpwf.store import formats
from gpwf.store.store import Store

pytestmark = pytest.mark.gammapy

KEYS = ("0123456789abcdef" * 4, "fedcba9876543210" * 4)


def make_datastore(folder: Path) -> Path:
    """Write a datastore of two files, one of them compressed as gammapy wants its index."""
    from astropy.io import fits

    folder.mkdir()
    fits.PrimaryHDU().writeto(folder / "run.fits")
    (folder / "hdu-index.fits.gz").write_bytes(stored_gzip((folder / "run.fits").read_bytes()))
    return folder


def make_file(folder: Path) -> Path:
    folder.mkdir()
    (folder / "notes.txt").write_text("a log")
    return folder / "notes.txt"


MAKERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "datastore": ("datastore", make_datastore),
    "observations": ("observations", lambda folder: [observation(1, folder, b"events")]),
    "spectra": ("datasets", lambda _: make_datasets()),
    "maps with background models": ("datasets", lambda _: make_map_datasets()),
    "maps with OFF counts": ("datasets", lambda _: make_on_off()),
    "linked models": ("models", lambda _: make_models()),
    "models with maps": ("models", lambda _: make_template_models()),
    "fit-result": ("fit-result", lambda _: SUMMARY),
    "flux-points": ("flux-points", lambda _: make_flux("flux-points")),
    "light-curve": ("light-curve", lambda _: make_flux("light-curve")),
    "flux-profile": ("flux-profile", lambda _: make_flux("flux-profile")),
    "flux-maps": ("flux-maps", lambda _: make_flux_maps()),
    "mask": ("map", lambda _: make_mask()),
    "maps": ("maps", lambda _: make_maps()),
    "table": ("table", lambda _: make_table()),
    "figure": ("figure", lambda _: make_figure()),
    "file": ("file", make_file),
}
WITHOUT = {"file"}  # its bytes are the affair of whatever made them


def published(kind: str, value: Any, key: str, tmp_path: Path) -> tuple[Product, dict[str, bytes]]:
    """Write a value as the task of this key does; return the product and the bytes of its files."""
    folder = tmp_path / f"product-{key[:4]}"
    folder.mkdir()
    card = {"GPWFKEY": key, "GPWFPORT": "out", "GPWFTAG": "some-step"}
    formats.write(kind, value, folder, card)
    objects = Store(tmp_path / "store").objects
    product = objects.publish(folder, kind, {}, mark=key)
    return product, {item.name: objects.path(item.digest).read_bytes() for item in product.files}


def test_every_kind_is_tried() -> None:
    assert {kind for kind, _ in MAKERS.values()} == set(formats.kinds())


@pytest.mark.filterwarnings("ignore:divide by zero")  # gammapy, for an index of exactly 2,
@pytest.mark.filterwarnings("ignore:invalid value")  # where it takes another formula afterwards
@pytest.mark.parametrize("name", MAKERS)
def test_two_tasks_with_the_same_content_make_the_same_product(name: str, tmp_path: Path) -> None:
    kind, make = MAKERS[name]
    value = make(tmp_path / "value")
    (one, first), (two, second) = (published(kind, value, key, tmp_path) for key in KEYS)
    assert one.digest == two.digest
    assert [item.content for item in one.files] == [item.content for item in two.files]
    for item, other in zip(one.files, two.files, strict=True):
        carries = KEYS[0].encode() in first[item.name]
        assert carries == (KEYS[1].encode() in second[item.name])
        assert carries == (item.digest != other.digest)  # on disk they tell which task made them
        assert carries == bool(item.data_digest)
    assert any(item.data_digest for item in one.files) == (name not in WITHOUT)


def test_another_content_is_another_product(tmp_path: Path) -> None:
    """What is blanked does not hide what differs."""
    models = make_models()
    one, _ = published("models", models, KEYS[0], tmp_path)
    models[0].spectral_model.parameters["amplitude"].value *= 1 + 1e-15
    two, _ = published("models", models, KEYS[1], tmp_path)
    assert one.digest != two.digest


def test_the_card_of_yaml_is_in_comments(tmp_path: Path) -> None:
    _, files = published("models", make_models(), KEYS[0], tmp_path)
    head = files["models.yaml"].decode().splitlines()[:3]
    assert head == [f"# GPWFKEY: {KEYS[0]}", "# GPWFPORT: out", "# GPWFTAG: some-step"]


def test_models_and_datasets_of_older_versions_are_read(tmp_path: Path) -> None:
    """They have the card in an entry of its own."""
    entry = f"metadata:\n  gpwf: {{GPWFKEY: {KEYS[0]}}}\n"
    for kind, value in (("models", make_models()), ("datasets", make_datasets())):
        folder = tmp_path / kind
        folder.mkdir()
        formats.write(kind, value, folder, {})
        index = folder / f"{kind}.yaml"
        index.write_text(index.read_text().replace("checksum:", f"{entry}checksum:"))
        assert formats.read(kind, folder, never).names == value.names


@pytest.mark.parametrize("ending", ["gz", "png"])
def test_checksums_of_what_is_not_the_card_stay_part_of_the_content(
    ending: str, tmp_path: Path
) -> None:
    """A gzip file or a picture without the key has one digest, that of its bytes."""
    folder = tmp_path / "product"
    folder.mkdir()
    if ending == "gz":
        data = stored_gzip(b"no key")
    else:
        make_figure().savefig(tmp_path / "a.png")
        data = (tmp_path / "a.png").read_bytes()
    (folder / f"a.{ending}").write_bytes(data)
    (item,) = Store(tmp_path / "store").objects.publish(folder, "file", {}, mark=KEYS[0]).files
    assert item.data_digest == ""


@pytest.mark.parametrize("cut", [3, 9, 12, 20, 30, 60])
def test_a_broken_picture_is_a_file_like_any_other(cut: int, tmp_path: Path) -> None:
    """Lengths of chunks that lead nowhere, and ends in the middle of one."""
    text = b"key\0" + KEYS[0].encode()
    chunk = len(text).to_bytes(4, "big") + b"tEXt" + text + zlib.crc32(text).to_bytes(4, "big")
    far = (2**32 - 1).to_bytes(4, "big") + b"tEXt"
    for number, end in enumerate((chunk[:cut], far, far * 3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + end + KEYS[0].encode())
        stored = Store(tmp_path / "store").objects.publish(folder, "file", {}, mark=KEYS[0])
        assert stored.files[0].data_digest
