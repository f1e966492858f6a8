"""Parts of observations on their way to disk and back; what cannot be stored is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from observed import FIRST, LAST, LATER, RA, filtered, ids, make_datastore, stored

from gpwf.core.selections import EventSelection
from gpwf.errors import StoreError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("observed") / "store"
    make_datastore(folder)
    return folder


@pytest.fixture
def observations(place: Path) -> Any:
    from gammapy.data import DataStore

    return DataStore.from_dir(place).get_observations([1, 2], required_irf="all-optional")


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
