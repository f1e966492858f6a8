"""The step merge-models."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from spectra import make_datasets, make_model, make_models, problems, run

from gpwf.errors import StepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def merge(config: dict[str, Any], *models: Any, **inputs: Any) -> Any:
    return run("merge-models", config, {"models": list(models), **inputs})["models"]


def fitted(*names: str, **options: Any) -> Any:
    """Return models with a covariance."""
    models = make_models(*names, **options)
    size = len(models.parameters)
    random = np.random.default_rng(size).normal(size=(size, size)) * 1e-3
    models.covariance = random @ random.T
    return models


def test_models_are_put_together_with_their_covariance() -> None:
    one, two = fitted("a", "b"), fitted("c", index=2.1)
    merged = merge({}, one, two)
    assert merged.names == ["a", "b", "c"]
    covariance = merged.covariance.data
    np.testing.assert_allclose(covariance[:6, :6], one.covariance.data, rtol=1e-12)
    np.testing.assert_allclose(covariance[6:, 6:], two.covariance.data, rtol=1e-12)
    assert not covariance[:6, 6:].any()
    merged["c"].spectral_model.index.value = 7
    assert two["c"].spectral_model.index.value == 2.1  # inputs are left alone


def test_two_of_one_name_are_refused_with_their_origins() -> None:
    with pytest.raises(StepError, match=r"'a'.*input 1, one from input 3"):
        merge({}, fitted("a"), fitted("b"), fitted("a"))
    step = load_catalog().step("merge-models")
    settings = restore(step, settle(step, {}, base=Path("/nowhere")).settings)
    labels = {"models": ({"region": "one"}, {"region": "two"})}
    ctx = StepContext(step="all", task_id="all", work_dir=Path("/nowhere"), labels=labels)
    with pytest.raises(StepError, match=r"all: .*\(region = one\).*\(region = two\)"):
        step.run(settings, {"models": [fitted("a"), fitted("a")]}, ctx)


def test_links_make_one_parameter_of_two() -> None:
    one, two = fitted("a", "b"), fitted("c", index=2.1)
    config = {"links": [["a.index", "c.spectral.index"], ["b.amplitude", "a.amplitude"]]}
    merged = merge(config, one, two)
    spectra = [model.spectral_model for model in merged]
    assert spectra[2].index is spectra[0].index
    assert spectra[0].amplitude is spectra[1].amplitude
    assert spectra[2].index.value == 2.5
    assert len(merged.parameters.free_parameters.unique_parameters) == 4
    covariance = merged.covariance.data
    assert covariance[6, 6] == covariance[0, 0] == covariance[0, 6]
    assert covariance[6, 2] == covariance[0, 2]
    np.testing.assert_array_equal(covariance, covariance.T)


def test_a_link_of_two_names_is_refused_and_one_of_two_states_is_told() -> None:
    from gammapy.modeling.models import LogParabolaSpectralModel, Models, SkyModel

    curved = Models([SkyModel(LogParabolaSpectralModel(), name="curved")])
    # gammapy would evaluate it with a parameter that it does not have
    with pytest.raises(StepError, match=r"'links.0': curved.alpha and a.index have different"):
        merge({"links": [["a.index", "curved.alpha"]]}, fitted("a"), curved)
    one, two = fitted("a"), fitted("b")
    one["a"].spectral_model.index.frozen = True
    with pytest.warns(UserWarning, match=r"'links.0': b.index becomes frozen, as a.index is"):
        merged = merge({"links": [["a.index", "b.index"]]}, one, two)
    assert merged["b"].spectral_model.index.frozen


def test_the_same_merger_has_the_same_bytes(tmp_path: Path) -> None:
    """Labels of links are gammapy's only random part, and those of inputs are alike."""
    config = {"links": [["a.index", "b.index"], ["c.index", "d.index"]]}
    stored = []
    for number in range(2):
        first = merge({"links": [["a.reference", "b.reference"]]}, fitted("a", "b"))
        second = merge({"links": [["c.reference", "d.reference"]]}, fitted("c", "d"))
        parts = []
        for name, value in (("first", first), ("second", second)):
            folder = tmp_path / f"{name}-{number}"
            folder.mkdir()
            formats.write("models", value, folder, {})
            parts.append(formats.read("models", folder, lambda digest: Path(digest)))
        folder = tmp_path / f"all-{number}"
        folder.mkdir()
        merged = merge(config, *parts)
        formats.write("models", merged, folder, {})
        stored.append({path.name: path.read_bytes() for path in folder.iterdir()})
        again = formats.read("models", folder, lambda digest: Path(digest))
        spectra = [model.spectral_model for model in again]
        assert spectra[0].reference is spectra[1].reference
        assert spectra[2].reference is spectra[3].reference
        assert spectra[0].reference is not spectra[2].reference
        assert spectra[0].index is spectra[1].index
        np.testing.assert_array_equal(again.covariance.data, merged.covariance.data)
    assert stored[0] == stored[1]


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        (
            {"links": [["a.index", "b.amplitude"]]},
            "'links.0'.*b.amplitude is in TeV-1.*no unit",
            "",
        ),
        ({"links": [["a.index", "b.indx"]]}, "'links.0'.*no parameter 'b.indx'", "b.index"),
        (
            {"links": [["a.index", "b.index"], ["a.index", "c.index"]]},
            "'links.1': a.index is linked already, to a.index",
            "one list",
        ),
        ({"rename": {"x": "y"}}, "'rename.x': no model is called 'x'", ""),
        ({"rename": {"a": "b"}}, "two models the name b", ""),
        ({"exclude": ["aa"]}, "'exclude': no model is called 'aa'", "'a'"),
        ({"exclude": ["a", "b", "c"]}, "leaves no model", ""),
        ({"datasets_names": {"x": ["hess-1"]}}, "datasets_names.x.*no model", ""),
        ({"freeze": ["a.indx"]}, "'freeze': no parameter.*'a.indx'", "a.index"),
        ({"unfreeze": ["z*"]}, "'unfreeze': no parameter", "a.index"),
    ],
)
def test_names_that_are_not_there(config: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(StepError, match=message) as caught:
        merge(config, fitted("a", "b"), fitted("c"))
    assert hint in (caught.value.hint or "")


def test_renaming_and_leaving_out_keep_the_rest() -> None:
    one = fitted("a", "b")
    merged = merge({"rename": {"a": "b", "b": "a"}}, one, fitted("c"))
    assert merged.names == ["b", "a", "c"]
    np.testing.assert_allclose(merged.covariance.data[:6, :6], one.covariance.data, rtol=1e-12)
    merged = merge({"exclude": ["a"], "rename": {"b": "a"}}, one)
    assert merged.names == ["a"]
    np.testing.assert_allclose(merged.covariance.data, one.covariance.data[3:, 3:], rtol=1e-12)


def test_freezing_by_name_part_and_pattern() -> None:
    def free(**config: Any) -> list[str]:
        merged = merge(config, fitted("a", "b"))
        return [
            f"{model.name}.{item.name}"
            for model in merged
            for item in model.parameters.free_parameters
        ]

    assert free() == ["a.index", "a.amplitude", "b.index", "b.amplitude"]
    assert free(freeze=["*.index"]) == ["a.amplitude", "b.amplitude"]
    assert free(freeze=["a"]) == ["b.index", "b.amplitude"]
    assert free(freeze=["*.spectral"], unfreeze=["b"]) == ["b.index", "b.amplitude"]
    assert free(freeze=["*"], unfreeze=["a.spectral.index"]) == ["a.index"]


def test_datasets_bring_backgrounds_and_names_are_checked_both_ways() -> None:
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.maps import MapAxis, WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel, Models

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 1)
    geom = WcsGeom.create(npix=2, axes=[axis])
    datasets = Datasets([MapDataset.create(geom, name=name) for name in ("one", "two")])
    datasets.models = [FoVBackgroundModel(dataset_name=name) for name in datasets.names]
    own = Models([FoVBackgroundModel(dataset_name="two")])
    own[0].spectral_model.norm.value = 1.7

    merged = merge({"links": [["one-bkg.norm", "two-bkg.norm"]]}, fitted("a"), datasets=[datasets])
    assert merged.names == ["a", "one-bkg", "two-bkg"]
    assert merged["one-bkg"].spectral_model.norm is merged["two-bkg"].spectral_model.norm
    merged = merge({}, fitted("a"), own, datasets=[datasets])
    assert merged.names == ["a", "two-bkg", "one-bkg"]
    assert merged["two-bkg"].spectral_model.norm.value == 1.7
    assert datasets.models["two-bkg"].spectral_model.norm.value == 1

    for names, message in (
        ([], "model 'a' is for no dataset"),
        (["three"], "model 'a' is for datasets that are not there: three; there are one, two"),
        (["one"], "no model is for the datasets two"),
    ):
        with pytest.raises(StepError, match=message):
            merge({}, make_models("a", datasets_names=names), datasets=[datasets])
    both = {"datasets_names": {"a": ["one"], "b": ["two"]}}
    merged = merge(both, fitted("a", "b"), datasets=[datasets])
    assert [merged[name].datasets_names for name in ("a", "b")] == [["one"], ["two"]]

    with pytest.raises(StepError, match="'two-bkg': one from input 1, one from input 2"):
        merge({}, own, Models([FoVBackgroundModel(dataset_name="two")]))
    for config in ({"rename": {"two-bkg": "x"}}, {"datasets_names": {"two-bkg": ["one"]}}):
        with pytest.raises(StepError, match="two-bkg"):
            merge(config, own)


def test_a_template_of_counts_keeps_its_parts() -> None:
    """gammapy's copies lose the spatial part, and its names count it in."""
    from gammapy.maps import MapAxis, WcsNDMap
    from gammapy.modeling.models import ConstantSpatialModel, Models, TemplateNPredModel

    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 1)
    counts = WcsNDMap.create(npix=2, axes=[axis])
    template = TemplateNPredModel(
        counts,
        name="bkg",
        datasets_names=["one"],
        spatial_model=ConstantSpatialModel(value="2 sr-1"),
    )
    merged = merge({"rename": {"bkg": "b"}, "freeze": ["b.norm"]}, fitted("a"), Models([template]))
    assert merged["b"].spatial_model.value.value == 2
    assert merged["b"].spatial_model is not template.spatial_model
    assert merged["b"].spectral_model.norm.frozen
    assert not template.spectral_model.norm.frozen


def test_a_global_model_is_fitted_as_by_hand() -> None:
    """Two sources on two datasets of their own, with one index."""
    datasets = make_datasets(0, 1)
    models = [make_models("a", index=2.2), make_models("b", index=2.3)]
    config = {
        "links": [["a.index", "b.index"]],
        "datasets_names": {"a": ["hess-1"], "b": ["hess-2"]},
    }
    merged = merge(config, *models, datasets=[datasets])
    found = run("fit", {}, {"datasets": [datasets], "models": merged})

    from gammapy.modeling import Fit
    from gammapy.modeling.models import Models

    by_hand = Models(
        [
            make_model(name, datasets_names=[data])
            for name, data in (("a", "hess-1"), ("b", "hess-2"))
        ]
    )
    by_hand[1].spectral_model.index = by_hand[0].spectral_model.index
    copies = datasets.copy()
    copies.models = by_hand
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = Fit().run(copies)
    assert found["fit_result"].n_free == 3
    assert found["fit_result"].total_stat == pytest.approx(result.total_stat, abs=0.01)
    index = found["models"]["b"].spectral_model.index
    assert index is found["models"]["a"].spectral_model.index
    assert index.value == pytest.approx(
        by_hand[0].spectral_model.index.value, abs=0.1 * index.error
    )
    assert index.error == pytest.approx(by_hand[0].spectral_model.index.error, rel=1e-2)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"links": [["a.index"]]}, {"links.0": "GP306"}),
        ({"links": [["a.index", "a.index"]]}, {"links.0": "GP306"}),
        ({"datasets_names": {"a": []}}, {"datasets_names.a": "GP306"}),
        ({"rename": {"a": "c", "b": "c"}}, {"rename.a": "GP306", "rename.b": "GP306"}),
        ({"rename": {"a": " "}}, {"rename.a": "GP306"}),
    ],
)
def test_settings_that_do_not_fit(config: dict[str, Any], expected: dict[str, str]) -> None:
    assert problems("merge-models", config) == expected
