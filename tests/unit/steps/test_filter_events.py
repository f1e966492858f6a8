"""The step filter-events: each cut, cuts of cuts, what is stored, what is said."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from observed import LENGTH_S, N_EVENTS, RA, ids, locate_in, make_datastore
from spectra import problems, run

from gpwf.core.selections import ColumnCut, EventSelection, phase_fraction
from gpwf.errors import NoDataError, StepError, StoreError
from gpwf.steps.reduction.maps import scale_background
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CONE = {"frame": "icrs", "lon": f"{RA} deg", "lat": "22.01 deg", "radius": "0.105 deg"}
# observation 1 starts at 2003-12-27 00:00 TT, 64.184 s before UTC's midnight
FIRST = "2003-12-26T23:58:55.816"
LATER = "2003-12-27T00:08:55.816"  # 600 s later
LAST = "2003-12-27T00:18:55.816"  # 1200 s later


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observed") / "store"
    make_datastore(folder)
    return folder


@pytest.fixture
def observations(place: Path) -> Any:
    from gammapy.data import DataStore

    return DataStore.from_dir(place).get_observations([1, 2], required_irf="all-optional")


def filtered(observations: Any, **config: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that of the response has its own test
        return run("filter-events", config, {"observations": observations})["observations"]


def stored(observations: Any, folder: Path, place: Path) -> Any:
    folder.mkdir()
    formats.write("observations", observations, folder, {"GPWFKEY": "0" * 64})
    return formats.read("observations", folder, locate_in(place))


def test_an_interval_cuts_events_and_exposure(observations: Any) -> None:
    found = filtered(observations, time={"start": [LATER], "stop": [LAST]})
    assert found.ids == ["1"]  # the other has no time left
    assert ids(found[0]) == list(range(31, 61))
    assert found[0].gti.time_sum.to_value("s") == pytest.approx(600)
    assert found[0].observation_live_time_duration.to_value("s") == pytest.approx(540)
    assert found[0].tstart.utc.isot == LATER


def test_what_lies_outside_an_interval_has_two_good_times(observations: Any) -> None:
    """`gammapy.data.GTI.select_time` would leave nothing of a run around an interval."""
    found = filtered(observations, time={"start": [LATER], "stop": [LAST], "inverted": True})
    assert found.ids == ["1", "2"]
    assert ids(found[0]) == [*range(1, 31), *range(61, 91)]
    assert len(found[0].gti.table) == 2
    assert found[0].gti.time_sum.to_value("s") == pytest.approx(LENGTH_S - 600)
    assert found[1].gti.time_sum.to_value("s") == pytest.approx(LENGTH_S)


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({"energy": {"min": "1 TeV", "max": "10 TeV"}}, range(31, 61)),
        ({"energy": {"max": "200 GeV"}}, range(1, 11)),
        ({"offset": {"max": "0.095 deg"}}, range(42, 61)),
        ({"cone": CONE}, range(1, 12)),
        ({"cone": CONE, "outside_cone": True}, range(12, 91)),
        ({"region": f"icrs;circle({RA},22.01,0.105)"}, range(1, 12)),
        ({"columns": {"GAMMANESS": {"min": 0.85}}}, range(10, 91, 10)),
        ({"columns": {"ENERGY": {"min": "1000 GeV", "max": 10}}}, range(31, 61)),
        ({"columns": {"PHASE": {"min": 0.05, "max": 0.95, "inverted": True}}}, None),
        ({"energy": {"min": "1 TeV"}, "cone": CONE | {"radius": "0.355 deg"}}, range(31, 37)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_cut_keeps_what_it_says(
    config: dict[str, Any], kept: Any, observations: Any, tmp_path: Path, place: Path
) -> None:
    expected = [n + 1 for n in range(N_EVENTS) if n % 20 in (0, 19)] if kept is None else list(kept)
    found = filtered(observations, **config)
    assert ids(found[0]) == expected
    assert found[0].gti.time_sum.to_value("s") == pytest.approx(LENGTH_S)
    again = stored(found, tmp_path / "product", place)
    assert [ids(item) for item in again] == [ids(item) for item in found]


def test_events_of_a_table(observations: Any, tmp_path: Path) -> None:
    path = tmp_path / "wanted.csv"
    path.write_text("OBS_ID,EVENT_ID\n1,7\n2,3\n1,5\n1,5\n1,4000\n")
    found = filtered(observations, event_ids=str(path))
    assert [ids(item) for item in found] == [[5, 7], [3]]


def test_events_of_observations_that_are_not_there_are_told(
    observations: Any, tmp_path: Path
) -> None:
    path = tmp_path / "wanted.csv"
    path.write_text("OBS_ID,EVENT_ID\n1,7\n33,3\n")
    with (
        pytest.warns(UserWarning, match="observations that are not there: 33$"),
        pytest.warns(UserWarning, match="the cut of event ids does not change"),
    ):
        run("filter-events", {"event_ids": str(path)}, {"observations": observations})


def test_a_table_that_is_none_is_told(observations: Any, tmp_path: Path) -> None:
    path = tmp_path / "wanted.csv"
    path.write_text("RUN,EVENT\n1,7\n")
    with pytest.raises(StepError, match="no table of events") as caught:
        filtered(observations, event_ids=str(path))
    assert "OBS_ID and EVENT_ID" in str(caught.value.hint)


def test_a_filter_after_a_filter_keeps_what_both_keep(
    observations: Any, tmp_path: Path, place: Path
) -> None:
    """gammapy's select_time replaces an interval by the next one."""
    one = filtered(observations, time={"start": [FIRST], "stop": [LAST]})
    one = stored(one, tmp_path / "one", place)
    two = filtered(
        one, time={"start": [LATER], "stop": ["2003-12-27T02:00:00"]}, energy={"max": "2 TeV"}
    )
    two = stored(two, tmp_path / "two", place)
    assert ids(two[0]) == list(range(31, 41))
    assert two[0].gti.time_sum.to_value("s") == pytest.approx(600)
    # and what somebody else selects later, in gammapy
    three = two[0].select_time(two[0].gti.time_start[0] + [0, 100] * _second())
    assert ids(three) == list(range(31, 36))
    assert three.gti.time_sum.to_value("s") == pytest.approx(100)


def _second() -> Any:
    from astropy import units as u

    return u.s


def test_phases_count_as_time(observations: Any) -> None:
    """In gammapy 2.1 a filter of the column PHASE ends in an error."""
    found = filtered(observations, columns={"PHASE": {"min": 0.2, "max": 0.6}})
    assert found[0].observation_live_time_duration.to_value("s") == pytest.approx(0.4 * 0.9 * 1800)
    found = filtered(found, columns={"PHASE": {"min": 0.5, "max": 0.9}, "GAMMANESS": {"max": 1}})
    assert found[0].observation_live_time_duration.to_value("s") == pytest.approx(0.1 * 0.9 * 1800)


def test_phases_count_for_the_background_of_maps_as_well(observations: Any) -> None:
    """gammapy's maker takes that of all of the time, and the exposure of the phases."""
    from gammapy.datasets import MapDataset
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    geom = WcsGeom.create(skydir=(RA, 22.01), width=1, binsz=0.5, axes=[energy])
    found = filtered(observations, columns={"PHASE": {"min": 0.2, "max": 0.6}})
    for observation, expected in ((found[0], 4.0), (observations[0], 10.0)):
        dataset = MapDataset.create(geom)
        dataset.background.data += 10
        scale_background(dataset, observation)
        np.testing.assert_allclose(dataset.background.data, expected, rtol=1e-6)


def test_phases_of_another_range_are_refused(observations: Any) -> None:
    """From -0.5 to 0.5, a cut around 0 would count half of its time."""
    events = observations[0]._events
    events.table["PHASE"] -= 0.5
    observations[0].events = events
    with pytest.raises(
        StepError, match=r"observation 1: the column PHASE runs from -0\.5 to 0\.45"
    ):
        filtered(observations, columns={"PHASE": {"min": -0.1, "max": 0.1}})


def test_an_interval_that_ends_where_a_run_begins_has_nothing_of_it(observations: Any) -> None:
    """The instants of UTC and TT differ by some ns: no exposure, but an observation of it."""
    config = {"start": ["2003-12-26T23:00:00"], "stop": ["2003-12-27T00:58:55.816"]}
    assert filtered(observations, time=config).ids == ["1"]


def test_columns_of_several_numbers_are_told(observations: Any) -> None:
    events = observations[0]._events
    events.table["TELESCOPES"] = np.ones((N_EVENTS, 4), dtype=bool)
    observations[0].events = events
    with pytest.raises(StepError, match="cannot be applied") as caught:
        filtered(observations[:1], columns={"TELESCOPES": {"min": 1}})
    assert "one number per event" in str(caught.value.hint)


def test_the_fraction_of_phases() -> None:
    def cut(low: float | None, high: float | None, inverted: bool = False) -> ColumnCut:
        return ColumnCut(column="PHASE", min=low, max=high, inverted=inverted)

    assert phase_fraction([]) == 1
    assert phase_fraction([cut(0.9, None)]) == pytest.approx(0.1)
    assert phase_fraction([cut(0.1, 0.9, inverted=True)]) == pytest.approx(0.2)
    assert phase_fraction([cut(0.1, 0.9, inverted=True), cut(0.95, 2)]) == pytest.approx(0.05)
    assert phase_fraction([cut(0.1, 0.2), cut(0.3, 0.4)]) == 0


def test_cuts_that_change_no_response_are_warned_of(observations: Any) -> None:
    inputs = {"observations": observations}
    with pytest.warns(UserWarning, match="cut of column GAMMANESS does not change the instrument"):
        run("filter-events", {"columns": {"GAMMANESS": {"min": 0.5}}}, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run("filter-events", {"energy": {"min": "1 TeV"}}, inputs)


def test_nothing_left_is_no_data(observations: Any) -> None:
    with pytest.raises(NoDataError, match="no observation has good time inside 'time'"):
        filtered(observations, time={"start": ["2020-01-01"], "stop": ["2020-01-02"]})
    with pytest.raises(NoDataError, match="no event fulfils the cuts"):
        filtered(observations, energy={"min": "1 PeV"})


def test_what_cannot_be_applied_names_what_to_change(observations: Any) -> None:
    with pytest.raises(StepError, match="observation 1: the event list has no column GAMANESS"):
        filtered(observations, columns={"GAMANESS": {"min": 0.5}})
    with pytest.raises(StepError, match="'region' or 'columns' cannot be applied") as caught:
        filtered(observations, region="icrs;circel(1,2,3)")
    assert "icrs;circle" in str(caught.value.hint)
    with pytest.raises(StepError, match="'columns': "):
        filtered(observations, columns={"ENERGY": {"min": "1 deg"}})


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, ""),
        ({"energy": {}}, ""),
        ({"outside_cone": True, "energy": {"min": "1 TeV"}}, "outside_cone"),
        ({"time": {"start": ["2020-01-02"], "stop": ["2020-01-01"]}}, "time"),
        ({"time": {"start": ["2020-01-01", "2020-01-02"], "stop": ["2020-01-03"]}}, "time"),
        ({"offset": {"min": "2 deg", "max": "1 deg"}}, "offset"),
        ({"columns": {"GAMMANESS": {}}}, "columns.GAMMANESS"),
        ({"columns": {"GAMMANESS": {"min": 2.0, "max": 1.0}}}, "columns.GAMMANESS"),
        ({"columns": {"ENERGY": {"min": "2 TeV", "max": "1000 GeV"}}}, "columns.ENERGY"),
        ({"columns": {"TIME": {"max": 100.0}}}, "columns.TIME"),
    ],
)
def test_settings_that_contradict_each_other(config: dict[str, Any], path: str) -> None:
    assert problems("filter-events", config) == {path: "GP306"}


# ---- what is stored ------------------------------------------------------------------------------


def test_parts_read_back_equal_and_have_the_same_bytes(
    observations: Any, tmp_path: Path, place: Path
) -> None:
    config = {
        "time": {"start": [FIRST, LAST], "stop": [LATER, "2003-12-27T00:20:00.123456789"]},
        "energy": {"min": "0.2 TeV"},
        "cone": {"frame": "galactic", "lon": "184.5575 deg", "lat": "-5.78 deg", "radius": "1 deg"},
        "columns": {"ENERGY": {"max": "5 TeV"}, "PHASE": {"min": 0.1}},
        "region": f"icrs;circle({RA},22.01,0.7)",
    }
    found = filtered(observations, **config)
    again = stored(found, tmp_path / "one", place)
    stored(again, tmp_path / "two", place)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    )
    del one["obs-index.fits"]  # of the datastore itself; nobody reads it
    assert one == two
    content = json.loads(one["observations.json"])
    assert content["format"] == "gpwf-observations/2"
    assert not any("/" in item["name"] for item in content["files"])
    assert [item["type"] for item in content["parts"][0]["cuts"]] == [
        *("time", "energy", "cone", "region", "column", "column")
    ]
    for before, after in zip(found, again, strict=True):
        assert before.obs_id == after.obs_id
        assert ids(before) == ids(after)
        for name in ("time_start", "time_stop", "time_ref"):
            old, new = getattr(before.gti, name), getattr(after.gti, name)
            np.testing.assert_array_equal(old.jd1, new.jd1)
            np.testing.assert_array_equal(old.jd2, new.jd2)
            assert old.scale == new.scale
        kept, read = before.obs_filter, after.obs_filter
        assert isinstance(read, EventSelection)
        assert (read.parent, read.name, len(read.cuts)) == (kept.parent, kept.name, len(kept.cuts))
        assert read.livetime_fraction == kept.livetime_fraction
        for cut, other in zip(kept.cuts, read.cuts, strict=True):
            assert type(cut) is type(other)
            for field in ("min", "max", "column", "inverted", "region", "ids", "radius"):
                assert getattr(cut, field, None) == getattr(other, field, None)
        assert kept.cuts[2].center.separation(read.cuts[2].center).deg == 0


def test_whole_observations_have_the_bytes_of_before(
    observations: Any, tmp_path: Path, place: Path
) -> None:
    stored(observations, tmp_path / "one", place)
    content = json.loads((tmp_path / "one" / "observations.json").read_text())
    assert content["format"] == "gpwf-observations/1"
    assert set(content) == {"format", "obs_ids", "files", "gpwf"}


def test_filters_of_gammapy_are_stored(observations: Any, tmp_path: Path, place: Path) -> None:
    """They were left out without a word: a function in a step `python` may return them."""
    from astropy import units as u
    from gammapy.data import ObservationFilter, Observations
    from regions import CircleSkyRegion

    from gpwf.steps.settings import SkyPosition

    center = SkyPosition.model_validate({"lon": f"{RA} deg", "lat": "22.01 deg"})
    start = observations[0].gti.time_start[0]
    observations[0].obs_filter = ObservationFilter(
        event_filters=[
            {"type": "custom", "opts": {"parameter": "GAMMANESS", "values": (0.45, 1.0)}},
            {
                "type": "sky_region",
                "opts": {"regions": CircleSkyRegion(center.skycoord, 0.205 * u.deg)},
            },
        ]
    )
    found = Observations(
        [observations[0], observations[1].select_time(start + [3600, 3700] * u.s, inverted=True)]
    )
    again = stored(found, tmp_path / "one", place)
    assert ids(again[0]) == ids(found[0]) == [*range(6, 11), *range(16, 21)]
    assert ids(again[1]) == list(range(6, 91))
    assert again[1].gti.time_sum.to_value("s") == pytest.approx(1700)


def test_a_filter_that_cannot_be_stored_is_told(observations: Any, tmp_path: Path) -> None:
    from gammapy.data import ObservationFilter

    options = {"parameter": "GAMMANESS", "values": [0.1], "is_range": False}
    observations[0].obs_filter = ObservationFilter(
        event_filters=[{"type": "custom", "opts": options}]
    )
    with pytest.raises(StoreError, match=r"observation 1: the event filter .* cannot be stored"):
        formats.write("observations", observations, tmp_path, {})


def test_repeated_ids_are_told(observations: Any, tmp_path: Path) -> None:
    """`gammapy.data.Observations.select_time` repeats them."""
    from astropy import units as u
    from astropy.time import Time

    start = observations[0].gti.time_start[0]
    intervals = [Time([start, start + 60 * u.s]), Time([start + 60 * u.s, start + 120 * u.s])]
    pieces = observations.select_time(intervals)
    assert pieces.ids == ["1", "1"]
    with pytest.raises(StoreError, match="two observations have the id 1: give each part"):
        formats.write("observations", pieces, tmp_path, {})


def test_two_runs_of_one_id_are_told(place: Path, observations: Any, tmp_path: Path) -> None:
    from gammapy.data import Observations

    other = make_datastore(tmp_path / "other", obs_ids=(1,), shift_s=7200.0)
    (tmp_path / "product").mkdir()
    both = Observations([observations[0], other[0]])
    with pytest.raises(StoreError, match="two observations in different files have the id 1"):
        formats.write("observations", both, tmp_path / "product", {})
