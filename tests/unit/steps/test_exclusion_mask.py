"""The step ``exclusion-mask``: what excludes, on which pixels, and what cannot work."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from spectra import make_models, problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import settle

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CENTER = {"frame": "icrs", "lon": "83.63 deg", "lat": "22.01 deg"}
WCS = {"skydir": CENTER, "binsize": "0.1 deg", "width": {"width": "4 deg", "height": "3 deg"}}
CIRCLE = {**CENTER, "radius": "0.55 deg"}


def mask_of(config: dict[str, Any], inputs: dict[str, Any] | None = None, **options: Any) -> Any:
    """Return the mask of settings, on small pixels unless they say which."""
    return run("exclusion-mask", {"geom": {"wcs": WCS}, **config}, inputs or {}, **options)[
        "exclusion_mask"
    ]


def make_geom(**options: Any) -> Any:
    from gammapy.maps import WcsGeom

    return WcsGeom.create(**{"skydir": (83.63, 22.01), "binsz": 0.1, "width": (4, 3), **options})


def make_flux_maps(significance: Any, energies: int = 1, **options: Any) -> Any:
    """Return flux maps with these significances, shape (n, 30, 40)."""
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Map, MapAxis
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", energies)
    geom = make_geom(axes=[axis], **options)
    maps = {name: Map.from_geom(geom, data=0.0) for name in ("norm", "norm_err", "sqrt_ts")}
    maps["sqrt_ts"].data[...] = significance
    return FluxMaps(maps, SkyModel(PowerLawSpectralModel(), name="reference"))


def ports(config: dict[str, Any]) -> list[str]:
    catalog = load_catalog()
    settled = settle(catalog.step("exclusion-mask"), config, base=Path("/nowhere"))
    return [port.name for port in catalog.inputs("exclusion-mask", settled.settings)]


# ---- what excludes -------------------------------------------------------------------------------


def test_a_circle_is_one_on_the_sphere() -> None:
    """At 80 deg the projection of gammapy stretches circles that are not in its centre."""
    north = {"frame": "icrs", "lon": "10 deg", "lat": "80 deg"}
    wcs = {"skydir": north, "binsize": "0.1 deg", "width": {"width": "9 deg", "height": "9 deg"}}
    circle = {**north, "lat": "77 deg", "radius": "1 deg"}
    mask = mask_of({"geom": {"wcs": wcs}, "circles": [circle]})
    assert mask.data.dtype == bool
    assert mask.geom.is_image
    area = mask.geom.solid_angle().to_value("deg2")[~mask.data].sum()
    assert area == pytest.approx(math.pi, rel=0.02)
    sky = mask.geom.get_coord().skycoord
    lon, lat = sky.ra.deg, sky.dec.deg
    assert lat[~mask.data].min() == pytest.approx(76, abs=0.1)
    assert lat[~mask.data].max() == pytest.approx(78, abs=0.1)
    assert np.ptp(lon[~mask.data]) * math.cos(math.radians(77)) == pytest.approx(2, abs=0.2)


def test_it_is_the_mask_of_gammapy_by_hand() -> None:
    from astropy import units as u
    from regions import CircleSkyRegion

    mask = mask_of({"circles": [CIRCLE]})
    geom = make_geom()
    by_hand = ~geom.region_mask([CircleSkyRegion(geom.center_skydir, 0.55 * u.deg)])
    assert mask.geom == geom
    np.testing.assert_array_equal(mask.data, by_hand.data)


def test_files_of_regions_and_masks_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.reg").write_text("icrs\ncircle(83.63, 22.01, 0.3)\n")
    other = make_geom(frame="galactic", skydir=make_geom().center_skydir, binsz=0.02, width=2)
    part = other.region_mask("icrs;circle(84.2, 22.01, 0.4)", inside=False)
    part.data = part.data.astype(int)
    part.write(tmp_path / "b.fits")
    both = mask_of({"files": ["a.reg", "b.fits"]}, base=tmp_path)
    one = mask_of({"files": ["a.reg"]}, base=tmp_path)
    two = mask_of({"files": ["b.fits"]}, base=tmp_path)
    np.testing.assert_array_equal(both.data, one.data & two.data)
    separation = make_geom().separation(make_geom().center_skydir).deg
    np.testing.assert_array_equal(one.data, separation >= 0.3)
    # pixels of another frame and size: by the pixel that holds the centre
    area = make_geom().solid_angle().to_value("deg2")[~two.data].sum()
    assert area == pytest.approx(math.pi * 0.4**2, rel=0.1)
    assert two.data[:, 0].all()  # beyond that map nothing is excluded


def test_there_may_be_thousands_of_regions(tmp_path: Path) -> None:
    """gammapy alone fails with RecursionError."""
    lines = [f"circle({82 + n / 333}, 22.01, 0.14)" for n in range(1000)]
    (tmp_path / "many.reg").write_text("\n".join(["icrs", *lines]))
    mask = mask_of({"files": ["many.reg"]}, base=tmp_path)
    assert list(np.flatnonzero((~mask.data[:, 8:32]).all(axis=1))) == [14, 15]
    assert mask.data[:13].all()


def test_any_plane_of_a_mask_excludes(tmp_path: Path) -> None:
    from gammapy.maps import Map, MapAxis

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    cube = Map.from_geom(make_geom(axes=[axis]), data=1.0)
    cube.data[0, 3, 4], cube.data[1, 5, 6], cube.data[1, 7, 8] = 0, 0, np.nan
    cube.write(tmp_path / "cube.fits")
    mask = mask_of({"files": ["cube.fits"]}, base=tmp_path)
    assert sorted(zip(*np.nonzero(~mask.data), strict=True)) == [(3, 4), (5, 6), (7, 8)]


def make_sources() -> Any:
    from gammapy.modeling.models import (
        ConstantSpatialModel,
        FoVBackgroundModel,
        GaussianSpatialModel,
        Models,
        PointSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )

    point = PointSpatialModel(lon_0="83 deg", lat_0="22 deg", frame="icrs")
    gauss = GaussianSpatialModel(lon_0="84 deg", lat_0="22 deg", sigma="0.1 deg", frame="icrs")
    spatial = {"point": point, "gauss": gauss, "diffuse": ConstantSpatialModel(), "none": None}
    sources = [SkyModel(PowerLawSpectralModel(), item, name=name) for name, item in spatial.items()]
    return Models([*sources, FoVBackgroundModel(dataset_name="hess")])


def test_sources_are_excluded_with_their_extent() -> None:
    from astropy.coordinates import SkyCoord

    mask = mask_of({"models": {"margin": "0.25 deg"}}, {"models": make_sources()})
    geom = mask.geom
    point = geom.separation(SkyCoord(83, 22, unit="deg")).deg < 0.25
    gauss = geom.separation(SkyCoord(84, 22, unit="deg")).deg < 0.75  # 5 sigma and the margin
    np.testing.assert_array_equal(mask.data, ~(point | gauss))
    config = {"models": {"margin": "0.25 deg", "names": ["gauss"], "extent": 2.0}}
    wide = mask_of(config, {"models": make_sources()})
    np.testing.assert_array_equal(
        ~wide.data, geom.separation(SkyCoord(84, 22, unit="deg")).deg < 1.25
    )


@pytest.mark.parametrize("name", ["nobody", "diffuse", "none", "hess-bkg"])
def test_a_name_without_position_is_refused(name: str) -> None:
    with pytest.raises(StepError, match=rf"called {name}; there are point, gauss") as caught:
        mask_of({"models": {"names": [name]}}, {"models": make_sources()})
    assert "models.names" in (caught.value.hint or "")


def test_models_without_positions_exclude_nothing() -> None:
    with (
        pytest.warns(UserWarning, match="no model has a position"),
        pytest.warns(UserWarning, match="excludes nothing"),
    ):
        mask = mask_of({"models": {}}, {"models": make_models("crab")})
    assert mask.data.all()


# ---- significance --------------------------------------------------------------------------------


def significance(**pixels: float) -> Any:
    data = np.zeros((30, 40))
    for name, value in pixels.items():
        row, column = name[1:].split("_")
        data[int(row), int(column)] = value
    return data


def excluded(config: dict[str, Any], flux_maps: Any) -> list[tuple[int, int]]:
    config = {"significance": {"dilation": None, **config}, "geom": {}}
    mask = mask_of(config, {"flux_maps": flux_maps})
    assert mask.geom == flux_maps.geom.to_image()
    return [(int(row), int(column)) for row, column in zip(*np.nonzero(~mask.data), strict=True)]


def test_what_stands_out_is_excluded() -> None:
    data = significance(p10_10=5.1, p10_11=4.0, p11_12=3.5, p20_20=4.9, p20_21=5.0)
    assert excluded({}, make_flux_maps(data)) == [(10, 10)]
    low = excluded({"threshold_low": 3.0}, make_flux_maps(data))
    assert low == [(10, 10), (10, 11), (11, 12)]  # they touch, one at a corner
    with pytest.warns(UserWarning, match="excludes nothing"):
        assert excluded({"threshold": 6.0}, make_flux_maps(data)) == []


def test_small_regions_are_noise() -> None:
    data = significance(p10_10=6.0, p10_11=6.0, p11_10=6.0, p11_11=6.0, p20_20=9.0)
    # four pixels of 0.01 deg2 are a circle of 0.113 deg
    found = excluded({"min_radius": "0.11 deg"}, make_flux_maps(data))
    assert found == [(10, 10), (10, 11), (11, 10), (11, 11)]
    with pytest.warns(UserWarning, match="excludes nothing"):
        assert excluded({"min_radius": "0.115 deg"}, make_flux_maps(data)) == []


def test_the_margin_is_that_of_gammapy() -> None:
    from astropy import units as u
    from gammapy.maps import Map

    data = significance(p10_10=6.0, p20_25=6.0, p20_26=6.0)
    flux_maps = make_flux_maps(data)
    mask = mask_of({"significance": {"dilation": "0.3 deg"}, "geom": {}}, {"flux_maps": flux_maps})
    seed = Map.from_geom(flux_maps.geom.to_image(), data=data > 5)
    # with Fourier transforms, its default, a single pixel would vanish
    by_hand = seed.binary_dilate(0.3 * u.deg, use_fft=False)
    np.testing.assert_array_equal(~mask.data, by_hand.data)
    assert (~mask.data)[:15, :15].sum() == 29


def test_unknown_significance_is_no_source_and_any_energy_counts() -> None:
    data = np.full((2, 30, 40), np.nan)
    data[0, 5, 5], data[1, 6, 7], data[1, 8, 8] = 1.0, 7.0, np.inf
    assert excluded({}, make_flux_maps(data, energies=2)) == [(6, 7), (8, 8)]
    with pytest.raises(StepError, match="no pixel of the flux maps has a significance"):
        excluded({}, make_flux_maps(np.full((30, 40), np.nan)))


def test_a_map_of_significance_on_other_pixels() -> None:
    data = np.zeros((30, 40))
    data[10:20, 10:20] = 8
    flux_maps = make_flux_maps(data)
    wcs = {**WCS, "binsize": "0.05 deg", "width": {"width": "8 deg", "height": "8 deg"}}
    config = {"significance": {"dilation": None}, "geom": {"wcs": wcs}}
    mask = mask_of(config, {"flux_maps": flux_maps})
    assert (~mask.data).sum() == 400  # a square degree
    assert mask.data[:50].all()


# ---- pixels --------------------------------------------------------------------------------------


def test_pixels_of_datasets_are_those_of_their_map() -> None:
    from astropy import units as u
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.maps import MapAxis

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    large = MapDataset.create(make_geom(axes=[axis]))
    left, right = (
        large.cutout(
            make_geom().center_skydir.directional_offset_by(angle * u.deg, 1 * u.deg),
            width=(2, 3) * u.deg,
            name=str(angle),
        )
        for angle in (90, 270)
    )
    inputs = {"datasets": [Datasets([left]), Datasets([right])]}
    mask = mask_of({"circles": [CIRCLE], "geom": {}}, inputs)
    assert mask.geom == make_geom()
    with pytest.raises(StepError, match="'binsize' and 'width' are not used"):
        mask_of({"circles": [CIRCLE], "geom": {"wcs": {"binsize": "0.1 deg"}}}, inputs)


def test_spectra_have_no_pixels() -> None:
    from gammapy.datasets import Datasets, SpectrumDataset
    from gammapy.maps import MapAxis, RegionGeom

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    geom = RegionGeom.create("icrs;circle(83.63, 22.01, 0.1)", axes=[axis])
    inputs = {"datasets": [Datasets([SpectrumDataset.create(geom)])]}
    with pytest.raises(StepError, match="are spectra, which have no pixels"):
        mask_of({"circles": [CIRCLE], "geom": {}}, inputs)


def make_observation(lon: float, lat: float) -> Any:
    from astropy.coordinates import SkyCoord

    pointing = SkyCoord(lon, lat, unit="deg")
    return SimpleNamespace(obs_id=1, tmid=None, get_pointing_icrs=lambda _: pointing)


def test_observations_are_covered_as_far_as_they_see() -> None:
    inputs = {"observations": [[make_observation(83.63, 21.51), make_observation(83.63, 22.51)]]}
    mask = mask_of({"circles": [CIRCLE], "geom": {"wcs": {"binsize": "0.1 deg"}}}, inputs)
    assert mask.geom.width.to_value("deg").ravel() == pytest.approx([7, 7])
    assert mask.geom.center_skydir.dec.deg == pytest.approx(22.01)
    with pytest.raises(NoDataError, match="no observations"):
        mask_of({"circles": [CIRCLE], "geom": {}}, {"observations": [[]]})
    inputs["observations"][0].append(make_observation(183.0, 0.0))
    with pytest.raises(StepError, match="observations of several targets") as caught:
        mask_of({"circles": [CIRCLE], "geom": {}}, inputs)
    assert "geom.wcs.skydir" in (caught.value.hint or "")


def test_something_says_where_the_mask_is() -> None:
    with pytest.raises(StepError, match="nothing says where the mask is"):
        mask_of({"circles": [CIRCLE], "geom": {}})


# ---- what cannot work ----------------------------------------------------------------------------


def test_a_mask_of_everything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="excludes everything"):
        mask_of({"circles": [{**CIRCLE, "radius": "9 deg"}]})
    inverted = ~make_geom().region_mask("icrs;circle(83.63, 22.01, 30)", inside=False)
    inverted.data = (~inverted.data).astype(int)
    inverted.write(tmp_path / "inverted.fits")
    with pytest.raises(StepError, match="excludes everything"):
        mask_of({"files": ["inverted.fits"]}, base=tmp_path)


def test_what_lies_beside_is_told() -> None:
    far = {"lon": "10 deg", "lat": "0 deg", "radius": "1 deg"}
    with pytest.warns(UserWarning, match=r"excludes no pixel of the mask: circle 2; perhaps"):
        mask_of({"circles": [CIRCLE, far]})
    with pytest.warns(UserWarning, match="the mask excludes nothing"):
        assert mask_of({"circles": [far]}).data.all()


@pytest.mark.filterwarnings("ignore:.*frame or shape is not a valid")
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.reg", b"nonsense (", "not a file of regions|no region on the sky"),
        ("a.reg", b"image\ncircle(1,2,3)\n", "no region on the sky"),
        ("a.reg", b"", "no region on the sky|not a file of regions"),
        ("a.fits", b"nonsense", "not a FITS file"),
        ("a.fits", b"", "not a FITS file"),
        ("a.fits.gz", b"\x1f\x8btorn", "not a FITS file"),
    ],
    ids=["words", "pixels", "empty", "no-fits", "empty-fits", "torn-gzip"],
)
def test_files_that_are_none_are_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StepError, match=message) as caught:
        mask_of({"files": [name]}, base=tmp_path)
    assert name in str(caught.value)


def test_settings_that_exclude_nothing_are_refused() -> None:
    assert problems("exclusion-mask", {}) == {"circles": "GP306"}
    assert problems("exclusion-mask", {"files": []}) == {"circles": "GP306"}
    assert problems("exclusion-mask", {"models": {}}) == {}
    config = {"significance": {"threshold": 3.0, "threshold_low": 5.0}}
    assert problems("exclusion-mask", config) == {"significance": "GP306"}
    assert "circles.0.radius" in problems(
        "exclusion-mask", {"circles": [{**CENTER, "radius": "0 deg"}]}
    )


def test_masks_that_do_not_fit_into_memory_are_refused() -> None:
    wcs = {"skydir": CENTER, "binsize": "0.0001 deg"}
    found = problems("exclusion-mask", {"circles": [CIRCLE], "geom": {"wcs": wcs}})
    assert found == {"geom.wcs.binsize": "GP304"}
    wide = {"width": {"width": "200 deg", "height": "200 deg"}}
    found = problems("exclusion-mask", {"circles": [CIRCLE], "geom": {"wcs": wide}})
    assert found == {"geom.wcs.width": "GP304"}
    config = {"circles": [CIRCLE], "geom": {"wcs": {"binsize": "0.0008 deg"}}}
    with pytest.raises(StepError, match="does not fit into memory"):
        mask_of(config, {"observations": [[make_observation(83.63, 22.01)]]})


def test_inputs_follow_from_the_settings() -> None:
    assert ports({"circles": [CIRCLE]}) == ["datasets", "observations"]
    assert ports({"circles": [CIRCLE], "geom": {"wcs": WCS}}) == []
    assert ports({"models": {}}) == ["models", "datasets", "observations"]
    assert ports({"significance": {}, "models": {}}) == ["models", "flux_maps"]
