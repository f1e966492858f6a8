"""The step scan-parameter: the numbers of gammapy's own scan, and what can go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fitted import fitted, hastened, run_backwards  # noqa: F401  (a fixture of this module)
from spectra import make_models, problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def scan(config: dict[str, Any], **changes: Any) -> Any:
    return run("scan-parameter", config, fitted() | changes)["profile"]


def never(digest: str) -> Path:
    raise AssertionError(digest)


def by_hand() -> Any:
    """Return datasets with the fitted models, as gammapy's user has them after a fit."""
    from astropy import units as u
    from gammapy.datasets import Datasets

    inputs = fitted()
    datasets = Datasets([dataset.copy(name=dataset.name) for dataset in inputs["datasets"]])
    for dataset in datasets:
        dataset.mask_fit = dataset.counts.geom.energy_mask(energy_min=1 * u.TeV)
    datasets.models = inputs["models"].copy()
    return datasets


@pytest.mark.parametrize("reoptimize", [True, False])
def test_a_scan_is_that_of_gammapy(reoptimize: bool) -> None:
    from gammapy.modeling import Fit

    datasets = by_hand()
    index = datasets.models["crab"].spectral_model.index
    index.scan_values = np.linspace(index.value - 0.2, index.value + 0.3, 5)
    theirs = Fit().stat_profile(datasets, index, reoptimize=reoptimize)
    low, high = float(index.scan_values[0]), float(index.scan_values[-1])
    config = {"parameter": "index", "min": low, "max": high, "n_values": 5}
    ours = scan(config | {"reoptimize": reoptimize})
    np.testing.assert_allclose(ours["value"], index.scan_values, rtol=1e-12)
    np.testing.assert_allclose(ours["stat"], theirs["stat_scan"], rtol=1e-5)
    assert ours.meta["reoptimized"] is reoptimize
    assert ("crab.amplitude" in ours.colnames) is reoptimize
    if reoptimize:
        assert str(ours["crab.amplitude"].unit) == "1 / (TeV s cm2)"
        amplitudes = [fit.parameters["amplitude"].value for fit in theirs["fit_results"]]
        np.testing.assert_allclose(ours["crab.amplitude"], amplitudes, rtol=1e-3)


def test_the_intervals_are_those_of_minos() -> None:
    from gammapy.modeling import Fit

    profile = scan({"parameter": "crab.index", "n_values": 8})
    datasets = by_hand()
    index = datasets.models["crab"].spectral_model.index
    best, first = profile.meta["best"], profile.meta["intervals"][0]
    assert best == pytest.approx(index.value, rel=1e-4)
    assert profile.meta["error"] == index.error
    minos = Fit().confidence(datasets, index)
    assert first["max"] - best == pytest.approx(minos["errp"], rel=0.03)
    assert best - first["min"] == pytest.approx(minos["errn"], rel=0.03)
    assert 0 < np.min(profile["delta_stat"]) < 1
    width = profile["value"].max() - profile["value"].min()
    assert width == pytest.approx(7 * index.error, rel=1e-3)


def test_a_value_has_its_unit_and_the_name_of_gammapy_is_understood() -> None:
    config = {"parameter": "crab.spectral.amplitude", "n_values": 3, "reoptimize": False}
    one = scan(config | {"min": "2e-12 cm-2 s-1 TeV-1", "max": "4e-12 cm-2 s-1 TeV-1"})
    two = scan(config | {"min": "2e-8 m-2 s-1 TeV-1", "max": "4e-15 cm-2 s-1 GeV-1"})
    np.testing.assert_allclose(one["value"], [2e-12, 3e-12, 4e-12], rtol=1e-12)
    np.testing.assert_allclose(one["stat"], two["stat"], rtol=1e-12)
    assert one.meta["parameter"] == "crab.amplitude"
    low = scan(
        config | {"min": "1e-12 cm-2 s-1 TeV-1", "spacing": "log", "max": "4e-12 cm-2 s-1 TeV-1"}
    )
    np.testing.assert_allclose(low["value"], [1e-12, 2e-12, 4e-12], rtol=1e-12)


def test_the_order_of_the_work_and_the_past_change_nothing(tmp_path: Path) -> None:
    """To the byte, and it reads back equal."""
    config = {"parameter": "index", "n_values": 4}
    first = scan(config)
    again = run_backwards("scan-parameter", config, fitted())["profile"]
    for name, table in (("one", first), ("two", again)):
        (tmp_path / name).mkdir()
        formats.write("table", table, tmp_path / name)
    one, two = ((tmp_path / name / "table.ecsv").read_bytes() for name in ("one", "two"))
    assert one == two
    back = formats.read("table", tmp_path / "one", never)
    assert back.meta == first.meta
    for name in first.colnames:
        np.testing.assert_array_equal(back[name], first[name])
        assert back[name].unit == first[name].unit


def test_an_end_that_is_not_reached_is_none() -> None:
    meta = scan({"parameter": "index", "n_sigma": 0.5, "n_values": 3, "reoptimize": False}).meta
    assert {item["max"] for item in meta["intervals"]} == {None}


def test_bounds_of_the_parameter_end_the_scan() -> None:
    models = fitted()["models"].copy()
    index = models["crab"].spectral_model.index
    index.max = index.value + index.error
    config = {"parameter": "index", "n_values": 3, "reoptimize": False}
    with pytest.warns(UserWarning, match=r"ends at the max of crab\.index"):
        profile = scan(config, models=models)
    assert profile["value"].max() == index.max
    with pytest.raises(StepError, match=r"'max' \(5\) lies outside the bounds of crab\.index"):
        scan(config | {"max": 5.0}, models=models)


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"parameter": "indx"}, r"no parameter 'indx'; they have crab\.index", r"crab\.index"),
        ({"parameter": "vela.index"}, r"no parameter 'vela\.index'", r"crab\.index"),
        ({"parameter": "reference"}, r"crab\.reference is frozen", "frozen: false"),
        ({"parameter": "amplitude", "min": 1.0}, "1 has no unit", "TeV-1"),
        ({"parameter": "index", "min": "1 TeV"}, "no value of crab.index", "write a number"),
        ({"parameter": "index", "min": 9.0}, "nothing between 9", "'min'"),
        ({"parameter": "index", "min": -1.0, "max": 1.0, "spacing": "log"}, "'min'", ""),
        ({"parameter": "index", "fit_range": {}}, "not that of the fit: the fit used 8", "leave"),
    ],
)
def test_what_can_be_mended_is_said(config: dict[str, Any], message: str, hint: str) -> None:
    import re

    if problems("scan-parameter", config):
        assert config["spacing"] == "log"
        return
    with pytest.raises(StepError, match=message) as caught:
        scan(config)
    assert "my-scan-parameter" in caught.value.message
    assert re.search(hint, caught.value.hint or "")


def test_models_before_the_fit_are_refused() -> None:
    with pytest.raises(StepError, match=r"no covariance: no error of crab\.index") as caught:
        scan({"parameter": "index"}, models=make_models(index=2.3), fit_result=None)
    assert "'fit'" in (caught.value.hint or "")


def test_models_away_from_the_minimum_are_refused() -> None:
    models = fitted()["models"].copy()
    models["crab"].spectral_model.index.value += 0.2
    with pytest.raises(StepError, match=r"not at the minimum .* falls from"):
        scan({"parameter": "index"}, models=models, fit_result=None)
    with pytest.raises(StepError, match="'fit_result' is not of the fit that the models are of"):
        scan({"parameter": "index"}, models=models)
    with pytest.raises(StepError, match="not at the minimum"):  # all energies, fitted above 1 TeV
        scan({"parameter": "index"}, fit_result=None)


def test_a_fit_that_fails_on_the_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from gammapy.modeling import Fit

    keep = Fit.stat_profile

    def failing(self: Any, datasets: Any, parameter: Any, reoptimize: bool = False) -> Any:
        found = keep(self, datasets, parameter, reoptimize)
        found["fit_results"][0]._success = False
        return found

    monkeypatch.setattr(Fit, "stat_profile", failing)
    with pytest.raises(StepError, match=r"at crab\.index = \S+ the fit did not converge"):
        scan({"parameter": "index", "n_values": 3})


def test_no_counts_are_no_data() -> None:
    datasets = fitted()["datasets"].copy()
    for dataset in datasets:
        dataset.counts.data = np.zeros_like(dataset.counts.data)
        dataset.counts_off.data = np.zeros_like(dataset.counts_off.data)
    with pytest.raises(NoDataError, match="no counts in the range"):
        scan({"parameter": "index"}, datasets=datasets, fit_result=None)


def test_the_range_of_the_fit_is_kept_in_its_result(tmp_path: Path) -> None:
    summary = fitted()["fit_result"]
    assert summary.fit_range == (1.0, None)
    formats.write("fit-result", summary, tmp_path)
    assert formats.read("fit-result", tmp_path, never) == summary


def test_a_profile_is_drawn_and_another_table_is_not() -> None:
    from astropy.table import Table

    profiles = [scan({"parameter": name, "n_values": 3}) for name in ("index", "amplitude")]
    figure = run("plot", {"kind": "profile", "title": "Weak $x"}, {"profile": profiles})["figure"]
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "crab.index",
        r"crab.amplitude  $[10^{-12}\,\mathrm{TeV^{-1}\,s^{-1}\,cm^{-2}}]$",
    ]
    figure = run("plot", {"kind": "profile"}, {"profile": [profiles[0]] * 2})["figure"]
    texts = [[text.get_text() for text in axes.texts if text.get_text()] for axes in figure.axes]
    assert ["1" in found for found in texts] == [True, False]  # the same parameter twice
    with pytest.raises(StepError, match="not from a step 'scan-parameter'"):
        run("plot", {"kind": "profile"}, {"profile": Table({"a": [1]})})


def test_values_with_any_unit_settle_in_one_form() -> None:
    from gpwf.steps.quantities import AnyQuantity

    assert AnyQuantity("300 GeV") == AnyQuantity("0.3 TeV") == "0.3 TeV"
    assert AnyQuantity("2 cm-2 s-1 TeV-1").quantity.unit.is_equivalent("m-2 s-1 TeV-1")
    for text, code in (("x", "GP302"), ("3 parsnip", "GP303")):
        found = problems("scan-parameter", {"parameter": "index", "min": text})
        assert found == {"min": code}
