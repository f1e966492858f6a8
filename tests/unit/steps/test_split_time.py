"""The step split-time: no event lost or counted twice, ids of their own, light curves."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from observed import LENGTH_S, ids, locate_in, make_datastore
from spectra import make_datasets, make_models, problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.steps.reduction.common import dataset_names
from gpwf.store import formats

pytestmark = pytest.mark.gammapy


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observed") / "store"
    make_datastore(folder, obs_ids=(7, 12))
    return folder


@pytest.fixture
def observations(place: Path) -> Any:
    from gammapy.data import DataStore

    return DataStore.from_dir(place).get_observations([7, 12], required_irf="all-optional")


def split(observations: Any, **config: Any) -> Any:
    return run("split-time", config, {"observations": observations})["observations"]


def times(observations: Any) -> list[float]:
    return [round(float(item.gti.time_sum.to_value("s")), 6) for item in observations]


def test_pieces_have_all_events_once_and_touch(observations: Any) -> None:
    found = split(observations, width="11 min", remainder="keep")
    assert [item.obs_id for item in found] == [701, 702, 703, 1201, 1202, 1203]
    assert times(found) == [660, 660, 480] * 2
    assert [number for item in found[:3] for number in ids(item)] == list(range(1, 91))
    for one, two in pairwise(found[:3]):
        assert one.gti.time_stop[-1] == two.gti.time_start[0]
    assert dataset_names(found, None)[:2] == ["one-7-01", "one-7-02"]


def test_events_outside_of_good_time_by_rounding_stay(tmp_path: Path) -> None:
    """H.E.S.S. headers round the end of a run to a second; the last events are behind it."""
    from astropy.io import fits

    make_datastore(tmp_path, obs_ids=(3,))
    with fits.open(tmp_path / "run-3.fits", mode="update") as hdulist:
        hdulist["EVENTS"].data["TIME"][-1] = LENGTH_S + 0.7
    from gammapy.data import DataStore

    whole = DataStore.from_dir(tmp_path).get_observations([3], required_irf="all-optional")
    found = split(whole, width="10 min")
    assert ids(found[-1])[-1] == 90
    assert times(found) == [600, 600, 600]


def test_pieces_are_stored_by_reference(observations: Any, tmp_path: Path, place: Path) -> None:
    found = split(observations, width="10 min")
    summary = formats.write("observations", found, tmp_path, {})
    assert summary["n_observations"] == 6
    assert summary["n_files"] == 2
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 50_000
    again = formats.read("observations", tmp_path, locate_in(place))
    assert [ids(item) for item in again] == [ids(item) for item in found]
    assert dataset_names(again, None) == dataset_names(found, None)
    # pieces of pieces
    nested = split(again, n_pieces=2)
    assert [item.obs_id for item in nested][:3] == [70101, 70102, 70201]
    assert dataset_names(nested, None)[0] == "one-7-01-01"
    assert times(nested) == [300] * 12
    assert [number for item in nested[:6] for number in ids(item)] == list(range(1, 91))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"width": "8 min"}, [480, 480, 480, 360]),  # the last one is more than half of one
        ({"width": "7 min"}, [420, 420, 420, 540]),  # and here 2 min join what is before
        ({"width": "8 min", "min_time": "7 min"}, [480, 480, 840]),
        ({"width": "8 min", "remainder": "drop", "min_time": "7 min"}, [480, 480, 480]),
        ({"width": "2 h", "min_time": "1 min"}, [1800]),
        ({"width": "30 min"}, [1800]),
        ({"n_pieces": 4}, [450] * 4),
    ],
    ids=str,
)
def test_lengths(config: dict[str, Any], expected: list[float], observations: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = split(observations, **config)
    assert times(found) == pytest.approx(expected * 2, abs=1e-5)


def test_dropped_time_is_warned_of(observations: Any) -> None:
    with pytest.warns(UserWarning, match="shorter than 420 s of good time: 360 s of 7, 360 s of"):
        split(observations, width="8 min", remainder="drop", min_time="7 min")


def test_one_grid_for_all_observations(observations: Any) -> None:
    """The second run starts an hour after the first, in the third bin of 25 minutes."""
    found = split(observations, width="25 min", start_at="first", remainder="keep")
    assert times(found) == [1500, 300, 900, 900]
    assert [item.obs_id for item in found] == [701, 702, 1201, 1202]
    assert (found[3].gti.time_start[0] - found[0].gti.time_start[0]).to_value("s") == pytest.approx(
        4500, abs=1e-6
    )


def test_edges_leave_out_what_lies_outside(observations: Any) -> None:
    edges = ["2003-12-27T00:08:55.816", "2003-12-27T00:18:55.816", "2003-12-27T01:03:55.816"]
    found = split(observations, edges=edges)
    assert times(found) == [600, 600, 300]
    assert [ids(item)[0] for item in found] == [31, 61, 1]
    assert [ids(item)[-1] for item in found] == [60, 90, 15]


def test_an_edge_on_the_end_of_a_run_makes_no_empty_piece(observations: Any) -> None:
    """It made a piece of some ns and without events, where UTC and TT differ by rounding."""
    edges = ["2003-12-26T23:58:55.816", "2003-12-27T00:28:55.816", "2003-12-27T00:58:55.816"]
    found = split(observations, edges=[*edges, "2003-12-27T02:00:00"])
    assert times(found) == [LENGTH_S, LENGTH_S]
    assert [item.obs_id for item in found] == [701, 1201]


def test_gaps_of_good_time_stay_gaps(observations: Any, tmp_path: Path, place: Path) -> None:
    hole = {"start": ["2003-12-27T00:03:55.816"], "stop": ["2003-12-27T00:13:55.816"]}
    one = run("filter-events", {"time": hole | {"inverted": True}}, {"observations": observations})[
        "observations"
    ]
    formats.write("observations", one, tmp_path, {})
    again = formats.read("observations", tmp_path, locate_in(place))
    found = split(again, width="5 min")
    assert times(found[:4]) == [300, 300, 300, 300]  # the two bins of the hole are no pieces
    assert [number for item in found[:4] for number in ids(item)] == [
        *range(1, 16),
        *range(16, 16),
        *range(46, 91),
    ]


def test_nothing_left_is_no_data(observations: Any) -> None:
    with (
        pytest.warns(UserWarning, match="outside of 'edges': 7, 12$"),
        pytest.raises(NoDataError, match="no piece has good time enough"),
    ):
        split(observations, edges=["2020-01-01", "2020-01-02"])


def test_a_width_in_a_wrong_unit_is_a_failure(observations: Any) -> None:
    with pytest.raises(StepError, match="makes 1800000 pieces"):
        split(observations, width="1 ms")


def test_observations_outside_of_the_edges_are_named(observations: Any) -> None:
    with pytest.warns(UserWarning, match="my-split-time: outside of 'edges': 12$"):
        found = split(observations, edges=["2003-12-26T23:00:00", "2003-12-27T00:30:00"])
    assert [item.obs_id for item in found] == [701]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"width": "1 min", "n_pieces": 2},
        {"edges": ["2020-01-02", "2020-01-01"]},
        {"width": "1 min", "min_time": "2 min"},
    ],
)
def test_settings_that_contradict_each_other(config: dict[str, Any]) -> None:
    assert problems("split-time", config) == {"": "GP306"}


def test_a_light_curve_keeps_pieces_that_touch_apart() -> None:
    """Rounding made the second piece start before the first one stops, and both one point."""
    datasets = make_datasets(0.0, 0.5, 1.0)
    second = datasets[1].gti.table
    second["START"] = second["START"] - 1e-10 * _second()
    config = {"source": "crab", "selection_optional": []}
    found = run("light-curve", config, {"datasets": datasets, "models": make_models()})
    assert found["light_curve"].geom.axes["time"].nbin == 3


def test_an_interval_without_a_dataset_is_told() -> None:
    """Two intervals were asked for, and one point came without a word."""
    intervals = {
        "start": ["2020-01-01T10:00:00", "2020-01-01T19:00:00"],
        "stop": ["2020-01-01T11:00:00", "2020-01-02T12:00:00"],
    }
    config = {"source": "crab", "selection_optional": [], "time_intervals": intervals}
    inputs = {"datasets": make_datasets(0.0, 1.0), "models": make_models()}
    message = r"hold no dataset as a whole: 2020-01-01T10:00:00\.000 to 2020-01-01T11:00:00\.000$"
    with pytest.warns(UserWarning, match=message):
        found = run("light-curve", config, inputs)
    assert found["light_curve"].geom.axes["time"].nbin == 1


def _second() -> Any:
    from astropy import units as u

    return u.s
