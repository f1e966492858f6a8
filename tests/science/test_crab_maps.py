"""Maps of the Crab Nebula, H.E.S.S. DL3 DR1: our steps against gammapy by hand.

The settings are those of ``workflows/crab-3d.gpwf.yaml`` with its profile ``quick``.
"""

from __future__ import annotations

import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import NoDataError, StepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

OBS_IDS = [23523, 23526]
EXCLUSION = "$GAMMAPY_DATA/joint-crab/exclusion/exclusion_mask_crab.fits.gz"
DATASETS: dict[str, Any] = {
    "type": "3d",
    "geom": {
        "wcs": {
            "skydir": {"frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg"},
            "binsize": "0.05 deg",
            "width": {"width": "2 deg", "height": "2 deg"},
        },
        "selection": {"offset_max": "2 deg"},
        "axes": {
            "energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 4},
            "energy_true": {"min": "0.5 TeV", "max": "20 TeV", "nbins": 8},
        },
    },
    "background": {"method": "fov_background", "exclusion": EXCLUSION},
    "safe_mask": {
        "methods": ["aeff-max", "offset-max"],
        "parameters": {"aeff_percent": 10, "offset_max": "2 deg"},
    },
}
MAPS = ("counts", "background", "exposure", "mask_safe")
RTOL = 1e-3


def run(tag: str, config: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Run one step without an engine."""
    step = load_catalog().step(tag)
    base = Path(__file__).parents[2] / "workflows"
    settled = settle(step, config, base=base)
    assert not settled.problems, settled.problems
    context = StepContext(step=tag, task_id=tag, work_dir=base)
    return step.run(restore(step, settled.settings), inputs, context)


def changed(**places: Any) -> dict[str, Any]:
    """Return the settings with some of them replaced; ``__`` separates levels."""
    config = deepcopy(DATASETS)
    for path, value in places.items():
        *way, last = path.split("__")
        place = config
        for key in way:
            place = place.setdefault(key, {})
        place[last] = value
    return config


@pytest.fixture(scope="module")
def observations() -> Any:
    from gammapy.data import DataStore

    store = DataStore.from_dir(Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1")
    return store.get_observations(OBS_IDS)


@pytest.fixture(scope="module")
def stacked(observations: Any) -> Any:
    return run("datasets", DATASETS, {"observations": observations})["datasets"]


@pytest.fixture(scope="module")
def single(observations: Any) -> Any:
    return run("datasets", changed(stack=False), {"observations": observations})["datasets"]


@pytest.fixture(scope="module")
def ring(observations: Any) -> Any:
    return run("datasets", ring_settings(), {"observations": observations})["datasets"]


def ring_settings() -> dict[str, Any]:
    parameters = {"r_in": "0.3 deg", "width": "0.2 deg"}
    background = {"method": "ring", "exclusion": EXCLUSION, "parameters": parameters}
    return changed(geom__axes__energy__nbins=1, background=background)


# ---- by hand: gammapy's API and nothing else -----------------------------------------------------


def geometry(n_energies: int = 4) -> dict[str, Any]:
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", n_energies)
    geom = WcsGeom.create(
        skydir=(83.633, 22.014), frame="icrs", binsz=0.05, width=(2, 2), axes=[energy]
    )
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 8, name="energy_true")
    return {"geom": geom, "energy_axis_true": true, "binsz_irf": 0.2}


def exclusion_mask() -> Any:
    from gammapy.maps import Map

    mask = Map.read(os.path.expandvars(EXCLUSION))
    mask.data = mask.data.astype(bool)
    return mask


def reduced_by_hand(observations: Any, *, stack: bool) -> Any:
    from gammapy.datasets import MapDataset
    from gammapy.makers import DatasetsMaker, FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker

    makers = [
        MapDatasetMaker(),
        SafeMaskMaker(methods=["aeff-max", "offset-max"], aeff_percent=10, offset_max="2 deg"),
        FoVBackgroundMaker(method="scale", exclusion_mask=exclusion_mask()),
    ]
    maker = DatasetsMaker(
        makers, stack_datasets=stack, cutout_width="4 deg", cutout_mode="trim", n_jobs=1
    )
    empty = MapDataset.create(**geometry(), name="by-hand")
    return maker.run(empty, observations)


def fitted_by_hand(datasets: Any) -> Any:
    """Fit a point with a power law; without bounds minuit leaves the map with its first step."""
    from gammapy.modeling import Fit
    from gammapy.modeling.models import (
        FoVBackgroundModel,
        Models,
        PointSpatialModel,
        PowerLawSpectralModel,
        SkyModel,
    )

    point = PointSpatialModel(lon_0="83.6 deg", lat_0="22 deg", frame="icrs")
    for parameter in (point.lon_0, point.lat_0):
        parameter.min, parameter.max = parameter.value - 0.5, parameter.value + 0.5
        parameter.error = 0.01
    spectrum = PowerLawSpectralModel(index=2.3, amplitude="3e-11 TeV-1 s-1 cm-2")
    own = list(datasets.models) or [FoVBackgroundModel(dataset_name=d.name) for d in datasets]
    datasets.models = Models([SkyModel(spectrum, point, name="crab"), *own])
    result = Fit().run(datasets)
    assert result.success
    return result


# ---- datasets ------------------------------------------------------------------------------------


def assert_same_maps(ours: Any, theirs: Any) -> None:
    for name in MAPS:
        one, two = getattr(ours, name), getattr(theirs, name)
        assert one.geom == two.geom
        np.testing.assert_array_equal(one.data, two.data, err_msg=name)
    np.testing.assert_array_equal(ours.psf.psf_map.data, theirs.psf.psf_map.data)
    np.testing.assert_array_equal(ours.edisp.edisp_map.data, theirs.edisp.edisp_map.data)
    assert ours.gti.time_sum == theirs.gti.time_sum


def test_stacked_maps_are_those_of_gammapy(stacked: Any, observations: Any) -> None:
    theirs = reduced_by_hand(observations, stack=True)[0]
    assert stacked.names == ["hess-stacked"]
    assert stacked[0].counts.data.sum() > 1000
    assert_same_maps(stacked[0], theirs)
    model = stacked.models[0]
    assert (model.name, model.datasets_names) == ("hess-stacked-bkg", ["hess-stacked"])
    assert model.parameters["norm"].value == 1


def test_maps_of_each_observation_are_those_of_gammapy(single: Any, observations: Any) -> None:
    theirs = reduced_by_hand(observations, stack=False)
    assert single.names == ["hess-23523", "hess-23526"]
    for ours, other in zip(single, theirs, strict=True):
        assert_same_maps(ours, other)
        norms = [item.background_model.spectral_model.norm for item in (ours, other)]
        assert norms[0].value == norms[1].value != 1
        assert norms[0].error == norms[1].error > 0
    assert single.models.names == ["hess-23523-bkg", "hess-23526-bkg"]


def test_observations_in_another_order_give_the_same_bits(stacked: Any, observations: Any) -> None:
    turned = [observations[1], observations[0]]
    again = run("datasets", DATASETS, {"observations": turned})["datasets"]
    assert_same_maps(stacked[0], again[0])


def test_ring_is_that_of_gammapy(ring: Any, observations: Any) -> None:
    from gammapy.datasets import MapDataset, MapDatasetOnOff
    from gammapy.makers import MapDatasetMaker, RingBackgroundMaker, SafeMaskMaker

    empty = MapDataset.create(**geometry(1))
    total = MapDatasetOnOff.create(**geometry(1))
    maker = MapDatasetMaker()
    safe = SafeMaskMaker(methods=["aeff-max", "offset-max"], aeff_percent=10, offset_max="2 deg")
    rings = RingBackgroundMaker("0.3 deg", "0.2 deg", exclusion_mask=exclusion_mask())
    for observation in observations:
        pointing = observation.get_pointing_icrs(observation.tmid)
        dataset = empty.cutout(pointing, width="4 deg")
        found = rings.run(safe.run(maker.run(dataset, observation), observation))
        # counts, but for the rounding errors of a Fourier transform
        found.counts_off.data = np.rint(found.counts_off.data)
        total.stack(found)
    assert ring[0].tag == "MapDatasetOnOff"
    assert not ring.models
    for name in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe", "exposure"):
        one, two = getattr(ring[0], name).data, getattr(total, name).data
        np.testing.assert_array_equal(one, two, err_msg=name)


def test_data_reduction_is_observations_and_datasets(stacked: Any) -> None:
    selection = {"datastore": "$GAMMAPY_DATA/hess-dl3-dr1", "obs_ids": OBS_IDS}
    found = run("data-reduction", DATASETS | {"observations": selection}, {})["datasets"]
    assert found.names == stacked.names
    assert_same_maps(found[0], stacked[0])


@pytest.mark.parametrize("stack", [True, False])
def test_maps_that_are_left_out_are_not_there(stack: bool, observations: Any) -> None:
    """A stacked PSF of zeros would blot out every source."""
    selection = ["counts", "exposure", "background", "edisp"]
    config = changed(stack=stack, map_selection=selection)
    for dataset in run("datasets", config, {"observations": observations})["datasets"]:
        assert dataset.psf is None
        assert dataset.edisp is not None
    few = changed(map_selection=["counts", "background"], safe_mask={"methods": ["offset-max"]})
    bare = run("datasets", few, {"observations": observations})["datasets"]
    assert bare[0].exposure is None
    found = run("excess-map", {}, {"datasets": [bare]})["flux_maps"]
    assert np.nanmax(found.sqrt_ts.data) > 15


# ---- fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", [True, False], ids=["stacked", "joint"])
def test_position_and_spectrum_are_those_of_a_fit_by_hand(
    stack: bool, stacked: Any, single: Any, observations: Any
) -> None:
    datasets = stacked if stack else single
    sources = run("models", {"file": "models/crab-point.yaml"}, {})["models"]
    fitted = run("fit", {}, {"datasets": datasets, "models": sources})
    by_hand = fitted_by_hand(reduced_by_hand(observations, stack=stack))
    ours = fitted["fit_result"]
    assert fitted["models"].names == ["crab", *(f"{name}-bkg" for name in datasets.names)]
    assert sources.names == ["crab"]  # a step never changes its inputs
    for name in ("index", "amplitude", "lon_0", "lat_0"):
        theirs = by_hand.models["crab"].parameters[name]
        found = ours.parameter("crab", name)
        assert found.value == pytest.approx(theirs.value, rel=RTOL), name
        assert found.error == pytest.approx(theirs.error, rel=0.05), name
    for name, model in zip(datasets.names, list(by_hand.models)[1:], strict=True):
        norm = ours.parameter(f"{name}-bkg", "norm")
        assert norm.value == pytest.approx(model.parameters["norm"].value, rel=RTOL)
    assert ours.total_stat == pytest.approx(by_hand.total_stat, rel=RTOL)
    assert ours.total_stat == pytest.approx(sum(item.stat for item in ours.datasets), rel=1e-12)
    # the Crab's position is 83.633, 22.015 deg
    separation = np.hypot(
        (ours.parameter("crab", "lon_0").value - 83.633) * np.cos(np.radians(22)),
        ours.parameter("crab", "lat_0").value - 22.015,
    )
    assert separation < 0.03


def test_fitted_backgrounds_replace_those_of_the_datasets(stacked: Any) -> None:
    """What a fit made of the background is used below it, not what the reduction said."""
    from gpwf.steps.attach import attach_models

    sources = run("models", {"file": "models/crab-point.yaml"}, {})["models"]
    _, joined = attach_models(stacked, sources, "step")
    assert joined.names == ["crab", "hess-stacked-bkg"]
    joined["hess-stacked-bkg"].spectral_model.norm.value = 0.5
    again, models = attach_models(stacked, joined, "step")
    assert models.names == ["crab", "hess-stacked-bkg"]
    assert again[0].background_model.spectral_model.norm.value == 0.5
    assert stacked[0].background_model.spectral_model.norm.value == 1
    points = run(
        "flux-points",
        {"source": "crab", "energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 1}},
        {"datasets": stacked, "models": joined},
    )["flux_points"]
    full = run(
        "flux-points",
        {"source": "crab", "energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 1}},
        {"datasets": stacked, "models": sources},
    )["flux_points"]
    assert points.norm.data.item() > full.norm.data.item()  # less background, more source


# ---- excess map ----------------------------------------------------------------------------------


def assert_same_flux_maps(ours: Any, theirs: Any) -> None:
    assert set(ours._data) == set(theirs._data)
    for name, item in theirs._data.items():
        assert ours._data[name].unit == item.unit
        np.testing.assert_array_equal(ours._data[name].data, item.data, err_msg=name)


@pytest.mark.parametrize(
    ("edges", "optional"),
    [(None, []), ({"min": "1 TeV", "max": "10 TeV", "nbins": 2}, ["errn-errp", "ul"])],
)
def test_excess_map_is_that_of_gammapy(stacked: Any, edges: Any, optional: list[str]) -> None:
    from astropy import units as u
    from gammapy.estimators import ExcessMapEstimator
    from gammapy.modeling.models import FoVBackgroundModel

    config = {"correlation_radius": "0.15 deg", "selection_optional": optional}
    found = run("excess-map", config | {"energy_edges": edges}, {"datasets": [stacked]})
    dataset = stacked[0].copy(name="hess-stacked")
    dataset.models = FoVBackgroundModel(dataset_name="hess-stacked")
    estimator = ExcessMapEstimator(
        correlation_radius="0.15 deg",
        energy_edges=None if edges is None else [1, 10**0.5, 10] * u.TeV,
        selection_optional=optional,
    )
    ours = found["flux_maps"]
    assert_same_flux_maps(ours, estimator.run(dataset))
    assert ours.geom.axes["energy"].nbin == (1 if edges is None else 2)
    assert np.nanmax(ours.sqrt_ts.data) > 15
    assert ours.reference_model.name == "reference"


def test_two_reductions_are_added_up(single: Any, stacked: Any, observations: Any) -> None:
    """One by one, from two products, or stacked before: the same counts and background."""
    expected = run("excess-map", {}, {"datasets": [stacked]})["flux_maps"]
    one, two = (
        run("datasets", DATASETS, {"observations": [item]})["datasets"] for item in observations
    )
    assert one.names == two.names == ["hess-stacked"]
    for products in ([single], [one, two]):
        found = run("excess-map", {}, {"datasets": products})["flux_maps"]
        np.testing.assert_array_equal(found.counts.data, expected.counts.data)
        np.testing.assert_allclose(found.sqrt_ts.data, expected.sqrt_ts.data, rtol=1e-4, atol=1e-4)
    turned = run("excess-map", {}, {"datasets": [two, one]})["flux_maps"]
    np.testing.assert_allclose(turned.sqrt_ts.data, found.sqrt_ts.data, rtol=1e-4, atol=1e-4)


def test_cutouts_are_added_on_a_map_that_covers_all(observations: Any, stacked: Any) -> None:
    config = changed(stack=False, geom__selection__offset_max="0.6 deg")
    cutouts = run("datasets", config, {"observations": observations})["datasets"]
    shapes = [dataset.counts.geom.data_shape[-2:] for dataset in cutouts]
    assert all(rows < 40 and columns < 40 for rows, columns in shapes)
    found = run("excess-map", {}, {"datasets": [cutouts]})["flux_maps"]
    assert found.geom.data_shape[-2] == 40  # one pointing is north, the other south of the source
    center = found.geom.center_skydir
    assert center.separation(stacked[0].counts.geom.center_skydir).deg < 0.1
    peak = run("excess-map", {}, {"datasets": [stacked]})["flux_maps"]
    positions = []
    for flux in (found, peak):
        index = np.unravel_index(np.nanargmax(flux.sqrt_ts.data), flux.sqrt_ts.data.shape)
        positions.append(flux.geom.to_image().pix_to_coord((index[2], index[1])))
    np.testing.assert_allclose(positions[0][0].value, positions[1][0].value, atol=1e-6)
    np.testing.assert_allclose(positions[0][1].value, positions[1][1].value, atol=1e-6)


def test_a_source_that_is_subtracted_leaves_nothing(stacked: Any, single: Any, ring: Any) -> None:
    sources = run("models", {"file": "models/crab-point.yaml"}, {})["models"]
    models = run("fit", {}, {"datasets": stacked, "models": sources})["models"]
    for datasets, given in ((stacked, models), (single, sources), (ring, sources)):
        inputs = {"datasets": [datasets], "models": given}
        config = {"correlate_off": datasets is not ring}
        left = run("excess-map", {**config, "subtract_models": True}, inputs)["flux_maps"]
        before = run("excess-map", config, {"datasets": [datasets]})["flux_maps"]
        assert np.nanmax(left.sqrt_ts.data) < np.nanmax(before.sqrt_ts.data) / 2


def test_maps_with_off_counts_show_them(ring: Any, stacked: Any) -> None:
    config = {"selection_optional": ["alpha", "acceptance_on"], "correlate_off": False}
    found = run("excess-map", config, {"datasets": [ring]})["flux_maps"]
    assert list(found._data)[-2:] == ["acceptance_on", "alpha"]
    with pytest.raises(StepError, match="need maps with OFF counts"):
        run("excess-map", config, {"datasets": [stacked]})
    with pytest.raises(StepError, match="of different kinds"):
        run("excess-map", {}, {"datasets": [ring, stacked]})


def test_maps_on_other_pixels_are_not_added(stacked: Any, observations: Any) -> None:
    config = changed(geom__wcs__skydir__lon="83.65 deg")
    other = run("datasets", config, {"observations": observations})["datasets"]
    with pytest.raises(StepError, match="on different pixels or energy bins") as caught:
        run("excess-map", {}, {"datasets": [stacked, other]})
    assert "same 'geom'" in (caught.value.hint or "")


def test_spectra_have_no_excess_map() -> None:
    axes = {"energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 2}}
    region = {"lon": "83.633 deg", "lat": "22.014 deg", "radius": "0.11 deg"}
    selection = {"datastore": "$GAMMAPY_DATA/hess-dl3-dr1", "obs_ids": OBS_IDS}
    config = {"observations": selection, "geom": {"axes": axes}, "on_region": region}
    spectra = run("data-reduction", config, {})["datasets"]
    with pytest.raises(StepError, match="spectra of a region"):
        run("excess-map", {}, {"datasets": [spectra]})


# ---- what can go wrong in the reduction ----------------------------------------------------------


def test_a_map_far_away_has_no_data(observations: Any) -> None:
    with (
        pytest.warns(UserWarning, match=r"observation \d+ is left out.*do not overlap"),
        pytest.raises(NoDataError, match="overlaps with no observation"),
    ):
        run("datasets", changed(geom__wcs__skydir__lon="10 deg"), {"observations": observations})


def test_an_observation_without_background_counts_is_left_out(observations: Any) -> None:
    parameters = {"min_counts": 100_000}
    config = changed(background__parameters=parameters)
    with (
        pytest.warns(UserWarning, match=r"observation \d+ is left out: no bin is left"),
        pytest.raises(StepError, match="no observation has a bin left"),
    ):
        run("datasets", config, {"observations": observations})


def test_energies_without_events_have_no_data(observations: Any) -> None:
    axes = {"energy": {"min": "85 TeV", "max": "99 TeV", "nbins": 1}}
    parameters = {"r_in": "0.3 deg", "width": "0.2 deg"}
    background = {"method": "ring", "parameters": parameters}
    config = changed(geom__axes=axes, background=background, safe_mask={"methods": []})
    with pytest.raises(NoDataError, match=r"no event in the map between 85\.0 TeV"):
        run("datasets", config, {"observations": observations})


@pytest.mark.filterwarnings("ignore:'THETA' axis is stored as a scalar")
def test_a_point_like_response_makes_no_maps() -> None:
    from gammapy.data import DataStore

    folder = Path(os.environ["GAMMAPY_DATA"]) / "magic" / "rad_max" / "data"
    magic = DataStore.from_dir(folder).get_observations(required_irf="point-like")
    with pytest.raises(StepError, match=r"has no .*psf") as caught:
        run("datasets", DATASETS, {"observations": magic})
    assert "full-enclosure" in (caught.value.hint or "")


def test_beyond_the_exclusion_mask_nothing_is_excluded(observations: Any, tmp_path: Path) -> None:
    """A small mask around the source is as good as a large one."""
    exclusion_mask().cutout(geometry()["geom"].center_skydir, width="1.2 deg").to_hdulist().writeto(
        tmp_path / "small.fits"
    )
    large = run("datasets", DATASETS, {"observations": observations})["datasets"]
    config = changed(background__exclusion=str(tmp_path / "small.fits"))
    small = run("datasets", config, {"observations": observations})["datasets"]
    np.testing.assert_array_equal(large[0].background.data, small[0].background.data)
