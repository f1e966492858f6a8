"""The step flux-profile: gammapy's numbers, exact limits of empty regions, clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from response_files import TARGET, map_of, write_irfs
from spectra import make_datasets, problems, run

from gpwf.errors import NoDataError, StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

LINE = {
    "start": TARGET | {"lat": "21.7 deg"},
    "stop": TARGET | {"lat": "22.3 deg"},
    "height": "0.3 deg",
    "nbins": 3,
}
RINGS = {"center": TARGET, "radius_max": "0.4 deg", "nbins": 3}


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = write_irfs(tmp_path_factory.mktemp("irfs"))
    return run("simulate", {"observation": map_of(path), "seed": 1}, {})["datasets"]


def profile(config: dict[str, Any], datasets: Any, **inputs: Any) -> Any:
    return run("flux-profile", config, {"datasets": [datasets], **inputs})["flux_profile"]


def test_rings_give_the_numbers_of_gammapy(maps: Any) -> None:
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.estimators import FluxProfileEstimator
    from gammapy.modeling.models import PowerLawSpectralModel
    from gammapy.utils.regions import make_concentric_annulus_sky_regions

    before = maps[0].copy(name="before")
    found = profile({"rings": RINGS, "selection_optional": ["ul"]}, maps)
    np.testing.assert_array_equal(maps[0].background.data, before.background.data)
    center = SkyCoord(83.633, 22.014, unit="deg")
    by_hand = FluxProfileEstimator(
        regions=make_concentric_annulus_sky_regions(center, 0.4 * u.deg, nbin=4),
        spectral_model=PowerLawSpectralModel(index=2.0),
        energy_edges=[0.5, 50] * u.TeV,
        selection_optional=["ul"],
    ).run([maps[0].copy(name=maps[0].name)])
    assert found.geom.axes["projected-distance"] == by_hand.geom.axes["projected-distance"]
    np.testing.assert_allclose(found.flux.data, by_hand.flux.data, rtol=1e-5)
    np.testing.assert_array_equal(found.counts.data, by_hand.counts.data)
    assert found.meta["regions"] == "rings"
    area = np.pi * (np.array([0.4, 0.8, 1.2]) / 3) ** 2
    area = np.diff(np.concatenate([[0], area])) * (np.pi / 180) ** 2
    np.testing.assert_allclose(found.meta["solid_angle_sr"], area, rtol=0.2)
    assert found.gti.time_sum.to_value("h") == pytest.approx(5)  # not once per region


def test_a_line_goes_from_its_start_to_its_end(maps: Any) -> None:
    bands = {"min": "0.5 TeV", "max": "50 TeV", "nbins": 2}
    found = profile({"line": LINE, "energy_edges": bands, "selection_optional": []}, maps)
    assert found.geom.data_shape == (3, 2, 1, 1)
    np.testing.assert_allclose(
        found.geom.axes["projected-distance"].center.value, [0, 0.2, 0.4], atol=1e-3
    )
    turned = {"line": LINE | {"start": LINE["stop"], "stop": LINE["start"]}}
    back = profile(turned | {"energy_edges": bands, "selection_optional": []}, maps)
    np.testing.assert_array_equal(
        np.nansum(back.counts.data, axis=-4)[::-1], np.nansum(found.counts.data, axis=-4)
    )
    assert "norm_ul" not in back._data


def test_limits_without_counts_are_those_of_their_likelihood(maps: Any) -> None:
    """Half the square of the number of sigma is expected at the limit, whatever the background."""
    from gammapy.datasets import Datasets

    dataset = maps[0].copy(name="simulated-1")
    outer = dataset.counts.geom.separation(dataset.counts.geom.center_skydir).to_value("deg") > 0.2
    dataset.counts.data[:, outer] = 0
    found = profile({"rings": RINGS | {"nbins": 2}, "n_sigma_ul": 3.0}, Datasets([dataset]))
    limit = found.norm_ul.data.ravel()
    empty = np.nansum(found.counts.data, axis=-4).ravel() == 0
    assert list(empty) == [False, True]
    assert np.isnan(found.norm.data.ravel()[1])
    assert found.is_ul.data.ravel()[1]
    # gamma rays per norm, from a region with a fit
    signal = found.npred_excess.data.ravel() / found.norm.data.ravel()
    assert limit[1] * signal[0] == pytest.approx(4.5, rel=0.05)  # exposure hardly changes


def test_sources_can_be_subtracted(maps: Any) -> None:
    from gammapy.modeling.models import (
        FoVBackgroundModel,
        Models,
        PointSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )

    place = PointSpatialModel(lon_0="83.633 deg", lat_0="22.014 deg", frame="icrs")
    source = SkyModel(PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1"), place, name="crab")
    norm = FoVBackgroundModel(dataset_name="simulated-1")
    models = Models([source, norm])
    config = {"rings": RINGS | {"nbins": 2}, "selection_optional": []}
    without = profile(config, maps)
    found = profile(config | {"subtract_models": True}, maps, models=models)
    assert found.npred_excess.data.ravel()[0] < without.npred_excess.data.ravel()[0] - 10
    np.testing.assert_array_equal(found.counts.data, without.counts.data)


def test_regions_that_do_not_fit_the_map_are_told(maps: Any) -> None:
    from gammapy.datasets import Datasets

    far = RINGS | {"center": TARGET | {"lon": "80 deg"}}
    with pytest.raises(StepError, match="region 1 of 3 holds no pixel of the map"):
        profile({"rings": far}, maps)
    with pytest.raises(StepError, match="holds no pixel"):
        profile({"rings": RINGS | {"nbins": 100}}, maps)
    with pytest.raises(StepError, match="region 2 of 3 reaches beyond the map"):
        profile({"rings": RINGS | {"radius_max": "1 deg"}}, maps)
    thin = RINGS | {"radius_max": "0.08 deg", "nbins": 2}
    with pytest.warns(UserWarning, match="the pixels in the regions 1 cover less than"):
        profile({"rings": thin, "selection_optional": []}, maps)
    masked = maps[0].copy(name="masked")
    masked.mask_safe.data[:, :9] = False
    with pytest.raises(StepError, match="the safe range of dataset 'masked' ends inside region 1"):
        profile({"rings": RINGS}, Datasets([masked]))


def test_the_solid_angle_is_that_of_all_maps(maps: Any, tmp_path: Path) -> None:
    """Pixels of 0.05 deg cover another part of a region than those of 0.02 deg."""
    from gammapy.datasets import Datasets

    other = map_of(write_irfs(tmp_path), prefix="fine")
    other["geom"]["wcs"] |= {"binsize": "0.02 deg"}
    fine = run("simulate", {"observation": other, "seed": 1}, {})["datasets"]
    config = {"rings": RINGS | {"nbins": 2, "radius_max": "0.25 deg"}, "selection_optional": []}
    angles = [
        np.array(profile(config, item).meta["solid_angle_sr"])
        for item in (maps, fine, Datasets([*maps, *fine]))
    ]
    assert not np.allclose(angles[0], angles[1], rtol=1e-2)
    np.testing.assert_allclose(angles[2], (angles[0] + angles[1]) / 2, rtol=1e-9)


def test_what_is_no_map_is_refused(maps: Any) -> None:
    from gammapy.datasets import Datasets, MapDatasetOnOff

    with pytest.raises(StepError, match="'hess-1' is a spectrum of a region"):
        profile({"rings": RINGS}, make_datasets(0))
    ring = MapDatasetOnOff.from_map_dataset(maps[0], acceptance=1, acceptance_off=2, name="ring")
    with pytest.raises(StepError, match="'ring' has no background of its own"):
        profile({"rings": RINGS}, Datasets([ring]))
    with pytest.raises(NoDataError, match="there are no datasets"):
        profile({"rings": RINGS}, Datasets())
    empty = maps[0].copy(name="empty")
    empty.counts.data[...] = 0
    with pytest.raises(NoDataError, match="no counts in any bin"):
        profile({"rings": RINGS | {"nbins": 2}, "selection_optional": []}, Datasets([empty]))


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, {"line": "GP305"}),
        ({"line": LINE, "rings": RINGS}, {"rings": "GP306"}),
        ({"rings": RINGS | {"radius_min": "1 deg"}}, {"rings": "GP306"}),
        ({"line": LINE | {"stop": LINE["start"]}}, {"line": "GP306"}),
        ({"rings": RINGS | {"nbins": 1}}, {"rings.nbins": "GP304"}),
        ({"rings": RINGS, "parameters": {"regions": []}}, {"parameters.regions": "GP306"}),
        ({"rings": RINGS, "parameters": {"norms": 1}}, {"parameters.norms": "GP301"}),
    ],
)
def test_settings_are_checked_before_the_run(config: Any, found: dict[str, str]) -> None:
    assert problems("flux-profile", config) == found
