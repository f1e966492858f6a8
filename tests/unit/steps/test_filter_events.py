"""The step filter-events: each cut, cuts of cuts, what is stored, what is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from observed import (
    FIRST,
    LAST,
    LATER,
    LENGTH_S,
    N_EVENTS,
    RA,
    filtered,
    ids,
    make_datastore,
    stored,
)
from spectra import problems, run

from gpwf.core.selections import ColumnCut, phase_fraction
from gpwf.errors import NoDataError, StepError
from gpwf.steps.reduction.maps import scale_background

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CONE = {"frame": "icrs", "lon": f"{RA} deg", "lat": "22.01 deg", "radius": "0.105 deg"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observed") / "store"
    make_datastore(folder)
    return folder


@pytest.fixture
def observations(place: Path) -> Any:
    from gammapy.data import DataStore

    return DataStore.from_dir(place).get_observations([1, 2], required_irf="all-optional")


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


def _no_good_time(hdulist: Any) -> None:
    hdulist["GTI"].data = hdulist["GTI"].data[:0]


def _no_pointing(hdulist: Any) -> None:
    del hdulist["EVENTS"].header["RA_PNT"]


def _no_event_list(hdulist: Any) -> None:
    del hdulist["EVENTS"]


@pytest.mark.parametrize(
    ("damage", "tag", "config", "message"),
    [
        (_no_good_time, "split-time", {"n_pieces": 2}, "2 has no good time that can be read"),
        (
            _no_good_time,
            "filter-events",
            {"time": {"start": [FIRST], "stop": [LAST]}},
            "2 has no good time that can be read",
        ),
        (_no_pointing, "filter-events", {"offset": {"max": "1 deg"}}, "2: .* no 'RA_PNT'"),
        (_no_event_list, "filter-events", {"energy": {"min": "1 TeV"}}, "2: its events cannot be"),
    ],
    ids=["split", "time", "pointing", "events"],
)
def test_damaged_observations_are_told(
    damage: Any, tag: str, config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    from astropy.io import fits

    observations = make_datastore(tmp_path)
    with fits.open(tmp_path / "run-2.fits", mode="update") as hdulist:
        damage(hdulist)
    with pytest.raises(StepError, match=f"my-{tag}: observation {message}"):
        run(tag, config, {"observations": observations})


def test_no_observations_are_no_data() -> None:
    from gammapy.data import Observations

    with pytest.raises(NoDataError, match="there is no observation"):
        filtered(Observations(), energy={"min": "1 TeV"})


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


def test_a_wrong_item_does_not_make_a_list_too_short() -> None:
    """It was told twice: as no time, and as a list of no items."""
    time = {"start": ["noon"], "stop": ["2020-01-01"]}
    assert problems("filter-events", {"time": time}) == {"time.start.0": "GP302"}
    assert problems("filter-events", {"time": {"start": [], "stop": []}}) == {
        "time.start": "GP304",
        "time.stop": "GP304",
    }
