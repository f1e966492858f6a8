"""``workflows/crab-magic.gpwf.yaml``: the same by hand, in plain gammapy.

References
----------
gammapy's tutorial "Point like spectral analysis with energy-dependent directional cut". The same
two observations with one ON radius for all energies: Nigro et al. 2019, A&A 625, A10, table 2.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = [
    pytest.mark.science,
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:'THETA' axis is stored as a scalar"),
]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

WORKFLOW = Path(__file__).parents[2] / "workflows" / "crab-magic.gpwf.yaml"
RTOL = 1e-3
ON_OFF = (1628, 2433)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("magic")
    found = gpwf.read(WORKFLOW).run(store=folder / "store", run_dir=folder / "run", jobs=2)
    assert str(found.state) == "ok"
    return found


@pytest.fixture(scope="module")
def by_hand() -> Any:
    """Return datasets at the best fit, the result and the flux points, by gammapy's API alone."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.data import DataStore
    from gammapy.datasets import Datasets, SpectrumDataset
    from gammapy.estimators import FluxPointsEstimator
    from gammapy.makers import (
        ReflectedRegionsBackgroundMaker,
        SafeMaskMaker,
        SpectrumDatasetMaker,
        WobbleRegionsFinder,
    )
    from gammapy.maps import MapAxis, RegionGeom
    from gammapy.modeling import Fit
    from gammapy.modeling.models import LogParabolaSpectralModel, SkyModel
    from regions import PointSkyRegion

    store = DataStore.from_dir(Path(os.environ["GAMMAPY_DATA"]) / "magic" / "rad_max" / "data")
    energy = MapAxis.from_energy_bounds("0.05 TeV", "20 TeV", 24)
    energy_true = MapAxis.from_energy_bounds("0.01 TeV", "100 TeV", 40, name="energy_true")
    region = PointSkyRegion(SkyCoord("83.63 deg", "22.01 deg", frame="icrs"))
    geom = RegionGeom.create(region, axes=[energy])
    empty = SpectrumDataset.create(geom, energy_axis_true=energy_true)
    counts = SpectrumDatasetMaker(selection=["counts", "exposure", "edisp"])
    background = ReflectedRegionsBackgroundMaker(region_finder=WobbleRegionsFinder(n_off_regions=3))
    safe = SafeMaskMaker(methods=["aeff-max"], aeff_percent=10)
    datasets = Datasets()
    for observation in store.get_observations(required_irf="point-like"):
        dataset = counts.run(empty.copy(name=str(observation.obs_id)), observation)
        datasets.append(safe.run(background.run(dataset, observation), observation))
    for dataset in datasets:
        dataset.mask_fit = dataset.counts.geom.energy_mask(0.08 * u.TeV, 20 * u.TeV)
    spectrum = LogParabolaSpectralModel(
        amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.4, beta=0.1
    )
    datasets.models = SkyModel(spectrum, name="crab")
    result = Fit().run(datasets)
    edges = np.geomspace(0.08, 20, 9) * u.TeV
    estimator = FluxPointsEstimator(source="crab", energy_edges=edges, selection_optional=["ul"])
    return datasets, result, estimator.run(datasets)


def test_counts_and_response_are_those_of_gammapy(done: Any, by_hand: Any) -> None:
    ours = done["datasets"].datasets.read()
    assert ours.names == ["magic-5029747", "magic-5029748"]
    for one, two in zip(ours, by_hand[0], strict=True):
        for name in ("counts", "counts_off", "acceptance", "acceptance_off", "exposure"):
            same = np.array_equal(getattr(one, name).data, getattr(two, name).data)
            assert same, (one.name, name)
        np.testing.assert_array_equal(one.mask_safe.data, two.mask_safe.data)
        np.testing.assert_array_equal(one.edisp.edisp_map.data, two.edisp.edisp_map.data)
    on, off = (
        sum(int(getattr(item, name).data.sum()) for item in ours)
        for name in ("counts", "counts_off")
    )
    assert (on, off) == ON_OFF


def test_regions_stay_points_in_the_product(done: Any) -> None:
    """A point stands for the radius of the response; a circle would have one of its own."""
    from gammapy.utils.regions import compound_region_to_regions

    for dataset in done["datasets"].datasets.read():
        assert dataset.counts.geom.is_all_point_sky_regions
        assert dataset.counts_off.geom.is_all_point_sky_regions
        assert len(compound_region_to_regions(dataset.counts_off.geom.region)) == 3


def test_the_fit_is_that_of_gammapy(done: Any, by_hand: Any) -> None:
    _, result, _ = by_hand
    summary = done["fit"].fit_result.read()
    assert summary.success
    assert summary.total_stat == pytest.approx(result.total_stat, rel=RTOL)
    for name in ("amplitude", "alpha", "beta"):
        ours, theirs = summary.parameter("crab", name), result.parameters[name]
        assert ours.value == pytest.approx(theirs.value, rel=RTOL)
        assert ours.error == pytest.approx(theirs.error, rel=RTOL)


def test_the_spectrum_is_the_published_one(done: Any) -> None:
    """Within one error: other events of the same runs, as the ON radius is another."""
    summary = done["fit"].fit_result.read()
    published = {"amplitude": 4.145e-11, "alpha": 2.600, "beta": 0.4425 / np.log(10)}
    for name, value in published.items():
        found = summary.parameter("crab", name)
        assert abs(found.value - value) < found.error, name


def test_flux_points_are_those_of_gammapy(done: Any, by_hand: Any) -> None:
    ours, theirs = done["flux-points"].flux_points.read(), by_hand[2]
    np.testing.assert_array_equal(ours.counts.data, theirs.counts.data)
    detected = np.nan_to_num(theirs.ts.data) > 4
    assert detected.sum() >= 5
    for name in ("dnde", "dnde_err", "dnde_ul"):
        one, two = (getattr(item, name).quantity[detected] for item in (ours, theirs))
        np.testing.assert_allclose(one.to_value(two.unit), two.value, rtol=RTOL, err_msg=name)


def test_the_figures_are_there(done: Any) -> None:
    for step in ("plot-spectrum", "plot-counts"):
        folder = Path(done[step].figure.folder)
        assert (folder / "figure.png").stat().st_size > 10_000
