"""What can be wrong with observations, regions and masks: every message says what to change."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from reductions import (
    CENTER,
    EXCLUSION,
    PARTS,
    add_phases,
    hess,
    magic,
    maps,
    reduce,
    run,
    spectra,
    with_fixed_radius,
)

from gpwf.errors import NoDataError, StepError

pytestmark = [
    pytest.mark.science,
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:'THETA' axis is stored as a scalar"),
]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

RING = {"r_in": "0.5 deg", "width": "0.3 deg"}
PHASES = {"on_phase": [[0.9, 1.1]], "off_phase": [[0.3, 0.5]]}
ENERGY = {"min": "0.06 TeV", "max": "10 TeV", "nbins": 6}


@pytest.fixture(scope="module")
def crab() -> list[Any]:
    return hess(23523, 23526)


@pytest.fixture(scope="module")
def point_like() -> list[Any]:
    return magic()


def without(observation: Any, *irfs: str) -> Any:
    """Return an observation that lacks a part of its response."""
    found = copy.copy(observation)
    for name in irfs:
        for attribute in (f"_{name}_hdu", f"__{name}_hdu"):
            found.__dict__.pop(attribute, None)
        setattr(found, f"_{name}" if name == "bkg" else name, None)
    return found


def rad_max_spectra(n_off_regions: int = 3) -> dict[str, Any]:
    config = spectra("wobble", "rad_max", n_off_regions=n_off_regions)
    axes = {"energy": ENERGY, "energy_true": {"min": "0.03 TeV", "max": "30 TeV", "nbins": 8}}
    return {**config, "geom": {"axes": axes}}


# ---- exclusion masks -----------------------------------------------------------------------------


def mask(value: Any = True, lon: float = 83.633, lat: float = 22.014, width: float = 6) -> Any:
    """Return an exclusion mask of one value, but for a circle of 0.3 deg around the Crab."""
    from astropy import units as u
    from gammapy.maps import WcsGeom, WcsNDMap
    from regions import CircleSkyRegion

    geom = WcsGeom.create(skydir=(lon, lat), binsz=0.05, width=width, frame="icrs")
    found = WcsNDMap(geom, data=np.full(geom.data_shape, value))
    circle = CircleSkyRegion(geom.center_skydir, 0.3 * u.deg)
    found.data &= geom.region_mask([circle], inside=False).data
    return found


def test_the_product_of_another_step_is_as_good_as_a_file(crab: list[Any]) -> None:
    from gammapy.maps import Map

    product = Map.read(os.path.expandvars(EXCLUSION))  # of numbers: 0 and 1
    for config in (spectra(), maps("fov_background"), maps("ring", **RING)):
        background = dict(config["background"])
        background.pop("exclusion", None)
        by_file = {**config, "background": {**background, "exclusion": EXCLUSION}}
        bare = {**config, "background": background}
        one = reduce(by_file, crab[:1])[0]
        two = reduce(bare, crab[:1], exclusion_mask=product)[0]
        for name in ("counts", "counts_off", "background", "mask_safe"):
            found = [getattr(item, name, None) for item in (one, two)]
            if found[0] is not None:
                np.testing.assert_array_equal(found[0].data, found[1].data, err_msg=name)


def masks_that_are_none() -> dict[str, tuple[Any, str]]:
    """Return bad masks with what is said of them."""
    from gammapy.maps import MapAxis, RegionNDMap, WcsNDMap

    good = mask()
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    cube = WcsNDMap(good.geom.to_cube([axis]), dtype=bool)
    counts = WcsNDMap(good.geom, data=np.arange(good.data.size).reshape(good.data.shape))
    unknown = WcsNDMap(good.geom, data=np.full(good.data.shape, np.nan))
    region = RegionNDMap.create("icrs;circle(83.63, 22.01, 1)", dtype=bool)
    return {
        "everything": (mask(False), "excludes everything"),
        "an axis": (cube, r"is no image, it has the axis energy \(2 bins\)"),
        "counts": (counts, "values other than 0 and 1"),
        "nan": (unknown, "values other than 0 and 1"),
        "region": (region, "is a RegionNDMap"),
    }


@pytest.mark.parametrize("case", ["everything", "an axis", "counts", "nan", "region"])
@pytest.mark.parametrize("config", [spectra(), maps("ring", **RING)], ids=["1d", "3d"])
def test_a_map_that_is_no_mask_is_refused(
    case: str, config: dict[str, Any], crab: list[Any]
) -> None:
    bad, message = masks_that_are_none()[case]
    with pytest.raises(StepError, match=message) as caught:
        reduce(config, crab, exclusion_mask=bad)
    assert "exclusion_mask" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("config", [spectra(), maps("ring", **RING)], ids=["1d", "3d"])
def test_a_mask_of_another_part_of_the_sky_is_refused(
    config: dict[str, Any], crab: list[Any]
) -> None:
    with pytest.raises(StepError, match=r"does not overlap with the .*it excludes nothing"):
        reduce(config, crab[:1], exclusion_mask=mask(lon=120.0))


@pytest.mark.parametrize("config", [spectra(), maps("ring", **RING)], ids=["1d", "3d"])
def test_a_mask_that_covers_a_part_is_told(
    config: dict[str, Any], crab: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A small one around the source is as good as a large one."""
    with caplog.at_level("INFO", logger="gpwf.steps.reduction.exclusions"):
        reduce(config, crab[:1], exclusion_mask=mask(width=1.2))
    assert "beyond it nothing is excluded" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO", logger="gpwf.steps.reduction.exclusions"):
        reduce(config, crab[:1], exclusion_mask=mask(width=8))
    assert not caplog.text


def test_a_mask_over_the_whole_map_is_refused(crab: list[Any]) -> None:
    large = mask(False, width=6)
    large.data[:2] = True  # so that the mask itself has something left
    with pytest.raises(StepError, match="excludes the whole map") as caught:
        reduce(maps("ring", **RING), crab, exclusion_mask=large)
    assert "geom.wcs.width" in caught.value.hint


# ---- response ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "irfs", "missing"),
    [
        (spectra(), ("edisp",), "edisp"),
        (spectra() | {"containment_correction": True}, ("psf",), "psf"),
        (
            spectra() | {"safe_mask": {"methods": ["bkg-peak"], "parameters": {"irfs": "DL3"}}},
            ("bkg",),
            "bkg",
        ),
        (maps("fov_background"), ("bkg", "psf"), "bkg, psf"),
    ],
    ids=["edisp", "psf", "dl3-bkg", "maps"],
)
def test_a_missing_response_is_named_with_its_observation(
    config: dict[str, Any], irfs: tuple[str, ...], missing: str, crab: list[Any]
) -> None:
    observations = [crab[0], without(crab[1], *irfs)]
    with pytest.raises(StepError, match=f"observation 23526 has no {missing}$") as caught:
        reduce(config, observations)
    assert "required_irf" in caught.value.hint


def test_phases_of_maps_need_no_background_of_the_response(crab: list[Any]) -> None:
    observation = without(hess(23523, phase=True)[0], "bkg")
    found = reduce(maps("phase", **PHASES), [observation])[0]
    assert found.counts_off.data.sum() > 0


@pytest.mark.parametrize("config", [spectra(), maps("fov_background")], ids=["1d", "3d"])
def test_energies_that_no_response_has(config: dict[str, Any], crab: list[Any]) -> None:
    axes = {"energy": {"min": "500 TeV", "max": "900 TeV", "nbins": 2}}
    config = copy.deepcopy(config)
    config["geom"]["axes"] = axes
    with (
        pytest.warns(UserWarning, match=r"23523 is left out: its response is for .* to \d+ TeV"),
        pytest.raises(NoDataError) as caught,
    ):
        reduce(config, crab[:1])
    assert "geom.axes.energy" in caught.value.hint


def test_an_observation_that_does_not_see_the_region_is_named(crab: list[Any]) -> None:
    far = hess(20136)  # on RX J1713
    with pytest.warns(
        UserWarning, match=r"observation 20136 is left out: .* deg from its pointing"
    ):
        found = reduce(spectra(), [*crab, *far])
    assert found.names == ["hess-23523", "hess-23526"]


def test_an_observation_without_safe_bins_is_named(crab: list[Any]) -> None:
    config = spectra() | {
        "safe_mask": {"methods": ["offset-max"], "parameters": {"offset_max": "1 deg"}}
    }
    far = hess(23559)  # at 1.5 deg
    with pytest.warns(
        UserWarning, match="hess-23559 is left out: no energy bin is left by the safe"
    ):
        found = reduce(config, [*crab, *far])
    assert found.names == ["hess-23523", "hess-23526"]
    with pytest.raises(StepError, match=r"no energy bin is left by the safe mask \(offset-max\)"):
        reduce(config, far)


def test_a_source_without_counts_is_told(crab: list[Any]) -> None:
    config = spectra(radius="0.02 deg", max_region_number=200)
    config["on_region"] = {"center": {**CENTER, "lat": "21.4 deg"}, "radius": "0.02 deg"}
    config["geom"]["axes"]["energy"] = {"min": "4 TeV", "max": "40 TeV", "nbins": 3}
    with pytest.warns(
        UserWarning, match=r"no event in the ON region between 4\.0 TeV and 40\.0 TeV"
    ):
        found = reduce(config, crab)
    assert sum(item.counts_off.data.sum() for item in found) > 0


def test_a_criterion_on_axis_says_where_to_look(point_like: list[Any]) -> None:
    """The response of MAGIC is known at an offset of 0.4 deg alone."""
    config = rad_max_spectra() | {
        "safe_mask": {"methods": ["aeff-max"], "parameters": {"irfs": "DL3"}}
    }
    with pytest.raises(StepError, match="observation 5029747") as caught:
        reduce(config, point_like)
    assert "fixed_offset" in caught.value.hint


# ---- ON radius and OFF regions -------------------------------------------------------------------


def test_too_many_wobble_regions_are_none(point_like: list[Any]) -> None:
    """At 0.4 deg from the pointing, circles of up to 0.39 deg overlap when there are seven."""
    with (
        pytest.warns(UserWarning, match="5029747 is left out: it has no OFF region: the 7 wobble"),
        pytest.raises(StepError, match="no observation has an OFF region") as caught,
    ):
        reduce(rad_max_spectra(7), point_like[:1])
    assert "n_off_regions" in caught.value.hint


def test_a_wobble_region_over_the_on_region_is_none(crab: list[Any]) -> None:
    """gammapy takes a single OFF region that overlaps with the ON region."""
    with (
        pytest.warns(UserWarning, match="a wobble region overlaps with the ON region"),
        pytest.raises(StepError, match="no observation has an OFF region"),
    ):
        reduce(spectra("wobble", "0.6 deg", n_off_regions=1), crab[:1])


def test_some_observations_without_off_regions_are_named(crab: list[Any]) -> None:
    half = mask(width=8)
    sky = half.geom.get_coord().skycoord
    pointing = crab[0].get_pointing_icrs(crab[0].tmid)
    half.data &= sky.separation(pointing).deg > 1
    far = hess(23559)
    with pytest.warns(UserWarning, match=r"observation 2352[36] is left out: it has no OFF region"):
        found = reduce(spectra(), [crab[0], *far], exclusion_mask=half)
    assert found.names == ["hess-23559"]


def test_an_off_region_that_reaches_into_the_mask_is_told(point_like: list[Any]) -> None:
    """gammapy compares the centre alone with the mask where the radius changes with energy."""
    from astropy import units as u

    near = mask(width=8)
    sky = near.geom.get_coord().skycoord
    observation = point_like[0]
    pointing = observation.get_pointing_icrs(observation.tmid)
    crab = near.geom.center_skydir.icrs
    opposite = pointing.directional_offset_by(crab.position_angle(pointing), 0.55 * u.deg)
    near.data = sky.separation(opposite).deg > 0.1
    with pytest.warns(UserWarning, match="5029747: an OFF region .* reaches into it"):
        found = reduce(rad_max_spectra(3), [observation], exclusion_mask=near)
    assert found[0].acceptance_off.data.flat[0] == 3


@pytest.mark.parametrize(
    ("stated", "radius", "message", "hint"),
    [
        (0.1, "0.2 deg", "point-like, for an ON radius of 0.1 deg, not 0.2 deg", "radius: 0.1 deg"),
        (None, "0.1 deg", "its ON radius is not known", "RAD_MAX"),
        (1, "0.1 deg", "its ON radius is not known: RAD_MAX must be a float", "RAD_MAX"),
    ],
)
@pytest.mark.parametrize("method", ["reflected", "phase"])
def test_the_radius_must_be_that_of_the_response(
    stated: Any, radius: str, message: str, hint: str, method: str, point_like: list[Any]
) -> None:
    """gammapy compares them with regions, but not with phases."""
    observation = with_fixed_radius(point_like[0], stated)
    add_phases(observation)
    parameters = PHASES if method == "phase" else {}
    with pytest.raises(StepError, match=message) as caught:
        reduce({**rad_max_spectra(), **spectra(method, radius, **parameters)}, [observation])
    assert hint in caught.value.hint


def test_a_radius_in_the_header_is_that_of_the_region(point_like: list[Any]) -> None:
    """The circle of that radius, and the region of the response, hold the same events."""
    observation = with_fixed_radius(point_like[0], 0.1)
    axes = rad_max_spectra()["geom"]
    circle = reduce({**spectra(radius="0.1 deg"), "geom": axes}, [observation])[0]
    point = reduce(rad_max_spectra(), [observation])[0]
    np.testing.assert_array_equal(circle.counts.data, point.counts.data)
    assert point.acceptance_off.data.flat[0] == 3
    assert circle.acceptance_off.data.flat[0] > 3


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"containment_correction": True}, "containment_correction: false"),
        ({"use_region_center": False}, "use_region_center: true"),
    ],
)
def test_settings_that_a_point_like_response_does_not_have(
    changes: dict[str, Any], hint: str, point_like: list[Any]
) -> None:
    observation = with_fixed_radius(point_like[0], 0.1)
    observation.psf = hess(23523)[0].psf
    with pytest.raises(StepError, match="5029747: the response is point-like") as caught:
        reduce(spectra(radius="0.1 deg") | changes, [observation])
    assert hint in caught.value.hint


def test_a_radius_that_changes_with_energy_says_what_to_set(point_like: list[Any]) -> None:
    with pytest.raises(StepError, match="radius that depends on the energy") as caught:
        reduce(spectra(radius="0.1 deg"), point_like)
    assert "'on_region.radius: rad_max' and 'background.method: wobble'" in caught.value.hint


def test_a_response_of_all_radii_needs_an_angle(crab: list[Any]) -> None:
    config = spectra("wobble", "rad_max", n_off_regions=3)
    with pytest.raises(StepError, match="23523: its response has no ON radius") as caught:
        reduce(config, crab)
    assert "'0.11 deg'" in caught.value.hint


def test_energies_without_an_on_radius_are_told(point_like: list[Any]) -> None:
    observation = copy.copy(point_like[0])
    observation._rad_max = copy.deepcopy(observation.rad_max)
    energy = observation.rad_max.axes["energy"].center.to_value("TeV")
    observation._rad_max.data[energy > 2] = np.nan
    with pytest.warns(UserWarning, match=r"5029747: the ON radius .* missing in 2 energy bins"):
        found = reduce(rad_max_spectra(), [observation])[0]
    assert found.counts.data.ravel()[-1] == 0


def test_a_response_of_one_offset_is_not_for_others(point_like: list[Any]) -> None:
    config = rad_max_spectra()
    config["on_region"]["center"] = {**CENTER, "lon": "83.9 deg"}
    with (
        pytest.warns(UserWarning, match=r"deg from its pointing, its response begins at 0\.39 deg"),
        pytest.raises(NoDataError, match="outside the field of view of every observation"),
    ):
        reduce(config, point_like[:1])


def test_maps_of_a_point_like_response_have_no_exposure(point_like: list[Any]) -> None:
    config = maps("phase", **PHASES)
    observation = copy.copy(point_like[0])
    add_phases(observation)
    with pytest.raises(StepError, match="5029747: the response is point-like") as caught:
        reduce(config | {"map_selection": ["counts", "exposure"]}, [observation])
    assert "type: 1d" in caught.value.hint
    found = reduce(config | {"map_selection": ["counts"]}, [observation])[0]
    assert found.counts.data.sum() > 0


# ---- phases --------------------------------------------------------------------------------------


def test_events_without_a_phase_are_told(crab: list[Any]) -> None:
    with pytest.raises(StepError, match="23523: its events have no column 'PHASE'") as caught:
        reduce(spectra("phase", **PHASES), crab)
    assert "ephemeris" in caught.value.hint
    pulsed = hess(23523, phase=True)
    with pytest.raises(StepError, match="no column 'PULSE'") as caught:
        reduce(spectra("phase", phase_column_name="PULSE", **PHASES), pulsed)
    assert "phase_column_name' to PHASE" in caught.value.hint


def test_phases_are_read_of_files(tmp_path: Path) -> None:
    """From a datastore, by the step that does both: select and reduce."""
    from astropy.io import fits
    from astropy.table import Table

    source = Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"
    name = "data/hess_dl3_dr1_obs_id_023523.fits.gz"
    for index in ("hdu-index.fits.gz", "obs-index.fits.gz"):
        shutil.copy(source / index, tmp_path / index)
    (tmp_path / "data").mkdir()
    observation = hess(23523, phase=True)[0]
    with fits.open(source / name) as hdus:
        events = Table.read(hdus["EVENTS"])
        events["PHASE"] = observation.events.table["PHASE"]
        header = hdus["EVENTS"].header
        found = fits.table_to_hdu(events)
        found.header.extend(header, unique=True)
        hdus["EVENTS"].data, hdus["EVENTS"].header = found.data, found.header
        hdus.writeto(tmp_path / name)
    config = spectra("phase", **PHASES)
    selection = {"datastore": str(tmp_path), "obs_ids": [23523]}
    ours = run("data-reduction", {**config, "observations": selection}, {})["datasets"][0]
    direct = reduce(config, [observation])[0]
    for part in PARTS:
        np.testing.assert_array_equal(getattr(ours, part).data, getattr(direct, part).data)


def test_phases_beyond_a_period_are_refused(crab: list[Any]) -> None:
    """gammapy would leave these events out, and count the whole width of the interval."""
    observation = copy.copy(crab[0])
    add_phases(observation, low=-0.5, high=0.5)
    with pytest.raises(StepError, match=r"phases from -0\.\d+ to .* the column 'PHASE'") as caught:
        reduce(maps("phase", **PHASES), [observation])
    assert "floor" in caught.value.hint


def test_some_events_without_a_phase_are_counted(crab: list[Any]) -> None:
    observation = hess(23523, phase=True)[0]
    observation.events.table["PHASE"][:10] = np.nan
    with pytest.warns(UserWarning, match="10 of 7613 events have no phase"):
        reduce(spectra("phase", **PHASES), [observation])
