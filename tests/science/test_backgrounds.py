"""Backgrounds in wobble regions, phases and rings, against plain gammapy; where that is wrong."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
from reductions import CENTER, EXCLUSION, PARTS, hess, maps, reduce, run, spectra

from gpwf.errors import NoDataError

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

RING = {"r_in": "0.5 deg", "width": "0.3 deg"}
ADAPTIVE = {**RING, "r_out_max": "1.4 deg", "stepsize": "0.1 deg"}
PHASES = {"on_phase": [[0.9, 1.1]], "off_phase": [[0.3, 0.5], [0.6, 0.8]]}


@pytest.fixture(scope="module")
def crab() -> list[Any]:
    return hess(23523, 23526)


@pytest.fixture(scope="module")
def pulsed() -> list[Any]:
    return hess(23523, phase=True)


# ---- by hand: gammapy's API and nothing else -----------------------------------------------------


def region_dataset(radius: float = 0.11) -> Any:
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.datasets import SpectrumDataset
    from gammapy.maps import MapAxis, RegionGeom
    from regions import CircleSkyRegion

    energy = MapAxis.from_energy_bounds("0.5 TeV", "40 TeV", 12)
    true = MapAxis.from_energy_bounds("0.3 TeV", "60 TeV", 20, name="energy_true")
    center = SkyCoord(CENTER["lon"], CENTER["lat"], frame="icrs")
    geom = RegionGeom.create(CircleSkyRegion(center, radius * u.deg), axes=[energy])
    return SpectrumDataset.create(geom, energy_axis_true=true)


def map_dataset(observation: Any, n_energies: int = 1, selection: tuple[str, ...] = ()) -> Any:
    from astropy import units as u
    from gammapy.datasets import MapDataset
    from gammapy.makers import MapDatasetMaker, SafeMaskMaker
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", n_energies)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 4, name="energy_true")
    geom = WcsGeom.create(
        skydir=(83.633, 22.014), frame="icrs", binsz=0.1, width=(3, 3), axes=[energy]
    )
    empty = MapDataset.create(geom, energy_axis_true=true)
    pointing = observation.get_pointing_icrs(observation.tmid)
    cutout = empty.cutout(pointing.galactic, width=5 * u.deg, name="by-hand")
    dataset = MapDatasetMaker(selection=selection or None).run(cutout, observation)
    safe = SafeMaskMaker(methods=["offset-max"], offset_max="2 deg")
    return safe.run(dataset, observation)


def crab_mask() -> Any:
    from gammapy.maps import WcsNDMap

    mask = WcsNDMap.read(os.path.expandvars(EXCLUSION))
    mask.data = mask.data.astype(bool)
    return mask


def assert_same(ours: Any, theirs: Any, *names: str) -> None:
    for name in names:
        one, two = getattr(ours, name).data, getattr(theirs, name).data
        np.testing.assert_array_equal(one, two, err_msg=name)


# ---- rings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "threshold"), [("fixed_width", 0.008), ("fixed_r_in", 0.004)])
def test_an_adaptive_ring_is_that_of_gammapy(
    method: str, threshold: float, crab: list[Any]
) -> None:
    from gammapy.makers import AdaptiveRingBackgroundMaker

    parameters = {**ADAPTIVE, "threshold_alpha": threshold, "method": method}
    ours = reduce(maps("adaptive_ring", **parameters), crab[:1])[0]
    dataset = map_dataset(crab[0])
    mask = crab_mask().interp_to_geom(dataset.counts.geom.to_image(), fill_value=1)
    maker = AdaptiveRingBackgroundMaker(**parameters, exclusion_mask=mask)
    theirs = maker.run(dataset, crab[0])
    grown = np.isfinite(theirs.counts_off.data)
    assert 0.3 < grown.mean() < 1  # some rings never get large enough
    assert_same(ours, theirs, "counts", "exposure")
    theirs.counts_off.data = np.rint(theirs.counts_off.data)  # of a Fourier transform
    for name in PARTS[1:]:
        one, two = getattr(ours, name).data, getattr(theirs, name).data
        np.testing.assert_array_equal(one[grown], two[grown], err_msg=name)
    safe = ours.mask_safe.data
    np.testing.assert_array_equal(safe, theirs.mask_safe.data & grown)
    assert (ours.alpha.data[safe] <= threshold).all()
    assert ours.name == "hess-23523"


def test_an_adaptive_ring_that_is_never_large_enough_leaves_no_nan(crab: list[Any]) -> None:
    """In gammapy these pixels are safe, and their OFF counts are NaN."""
    parameters = {**ADAPTIVE, "threshold_alpha": 0.008}
    config = {**maps("adaptive_ring", **parameters), "stack": True}
    stacked = reduce(config, crab)[0]
    for name in (*PARTS, "background"):
        assert np.isfinite(getattr(stacked, name).data).all(), name
    assert stacked.mask_safe.data.any()
    assert not stacked.mask_safe.data.all()


def test_theta_that_does_nothing_is_told(crab: list[Any]) -> None:
    one = reduce(maps("adaptive_ring", **ADAPTIVE), crab[:1])[0]
    with pytest.warns(UserWarning, match=r"'theta' \(0\.5 deg\) has no effect"):
        two = reduce(maps("adaptive_ring", **ADAPTIVE, theta="0.5 deg"), crab[:1])[0]
    assert_same(one, two, *PARTS, "mask_safe")  # should this fail, gammapy has mended it


def test_a_ring_in_several_energy_bins_is_one_per_bin(crab: list[Any]) -> None:
    """Each bin has the OFF counts that gammapy finds in a map of this bin alone."""
    from gammapy.makers import RingBackgroundMaker

    ours = reduce(maps("ring", 3, **RING), crab[:1])[0]
    dataset = map_dataset(crab[0], 3)
    mask = crab_mask().interp_to_geom(dataset.counts.geom.to_image(), fill_value=1)
    maker = RingBackgroundMaker(**RING, exclusion_mask=mask)
    theirs = maker.run(dataset, crab[0])
    theirs.counts_off.data = np.rint(theirs.counts_off.data)  # of a Fourier transform
    assert_same(ours, theirs, *PARTS, "mask_safe")
    energy = dataset.counts.geom.axes["energy"]
    for number in range(3):
        low, high = energy.edges[number], energy.edges[number + 1]
        alone = maker.run(dataset.slice_by_energy(low, high, name="alone"), crab[0])
        for name in PARTS:
            one, two = getattr(ours, name).data[number], getattr(alone, name).data[0]
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5, err_msg=name)


def test_no_background_is_taken_of_a_ring_that_is_excluded(crab: list[Any], tmp_path: Path) -> None:
    """gammapy gives these pixels a background of up to 1e302 events."""
    from gammapy.makers import RingBackgroundMaker
    from gammapy.maps import Map

    dataset = map_dataset(crab[0])
    geom = dataset.counts.geom.to_image()
    apart = geom.separation(geom.center_skydir).deg
    mask = Map.from_geom(geom, data=apart > 1.1, dtype=bool)
    theirs = RingBackgroundMaker(**RING, exclusion_mask=mask).run(dataset, crab[0])
    inside = apart < 0.2  # the ring is excluded as a whole
    assert np.abs(theirs.background.data[0, inside]).max() > 1e3
    config = maps("ring", **RING)
    del config["background"]["exclusion"]
    stacked = reduce({**config, "stack": True}, crab, exclusion_mask=mask)[0]
    assert not stacked.mask_safe.data[0, inside].any()
    assert np.abs(stacked.background.data).max() < 10
    assert stacked.mask_safe.data[0, apart > 0.8].any()


@pytest.mark.parametrize(
    ("kind", "parameters"), [("ring", RING), ("adaptive_ring", {**ADAPTIVE, "threshold_alpha": 1})]
)
def test_rings_without_events_have_no_off_counts(
    kind: str, parameters: dict[str, Any], crab: list[Any]
) -> None:
    """In gammapy they have some 1e-7, of either sign, and an infinite significance."""
    config = maps(kind, **parameters)
    config["geom"]["axes"]["energy"] = {"min": "30 TeV", "max": "100 TeV", "nbins": 1}
    config["geom"]["axes"]["energy_true"] = {"min": "10 TeV", "max": "200 TeV", "nbins": 4}
    datasets = reduce(config, crab[:1])
    off = datasets[0].counts_off.data
    assert (off == 0).sum() > 100
    assert off.max() > 0
    np.testing.assert_array_equal(off, np.abs(np.rint(off)))
    found = run("excess-map", {"correlate_off": False}, {"datasets": [datasets]})["flux_maps"]
    safe = datasets[0].mask_safe.data
    assert np.isfinite(found.sqrt_ts.data[safe]).all()


# ---- phases --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_phases_of_spectra_are_those_of_gammapy(pulsed: list[Any]) -> None:
    from gammapy.makers import PhaseBackgroundMaker, SafeMaskMaker, SpectrumDatasetMaker

    ours = reduce(spectra("phase", **PHASES), pulsed)[0]
    counts = SpectrumDatasetMaker(selection=["counts", "exposure", "edisp"])
    dataset = counts.run(region_dataset(), pulsed[0])
    pieces = {"on_phase": [(0.9, 1.0), (0.0, 0.1)], "off_phase": [(0.3, 0.5), (0.6, 0.8)]}
    theirs = PhaseBackgroundMaker(**pieces).run(dataset, pulsed[0])
    theirs = SafeMaskMaker(methods=["aeff-max"]).run(theirs, pulsed[0])
    assert_same(ours, theirs, "counts", "counts_off", "exposure", "mask_safe")
    np.testing.assert_allclose(ours.acceptance.data, theirs.acceptance.data)
    found = theirs.counts_off.data > 0
    np.testing.assert_allclose(ours.acceptance_off.data[found], theirs.acceptance_off.data[found])
    # where nothing was counted, gammapy 2.1 takes the background for exactly zero
    assert (theirs.acceptance_off.data[~found] == 0).all()
    assert (~found).any()
    np.testing.assert_allclose(ours.alpha.data, 0.5)
    assert ours.name == "hess-23523"
    on = int(ours.counts.data.sum())
    assert on > 3 * ours.background.data.sum()  # the Crab is on in this phase
    assert on == on_by_table(pulsed[0])


def on_by_table(observation: Any) -> int:
    """Count events of the ON region and phase in the table."""
    from astropy.coordinates import SkyCoord

    events = observation.events
    energy, phase = events.energy.to_value("TeV"), np.asarray(events.table["PHASE"])
    near = events.radec.separation(SkyCoord(CENTER["lon"], CENTER["lat"])).deg < 0.11
    return int((near & (energy >= 0.5) & (energy < 40) & ((phase < 0.1) | (phase >= 0.9))).sum())


def test_phases_of_maps_are_those_of_gammapy(pulsed: list[Any]) -> None:
    from gammapy.makers import PhaseBackgroundMaker

    ours = reduce(maps("phase", 2, **PHASES), pulsed)[0]
    selection = ("counts", "exposure", "psf", "edisp")
    dataset = map_dataset(pulsed[0], 2, selection)
    pieces = {"on_phase": [(0.9, 1.0), (0.0, 0.1)], "off_phase": [(0.3, 0.5), (0.6, 0.8)]}
    theirs = PhaseBackgroundMaker(**pieces).run(dataset, pulsed[0])
    assert_same(ours, theirs, "counts", "counts_off", "exposure", "mask_safe")
    for name in ("acceptance", "acceptance_off"):
        one, two = getattr(ours, name).data, getattr(theirs, name).data
        np.testing.assert_allclose(one, two, err_msg=name)
    assert ours.name == "hess-23523"


def test_phases_are_stacked(pulsed: list[Any]) -> None:
    both = [*pulsed, *hess(23526, phase=True)]
    for config in (spectra("phase", **PHASES), maps("phase", **PHASES)):
        stacked = reduce({**config, "stack": True}, both)[0]
        single = reduce(config, both)
        for name in ("counts", "counts_off"):
            each = sum(float((getattr(d, name).data * d.mask_safe.data).sum()) for d in single)
            assert float(getattr(stacked, name).data.sum()) == pytest.approx(each)


# ---- wobble regions, extended regions, safe masks ------------------------------------------------


def test_wobble_regions_of_a_circle_are_those_of_gammapy(crab: list[Any]) -> None:
    from gammapy.makers import (
        ReflectedRegionsBackgroundMaker,
        SpectrumDatasetMaker,
        WobbleRegionsFinder,
    )

    config = spectra("wobble", n_off_regions=5)
    config["background"]["exclusion"] = EXCLUSION
    config["safe_mask"] = {"methods": []}
    counts = SpectrumDatasetMaker(selection=["counts", "exposure", "edisp"])
    background = ReflectedRegionsBackgroundMaker(
        region_finder=WobbleRegionsFinder(n_off_regions=5), exclusion_mask=crab_mask()
    )
    for ours, observation in zip(reduce(config, crab), crab, strict=True):
        theirs = background.run(counts.run(region_dataset(), observation), observation)
        assert_same(ours, theirs, *PARTS, "exposure")
        assert ours.acceptance_off.data.flat[0] <= 5


def test_exposure_is_averaged_over_a_large_region(crab: list[Any]) -> None:
    from gammapy.makers import SpectrumDatasetMaker

    config = spectra(radius="0.4 deg") | {"use_region_center": False}
    ours = reduce(config, crab[:1])[0]
    maker = SpectrumDatasetMaker(selection=["counts", "exposure", "edisp"], use_region_center=False)
    theirs = maker.run(region_dataset(0.4), crab[0])
    assert_same(ours, theirs, "counts", "exposure")
    center = reduce(spectra(radius="0.4 deg"), crab[:1])[0]
    assert not np.array_equal(center.exposure.data, ours.exposure.data)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("aeff-default", {}),
        ("aeff-max", {"aeff_percent": 30.0}),
        ("aeff-max", {"aeff_percent": 30.0, "irfs": "DL3", "fixed_offset": "0.5 deg"}),
        ("edisp-bias", {"bias_percent": 5.0}),
        ("edisp-bias", {"bias_percent": 5.0, "irfs": "DL3"}),
        ("offset-max", {"offset_max": "0.6 deg"}),
        ("bkg-peak", {}),
        ("bkg-peak", {"irfs": "DL3"}),
    ],
)
def test_every_safe_mask_of_spectra_is_that_of_gammapy(
    method: str, parameters: dict[str, Any], crab: list[Any], bare: Any
) -> None:
    from astropy.coordinates import Angle
    from gammapy.makers import SafeMaskMaker

    config = spectra() | {"safe_mask": {"methods": [method], "parameters": parameters}}
    found = reduce(config, crab[:1])[0]
    given = {key: Angle(v) if key == "fixed_offset" else v for key, v in parameters.items()}
    theirs = SafeMaskMaker(methods=[method], **given).run(bare.copy(name="bare"), crab[0])
    np.testing.assert_array_equal(found.mask_safe.data, theirs.mask_safe.data)


@pytest.fixture(scope="module")
def bare(crab: list[Any]) -> Any:
    """Return a spectrum without a safe mask."""
    return reduce(spectra() | {"safe_mask": {"methods": []}}, crab[:1])[0]


@pytest.mark.filterwarnings("ignore:datasets. observation 23523 is left out")
@pytest.mark.parametrize("method", ["fov_background", "ring"])
def test_maps_without_events_are_no_data(method: str, crab: list[Any]) -> None:
    """Also where the template has nothing to be scaled to."""
    from gammapy.data import EventList

    observation = copy.copy(crab[0])
    table = observation.events.table
    observation._events = EventList(table[:0])
    with pytest.raises(NoDataError, match="no event in the map between") as caught:
        reduce(maps(method, **(RING if method == "ring" else {})), [observation])
    assert "geom.axes.energy" in caught.value.hint
