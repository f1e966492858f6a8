"""Products of gammapy objects: what is read equals what was written, and bytes never differ."""

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


def store_twice(kind: str, make: Any, tmp_path: Path) -> tuple[Any, Path]:
    """Write two equal values made apart, compare bytes, read one back."""
    folders = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        formats.write(kind, make(), folder, CARD)
        folders.append(folder)
    assert written(folders[0]) == written(folders[1])
    for content in written(folders[0]).values():
        assert str(tmp_path).encode() not in content
    return formats.read(kind, folders[0], never), folders[0]


def make_gti() -> Any:
    from astropy import units as u
    from astropy.time import Time
    from gammapy.data import GTI

    reference = Time("2001-01-01T00:01:04.184", scale="tt")
    # sums that have no short decimal form: what a table in FITS rounds
    return GTI.create([1.1e8 / 3, 1.2e8 / 3] * u.s, [1.11e8 / 3, 1.21e8 / 3] * u.s, reference)


def make_dataset(name: str = "hess-1", n_off: int = 60) -> Any:
    from astropy import units as u
    from astropy.table import Table
    from gammapy.datasets import SpectrumDatasetOnOff
    from gammapy.irf import EDispKernelMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap

    energy = MapAxis.from_energy_bounds("0.1 TeV", "40 TeV", 12)
    true = MapAxis.from_energy_bounds("0.05 TeV", "100 TeV", 20, name="energy_true")
    geom = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[energy])
    geom_true = RegionGeom.create("icrs;circle(83.63, 22.01, 0.11)", axes=[true])
    counts = RegionNDMap.from_geom(geom, data=np.arange(12.0)[::-1], dtype="float32")
    counts_off = RegionNDMap.from_geom(geom, data=n_off // 12, dtype="float32")
    exposure = RegionNDMap.from_geom(geom_true, data=np.geomspace(1e7, 1e10, 20), unit="m2 s")
    exposure.meta = {"livetime": 1581.7367647 * u.s, "is_pointlike": False}
    edisp = EDispKernelMap.from_diagonal_response(energy, true, geom=geom_true.to_image())
    mask = geom.energy_mask(0.3 * u.TeV, 20 * u.TeV)
    dataset = SpectrumDatasetOnOff(
        name=name,
        counts=counts,
        counts_off=counts_off,
        acceptance=RegionNDMap.from_geom(geom, data=np.ones(12, dtype=int), dtype=int),
        acceptance_off=RegionNDMap.from_geom(geom, data=7.0),
        exposure=exposure,
        edisp=edisp,
        mask_safe=mask,
        gti=make_gti(),
        meta_table=Table({"TELESCOP": ["HESS"], "OBS_ID": [1]}),
    )
    dataset.mask_fit = geom.energy_mask(1 * u.TeV, 10 * u.TeV)
    return dataset


def make_datasets() -> Any:
    from gammapy.datasets import Datasets

    return Datasets([make_dataset("hess-1"), make_dataset("HESS-1"), make_dataset("a/b", 24)])


def make_models() -> Any:
    from gammapy.modeling.models import (
        ExpCutoffPowerLawSpectralModel,
        GaussianSpatialModel,
        Models,
        PowerLawSpectralModel,
        SkyModel,
    )

    first = SkyModel(
        PowerLawSpectralModel(index=2.1 / 0.7, amplitude="3.3e-11 cm-2 s-1 TeV-1"),
        name="first",
        datasets_names=["hess-1"],
    )
    second = SkyModel(
        ExpCutoffPowerLawSpectralModel(lambda_="0.05 TeV-1"),
        GaussianSpatialModel(lon_0="83.6 deg", lat_0="22 deg", sigma="0.1 deg", frame="icrs"),
        name="second",
    )
    first.spectral_model.index.min = 1
    models = Models([first, second])
    second.spectral_model.reference = first.spectral_model.reference
    second.spectral_model.index = first.spectral_model.index  # a linked parameter
    size = len(models.parameters)
    random = np.random.default_rng(1).normal(size=(size, size)) * 1e-3
    models.covariance = random @ random.T
    return models


def assert_maps_equal(one: Any, two: Any) -> None:
    assert one.geom.axes == two.geom.axes
    assert one.geom == two.geom
    assert one.unit == two.unit
    assert one.data.dtype == two.data.dtype
    np.testing.assert_array_equal(one.data, two.data)
    assert one.meta.keys() == two.meta.keys()
    for name, value in one.meta.items():
        assert value == two.meta[name]


def assert_gti_equal(one: Any, two: Any) -> None:
    for name in ("time_start", "time_stop", "time_ref"):
        assert np.all((getattr(one, name) - getattr(two, name)).to_value("s") == 0), name
        assert getattr(one, name).scale == getattr(two, name).scale
        assert getattr(one, name).format == getattr(two, name).format


def test_a_livetime_that_nobody_knows_is_left_out_of_the_summary(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets

    dataset = make_dataset()
    (tmp_path / "known").mkdir()
    summary = formats.write("datasets", Datasets([dataset]), tmp_path / "known", {})
    assert summary["livetime_h"] == pytest.approx(1581.74 / 3600, abs=1e-4)
    del dataset.exposure.meta["livetime"]
    dataset.gti = None
    (tmp_path / "unknown").mkdir()
    summary = formats.write("datasets", Datasets([dataset]), tmp_path / "unknown", {})
    assert "livetime_h" not in summary


def test_datasets_come_back_field_by_field(tmp_path: Path) -> None:
    before = make_datasets()
    after, folder = store_twice("datasets", make_datasets, tmp_path)
    assert after.names == before.names
    for one, two in zip(before, after, strict=True):
        for name in (
            "counts",
            "counts_off",
            "acceptance",
            "acceptance_off",
            "exposure",
            "mask_safe",
            "mask_fit",
        ):
            assert_maps_equal(getattr(one, name), getattr(two, name))
        assert_maps_equal(one.edisp.edisp_map, two.edisp.edisp_map)
        assert_maps_equal(one.edisp.exposure_map, two.edisp.exposure_map)
        assert_gti_equal(one.gti, two.gti)
        assert list(one.meta_table["OBS_ID"]) == list(two.meta_table["OBS_ID"])
        assert one.info_dict()["livetime"] == two.info_dict()["livetime"]
        assert two.models is None
    assert "a_b.fits" in written(folder)


def test_datasets_keep_names_that_fits_cannot_hold(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets

    names = ["Müller-1", "Mäller-1"]
    before = Datasets([make_dataset(name) for name in names])
    after, _ = store_twice("datasets", lambda: before, tmp_path)
    assert after.names == names
    np.testing.assert_array_equal(before[0].counts.data, after[0].counts.data)


def test_datasets_give_the_same_statistic_after_reading(tmp_path: Path) -> None:
    before = make_datasets()
    after, _ = store_twice("datasets", make_datasets, tmp_path)
    before.models = make_models()["second"].copy(name="other")
    after.models = before.models
    assert after.stat_sum() == before.stat_sum()


def test_datasets_carry_the_card_and_are_read_by_gammapy(tmp_path: Path) -> None:
    from astropy.io import fits
    from gammapy.datasets import Datasets

    _, folder = store_twice("datasets", make_datasets, tmp_path)
    header = fits.getheader(folder / "hess-1.fits")
    assert header["GPWFKEY"] == CARD["GPWFKEY"]
    assert header["GPWFPORT"] == "datasets"
    with fits.open(folder / "hess-1.fits") as hdulist:
        assert not any("CREATED" in hdu.header or "DATE" in hdu.header for hdu in hdulist)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a checksum that does not fit, for example
        plain = Datasets.read(folder / "datasets.yaml", lazy=False)
    assert len(plain) == 3
    assert plain[0].counts.data.sum() == make_dataset().counts.data.sum()


def test_files_of_datasets_are_in_the_product(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(
        "datasets: [{name: x, type: MapDataset, filename: ../x.fits, gpwf: {}}]\n"
    )
    with pytest.raises(StoreError, match=r"refer to \.\./x\.fits, which is no file of the product"):
        formats.read("datasets", tmp_path, never)


def test_models_keep_covariance_between_linked_parameters(tmp_path: Path) -> None:
    before = make_models()
    expected = before.covariance.data.copy()
    assert np.abs(expected - np.diag(np.diag(expected))).max() > 0
    after, folder = store_twice("models", make_models, tmp_path)
    assert after.names == before.names
    assert after["first"].datasets_names == ["hess-1"]
    for one, two in zip(before.parameters, after.parameters, strict=True):
        for name in ("name", "value", "unit", "error", "frozen", "interp", "scale_method"):
            assert getattr(one, name) == getattr(two, name), (one.name, name)
        np.testing.assert_array_equal([one.min, one.max], [two.min, two.max])
    np.testing.assert_array_equal(after.covariance.data, expected)
    assert after["first"].spectral_model.index is after["second"].spectral_model.index
    assert b"GPWFKEY" in written(folder)["models.yaml"]


def test_covariance_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    """Those of fits are not quite symmetric."""
    models = make_models()
    matrix = models.covariance.data.copy()
    matrix[0, 1] = np.nextafter(matrix[0, 1], 1)
    models.covariance = matrix
    formats.write("models", models, tmp_path, CARD)
    np.testing.assert_array_equal(formats.read("models", tmp_path, never).covariance.data, matrix)


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e22, 0.0, -1e-300, 123456789.0])
def test_the_table_of_covariance_is_the_one_of_astropy(value: float, tmp_path: Path) -> None:
    from astropy.table import Table

    from gpwf.store.formats.models import _read_covariance, _write_covariance

    models = make_models()
    matrix = models.covariance.data.copy()
    matrix[0, 1] = value  # not symmetric
    _write_covariance(models, matrix, tmp_path / "ours.dat")
    table = Table()
    table["Parameters"] = models.parameters_unique_names
    for index, row in enumerate(matrix):
        table[str(index)] = row
    table.write(tmp_path / "theirs.dat", format="ascii.fixed_width", delimiter="|")
    assert written(tmp_path)["ours.dat"] == written(tmp_path)["theirs.dat"]
    np.testing.assert_array_equal(_read_covariance(tmp_path / "ours.dat"), matrix)


def test_models_are_read_by_gammapy(tmp_path: Path) -> None:
    from gammapy.modeling.models import Models

    _, folder = store_twice("models", make_models, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models = Models.read(folder / "models.yaml", checksum=True)
    assert models.names == ["first", "second"]
    assert models["first"].spectral_model.index is models["second"].spectral_model.index


def make_template_models() -> Any:
    from gammapy.maps import Map
    from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel
    from gammapy.modeling.models import TemplateSpatialModel as Template

    template = Map.create(npix=(5, 4), binsz=0.1, unit="sr-1")
    template.data += np.arange(20.0).reshape(4, 5)
    spatial = Template(template, normalize=False, filename="/somewhere/else/map.fits")
    return Models([SkyModel(PowerLawSpectralModel(), spatial, name="cloud")])


def test_template_maps_travel_with_the_models(tmp_path: Path) -> None:
    before = make_template_models()
    after, folder = store_twice("models", make_template_models, tmp_path)
    np.testing.assert_array_equal(before[0].spatial_model.map.data, after[0].spatial_model.map.data)
    assert b"somewhere" not in written(folder)["models.yaml"]
    again = tmp_path / "again"  # models that were read can be written from anywhere
    again.mkdir()
    formats.write("models", after, again, CARD)
    assert written(again) == written(folder)


def make_flux(kind: str) -> Any:
    from astropy import units as u
    from gammapy.datasets import Datasets
    from gammapy.estimators import FluxPoints, FluxPointsEstimator, LightCurveEstimator
    from gammapy.maps import MapAxis
    from gammapy.modeling.models import Models, PowerLawSpectralModel, SkyModel

    gti = make_gti()
    datasets = Datasets([make_dataset("hess-1"), make_dataset("hess-2")])
    for number, dataset in enumerate(datasets):
        dataset.mask_fit = None
        dataset.gti = gti.select_time(
            [gti.time_start[number] - 1 * u.s, gti.time_stop[number] + 1 * u.s]
        )
    source = SkyModel(PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1"), name="crab")
    datasets.models = Models([source])
    options = {
        "source": "crab",
        "energy_edges": [0.3, 1, 15] * u.TeV,
        "selection_optional": ["ul", "errn-errp", "scan"],
        "n_sigma_ul": 3,
        "reoptimize": False,
    }
    if kind == "flux-points":
        return FluxPointsEstimator(**options).run(datasets)
    if kind == "flux-profile":
        parts = [FluxPointsEstimator(**options).run(datasets)] * 3
        axis = MapAxis.from_nodes([0.1, 0.2, 1 / 3] * u.deg, name="projected-distance")
        profile = FluxPoints.from_stack(maps=parts, axis=axis)
        profile.norm.data[1] *= 1 / 3  # the regions differ
        return profile
    return LightCurveEstimator(**options).run(datasets)


@pytest.mark.filterwarnings("ignore:divide by zero")  # gammapy, for an index of exactly 2,
@pytest.mark.filterwarnings("ignore:invalid value")  # where it takes another formula afterwards
@pytest.mark.parametrize("kind", ["flux-points", "light-curve", "flux-profile"])
def test_flux_estimates_come_back_field_by_field(kind: str, tmp_path: Path) -> None:
    before = make_flux(kind)
    before._data["success"].data.flat[0] = False  # gammapy blanks such points in its tables
    before._data["norm"].data.flat[0] = np.nan  # astropy masks such values of its tables
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        summary = formats.write(kind, before, folder, CARD)
    assert written(first) == written(second)
    assert summary
    after = formats.read(kind, first, never)
    assert list(before._data) == list(after._data)
    for name in before._data:
        one, two = before._data[name], after._data[name]
        assert one.geom.axes.names == two.geom.axes.names
        for axis in one.geom.axes:
            other = two.geom.axes[axis.name]
            if axis.name == "time":
                assert np.all((axis.time_min - other.time_min).to_value("s") == 0)
                assert np.all((axis.time_max - other.time_max).to_value("s") == 0)
            elif axis.name == "dataset":
                assert list(axis.center) == list(other.center)
            else:
                np.testing.assert_array_equal(axis.edges.value, other.edges.value)
                assert axis.unit == other.unit
        assert one.data.dtype == two.data.dtype
        assert one.unit == two.unit
        assert type(two.data) is np.ndarray  # a masked one equals anything
        np.testing.assert_array_equal(one.data, two.data)
    assert after.n_sigma_ul == 3
    assert after.meta == before.meta
    assert_gti_equal(before.gti, after.gti)
    for name in ("dnde", "flux", "eflux", "e2dnde", "dnde_ul", "sqrt_ts"):
        np.testing.assert_array_equal(getattr(before, name).data, getattr(after, name).data)
    ecsv = written(first)[f"{kind.replace('-', '_')}.ecsv"].decode()
    assert "GPWFKEY" in ecsv
    assert ("dnde" if kind == "flux-points" else "flux_ul") in ecsv


def make_figure() -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], [1, 4, 9], label="$E^2$")
    axes.fill_between([1, 2, 3], [0, 1, 2], [2, 3, 4], alpha=0.3)
    axes.set_title("A title", loc="left")
    axes.legend()
    return figure


def test_figures_have_no_dates_and_carry_the_card(tmp_path: Path) -> None:
    after, folder = store_twice("figure", make_figure, tmp_path)
    files = written(folder)
    assert set(files) == {"figure.png", "figure.svg", "figure.pdf"}
    for content in files.values():
        assert CARD["GPWFKEY"].encode() in content
    assert b"CreationDate" not in files["figure.pdf"]
    assert b"<dc:date>" not in files["figure.svg"]
    assert tuple(after.get_size_inches()) == (4.0, 3.0)
