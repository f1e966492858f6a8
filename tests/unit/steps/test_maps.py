"""Steps on maps whose answer is known, without data: positions, stacking, background models."""

from __future__ import annotations

import math
from typing import Any

import pytest
from spectra import make_models, problems, run

from gpwf.errors import StepError
from gpwf.steps.registry import load_catalog

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

EDGES = {"min": "1 TeV", "max": "10 TeV", "nbins": 2}


def make_map(name: str = "hess-1", shift: tuple[int, int] = (0, 0), counts: float = 2.0) -> Any:
    """Return a map of 12 x 10 pixels that lies some pixels beside that of the others.

    Counts are as many as the background everywhere, and 30 more in one pixel of the sky.
    """
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from gammapy.data import GTI
    from gammapy.datasets import MapDataset
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 3, name="energy_true")
    large = WcsGeom.create(skydir=(83.63, 22.01), binsz=0.1, npix=(40, 40), axes=[energy])
    center = large.to_image().pix_to_coord((19.5 + shift[0], 19.5 + shift[1]))
    reference = MapDataset.create(large, energy_axis_true=true, binsz_irf=0.2)
    position, width = SkyCoord(*center, frame="icrs"), (1.2, 1.0) * u.deg
    dataset = reference.cutout(position, width=width, name=name)
    dataset.counts.data += counts
    dataset.background.data += counts
    dataset.exposure.data += 1e9
    dataset.mask_safe.data[...] = True
    dataset.gti = GTI.create([0] * u.s, [1800] * u.s)
    lon, lat = (np.repeat(value, 2) for value in large.to_image().pix_to_coord((20, 20)))
    coords = {"lon": lon, "lat": lat, "energy": energy.center}
    dataset.counts.fill_by_coord(coords, np.array([30, 30]))
    return dataset


def make_maps(*datasets: Any, norm: float | None = None) -> Any:
    """Return datasets; with a norm, each has a background model of its own."""
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import FoVBackgroundModel, Models

    found = Datasets(list(datasets) or [make_map()])
    if norm is not None:
        models = [FoVBackgroundModel(dataset_name=name) for name in found.names]
        for model in models:
            model.spectral_model.norm.value = norm
        found.models = Models(models)
    return found


# ---- positions -----------------------------------------------------------------------------------


def make_point(lat: float = 60.0, **options: Any) -> Any:
    from gammapy.modeling.models import Models, PointSpatialModel, PowerLawSpectralModel, SkyModel

    point = PointSpatialModel(lon_0="10 deg", lat_0=f"{lat} deg", **options)
    return Models([SkyModel(PowerLawSpectralModel(), point, name="point")])


def test_free_positions_are_bound_around_their_start() -> None:
    from gpwf.steps.positions import bound_positions

    models = make_point()
    bound_positions(models, 0.5)
    lon, lat = (models[0].spatial_model.parameters[name] for name in ("lon_0", "lat_0"))
    assert (lat.min, lat.max, lat.error) == pytest.approx((59.5, 60.5, 0.01))
    # the same way on the sky is twice as many degrees of longitude at 60 deg
    assert (lon.min, lon.max, lon.error) == pytest.approx((9, 11, 0.02))


def test_bounds_that_are_there_are_kept() -> None:
    from gpwf.steps.positions import bound_positions

    models = make_point()
    point = models[0].spatial_model
    point.lon_0.min, point.lon_0.error = 9.9, 0.3
    point.lat_0.frozen = True
    bound_positions(models, 0.5)
    assert (point.lon_0.min, point.lon_0.max, point.lon_0.error) == pytest.approx((9.9, 11, 0.3))
    assert (point.lat_0.min, point.lat_0.max) == (-90, 90)


def test_positions_in_radian_are_bound_too() -> None:
    from gpwf.steps.positions import bound_positions

    models = make_point()
    latitude = models[0].spatial_model.lat_0
    latitude.unit, latitude.value = "rad", math.radians(60)
    latitude.min, latitude.max = -math.pi / 2, math.pi / 2
    bound_positions(models, 0.5)
    assert latitude.min == pytest.approx(math.radians(59.5))
    assert latitude.max == pytest.approx(math.radians(60.5))


def test_spectra_and_backgrounds_have_no_position() -> None:
    from gpwf.steps.positions import bound_positions

    models = make_models("crab")
    bound_positions([*models, *make_maps(norm=1.0).models], 0.5)
    assert models["crab"].spectral_model.index.error == 0


# ---- background models of datasets ---------------------------------------------------------------


def test_copies_keep_background_models_of_their_own() -> None:
    from gpwf.steps.attach import copy_datasets

    datasets = make_maps(norm=0.8)
    copies = copy_datasets(datasets)
    assert copies.models.names == ["hess-1-bkg"]
    assert copies.models[0] is not datasets.models[0]
    assert copies[0].npred_background().data.max() == pytest.approx(1.6)


def test_a_background_model_of_the_user_comes_first() -> None:
    from gammapy.modeling.models import FoVBackgroundModel, Models

    from gpwf.steps.attach import attach_models

    datasets = make_maps(make_map("a"), make_map("b"), norm=0.8)
    mine = FoVBackgroundModel(dataset_name="b", name="mine")
    attached, models = attach_models(datasets, Models([*make_models("crab"), mine]), "step")
    assert models.names == ["crab", "b-bkg", "a-bkg"]  # gammapy's copies have its own name
    assert [item.background_model.parameters["norm"].value for item in attached] == [0.8, 1]
    assert attached["a"].models.names == ["crab", "a-bkg"]
    assert datasets["b"].models.names == ["b-bkg"]


def test_a_background_model_alone_does_not_hide_that_no_source_is_meant() -> None:
    from gpwf.steps.attach import attach_models

    datasets = make_maps(make_map("a"), make_map("b"), norm=1.0)
    with pytest.raises(StepError, match="no model is for the datasets b"):
        attach_models(datasets, make_models("crab", datasets_names=["a"]), "step")


# ---- stacking and excess -------------------------------------------------------------------------


def test_maps_beside_each_other_are_added_on_one_that_covers_both() -> None:
    from gpwf.steps.stacking import stack_maps

    datasets = make_maps(make_map("a"), make_map("b", shift=(4, -2)), norm=0.5)
    total = stack_maps(datasets, "sum", "step")
    assert total.counts.geom.data_shape == (2, 12, 16)
    assert total.counts.data.sum() == sum(item.counts.data.sum() for item in datasets)
    assert total.background.data.sum() == pytest.approx(0.5 * 2 * 2 * 2 * 120)
    peak = np.unravel_index(np.argmax(total.counts.data[0]), (12, 16))
    lon, lat = total.counts.geom.to_image().pix_to_coord(peak[::-1])
    assert (lon.value, lat.value) == pytest.approx((83.58, 22.06), abs=0.06)
    assert total.counts.data.max() == 64  # both have 2 + 30 in the same pixel of the sky
    assert not total.models


def test_excess_is_what_is_above_the_background_of_the_datasets() -> None:
    config = {"correlation_radius": "0.05 deg", "energy_edges": EDGES}
    plain = run("excess-map", config, {"datasets": [make_maps()]})["flux_maps"]
    assert plain.npred_excess.data.max() == pytest.approx(30)
    assert np.median(plain.npred_excess.data) == pytest.approx(0)
    scaled = run("excess-map", config, {"datasets": [make_maps(norm=0.5)]})["flux_maps"]
    assert np.median(scaled.npred_excess.data) == pytest.approx(1)


def test_one_map_of_all_energies_where_no_edges_are_given() -> None:
    found = run("excess-map", {"correlation_radius": "0.05 deg"}, {"datasets": [make_maps()]})
    assert found["flux_maps"].npred_excess.data.shape == (1, 10, 12)
    assert found["flux_maps"].npred_excess.data.max() == pytest.approx(60)


def test_excess_map_asks_for_models_only_to_subtract_them() -> None:
    catalog = load_catalog()

    def ports(config: dict[str, Any]) -> list[tuple[str, bool]]:
        return [(port.name, port.multiple) for port in catalog.inputs("excess-map", config)]

    assert ports({}) == [("datasets", True)]
    assert ports({"subtract_models": True}) == [("datasets", True), ("models", False)]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, {}),
        ({"energy_edges": EDGES, "parameters": {"n_sigma_sensitivity": 3}}, {}),
        ({"correlation_radius": "0 deg"}, {"correlation_radius": "GP304"}),
        ({"correlation_radius": "1 TeV"}, {"correlation_radius": "GP303"}),
        ({"energy_edges": EDGES | {"min": "20 TeV"}}, {"energy_edges": "GP306"}),
        ({"selection_optional": ["uls"]}, {"selection_optional.0": "GP304"}),
        ({"parameters": {"n_sigma_sensitivty": 3}}, {"parameters.n_sigma_sensitivty": "GP301"}),
    ],
)
def test_settings_of_excess_maps_are_checked(config: dict[str, Any], found: dict[str, str]) -> None:
    assert problems("excess-map", config) == found


# ---- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("nbins", [1, 2])
def test_significance_is_drawn_per_energy_bin(nbins: int) -> None:
    config = {"correlation_radius": "0.05 deg", "energy_edges": EDGES | {"nbins": nbins}}
    flux_maps = run("excess-map", config, {"datasets": [make_maps()]})["flux_maps"]
    settings = {"kind": "significance-map", "title": "A map"}
    figure = run("plot", settings, {"flux_maps": flux_maps})["figure"]
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == nbins
    assert maps[0].get_title(loc="left") == "A map"
    for axes, data in zip(maps, flux_maps.sqrt_ts.data, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), data)
        assert axes.images[0].get_clim() == (-5, 5)
    assert "Significance" in figure.axes[-1].get_ylabel()


def test_the_background_of_maps_is_drawn_as_its_model_scales_it() -> None:
    figure = run("plot", {"kind": "counts"}, {"datasets": make_maps(norm=0.5)})["figure"]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["background", "counts"]
    heights = figure.axes[0].patches[0].get_data().values
    np.testing.assert_allclose(heights, [120, 120])
