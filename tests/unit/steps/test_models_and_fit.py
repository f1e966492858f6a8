"""The steps models and fit, on spectra whose answer is known."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest
from spectra import AMPLITUDE, INDEX, make_datasets, make_model, make_models, problems, run

from gpwf.errors import StepError
from gpwf.steps import model_types

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

PARAMETERS = [
    {"name": "index", "value": 2.3},
    {"name": "amplitude", "value": 1e-11, "unit": "cm-2 s-1 TeV-1"},
    {"name": "reference", "value": 1.0, "unit": "TeV", "frozen": True},
]


def component(**changes: Any) -> dict[str, Any]:
    spectral = {"type": "pl", "parameters": [dict(item) for item in PARAMETERS]}
    return {"name": "crab", "type": "SkyModel", "spectral": spectral} | changes


# ---- the makers' parameters ----------------------------------------------------------------------


def test_our_maker_parameters_are_those_of_gammapy() -> None:
    """Every parameter is there with gammapy's default, and no other."""
    from astropy import units as u
    from gammapy import makers

    from gpwf.steps.reduction import backgrounds
    from gpwf.steps.reduction import settings as module

    objects = {"exclusion_mask", "spectral_model", "spatial_model", "fit"}
    pairs = (
        (makers.ReflectedRegionsFinder, backgrounds.METHODS["reflected"], set()),
        (makers.FoVBackgroundMaker, backgrounds.METHODS["fov_background"], objects),
        (makers.RingBackgroundMaker, backgrounds.METHODS["ring"], objects),
        (makers.SafeMaskMaker, dict(module.SafeMaskParameters.model_validate({})), {"methods"}),
    )
    for maker, ours, left_out in pairs:
        signature = inspect.signature(maker).parameters
        assert set(ours) == set(signature) - left_out
        for name, value in ours.items():
            default = signature[name].default
            default = None if default is inspect.Parameter.empty else default
            if hasattr(value, "quantity"):
                assert u.isclose(value.quantity, u.Quantity(default), rtol=1e-12)
            else:
                assert value == default, name
    own = {name for parameters in backgrounds.METHODS.values() for name in parameters}
    assert own == set(backgrounds.BackgroundParameters.model_fields)
    methods = module.SafeMask.model_fields["methods"].annotation
    assert set(methods.__args__[0].__args__) == makers.SafeMaskMaker.available_methods
    maps = module.DatasetsSettings.model_fields["map_selection"].annotation
    assert set(maps.__args__[0].__args__[0].__args__) == set(
        makers.MapDatasetMaker.available_selection
    )
    assert set(makers.FoVBackgroundMaker.available_methods) == {"scale", "fit"}


# ---- models --------------------------------------------------------------------------------------


def test_models_from_the_workflow_and_from_a_file_are_equal(tmp_path: Path) -> None:
    import yaml

    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"components": [component()]}))
    inline = run("models", {"inline": [component()]}, {})["models"]
    file = run("models", {"file": "models.yaml"}, {}, base=tmp_path)["models"]
    assert inline.names == file.names == ["crab"]
    assert [p.value for p in inline.parameters] == [p.value for p in file.parameters]
    assert inline["crab"].spectral_model.reference.frozen


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"spectral": {"type": "power-lew", "parameters": []}}, "'crab'.*power-lew", "gallery"),
        ({"type": "SkyMadel"}, "'crab'.*SkyMadel", "gallery"),
        (
            {"spectral": {"type": "pl", "parameters": [{"name": "indx", "value": 2}]}},
            "'crab', spectral part has no parameter 'indx'",
            "'index'",
        ),
        (
            {
                "spectral": {
                    "type": "pl",
                    "parameters": [{"name": "amplitude", "value": 1, "unit": "kg"}],
                }
            },
            "'crab'",
            "",
        ),
    ],
)
def test_a_component_that_gammapy_cannot_build_is_named(
    changes: dict[str, Any], message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a gammapy that the table of model types is not of: otherwise it is found before."""
    monkeypatch.setattr(model_types, "_is_of_this_version", lambda: False)
    with pytest.raises(StepError, match=message) as caught:
        run("models", {"inline": [component(**changes)]}, {})
    assert "my-models" in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_part_without_parameters_has_those_of_its_type() -> None:
    found = run("models", {"inline": [component(spectral={"type": "pl"})]}, {})["models"]
    assert found[0].spectral_model.index.value == 2
    assert found[0].spectral_model.reference.frozen


def test_the_table_of_model_types_is_that_of_gammapy() -> None:
    """Otherwise run ``python -m gpwf.steps.model_types``."""
    import json

    assert json.loads(model_types.TABLE.read_text()) == model_types.make_table()


def test_a_background_model_may_have_no_name_as_gammapy_writes_it() -> None:
    background = {"type": "FoVBackgroundModel", "datasets_names": ["hess-1"]}
    background |= {"spectral": {"type": "PowerLawNormSpectralModel", "parameters": []}}
    found = run("models", {"inline": [component(), background]}, {})["models"]
    assert found.names == ["crab", "hess-1-bkg"]
    again = {"inline": [component(name="hess-1-bkg"), background]}
    assert problems("models", again) == {"inline.1.name": "GP304"}
    nameless = {"inline": [background | {"datasets_names": []}]}
    assert problems("models", nameless) == {"inline.0": "GP304"}


# ---- fit -----------------------------------------------------------------------------------------


def fit(config: dict[str, Any], datasets: Any, models: Any) -> Any:
    return run("fit", config, {"datasets": datasets, "models": models})


def test_the_fit_finds_what_was_put_in() -> None:
    datasets, start = make_datasets(0, 1), make_models(index=2.2, amplitude=1e-11)
    found = fit({}, datasets, start)
    summary = found["fit_result"]
    index = summary.parameter("crab", "index")
    # the data are the model's own prediction: only the minimiser's tolerance is left
    assert abs(index.value - INDEX) < 0.05 * index.error
    amplitude = summary.parameter("crab", "amplitude")
    assert abs(amplitude.value - AMPLITUDE) < 0.05 * amplitude.error
    assert amplitude.unit == "TeV-1 s-1 cm-2"
    assert summary.success
    assert summary.n_free == 2
    assert [item.name for item in summary.datasets] == ["hess-1", "hess-2"]
    assert sum(item.stat for item in summary.datasets) == pytest.approx(summary.total_stat)
    assert summary.datasets[0].n_bins == 12
    assert summary.datasets[0].counts == pytest.approx(datasets[0].counts.data.sum())
    np.testing.assert_array_equal(found["models"].covariance.data, summary.covariance)
    assert found["models"]["crab"].spectral_model.index.error == index.error


def test_several_products_are_fitted_together() -> None:
    """One product or several, in a list or not: the same datasets give the same numbers."""
    from gammapy.datasets import Datasets

    whole = make_datasets(0, 1, 2)
    parts = [Datasets([whole[0]]), Datasets([whole[1], whole[2]])]
    start = make_models(index=2.2)
    together = fit({}, parts, start)["fit_result"]
    assert [item.name for item in together.datasets] == ["hess-1", "hess-2", "hess-3"]
    assert together == fit({}, whole, start)["fit_result"]
    assert together == fit({}, [whole], start)["fit_result"]
    config = {"source": "crab", "energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 2}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # energies that moved
        one, two = (
            run("flux-points", config, {"datasets": datasets, "models": start})["flux_points"]
            for datasets in (parts, whole)
        )
    np.testing.assert_array_equal(one.norm.data, two.norm.data)
    with pytest.raises(StepError, match=r"my-fit: several inputs .* .* hess-1") as err:
        fit({}, [parts[0], whole], start)
    assert "prefix" in (err.value.hint or "")


def test_the_fit_leaves_its_inputs_alone() -> None:
    datasets, start = make_datasets(), make_models(index=2.2)
    fit({"fit_range": {"min": "1 TeV"}}, datasets, start)
    assert datasets[0].mask_fit is None
    assert datasets[0].models is None
    assert start["crab"].spectral_model.index.value == 2.2


def test_both_minimisers_agree() -> None:
    datasets, start = make_datasets(), make_models(index=2.2)
    one = fit({}, datasets, start)["fit_result"]
    two = fit({"backend": "scipy"}, datasets, start)["fit_result"]
    assert two.backend == "scipy"
    value, other = one.parameter("crab", "index"), two.parameter("crab", "index")
    assert abs(value.value - other.value) < 0.05 * value.error
    assert other.error == pytest.approx(value.error, rel=0.05)


def test_the_fit_range_is_that_of_gammapy_and_warned_of_with_both_numbers() -> None:
    datasets = make_datasets()
    with pytest.warns(UserWarning, match=r"fit_range.* 1.2 became 1\.778, 20 became 17\.78 TeV"):
        found = fit({"fit_range": {"min": "1.2 TeV", "max": "20 TeV"}}, datasets, make_models())
    from astropy import units as u

    mask = datasets[0].counts.geom.energy_mask(1.2 * u.TeV, 20 * u.TeV)
    assert found["fit_result"].datasets[0].n_bins == mask.data.sum()


def test_a_fit_range_on_the_edges_or_outside_the_axis_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit({"fit_range": {"min": "1 TeV", "max": "400 TeV"}}, make_datasets(), make_models())


def test_a_fit_range_without_bins_is_an_error() -> None:
    with pytest.raises(StepError, match=r"my-fit: no bin .*200\.0 TeV"):
        fit({"fit_range": {"min": "200 TeV"}}, make_datasets(), make_models())


def test_a_fit_that_does_not_converge_is_a_failed_step() -> None:
    models = make_models(index=4.0, amplitude=1e-14)
    with pytest.raises(StepError, match="my-fit: the fit did not converge") as caught:
        fit({"options": {"max_calls": 3}}, make_datasets(), models)
    assert "freeze" in (caught.value.hint or "")


def test_nothing_to_fit_is_an_error() -> None:
    models = make_models()
    models.freeze()
    with pytest.raises(StepError, match="every parameter of the models is frozen"):
        fit({}, make_datasets(), models)


def test_names_of_datasets_must_match_both_ways() -> None:
    datasets = make_datasets(0, 1)
    with pytest.raises(StepError, match=r"'crab' .*not there: hess-9; there are hess-1, hess-2"):
        fit({}, datasets, make_models(datasets_names=["hess-1", "hess-9"]))
    with pytest.raises(StepError, match="no model is for the datasets hess-2"):
        fit({}, datasets, make_models(datasets_names=["hess-1"]))


def test_covariance_keeps_the_order_of_the_models() -> None:
    from gammapy.modeling.models import Models

    # gammapy lists the models of the first dataset first
    models = Models(
        [
            make_model("second", datasets_names=["hess-2"], index=2.2),
            make_model("first", datasets_names=["hess-1"], amplitude=2e-11),
        ]
    )
    found = fit({}, make_datasets(0, 1), models)
    assert found["models"].names == ["second", "first"]
    summary = found["fit_result"]
    diagonal = np.sqrt(np.diag(summary.covariance))
    np.testing.assert_allclose(diagonal, [item.error for item in summary.parameters])
    free = np.ix_([0, 1, 3, 4], [0, 1, 3, 4])
    correlation = np.array(summary.covariance)[free] / np.outer(diagonal, diagonal)[free]
    np.testing.assert_allclose(np.diag(correlation), 1)
    assert abs(correlation[0, 1]) > 0.1
    np.testing.assert_allclose(correlation[:2, 2:], 0, atol=1e-4)  # fitted to different data


def test_a_parameter_at_its_bound_is_warned_of() -> None:
    models = make_models()
    models[0].spectral_model.index.min = 2.9
    models[0].spectral_model.index.value = 3
    with pytest.warns(UserWarning, match=r"ended at a bound of crab\.index \(min 2\.9\)"):
        fit({}, make_datasets(0, 1), models)


def test_a_method_that_this_scipy_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    def minimize(*args: Any, **options: Any) -> None:
        raise ValueError(f"Unknown solver {options['method']}")

    monkeypatch.setattr(scipy.optimize, "minimize", minimize)
    config = {"backend": "scipy", "options": {"method": "COBYQA"}}
    with pytest.raises(StepError, match="scipy cannot minimise: Unknown solver COBYQA") as caught:
        fit(config, make_datasets(0, 1), make_models())
    assert "options" in (caught.value.hint or "")


def test_the_methods_are_those_of_scipy_that_need_no_derivative() -> None:
    from scipy.optimize._minimize import MINIMIZE_METHODS

    from gpwf.steps.builtin.fit import FitOptions

    ours = FitOptions.model_fields["method"].annotation.__args__
    need_one = {"newton-cg", "dogleg", "trust-ncg", "trust-exact", "trust-krylov"}
    assert {item.lower() for item in ours} == set(MINIMIZE_METHODS) - need_one


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "Powell", "Nelder-Mead"])
def test_scipy_gets_the_limit_of_evaluations_by_its_own_name(method: str) -> None:
    config = {"backend": "scipy", "options": {"method": method, "max_calls": 500}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scipy warns of options that it does not know
        fit(config, make_datasets(0, 1), make_models())
