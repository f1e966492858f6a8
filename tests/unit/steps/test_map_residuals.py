"""What models leave of maps, and shapes in energy bands: answers that are known, and failures."""

from __future__ import annotations

from typing import Any

import pytest
from spectra import make_dataset, make_models, problems, run
from test_detection import make_sky
from test_maps import make_map, make_maps, make_point

from gpwf.errors import NoDataError, StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

CIRCLE = {"correlation_radius": "0.05 deg"}  # one pixel
EDGES = {"min": "1 TeV", "max": "10 TeV", "nbins": 2}


def make_even() -> Any:
    """Return maps whose counts are the background everywhere, 2 in each pixel and bin."""
    dataset = make_map()
    dataset.counts.data[...] = 2
    return make_maps(dataset, norm=1.0)


def background_models(datasets: Any) -> Any:
    """Return models that predict the background of the datasets and nothing else."""
    from gammapy.modeling.models import Models

    return Models([model.copy(name=model.name) for model in datasets.models])


def residuals(datasets: Any, config: dict[str, Any] | None = None, **inputs: Any) -> Any:
    models = background_models(datasets)
    return run(
        "residuals", CIRCLE | (config or {}), {"datasets": [datasets], "models": models, **inputs}
    )


def test_nothing_is_left_of_counts_that_are_predicted() -> None:
    found = residuals(make_even(), {"width": None, "methods": ["diff", "diff/model"]})
    maps, row = found["maps"], found["summary"][0]
    assert list(maps) == ["counts", "npred", "diff", "diff_model", "sqrt_ts"]
    assert maps["counts"].data.shape == (1, 10, 12)
    np.testing.assert_array_equal(maps["counts"].data, 4)
    for name in ("diff", "diff_model", "sqrt_ts"):
        np.testing.assert_allclose(maps[name].data, 0, atol=1e-6)
    assert (row["counts"], row["npred"], row["chi2"], row["n_chi2"]) == (480, 480, 0, 120)
    assert (row["mean"], row["std"]) == (0, 0)
    assert found["distribution"]["n_usable"].sum() == 120
    np.testing.assert_allclose(found["spectrum"]["residual"], 0)


def test_what_is_not_predicted_is_found_where_it_is() -> None:
    sky = make_maps(norm=1.0)  # 30 more in one pixel of both bins
    found = residuals(sky, {"energy_edges": EDGES, "width": None})
    maps = found["maps"]
    place = np.unravel_index(np.argmax(maps["sqrt_ts"].data[1]), (10, 12))
    np.testing.assert_allclose(maps["diff"].data[:, *place], 30)
    np.testing.assert_allclose(maps["diff_sqrt_model"].data[:, *place], 30 / np.sqrt(2))
    assert list(found["summary"]["n_pixels"]) == [120, 120]
    np.testing.assert_allclose(found["summary"]["chi2"], 450)
    np.testing.assert_allclose(found["summary"]["max"], maps["sqrt_ts"].data[0][place])
    np.testing.assert_allclose(found["spectrum"]["counts"], 270)


def test_an_exclusion_mask_takes_pixels_out_of_the_distribution_alone() -> None:
    from gammapy.maps import Map

    sky = make_maps(norm=1.0)
    geom = sky[0].counts.geom.to_image()
    mask = Map.from_geom(geom, data=True, dtype=bool)
    place = np.unravel_index(np.argmax(sky[0].counts.data[0]), (10, 12))
    mask.data[place] = False
    found = residuals(sky, exclusion_mask=mask)
    assert found["summary"]["n_pixels"][0] == 119
    assert found["summary"]["max"][0] == pytest.approx(0, abs=1e-6)
    assert found["distribution"]["n_excluded"].sum() == 1
    assert found["maps"]["sqrt_ts"].data.max() > 5
    mask.data[...] = False
    with pytest.raises(NoDataError, match="outside of the exclusion mask"):
        residuals(sky, exclusion_mask=mask)


def test_spectra_are_those_of_a_region() -> None:
    circle = {"frame": "icrs", "lon": "83.63 deg", "lat": "22.01 deg", "radius": "0.12 deg"}
    found = residuals(make_even(), {"region": circle})
    assert 0 < found["spectrum"]["n_bins"][0] < 20
    with pytest.raises(NoDataError, match="no pixel is in 'region'"):
        residuals(make_even(), {"region": circle | {"lon": "10 deg"}})


def test_datasets_are_added_up_and_the_range_of_the_fit_is_kept() -> None:
    two = make_maps(make_map("a"), make_map("b"), norm=1.0)
    found = residuals(two, {"fit_range": {"min": "3.162 TeV"}, "width": None})
    np.testing.assert_allclose(np.median(found["maps"]["counts"].data), 4)  # one of two bins
    assert list(found["spectrum"]["dataset"]) == ["a", "b"]
    with pytest.raises(StepError, match="no bin is both in the safe range and in the fit range"):
        residuals(two, {"fit_range": {"min": "5 TeV", "max": "6 TeV"}})


def test_spectra_of_regions_have_no_residuals_on_the_sky() -> None:
    from gammapy.datasets import Datasets

    inputs = {"datasets": [Datasets([make_dataset()])], "models": make_models()}
    with pytest.raises(StepError, match="spectra of a region, not maps"):
        run("residuals", {}, inputs)


def test_significances_on_pixels_of_another_mask() -> None:
    from gammapy.maps import Map, WcsGeom

    from gpwf.steps.significances import significance_summary, usable_pixels

    energy = make_map().counts.geom.axes["energy"]
    geom = WcsGeom.create(skydir=(83, 22), width=2, binsz=0.05, axes=[energy])
    random = np.random.default_rng(1)
    sigma = Map.from_geom(geom, data=random.normal(0.2, 1.5, geom.data_shape))
    sigma.data[0, 3, 3] = np.nan
    small = WcsGeom.create(skydir=(83, 22), width=1, binsz=0.1)
    usable = usable_pixels(sigma, Map.from_geom(small, data=False, dtype=bool), "step")
    assert list(usable.reshape(2, -1).sum(axis=1)) == [1199, 1200]
    table = significance_summary(sigma, usable, correlation_radius_deg=0.1)
    np.testing.assert_allclose(table["mean"], 0.2, atol=0.15)
    np.testing.assert_allclose(table["std"], 1.5, atol=0.1)
    np.testing.assert_allclose(table["n_independent"], 95.5, atol=0.2)
    several = Map.from_geom(small.to_cube([energy]), data=True, dtype=bool)
    with pytest.raises(StepError, match="mask changes with energy"):
        usable_pixels(sigma, several, "step")


# ---- morphology ----------------------------------------------------------------------------------


def test_a_shape_that_cannot_be_tested_says_why() -> None:
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import Models, TemplateNPredModel

    sky, models = make_sky(), make_point(lat=22.01)
    inputs = {"datasets": [sky], "models": models}
    config = {"energy_edges": EDGES}
    near = {"energy_edges": {"edges": ["1 TeV", "1.1 TeV", "10 TeV"]}}  # both at one edge of a bin
    with pytest.raises(StepError, match="are narrower than"):
        run("morphology", near, inputs)
    with pytest.raises(StepError, match="no parameter of the shape of 'crab' is free"):
        run("morphology", config, {"datasets": [sky], "models": make_models()})
    with pytest.raises(StepError, match="which have no shape"):
        run("morphology", config, inputs | {"datasets": [Datasets([make_dataset()])]})
    sky[0].counts.data[1] = 0
    with pytest.raises(NoDataError, match=r"no counts between 3.16 and 10 TeV"):
        run("morphology", config, inputs)
    template = TemplateNPredModel(sky[0].counts, name="diffuse", datasets_names=sky.names)
    with pytest.raises(StepError, match="diffuse: templates of counts have no bands"):
        run("morphology", config, inputs | {"models": Models([*models, template])})
    assert problems("morphology", {}) == {"energy_edges": "GP305"}
    one = {"min": "1 TeV", "max": "10 TeV", "nbins": 1}
    assert problems("morphology", {"energy_edges": one}) == {"energy_edges": "GP306"}
    assert problems("morphology", {"energy_edges": {"edges": ["1 TeV", "9 TeV"]}}) == {
        "energy_edges": "GP306"
    }
    assert problems("morphology", {"energy_edges": {"edges": ["1 TeV", "2 TeV", "9 TeV"]}}) == {}


def test_links_between_sources_are_kept_in_every_band() -> None:
    from gpwf.steps.band_fits import Bands, _band_datasets

    sky, models = make_sky(), make_models("crab", "other")
    models["other"].spectral_model.index = models["crab"].spectral_model.index
    options = {"step": "s", "source": "crab", "shape": ("lon_0",), "norm": "amplitude"}
    edges = [1, 3.16, 10] * sky[0].counts.geom.axes["energy"].unit
    for reoptimize in (False, True):
        bands = Bands(
            datasets=sky,
            models=models,
            edges=edges,
            reoptimize=reoptimize,
            margin_deg=None,
            **options,  # type: ignore[arg-type]
        )
        found = _band_datasets(bands, 1).models
        assert found.names == ["crab-1", "other-1", f"{sky[0].name}-1-bkg"]
        crab, other = (found[name].spectral_model for name in ("crab-1", "other-1"))
        assert other.index is crab.index is not models["crab"].spectral_model.index
        assert not crab.index.frozen
        assert other.amplitude.frozen is not reoptimize
    sky[0].background.data[...] = 0  # no norm to fit of a background that is not there
    assert _band_datasets(bands, 1).models.names == ["crab-1", "other-1"]


def test_the_same_shape_in_all_bands_is_no_change() -> None:
    """Counts as a Gaussian predicts them in every band: nothing is gained by another shape."""
    from gammapy.modeling.models import GaussianSpatialModel

    sky = make_sky()
    lon, lat = sky[0].counts.geom.to_image().pix_to_coord((5.2, 4.7))
    shape = GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma="0.2 deg", frame="icrs")
    shape.sigma.min, shape.sigma.max = 0.05, 1.0
    models = make_models(spatial_model=shape, amplitude=3e-5)
    sky.models = models
    sky[0].counts.data = sky[0].npred().data
    sky.models = None
    found = run("morphology", {"energy_edges": EDGES}, {"datasets": [sky], "models": models})
    row, bands = found["summary"][0], found["bands"]
    assert row["df"] == 3
    assert row["delta_ts"] == pytest.approx(0, abs=0.01)
    assert row["p_value"] == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(bands["sigma"], 0.2, atol=0.01)
    np.testing.assert_allclose(bands["lon_0"], lon.value, atol=0.01)
    assert bands["sigma"].unit == "deg"
    assert (bands["significance"] > 10).all()
    assert shape.lon_0.error == 0  # a step never changes its inputs


@pytest.mark.parametrize("tag", ["residuals", "fit", "flux-points", "morphology"])
def test_sources_need_an_exposure(tag: str) -> None:
    sky = make_sky()
    sky[0].exposure = None
    config = {"energy_edges": EDGES} if tag == "morphology" else {}
    inputs = {"datasets": [sky], "models": make_point(lat=22.01)}
    with pytest.raises(StepError, match="dataset 'hess-1' has no exposure, so that the counts of"):
        run(tag, config, inputs)


def test_off_counts_of_rings_are_not_added_up_again() -> None:
    from gammapy.datasets import Datasets, MapDatasetOnOff
    from gammapy.maps import Map

    geom = make_map().counts.geom
    dataset = MapDatasetOnOff.from_map_dataset(
        make_map(),
        acceptance=Map.from_geom(geom, data=np.ones(geom.data_shape)),
        acceptance_off=Map.from_geom(geom, data=np.full(geom.data_shape, 300.0)),
        counts_off=Map.from_geom(geom, data=np.full(geom.data_shape, 600.0)),
        name="ring",
    )
    inputs = {"datasets": [Datasets([dataset])], "models": make_point()}
    run("residuals", {"correlate_off": False}, inputs)
    with pytest.warns(UserWarning, match="residuals: .* set 'correlate_off: false'"):
        run("residuals", {}, inputs)
