"""Finding sources in maps whose answer is known, without data: ts-map, asmooth-map, find-peaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from spectra import make_dataset, make_models, problems, run
from test_maps import make_map, make_maps

from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

SHARP = {"kernel_width": "0.3 deg"}


def make_sky(counts: float = 2.0, **options: Any) -> Any:
    """Return maps with a response that blurs nothing; 30 counts above the others in one pixel."""
    from gammapy.irf import EDispKernelMap

    dataset = make_map(counts=counts, **options)
    dataset.psf = None
    axes = (dataset.counts.geom.axes["energy"], dataset.exposure.geom.axes["energy_true"])
    dataset.edisp = EDispKernelMap.from_diagonal_response(*axes)
    dataset.edisp.exposure_map.data += 1e9  # weights where responses are added up
    return make_maps(dataset)


def make_flux_maps(values: Any, frame: str = "icrs", nbins: int = 1, **others: Any) -> Any:
    """Return flux maps with these significances in every bin, and a flux of 1 where they are."""
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Map, MapAxis, WcsGeom
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel

    values = np.asarray(values, dtype=float)
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbins)
    geom = WcsGeom.create(skydir=(83, 22), frame=frame, binsz=0.1, npix=values.shape[::-1])
    geom = geom.to_cube([energy])
    data = np.broadcast_to(values, geom.data_shape).copy()
    maps = {
        "norm": Map.from_geom(geom, data=np.ones(geom.data_shape) * others.get("norm", 1.0)),
        "sqrt_ts": Map.from_geom(geom, data=data),
    }
    spectrum = PowerLawSpectralModel(index=2.5, amplitude="3e-12 TeV-1 s-1 cm-2")
    return FluxMaps(maps, SkyModel(spectrum, name="reference"), meta={})


def two_peaks() -> Any:
    values = np.zeros((20, 30))
    values[5, 7], values[5, 8], values[12, 20] = 9.0, 8.0, 12.0
    return values


# ---- find-peaks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_every_peak_is_a_source_where_it_is(frame: str) -> None:
    maps = make_flux_maps(two_peaks(), frame=frame)
    found = run("find-peaks", {"prefix": "hot"}, {"flux_maps": maps})
    peaks, models = found["peaks"], found["models"]
    assert list(peaks["name"]) == models.names == ["hot-1", "hot-2"]
    assert list(peaks["value"]) == [12, 9]
    assert [(row["x"], row["y"]) for row in peaks] == [(20, 12), (7, 5)]
    for row, model in zip(peaks, models, strict=True):
        lon, lat = maps.geom.to_image().pix_to_coord((row["x"], row["y"]))
        assert model.spatial_model.frame == row["frame"] == frame
        assert model.spatial_model.lon_0.value == pytest.approx(lon.value, abs=1e-9)
        assert model.spatial_model.lat_0.value == pytest.approx(lat.value, abs=1e-9)
        # the spectrum of the flux maps, as bright as there
        assert model.spectral_model.index.value == 2.5
        assert model.spectral_model.amplitude.value == pytest.approx(3e-12)
    assert peaks.meta["product"] == "peaks"
    assert {"flux"} <= set(peaks.colnames)


def test_what_to_start_from_may_be_given() -> None:
    config = {"spectral_index": 3.0, "amplitude": "1e-11 cm-2 s-1 TeV-1", "max_peaks": 1}
    models = run("find-peaks", config, {"flux_maps": make_flux_maps(two_peaks())})["models"]
    assert models.names == ["source-1"]
    assert models[0].spectral_model.index.value == 3
    assert models[0].spectral_model.amplitude.value == pytest.approx(1e-11)


def test_pixels_beside_each_other_with_one_value_are_one_peak() -> None:
    values = np.zeros((20, 30))
    values[5, 7:10] = 9.0
    assert len(run("find-peaks", {}, {"flux_maps": make_flux_maps(values)})["peaks"]) == 1


def test_no_peak_is_no_data_and_the_largest_value_is_told() -> None:
    with pytest.raises(NoDataError, match=r"above 20; the largest value is 12, at .* deg \(icrs\)"):
        run("find-peaks", {"threshold": 20}, {"flux_maps": make_flux_maps(two_peaks())})
    with pytest.raises(NoDataError, match="no value anywhere"):
        run("find-peaks", {}, {"flux_maps": make_flux_maps(np.full((5, 5), np.nan))})
    with pytest.raises(NoDataError, match=r"has no peak: its value is 7 wherever"):
        run("find-peaks", {}, {"flux_maps": make_flux_maps(np.full((5, 5), 7.0))})
    # gammapy would take every pixel above the threshold for a peak
    with pytest.raises(StepError, match=r"'min_distance' \(0.01 deg\) is less than a pixel .*0.1"):
        run("find-peaks", {"min_distance": "0.01 deg"}, {"flux_maps": make_flux_maps(two_peaks())})
    with pytest.raises(NoDataError, match="largest value is 7"):
        run("find-peaks", {"threshold": 7}, {"flux_maps": make_flux_maps(np.full((5, 5), 7.0))})


def test_an_energy_bin_is_chosen() -> None:
    maps = make_flux_maps(two_peaks(), nbins=3)
    maps._data["sqrt_ts"].data[1] = 0
    maps._data["sqrt_ts"].data[1, 3, 4] = 6
    found = run("find-peaks", {"energy": "3 TeV"}, {"flux_maps": maps})["peaks"]
    assert [(row["x"], row["y"]) for row in found] == [(4, 3)]
    with pytest.raises(StepError, match="3 bins of energy; which one"):
        run("find-peaks", {}, {"flux_maps": maps})
    with pytest.raises(StepError, match="outside of the map, which has 1 to 10 TeV"):
        run("find-peaks", {"energy": "30 TeV"}, {"flux_maps": maps})


def test_maps_without_a_flux_need_an_amplitude() -> None:
    from gammapy.maps import Maps

    assert problems("find-peaks", {"search": "maps"}) == {"amplitude": "GP306"}
    config = {"search": "maps", "quantity": "counts", "amplitude": "1e-11 cm-2 s-1 TeV-1"}
    maps = Maps()
    maps["counts"] = make_flux_maps(two_peaks()).sqrt_ts
    assert len(run("find-peaks", config, {"maps": maps})["peaks"]) == 2
    with pytest.raises(StepError, match="there is no map 'sqrt_ts'; there are counts"):
        run("find-peaks", config | {"quantity": "sqrt_ts"}, {"maps": maps})
    image = maps["counts"].sum_over_axes(keepdims=False)
    assert len(run("find-peaks", config | {"search": "map"}, {"map": image})["peaks"]) == 2
    negative = make_flux_maps(two_peaks(), norm=-1.0)
    with pytest.raises(StepError, match="no flux above zero at source-1"):
        run("find-peaks", {}, {"flux_maps": negative})
    del negative._data["norm"]  # as excess-map makes them of counts alone
    with pytest.raises(StepError, match="no flux: the datasets have no exposure") as caught:
        run("find-peaks", {}, {"flux_maps": negative})
    assert "'amplitude'" in (caught.value.hint or "")


# ---- ts-map --------------------------------------------------------------------------------------


def test_the_test_statistic_is_highest_where_the_source_is() -> None:
    maps = run("ts-map", SHARP, {"datasets": [make_sky()]})["flux_maps"]
    assert maps.sqrt_ts.data.shape == (1, 10, 12)
    assert np.argmax(maps.sqrt_ts.data) == np.argmax(make_sky()[0].counts.data[0])
    # 60 counts above 4 expected, in one pixel: Cash
    expected = np.sqrt(2 * (64 * np.log(64 / 4) - 60))
    assert maps.sqrt_ts.data.max() == pytest.approx(expected, rel=0.01)
    peaks = run("find-peaks", {}, {"flux_maps": maps})
    assert len(peaks["peaks"]) == 1


def test_batches_of_pixels_on_other_cores_give_the_same_bytes() -> None:
    """Whoever works on them, and in whatever order."""

    def backwards(
        function: Callable[[Any], Any],
        items: Sequence[Any],
        tell: Callable[[int], None],
        bounded: bool = False,
    ) -> Iterator[Any]:
        calls.append(len(items))
        results = [function(item) for item in reversed(items)]
        tell(len(items))
        yield from reversed(results)

    calls: list[int] = []
    step = load_catalog().step("ts-map")
    settings = restore(step, settle(step, SHARP, base=Path("/nowhere")).settings)
    context = StepContext(step="ts", task_id="ts", work_dir=Path("/nowhere"), spread=backwards)
    large = make_sky()
    ours = step.run(settings, {"datasets": [large]}, context)["flux_maps"]
    theirs = run("ts-map", SHARP, {"datasets": [large]})["flux_maps"]
    assert calls == [1]  # 120 pixels are one batch
    for name, item in theirs._data.items():
        np.testing.assert_array_equal(ours._data[name].data, item.data, err_msg=name)
    # counts are the background in the first pixel: scipy needs no iteration, and does not say so
    assert theirs._data["niter"].data[0, 0, 0] == 0
    assert theirs._data["niter"].data.max() <= 100


def test_a_model_may_be_the_template_and_others_be_subtracted() -> None:
    from gammapy.modeling.models import PointSpatialModel

    sky = make_sky()
    lon, lat = sky[0].counts.geom.to_image().pix_to_coord((5, 5))
    models = make_models("one", "two", spatial_model=PointSpatialModel(lon_0=lon, lat_0=lat))
    plain = run("ts-map", SHARP, {"datasets": [sky]})["flux_maps"]
    config = SHARP | {"template": {"source": "one"}}
    named = run("ts-map", config, {"datasets": [sky], "models": models})["flux_maps"]
    assert named.reference_model.name == "one"
    assert named.reference_model.spectral_model.index.value == 2.5
    np.testing.assert_allclose(named.sqrt_ts.data, plain.sqrt_ts.data, rtol=0.05, atol=0.3)
    inputs = {"datasets": [sky], "models": models}
    config = SHARP | {"subtract_models": True}
    both = run("ts-map", config, inputs)["flux_maps"].sqrt_ts.data
    # with the template left out of what is subtracted, one source less is taken away
    one = run("ts-map", config | {"template": {"source": "two"}}, inputs)["flux_maps"].sqrt_ts.data
    assert both[0, 5, 5] < one[0, 5, 5] < plain.sqrt_ts.data[0, 5, 5]
    assert sky[0].models is None or not len(sky[0].models)
    with pytest.raises(StepError, match="no model is called 'on'"):
        run("ts-map", SHARP | {"template": {"source": "on"}}, inputs)
    config = SHARP | {"template": {"source": "crab"}}
    with pytest.raises(StepError, match="'crab' cannot be looked for"):
        run("ts-map", config, {"datasets": [sky], "models": make_models()})


def test_datasets_are_added_up_or_fitted_together() -> None:
    from gammapy.datasets import Datasets

    two = Datasets([make_sky(name="a")[0], make_sky(name="b")[0]])
    stacked = run("ts-map", SHARP, {"datasets": [two]})["flux_maps"]
    joint = run("ts-map", SHARP | {"combine": "joint"}, {"datasets": [two]})["flux_maps"]
    assert joint.sqrt_ts.data.max() == pytest.approx(stacked.sqrt_ts.data.max(), rel=0.02)
    other = Datasets([make_sky(name="a")[0], make_sky(name="b", shift=(3, 0))[0]])
    assert run("ts-map", SHARP, {"datasets": [other]})["flux_maps"].sqrt_ts.data.shape[2] == 15
    with pytest.raises(StepError, match="on different pixels cannot be fitted together"):
        run("ts-map", SHARP | {"combine": "joint"}, {"datasets": [other]})


def test_what_cannot_be_fitted_says_why() -> None:
    from gammapy.datasets import Datasets, MapDatasetOnOff

    sky = make_sky()
    sky[0].mask_safe.data[...] = False
    with pytest.raises(NoDataError, match="no pixel of the datasets is in their safe range"):
        run("ts-map", SHARP, {"datasets": [sky]})
    dark = make_sky()
    dark[0].exposure.data[...] = 0
    with pytest.raises(NoDataError, match="no pixel can be fitted"):
        run("ts-map", SHARP, {"datasets": [dark]})
    blind = make_sky()
    blind[0].exposure = None
    with pytest.raises(StepError, match="no exposure"):
        run("ts-map", SHARP, {"datasets": [blind]})
    with pytest.raises(StepError, match="spectra of a region"):
        run("ts-map", SHARP, {"datasets": [Datasets([make_dataset()])]})
    ring = MapDatasetOnOff.create(sky[0].counts.geom, name="ring")
    ring.mask_safe.data[...] = True
    with pytest.raises(StepError, match="measured OFF counts"):
        run("ts-map", SHARP, {"datasets": [Datasets([ring])]})


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, {}),
        ({"kernel_width": None, "template": {"shape": "disk", "size": "1 deg"}}, {}),
        ({"template": {"size": "0.1 deg"}}, {"template.size": "GP306"}),
        ({"template": {"shape": "gauss"}}, {"template.shape": "GP306"}),
        (
            {"template": {"source": "a", "spectral_index": 3.0}},
            {"template.spectral_index": "GP306"},
        ),
        ({"template": {"source": "a", "shape": "gauss", "size": "0.1 deg"}}, None),
        ({"template": {"shape": "disk", "size": "0.3 deg"}}, {"kernel_width": "GP306"}),
        ({"downsampling_factor": 3}, {"downsampling_factor": "GP304"}),
        ({"rtol": 0}, {"rtol": "GP304"}),
        ({"parameters": {"kernel_model": 1}}, {"parameters.kernel_model": "GP306"}),
        ({"parameters": {"max_nitre": 5}}, {"parameters.max_nitre": "GP301"}),
        ({"parameters": {"max_niter": 50}}, {}),
    ],
)
def test_settings_of_ts_maps_are_checked(config: dict[str, Any], found: dict[str, str]) -> None:
    assert problems("ts-map", config) == (
        found if found is not None else {"template.source": "GP306"}
    )


# ---- asmooth-map ---------------------------------------------------------------------------------


def test_kernels_are_small_where_counts_are_many() -> None:
    config = {"scales": {"values": ["0.05 deg", "0.2 deg"]}, "threshold": 4.0}
    maps = run("asmooth-map", config, {"datasets": [make_sky()]})["maps"]
    assert list(maps) == ["counts", "background", "scale", "sqrt_ts", "flux"]
    peak = np.unravel_index(np.argmax(make_sky()[0].counts.data[0]), (10, 12))
    assert maps["scale"].data[0][peak] == pytest.approx(0.05)
    assert str(maps["scale"].unit) == "deg"
    assert np.isnan(maps["scale"].data).any()
    assert np.isfinite(maps["counts"].data).all()


def test_what_cannot_be_smoothed_says_why() -> None:
    sky = make_sky()
    with pytest.raises(StepError, match=r"kernel of 0.6 deg is too wide for maps of 1 deg"):
        run("asmooth-map", {"scales": {"max": "0.6 deg"}}, {"datasets": [sky]})
    sky[0].counts.data[...] = 0
    with pytest.raises(NoDataError, match="no counts"):
        run("asmooth-map", {"scales": {"max": "0.2 deg"}}, {"datasets": [sky]})


@pytest.mark.parametrize(
    ("scales", "found"),
    [
        ({"min": "0.3 deg", "max": "0.1 deg"}, {"scales": "GP306"}),
        ({"values": ["0.3 deg", "0.1 deg"]}, {"scales": "GP306"}),
        ({"n_scales": 0}, {"scales.n_scales": "GP304"}),
        ({"min": "0.1 deg", "max": "0.1 deg", "n_scales": 1}, {}),
    ],
)
def test_widths_of_kernels_are_checked(scales: dict[str, Any], found: dict[str, str]) -> None:
    assert problems("asmooth-map", {"scales": scales}) == found
