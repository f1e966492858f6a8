"""The step ``theta2`` on events whose places are known, and the figures of its tables."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from spectra import problems, run

from gpwf.errors import NoDataError, StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

SOURCE = {"lon": "10 deg", "lat": "0 deg"}


def make_observation(
    places: list[tuple[float, float]],
    pointing: tuple[float, float] = (10.0, 0.5),
    obs_id: int = 1,
    energies: float | list[float] = 2.0,
) -> Any:
    """Return what the step asks of an observation; places are (lon, lat) of events in deg."""
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from astropy.time import Time
    from gammapy.data import EventList

    lon, lat = (np.array([place[k] for place in places]) for k in (0, 1))
    table = Table({"RA": lon * u.deg, "DEC": lat * u.deg})
    table["ENERGY"] = np.broadcast_to(energies, len(places)) * u.TeV
    table["TIME"] = Time("2020-01-01", scale="tt") + np.arange(len(places)) * u.s
    center = SkyCoord(*pointing, unit="deg")
    return SimpleNamespace(
        obs_id=obs_id,
        tmid=None,
        events=EventList(table),
        get_pointing_icrs=lambda _: center,
        observation_live_time_duration=100 * u.s,
        available_irfs=[],
    )


# 8 at the source, 2 opposite to it, 1 at 0.15 deg; theta squared 0.0025, 0.0225
EVENTS = [(10.05, 0.0)] * 8 + [(10.0, 1.05)] * 2 + [(10.0, 0.15)]


def theta2(config: dict[str, Any] | None = None, *observations: Any) -> Any:
    inputs = {"observations": list(observations) or [make_observation(EVENTS)]}
    return run("theta2", {"position": SOURCE, **(config or {})}, inputs)


# ---- counts --------------------------------------------------------------------------------------


def test_events_are_counted_on_both_sides_of_the_pointing() -> None:
    made = theta2()
    table = made["distribution"]
    assert len(table) == 16
    assert table["theta2_max"].unit == "deg2"
    assert table["theta2_max"][-1] == pytest.approx(0.16)
    assert list(table["counts"][:3]) == [8, 0, 1]
    assert list(table["counts_off"][:3]) == [2, 0, 0]
    assert table["counts"].sum() == 9
    assert set(table["alpha"]) == {1.0}
    row = made["summary"][0]
    assert (row["counts"], row["counts_off"], row["excess"]) == (8, 2, 6)
    assert (row["n_observations"], row["livetime"]) == (1, 100)
    # Li & Ma 1983, equation 17
    li_ma = math.sqrt(2 * (8 * math.log(2 * 8 / 10) + 2 * math.log(2 * 2 / 10)))
    assert row["sqrt_ts"] == pytest.approx(li_ma)
    assert table.meta["cut"]["sqrt_ts"] == row["sqrt_ts"]
    assert table.meta["position"] == {"frame": "icrs", "lon": "10.0 deg", "lat": "0.0 deg"}


def test_observations_are_added_up_in_any_order() -> None:
    one, two = make_observation(EVENTS), make_observation(EVENTS[:4], (10.5, 0.0), obs_id=2)
    first, second = theta2({}, one, two), theta2({}, two, one)
    assert first["summary"]["counts"][0] == 12
    assert first["summary"]["livetime"][0] == 200
    for name in ("distribution", "summary"):
        assert first[name].meta == second[name].meta
        for column in first[name].colnames:
            np.testing.assert_array_equal(first[name][column], second[name][column])


def test_several_regions_around_the_pointing() -> None:
    # the source is below the pointing; the others are to the left, above, to the right
    places = [(10.0, 0.0)] * 6 + [(10.5, 0.5), (9.5, 0.5), (10.0, 1.0)]
    config = {"off_regions_number": 3, "theta_max": "0.2 deg"}
    row = theta2(config, make_observation(places))["summary"][0]
    assert (row["counts"], row["counts_off"]) == (6, 3)
    assert row["alpha"] == pytest.approx(1 / 3)
    assert row["excess"] == pytest.approx(5)


def test_regions_may_be_given() -> None:
    places = [(10.0, 0.0)] * 6 + [(10.5, 0.5), (9.5, 0.5), (10.0, 1.0)]
    off = [{"lon": "10.5 deg", "lat": "0.5 deg"}, {"lon": "9.5 deg", "lat": "0.5 deg"}]
    made = theta2({"positions_off": off, "theta_max": "0.2 deg"}, make_observation(places))
    row = made["summary"][0]
    assert (row["counts"], row["counts_off"], row["alpha"]) == (6, 2, 0.5)
    assert made["summary"].meta["positions_off"][0]["lon"] == "10.5 deg"


def test_energies_limit_the_events() -> None:
    observation = make_observation([(10.0, 0.0)] * 4, energies=[0.5, 1.0, 2.0, 4.0])

    def counts(**energy: str) -> int:
        return int(theta2({"energy": energy}, observation)["summary"]["counts"][0])

    assert counts(min="1 TeV", max="4 TeV") == 2  # the lower bound is included
    assert counts(min="1 TeV") == 3
    assert counts(max="1 TeV") == 1
    assert counts() == 4


def test_the_cut_need_not_be_an_edge() -> None:
    places = [(10.0, 0.03), (10.0, 0.07), (10.0, 0.09)]
    for cut, expected in (("0.05 deg", 1), ("0.08 deg", 2), ("0.4 deg", 3)):
        made = theta2({"theta_cut": cut, "nbins": 3}, make_observation(places))
        assert made["summary"]["counts"][0] == expected
        assert made["summary"]["theta_cut"].unit == "deg"


# ---- what cannot work ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "largest"),
    [({"theta_max": "0.51 deg"}, "0.5 deg"), ({"off_regions_number": 5}, "0.25 deg")],
)
def test_regions_that_overlap_are_refused(config: dict[str, Any], largest: str) -> None:
    with pytest.raises(StepError, match=r"overlap.*too near to the source: 1 \(0.50 deg\)") as got:
        theta2(config)
    assert f"'theta_max' to less than {largest}" in (got.value.hint or "")


def test_many_observations_are_not_all_listed() -> None:
    close = [make_observation(EVENTS, (10.0, 0.1 + 0.01 * n), obs_id=n) for n in range(9)]
    with pytest.raises(StepError, match=r"9 observations, the nearest 0\.10 deg"):
        theta2({}, *close)


def test_given_regions_that_overlap_are_refused() -> None:
    off = [{"lon": "10 deg", "lat": "0.7 deg"}]
    with pytest.raises(StepError, match=r"source and positions_off\.0 are 0.7 deg apart"):
        theta2({"positions_off": off})
    off = [{"lon": "10.6 deg", "lat": "0.5 deg"}, {"lon": "10.7 deg", "lat": "0.5 deg"}]
    with pytest.raises(StepError, match=r"positions_off\.0 and positions_off\.1 are 0.1 deg"):
        theta2({"positions_off": off, "theta_max": "0.2 deg"})


def test_another_acceptance_is_told() -> None:
    off = [{"lon": "10 deg", "lat": "2 deg"}]
    with pytest.warns(UserWarning, match=r"up to 1\.00 deg nearer to the pointing"):
        theta2({"positions_off": off})


def test_observations_that_do_not_see_the_source_are_left_out() -> None:
    """Their livetime does not count; gammapy fails on a source at the antipode."""
    far = make_observation(EVENTS, pointing=(190.0, 0.5), obs_id=2)
    with pytest.warns(UserWarning, match="observation 2 is left out: the source is 179.50 deg"):
        found = theta2({}, make_observation(EVENTS), far)["summary"][0]
    assert (found["counts"], found["n_observations"], found["livetime"]) == (8, 1, 100)
    with (
        pytest.warns(UserWarning, match="observation 2 is left out"),
        pytest.raises(NoDataError, match="outside the field of view of every observation"),
    ):
        theta2({}, far)


def test_a_pointing_at_the_source_has_no_smaller_theta() -> None:
    with pytest.raises(StepError, match="too near to the source") as caught:
        theta2({}, make_observation(EVENTS, pointing=(10.0, 0.0)))
    assert caught.value.hint is not None
    assert "theta_max" not in caught.value.hint


def test_nothing_is_no_data() -> None:
    with pytest.raises(NoDataError, match=r"no event within 0\.4 deg"):
        theta2({"energy": {"min": "50 TeV"}})
    with pytest.raises(NoDataError, match="no event within"):
        theta2({}, make_observation([]))
    with pytest.raises(NoDataError, match="there are no observations"):
        run("theta2", {"position": SOURCE}, {"observations": []})


def test_settings_that_clash_are_refused() -> None:
    given = {"position": SOURCE}
    assert problems("theta2", {}) == {"position": "GP305"}
    assert problems("theta2", {**given, "theta_cut": "0.5 deg"}) == {"theta_cut": "GP306"}
    config = {**given, "positions_off": [SOURCE], "off_regions_number": 2}
    assert problems("theta2", config) == {"off_regions_number": "GP306"}


# ---- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("nbins", [1, 16, 50])
def test_a_figure_of_any_number_of_bins(nbins: int) -> None:
    made = theta2({"nbins": nbins})
    figure = run("plot", {"kind": "theta2"}, {"distribution": made["distribution"]})["figure"]
    (axes,) = figure.axes
    assert axes.get_xlim() == pytest.approx((0, 0.16))
    assert axes.get_ylim()[1] > 9
    text = " ".join(item.get_text() for item in axes.get_legend().get_texts())
    assert "ON 8, OFF 2" in text
    assert r"2.0 $\sigma$" in text


def test_other_tables_are_refused() -> None:
    made = theta2()
    with pytest.raises(StepError, match="not from a step 'theta2'"):
        run("plot", {"kind": "theta2"}, {"distribution": made["summary"]})


def test_tables_are_kept_as_they_are(tmp_path: Any) -> None:
    from gpwf.store.formats import read, write

    for name, table in theta2().items():
        folder = tmp_path / name
        folder.mkdir()
        write("table", table, folder, {})
        again = read("table", folder, lambda _: tmp_path)
        assert again.meta == table.meta
        assert again.colnames == table.colnames
        for column in table.colnames:
            np.testing.assert_array_equal(again[column], table[column])
            assert again[column].unit == table[column].unit
            assert again[column].dtype == table[column].dtype
