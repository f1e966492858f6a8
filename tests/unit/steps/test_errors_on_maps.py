"""The steps after a fit on maps with their own background models, and with linked parameters."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from fitted import fitted, hastened, run_backwards, weak_datasets  # noqa: F401  (a fixture)
from spectra import make_model, run
from test_maps import make_map, make_maps

from gpwf.errors import StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


@lru_cache(maxsize=1)
def fitted_map() -> dict[str, Any]:
    """Return a map with a weak extended source, fitted with its background and its position."""
    from gammapy.modeling.models import (
        GaussianSpatialModel,
        Models,
        PowerLawSpectralModel,
        SkyModel,
    )

    spatial = GaussianSpatialModel(lon_0="83.63 deg", lat_0="22.01 deg", sigma="0.12 deg")
    spatial.sigma.frozen = True
    spectrum = PowerLawSpectralModel(index=2.2, amplitude="1e-12 cm-2 s-1 TeV-1")
    models = Models([SkyModel(spectrum, spatial, name="src")])
    dataset = make_map(counts=5.0)
    dataset.psf = dataset.edisp = None
    dataset.exposure.data[...] = 2e10
    dataset.models = models
    dataset.counts.data = np.random.RandomState(1).poisson(dataset.npred().data).astype(float)
    dataset.models = None
    datasets = make_maps(dataset, norm=1.0)
    datasets.models["hess-1-bkg"].spectral_model.norm.frozen = False
    return {"datasets": datasets, **run("fit", {}, {"datasets": datasets, "models": models})}


def test_a_profile_of_a_background_does_not_depend_on_what_was_before() -> None:
    config = {"parameter": "hess-1-bkg.norm", "n_values": 3, "n_sigma": 2}
    one = run("scan-parameter", config, fitted_map())["profile"]
    two = run_backwards("scan-parameter", config, fitted_map())["profile"]
    np.testing.assert_array_equal(one["stat"], two["stat"])
    assert {"src.lon_0", "src.lat_0", "src.index", "src.amplitude"} < set(one.colnames)
    assert np.argmin(one["stat"]) == 1
    np.testing.assert_allclose(one["delta_stat"][[0, 2]], 4, rtol=0.3)


def test_a_contour_of_a_position_is_round() -> None:
    config = {"pairs": [{"x": "lon_0", "y": "lat_0"}], "n_points": 8, "n_sigma": [1]}
    table = run("contours", config, fitted_map())["contours"]
    facts = table.meta["pairs"][0]
    assert str(table["src.lon_0"].unit) == "deg"
    half = np.ptp(table["src.lat_0"]) / 2
    assert half == pytest.approx(np.sqrt(2.2957) * facts["y_error"], rel=0.15)
    assert abs(facts["correlation"]) < 0.3


def test_a_map_has_a_goodness() -> None:
    found = run("goodness-of-fit", {"n_simulations": 2, "seed": 5}, fitted_map())
    row = found["summary"][0]
    assert row["n_free"] == 5
    assert row["counts"] == fitted_map()["datasets"][0].counts.data.sum()
    assert 0.7 < row["reduced"] < 1.3
    simulated = found["summary"].meta["simulated_deviances"]
    assert all(0.6 < value / row["n_dof"] < 1.4 for value in simulated)


def test_an_extension_is_tested_with_a_caveat() -> None:
    from gammapy.modeling.models import Models, PointSpatialModel, SkyModel

    gauss = fitted_map()["models"]["src"]
    position = {name: gauss.spatial_model.parameters[name].quantity for name in ("lon_0", "lat_0")}
    point = SkyModel(gauss.spectral_model.copy(), PointSpatialModel(**position), name="src")
    large = gauss.copy(name="src")
    large.spatial_model.sigma.frozen = False
    inputs = {"null_models": Models([point]), "alternative_models": Models([large])}
    inputs["datasets"] = fitted_map()["datasets"]
    table = run("compare-models", {}, inputs)["comparison"]
    assert table["n_dof"] == 1
    assert table["ts"] > 25
    caveats = table.meta["caveats"]
    assert caveats[0] == "that the models are nested was not checked with the data"
    assert caveats[1].startswith("src.sigma is at its bound under the null hypothesis")


# ---- linked parameters ---------------------------------------------------------------------------


@lru_cache(maxsize=1)
def linked() -> dict[str, Any]:
    """Return two spectra whose sources share their index."""
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import Models

    datasets = Datasets([weak_datasets()[0], weak_datasets()[0].copy(name="hess-2")])
    first, second = (
        make_model(name, index=2.8, amplitude=3e-12, datasets_names=[f"hess-{number}"])
        for number, name in ((1, "a"), (2, "b"))
    )
    second.spectral_model.index = first.spectral_model.index
    inputs = {"datasets": datasets, "models": Models([first, second])}
    found = run("fit", {"fit_range": {"min": "1 TeV"}}, inputs)
    return {"datasets": datasets, **found}


def test_a_shared_parameter_is_one_by_each_of_its_names() -> None:
    one, two = (
        run("scan-parameter", {"parameter": name, "n_values": 3}, linked())["profile"]
        for name in ("index", "b.index")
    )
    np.testing.assert_array_equal(one["stat"], two["stat"])
    assert one.meta["parameter"] == "a.index"
    assert one.colnames[3:] == ["a.amplitude", "b.amplitude"]
    # twice the same data: an error smaller by the root of two
    alone = fitted()["fit_result"].parameter("crab", "index").error
    assert one.meta["error"] == pytest.approx(alone / np.sqrt(2), rel=0.02)


def test_a_shared_parameter_is_no_pair_and_an_ambiguous_name_is_refused() -> None:
    config = {"pairs": [{"x": "a.index", "y": "b.index"}]}
    with pytest.raises(StepError, match=r"a\.index and b\.index are one parameter"):
        run("contours", config, linked())
    with pytest.raises(StepError, match="several models have a parameter 'amplitude'") as caught:
        run("upper-limit", {"parameter": "amplitude"}, linked())
    assert "a.amplitude or b.amplitude" in (caught.value.hint or "")


def test_links_are_a_null_hypothesis() -> None:
    """Of the same data twice: separate indices gain nothing."""
    from gammapy.modeling.models import Models

    pairs = (("a", "hess-1"), ("b", "hess-2"))
    start = {"index": 2.8, "amplitude": 3.6e-12}
    separate = [make_model(name, datasets_names=[dataset], **start) for name, dataset in pairs]
    config = {"fit_range": {"min": "1 TeV"}}
    inputs = {"null_models": linked()["models"], "alternative_models": Models(separate)}
    inputs["datasets"] = linked()["datasets"]
    table = run("compare-models", config, inputs)["comparison"]
    assert table["n_dof"] == 1
    assert table["ts"] == pytest.approx(0, abs=1e-2)
    assert "not checked" in table.meta["caveats"][0]
