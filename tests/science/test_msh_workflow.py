"""``workflows/msh-15-52.gpwf.yaml`` against the same in plain gammapy, by hand.

References
----------
Aharonian et al. 2005, A&A 435, L17: MSH 15-52 with H.E.S.S., index 2.27 +- 0.03 +- 0.20, extended
(6.4 arcmin along the major axis). Feijen et al. 2025, A&A 701, A4: energy-dependent morphology.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

DATA = Path(os.environ["GAMMAPY_DATA"])
WORKFLOW = Path(__file__).parents[2] / "workflows" / "msh-15-52.gpwf.yaml"
OBS_IDS = [20282, 20283, 20301, 20302]
POSITION = (228.53, -59.16)
RTOL = 1e-3


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("msh")
    found = gpwf.read(WORKFLOW).run(store=folder / "store", run_dir=folder / "run", jobs=2)
    assert str(found.state) == "ok"
    return found


@pytest.fixture(scope="module")
def by_hand(done: Any) -> Any:
    """Return the stacked dataset at the best fit of a Gaussian, and the fit.

    The exclusion mask is made here, on the pixels that the workflow has for it.
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.data import DataStore
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.makers import FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
    from gammapy.maps import MapAxis, WcsGeom
    from gammapy.modeling import Fit
    from gammapy.modeling.models import (
        FoVBackgroundModel,
        GaussianSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )
    from regions import CircleSkyRegion

    energy = MapAxis.from_energy_bounds("0.6 TeV", "15 TeV", 6)
    true = MapAxis.from_energy_bounds("0.3 TeV", "30 TeV", 12, name="energy_true")
    geom = WcsGeom.create(skydir=POSITION, binsz=0.05, width=(3, 3), axes=[energy])
    total = MapDataset.create(geom, energy_axis_true=true, name="by-hand")
    circle = CircleSkyRegion(SkyCoord(*POSITION, unit="deg"), 0.4 * u.deg)
    wide = done["exclusion-mask"].exclusion_mask.read().geom
    maker = MapDatasetMaker()
    safe = SafeMaskMaker(methods=["aeff-max", "offset-max"], aeff_percent=10, offset_max="2 deg")
    background = FoVBackgroundMaker(exclusion_mask=wide.region_mask([circle], inside=False))
    for observation in DataStore.from_dir(DATA / "hess-dl3-dr1").get_observations(OBS_IDS):
        pointing = observation.get_pointing_icrs(observation.tmid)
        one = total.cutout(pointing, width="4 deg", name=f"obs-{observation.obs_id}")
        total.stack(background.run(safe.run(maker.run(one, observation), observation)))
    shape = GaussianSpatialModel(lon_0="228.53 deg", lat_0="-59.16 deg", sigma="0.1 deg")
    stretch = 1 / np.cos(np.radians(POSITION[1]))
    for parameter, factor in ((shape.lon_0, stretch), (shape.lat_0, 1)):
        parameter.min = parameter.value - 0.5 * factor
        parameter.max = parameter.value + 0.5 * factor
        parameter.error = 0.01 * factor
    shape.sigma.min, shape.sigma.max = 0.01, 0.5
    spectrum = PowerLawSpectralModel(index=2.3, amplitude="5e-12 TeV-1 s-1 cm-2")
    total.models = [
        SkyModel(spectrum, shape, name="msh-15-52"),
        FoVBackgroundModel(dataset_name="by-hand"),
    ]
    datasets = Datasets([total])
    result = Fit().run(datasets)
    assert result.success
    return datasets, result


def test_position_size_and_spectrum_are_those_by_hand(done: Any, by_hand: Any) -> None:
    datasets, result = by_hand
    ours = done["datasets"].datasets.read()[0]
    np.testing.assert_array_equal(ours.counts.data, datasets[0].counts.data)
    np.testing.assert_allclose(ours.background.data, datasets[0].background.data, rtol=1e-6)
    fitted, model = done["fit"].fit_result.read(), datasets.models["msh-15-52"]
    for name in ("index", "amplitude", "lon_0", "lat_0", "sigma"):
        found, theirs = fitted.parameter("msh-15-52", name), model.parameters[name]
        assert found.value == pytest.approx(theirs.value, rel=RTOL), name
        assert found.error == pytest.approx(theirs.error, rel=0.05), name
    assert fitted.total_stat == pytest.approx(result.total_stat, rel=1e-5)


def test_it_is_the_source_of_the_literature(done: Any) -> None:
    """Index 2.27 +- 0.03 +- 0.20; as large as published; extended by many sigma."""
    fitted = done["fit"].fit_result.read()
    index, sigma = (fitted.parameter("msh-15-52", name) for name in ("index", "sigma"))
    assert abs(index.value - 2.27) < 2 * np.hypot(index.error, 0.2)
    assert 0.05 < sigma.value < 0.15
    assert sigma.value > 5 * sigma.error
    assert abs(fitted.parameter("msh-15-52", "lat_0").value + 59.16) < 0.05


def test_the_shape_in_bands_is_that_of_gammapy(done: Any, by_hand: Any) -> None:
    from gammapy.datasets import Datasets
    from gammapy.estimators import EnergyDependentMorphologyEstimator

    dataset = by_hand[0][0].copy(name="by-hand")
    models = by_hand[0].models.copy()
    models["msh-15-52"].spectral_model.index.frozen = True
    datasets = Datasets([dataset])
    datasets.models = models
    edges = dataset.counts.geom.axes["energy"].edges[::2]
    theirs = EnergyDependentMorphologyEstimator(edges, source="msh-15-52").run(datasets)
    summary, bands = done["morphology"].summary.read()[0], done["morphology"].bands.read()
    test, shapes = theirs["energy_dependence"], theirs["energy_dependence"]["result"]
    assert summary["df"] == test["df"] == 6
    assert summary["delta_ts"] == pytest.approx(test["delta_ts"], abs=0.05)
    for name in ("lon_0", "lat_0", "sigma"):
        error = shapes[f"{name}_err"].value
        np.testing.assert_allclose(bands[name], shapes[name].value, atol=0.1 * error.min())
        np.testing.assert_allclose(bands[f"{name}_err"], error, rtol=0.05)
    significance = theirs["src_above_bkg"]
    np.testing.assert_allclose(bands["delta_ts"][1:], significance["delta_ts"], rtol=RTOL)
    np.testing.assert_array_equal(bands["df"][1:], significance["df"])
    np.testing.assert_allclose(bands["significance"][1:], significance["significance"], rtol=RTOL)
    assert 0 < summary["p_value"] <= 1
    assert list(bands["hypothesis"]) == ["one shape", *["each alone"] * 3]


def test_chi_squares_of_parameters_are_those_of_gammapy(done: Any) -> None:
    from gammapy.estimators.energydependentmorphology import weighted_chi2_parameter

    summary, bands = done["morphology"].summary.read()[0], done["morphology"].bands.read()
    names = ["lon_0", "lat_0", "sigma"]
    columns = {
        name: bands[name].quantity for name in bands.colnames if name.startswith(tuple(names))
    }
    theirs = weighted_chi2_parameter(columns, parameters=names)
    for place, name in enumerate(names):
        assert summary[f"{name}_chi2"] == pytest.approx(theirs["chi2"][place], rel=1e-9)
        found = summary[f"{name}_significance"]
        assert found == pytest.approx(theirs["significance"][place], rel=1e-6)


def test_residuals_are_those_of_gammapy(done: Any, by_hand: Any) -> None:
    from gammapy.estimators import ExcessMapEstimator

    dataset, maps = by_hand[0][0], done["residuals"].maps.read()
    theirs = ExcessMapEstimator("0.15 deg", selection_optional=[]).run(dataset)
    np.testing.assert_allclose(maps["sqrt_ts"].data, theirs.sqrt_ts.data, atol=0.01)
    image = dataset.to_image()
    image.background = dataset.npred().sum_over_axes(keepdims=True)
    image.models = None
    np.testing.assert_array_equal(maps["counts"].data, image.counts.data)
    for name, method in (("diff", "diff"), ("diff_sqrt_model", "diff/sqrt(model)")):
        expected = image.residuals(method=method, kernel="gauss", width="0.1 deg")
        np.testing.assert_allclose(maps[name].data, expected.data, atol=2e-3, err_msg=name)


def test_the_models_leave_noise(done: Any) -> None:
    """Normal, N(0, 1), as far as the number of independent circles can tell."""
    from scipy.stats import norm

    row, maps = done["residuals"].summary.read()[0], done["residuals"].maps.read()
    values = maps["sqrt_ts"].data[np.isfinite(maps["sqrt_ts"].data)]
    mean, std = norm.fit(values)
    assert row["mean"] == pytest.approx(mean, abs=1e-9)
    assert row["std"] == pytest.approx(std, rel=1e-9)
    assert row["n_pixels"] == values.size
    assert abs(row["mean"]) < 3 * row["mean_err"]
    assert abs(row["std"] - 1) < 3 * row["std_err"]
    assert row["chi2"] / row["n_chi2"] == pytest.approx(1, abs=0.1)
    histogram = done["residuals"].distribution.read()
    assert histogram["n_usable"].sum() == values.size
    assert histogram["n_excluded"].sum() == 0
    spectrum = done["residuals"].spectrum.read()
    assert len(spectrum) == 6
    assert spectrum["counts"].sum() < row["counts"] / 10  # the region alone
    assert np.abs(spectrum["residual"]).max() < 4
