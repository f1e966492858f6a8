"""The step variability: gammapy's numbers where it has them, formulas where it has none."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from spectra import make_datasets, make_models, problems, run

from gpwf.errors import NoDataError
from gpwf.steps.variation import (
    Points,
    bayesian_blocks,
    constancy,
    correlation,
    excess_variance,
    fastest_change,
    point_to_point,
    structure_function,
)
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

FACTORS = (1.0, 1.3, 4.0, 2.0, 0.6, 0.9)


@pytest.fixture(scope="module")
def curve() -> Any:
    """Return a light curve of six points in two bands, one an upper limit."""
    datasets = make_datasets(*range(6))
    for factor, dataset in zip((*FACTORS[:5], 0.0), datasets, strict=True):
        background = dataset.background.data
        dataset.counts.data = np.round((dataset.counts.data - background) * factor + background)
    edges = {"edges": ["1 TeV", "10 TeV", "100 TeV"]}
    config = {"source": "crab", "energy_edges": edges}
    return run("light-curve", config, {"datasets": datasets, "models": make_models()})[
        "light_curve"
    ]


def measure(curve: Any, **config: Any) -> Any:
    return run("variability", config, {"light_curve": curve})


def points(flux: Any, error: Any, time: Any = None) -> Points:
    flux = np.asarray(flux, dtype=float)
    time = np.arange(len(flux)) / 24 if time is None else np.asarray(time, dtype=float)
    error = np.broadcast_to(np.asarray(error, dtype=float), flux.shape)
    return Points(time=time, start=time - 0.01, stop=time + 0.01, flux=flux, error=error)


def test_numbers_are_those_of_gammapy(curve: Any) -> None:
    from gammapy.estimators.utils import (
        compute_lightcurve_doublingtime,
        compute_lightcurve_fpp,
        compute_lightcurve_fvar,
    )

    table = measure(curve)["variability"]
    assert list(table["n_points"]) == [6, 6]
    assert list(table["n_left_out"]) == [0, 0]
    np.testing.assert_allclose(table["e_min"], curve.geom.axes["energy"].edges.value[:2])
    theirs = compute_lightcurve_fvar(curve)
    for column in ("fvar", "fvar_err"):
        np.testing.assert_allclose(table[column], theirs[column].squeeze(), rtol=1e-10)
    # gammapy leaves out the 1/2 of the mean squared difference
    noise = np.mean(curve.flux_err.data.squeeze() ** 2, axis=0) / np.array(table["mean"]) ** 2
    squared = compute_lightcurve_fpp(curve)["fpp"].squeeze() ** 2 + noise
    np.testing.assert_allclose(table["fpp"], np.sqrt(squared / 2 - noise), rtol=1e-10)
    with np.errstate(invalid="ignore"):  # the logarithm of a flux below 0
        theirs = compute_lightcurve_doublingtime(curve)
    for ours, name in (("doubling", "doubling"), ("halving", "halving")):
        time = theirs[f"{name}time"].quantity.squeeze()
        for band in range(2):
            if table[f"{ours}_time"][band] != pytest.approx(time[band].to_value("d"), rel=1e-6):
                # gammapy takes pairs of fluxes below 0 for changes too
                assert (curve.flux.data[:, band] <= 0).any()
    assert table["doubling_time"][0] == pytest.approx(time_of(curve, 1, 2), rel=1e-4)
    assert table["doubling_mjd"][0] == pytest.approx(
        curve.geom.axes["time"].time_mid[1].utc.mjd, abs=1e-6
    )
    assert table["mean"].unit == "cm-2 s-1"
    assert table["excess_variance"].unit == "cm-4 s-2"
    assert table["doubling_time"].unit == "d"


def time_of(curve: Any, one: int, two: int) -> float:
    flux = curve.flux.data[:, 0, 0, 0]
    return float(math.log(2) / math.log(flux[two] / flux[one]) / 24 * (two - one))


def test_a_constant_is_fitted_with_errors() -> None:
    """By hand: mean 2.0 of 1, 3 with errors 1, 1 and chi2 = 2 of one degree of freedom."""
    found = constancy(points([1, 3], 1))
    assert (found.mean, found.mean_err, found.chi2, found.ndf) == pytest.approx(
        (2, math.sqrt(0.5), 2, 1)
    )
    assert found.p_value == pytest.approx(0.15729920705)
    assert found.significance == pytest.approx(1.0056, abs=1e-3)


@pytest.mark.parametrize(("chi2", "ndf"), [(1150.0, 5), (1190.0, 60), (1300.0, 61), (4000.0, 1)])
def test_significances_beyond_the_smallest_number(chi2: float, ndf: int) -> None:
    """The logarithm of the probability goes on smoothly where scipy's ends, at 1e-308."""
    from gpwf.steps.variation import _log_chi2_sf

    low, high = _log_chi2_sf(chi2 - 1, ndf), _log_chi2_sf(chi2, ndf)
    slope = -0.5 + (ndf / 2 - 1) / chi2  # of the leading term x^(k/2 - 1) exp(-x/2)
    assert high - low == pytest.approx(slope, rel=5e-3)
    if ndf == 1:  # exactly erfc(sqrt(chi2 / 2)); asymptotic series to the second order
        x = chi2 / 2
        series = -x - 0.5 * math.log(math.pi * x) + math.log1p(-1 / (2 * x) + 3 / (4 * x * x))
        assert high == pytest.approx(series, rel=1e-9)


def test_points_that_scatter_less_than_their_errors_vary_by_nothing(curve: Any) -> None:
    """gammapy takes the absolute value: a very steady source is as variable as a flare."""
    found = excess_variance(points([2, 2.1, 1.9, 2], 1))
    assert found["excess_variance"] == pytest.approx(0.02 / 3 - 1)
    assert found["fvar"] == 0
    assert 0 < found["fvar_err"] < 1


def test_white_noise_varies_from_point_to_point_as_it_does_at_all() -> None:
    """gammapy's formula lacks 1/2 and takes the errors of a steady source for variability."""
    random = np.random.default_rng(1)
    error, spread = 0.1, 0.3
    noise = random.normal(10, error, 20_000)
    steady = points(noise, error)
    # 3 standard deviations: the variance of n normal numbers is known to sqrt(2 / n)
    limit = 3 * error**2 * math.sqrt(4 / 20_000)
    assert point_to_point(steady)["fpp"] ** 2 < limit / 10**2
    varying = points(noise + random.normal(0, spread, 20_000), error)
    assert point_to_point(varying)["fpp"] == pytest.approx(spread / 10, rel=0.03)
    assert excess_variance(varying)["fvar"] == pytest.approx(spread / 10, rel=0.03)


@pytest.mark.parametrize("flux", [[0, 0, 0], [-1, 1, -2]])
def test_a_mean_that_is_not_positive_has_no_fraction(flux: list[float]) -> None:
    """It ended in a division by zero where nothing was counted."""
    found = excess_variance(points(flux, 1)) | point_to_point(points(flux, 1))
    assert all(math.isnan(found[name]) for name in ("nxs", "fvar", "fvar_err", "fpp", "fpp_err"))
    assert math.isfinite(found["excess_variance"])


def test_fluxes_below_zero_have_no_structure_function(curve: Any) -> None:
    changed = curve.copy()
    changed._data["norm"].data *= -1
    changed._data["norm"].data[-1] = -1  # that of an upper limit was below 0
    with pytest.raises(NoDataError, match="no two points of a band have a flux above 0"):
        measure(changed, selection_optional=["structure-function"])


def test_a_time_that_no_two_points_give_is_not_a_number() -> None:
    """gammapy names that of the first pair, whatever it does."""
    falling = points([8, 4, 2, 1], 0.1)
    assert math.isnan(fastest_change(falling, rising=True).time)
    halving = fastest_change(falling, rising=False)
    assert halving.time == pytest.approx(1 / 24)
    assert halving.at == 0
    negative = points([1, -1, 2], 0.1)
    assert math.isnan(fastest_change(negative, rising=True).time)


def test_the_significance_of_a_change() -> None:
    rising = points([1, 2, 3, 9], [2, 0.5, 0.1, 0.1])
    assert fastest_change(rising, rising=True).at == pytest.approx(2 / 24)
    steady = points([1, 4, 5], [2, 2, 0.1])
    assert fastest_change(steady, rising=True).at == 0
    assert math.isnan(fastest_change(steady, rising=True, min_sigma=3).time)


def test_the_structure_function_is_that_of_gammapy() -> None:
    from astropy import units as u
    from gammapy.stats import structure_function as theirs

    found = points(FACTORS, 0.3)
    expected, lags = theirs(found.flux, found.error, found.time * u.d)
    rows = structure_function(found, 1 / 24)
    assert [row["n_pairs"] for row in rows] == [5, 4, 3, 2, 1]
    np.testing.assert_allclose([row["lag"] for row in rows], lags.value, atol=1e-5)
    np.testing.assert_allclose([row["sf"] for row in rows], expected, rtol=1e-9)
    np.testing.assert_allclose([row["noise"] for row in rows], 0.18)


def test_the_correlation_is_that_of_gammapy() -> None:
    from astropy import units as u
    from gammapy.stats import discrete_correlation

    one, two = points(FACTORS, 0.1), points(np.roll(FACTORS, 1), 0.2)
    day = u.d
    bins, expected, errors = discrete_correlation(
        *(one.flux, one.error, two.flux, two.error, one.time * day, two.time * day),
        tau=1.9 / 24 * day,
    )
    rows = correlation(one, two, 1.9 / 24)
    assert sum(row["n_pairs"] for row in rows) == 36
    np.testing.assert_allclose([row["lag"] for row in rows], bins.to_value("d"))
    np.testing.assert_allclose([row["dcf"] for row in rows], expected.ravel())
    np.testing.assert_allclose([row["dcf_err"] for row in rows], errors.ravel())
    assert correlation(points([1, 1.1, 0.9], 1), one, None) == []


def test_bands_are_correlated_with_each_other(curve: Any) -> None:
    found = measure(curve, selection_optional=["correlation"])["correlation"]
    pairs = {(row["e_min"], row["e_min_2"]) for row in found}
    assert {(round(one), round(two)) for one, two in pairs} == {(1, 1), (1, 10), (10, 10)}
    assert found["lag"].unit == "d"
    changed = curve.copy()
    changed._data["norm_err"].data[...] = 100
    with pytest.raises(NoDataError, match="no band varies by more than its errors"):
        measure(changed, selection_optional=["correlation"])


def test_blocks_find_the_step() -> None:
    found = points([1.0] * 10 + [5.0] * 10, 0.2)
    rows = bayesian_blocks(found, 0.01)
    assert [row["n_points"] for row in rows] == [10, 10]
    assert [row["flux"] for row in rows] == pytest.approx([1, 5])
    assert rows[0]["flux_err"] == pytest.approx(0.2 / math.sqrt(10))
    assert (rows[0]["start"], rows[1]["stop"]) == pytest.approx((-0.01, 19 / 24 + 0.01))
    assert len(bayesian_blocks(points([1.0] * 20, 0.2), 0.01)) == 1


def test_all_tables_are_stored(curve: Any, tmp_path: Path) -> None:
    config = {"selection_optional": ["structure-function", "blocks"], "lag_width": "2 h"}
    once, twice = measure(curve, **config), measure(curve, **config)
    assert list(once) == ["variability", "structure_function", "blocks"]
    for name, table in once.items():
        made = []
        for number, item in enumerate((table, twice[name])):
            folder = tmp_path / f"{name}-{number}"
            folder.mkdir()
            formats.write("table", item, folder, {"GPWFKEY": "0" * 64})
            made.append((folder / "table.ecsv").read_bytes())
        assert made[0] == made[1]
        again = formats.read("table", folder, lambda digest: Path(digest))
        assert again.colnames == table.colnames
        for column in table.colnames:
            np.testing.assert_array_equal(again[column], table[column])
            assert again[column].unit == table[column].unit
    assert list(once["structure_function"]["n_pairs"][:2]) == [7, 3]  # not that below 0


def test_upper_limits_are_used_or_dropped(curve: Any) -> None:
    table = measure(curve)["variability"]
    dropped = measure(curve, upper_limits="drop")["variability"]
    assert table["n_upper_limits"][0] == dropped["n_left_out"][0] == 1
    assert dropped["n_points"][0] == 5
    assert dropped["mean"][0] > table["mean"][0]


def test_points_without_an_error_are_left_out(curve: Any) -> None:
    changed = curve.copy()
    changed._data["norm_err"].data[2, 0] = np.nan
    changed._data["norm_err"].data[3, 0] = 0
    with pytest.warns(UserWarning, match="from 1 to 10 TeV: left out of 6 points .*: 2$"):
        table = measure(changed)["variability"]
    assert list(table["n_points"]) == [4, 6]
    assert np.isfinite(table["fvar"]).all()


def test_a_band_of_one_point_has_no_numbers(curve: Any) -> None:
    changed = curve.copy()
    changed._data["norm_err"].data[1:, 1] = np.nan
    with pytest.warns(UserWarning, match="from 10 to 100 TeV: too few points to compare: 1"):
        found = measure(changed, selection_optional=["blocks"])
    assert list(found["variability"]["n_points"]) == [6, 1]
    assert np.isnan(found["variability"]["fvar"][1])
    assert set(found["blocks"]["e_min"]) == {found["variability"]["e_min"][0]}


@pytest.mark.parametrize(("kept", "what"), [(1, "one point"), (0, "no point with a flux")])
def test_one_point_is_no_data(kept: int, what: str, curve: Any) -> None:
    changed = curve.copy()
    changed._data["norm_err"].data[kept:] = np.nan
    with (
        pytest.warns(UserWarning, match="too few points"),
        pytest.raises(NoDataError, match=f"the light curve has {what}") as caught,
    ):
        measure(changed)
    assert "split-time" in str(caught.value.hint)


def test_settings_without_a_meaning() -> None:
    assert problems("variability", {"lag_width": "1 h"}) == {"lag_width": "GP306"}
