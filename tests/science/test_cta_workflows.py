"""The workflows ``cta-*`` against the same analyses in plain gammapy, written out by hand."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

WORKFLOWS = Path(__file__).parents[2] / "workflows"
DATA = Path(os.environ.get("GAMMAPY_DATA", "/nowhere"))
IRFS = DATA / "cta-caldb/Prod5-South-20deg-AverageAz-14MSTs37SSTs.180000s-v0.1.fits.gz"
STORE = DATA / "cta-1dc/index/gps"


def run(name: str, folder: Path) -> Any:
    if not IRFS.is_file() or not STORE.is_dir():
        pytest.skip("the public response of CTAO and the first data challenge are not here")
    workflow = gpwf.read(WORKFLOWS / f"{name}.gpwf.yaml")
    done = workflow.run(store=folder / "store", run_dir=folder / "run", jobs=2)
    assert str(done.state) == "ok"
    return done


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run("cta-simulation", tmp_path_factory.mktemp("simulation"))


@pytest.fixture(scope="module")
def sensitivity(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run("cta-sensitivity", tmp_path_factory.mktemp("sensitivity"))


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run("cta-1dc", tmp_path_factory.mktemp("challenge"))


def observe(frame: str, livetime: str) -> Any:
    """Return an observation of half a degree beside the origin, with the public response."""
    from astropy.coordinates import SkyCoord
    from gammapy.data import FixedPointingInfo, Observation
    from gammapy.irf import load_irf_dict_from_file

    pointing = FixedPointingInfo(fixed_icrs=SkyCoord(0, 0.5, unit="deg", frame=frame).icrs)
    irfs = load_irf_dict_from_file(IRFS)
    return Observation.create(pointing=pointing, livetime=livetime, irfs=irfs)


def power_law(with_place: bool) -> Any:
    """Return the source that the workflow simulates."""
    from gammapy.modeling.models import PointSpatialModel, PowerLawSpectralModel, SkyModel

    spectrum = PowerLawSpectralModel(index=2.2, amplitude="3e-12 cm-2 s-1 TeV-1")
    place = PointSpatialModel(lon_0="0 deg", lat_0="0 deg", frame="galactic")
    return SkyModel(spectrum, place if with_place else None, name="source")


def axes(low: str, high: str, n: int, low_true: str, high_true: str, n_true: int) -> Any:
    from gammapy.maps import MapAxis

    energy = MapAxis.from_energy_bounds(low, high, n)
    return energy, MapAxis.from_energy_bounds(low_true, high_true, n_true, name="energy_true")


def random_state() -> Any:
    """Return the stream of the first dataset of the seed 1."""
    return np.random.RandomState(np.random.PCG64(np.random.SeedSequence([1, 0])))


@pytest.fixture(scope="module")
def spectrum(simulation: Any) -> Any:
    """The simulated spectrum by hand, as in gammapy's tutorial "1D spectrum simulation"."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import SpectrumDataset, SpectrumDatasetOnOff
    from gammapy.makers import SpectrumDatasetMaker
    from gammapy.maps import RegionGeom
    from regions import CircleSkyRegion

    energy, true = axes("0.1 TeV", "100 TeV", 12, "0.05 TeV", "150 TeV", 30)
    region = CircleSkyRegion(SkyCoord(0, 0, unit="deg", frame="galactic"), 0.11 * u.deg)
    empty = SpectrumDataset.create(RegionGeom.create(region, axes=[energy]), energy_axis_true=true)
    maker = SpectrumDatasetMaker(
        selection=["exposure", "edisp", "background"], containment_correction=True
    )
    dataset = maker.run(empty, observe("galactic", "5 h"))
    on_off = SpectrumDatasetOnOff.from_spectrum_dataset(
        dataset=dataset, acceptance=1, acceptance_off=5
    )
    on_off.models = [power_law(with_place=False)]
    on_off.fake(npred_background=dataset.npred_background(), random_state=random_state())
    return on_off


def test_the_spectrum_has_the_counts_of_gammapy(simulation: Any, spectrum: Any) -> None:
    (found,) = simulation["spectrum"].datasets.read()
    assert found.name == "spectrum-1"
    np.testing.assert_array_equal(found.counts.data, spectrum.counts.data)
    np.testing.assert_array_equal(found.counts_off.data, spectrum.counts_off.data)
    np.testing.assert_allclose(found.exposure.data, spectrum.exposure.data, rtol=1e-6)


def test_the_fit_of_the_spectrum_is_that_of_gammapy(simulation: Any, spectrum: Any) -> None:
    from gammapy.estimators import FluxPointsEstimator
    from gammapy.modeling import Fit
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    start = PowerLawSpectralModel(index=2.0, amplitude="1e-12 cm-2 s-1 TeV-1")
    spectrum.models = [SkyModel(start, name="source")]
    assert Fit().run(spectrum).success
    fitted = simulation["fit-spectrum"].fit_result.read()
    truth = {"index": 2.2, "amplitude": 3e-12}
    for name, true in truth.items():
        by_hand, found = getattr(start, name), fitted.parameter("source", name)
        assert found.value == pytest.approx(by_hand.value, rel=1e-3)
        assert found.error == pytest.approx(by_hand.error, rel=1e-2)
        assert abs(found.value - true) < 3 * found.error
    edges = spectrum.counts.geom.axes["energy"].edges[::2]
    estimator = FluxPointsEstimator(energy_edges=edges, source="source", selection_optional=["ul"])
    points = estimator.run(spectrum)
    found = simulation["sed"].flux_points.read()
    for name in ("dnde", "dnde_err", "dnde_ul"):
        by_hand = getattr(points, name).quantity.to_value("cm-2 s-1 TeV-1")
        np.testing.assert_allclose(
            getattr(found, name).quantity.to_value("cm-2 s-1 TeV-1"), by_hand, rtol=1e-3
        )
    assert found.has_stat_profiles


@pytest.fixture(scope="module")
def maps(simulation: Any) -> Any:
    """The simulated maps by hand, as in gammapy's tutorial "3D map simulation"."""
    from gammapy.datasets import MapDataset
    from gammapy.makers import MapDatasetMaker
    from gammapy.maps import WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel

    energy, true = axes("0.1 TeV", "100 TeV", 6, "0.05 TeV", "150 TeV", 15)
    geom = WcsGeom.create(
        skydir=(0, 0), frame="galactic", binsz=0.04, width=(1.6, 1.6), axes=[energy]
    )
    empty = MapDataset.create(geom, energy_axis_true=true, name="by-hand")
    maker = MapDatasetMaker(selection=["exposure", "background", "psf", "edisp"])
    dataset = maker.run(empty, observe("galactic", "5 h"))
    dataset.models = [power_law(with_place=True), FoVBackgroundModel(dataset_name="by-hand")]
    dataset.fake(random_state=random_state())
    return dataset


def test_the_maps_have_the_counts_of_gammapy(simulation: Any, maps: Any) -> None:
    (found,) = simulation["maps"].datasets.read()
    np.testing.assert_array_equal(found.counts.data, maps.counts.data)
    assert found.models.names == ["maps-1-bkg"]


def test_the_profile_is_that_of_gammapy(simulation: Any, maps: Any) -> None:
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.estimators import FluxProfileEstimator
    from gammapy.modeling.models import PowerLawSpectralModel
    from gammapy.utils.regions import make_concentric_annulus_sky_regions

    center = SkyCoord(0, 0, unit="deg", frame="galactic")
    estimator = FluxProfileEstimator(
        regions=make_concentric_annulus_sky_regions(center, 0.5 * u.deg, nbin=6),
        spectral_model=PowerLawSpectralModel(index=2.0),
        energy_edges=maps.counts.geom.axes["energy"].edges[[0, -1]],
        selection_optional=["ul"],
    )
    dataset = maps.copy(name="by-hand")
    by_hand = estimator.run([dataset])
    found = simulation["profile"].flux_profile.read()
    assert found.geom.axes["projected-distance"] == by_hand.geom.axes["projected-distance"]
    np.testing.assert_array_equal(found.counts.data, by_hand.counts.data)
    for name in ("flux", "flux_err", "flux_ul"):
        np.testing.assert_allclose(
            getattr(found, name).quantity.to_value("cm-2 s-1"),
            getattr(by_hand, name).quantity.to_value("cm-2 s-1"),
            rtol=1e-3,
        )


def test_the_fit_of_the_maps_finds_the_truth(simulation: Any, maps: Any) -> None:
    from gammapy.modeling import Fit

    maps.models["source"].spatial_model.lon_0.value = 0.02
    maps.models["source"].spatial_model.lat_0.value = -0.01
    assert Fit().run(maps).success
    by_hand = maps.models["source"].parameters
    fitted = simulation["fit-maps"].fit_result.read()
    for name, true in {"index": 2.2, "amplitude": 3e-12, "lon_0": 0.0, "lat_0": 0.0}.items():
        found = fitted.parameter("source", name)
        tolerance = {"rel": 1e-3} if true else {"abs": 2e-4}
        value = by_hand[name].value
        if name == "lon_0":
            value, found_value = ((item + 180) % 360 - 180 for item in (value, found.value))
        else:
            found_value = found.value
        assert found_value == pytest.approx(value, **tolerance), name
        assert abs(found_value - true) < 3 * found.error, name


def sensitivity_by_hand(livetime: str) -> Any:
    """Return the sensitivity as in gammapy's tutorial "Point source sensitivity"."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import SpectrumDataset, SpectrumDatasetOnOff
    from gammapy.estimators import SensitivityEstimator
    from gammapy.makers import SpectrumDatasetMaker
    from gammapy.maps import MapAxis, RegionGeom
    from regions import CircleSkyRegion

    energy = MapAxis.from_energy_bounds("20 GeV", "200 TeV", 5, per_decade=True)
    true = MapAxis.from_energy_bounds("10 GeV", "300 TeV", 10, per_decade=True, name="energy_true")
    region = CircleSkyRegion(SkyCoord(0, 0, unit="deg"), 0.1 * u.deg)
    empty = SpectrumDataset.create(RegionGeom.create(region, axes=[energy]), energy_axis_true=true)
    observation = observe("icrs", livetime)
    maker = SpectrumDatasetMaker(selection=["exposure", "edisp", "background"])
    dataset = maker.run(empty, observation)
    radii = observation.psf.containment_radius(
        energy_true=energy.center, offset=0.5 * u.deg, fraction=0.68
    )
    dataset.exposure *= 0.68
    factor = (1 - np.cos(radii)) / (1 - np.cos(region.radius))
    dataset.background *= factor.value.reshape((-1, 1, 1))
    on_off = SpectrumDatasetOnOff.from_spectrum_dataset(
        dataset=dataset, acceptance=1, acceptance_off=5
    )
    return SensitivityEstimator(gamma_min=10, n_sigma=5, bkg_syst_fraction=0.05).run(on_off)


def test_the_sensitivity_is_that_of_gammapy(sensitivity: Any) -> None:
    table = sensitivity["all-times"].table.read()
    for name, livetime in (("0.5h", "0.5 h"), ("5h", "5 h"), ("50h", "50 h")):
        by_hand = sensitivity_by_hand(livetime)
        found = table[table["time"] == name]
        assert len(found) == len(by_hand) == 20
        for column in ("e_ref", "e_min", "e_max", "e2dnde", "excess", "background"):
            np.testing.assert_allclose(
                np.asarray(found[column]), np.asarray(by_hand[column]), rtol=1e-3
            )
        assert list(found["criterion"]) == list(by_hand["criterion"])
    # fifty hours of CTAO South reach a few thousandths of the Crab Nebula at 1 TeV
    best = table[(table["time"] == "50h") & (np.abs(np.log(table["e_ref"])) < 0.2)]
    assert 1e-13 < best["e2dnde"][0] < 3e-13


@pytest.fixture(scope="module")
def galactic_center(challenge: Any) -> Any:
    """The maps of the data challenge, reduced by hand."""
    from astropy import units as u
    from gammapy.data import DataStore
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.makers import (
        DatasetsMaker,
        FoVBackgroundMaker,
        MapDatasetMaker,
        SafeMaskMaker,
    )
    from gammapy.maps import WcsGeom

    energy, true = axes("0.3 TeV", "30 TeV", 6, "0.1 TeV", "50 TeV", 12)
    geom = WcsGeom.create(
        skydir=(0, 0), frame="galactic", binsz=0.05, width=(3.0, 2.4), axes=[energy]
    )
    observations = DataStore.from_dir(STORE).get_observations([110380, 111140, 111159])
    mask = geom.to_image().region_mask("galactic;box(0, 0, 8, 1.6)", inside=False)
    makers = [
        MapDatasetMaker(),
        SafeMaskMaker(methods=["offset-max"], offset_max=2.5 * u.deg),
        FoVBackgroundMaker(method="scale", exclusion_mask=mask),
    ]
    maker = DatasetsMaker(makers, stack_datasets=True, cutout_width=5 * u.deg)
    empty = MapDataset.create(geom, energy_axis_true=true, name="by-hand")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)  # of the response's background
        (stacked,) = Datasets(maker.run(empty, observations))
    return stacked


def test_the_challenge_has_the_counts_of_gammapy(challenge: Any, galactic_center: Any) -> None:
    (found,) = challenge["datasets"].datasets.read()
    np.testing.assert_array_equal(found.counts.data, galactic_center.counts.data)
    np.testing.assert_allclose(
        found.background.data, galactic_center.background.data, rtol=1e-5, atol=1e-12
    )
    excess = challenge["excess-map"].flux_maps.read()
    significance = excess.sqrt_ts
    assert significance.get_by_coord({"skycoord": _center(), "energy": [3.0]})[0] > 15


def _center() -> Any:
    from astropy.coordinates import SkyCoord

    return SkyCoord(359.945, -0.045, unit="deg", frame="galactic")


def test_the_central_source_is_that_of_gammapy(challenge: Any, galactic_center: Any) -> None:
    from gammapy.modeling import Fit
    from gammapy.modeling.models import FoVBackgroundModel, Models

    start = Models.read(WORKFLOWS / "models" / "cta-gc-start.yaml")
    dataset = galactic_center
    dataset.models = Models([*start, FoVBackgroundModel(dataset_name=dataset.name)])
    place = dataset.models["gc"].spatial_model
    for parameter in (place.lon_0, place.lat_0):  # without bounds MINUIT leaves the map
        parameter.min, parameter.max = parameter.value - 0.5, parameter.value + 0.5
        parameter.error = 0.01
    assert Fit().run(dataset).success
    fitted = challenge["fit"].fit_result.read()
    for model in ("gc", "g09", "plane"):
        for by_hand in dataset.models[model].parameters.free_parameters:
            found = fitted.parameter(model, by_hand.name)
            assert found.error == pytest.approx(by_hand.error, rel=0.05)
            # MINUIT's own tolerance is a part of the error
            close = abs(found.value - by_hand.value) < 0.01 * by_hand.error
            assert close or found.value == pytest.approx(by_hand.value, rel=1e-3), by_hand.name
    lon, lat = (fitted.parameter("gc", name).value for name in ("lon_0", "lat_0"))
    assert abs(lon % 360 - 359.945) < 0.02
    assert abs(lat + 0.045) < 0.02
