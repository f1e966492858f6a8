"""The step goodness-of-fit: deviances whose value is known, and simulations of the best fit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from fitted import fitted, hastened, run_backwards  # noqa: F401  (a fixture of this module)
from spectra import make_datasets, make_models, problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def fit_test(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = run("goodness-of-fit", config, fitted() | changes)
    return found


def test_the_deviance_of_on_off_spectra_is_wstat() -> None:
    from scipy.stats import chi2

    found = fit_test({})
    bins, row = found["bins"], found["summary"][0]
    summary = fitted()["fit_result"]
    assert row["deviance"] == pytest.approx(summary.total_stat, rel=1e-9)
    assert row["deviance"] == pytest.approx(bins["deviance"].sum(), rel=1e-12)
    assert (row["n_bins"], row["n_free"], row["n_dof"]) == (8, 2, 6)
    assert row["reduced"] == pytest.approx(row["deviance"] / 6, rel=1e-12)
    assert row["p_chi2"] == pytest.approx(chi2.sf(row["deviance"], 6), rel=1e-12)
    assert math.isnan(row["p_simulated"])
    (dataset,) = summary.datasets
    assert bins["counts"].sum() == row["counts"] == dataset.counts
    assert bins["npred"].sum() == pytest.approx(dataset.npred, rel=1e-12)
    assert list(bins["n_bins"]) == [1] * 8
    assert bins["e_min"][0] == pytest.approx(1)
    assert str(bins["e_min"].unit) == "TeV"
    expected = (bins["counts"] - bins["npred"]) / np.sqrt(bins["npred"])
    np.testing.assert_allclose(bins["residual"], expected)
    assert "less than 5 predicted counts" in found["summary"].meta["caveats"][0]


def test_the_deviance_of_maps_is_that_of_baker_and_cousins() -> None:
    """gammapy's Cash statistic is no deviance: it is negative for many counts."""
    from gammapy.modeling.models import Models
    from test_maps import make_map, make_maps

    datasets = make_maps(make_map(counts=20.0), norm=1.0)
    datasets.models["hess-1-bkg"].spectral_model.norm.frozen = True
    models = Models(datasets.models.copy())
    inputs = {"datasets": datasets, "models": models}
    found = run("goodness-of-fit", {}, inputs)
    row = found["summary"][0]
    # one pixel of each of the two energies has 50 counts where 20 are expected, the others 20
    deviance = 2 * 2 * (20 - 50 + 50 * math.log(50 / 20))
    assert row["deviance"] == pytest.approx(deviance, rel=1e-9)
    assert row["stat"] < 0
    assert row["n_bins"] == row["n_dof"] == 2 * 12 * 10
    assert list(found["bins"]["n_bins"]) == [120, 120]
    assert list(found["bins"]["counts"]) == [2430, 2430]
    assert found["summary"].meta["caveats"] == []


def test_simulations_of_a_good_fit_are_like_the_data(tmp_path: Path) -> None:
    config = {"n_simulations": 12, "seed": 3}
    found = fit_test(config)
    row = found["summary"][0]
    simulated = found["summary"].meta["simulated_deviances"]
    assert row["n_simulations"] == len(simulated) == 12
    larger = sum(value >= row["deviance"] for value in simulated)
    assert row["p_simulated"] == pytest.approx((1 + larger) / 13)
    assert 1 < np.mean(simulated) < 8  # 6 degrees of freedom, fewer counts than for chi square
    again = run_backwards("goodness-of-fit", config, fitted())
    for port in ("summary", "bins"):
        for name, tables in (("one", found), ("two", again)):
            (tmp_path / port / name).mkdir(parents=True)
            formats.write("table", tables[port], tmp_path / port / name)
        one, two = ((tmp_path / port / name / "table.ecsv").read_bytes() for name in ("one", "two"))
        assert one == two
        back = formats.read("table", tmp_path / port / "one", lambda digest: tmp_path)
        assert back.meta == found[port].meta
        for name in back.colnames:
            np.testing.assert_array_equal(back[name], found[port][name])


def test_seeds_differ_and_data_are_left_alone() -> None:
    before = fitted()["datasets"][0].counts.data.copy()
    one, two = (
        fit_test({"n_simulations": 2, "seed": seed, "refit": False})["summary"] for seed in (1, 2)
    )
    assert one.meta["simulated_deviances"] != two.meta["simulated_deviances"]
    assert "not fitted" in one.meta["caveats"][1]
    np.testing.assert_array_equal(fitted()["datasets"][0].counts.data, before)


def test_a_wrong_model_is_found() -> None:
    """A power law of a fixed, wrong index."""
    datasets = make_datasets(0)
    models = make_models(index=1.8)
    models["crab"].spectral_model.index.frozen = True
    found = run("fit", {}, {"datasets": datasets, "models": models})
    inputs = {"datasets": datasets, **found}
    row = run("goodness-of-fit", {"n_simulations": 9, "seed": 1}, inputs)["summary"][0]
    assert row["p_chi2"] < 1e-10
    assert row["p_simulated"] == pytest.approx(0.1)  # none of nine is as bad


def test_models_away_from_the_minimum_are_refused() -> None:
    with pytest.raises(StepError, match="my-goodness-of-fit: the models are not at the minimum"):
        fit_test({}, models=make_models(index=2.0), fit_result=None)


def test_nothing_left_to_test_is_an_error() -> None:
    datasets, models = fitted()["datasets"], fitted()["models"]
    inputs = {"datasets": datasets, "models": models}
    config = {"fit_range": {"min": "1 TeV", "max": "3.162278 TeV"}}
    fit = run("fit", config, inputs)
    with pytest.raises(StepError, match="2 bins and 2 free parameters leave nothing to test"):
        run("goodness-of-fit", {}, {"datasets": datasets, **fit})


def test_fits_of_simulations_that_fail_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpwf.steps.likelihoods import Likelihood

    keep = Likelihood.optimize
    calls: list[int] = []

    def failing(self: Any, what: str = "the fit") -> float:
        calls.append(1)
        if len(calls) == 3:
            raise StepError("no")
        return keep(self, what)

    monkeypatch.setattr(Likelihood, "optimize", failing)
    with pytest.raises(StepError, match="the fits of 1 of 3 simulations did not converge"):
        fit_test({"n_simulations": 3})
    calls.clear()
    with pytest.warns(UserWarning, match="the fits of 1 of 20 simulations did not converge"):
        found = fit_test({"n_simulations": 20})
    assert found["summary"]["n_simulations"][0] == 19


def test_maps_with_measured_background_are_not_simulated() -> None:
    """Their OFF counts overlap."""

    class OnOff:
        tag, name = "MapDatasetOnOff", "ring"

        class counts:  # noqa: N801
            class geom:  # noqa: N801
                is_region = False

    from types import SimpleNamespace

    from gpwf.steps.builtin.goodness_of_fit import _simulate

    likelihood: Any = SimpleNamespace(datasets=[OnOff()])
    context: Any = SimpleNamespace(step="test")
    with pytest.raises(StepError, match="'ring' is a map with a measured OFF background"):
        _simulate(likelihood, SimpleNamespace(n_simulations=1), context)  # type: ignore[arg-type]


def test_no_counts_are_no_data() -> None:
    datasets = make_datasets(0)
    datasets[0].counts.data *= 0
    datasets[0].counts_off.data *= 0
    with pytest.raises(NoDataError, match="no counts"):
        fit_test({}, datasets=datasets, fit_result=None)


def test_settings_are_checked() -> None:
    assert problems("goodness-of-fit", {"n_simulations": -1}) == {"n_simulations": "GP304"}
    assert problems("goodness-of-fit", {"seed": -1}) == {"seed": "GP304"}
