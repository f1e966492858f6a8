"""The step upper-limit: limits of parameters and fluxes, where the answer is known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fitted import fitted, hastened  # noqa: F401  (a fixture of this module)
from spectra import make_datasets, make_models, problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.steps.builtin.upper_limit import one_sided_delta
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

ENERGY = {"min": "1 TeV", "max": "10 TeV"}


def limit(config: dict[str, Any], **changes: Any) -> Any:
    return run("upper-limit", {"parameter": "amplitude"} | config, fitted() | changes)["limit"]


def test_the_rise_is_that_of_one_side() -> None:
    assert one_sided_delta(0.95) == pytest.approx(2.7055, rel=1e-4)
    assert one_sided_delta(0.977249868) == pytest.approx(4, rel=1e-6)


def test_the_limit_is_that_of_minos() -> None:
    from astropy import units as u
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit

    table = limit({})
    inputs = fitted()
    datasets = Datasets([item.copy(name=item.name) for item in inputs["datasets"]])
    datasets[0].mask_fit = datasets[0].counts.geom.energy_mask(energy_min=1 * u.TeV)
    datasets.models = inputs["models"].copy()
    amplitude = datasets.models["crab"].spectral_model.amplitude
    minos = Fit().confidence(datasets, amplitude, sigma=1.6448536)
    assert table["limit"][0] == pytest.approx(amplitude.value + minos["errp"], rel=1e-3)
    assert table["best"][0] == pytest.approx(amplitude.value, rel=1e-3)
    assert table.meta["parameter"] == "crab.amplitude"
    assert str(table["limit"].unit) == "1 / (TeV s cm2)"


def test_a_flux_is_proportional_to_its_amplitude(tmp_path: Path) -> None:
    table = limit({"energy": ENERGY})
    row = table[0]
    index = fitted()["models"]["crab"].spectral_model.index.value
    flux = row["limit"] * (1 - 10 ** (1 - index)) / (index - 1)
    assert row["flux_ul"] == pytest.approx(flux, rel=1e-3)
    assert row["flux_ul"] / row["flux"] == pytest.approx(row["limit"] / row["best"], rel=1e-9)
    assert row["eflux_ul"] > row["flux_ul"]  # TeV, above 1 TeV
    assert row["limit"] < limit({})["limit"][0]  # the index is kept
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        formats.write("table", table, tmp_path / name)
    back = formats.read("table", tmp_path / "one", lambda digest: tmp_path)
    assert back.meta == table.meta
    assert tuple(back[0]) == tuple(row)
    assert (tmp_path / "one/table.ecsv").read_bytes() == (tmp_path / "two/table.ecsv").read_bytes()


def nothing() -> Any:
    """Return a spectrum without a source: as many counts as background, or a little less."""
    datasets = make_datasets(0)
    for dataset in datasets:
        dataset.counts.data = 0.9 * dataset.background.data
    return datasets


def test_a_source_that_is_not_there_has_a_limit() -> None:
    models = make_models(amplitude=1e-12)
    models["crab"].spectral_model.index.frozen = True
    with pytest.warns(UserWarning, match=r"best value of crab\.amplitude is negative .* 'min: 0'"):
        free = limit({}, datasets=nothing(), models=models, fit_result=None)
    models["crab"].spectral_model.amplitude.min = 0
    bound = limit({}, datasets=nothing(), models=models, fit_result=None)
    assert free["best"][0] < 0
    assert bound["best"][0] == pytest.approx(0, abs=1e-14)
    assert 0 < free["limit"][0] < bound["limit"][0]


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"parameter": "amplitud"}, r"no parameter 'amplitud'", r"crab\.amplitude"),
        ({"parameter": "reference"}, r"crab\.reference is frozen", "frozen: false"),
        (
            {"parameter": "index", "energy": ENERGY},
            r"not proportional to crab\.index",
            r"crab\.amplitude",
        ),
    ],
)
def test_what_can_be_mended_is_said(config: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(StepError, match=message) as caught:
        limit(config)
    assert re.search(hint, caught.value.hint or "")


def test_a_bound_below_the_limit_is_an_error() -> None:
    models = fitted()["models"].copy()
    amplitude = models["crab"].spectral_model.amplitude
    amplitude.max = amplitude.value * 1.01
    with pytest.raises(StepError, match=r"crab\.amplitude reaches its max, \S+, before the limit"):
        limit({}, models=models)


def test_data_that_do_not_limit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpwf.steps.likelihoods import Likelihood

    monkeypatch.setattr(Likelihood, "optimize", lambda self, what="": self.stat)
    with pytest.raises(StepError, match=r"the data do not limit crab\.amplitude"):
        limit({})


def test_no_on_counts_limit_an_amplitude_that_is_not_negative() -> None:
    """Half the rise is expected at the limit, whatever was counted OFF."""
    datasets, models = make_datasets(0), make_models()
    datasets[0].counts.data[...] = 0
    spectrum = models[0].spectral_model
    spectrum.index.frozen, spectrum.amplitude.min = True, 0
    by_hand = datasets[0].copy(name="by-hand")
    by_hand.models = models.copy()
    signal = float(by_hand.npred_signal().data.sum()) / spectrum.amplitude.value
    inputs = {"datasets": [datasets], "models": models}
    table = run("upper-limit", {"parameter": "amplitude"}, inputs)["limit"]
    assert table["limit"][0] * signal == pytest.approx(one_sided_delta(0.95) / 2, rel=1e-3)


def test_no_counts_are_no_data() -> None:
    datasets = nothing()
    for dataset in datasets:
        dataset.counts.data *= 0
        dataset.counts_off.data *= 0
    with pytest.raises(NoDataError, match="no counts"):
        limit({}, datasets=datasets, fit_result=None)


def test_settings_are_checked() -> None:
    config = {"parameter": "amplitude"}
    assert problems("upper-limit", config | {"confidence": 0.4}) == {"confidence": "GP304"}
    assert problems("upper-limit", config | {"confidence": 1}) == {"confidence": "GP304"}
    assert problems("upper-limit", config | {"energy": {"min": "1 TeV"}}) == {"energy.max": "GP306"}
    assert problems("upper-limit", {}) == {"parameter": "GP305"}
