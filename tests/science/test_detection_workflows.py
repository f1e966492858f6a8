"""``workflows/crab-detection.gpwf.yaml`` against the same in plain gammapy, by hand."""

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
WORKFLOW = Path(__file__).parents[2] / "workflows" / "crab-detection.gpwf.yaml"
OBS_IDS = [23523, 23526]
RTOL = 1e-3


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("detection")
    found = gpwf.read(WORKFLOW).run(store=folder / "store", run_dir=folder / "run", jobs=2)
    assert str(found.state) == "ok"
    return found


@pytest.fixture(scope="module")
def dataset() -> Any:
    """Return the stacked dataset, with gammapy's API and nothing else."""
    from gammapy.data import DataStore
    from gammapy.datasets import MapDataset
    from gammapy.makers import FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
    from gammapy.maps import Map, MapAxis, WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 4)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 8, name="energy_true")
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.04, width=(3, 3), axes=[energy])
    total = MapDataset.create(geom, energy_axis_true=true, name="by-hand")
    mask = Map.read(DATA / "joint-crab" / "exclusion" / "exclusion_mask_crab.fits.gz")
    mask.data = mask.data.astype(bool)
    maker = MapDatasetMaker()
    safe = SafeMaskMaker(methods=["aeff-max", "offset-max"], aeff_percent=10, offset_max="2 deg")
    background = FoVBackgroundMaker(method="scale", exclusion_mask=mask)
    for observation in DataStore.from_dir(DATA / "hess-dl3-dr1").get_observations(OBS_IDS):
        pointing = observation.get_pointing_icrs(observation.tmid)
        one = total.cutout(pointing, width="4 deg", name=f"obs-{observation.obs_id}")
        total.stack(background.run(safe.run(maker.run(one, observation), observation)))
    total.models = [FoVBackgroundModel(dataset_name="by-hand")]
    return total


def estimator() -> Any:
    from gammapy.estimators import TSMapEstimator
    from gammapy.modeling.models import PointSpatialModel, PowerLawSpectralModel, SkyModel

    template = SkyModel(PowerLawSpectralModel(index=2.5), PointSpatialModel())
    return TSMapEstimator(template, kernel_width="0.4 deg")


@pytest.fixture(scope="module")
def by_hand(dataset: Any) -> Any:
    """Return flux maps, peaks, and the fit of a source at the highest of them."""
    from gammapy.estimators.utils import find_peaks
    from gammapy.modeling import Fit
    from gammapy.modeling.models import (
        FoVBackgroundModel,
        PointSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )

    maps = estimator().run(dataset)
    peaks = find_peaks(maps.sqrt_ts, threshold=5, min_distance="0.3 deg")
    lon, lat = (f"{peaks[name][0]} deg" for name in ("ra", "dec"))
    point = PointSpatialModel(lon_0=lon, lat_0=lat, frame="icrs")
    for parameter in (point.lon_0, point.lat_0):  # without bounds minuit leaves the map
        parameter.min, parameter.max = parameter.value - 0.5, parameter.value + 0.5
        parameter.error = 0.01
    spectrum = PowerLawSpectralModel(index=2.5, amplitude="3e-11 TeV-1 s-1 cm-2")
    fitted = dataset.copy(name="by-hand")
    fitted.models = [SkyModel(spectrum, point), FoVBackgroundModel(dataset_name="by-hand")]
    result = Fit().run([fitted])
    assert result.success
    return maps, peaks, result, fitted


def test_the_map_of_the_test_statistic_is_that_of_gammapy(
    done: Any, dataset: Any, by_hand: Any
) -> None:
    counts = done["datasets"].datasets.read()[0].counts.data
    np.testing.assert_array_equal(counts, dataset.counts.data)
    ours, theirs = done["search"].flux_maps.read(), by_hand[0]
    assert set(ours._data) == set(theirs._data)
    for name in ("ts", "norm", "norm_err", "npred_excess", "stat"):
        one, two = ours._data[name].data, theirs._data[name].data
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(ours.sqrt_ts.data, theirs.sqrt_ts.data, rtol=1e-6, atol=1e-6)
    assert ours._data["success"].data.all()
    assert ours.reference_model.name == "template"


def test_the_peak_is_the_crab(done: Any, by_hand: Any) -> None:
    ours, theirs = done["detect"].peaks.read(), by_hand[1]
    assert len(ours) == len(theirs) == 1
    row = ours[0]
    assert (row["name"], row["frame"]) == ("source-1", "icrs")
    assert (row["x"], row["y"]) == (theirs["x"][0], theirs["y"][0])
    assert row["lon"] == pytest.approx(theirs["ra"][0], abs=1e-9)
    assert row["lat"] == pytest.approx(theirs["dec"][0], abs=1e-9)
    assert row["value"] == pytest.approx(theirs["value"][0], rel=1e-6)
    assert row["value"] > 25
    assert np.hypot(row["lon"] - 83.633, row["lat"] - 22.015) < 0.05
    assert ours["flux"].unit.is_equivalent("cm-2 s-1")


def test_the_detected_source_is_fitted_as_by_hand(done: Any, by_hand: Any) -> None:
    ours, (_, _, result, fitted) = done["fit"].fit_result.read(), by_hand
    source = fitted.models[0]
    for name in ("index", "amplitude", "lon_0", "lat_0"):
        found, theirs = ours.parameter("source-1", name), source.parameters[name]
        assert found.value == pytest.approx(theirs.value, rel=RTOL), name
        assert found.error == pytest.approx(theirs.error, rel=0.05), name
    assert ours.total_stat == pytest.approx(result.total_stat, rel=1e-5)
    points = done["flux-points"].flux_points.read()
    assert (points.sqrt_ts.data > 10).all()


def test_nothing_is_left_when_the_source_is_subtracted(done: Any, by_hand: Any) -> None:
    ours = done["search-again"].flux_maps.read()
    theirs = estimator().run(by_hand[3])
    # both within the tolerance of a fit
    np.testing.assert_allclose(ours.sqrt_ts.data, theirs.sqrt_ts.data, atol=0.02)
    assert np.nanmax(ours.sqrt_ts.data) < 5
    assert np.nanmax(done["search"].flux_maps.read().sqrt_ts.data) > 25


def test_adaptive_smoothing_is_that_of_gammapy(done: Any, dataset: Any) -> None:
    from astropy import units as u
    from gammapy.estimators import ASmoothMapEstimator

    scales = np.geomspace(0.05, 0.4, 7) * u.deg
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = ASmoothMapEstimator(scales=scales, threshold=3).run(dataset)
    ours = done["smooth"].maps.read()
    assert set(ours) == set(theirs) == {"counts", "background", "scale", "sqrt_ts", "flux"}
    for name, item in theirs.items():
        assert ours[name].unit == item.unit
        np.testing.assert_allclose(ours[name].data, item.data, rtol=1e-6, err_msg=name)
    assert np.nanmin(ours["scale"].data) == pytest.approx(0.05)


def test_figures_are_there(done: Any) -> None:
    for name in ("plot-search", "plot-left", "plot-smooth"):
        folder = done[name].figure.path
        assert any(path.suffix == ".png" for path in Path(folder).parent.rglob("figure.*"))
