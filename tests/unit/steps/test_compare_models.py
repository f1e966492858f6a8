"""The step compare-models: likelihood ratios of nested models, and models that are not."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from fitted import fitted, hastened  # noqa: F401  (a fixture of this module)
from spectra import make_model, make_models, problems, run

from gpwf.errors import StepError
from gpwf.steps.likelihood_ratio import p_value, sigma_of
from gpwf.steps.nesting import NotNestedError, restrictions
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def compare(null: Any, alternative: Any, weak: bool = True, **config: Any) -> Any:
    inputs = {"datasets": fitted(weak)["datasets"], "alternative_models": alternative}
    if null is not None:
        inputs["null_models"] = null
    config = {"fit_range": {"min": "1 TeV"}} | config
    return run("compare-models", config, inputs)["comparison"]


def one(kind: str, **values: float) -> Any:
    """Return models with one source that has another spectrum."""
    from gammapy.modeling.models import Model, Models, SkyModel

    spectrum = Model.create(f"{kind}SpectralModel", model_type="spectral")
    spectrum.amplitude.quantity = "3e-12 cm-2 s-1 TeV-1"
    spectrum.reference.quantity = "1 TeV"
    for name, value in values.items():
        spectrum.parameters[name].value = value
    return Models([SkyModel(spectrum, name="crab")])


@lru_cache(maxsize=1)
def usual() -> Any:
    """Return the comparison of a power law and a log parabola."""
    return compare(make_models(index=2.9, amplitude=3.8e-12), one("LogParabola", alpha=2.9))


# ---- the chance ----------------------------------------------------------------------------------


def test_chances_are_those_of_chi_square_and_of_the_known_mixtures() -> None:
    assert p_value(9, 1) == pytest.approx(0.0026998, rel=1e-4)
    assert sigma_of(9, 1) == 3
    assert sigma_of(11.829, 2) == pytest.approx(3, rel=1e-3)  # the contour of 3 sigma
    assert p_value(2.7055, 1, 1) == pytest.approx(0.05, rel=1e-4)  # one side of 1.645 sigma
    assert p_value(0, 1, 1) == 1
    mixed = 0.5 * math.erfc(math.sqrt(2)) + 0.5 * math.exp(-2)
    assert p_value(4, 2, 1) == pytest.approx(mixed, rel=1e-9)
    assert p_value(4, 2, 2) == pytest.approx(math.exp(-2), rel=1e-9)


@pytest.mark.parametrize("n_boundary", [0, 1])
def test_sigma_goes_on_where_the_chance_is_too_small_for_a_double(n_boundary: int) -> None:
    sigmas = [sigma_of(ts, 2, n_boundary) for ts in (1000, 1300, 1340, 1400, 5000)]
    assert sigmas == sorted(sigmas)
    assert sigmas[-1] == pytest.approx(math.sqrt(5000), rel=0.01)
    assert np.ptp(np.diff([sigma_of(ts, 2, n_boundary) for ts in (1320, 1330, 1340, 1350)])) < 0.01


# ---- the comparison ------------------------------------------------------------------------------


def test_a_power_law_against_a_log_parabola_is_what_two_fits_give() -> None:
    row = usual()[0]
    null, alternative = make_models(index=2.9, amplitude=3.8e-12), one("LogParabola", alpha=2.9)
    config = {"fit_range": {"min": "1 TeV"}}
    datasets = fitted()["datasets"]
    fits = [
        run("fit", config, {"datasets": datasets, "models": models})["fit_result"]
        for models in (null, alternative)
    ]
    ts = fits[0].total_stat - fits[1].total_stat
    assert row["ts"] == pytest.approx(ts, abs=2e-3)
    assert (row["n_dof"], row["null_n_free"], row["alternative_n_free"]) == (1, 2, 3)
    assert row["p_value"] == pytest.approx(p_value(row["ts"], 1), rel=1e-12)
    assert row["sigma"] == pytest.approx(math.sqrt(row["ts"]), rel=1e-12)
    assert row["delta_aic"] == pytest.approx(2 - row["ts"], abs=1e-3)
    assert row["n_bins"] == 8
    assert row["delta_bic"] == pytest.approx(math.log(8) - row["ts"], abs=1e-3)
    assert row["alternative_aic"] == pytest.approx(fits[1].total_stat + 6, abs=2e-3)


def test_gammapy_gives_the_same_ratio() -> None:
    from astropy import units as u
    from gammapy.datasets import Datasets
    from gammapy.modeling import select_nested_models

    table = compare(None, one("LogParabola", alpha=2.9), null_values={"beta": 0})
    datasets = Datasets([item.copy(name=item.name) for item in fitted()["datasets"]])
    datasets[0].mask_fit = datasets[0].counts.geom.energy_mask(energy_min=1 * u.TeV)
    datasets.models = one("LogParabola", alpha=2.9, beta=0.1)
    beta = datasets.models["crab"].spectral_model.beta
    with np.errstate(all="ignore"):
        theirs = select_nested_models(datasets, [beta], [0])
    assert table["ts"][0] == pytest.approx(theirs["ts"], abs=5e-3)
    assert table.meta["fixed_in_null"] == {"crab.beta": 0.0}
    assert table.meta["caveats"] == []


def test_the_row_is_kept_whole(tmp_path: Path) -> None:
    table = usual()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        formats.write("table", table, tmp_path / name)
    back = formats.read("table", tmp_path / "one", lambda digest: tmp_path)
    assert back.meta == table.meta
    assert tuple(back[0]) == tuple(table[0])
    assert (tmp_path / "one/table.ecsv").read_bytes() == (tmp_path / "two/table.ecsv").read_bytes()


def test_a_parameter_at_its_bound_halves_the_chance() -> None:
    alternative = one("ExpCutoffPowerLaw", index=2.9, lambda_=0.01)
    alternative["crab"].spectral_model.lambda_.min = 0
    table = compare(make_models(index=2.9, amplitude=3.8e-12), alternative)
    ts = table["ts"][0]
    assert table["p_value"][0] == pytest.approx(p_value(ts, 1, 1), rel=1e-12)
    assert "crab.lambda_ is at its bound" in table.meta["caveats"][0]


def test_a_source_that_is_not_there_has_a_caveat() -> None:
    from gammapy.modeling.models import Models

    null = make_models("crab", index=2.5, amplitude=3e-12)
    null.freeze()
    extra = make_model("extra", amplitude=1e-12)
    extra.spectral_model.amplitude.min = 0
    table = compare(null, Models([*null.copy(), extra]))
    assert table["n_dof"] == 2
    caveats = " ".join(table.meta["caveats"])
    assert "extra.amplitude is at its bound" in caveats
    assert "depends on extra.index" in caveats


def test_an_alternative_in_another_minimum_starts_again_from_the_null(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its fit alone would end above the null hypothesis."""
    from gpwf.steps.likelihoods import Likelihood

    keep = Likelihood.minimise

    def astray(self: Any, what: str = "the fit") -> None:
        keep(self, what)
        if "alternative" in what:
            self.models["crab"].spectral_model.beta.value += 3
            self.keep()

    monkeypatch.setattr(Likelihood, "minimise", astray)
    null = make_models(index=2.9, amplitude=3.8e-12)
    table = compare(null, one("LogParabola", alpha=2.9))
    assert table["ts"][0] == pytest.approx(usual()["ts"][0], abs=5e-3)


# ---- what is nested ------------------------------------------------------------------------------


def test_a_null_hypothesis_in_another_minimum_is_no_discovery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gpwf.steps.likelihoods import Likelihood

    keep = Likelihood.minimise

    def astray(self: Any, what: str = "the fit") -> None:
        keep(self, what)
        if "null" in what:
            self.models["crab"].spectral_model.index.value += 1
            self.keep()

    monkeypatch.setattr(Likelihood, "minimise", astray)
    with pytest.raises(StepError, match=r"with crab\.beta = 0 fixed, the alternative fits better"):
        compare(make_models(index=2.9, amplitude=3.8e-12), one("LogParabola", alpha=2.9))


def test_an_extension_is_nested_at_its_bound() -> None:
    from gammapy.modeling.models import GaussianSpatialModel, Models, PointSpatialModel, SkyModel

    point, gauss = (
        Models([SkyModel(make_model().spectral_model.copy(), spatial, name="crab")])
        for spatial in (PointSpatialModel(), GaussianSpatialModel(sigma="0.2 deg"))
    )
    (found,) = restrictions(point, gauss)
    assert (found.label, found.value, found.boundary, found.exact) == ("crab.sigma", 0, True, False)
    with pytest.raises(NotNestedError, match="Gaussian and Point"):
        restrictions(gauss, point)


def test_one_type_is_nested_where_less_is_free() -> None:
    null, alternative = make_models(index=2.0), make_models(index=2.4)
    null["crab"].spectral_model.index.frozen = True
    (found,) = restrictions(null, alternative)
    assert (found.label, found.value, found.boundary) == ("crab.index", 2.0, False)
    with pytest.raises(NotNestedError, match=r"crab\.index is free in the null hypothesis"):
        restrictions(alternative, null)
    with pytest.raises(NotNestedError, match="no model 'vela'"):
        restrictions(make_models("vela"), alternative)


def test_models_that_are_not_nested_are_refused_and_compared_otherwise() -> None:
    first, second = one("LogParabola", alpha=2.9), one("ExpCutoffPowerLaw", index=2.9, lambda_=0)
    with pytest.raises(StepError, match="my-compare-models: the models are not nested") as caught:
        compare(first, second)
    assert "nested: skip" in (caught.value.hint or "")
    table = compare(first, second, nested="skip")
    assert math.isnan(table["p_value"][0])
    assert not table["nested"][0]
    assert table["delta_aic"][0] == pytest.approx(-table["ts"][0])
    assert table.meta["caveats"] == ["the models are not nested: there is no likelihood ratio test"]


def test_what_only_looks_nested_is_found_with_the_data() -> None:
    """The frozen index of the alternative differs, so that it does not contain the null."""
    null, alternative = one("ExpCutoffPowerLaw"), one("ExpCutoffPowerLaw", index=4.0)
    for models in (null, alternative):
        models["crab"].spectral_model.index.frozen = True
    null["crab"].spectral_model.lambda_.frozen = True
    with pytest.raises(StepError, match=r"with crab\.lambda_ = 0\.1 fixed, the alter"):
        compare(null, alternative)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"betta": 0}, r"'null_values\.betta': the models have no parameter 'betta'"),
        ({"reference": "1 TeV"}, r"crab\.reference is frozen"),
        ({"amplitude": 0}, "0 has no unit"),
        ({"alpha": "3 TeV"}, "which has no unit"),
    ],
)
def test_values_of_the_null_hypothesis_that_are_none(values: dict[str, Any], message: str) -> None:
    with pytest.raises(StepError, match=message):
        compare(None, one("LogParabola"), null_values=values)


def test_an_alternative_with_no_more_freedom_is_refused() -> None:
    null, alternative = make_models(index=2.9), make_models(index=2.9)
    for models in (null, alternative):
        models["crab"].spectral_model.index.frozen = True
    with pytest.raises(StepError, match="has 1 free parameters, the null hypothesis 1"):
        compare(null, alternative, nested="assume")


def test_settings_are_checked() -> None:
    assert problems("compare-models", {"nested": "maybe"}) == {"nested": "GP304"}
    assert problems("compare-models", {"null_values": {"beta": "x"}}) != {}
