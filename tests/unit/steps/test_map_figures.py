"""Figures of maps: one bin and many, masks, maps with holes, what is marked, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from spectra import make_models, problems, run
from test_detection import make_flux_maps, two_peaks

from gpwf.errors import StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


def images(figure: Any) -> list[Any]:
    """Return the axes with an image."""
    return [axes for axes in figure.axes if axes.images]


def texts(axes: Any) -> list[str]:
    return [item.get_text() for item in axes.texts]


def draw(maps: Any, config: dict[str, Any] | None = None, **inputs: Any) -> Any:
    figure = run("plot", {"kind": "map"} | (config or {}), {"maps": maps, **inputs})["figure"]
    figure.draw_without_rendering()  # labels, legends and contours are made
    return figure


def make_map(nbins: int = 0, data: Any = 1.0, **options: Any) -> Any:
    from gammapy.maps import Map, MapAxis, WcsGeom

    geom = WcsGeom.create(skydir=(83, 22), binsz=0.1, npix=(12, 8))
    if nbins:
        geom = geom.to_cube([MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbins)])
    return Map.from_geom(geom, data=data, **options)


@pytest.mark.parametrize(("nbins", "columns"), [(1, 1), (4, 2), (6, 3), (14, 5), (50, 7)])
def test_every_bin_is_drawn_in_the_same_colours(nbins: int, columns: int) -> None:
    from gpwf.steps.plots.sky import grid_of

    figure = draw(make_flux_maps(two_peaks(), nbins=nbins), {"title": "Two peaks"})
    shown = images(figure)
    assert len(shown) == nbins
    assert {axes.images[0].get_clim() for axes in shown} == {(-5.0, 5.0)}
    assert grid_of(nbins)[1] == columns
    assert shown[0].get_title(loc="left") == "Two peaks"
    assert figure.axes[-1].get_ylabel() == "Significance [standard deviations]"
    words = " ".join([*texts(shown[0]), shown[0].get_title()])
    assert "1\N{EN DASH}" in words
    assert "TeV" in words


def test_one_bin_of_many_is_chosen() -> None:
    maps = make_flux_maps(two_peaks(), nbins=3)
    maps._data["sqrt_ts"].data[1] *= 2
    shown = images(draw(maps, {"energy": "3 TeV"}))
    assert len(shown) == 1
    assert shown[0].images[0].get_array().max() == 24
    with pytest.raises(StepError, match="outside of the map"):
        draw(maps, {"energy": "30 TeV"})


def test_units_and_powers_of_ten_are_at_the_bar() -> None:
    figure = draw(make_flux_maps(two_peaks()), {"quantity": "flux"})
    label = figure.axes[-1].get_ylabel()
    assert "Flux" in label
    assert "10^{-12}" in label
    assert "cm^{-2}" in label
    # the flux of the reference model, as everywhere: 1.9e-12
    assert images(figure)[0].images[0].get_array().max() == pytest.approx(1.937, abs=0.01)


@pytest.mark.parametrize("stretch", ["linear", "sqrt", "asinh", "log"])
def test_maps_with_holes_of_zeros_or_of_nothing_are_drawn(stretch: str) -> None:
    config = {"stretch": stretch}
    half = make_map(data=np.arange(96.0).reshape(8, 12))
    half.data[:3] = np.nan
    assert np.ma.is_masked(images(draw(half, config))[0].images[0].get_array())
    for data in (np.nan, 0.0, -1.0):
        draw(make_map(2, data=data), config)


def test_limits_are_those_of_the_colours() -> None:
    maps = make_flux_maps(two_peaks())
    figure = draw(maps, {"limits": [-2.0, 10.0]})
    assert images(figure)[0].images[0].get_clim() == (-2, 10)


def test_a_mask_is_true_or_false() -> None:
    mask = make_map(data=True, dtype=bool)
    mask.data[2:4] = False
    figure = draw(mask)
    bar = figure.axes[-1]
    assert [item.get_text() for item in bar.get_yticklabels()] == ["false", "true"]
    assert bar.get_ylabel() == "Mask"


def test_sources_peaks_circles_and_contours_are_marked() -> None:
    from gammapy.modeling.models import GaussianSpatialModel, Models, PointSpatialModel

    maps = make_flux_maps(two_peaks())
    found = run("find-peaks", {}, {"flux_maps": maps})
    point = PointSpatialModel(lon_0="83 deg", lat_0="22 deg")
    wide = GaussianSpatialModel(lon_0="83.2 deg", lat_0="22 deg", sigma="0.1 deg")
    far = PointSpatialModel(lon_0="3 deg", lat_0="22 deg")
    models = Models(
        [
            *make_models("here", spatial_model=point),
            *make_models("wide", spatial_model=wide),
            *make_models("far", spatial_model=far),
            *make_models("nowhere"),
        ]
    )
    circle = {"frame": "icrs", "lon": "83 deg", "lat": "22.3 deg", "radius": "0.2 deg"}
    config = {"regions": [circle], "levels": [3.0, 7.0, 99.0]}
    figure = draw(maps, config, models=models, peaks=found["peaks"])
    axes = images(figure)[0]
    assert {"here", "wide", "source-1", "source-2"} <= set(texts(axes))
    assert not {"far", "nowhere"} & set(texts(axes))
    legend = [item.get_text() for item in axes.get_legend().get_texts()]
    assert legend == ["model", "peak", "region", "contours at 3, 7, 99"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 29.5), (-0.5, 19.5))
    assert draw(maps, {"levels": [5.0]}, contours=maps) is not None


def test_a_peak_and_its_model_have_their_name_once() -> None:
    maps = make_flux_maps(two_peaks())
    found = run("find-peaks", {}, {"flux_maps": maps})
    axes = images(draw(maps, models=found["models"], peaks=found["peaks"]))[0]
    assert sorted(texts(axes))[1:] == ["source-1", "source-2"]  # the first is the energy


def test_names_cover_neither_each_other_nor_marks_nor_the_frame() -> None:
    from gammapy.modeling.models import Models, PointSpatialModel

    models = Models()
    places = [(83 + 0.12 * (n % 4), 22 + 0.1 * (n // 4)) for n in range(12)]
    for number, (lon, lat) in enumerate([*places, (81.5, 22.9)]):
        point = PointSpatialModel(lon_0=f"{lon} deg", lat_0=f"{lat} deg")
        models.extend(make_models(f"a long name ${number}", spatial_model=point))
    figure = draw(make_flux_maps(two_peaks()), models=models)
    axes = images(figure)[0]
    boxes = [item.get_window_extent() for item in axes.texts]
    assert 4 < len(boxes) < 14  # some are left out
    assert "a long name $12" in texts(axes)  # at the right edge: to the left of its mark
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
        assert axes.bbox.containsx(box.x0)
        assert axes.bbox.containsx(box.x1)


def test_what_cannot_be_drawn_is_told() -> None:
    from astropy.table import Table
    from gammapy.maps import Maps, RegionNDMap

    maps = make_flux_maps(two_peaks())
    with pytest.raises(StepError, match="maps are to be drawn, not Table"):
        draw(Table())
    with pytest.raises(StepError, match="there is no map 'fluxx'; there are norm, sqrt_ts, dnde"):
        draw(maps, {"quantity": "fluxx"})
    several = Maps(one=make_map(), two=make_map())
    with pytest.raises(StepError, match="which of the maps is drawn"):
        draw(several)
    with pytest.raises(StepError, match="not a map with pixels"):
        draw(RegionNDMap.create("icrs;circle(83, 22, 1)"))
    with pytest.raises(StepError, match="120 maps in one figure"):
        draw(make_flux_maps(two_peaks(), nbins=120))
    with pytest.raises(StepError, match="no columns 'frame', 'lon' and 'lat'"):
        draw(maps, peaks=Table({"value": [1]}))


def test_settings_of_maps_have_no_meaning_for_others() -> None:
    assert problems("plot", {"kind": "sed", "quantity": "flux"}) == {"quantity": "GP306"}
    assert problems("plot", {"kind": "significance-map", "levels": [3.0]}) == {"levels": "GP306"}
    assert problems("plot", {"kind": "map", "stretch": "square"}) == {"stretch": "GP304"}


def test_counts_predictions_and_residuals_are_side_by_side() -> None:
    from gammapy.maps import Maps

    maps = Maps(counts=make_map(2, data=3.0), npred=make_map(2, data=1.0))
    maps["diff_sqrt_model"], maps["diff"] = make_map(2, data=2.0), make_map(2, data=-2.0)
    figure = run("plot", {"kind": "map-residuals", "title": "Left"}, {"maps": maps})["figure"]
    figure.draw_without_rendering()
    shown = images(figure)
    assert len(shown) == 6
    clims = [axes.images[0].get_clim() for axes in shown[:3]]
    assert clims == [(1, 3), (1, 3), (-2, 2)]
    assert shown[0].get_title(loc="left") == "Left"
    config = {"kind": "map-residuals", "quantity": "diff", "energy": "2 TeV", "smooth": "0.1 deg"}
    assert len(images(run("plot", config, {"maps": maps})["figure"])) == 3
    del maps["npred"]
    with pytest.raises(StepError, match="the maps to draw have no npred"):
        run("plot", {"kind": "map-residuals"}, {"maps": maps})
