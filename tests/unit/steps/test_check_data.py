"""The step check-data: the table, what is broken, limits, reasons."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from observed import make_datastore
from spectra import run

from gpwf.errors import NoDataError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observed") / "store"
    make_datastore(folder)
    return folder


def opened(place: Path, *obs_ids: int) -> Any:
    from gammapy.data import DataStore

    ids = list(obs_ids or (1, 2))
    return DataStore.from_dir(place).get_observations(ids, required_irf="all-optional")


def check(observations: Any, **config: Any) -> Any:
    return run("check-data", config, {"observations": observations})


def test_the_table_says_what_there_is(place: Path, tmp_path: Path) -> None:
    found = check(opened(place))
    row = found["table"][0]
    assert (row["obs_id"], row["name"], row["telescope"]) == (1, "1", "ONE")
    assert row["target"] == "source"
    assert row["start"] == "2003-12-26T23:58:55.816"
    assert row["irfs"] == "aeff"
    assert (row["n_events"], row["n_gti"], row["n_outside"]) == (90, 1, 0)
    expected = {
        "ra": 83.63,
        "dec": 22.51,
        "zenith": 30,
        "offset": 0.5,
        "ontime": 1800,
        "livetime": 1620,
        "deadtime": 0.1,
        "rate": 90 / 1620,
        "lo_thres": 0.5,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value), name
    # areas rise as 10^(3 k / 5) in six bins of half a decade: 10 % of the most is in the fourth
    assert row["threshold"] == pytest.approx(10 ** (-1 + 0.5 * 4 + 0.25), rel=1e-6)
    assert found["table"]["zenith"].unit == "deg"
    assert bool(row["ok"])
    assert found["observations"].ids == ["1", "2"]
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        formats.write("table", check(opened(place))["table"], folder, {})
    one, two = ((folder / "table.ecsv").read_bytes() for folder in folders)
    assert one == two
    again = formats.read("table", folders[0], lambda digest: Path(digest))
    assert list(again["reasons"]) == ["", ""]
    np.testing.assert_array_equal(again["threshold"], found["table"]["threshold"])


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"min_livetime": "1700 s"}, r"livetime 1620 s is less than 1700\.0 s"),
        ({"max_zenith": "20 deg"}, r"zenith angle 30 deg is more than 20\.0 deg"),
        ({"max_offset": "0.4 deg"}, r"offset 0\.5 deg is more than 0\.4 deg"),
        ({"max_deadtime": 0.05}, r"dead time fraction 0\.1 is more than 0\.05"),
        ({"min_events": 91}, "90 events are less than 91"),
        ({"max_threshold": "1 TeV"}, r"threshold .* TeV is more than 1\.0 TeV"),
    ],
)
def test_limits_have_reasons(config: dict[str, Any], reason: str, place: Path) -> None:
    with pytest.raises(NoDataError, match=f"none of 2 observations is good: 1: {reason}"):
        check(opened(place), **config)


def test_the_good_ones_go_on(place: Path) -> None:
    target = {"lon": "83.63 deg", "lat": "23.4 deg"}
    observations = opened(place)
    observations[1].pointing.fixed_icrs  # noqa: B018  (read once)
    observations[1]._pointing._fixed_icrs = target_of(83.63, 25.0)
    with pytest.warns(UserWarning, match=r"left out: 2: offset 1\.6 deg is more than 1\.0 deg"):
        found = check(observations, target=target, max_offset="1 deg")
    assert found["observations"].ids == ["1"]
    assert list(found["table"]["ok"]) == [True, False]
    assert found["table"]["reasons"][1] == "offset 1.6 deg is more than 1.0 deg"
    assert found["table"]["offset"][0] == pytest.approx(0.89)


def target_of(lon: float, lat: float) -> Any:
    from gpwf.steps.settings import SkyPosition

    return SkyPosition.model_validate({"lon": f"{lon} deg", "lat": f"{lat} deg"}).skycoord


def _no_events(hdulist: Any) -> None:
    hdulist["EVENTS"].data = hdulist["EVENTS"].data[:0]


def _events_twice(hdulist: Any) -> None:
    hdulist["EVENTS"].data[3:6] = hdulist["EVENTS"].data[:3]


def _events_outside(hdulist: Any) -> None:
    hdulist["EVENTS"].data["TIME"][:5] -= 5000


def _energies(hdulist: Any) -> None:
    hdulist["EVENTS"].data["ENERGY"][4] = np.nan


def _no_time(hdulist: Any) -> None:
    hdulist["GTI"].data = hdulist["GTI"].data[:0]


def _backwards(hdulist: Any) -> None:
    hdulist["GTI"].data["STOP"][0] = hdulist["GTI"].data["START"][0] - 5


def _overlapping(hdulist: Any) -> None:
    from astropy.io import fits

    data = np.array([(0.0, 1000.0), (900.0, 1800.0)], dtype=hdulist["GTI"].data.dtype)
    hdulist["GTI"] = fits.BinTableHDU(data, hdulist["GTI"].header, name="GTI")


def _no_area(hdulist: Any) -> None:
    hdulist["AEFF"].data["EFFAREA"][...] = 0


def _dead(hdulist: Any) -> None:
    hdulist["EVENTS"].header["DEADC"] = -0.5


BROKEN: dict[str, tuple[Callable[[Any], None], str]] = {
    "no events": (_no_events, "no events"),
    "twice": (_events_twice, "3 events are there twice"),
    "outside": (_events_outside, "5 events outside of the good time"),
    "energies": (_energies, "events without an energy"),
    "no time": (_no_time, "no good time"),
    "backwards": (_backwards, "a good time interval stops before it starts"),
    "overlapping": (_overlapping, "good time intervals overlap or are not in order"),
    "no area": (_no_area, "the effective area at the offset of the target is 0"),
    "dead": (_dead, "dead time fraction 1.5"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_left_out(name: str, place: Path, tmp_path: Path) -> None:
    from astropy.io import fits

    damage, reason = BROKEN[name]
    folder = shutil.copytree(place, tmp_path / "broken")
    with fits.open(folder / "run-2.fits", mode="update") as hdulist:
        damage(hdulist)
    with pytest.warns(UserWarning, match="left out: 2: "):
        found = check(opened(folder))
    assert reason in found["table"]["reasons"][1]
    assert found["observations"].ids == ["1"]


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_a_file_that_is_torn_is_a_reason(place: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(place, tmp_path / "torn")
    os.truncate(folder / "run-2.fits", 6000)
    with pytest.warns(UserWarning, match="left out: 2: .*cannot be read"):
        found = check(opened(folder))
    assert "events cannot be read: not there, or damaged" in found["table"]["reasons"][1]
    assert found["observations"].ids == ["1"]


def test_an_observation_that_is_there_twice(place: Path, tmp_path: Path) -> None:
    from gammapy.data import Observations

    again = opened(place)
    with pytest.warns(UserWarning, match="left out: 1: id 1 is there twice"):
        found = check(Observations([*opened(place), again[0]]))
    assert list(found["table"]["ok"]) == [True, True, False]
    other = make_datastore(tmp_path / "other", obs_ids=(5,), shift_s=100.0)
    with pytest.warns(UserWarning, match="left out: 5: overlaps with observation 1"):
        found = check(Observations([*again, *other]))
    assert found["observations"].ids == ["1", "2"]


def test_a_broken_observation_does_not_leave_out_a_good_one(place: Path, tmp_path: Path) -> None:
    """Both were left out: the first as broken, the second as one that overlaps with it."""
    from astropy.io import fits
    from gammapy.data import Observations

    broken = make_datastore(tmp_path / "other", obs_ids=(5,))
    with fits.open(tmp_path / "other" / "run-5.fits", mode="update") as hdulist:
        _energies(hdulist)
    with pytest.warns(UserWarning, match="left out: 5: events without an energy$"):
        found = check(Observations([*broken, *opened(place)]))
    assert found["observations"].ids == ["1", "2"]


def test_pieces_without_events_may_stay(place: Path) -> None:
    """Their exposure counts: without them a faint source is too bright."""
    config = {"observations": opened(place)}
    pieces = run("split-time", {"width": "10 s", "remainder": "keep"}, config)["observations"]
    found = check(pieces[:4], min_events=0)
    assert list(found["table"]["n_events"]) == [1, 0, 1, 0]
    assert found["table"]["ok"].all()
    with pytest.warns(UserWarning, match="left out: 1-002: no events; 1-004: no events"):
        check(pieces[:4])


def test_rates_far_from_the_others(tmp_path: Path) -> None:
    from astropy.io import fits

    make_datastore(tmp_path, obs_ids=(1, 2, 3, 4, 5))
    for number, kept in ((2, 88), (3, 86), (4, 89), (5, 60)):
        with fits.open(tmp_path / f"run-{number}.fits", mode="update") as hdulist:
            hdulist["EVENTS"].data = hdulist["EVENTS"].data[:kept]
            for name in ("EVENTS", "GTI"):  # one after the other
                hdulist[name].header["MJDREFI"] += number
    with pytest.warns(UserWarning, match=r"left out: 5: rate 0\.03704 s-1 is -9\.4 robust sigma"):
        found = check(opened(tmp_path, 1, 2, 3, 4, 5), rate_sigma=5.0)
    # counts 90 88 86 89 60: median 88, median absolute deviation 2
    deviations = np.array([2, 0, -2, 1, -28]) / (1.4826 * 2)
    np.testing.assert_allclose(found["table"]["rate_deviation"], deviations, rtol=1e-6, atol=1e-9)
    assert found["observations"].ids == ["1", "2", "3", "4"]


def test_few_observations_have_no_scatter(place: Path) -> None:
    assert np.isnan(check(opened(place), rate_sigma=1.0)["table"]["rate_deviation"]).all()


def test_pieces_are_checked_as_observations(place: Path) -> None:
    config = {"observations": opened(place)}
    pieces = run("split-time", {"width": "10 min"}, config)["observations"]
    table = check(pieces)["table"]
    assert list(table["name"][:3]) == ["1-01", "1-02", "1-03"]
    np.testing.assert_allclose(table["livetime"], 540)
    assert table["ok"].all()
