"""Maps as HDUs: the very bytes that gammapy writes, the very maps that it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deep_equal import differences
from test_gammapy_formats import make_datasets
from test_map_formats import make_datasets as make_maps
from test_map_formats import make_on_off

from gpwf.errors import StoreError
from gpwf.store.formats._fits import unique_names
from gpwf.store.formats.datasets import _maps

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

EXTRA = {"CREATOR": "somebody"}


def axes() -> list[Any]:
    from gammapy.maps import MapAxis

    energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 3)  # edges with no short decimal form
    return [energy, MapAxis.from_bounds(0, 1, 2, name="offset", unit="deg", interp="lin")]


def region_map(region: Any, dtype: str = "float64", unit: str = "m2 s", n_axes: int = 1) -> Any:
    from gammapy.maps import RegionGeom, RegionNDMap

    geom = RegionGeom.create(region, axes=axes()[:n_axes])
    return filled(RegionNDMap.from_geom(geom, unit=unit, dtype=dtype))


def filled(item: Any) -> Any:
    size = item.data.size
    item.data = (np.arange(size).reshape(item.data.shape) / 7 * 3).astype(item.data.dtype)
    if item.data.dtype.kind == "f" and size > 2:
        item.data.flat[1:3] = np.nan, np.inf
    return item


def shapes() -> dict[str, Any]:
    """Return regions of many kinds, at places that a header rounds."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from regions import CircleAnnulusSkyRegion, EllipseSkyRegion, PointSkyRegion
    from regions import RectangleSkyRegion as Rectangle

    place = SkyCoord(83.63 + 1e-14, 22.01 / 7 * 7, unit="deg")
    other = SkyCoord(184.55, -5.78, unit="deg", frame="galactic")
    return {
        "circle": "icrs;circle(83.63, 22.01, 0.11)",
        "two": "icrs;circle(83.63, 22.01, 0.11)\nicrs;circle(83.9, 22.3, 0.05)",
        "galactic": Rectangle(other, 0.3 * u.deg, 0.2 * u.deg, 20 * u.deg),
        "ellipse": EllipseSkyRegion(place, 0.3 * u.deg, 720 * u.arcsec, 0.3 * u.rad),
        "annulus": CircleAnnulusSkyRegion(place, 0.1 * u.deg, 0.2 * u.deg),
        "point": PointSkyRegion(place),
        "nowhere": None,
    }


def pixels(dtype: str = "float32", **options: Any) -> Any:
    from gammapy.maps import WcsGeom, WcsNDMap

    settings: dict[str, Any] = {"skydir": (83.63 + 1e-14, 22.01), "binsz": 0.1, "width": (0.6, 0.5)}
    settings |= {"axes": axes()[:1]} | options
    unit = options.pop("unit", "s-1")
    return filled(WcsNDMap(WcsGeom.create(**settings), unit=unit, dtype=dtype))


def with_meta() -> Any:
    from astropy import units as u

    item = pixels()
    item.meta = {"livetime": 1581.7367647 * u.s, "is_pointlike": False, "long": "word " * 40}
    return item


SHAPES = ("circle", "two", "galactic", "ellipse", "annulus", "point", "nowhere")
IN_REGION = ("bool", "int16", "int32", "int64", "float32", "uint8", "uint32")
IN_PIXELS = ("bool", "int16", "int32", "int64", "float32", "float64", "uint8", "uint16")
MAPS: dict[str, Callable[[], Any]] = {
    **{f"region {name}": (lambda name=name: region_map(shapes()[name])) for name in SHAPES},
    **{
        f"region of {dtype}": (lambda dtype=dtype: region_map(shapes()["circle"], dtype, ""))
        for dtype in IN_REGION
    },
    **{f"pixels of {dtype}": (lambda dtype=dtype: pixels(dtype)) for dtype in IN_PIXELS},
    "region with two axes": lambda: region_map(shapes()["circle"], n_axes=2),
    "region of flux": lambda: region_map(shapes()["circle"], unit="cm-2 s-1 TeV-1"),
    "region of solid angle": lambda: region_map(shapes()["circle"], unit="1e-3 sr-1"),
    "pixels with metadata": with_meta,
    "pixels without axes": lambda: pixels(axes=[]),
    "pixels with two axes": lambda: pixels(axes=axes()),
    "pixels in galactic TAN": lambda: pixels(frame="galactic", proj="TAN"),
    "pixels of the sky": lambda: pixels(binsz=30, width=(360, 180), proj="AIT", skydir=(0, 0)),
    "images of several sizes": lambda: pixels(binsz=[0.1, 0.2, 0.3]),
}


def content(hdus: list[Any]) -> bytes:
    return b"".join(bytes(part) for hdu in hdus for part in (hdu.header, hdu.data))


@pytest.mark.parametrize("name", MAPS)
def test_bytes_and_maps_are_those_of_gammapy(name: str) -> None:
    """Cold and warm: what was learned from one map must fit the next one."""
    from gammapy.maps import Map

    from gpwf.store.formats._hdus import hdus_of, opened
    from gpwf.store.formats._maps import map_hdus, read_map

    for hdu, factor in (("counts", 1), ("edisp_exposure", 2), ("counts", 3)):
        item = MAPS[name]()
        item.data = (item.data * factor).astype(item.data.dtype)
        before = item.data.copy()
        expected = hdus_of(item.to_hdulist(hdu=hdu), EXTRA)[1:]
        made = map_hdus(item, hdu, EXTRA)
        assert content(made) == content(expected)
        assert [part.name for part in made] == [part.name for part in expected]
        np.testing.assert_array_equal(item.data, before)
        found = read_map({part.name: part for part in made}, hdu, item.data.dtype.name)
        with opened(expected) as hdulist:
            theirs = Map.from_hdulist(hdulist, hdu=hdu, format="gadf")
        theirs.meta = found.meta = {}
        # gammapy masks what is not finite in tables
        data = np.ma.getdata(theirs.data).astype(item.data.dtype)
        assert differences(data, found.data) == []
        theirs.data = found.data
        assert differences(theirs, found) == []
        np.testing.assert_array_equal(found.data, item.data)


def test_a_map_that_was_read_is_the_callers_own() -> None:
    from gpwf.store.formats._maps import map_hdus, read_map

    hdus = {hdu.name: hdu for hdu in map_hdus(MAPS["region circle"](), "exposure", {})}
    first, second = read_map(hdus, "exposure"), read_map(hdus, "exposure")
    first.geom.axes[0]._nodes[0] = 7
    first.data[...] = 0
    first.geom.wcs.wcs.crval = [0, 0]
    third = read_map(hdus, "exposure")
    assert differences(second, third) == []
    assert second.geom.axes[0].edges[0].value < 0.2
    assert np.nanmax(second.data) > 0


def test_geometries_that_a_header_rounds_alike_stay_apart() -> None:
    """gammapy takes these two for equal, and a header has 14 digits; regions are in pixels."""
    from gpwf.store.formats._hdus import hdus_of
    from gpwf.store.formats._maps import map_hdus

    one, two = (region_map(f"icrs;circle({lon!r}, 22.01, 0.11)") for lon in (83.63, 83.63 + 1e-7))
    assert one.geom == two.geom
    contents = [content(map_hdus(item, "counts", {})) for item in (one, two)]
    assert contents[0] != contents[1]
    for item, made in zip((one, two), contents, strict=True):
        assert made == content(hdus_of(item.to_hdulist(hdu="counts"), {})[1:])


@pytest.mark.parametrize(
    "cards",
    [
        {"XTENSION": "BINTABLE", "TFIELDS": "1"},
        {"XTENSION": "BINTABLE", "TFIELDS": "2", "TTYPE1": "PIX", "TFORM1": "I", "TFORM2": "E"},
        {"XTENSION": "IMAGE", "BITPIX": "16", "BZERO": "32768"},
    ],
)
def test_other_tables_and_images_are_left_to_gammapy(cards: dict[str, str]) -> None:
    from gpwf.store.formats._maps import _kind

    with pytest.raises(StoreError, match="not a map as gammapy writes it"):
        _kind(cards)


def test_a_file_that_ends_early_is_refused() -> None:
    from gpwf.store.formats._hdus import split
    from gpwf.store.formats._maps import map_hdus

    whole = content(map_hdus(MAPS["pixels of float32"](), "counts", {}))
    assert [hdu.name for hdu in split(whole)] == ["COUNTS", "COUNTS_BANDS"]
    for end, message in ((-2880, "ends inside its HDU"), (100, "has no end")):
        with pytest.raises(StoreError, match=message):
            split(whole[:end])


@pytest.mark.parametrize("make", [make_datasets, make_maps, make_on_off])
def test_files_of_datasets_are_those_of_gammapy(make: Any, tmp_path: Path) -> None:
    from astropy.io import fits

    from gpwf.store import formats
    from gpwf.store.formats._hdus import hdus_of, split

    datasets = make()
    formats.write("datasets", datasets, tmp_path, {})
    for before, name in zip(datasets, unique_names(datasets.names), strict=True):
        path = tmp_path / f"{name}.fits"
        expected = hdus_of(before.to_hdulist(), {})
        # gammapy leaves the region of a background that it does not write
        expected = [hdu for hdu in expected if hdu.name != "BACKGROUND_REGION"]
        assert path.read_bytes() == content(expected)
        assert [hdu.name for hdu in split(path.read_bytes())] == [hdu.name for hdu in expected]
        with fits.open(path, memmap=False) as hdulist:
            theirs = type(before).from_hdulist(hdulist, name=before.name)
        (ours,) = (
            item for item in formats.read("datasets", tmp_path, Path) if item.name == before.name
        )
        # what gammapy loses, and its numbers in the byte order of FITS
        for names in (_maps(theirs), _maps(ours)):
            for item in names.values():
                item.data, item.meta = np.ma.getdata(item.data).astype(float), {}
        theirs.meta_table = theirs.gti = ours.meta_table = ours.gti = None
        theirs.models = ours.models = None
        theirs._background_cached = ours._background_cached = None
        theirs._background_parameters_cached = ours._background_parameters_cached = None
        assert differences(theirs, ours) == []


@pytest.mark.parametrize("name", ["it's", "x" * 80])
def test_names_that_a_card_cannot_hold_are_refused(name: str) -> None:
    from gpwf.store.formats._hdus import named
    from gpwf.store.formats._maps import map_hdus

    header = map_hdus(MAPS["pixels of float32"](), "counts", {})[0].header
    with pytest.raises(StoreError, match="no name for an HDU"):
        named(header, name)
