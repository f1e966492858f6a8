"""The step sample-posterior: with UltraNest where it is installed, else with a sampler for show."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
from fitted import fitted, hastened  # noqa: F401  (a fixture of this module)
from spectra import make_models, problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.steps.builtin import sample_posterior as module

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def sample(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = run("sample-posterior", config, fitted() | changes)
    return found


@pytest.fixture
def for_show(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let gammapy's sampler return two draws from the normal distribution of the fit."""
    from gammapy.modeling import Sampler

    seen: list[Any] = []

    def draw(self: Any, datasets: Any) -> Any:
        free = datasets.models.parameters.free_unique_parameters
        seen.append([(item.name, item.prior) for item in free])
        values = [item.value for item in free]
        errors = [item.error for item in free]
        samples = np.random.normal(values, errors, size=(50, len(values)))
        return SimpleNamespace(
            success=len(seen) < 2,
            samples=samples,
            nfev=50,
            sampler_results={
                "maximum_likelihood": {"point": values},
                "logz": -9.0,
                "logzerr": 0.1,
                "ess": 50.0,
            },
        )

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(Sampler, "run", draw)
    return seen


def test_its_version_counts_where_it_is_installed(for_show: list[Any]) -> None:
    settings = module.SamplePosteriorSettings.model_validate({})
    assert module.SamplePosteriorStep().distributions(settings)[-1] == "ultranest"


def test_samples_have_units_and_their_summary(for_show: list[Any]) -> None:
    before = np.random.get_state()[1][0]
    found = sample({"prior_width": 5})
    samples, summary = found["samples"], found["summary"]
    assert samples.colnames == ["crab.index", "crab.amplitude"]
    assert str(samples["crab.amplitude"].unit) == "1 / (TeV s cm2)"
    assert list(summary["parameter"]) == samples.colnames
    for row in summary:
        values = samples[row["parameter"]]
        assert row["mean"] == pytest.approx(values.mean())
        assert row["std"] == pytest.approx(values.std(ddof=1))
        assert row["q05"] < row["q16"] < row["q50"] < row["q84"] < row["q95"]
    assert summary.meta["log_z"] == -9
    index = fitted()["models"]["crab"].spectral_model.index
    prior = dict(for_show[0])["index"]
    assert prior.min.value == pytest.approx(index.value - 5 * index.error)
    assert prior.max.value == pytest.approx(index.value + 5 * index.error)
    assert summary.meta["priors"]["crab.index"].startswith("uniform from ")
    assert index.prior is None  # the input is left alone
    assert np.random.get_state()[1][0] == before


def test_a_sampler_that_does_not_converge_is_an_error(for_show: list[Any]) -> None:
    for_show.append(None)
    with pytest.raises(StepError, match="my-sample-posterior: the sampler did not converge"):
        sample({})


def test_a_sampler_that_stops_is_told(for_show: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from gammapy.modeling import Sampler

    def stop(self: Any, datasets: Any) -> Any:
        raise AssertionError("likelihood\n  is nan")

    monkeypatch.setattr(Sampler, "run", stop)
    with pytest.raises(StepError, match="the sampler stopped: likelihood is nan") as caught:
        sample({})
    assert "priors" in (caught.value.hint or "")


def test_bounds_and_priors_of_the_models_come_first(for_show: list[Any]) -> None:
    from gammapy.modeling.models import GaussianPrior

    models = make_models(index=2.9, amplitude=3.8e-12)
    spectrum = models["crab"].spectral_model
    spectrum.index.prior = GaussianPrior(mu=2.5, sigma=0.2)
    spectrum.amplitude.min, spectrum.amplitude.max = 0, 1e-11
    spectrum.index.error = spectrum.amplitude.error = 0
    meta = sample({}, models=models, fit_result=None)["summary"].meta
    assert meta["priors"] == {
        "crab.index": "GaussianPrior",
        "crab.amplitude": "uniform from 0 to 1e-11",
    }


def test_what_says_nothing_of_its_prior_is_named(for_show: list[Any]) -> None:
    with pytest.raises(StepError, match=r"crab\.index has no prior, no bounds and no error"):
        sample({}, models=make_models(), fit_result=None)
    frozen = make_models()
    frozen.freeze()
    with pytest.raises(StepError, match="every parameter of the models is frozen"):
        sample({}, models=frozen, fit_result=None)


def test_no_counts_are_no_data(for_show: list[Any]) -> None:
    datasets = fitted()["datasets"].copy()
    datasets[0].counts.data = 0 * datasets[0].counts.data
    datasets[0].counts_off.data = 0 * datasets[0].counts_off.data
    with pytest.raises(NoDataError, match="no counts"):
        sample({}, datasets=datasets, fit_result=None)


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StepError, match="needs the package ultranest") as caught:
        sample({})
    assert "pip install" in (caught.value.hint or "")
    settings = module.SamplePosteriorSettings.model_validate({})
    assert "ultranest" not in module.SamplePosteriorStep().distributions(settings)


def test_settings_are_checked() -> None:
    assert problems("sample-posterior", {"n_live": 3}) == {"n_live": "GP304"}
    assert problems("sample-posterior", {"frac_remain": 1}) == {"frac_remain": "GP304"}


@pytest.mark.skipif(
    importlib.util.find_spec("ultranest") is None, reason="ultranest is not installed"
)
@pytest.mark.filterwarnings("ignore")
def test_the_posterior_is_near_the_fit_and_is_the_same_again() -> None:
    one, two = (sample({"n_live": 60, "seed": 1}) for _ in range(2))
    for name in one["samples"].colnames:
        np.testing.assert_array_equal(one["samples"][name], two["samples"][name])
    for row in one["summary"]:
        parameter = fitted()["fit_result"].parameter(*row["parameter"].split("."))
        assert abs(row["mean"] - parameter.value) < parameter.error
        assert row["std"] == pytest.approx(parameter.error, rel=0.3)
    assert one["summary"].meta["log_z_error"] < 1
