"""Maps on disk: what is read equals what was written, and the same maps give the same bytes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import StoreError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CARD = {"GPWFKEY": "0" * 64, "GPWFPORT": "datasets"}


def never(digest: str) -> Path:
    raise AssertionError(f"content {digest} was asked for")


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def store_twice(kind: str, make: Any, tmp_path: Path) -> tuple[Any, Path, Any]:
    """Write two equal values made apart, compare bytes, read one back."""
    folders, summary = [], None
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        summary = formats.write(kind, make(), folder, CARD)
        folders.append(folder)
    assert written(folders[0]) == written(folders[1])
    for content in written(folders[0]).values():
        assert str(tmp_path).encode() not in content
    return formats.read(kind, folders[0], never), folders[0], summary


def make_dataset(name: str, kind: str = "MapDataset") -> Any:
    """Return a small map dataset with numbers that FITS does not change."""
    from astropy import units as u
    from astropy.table import Table
    from gammapy import datasets
    from gammapy.data import GTI
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 3, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), binsz=0.1, width=(0.6, 0.5), axes=[energy])
    cls = getattr(datasets, kind)
    dataset = cls.create(
        geom,
        energy_axis_true=true,
        binsz_irf=0.3,
        name=name,
        meta_table=Table({"TELESCOP": ["HESS"], "OBS_ID": [7]}),
    )
    random = np.random.default_rng(3)
    shape = geom.data_shape
    dataset.counts.data = random.poisson(3, shape).astype("float32")
    dataset.exposure.data += 1e9 / 3
    dataset.exposure.meta = {"livetime": 1581.7367647 * u.s}
    dataset.mask_safe.data = random.random(shape) > 0.2
    dataset.gti = GTI.create([1 / 3] * u.s, [1581.1] * u.s)
    if kind == "MapDatasetOnOff":
        dataset.counts_off.data = random.poisson(9, shape).astype("float32")
        dataset.acceptance.data += 0.3
        dataset.acceptance_off.data += 1.0
    else:
        dataset.background.data = random.random(shape) * 3 + 0.1
        dataset.mask_fit = dataset.mask_safe.copy()
    return dataset


def make_datasets() -> Any:
    """Return datasets, each with a background model of its own."""
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import FoVBackgroundModel, Models

    datasets = Datasets([make_dataset("hess-1"), make_dataset("hess-2")])
    models = [FoVBackgroundModel(dataset_name=name) for name in datasets.names]
    models[0].spectral_model.norm.value = 1 / 0.7
    models[0].spectral_model.norm.error = 0.1 / 3
    datasets.models = Models(models)
    return datasets


def make_on_off() -> Any:
    from gammapy.datasets import Datasets

    return Datasets([make_dataset("hess-1", "MapDatasetOnOff")])


def assert_map_equal(one: Any, two: Any) -> None:
    assert one.geom == two.geom
    assert one.unit == two.unit
    assert one.data.dtype == two.data.dtype
    assert one.meta == two.meta
    np.testing.assert_array_equal(one.data, two.data)


@pytest.mark.parametrize("make", [make_datasets, make_on_off])
def test_map_datasets_come_back_field_by_field(make: Any, tmp_path: Path) -> None:
    before = make()
    after, _, summary = store_twice("datasets", make, tmp_path)
    assert after.names == before.names
    assert summary["counts"] > 0
    for one, two in zip(before, after, strict=True):
        assert type(one) is type(two)
        assert list(two.meta_table["OBS_ID"]) == [7]
        assert (one.gti.time_start - two.gti.time_start).to_value("s") == 0
        names = ["counts", "exposure", "mask_safe", "mask_fit"]
        on_off = ["counts_off", "acceptance", "acceptance_off"]
        names += on_off if one.tag.endswith("OnOff") else ["background"]
        for name in names:
            if getattr(one, name) is None:
                assert getattr(two, name) is None
            else:
                assert_map_equal(getattr(one, name), getattr(two, name))
        assert_map_equal(one.psf.psf_map, two.psf.psf_map)
        assert_map_equal(one.edisp.edisp_map, two.edisp.edisp_map)
        assert one.stat_sum() == two.stat_sum()


def test_own_background_models_travel_with_datasets(tmp_path: Path) -> None:
    before = make_datasets()
    after, folder, _ = store_twice("datasets", make_datasets, tmp_path)
    assert after.models.names == ["hess-1-bkg", "hess-2-bkg"]
    for one, two in zip(before, after, strict=True):
        assert two.background_model.datasets_names == [two.name]
        norms = [item.background_model.spectral_model.norm for item in (one, two)]
        assert (norms[0].value, norms[0].error) == (norms[1].value, norms[1].error)
        np.testing.assert_array_equal(one.npred_background().data, two.npred_background().data)
    assert b"GPWFKEY" in written(folder)["background_models.yaml"]


def test_models_of_the_sky_stay_outside(tmp_path: Path) -> None:
    from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel

    datasets = make_datasets()
    source = SkyModel(PowerLawSpectralModel(), name="crab")
    datasets.models = Models([source, *datasets.models])
    formats.write("datasets", datasets, tmp_path, CARD)
    assert formats.read("datasets", tmp_path, never).models.names == ["hess-1-bkg", "hess-2-bkg"]
    assert datasets.models.names == ["crab", "hess-1-bkg", "hess-2-bkg"]


def test_gammapy_reads_map_datasets(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets

    before = make_datasets()
    formats.write("datasets", before, tmp_path, CARD)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = Datasets.read(
            tmp_path / "datasets.yaml", filename_models=tmp_path / "background_models.yaml"
        )
        assert plain.stat_sum() == before.stat_sum()


def make_flux_maps() -> Any:
    """Return flux maps with NaN, whole numbers and truth values."""
    from astropy import units as u
    from gammapy.data import GTI
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Map, MapAxis
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    maps = {}
    for number, name in enumerate(("norm", "norm_err", "sqrt_ts", "ts", "npred_excess")):
        maps[name] = Map.create(skydir=(83.63, 22.01), binsz=0.1, width=(0.6, 0.5), axes=[axis])
        maps[name].data = np.arange(60.0).reshape(2, 5, 6) / 7 + number
    maps["norm"].data[0, 0, 0] = np.nan
    maps["niter"] = Map.from_geom(maps["norm"].geom, data=3, dtype="int32")
    maps["success"] = Map.from_geom(maps["norm"].geom, data=True, dtype=bool)
    maps["success"].data[1, 2, 3] = False
    return FluxMaps(
        maps,
        SkyModel(PowerLawSpectralModel(index=2.6), name="reference"),
        meta={"n_sigma": 1, "n_sigma_ul": 3, "sed_type_init": "likelihood"},
        gti=GTI.create([1 / 3] * u.s, [1581.1] * u.s),
    )


def test_flux_maps_come_back_field_by_field(tmp_path: Path) -> None:
    before = make_flux_maps()
    after, folder, summary = store_twice("flux-maps", make_flux_maps, tmp_path)
    assert list(after._data) == list(before._data)
    for name, item in before._data.items():
        assert_map_equal(item, after._data[name])
    assert after.meta == before.meta
    assert (after.gti.time_stop - before.gti.time_stop).to_value("s") == 0
    assert after.n_sigma_ul == 3
    assert after.reference_model.spectral_model.index.value == 2.6
    np.testing.assert_array_equal(after.flux.data, before.flux.data)
    assert after.flux.unit == before.flux.unit
    assert summary["max_sqrt_ts"] == pytest.approx(59 / 7 + 2, abs=0.01)
    assert (summary["lon_deg"], summary["lat_deg"]) == pytest.approx((83.36, 22.21), abs=0.02)
    files = written(folder)
    assert b"GPWFKEY" in files["flux_maps.fits"]
    assert b"DATE" not in files["flux_maps.fits"]


def test_flux_maps_of_nothing_have_a_summary(tmp_path: Path) -> None:
    flux = make_flux_maps()
    flux._data["sqrt_ts"].data[...] = np.nan
    assert "max_sqrt_ts" not in formats.write("flux-maps", flux, tmp_path, CARD)


def test_gammapy_reads_flux_maps(tmp_path: Path) -> None:
    from gammapy.estimators import FluxMaps

    before = make_flux_maps()
    formats.write("flux-maps", before, tmp_path, CARD)
    plain = FluxMaps.read(tmp_path / "flux_maps.fits")
    np.testing.assert_array_equal(plain.sqrt_ts.data, before.sqrt_ts.data)


def make_mask() -> Any:
    """Return a boolean map without energies."""
    from gammapy.maps import Map

    mask = Map.create(skydir=(266.4, -29.0), binsz=0.1, width=(0.6, 0.5), frame="galactic")
    mask = Map.from_geom(mask.geom, data=True, dtype=bool)
    mask.data[1:3, 2] = False
    mask.meta = {"made": "by hand", "radius": 0.3}
    return mask


def test_a_mask_comes_back_boolean(tmp_path: Path) -> None:
    from gammapy.maps import Map

    before = make_mask()
    after, folder, summary = store_twice("map", make_mask, tmp_path)
    assert_map_equal(before, after)
    assert summary == {"n_lon": 6, "n_lat": 5, "frame": "galactic", "true_fraction": 0.9333}
    plain = Map.read(folder / "map.fits")
    assert plain.geom == before.geom
    np.testing.assert_array_equal(plain.data.astype(bool), before.data)


def make_maps() -> Any:
    """Return maps of several number types, one without energies."""
    from gammapy.maps import Map, MapAxis, Maps

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    first = Map.create(skydir=(83.63, 22.01), binsz=0.1, width=(0.6, 0.5), axes=[axis], unit="s-1")
    first.data = np.arange(60.0).reshape(2, 5, 6) / 7
    first.data[0, 0, 0] = np.nan
    maps = Maps(rate=first, Kernel=Map.from_geom(first.geom, data=3, dtype="int32"))
    maps["mask_2"] = Map.from_geom(first.geom.to_image(), data=True, dtype=bool)
    return maps


def test_maps_come_back_field_by_field(tmp_path: Path) -> None:
    from gammapy.maps import Maps

    before = make_maps()
    after, folder, summary = store_twice("maps", make_maps, tmp_path)
    assert type(after) is Maps
    assert list(after) == ["rate", "Kernel", "mask_2"]
    for name, item in before.items():
        assert_map_equal(item, after[name])
    assert summary["maps"] == list(before)
    with fits_open(folder / "maps.fits") as hdus:
        assert hdus[0].header["GPWFKEY"] == CARD["GPWFKEY"]


@pytest.mark.parametrize("name", ["", "1", "a b", "é", "x" * 61])
def test_a_name_that_fits_cannot_hold_is_refused(name: str, tmp_path: Path) -> None:
    from gammapy.maps import Maps

    maps = Maps()
    maps[name] = make_mask()
    with pytest.raises(StoreError, match="name of a map"):
        formats.write("maps", maps, tmp_path, CARD)


def test_names_of_one_spelling_are_refused(tmp_path: Path) -> None:
    from gammapy.maps import Maps

    with pytest.raises(StoreError, match="letter case"):
        formats.write("maps", Maps(a=make_mask(), A=make_mask()), tmp_path, CARD)
    with pytest.raises(StoreError, match="no maps"):
        formats.write("maps", Maps(), tmp_path, CARD)


def fits_open(path: Path) -> Any:
    from astropy.io import fits

    return fits.open(path)
