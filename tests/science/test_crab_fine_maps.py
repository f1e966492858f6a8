"""``workflows/crab-3d.gpwf.yaml`` as it is, 5 deg in pixels of 0.02 deg, against plain gammapy.

Two of its four observations, to be quicker. Coarse maps, and every setting: ``test_crab_maps.py``.
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
WORKFLOW = Path(__file__).parents[2] / "workflows" / "crab-3d.gpwf.yaml"
OBS_IDS = [23523, 23526]
RTOL = 1e-3


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("fine")
    sets = [("params.obs_ids", OBS_IDS), ("steps.flux-points.config.energy.nbins", 2)]
    found = gpwf.read(WORKFLOW, sets=sets).run(
        store=folder / "store", run_dir=folder / "run", jobs=2
    )
    assert str(found.state) == "ok"
    return found


@pytest.fixture(scope="module")
def by_hand() -> Any:
    """Return the stacked dataset, with gammapy's API and nothing else."""
    from gammapy.data import DataStore
    from gammapy.datasets import MapDataset
    from gammapy.makers import FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
    from gammapy.maps import Map, MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("0.7 TeV", "30 TeV", 16)
    true = MapAxis.from_energy_bounds("0.4 TeV", "60 TeV", 24, name="energy_true")
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.02, width=(5, 5), axes=[energy])
    total = MapDataset.create(geom, energy_axis_true=true, name="by-hand")
    mask = Map.read(DATA / "joint-crab" / "exclusion" / "exclusion_mask_crab.fits.gz")
    mask.data = mask.data.astype(bool)
    maker = MapDatasetMaker()
    safe = SafeMaskMaker(methods=["aeff-max", "offset-max"], aeff_percent=10, offset_max="2.5 deg")
    background = FoVBackgroundMaker(method="scale", exclusion_mask=mask)
    for observation in DataStore.from_dir(DATA / "hess-dl3-dr1").get_observations(OBS_IDS):
        pointing = observation.get_pointing_icrs(observation.tmid)
        dataset = total.cutout(pointing, width="5 deg", name=f"obs-{observation.obs_id}")
        dataset = safe.run(maker.run(dataset, observation), observation)
        total.stack(background.run(dataset, observation))
    return total


def test_maps_are_those_of_gammapy(done: Any, by_hand: Any) -> None:
    ours = done["datasets"].datasets.read()[0]
    assert ours.counts.data.shape == (16, 250, 250)
    np.testing.assert_array_equal(ours.counts.data, by_hand.counts.data)
    np.testing.assert_array_equal(ours.mask_safe.data, by_hand.mask_safe.data)
    np.testing.assert_allclose(ours.background.data, by_hand.background.data, rtol=1e-6)
    np.testing.assert_allclose(ours.exposure.data, by_hand.exposure.data, rtol=1e-6)


def test_position_and_spectrum_are_those_of_a_fit_by_hand(done: Any, by_hand: Any) -> None:
    from gammapy.modeling import Fit
    from gammapy.modeling.models import (
        FoVBackgroundModel,
        Models,
        PointSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )

    point = PointSpatialModel(lon_0="83.6 deg", lat_0="22 deg", frame="icrs")
    for parameter in (point.lon_0, point.lat_0):  # without bounds minuit leaves the map
        parameter.min, parameter.max = parameter.value - 0.5, parameter.value + 0.5
        parameter.error = 0.01
    spectrum = PowerLawSpectralModel(index=2.3, amplitude="3e-11 TeV-1 s-1 cm-2")
    crab = SkyModel(spectrum, point, name="crab")
    by_hand.models = Models([crab, FoVBackgroundModel(dataset_name=by_hand.name)])
    result = Fit().run([by_hand])
    assert result.success
    ours = done["fit"].fit_result.read()
    for name in ("index", "amplitude", "lon_0", "lat_0"):
        found, theirs = ours.parameter("crab", name), crab.parameters[name]
        assert found.value == pytest.approx(theirs.value, rel=RTOL), name
        assert found.error == pytest.approx(theirs.error, rel=0.05), name
    assert ours.total_stat == pytest.approx(result.total_stat, rel=1e-5)
    # the Crab's position is 83.633, 22.015 deg
    east = (ours.parameter("crab", "lon_0").value - 83.633) * np.cos(np.radians(22))
    assert np.hypot(east, ours.parameter("crab", "lat_0").value - 22.015) < 0.03
    assert ours.parameter("crab", "index").value == pytest.approx(2.6, abs=0.2)


def test_the_crab_is_where_the_significance_is_highest(done: Any) -> None:
    maps = done["excess-map"].flux_maps.read()
    place = np.unravel_index(np.nanargmax(maps.sqrt_ts.data), maps.sqrt_ts.data.shape)
    assert maps.sqrt_ts.data[place] > 30
    assert np.hypot(place[1] - 124.5, place[2] - 124.5) < 5  # pixels of 0.02 deg
    points = done["flux-points"].flux_points.read()
    assert points.geom.axes["energy"].nbin == 2
    assert (points.sqrt_ts.data > 10).all()
